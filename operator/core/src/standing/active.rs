//! Who takes writes: learned once by observation, watched for a second one ever after.

use super::LOOK_AGAIN;
use super::outcasts::is_seen_writing;
use crate::draft::Draft;
use crate::facts::{DataFacts, DataRole};
use crate::ids::RegionName;
use crate::journal::Outcast;
use crate::proof::{self, promotion_pending};
use crate::rules::Rule;
use std::collections::BTreeSet;

/// Who takes writes, by observation: exactly one region for every data item. True while it is not known.
pub(crate) fn learn_active(d: &mut Draft<'_>) -> bool {
    if d.next.state.active_region.is_some() {
        return false;
    }
    match find_active(d) {
        Ok((active, may_be_writable)) => {
            let message = format!("{active} takes the writes");
            d.next.state.active_region = Some(active);
            d.next.state.may_be_writable = may_be_writable;
            d.event(false, "ActiveRegionLearned", message.clone());
            d.fire(Rule::ActiveRegionLearned, message);
        }
        Err(saw) => {
            d.block("ActiveRegionKnown", saw.clone(), "exactly one region is seen to take writes");
            d.condition("Ready", false, "ActiveRegionUnknown", "no single region is seen to take writes");
            d.fire(Rule::ActiveRegionUnknown, saw);
            d.wake_in(LOOK_AGAIN);
        }
    }
    true
}

/// After a person's `ack`: a region that was promoted by hand is the active one from now on, if it is the only one that
/// takes writes. The former one counts as cast out until it follows.
pub(crate) fn relearn_active(d: &mut Draft<'_>) {
    if !d.next.state.relearn {
        return;
    }
    let Some(former) = d.next.state.active_region.clone() else { return };
    let writers = second_writers(d);
    let (Some(writer), false) = (writers.first().cloned(), d.sight.takes_writes(&former)) else {
        d.next.state.relearn = false;
        return;
    };
    let sight = d.sight;
    let writes_all = sight
        .policy
        .data
        .iter()
        .all(|item| sight.data(&item.name, &writer).is_some_and(|f| f.role == DataRole::Writable));
    if writers.len() > 1 || !writes_all {
        return;
    }
    let message =
        format!("{writer} takes the writes, promoted by hand; {former} is cast out until it follows");
    let state = &mut d.next.state;
    state.relearn = false;
    state.active_region = Some(writer.clone());
    state.outcasts.remove(&writer);
    state
        .outcasts
        .entry(former)
        .or_insert_with(|| Outcast::new("by-hand".into(), "another region was promoted by hand"));
    d.event(true, "SplitBrain", message.clone());
    d.fire(Rule::ActiveRegionLearned, message);
}

fn find_active(d: &Draft<'_>) -> Result<(RegionName, BTreeSet<RegionName>), String> {
    let policy = d.sight.policy;
    let mut writable: BTreeSet<RegionName> = BTreeSet::new();
    let mut unknown: BTreeSet<RegionName> = BTreeSet::new();
    for item in &policy.data {
        for region in &policy.regions {
            match d.sight.data(&item.name, region) {
                Some(facts) if facts.role == DataRole::Writable => writable.insert(region.clone()),
                Some(_) => false,
                None => unknown.insert(region.clone()),
            };
        }
    }
    if policy.data.is_empty() {
        let pointed = policy.traffic.iter().find_map(|t| {
            d.sight.traffic_since(&t.name, crate::time::Tick(0)).and_then(|f| f.points_to.clone())
        });
        let active = pointed.ok_or("no traffic item points to a region")?;
        return Ok((active.clone(), BTreeSet::from([active])));
    }
    let active = match writable.len() {
        1 => writable.first().cloned().ok_or("nobody")?,
        0 => return Err("no region is seen to take writes".to_owned()),
        _ => {
            let names: Vec<_> = writable.iter().map(ToString::to_string).collect();
            return Err(format!("{} all take writes", names.join(", ")));
        }
    };
    unknown.insert(active.clone());
    Ok((active, unknown))
}

/// A region leaves `mayBeWritable` once every data item in it is seen in recovery.
pub(crate) fn forget_standbys(d: &mut Draft<'_>) {
    let active = d.next.state.active_region.clone();
    let policy = d.sight.policy;
    let sight = d.sight;
    let in_recovery = |region: &RegionName| {
        !policy.data.is_empty()
            && policy.data.iter().all(|item| {
                sight
                    .data_since(&item.name, region, sight.seen.pass)
                    .is_some_and(DataFacts::is_proven_standby)
            })
    };
    d.next.state.may_be_writable.retain(|region| {
        Some(region) == active.as_ref() || promotion_pending(&sight, region) || !in_recovery(region)
    });
}

/// The target of a run that is past its point of no return.
fn promoted<'d>(d: &'d Draft<'_>) -> Option<&'d RegionName> {
    d.next.run.as_ref().filter(|r| !r.phase.is_final() && r.past_pivot()).map(|r| &r.to)
}

/// Regions beside the active one that are seen to take the application's writes.
pub(crate) fn second_writers(d: &Draft<'_>) -> BTreeSet<RegionName> {
    let active = d.next.state.active_region.as_ref();
    let writes = |region: &RegionName| is_seen_writing(d, region);
    let promoted = promoted(d);
    let regions = &d.sight.policy.regions;
    regions
        .iter()
        .filter(|r| Some(*r) != active && Some(*r) != promoted && writes(r))
        .cloned()
        .chain(promoted.and(active).filter(|a| Some(*a) != promoted && writes(a)).cloned())
        .collect()
}

/// A region beside those that are to take writes.
pub(crate) enum OtherWriter {
    /// It is seen to.
    Writes(RegionName),
    /// It was seen to, and nothing says that it does not any more.
    MayWrite(RegionName),
}

impl OtherWriter {
    /// What it does, for people.
    pub(crate) fn saw(&self) -> String {
        match self {
            Self::Writes(region) => format!("{region} takes writes"),
            Self::MayWrite(region) => format!("{region} took writes and is silent"),
        }
    }

    /// What has to be otherwise.
    pub(crate) fn needs(&self) -> String {
        match self {
            Self::Writes(region) => format!("{region} takes no writes"),
            Self::MayWrite(region) => format!("{region} is seen to take no writes, or `muster ack`"),
        }
    }
}

/// A region of those that `is_other` admits which takes writes, or may.
pub(crate) fn other_writer(d: &Draft<'_>, is_other: impl Fn(&RegionName) -> bool) -> Option<OtherWriter> {
    if let Some(region) = second_writers(d).into_iter().find(&is_other) {
        return Some(OtherWriter::Writes(region));
    }
    d.next.state.other_writers.iter().find(|region| is_other(region)).cloned().map(OtherWriter::MayWrite)
}

/// Keeps who was seen to take writes, until something says that it does not any more.
fn remember_other_writers(d: &mut Draft<'_>, second: &BTreeSet<RegionName>) {
    let sight = d.sight;
    let rightful = promoted(d).or(d.next.state.active_region.as_ref()).cloned();
    let others = &mut d.next.state.other_writers;
    others.retain(|region| {
        Some(region) != rightful.as_ref() && proof::judge(&sight, region, sight.seen.pass).is_none()
    });
    others.extend(second.iter().cloned());
}

/// Two regions that take writes: automation stands still until a person says `ack`; outcasts among them are
/// fenced again by [`tend_outcasts`].
pub(crate) fn watch_split_brain(d: &mut Draft<'_>) {
    let second = second_writers(d);
    remember_other_writers(d, &second);
    if second.is_empty() {
        if d.next.state.conditions.contains_key("SplitBrain") {
            d.condition("SplitBrain", true, "SingleWriter", "at most one region takes writes");
        }
        return;
    }
    // What is seen to write may be writable, whoever made it so: no promotion before that is proven otherwise.
    d.next.state.may_be_writable.extend(second.iter().cloned());
    let names: Vec<_> = second.iter().map(ToString::to_string).collect();
    let active = d.next.state.active_region.clone().map_or_else(|| "nobody".to_owned(), |a| a.to_string());
    let message = format!("{} takes writes beside {active}", names.join(", "));
    let known = d.next.state.conditions.get("SplitBrain").is_some_and(|c| !c.ok);
    if !known {
        d.event(true, "SplitBrain", message.clone());
        d.next.state.needs_ack.get_or_insert_with(|| message.clone());
    }
    d.condition("SplitBrain", false, "SplitBrain", message.clone());
    d.block("SingleWriter", message, "one region takes writes");
}
