//! Where a request goes: the parts of a URL that the wire needs, ready made, and nothing else. A controller keeps one
//! for each probe; the URL itself is put together again in the rare case that a redirect is relative to it.

use crate::net::Address;
use http::HeaderValue;
use http::uri::PathAndQuery;
use url::{Host, Position, Url};

/// Scheme, host and port: what a connection belongs to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Origin {
    pub(crate) https: bool,
    pub(crate) address: Address,
}

/// A URL, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) origin: Origin,
    pub(crate) path: PathAndQuery,
    pub(crate) host_header: HeaderValue,
}

impl Target {
    /// The error says what is wrong with the URL.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let url = Url::parse(url).map_err(|e| format!("is no URL: {e}"))?;
        Self::from_url(&url)
    }

    fn from_url(url: &Url) -> Result<Self, String> {
        let https = match url.scheme() {
            "http" => false,
            "https" => true,
            other => return Err(format!("has the scheme {other}; use http or https")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("has a user or password in it; use secretHeaders".to_owned());
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            None => return Err("has no host".to_owned()),
        };
        let port = url.port_or_known_default().filter(|p| *p > 0).ok_or("has no port")?;
        let path = url[Position::BeforePath..Position::AfterQuery]
            .parse::<PathAndQuery>()
            .map_err(|e| format!("has a path that cannot be sent: {e}"))?;
        let shown = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => return Err("has no host".to_owned()),
        };
        let host_header = HeaderValue::from_str(&shown).map_err(|_| "has a host that cannot be sent")?;
        Ok(Self { origin: Origin { https, address: Address { host, port } }, path, host_header })
    }

    /// Where a redirect's `Location` leads from here.
    pub(crate) fn follow(&self, location: &str) -> Result<Self, String> {
        let url = self.url().and_then(|here| here.join(location)).map_err(|e| format!("is no URL: {e}"))?;
        Self::from_url(&url)
    }

    fn url(&self) -> Result<Url, url::ParseError> {
        let scheme = if self.origin.https { "https" } else { "http" };
        let host = String::from_utf8_lossy(self.host_header.as_bytes());
        Url::parse(&format!("{scheme}://{host}{}", self.path))
    }
}
