//! What a Route 53 traffic item needs to know.

use crate::dns::{NameConfig, NameError};
use muster_core::ids::ItemName;
use std::fmt;
use std::net::SocketAddr;

/// One public name, kept in a public hosted zone.
#[derive(Clone, Debug)]
pub struct Route53Config {
    /// The traffic item, for messages.
    pub item: ItemName,
    /// The name, and where it points.
    pub name: NameConfig,
    /// The hosted zone, as `Z0123456789ABCDEFGHIJ`.
    pub zone_id: String,
    /// The zone's authoritative servers; every one is verified. At least one.
    pub servers: Vec<ServerName>,
}

/// What is wrong with a configuration; each names the field and the fix.
#[derive(Debug, thiserror::Error)]
pub enum Route53ConfigError {
    /// The name, or where it points.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Nobody to verify at.
    #[error("nameServers: list the zone's delegation set, as `aws route53 get-hosted-zone` shows it")]
    NoServer,
}

/// A name server, by name or address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerName {
    host: String,
    port: u16,
}

impl ServerName {
    /// Reads `host`, `host:port`, an address, or `[address]:port`. `None` if it is none of them.
    pub fn parse(text: &str) -> Option<Self> {
        const DNS: u16 = 53;
        if let Ok(address) = text.parse::<SocketAddr>() {
            let (host, port) = (address.ip().to_string(), address.port());
            return (port != 0).then_some(Self { host, port });
        }
        if text.parse::<std::net::IpAddr>().is_ok() {
            return Some(Self { host: text.to_owned(), port: DNS });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok().filter(|port: &u16| *port != 0)?),
            None => (text, DNS),
        };
        (!host.is_empty() && !host.contains(':')).then(|| Self { host: host.to_owned(), port })
    }

    /// Its host, without the port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its address as the machine's resolver finds it; an error for people.
    pub(super) async fn resolve(&self) -> Result<SocketAddr, String> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let found = found.map_err(|error| format!("{self}: its name has no address: {error}"))?;
        // IPv4 first: of the two it is the one that every network has.
        let mut found: Vec<SocketAddr> = found.collect();
        found.sort_by_key(SocketAddr::is_ipv6);
        found.first().copied().ok_or_else(|| format!("{self}: its name has no address"))
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_with_and_without_a_port() {
        let read = |text: &str| ServerName::parse(text).map(|server| server.to_string());
        assert_eq!(read("ns-1.awsdns-00.com").as_deref(), Some("ns-1.awsdns-00.com:53"));
        assert_eq!(read("127.0.0.1:5353").as_deref(), Some("127.0.0.1:5353"));
        assert_eq!(read("2001:db8::1").as_deref(), Some("[2001:db8::1]:53"));
        assert_eq!(read("[2001:db8::1]:5353").as_deref(), Some("[2001:db8::1]:5353"));
        for bad in ["", ":53", "ns:0", "ns:x", "a:b:c", "127.0.0.1:0"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
