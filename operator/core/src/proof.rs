//! Whether a region is proven to take no writes (safety rules, sections 3 and 6). Silence proves nothing.

use crate::facts::DataRole;
use crate::ids::{ItemName, RegionName};
use crate::journal::{Proof, Step};
use crate::policy::{DataItem, ProofClass};
use crate::sight::Sight;
use crate::time::Tick;
use std::collections::BTreeMap;

/// The best proof about `region` from observations that began at `since` or later.
pub(crate) fn judge(sight: &Sight<'_>, region: &RegionName, since: Tick) -> Option<Proof> {
    closed(sight, region, since)
        .or_else(|| attested(sight, region, since, |_| true))
        .or_else(|| no_ack(sight, region, since))
}

/// The best proof for a fence that `step` carries out: what attests does so only after its own fence was answered. A
/// region that crashed says off as well, and comes back by itself.
pub(crate) fn judge_step(sight: &Sight<'_>, region: &RegionName, step: &Step, since: Tick) -> Option<Proof> {
    let after_answer = |way: &ItemName| step.answered.get(way).map(|at| sight.tick_of(*at));
    let by_answered = step.answered.keys().find_map(|way| {
        let since = since.max(after_answer(way)?);
        attested(sight, region, since, |of| of == way)
    });
    closed(sight, region, since).or(by_answered).or_else(|| no_ack(sight, region, since))
}

fn proof(sight: &Sight<'_>, class: ProofClass, saw: String) -> Proof {
    Proof { class, saw, at: sight.now, positions: BTreeMap::new() }
}

fn closed(sight: &Sight<'_>, region: &RegionName, since: Tick) -> Option<Proof> {
    let mut seen = Vec::new();
    let mut positions = BTreeMap::new();
    for item in &sight.policy.data {
        if sight.is_yet_to_hand_over(&item.name, region) {
            continue;
        }
        let facts = sight.data_since(&item.name, region, since).filter(|f| f.is_closed())?;
        if facts.role == DataRole::Standby && promotion_pending(sight, region) {
            return None;
        }
        seen.push(match facts.role {
            DataRole::Standby => format!("{} is in recovery", item.name),
            DataRole::Writable => {
                format!("{} refuses the application's write, no session left", item.name)
            }
        });
        positions.insert(item.name.clone(), facts.position);
    }
    // No data item: nothing in the region can be proven closed by looking at data.
    (!seen.is_empty()).then(|| Proof { positions, ..proof(sight, ProofClass::Closed, seen.join("; ")) })
}

/// Whether a recorded promotion may still land on a standby, and make it writable.
pub(crate) fn promotion_pending(sight: &Sight<'_>, region: &RegionName) -> bool {
    sight.journal.state.outcasts.get(region).is_some_and(|o| o.promotion_pending)
}

fn attested(
    sight: &Sight<'_>,
    region: &RegionName,
    since: Tick,
    counts: impl Fn(&ItemName) -> bool,
) -> Option<Proof> {
    // What the data itself shows outweighs what a hook says of it.
    if sight.answers_open(region) {
        return None;
    }
    let (way, id) = sight.attested_off_by(region, since, |way| counts(&way.name))?;
    Some(proof(sight, ProofClass::Attested, format!("{way} says that {id} is off")))
}

fn no_ack(sight: &Sight<'_>, region: &RegionName, since: Tick) -> Option<Proof> {
    if !sight.policy.accepts(ProofClass::NoAck) || sight.policy.data.is_empty() {
        return None;
    }
    let mut seen = Vec::new();
    for item in &sight.policy.data {
        let (stopped, listed, needed) = no_ack_of(sight, item, region, since).ok()?;
        seen.push(format!(
            "{}: {stopped} of {listed} listed standbys stopped, {needed} must confirm",
            item.name
        ));
    }
    Some(proof(sight, ProofClass::NoAck, seen.join("; ")))
}

/// How NoAck stands for one item: `(stopped, listed, needed)`, or why it can never hold.
fn no_ack_of(
    sight: &Sight<'_>,
    item: &DataItem,
    region: &RegionName,
    since: Tick,
) -> Result<(usize, usize, usize), String> {
    if !item.no_ack_declared {
        return Err(format!("{}: the policy does not declare noAck", item.name));
    }
    if sight.journal.state.active_region.as_ref() != Some(region) {
        return Err(format!("{region} is not the active region"));
    }
    let sync = sight
        .journal
        .state
        .sync_seen
        .get(&item.name)
        .ok_or_else(|| format!("{}: the writer's synchronous settings were never seen", item.name))?;
    let (listed, needed) = (sync.listed.len(), usize::try_from(sync.needed).unwrap_or(usize::MAX));
    if needed == 0 || listed < needed || sync.listed.iter().any(|n| n == "*") {
        return Err(format!("{}: no list of named synchronous standbys", item.name));
    }
    if !sync.level_holds || !sync.names_unique {
        return Err(format!("{}: the commit level or the names do not hold", item.name));
    }
    let stopped = sync
        .listed
        .iter()
        .filter(|name| standby_named(sight, item, name, since).is_some_and(|(_, may_confirm)| !may_confirm))
        .count();
    if stopped > listed - needed {
        Ok((stopped, listed, needed))
    } else {
        Err(format!("{}: {stopped} of {listed} listed standbys stopped", item.name))
    }
}

fn standby_named<'a>(
    sight: &Sight<'a>,
    item: &DataItem,
    name: &str,
    since: Tick,
) -> Option<(&'a RegionName, bool)> {
    sight.policy.regions.iter().find_map(|region| {
        let facts = sight.data_since(&item.name, region, since)?;
        let is_it = facts.sync_name.as_deref() == Some(name);
        is_it.then_some((region, facts.may_confirm()))
    })
}

/// The standbys that may still confirm, in the order in which they are stopped so that NoAck may come to hold; none where it
/// cannot.
pub(crate) fn standbys_to_stop(sight: &Sight<'_>, from: &RegionName) -> Vec<(ItemName, RegionName)> {
    let can_hold =
        sight.policy.accepts(ProofClass::NoAck) && sight.journal.state.active_region.as_ref() == Some(from);
    let declared = sight.policy.data.iter().filter(|item| can_hold && item.no_ack_declared);
    let of_item = |item: &DataItem| {
        let listed =
            sight.journal.state.sync_seen.get(&item.name).map_or(&[][..], |sync| sync.listed.as_slice());
        let confirming = listed.iter().filter_map(|name| standby_named(sight, item, name, Tick(0)));
        let confirming = confirming.filter(|(_, may_confirm)| *may_confirm);
        confirming.map(|(region, _)| (item.name.clone(), region.clone())).collect::<Vec<_>>()
    };
    declared.flat_map(of_item).collect()
}
