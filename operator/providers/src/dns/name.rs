//! A name that is steered, once every part of it was read.

use super::data::{Datum, View, Written};
use super::decide::{FlipRules, Verdict, decide_flip};
use super::target::Target;
use crate::{AdoptedOwners, OpCtx};
use hickory_proto::rr::{Name, RecordType};
use muster_core::facts::{ErrorClass, Outcome, Witness};
use muster_core::ids::{Epoch, Owner, RegionName, Seq, Term};
use std::collections::BTreeMap;
use std::time::Duration;

/// The largest TTL of RFC 2181.
const MAX_TTL: u64 = i32::MAX as u64;
/// One character-string of a TXT record holds 255 octets, `owner=` included.
const MAX_OWNER: usize = 240;

/// A public name, and where it points in each region.
#[derive(Clone, Debug)]
pub struct NameConfig {
    /// The policy's UID, as the witness keeps it.
    pub owner: Owner,
    /// The zone that the name is in.
    pub zone: String,
    /// The name that clients look up; in the zone.
    pub record: String,
    /// How long resolvers may keep an answer; whole seconds.
    pub ttl: Duration,
    /// Where the name points for each region; all of one kind.
    pub targets: BTreeMap<RegionName, Target>,
    /// Foreign owners whose witness may be replaced, because a person said so.
    pub adopted: AdoptedOwners,
}

/// What is wrong with a name's configuration; each names the field and the fix.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
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
    /// A name that is not steered.
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
#[derive(Debug)]
pub(crate) struct SteeredName {
    pub(crate) owner: Owner,
    pub(crate) zone: Name,
    pub(crate) record: Name,
    /// `_muster.` before the record: a CNAME allows nothing beside it.
    pub(crate) witness: Name,
    /// Whether the witness stands there; else it is kept elsewhere, and no server is asked for it.
    pub(crate) has_witness: bool,
    pub(crate) ttl: u32,
    pub(crate) targets: BTreeMap<RegionName, Datum>,
    pub(crate) adopted: AdoptedOwners,
}

/// What a flip would write.
pub(crate) struct Flip<'a> {
    pub(crate) target: &'a Datum,
    pub(crate) wanted: Written,
}

impl SteeredName {
    pub(crate) fn from_config(config: &NameConfig) -> Result<Self, NameError> {
        let zone = parse_name("zone", &config.zone)?;
        let record = parse_name("record", &config.record)?;
        if !zone.zone_of(&record) {
            let (record, zone) = (config.record.clone(), config.zone.clone());
            return Err(NameError::OutsideZone { record, zone });
        }
        if record.is_wildcard() {
            return Err(NameError::Wildcard { record: config.record.clone() });
        }
        let witness = record.prepend_label("_muster").map_err(|e| NameError::BadName {
            field: "record",
            name: config.record.clone(),
            reason: format!("no room for `_muster.` before it: {e}"),
        })?;
        let targets = check_targets(&config.targets)?;
        if record == zone && targets.values().any(|t| matches!(t, Datum::Cname(_))) {
            return Err(NameError::CnameAtApex { record: config.record.clone() });
        }
        let (owner, adopted) = (config.owner.clone(), config.adopted.clone());
        if owner.as_str().len() > MAX_OWNER || !owner.as_str().chars().all(|c| c.is_ascii_graphic()) {
            return Err(NameError::BadOwner);
        }
        let ttl = check_ttl(config.ttl)?;
        Ok(Self { owner, zone, record, witness, has_witness: true, ttl, targets, adopted })
    }

    /// The same name, its witness kept elsewhere.
    pub(crate) fn without_witness(self) -> Self {
        Self { has_witness: false, ..self }
    }

    /// The type of every target.
    pub(crate) fn kind(&self) -> RecordType {
        self.targets.values().next().map_or(RecordType::A, Datum::record_type)
    }

    /// Which region a record's data belongs to.
    pub(crate) fn region_of(&self, datum: &Datum) -> Option<&RegionName> {
        self.targets.iter().find(|(_, target)| *target == datum).map(|(region, _)| region)
    }

    /// What an effect would write for a region; an outcome if it cannot be meant for this name.
    pub(crate) fn flip_to(&self, to: &RegionName, ctx: &OpCtx) -> Result<Flip<'_>, Outcome> {
        let invalid = |why: String| Outcome::Failed(ErrorClass::Invalid, self.about(&why));
        let target = self.targets.get(to).ok_or_else(|| invalid(format!("region {to} has no target")))?;
        let effect = &ctx.effect;
        if effect.owner != self.owner {
            return Err(invalid(format!("the effect is of {}, the record of {}", effect.owner, self.owner)));
        }
        let owner = effect.owner.clone();
        let witness = Witness { owner, epoch: effect.epoch, term: effect.term, seq: effect.seq };
        Ok(Flip { target, wanted: Written::new(witness, target) })
    }

    /// Whether a flip may write over what was read.
    pub(crate) fn judge(&self, before: &View, wanted: &Written) -> Verdict {
        let targets: Vec<_> = self.targets.values().collect();
        decide_flip(before, self.kind(), &FlipRules { wanted, targets: &targets, adopt: &self.adopted.get() })
    }

    /// Why no flip of this owner may write over what was read, however new it is, for people.
    pub(crate) fn refusal(&self, before: &View) -> Option<String> {
        let (epoch, term, seq) = (Epoch(u64::MAX), Term(u64::MAX), Seq(u64::MAX));
        let newest = Witness { owner: self.owner.clone(), epoch, term, seq };
        let target = self.targets.values().next()?;
        match self.judge(before, &Written::new(newest, target)) {
            Verdict::Conflict(why) => Some(why),
            Verdict::Write | Verdict::AlreadyDone | Verdict::Stale(_) => None,
        }
    }

    /// For messages.
    pub(crate) fn about(&self, what: &str) -> String {
        format!("{}: {what}", self.record)
    }
}

fn check_targets(targets: &BTreeMap<RegionName, Target>) -> Result<BTreeMap<RegionName, Datum>, NameError> {
    if targets.len() < 2 {
        return Err(NameError::TooFewTargets);
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
            return Err(NameError::SharedTarget { one, other, target });
        }
        if checked.values().any(|other| other.record_type() != datum.record_type()) {
            return Err(NameError::MixedKinds);
        }
        checked.insert(region.clone(), datum);
    }
    Ok(checked)
}

fn check_ttl(ttl: Duration) -> Result<u32, NameError> {
    match u32::try_from(ttl.as_secs()) {
        Ok(secs) if ttl.subsec_nanos() == 0 && ttl.as_secs() <= MAX_TTL => Ok(secs),
        _ => Err(NameError::BadTtl { ttl }),
    }
}

pub(crate) fn parse_name(field: &'static str, name: &str) -> Result<Name, NameError> {
    let bad = |reason: String| NameError::BadName { field, name: name.to_owned(), reason };
    if name.trim_matches('.').is_empty() {
        return Err(bad("it is empty".to_owned()));
    }
    let mut parsed = Name::from_ascii(name).map_err(|e| bad(e.to_string()))?;
    parsed.set_fqdn(true);
    Ok(parsed.to_lowercase())
}
