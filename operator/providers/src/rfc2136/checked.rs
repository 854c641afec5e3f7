//! The configuration, once every part of it was read: names, key and targets.

use super::config::{Rfc2136Config, Target, TsigAlgorithm, TsigConfig};
use super::data::Datum;
use crate::AdoptedOwners;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hickory_proto::rr::rdata::tsig;
use hickory_proto::rr::{Name, RecordType, TSigner};
use muster_core::ids::{Owner, RegionName};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// How far the clocks of the two sides may be apart, in seconds, as RFC 8945 recommends. It is also how long a
/// signed update that got stuck on its way may land.
const FUDGE_SECS: u16 = 300;
/// The largest TTL of RFC 2181.
const MAX_TTL: u64 = i32::MAX as u64;
/// One character-string of a TXT record holds 255 octets, `owner=` included.
const MAX_OWNER: usize = 240;

/// What is wrong with a configuration; each names the field and the fix.
#[derive(Debug, thiserror::Error)]
pub enum Rfc2136ConfigError {
    /// Nobody to ask.
    #[error("servers: name at least one authoritative server; the first takes the updates")]
    NoServer,
    /// A server twice would count its answer twice.
    #[error("servers: {server} is listed twice")]
    RepeatedServer {
        /// Which.
        server: SocketAddr,
    },
    /// A name that is none.
    #[error("{field}: `{name}` is no domain name: {reason}")]
    BadName {
        /// Where it stands.
        field: &'static str,
        /// What stands there.
        name: String,
        /// Why not.
        reason: String,
    },
    /// The record is not in the zone.
    #[error("record: `{record}` is not in the zone `{zone}`")]
    OutsideZone {
        /// The record.
        record: String,
        /// The zone.
        zone: String,
    },
    /// A name that the adapter does not steer.
    #[error(
        "record: `{record}` is a wildcard; steer a name of its own and let the wildcard be a CNAME to it"
    )]
    Wildcard {
        /// The record.
        record: String,
    },
    /// A CNAME cannot stand beside the zone's SOA and NS.
    #[error("targets: `{record}` is the zone's own name, which cannot be a CNAME; use addresses")]
    CnameAtApex {
        /// The record.
        record: String,
    },
    /// A time to live that DNS cannot carry.
    #[error("ttl: {ttl:?} is not a whole number of seconds up to 2147483647")]
    BadTtl {
        /// What was given.
        ttl: Duration,
    },
    /// Not base64.
    #[error("tsig: the secret of key `{key}` is not base64 of at least 16 octets, as key files write it")]
    BadSecret {
        /// The key's name.
        key: String,
    },
    /// Fewer than two.
    #[error("targets: name one for each of at least two regions")]
    TooFewTargets,
    /// Another record type per region would take the old type's answer away.
    #[error("targets: all must be of one kind (IPv4 addresses, IPv6 addresses or names)")]
    MixedKinds,
    /// Nobody could tell where the name points.
    #[error("targets: `{one}` and `{other}` share `{target}`")]
    SharedTarget {
        /// A region.
        one: RegionName,
        /// Another.
        other: RegionName,
        /// Their target.
        target: String,
    },
    /// The witness has no room for it.
    #[error("owner: longer than 240 octets or not printable ASCII")]
    BadOwner,
}

/// A configuration that holds.
pub(super) struct Checked {
    pub(super) owner: Owner,
    pub(super) servers: Vec<SocketAddr>,
    pub(super) zone: Name,
    pub(super) record: Name,
    /// `_muster.` before the record: a CNAME allows nothing beside it.
    pub(super) witness: Name,
    pub(super) ttl: u32,
    pub(super) signer: TSigner,
    pub(super) targets: BTreeMap<RegionName, Datum>,
    pub(super) adopted: AdoptedOwners,
}

impl Checked {
    pub(super) fn from_config(config: &Rfc2136Config) -> Result<Self, Rfc2136ConfigError> {
        let servers = check_servers(&config.servers)?;
        let zone = parse_name("zone", &config.zone)?;
        let record = parse_name("record", &config.record)?;
        if !zone.zone_of(&record) {
            let (record, zone) = (config.record.clone(), config.zone.clone());
            return Err(Rfc2136ConfigError::OutsideZone { record, zone });
        }
        if record.is_wildcard() {
            return Err(Rfc2136ConfigError::Wildcard { record: config.record.clone() });
        }
        let witness = record.prepend_label("_muster").map_err(|e| Rfc2136ConfigError::BadName {
            field: "record",
            name: config.record.clone(),
            reason: format!("no room for `_muster.` before it: {e}"),
        })?;
        let targets = check_targets(&config.targets)?;
        if record == zone && targets.values().any(|t| matches!(t, Datum::Cname(_))) {
            return Err(Rfc2136ConfigError::CnameAtApex { record: config.record.clone() });
        }
        let owner = config.owner.clone();
        if owner.as_str().len() > MAX_OWNER || !owner.as_str().chars().all(|c| c.is_ascii_graphic()) {
            return Err(Rfc2136ConfigError::BadOwner);
        }
        let ttl = check_ttl(config.ttl)?;
        let signer = make_signer(&config.tsig)?;
        Ok(Self {
            owner,
            servers,
            zone,
            record,
            witness,
            ttl,
            signer,
            targets,
            adopted: config.adopted.clone(),
        })
    }

    /// The server that takes updates.
    pub(super) fn primary(&self) -> SocketAddr {
        self.servers[0]
    }

    /// The type of every target.
    pub(super) fn kind(&self) -> RecordType {
        self.targets.values().next().map_or(RecordType::A, Datum::record_type)
    }

    /// Which region a record's data belongs to.
    pub(super) fn region_of(&self, datum: &Datum) -> Option<&RegionName> {
        self.targets.iter().find(|(_, target)| *target == datum).map(|(region, _)| region)
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

fn check_targets(
    targets: &BTreeMap<RegionName, Target>,
) -> Result<BTreeMap<RegionName, Datum>, Rfc2136ConfigError> {
    if targets.len() < 2 {
        return Err(Rfc2136ConfigError::TooFewTargets);
    }
    let mut checked: BTreeMap<RegionName, Datum> = BTreeMap::new();
    for (region, target) in targets {
        let datum = match target {
            Target::A(address) => Datum::A(*address),
            Target::Aaaa(address) => Datum::Aaaa(*address),
            Target::Cname(name) => Datum::Cname(parse_name("targets", name)?),
        };
        if let Some((one, _)) = checked.iter().find(|(_, other)| **other == datum) {
            let (one, other, target) = (one.clone(), region.clone(), target.to_string());
            return Err(Rfc2136ConfigError::SharedTarget { one, other, target });
        }
        if checked.values().any(|other| other.record_type() != datum.record_type()) {
            return Err(Rfc2136ConfigError::MixedKinds);
        }
        checked.insert(region.clone(), datum);
    }
    Ok(checked)
}

fn check_ttl(ttl: Duration) -> Result<u32, Rfc2136ConfigError> {
    match u32::try_from(ttl.as_secs()) {
        Ok(secs) if ttl.subsec_nanos() == 0 && ttl.as_secs() <= MAX_TTL => Ok(secs),
        _ => Err(Rfc2136ConfigError::BadTtl { ttl }),
    }
}

fn parse_name(field: &'static str, name: &str) -> Result<Name, Rfc2136ConfigError> {
    let bad = |reason: String| Rfc2136ConfigError::BadName { field, name: name.to_owned(), reason };
    if name.trim_matches('.').is_empty() {
        return Err(bad("it is empty".to_owned()));
    }
    let mut parsed = Name::from_ascii(name).map_err(|e| bad(e.to_string()))?;
    parsed.set_fqdn(true);
    Ok(parsed.to_lowercase())
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
