//! Where a name points in one region, as the policy writes it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the name points at in one region.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// Another name.
    Cname(String),
}

impl Target {
    /// An address if it reads as one, else a name.
    pub fn parse(text: &str) -> Self {
        match text.parse() {
            Ok(IpAddr::V4(address)) => Self::A(address),
            Ok(IpAddr::V6(address)) => Self::Aaaa(address),
            Err(_) => Self::Cname(text.to_owned()),
        }
    }

    /// The type of record that says so.
    pub const fn record_type(&self) -> &'static str {
        match self {
            Self::A(_) => "A",
            Self::Aaaa(_) => "AAAA",
            Self::Cname(_) => "CNAME",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(address) => write!(f, "{address}"),
            Self::Aaaa(address) => write!(f, "{address}"),
            Self::Cname(name) => f.write_str(name),
        }
    }
}
