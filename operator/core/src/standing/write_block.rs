//! What the engine says of writes at an old primary that a failover did not ask.
//!
//! It comes after the point of no return, so it is never what a promotion rests on. An engine that kept writes out speaks for
//! a region that went without a fence; one that could not is a second writer that nobody has seen. What merely attests a fence is no
//! answer to that: the word is about the database itself, and a way into it that the fence does not cover may be open.

use super::CLOCKS_DIFFER;
use super::loss::bound_loss;
use crate::draft::Draft;
use crate::facts::WriteBlock;
use crate::ids::RegionName;
use crate::journal::{Proof, Run};
use crate::policy::{DataItem, ProofClass};
use crate::time::Millis;
use std::collections::BTreeMap;

/// A condition's type.
const FENCED: &str = "WritesFenced";
/// So much earlier than the point of no return the word of a block may be dated that came after it. An engine blocks writes for
/// its switchovers too, in the same words: one that was asked for shortly before must not speak for this run.
const WORDS_DIFFER: Millis = Millis(5_000);

/// Takes the engine's word on the region that the newest failover left, once for each word.
pub(crate) fn heed_write_block(d: &mut Draft<'_>) {
    if let Some(left) = left_behind(d) {
        let words = words_on(d, &left);
        let is_of_this_run =
            |word: &Option<WriteBlock>| word.as_ref().is_some_and(|w| w.at.0 >= left.blocked_since);
        if let Some(broken) = words.iter().flatten().find(|word| !word.holds) {
            suspect(d, &left, broken);
        } else if left.is_unfenced
            && words.iter().all(is_of_this_run)
            && d.sight.policy.accepts(ProofClass::Attested)
            && d.next.run.as_ref().is_some_and(did_the_engine_move)
        {
            let said: Vec<_> = words.iter().flatten().map(|word| word.said.clone()).collect();
            attest(d, &left.region, &said.join("; "));
        }
    }
    tell(d);
}

/// The region that a run left without having seen it closed, and which has not come back.
struct Left {
    region: RegionName,
    /// From when on a word may be about this run.
    since: i64,
    /// From when on it is.
    blocked_since: i64,
    /// By its engine's switchover, whose end is all the proof there is.
    was_handed_over: bool,
    /// Nothing speaks for it but the engine, if that does.
    is_unfenced: bool,
}

fn left_behind(d: &Draft<'_>) -> Option<Left> {
    let run = d.next.run.as_ref()?;
    let pivot = run.clock.pivot?;
    let is_out = d.next.state.outcasts.get(&run.from).is_some_and(|outcast| outcast.run == run.name);
    let proof = run.proofs.get(&run.from).map(|proof| proof.class);
    let was_handed_over = run.steps.iter().any(|step| step.key.is_hand_over());
    let since = if was_handed_over { pivot.minus(WORDS_DIFFER) } else { pivot.minus(CLOCKS_DIFFER) };
    (is_out && (was_handed_over || proof != Some(ProofClass::Closed))).then(|| Left {
        region: run.from.clone(),
        since: since.wall.0,
        blocked_since: pivot.minus(WORDS_DIFFER).wall.0,
        was_handed_over,
        is_unfenced: !was_handed_over && proof != Some(ProofClass::Attested),
    })
}

/// Whether the engine's own failover came to its end: one that was gone round leaves the old primary its writer, whatever it had
/// blocked there.
fn did_the_engine_move(run: &Run) -> bool {
    run.clock.promoted.is_some() && !run.has_detached()
}

/// The newest word on each data item, whichever region's engine gives it.
fn words_on(d: &Draft<'_>, left: &Left) -> Vec<Option<WriteBlock>> {
    let sight = d.sight;
    let newest = |item: &DataItem| {
        let words =
            sight.policy.regions.iter().filter_map(|r| sight.data(&item.name, r)?.write_block.as_ref());
        let own = words.filter(|word| word.region == left.region && word.at.0 >= left.since);
        own.max_by_key(|word| word.at).map(|word| word.as_ref().clone())
    };
    sight.policy.data.iter().map(newest).collect()
}

/// Nobody sees the old primary, or nobody saw it at the time, and its engine could not close it: automation waits for a person.
fn suspect(d: &mut Draft<'_>, left: &Left, word: &WriteBlock) {
    let (region, now) = (&left.region, d.sight.now);
    let Some(outcast) = d.next.state.outcasts.get_mut(region) else { return };
    let message = if left.was_handed_over {
        format!("what {region} took last may be missing, its writes were not blocked in time: {}", word.said)
    } else {
        format!("{region} may take writes still: {}", word.said)
    };
    // Fenced anew since then.
    let is_answered = outcast.proven.is_some_and(|proven| proven.minus(CLOCKS_DIFFER).wall > word.at);
    if is_answered || outcast.suspected.as_ref() == Some(&message) {
        return;
    }
    (outcast.suspected, outcast.suspected_at) = (Some(message.clone()), Some(now));
    d.next.state.needs_ack.get_or_insert_with(|| message.clone());
    d.event(true, "SplitBrainSuspected", message);
}

/// The engine kept writes out: that is what speaks for the region from now on, and bounds what it acknowledged.
fn attest(d: &mut Draft<'_>, region: &RegionName, said: &str) {
    let now = d.sight.now;
    let run = d.run();
    let before = run.proofs.get(region).map(|proof| proof.saw.clone());
    let saw = match before {
        Some(before) => format!("{said} (the run went on before that: {before})"),
        None => said.to_owned(),
    };
    let proof = Proof { class: ProofClass::Attested, saw, at: now, positions: BTreeMap::new() };
    run.proofs.insert(region.clone(), proof);
    if let Some(outcast) = d.next.state.outcasts.get_mut(region) {
        // One of before the suspicion does not end it.
        if outcast.suspicion().is_some() {
            outcast.proven = None;
        }
        outcast.proven.get_or_insert(now);
    }
    bound_loss(d, region);
    d.event(false, "WritesFenced", format!("{region}: {said}"));
}

fn tell(d: &mut Draft<'_>) {
    let mut outcasts = d.next.state.outcasts.values();
    let suspected = outcasts.find_map(|outcast| outcast.suspicion().map(str::to_owned));
    match suspected {
        Some(message) => d.condition(FENCED, false, "SplitBrainSuspected", message),
        None if d.next.state.conditions.contains_key(FENCED) => {
            d.condition(FENCED, true, "WritesFenced", "no old primary is suspected to take writes");
        }
        None => {}
    }
}
