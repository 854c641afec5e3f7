//! Where a request goes: the parts of a URL that the wire needs, ready made.

use crate::net::Address;
use http::{HeaderValue, Uri};
use url::{Host, Url};

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
    /// Path and query.
    pub(crate) path: Uri,
    pub(crate) host_header: HeaderValue,
    pub(crate) url: Url,
}

impl Target {
    /// The error says what is wrong with the URL.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let url = Url::parse(url).map_err(|e| format!("is no URL: {e}"))?;
        Self::from_url(url)
    }

    pub(crate) fn from_url(url: Url) -> Result<Self, String> {
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
        let path = url.query().map_or_else(|| url.path().to_owned(), |q| format!("{}?{q}", url.path()));
        let path = path.parse::<Uri>().map_err(|e| format!("has a path that cannot be sent: {e}"))?;
        let shown = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => return Err("has no host".to_owned()),
        };
        let host_header = HeaderValue::try_from(shown).map_err(|_| "has a host that cannot be sent")?;
        Ok(Self { origin: Origin { https, address: Address { host, port } }, path, host_header, url })
    }

    /// Where a redirect's `Location` leads from here.
    pub(crate) fn follow(&self, location: &str) -> Result<Self, String> {
        let url = self.url.join(location).map_err(|e| format!("is no URL: {e}"))?;
        Self::from_url(url)
    }
}
