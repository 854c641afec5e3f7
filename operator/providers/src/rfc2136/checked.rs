//! The configuration, once every part of it was read: name, servers and key.

use super::config::{Rfc2136Config, TsigAlgorithm, TsigConfig};
use crate::dns::{NameError, SteeredName, parse_name};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hickory_proto::rr::TSigner;
use hickory_proto::rr::rdata::tsig;
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// How far the clocks of the two sides may be apart, in seconds, as RFC 8945 recommends. It is also how long a
/// signed update that got stuck on its way may land.
const FUDGE_SECS: u16 = 300;

/// What is wrong with a configuration; each names the field and the fix.
#[derive(Debug, thiserror::Error)]
pub enum Rfc2136ConfigError {
    /// The name, or where it points.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Nobody to ask.
    #[error("servers: name at least one authoritative server; the first takes the updates")]
    NoServer,
    /// A server twice would count its answer twice.
    #[error("servers: {server} is listed twice")]
    RepeatedServer {
        /// Which.
        server: SocketAddr,
    },
    /// Not base64.
    #[error("tsig: the secret of key `{key}` is not base64 of at least 16 octets, as key files write it")]
    BadSecret {
        /// The key's name.
        key: String,
    },
}

/// A configuration that holds.
pub(super) struct Checked {
    pub(super) name: SteeredName,
    pub(super) servers: Vec<SocketAddr>,
    pub(super) signer: TSigner,
}

impl Checked {
    pub(super) fn from_config(config: &Rfc2136Config) -> Result<Self, Rfc2136ConfigError> {
        let servers = check_servers(&config.servers)?;
        let name = SteeredName::from_config(&config.name)?;
        let signer = make_signer(&config.tsig)?;
        Ok(Self { name, servers, signer })
    }

    /// The server that takes updates.
    pub(super) fn primary(&self) -> SocketAddr {
        self.servers[0]
    }
}

fn check_servers(servers: &[SocketAddr]) -> Result<Vec<SocketAddr>, Rfc2136ConfigError> {
    let mut seen = BTreeSet::new();
    match servers.iter().find(|server| !seen.insert(**server)) {
        Some(server) => Err(Rfc2136ConfigError::RepeatedServer { server: *server }),
        None if servers.is_empty() => Err(Rfc2136ConfigError::NoServer),
        None => Ok(servers.to_vec()),
    }
}

fn make_signer(tsig: &TsigConfig) -> Result<TSigner, Rfc2136ConfigError> {
    let algorithm = match tsig.algorithm {
        TsigAlgorithm::HmacSha256 => tsig::TsigAlgorithm::HmacSha256,
        TsigAlgorithm::HmacSha384 => tsig::TsigAlgorithm::HmacSha384,
        TsigAlgorithm::HmacSha512 => tsig::TsigAlgorithm::HmacSha512,
    };
    let bad_secret = || Rfc2136ConfigError::BadSecret { key: tsig.key_name.clone() };
    let key = STANDARD.decode(tsig.secret.expose().trim()).map_err(|_| bad_secret())?;
    if key.len() < 16 {
        return Err(bad_secret());
    }
    TSigner::new(key, algorithm, parse_name("tsig.keyName", &tsig.key_name)?, FUDGE_SECS)
        .map_err(|_| bad_secret())
}
