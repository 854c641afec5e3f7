//! What an RFC 2136 traffic item needs to know.

use crate::AdoptedOwners;
use muster_core::ids::{ItemName, Owner, RegionName};
use muster_core::secret::Secret;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// One public name, kept by name servers that take dynamic updates.
#[derive(Clone, Debug)]
pub struct Rfc2136Config {
    /// The traffic item, for messages.
    pub item: ItemName,
    /// The policy's UID, as the witness keeps it.
    pub owner: Owner,
    /// Authoritative servers: the first takes updates, every one is verified. At least one.
    pub servers: Vec<SocketAddr>,
    /// The zone that is updated.
    pub zone: String,
    /// The name that clients look up; in the zone.
    pub record: String,
    /// How long resolvers may keep an answer; whole seconds.
    pub ttl: Duration,
    /// The key that the first server accepts updates from.
    pub tsig: TsigConfig,
    /// Where the name points for each region; all of one kind.
    pub targets: BTreeMap<RegionName, Target>,
    /// Foreign owners whose witness may be replaced, because a person said so.
    pub adopted: AdoptedOwners,
}

/// A shared key for transaction signatures (RFC 8945).
#[derive(Clone, Debug)]
pub struct TsigConfig {
    /// Its name, as the server knows it.
    pub key_name: String,
    /// The algorithm that the server knows it by.
    pub algorithm: TsigAlgorithm,
    /// The key, in base64 as key files write it.
    pub secret: Secret,
}

/// HMAC algorithms that every current server knows; older ones are not offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TsigAlgorithm {
    /// `hmac-sha256`.
    HmacSha256,
    /// `hmac-sha384`.
    HmacSha384,
    /// `hmac-sha512`.
    HmacSha512,
}

impl TsigAlgorithm {
    /// Reads the name that RFC 8945 gives it, with or without the trailing dot.
    pub fn parse(name: &str) -> Option<Self> {
        match name.trim_end_matches('.').to_ascii_lowercase().as_str() {
            "hmac-sha256" => Some(Self::HmacSha256),
            "hmac-sha384" => Some(Self::HmacSha384),
            "hmac-sha512" => Some(Self::HmacSha512),
            _ => None,
        }
    }
}

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
