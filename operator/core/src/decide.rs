//! The ladder: the first rule that fires decides.
//!
//! ```text
//! guards       whose targets are these, is the journal the newest, who takes writes, are there two
//! active run   take over, hold still, abort, gates, steps
//! between      old log, outcasts, first witness, wishes, verdicts
//! ```

use crate::decision::{Candidate, Decision, Explanation, PlanPreview};
use crate::draft::Draft;
use crate::facts::{DataFacts, Observations, PowerState, Seen, Witness};
use crate::gates::{self, Intent};
use crate::ids::{Epoch, ItemName, RegionName, Term};
use crate::journal::{AckedBeat, Gate, Journal, Lineage, PolicyState, RunKind, Severity, Trigger};
use crate::measure::estimate_loss;
use crate::plan::{self, Opening, plan_hash};
use crate::policy::Policy;
use crate::rules::Rule;
use crate::sight::Sight;
use crate::time::{Millis, Stamp};
use crate::wish::Refusal;
use crate::{health::VerdictKind, journal::Run, run, standing};

/// Decides one pass. Pure: equal arguments give an equal decision.
pub fn decide(policy: &Policy, journal: &Journal, seen: &Observations, now: Stamp) -> Decision {
    let pinned = pinned_policy(policy, journal);
    let mut draft = Draft::new(Sight { policy: &pinned, journal, seen, now });
    climb(&mut draft);
    draft.into_decision(Rule::Stable)
}

/// The policy that rules: the one the active run was claimed with, its mode live.
fn pinned_policy(policy: &Policy, journal: &Journal) -> Policy {
    match journal.run.as_ref().filter(|r| !r.phase.is_final()) {
        Some(run) => Policy { mode: policy.mode, ..run.policy.clone() },
        None => policy.clone(),
    }
}

fn climb(d: &mut Draft<'_>) {
    remember(d);
    if guard_owner(d) || guard_journal(d) || standing::learn_active(d) {
        return;
    }
    standing::watch_split_brain(d);
    standing::heed_write_block(d);
    let running = d.next.run.as_ref().is_some_and(|r| !r.phase.is_final());
    if running {
        run::drive(d);
        standing::tend_outcasts(d);
        conditions(d);
        return;
    }
    outgrow_adopted(d);
    standing::relearn_active(d);
    standing::forget_standbys(d);
    standing::finish_loss(d);
    standing::tend_outcasts(d);
    standing::give_back(d);
    standing::settle_traffic(d);
    standing::keep_old_data(d);
    let busy = !d.effects.is_empty();
    if !busy
        && (standing::raise_first_witness(d) || standing::take_request(d) || standing::open_by_verdict(d))
    {
        conditions(d);
        return;
    }
    conditions(d);
    if !d.has_fired() {
        stable(d);
    }
}

/// Facts that later passes rest on, kept when they change.
fn remember(d: &mut Draft<'_>) {
    let seen = d.sight.seen;
    if !seen.health.streaks.is_empty() {
        d.next.state.marks = seen.health.marks();
    }
    remember_beats(d);
    standing::remember_peaks(d);
    for (way, regions) in &seen.fences {
        for (region, fact) in regions {
            let Seen::Known(facts) = &fact.value else { continue };
            if facts.state == PowerState::On {
                let ids = d.next.state.fence_ids.entry(way.clone()).or_default();
                if ids.get(region) != Some(&facts.id) {
                    ids.insert(region.clone(), facts.id.clone());
                }
            }
        }
    }
    let Some(active) = d.next.state.active_region.clone() else { return };
    for item in &d.sight.policy.data {
        let Some(facts) = d.sight.data(&item.name, &active) else { continue };
        let is_writer = facts.role == crate::facts::DataRole::Writable;
        if is_writer {
            remember_lineage(&mut d.next.state, &item.name, facts);
        }
        if is_writer && d.next.state.sync_seen.get(&item.name) != Some(&facts.sync) {
            d.next.state.sync_seen.insert(item.name.clone(), facts.sync.clone());
        }
    }
}

/// Keeps which data the writer has. A timeline only grows; another identity is another database, put there by a person
/// while Muster looked on.
fn remember_lineage(state: &mut PolicyState, item: &ItemName, facts: &DataFacts) {
    let newer = state
        .lineage
        .get(item)
        .is_none_or(|known| known.system != facts.system || known.timeline < facts.timeline);
    if newer {
        let lineage = Lineage { system: facts.system.clone(), timeline: facts.timeline };
        state.lineage.insert(item.clone(), lineage);
    }
}

/// Keeps the newest heartbeat whenever the marks move: a primary that falls silent moves them, and a process that
/// starts then could else only say that the loss is unknown. A stable world still causes no write.
fn remember_beats(d: &mut Draft<'_>) {
    let marked = d.next.state.marks != d.sight.journal.state.marks;
    for (item, beats) in &d.sight.seen.heartbeats {
        let Some(at) = beats.acked_at else { continue };
        if marked || !d.next.state.beats.contains_key(item) {
            let beat = AckedBeat { writer: beats.writer.clone(), seq: beats.acked_seq, at };
            d.next.state.beats.insert(item.clone(), beat);
        }
    }
}

fn witnesses<'a>(d: &Draft<'a>) -> Vec<(String, &'a Witness)> {
    let data = d.sight.seen.data.iter().flat_map(|(item, regions)| {
        regions.iter().filter_map(move |(region, fact)| {
            let witness = fact.value.known()?.witness.as_ref()?;
            Some((format!("{item} in {region}"), witness))
        })
    });
    let traffic = d.sight.seen.traffic.iter().filter_map(|(item, fact)| {
        let witness = fact.value.known()?.witness.as_ref()?;
        Some((item.to_string(), witness))
    });
    let compute = d.sight.seen.compute.iter().flat_map(|(item, regions)| {
        regions.iter().filter_map(move |(region, fact)| {
            let witness = fact.value.known()?.witness.as_ref()?;
            Some((format!("{item} in {region}"), witness))
        })
    });
    data.chain(traffic).chain(compute).collect()
}

/// R100: a target carries another policy's mark. A conflict, never a stale epoch, until a person adopts it.
fn guard_owner(d: &mut Draft<'_>) -> bool {
    let state = &d.next.state;
    let foreign = witnesses(d)
        .into_iter()
        .find(|(_, w)| w.owner != state.owner && !state.adopted_from.contains(&w.owner))
        .map(|(place, w)| (place, w.owner.clone()));
    let Some((place, owner)) = foreign else { return false };
    let saw = format!("{place} carries the mark of {owner}");
    d.block("ForeignOwner", saw.clone(), "muster adopt, if that policy is gone for good");
    d.condition("Ready", false, "ForeignOwner", saw.clone());
    d.fire(Rule::ForeignOwner, saw);
    d.wake_in(Millis(1_000));
    true
}

/// The marks that a person adopted carry the former owner's numbers: the next effect must have a higher one, or each
/// target refuses it as stale. Only between runs, whose numbers are fixed.
fn outgrow_adopted(d: &mut Draft<'_>) {
    let adopted = &d.next.state.adopted_from;
    let highest =
        witnesses(d).into_iter().filter(|(_, w)| adopted.contains(&w.owner)).map(|(_, w)| w.epoch).max();
    if let Some(highest) = highest.filter(|epoch| *epoch >= d.next.state.epoch) {
        d.next.state.epoch = Epoch(highest.0.saturating_add(1));
        d.next.state.term = Term(0);
    }
}

/// R101: a target has seen numbers that this journal does not know: it was restored from a backup.
fn guard_journal(d: &mut Draft<'_>) -> bool {
    let state = &d.next.state;
    let known = (state.epoch, state.term, state.seq);
    let ahead = witnesses(d)
        .into_iter()
        .filter(|(_, w)| w.owner == state.owner && w.order() > known)
        .max_by_key(|(_, w)| w.order())
        .map(|(place, w)| (place, w.clone()));
    let Some((place, witness)) = ahead else {
        if d.next.state.behind.is_some() {
            let saw = "the journal was older than its targets";
            d.block("JournalBehindTargets", saw, "muster ack");
            d.fire(Rule::JournalBehindTargets, saw);
            return true;
        }
        return false;
    };
    let saw = format!(
        "{place} has seen epoch {} term {}, the journal is at {}",
        witness.epoch, witness.term, known.0
    );
    d.block("JournalBehindTargets", saw.clone(), "muster ack, once it is clear which journal is the newest");
    d.condition("Ready", false, "JournalBehindTargets", saw.clone());
    if d.next.state.behind.as_ref().is_none_or(|b| witness.order() > b.order()) {
        d.next.state.behind = Some(witness);
        d.event(true, "JournalBehindTargets", saw.clone());
    }
    d.fire(Rule::JournalBehindTargets, saw);
    d.wake_in(Millis(1_000));
    true
}

fn conditions(d: &mut Draft<'_>) {
    let claims: Vec<String> =
        d.sight.seen.journal.foreign_claims.iter().map(|(k, o)| format!("{k} by {o}")).collect();
    if claims.is_empty() {
        d.condition("Ready", true, "Ready", "watching");
    } else {
        d.condition("Ready", false, "ClaimHeld", claims.join(", "));
    }
    let outcasts: Vec<String> = d.next.state.outcasts.keys().map(ToString::to_string).collect();
    if outcasts.is_empty() {
        d.condition("Protected", true, "Protected", "no region is cast out");
    } else {
        d.condition("Protected", false, "RegionCastOut", format!("{} has not rejoined", outcasts.join(", ")));
    }
    replicating(d);
    standing::judge_compute(d);
    standing::judge_traffic(d);
    match d.next.state.needs_ack.clone() {
        None => d.condition("Acknowledged", true, "Acknowledged", "nothing open"),
        Some(why) => d.condition("Acknowledged", false, "NeedsAck", why),
    }
}

/// Standbys that would be of no use: silent, or not streaming. Between runs only; a run has its gates.
fn replicating(d: &mut Draft<'_>) {
    if d.next.state.active_run.is_some() {
        return;
    }
    let Some(active) = d.next.state.active_region.clone() else { return };
    let sight = d.sight;
    let alone = sight.policy.data.iter().find_map(|item| {
        let why = sight.data(&item.name, &active)?.alone.as_ref()?;
        Some(format!("{} in {active}: {why}", item.name))
    });
    if let Some(why) = alone {
        return d.condition("Replicating", false, "StandsAlone", why);
    }
    let streams = |region: &RegionName| {
        let from_active = |facts: &DataFacts| facts.streams_from(&active);
        sight.policy.data.iter().all(|item| sight.data(&item.name, region).is_some_and(from_active))
    };
    let idle: Vec<String> = sight
        .policy
        .regions
        .iter()
        .filter(|r| **r != active && !d.next.state.outcasts.contains_key(*r) && !streams(r))
        .map(ToString::to_string)
        .collect();
    if idle.is_empty() {
        d.condition("Replicating", true, "Replicating", "every standby streams");
    } else {
        let message = format!("{} does not stream from {active}", idle.join(", "));
        d.condition("Replicating", false, "StandbyIdle", message);
    }
}

fn stable(d: &mut Draft<'_>) {
    let Some(active) = d.next.state.active_region.clone() else { return };
    let verdict = d.sight.verdict(&active);
    match verdict.kind {
        VerdictKind::Healthy => d.fire(Rule::Stable, format!("{active} is healthy: {}", verdict.saw)),
        VerdictKind::Unknown | VerdictKind::Unhealthy => {
            d.block("VerdictKnown", format!("{active}: {}", verdict.saw), "a quorum that agrees");
            d.fire(Rule::NoVerdict, format!("nothing is known of {active} for sure: {}", verdict.saw));
        }
    }
    d.wake_in(Millis(1_000));
}

fn would_open(
    policy: &Policy,
    sight: &Sight<'_>,
    kind: RunKind,
    to: Option<&RegionName>,
) -> Result<Run, Refusal> {
    let from = sight.journal.state.active_region.clone().ok_or_else(|| {
        Refusal::new("ActiveRegionUnknown", "no single region is seen to take writes; see muster explain")
    })?;
    let preferred = policy.regions.first().filter(|r| kind == RunKind::Failback && **r != from);
    let any = policy.regions.iter().find(|r| **r != from);
    let to = to
        .cloned()
        .or_else(|| preferred.cloned())
        .or_else(|| sight.best_candidate(&from))
        .or_else(|| any.cloned())
        .ok_or_else(|| Refusal::new("NoCandidate", "the policy names no other region"))?;
    if !policy.regions.contains(&to) {
        return Err(Refusal::new("UnknownRegion", format!("{to} is not a region of {}", policy.name)));
    }
    if to == from {
        return Err(Refusal::new("AlreadyActive", format!("{to} is the active region already")));
    }
    let opening = Opening {
        name: "preview".into(),
        kind,
        from,
        to,
        trigger: Trigger::Person("preview".to_owned()),
        reason: "preview".to_owned(),
        approval: None,
        holder: "preview".into(),
        first_failure: None,
    };
    Ok(plan::open(policy, sight.journal, opening, sight.now))
}

/// What an approval of this run has to bind to.
pub fn plan_hash_of(run: &Run) -> String {
    plan_hash(run)
}

/// What a run of `kind` would do now, or what the active run is about to do.
pub fn preview(
    policy: &Policy,
    journal: &Journal,
    seen: &Observations,
    now: Stamp,
    kind: RunKind,
    to: Option<&RegionName>,
) -> Result<PlanPreview, Refusal> {
    let pinned = pinned_policy(policy, journal);
    let sight = Sight { policy: &pinned, journal, seen, now };
    let run = match journal.run.as_ref().filter(|r| !r.phase.is_final()) {
        Some(run) => run.clone(),
        None => would_open(&pinned, &sight, kind, to)?,
    };
    // Behind the point of no return only what was asked since then counts: the others are not evaluated any more.
    let gates = if run.past_pivot() {
        run.gates.iter().filter(|g| run::LATE_GATES.contains(&g.name.as_str())).cloned().collect()
    } else {
        let mut gates = gates::evaluate(&sight, &Intent::of(&run, now));
        let unfenced = |g: &&Gate| g.name == "Fenced" && !run.proofs.contains_key(&run.from);
        gates.extend(run.gates.iter().filter(unfenced).cloned());
        gates
    };
    let loss = estimate_loss(&sight, &run.to);
    let planned = run.kind.is_planned();
    Ok(PlanPreview {
        gates,
        predicted: run.predicted.clone(),
        estimated_loss: if planned { Some(Millis(0)) } else { loss.map(|l| l.at_most) },
        loss_is_growing: !planned && !run.proofs.contains_key(&run.from),
        plan_hash: plan_hash(&run),
        run,
    })
}

/// Each gate and rule, why and why not.
pub fn explain(policy: &Policy, journal: &Journal, seen: &Observations, now: Stamp) -> Explanation {
    let decision = decide(policy, journal, seen, now);
    let pinned = pinned_policy(policy, journal);
    let sight = Sight { policy: &pinned, journal, seen, now };
    let run = match journal.run.as_ref().filter(|r| !r.phase.is_final()) {
        Some(run) => Some(run.clone()),
        None => would_open(&pinned, &sight, RunKind::Failover, None).ok(),
    };
    let gates = run.map_or_else(Vec::new, |mut run| {
        if journal.state.active_run.is_none() {
            run.trigger = Trigger::Verdict;
        }
        gates::evaluate(&sight, &Intent::of(&run, now))
    });
    let active = journal.state.active_region.as_ref();
    let candidates = pinned.regions.iter().filter(|r| Some(*r) != active).map(|region| {
        let fitness = sight.fitness(region);
        let fit = fitness.is_ok();
        let saw = match fitness {
            Ok((timeline, position)) => format!("standby on timeline {timeline} at {position}"),
            Err(why) => why,
        };
        Candidate { region: region.clone(), fit, saw }
    });
    let mut blocked = decision.blocked;
    for gate in gates.iter().filter(|g| !g.ok && g.severity > Severity::Warn) {
        if !blocked.iter().any(|b| b.name == gate.name) {
            blocked.push(crate::decision::Blocker {
                name: gate.name.clone(),
                saw: gate.saw.clone(),
                needs: gate.needs.clone(),
            });
        }
    }
    Explanation {
        rule: decision.rule,
        message: decision.message,
        verdicts: decision.verdicts,
        candidates: candidates.collect(),
        gates,
        blocked,
    }
}
