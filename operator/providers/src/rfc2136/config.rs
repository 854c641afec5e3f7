//! What an RFC 2136 traffic item needs to know.

use crate::dns::NameConfig;
use muster_core::ids::ItemName;
use muster_core::secret::Secret;
use std::net::SocketAddr;

/// One public name, kept by name servers that take dynamic updates.
#[derive(Clone, Debug)]
pub struct Rfc2136Config {
    /// The traffic item, for messages.
    pub item: ItemName,
    /// The name, and where it points.
    pub name: NameConfig,
    /// Authoritative servers: the first takes updates, every one is verified. At least one.
    pub servers: Vec<SocketAddr>,
    /// The key that the first server accepts updates from.
    pub tsig: TsigConfig,
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
