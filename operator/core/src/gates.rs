//! Conditions that must hold before a step. Evaluated when the fence and when the promotion are recorded.

use crate::facts::{DataFacts, DataRole, PositionUnit};
use crate::health::VerdictKind;
use crate::ids::RegionName;
use crate::journal::{Approval, Gate, Run, RunKind, Severity, Trigger};
use crate::measure::estimate_loss;
use crate::policy::DataItem;
use crate::sight::Sight;
use crate::time::Millis;
use crate::{journal::Cooldown, time::Stamp};

/// What a gate is asked about: a run that is open, or one that would be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intent<'a> {
    pub(crate) kind: RunKind,
    pub(crate) from: &'a RegionName,
    pub(crate) to: &'a RegionName,
    pub(crate) by_verdict: bool,
    /// No person asked for it: a verdict, or another run that lost its target.
    pub(crate) automatic: bool,
    pub(crate) approval: Option<&'a Approval>,
}

impl<'a> Intent<'a> {
    pub(crate) fn of(run: &'a Run, now: Stamp) -> Self {
        Self {
            kind: run.kind,
            from: &run.from,
            to: &run.to,
            by_verdict: run.trigger == Trigger::Verdict,
            automatic: !matches!(run.trigger, Trigger::Person(_)),
            approval: run.approval.as_ref().filter(|a| is_valid(a, now)),
        }
    }
}

/// Whether an approval's time is not over; over a reboot nobody can say, so it is.
pub(crate) fn is_valid(approval: &Approval, now: Stamp) -> bool {
    approval.valid_until.since(&now).is_some()
}

/// What is left of a cool-down. Over a reboot the remainder starts again.
pub(crate) fn cooldown_left(cooldown: &Cooldown, now: Stamp) -> Millis {
    match now.since(&cooldown.from) {
        Some(passed) => Millis(cooldown.left.0.saturating_sub(passed.0)),
        None => cooldown.left,
    }
}

fn gate(name: &str, severity: Severity, ok: bool, saw: impl Into<String>, needs: impl Into<String>) -> Gate {
    Gate { name: name.to_owned(), ok, saw: saw.into(), needs: needs.into(), severity, waived: false }
}

/// All gates of an intent, with what an approval waives.
pub(crate) fn evaluate(sight: &Sight<'_>, intent: &Intent<'_>) -> Vec<Gate> {
    let mut gates = vec![
        journal_writable(sight),
        claims_held(sight),
        target_fit(sight, intent),
        single_writer(sight, intent),
    ];
    if intent.kind.is_planned() {
        gates.push(source_writable(sight, intent));
        gates.push(target_streams(sight, intent));
    } else {
        gates.push(most_advanced(sight, intent));
        gates.push(target_current(sight, intent));
        gates.push(primary_unhealthy(sight, intent));
        gates.push(observers_suffice(sight, intent));
        gates.extend(estimated_loss(sight, intent));
    }
    gates.push(cooldown_over(sight, intent));
    gates.push(acknowledged(sight, intent));
    if let Some(approval) = intent.approval {
        for gate in &mut gates {
            gate.waived = gate.severity == Severity::Block && approval.waives.contains(&gate.name);
        }
    }
    gates
}

/// The first gate that stops, if one does.
pub(crate) fn stopping(gates: &[Gate], at_least: Severity) -> Option<&Gate> {
    gates.iter().find(|g| !g.ok && !g.waived && g.severity >= at_least)
}

/// Severity of a gate that guards a decision by verdict, and only informs where it was decided otherwise.
fn for_verdict(intent: &Intent<'_>) -> Severity {
    if intent.by_verdict { Severity::Block } else { Severity::Warn }
}

/// Severity of a gate that guards whatever goes on by itself, and only informs a person who decided.
fn for_automation(intent: &Intent<'_>) -> Severity {
    if intent.automatic { Severity::Block } else { Severity::Warn }
}

fn journal_writable(sight: &Sight<'_>) -> Gate {
    let writable = &sight.seen.journal.writable;
    let saw = match writable {
        crate::facts::Seen::Known(()) => "a write with room for the run went through".to_owned(),
        crate::facts::Seen::Unknown(why) => why.clone(),
    };
    gate("JournalWritable", Severity::Law, writable.known().is_some(), saw, "room for the run's records")
}

fn claims_held(sight: &Sight<'_>) -> Gate {
    let foreign: Vec<String> =
        sight.seen.journal.foreign_claims.iter().map(|(key, owner)| format!("{key} by {owner}")).collect();
    let ok = foreign.is_empty() || crate::seeded::active(crate::seeded::Bug::IgnoreClaims);
    let saw = if foreign.is_empty() { "all held".to_owned() } else { foreign.join(", ") };
    gate("ClaimsHeld", Severity::Law, ok, saw, "no other policy steers the same targets")
}

fn target_fit(sight: &Sight<'_>, intent: &Intent<'_>) -> Gate {
    let needs = "a seen, healthy standby with a passing probe";
    match sight.fitness(intent.to) {
        Ok((timeline, at)) => {
            let first = sight.policy.data.first().and_then(|item| sight.data(&item.name, intent.to));
            let place = match first.map(|facts| facts.unit) {
                Some(PositionUnit::Micros) => String::new(),
                Some(PositionUnit::Bytes) | None => format!(" on timeline {timeline} at {at}"),
            };
            gate("TargetFit", Severity::Law, true, format!("{} is a standby{place}", intent.to), needs)
        }
        Err(why) => gate("TargetFit", Severity::Law, false, why, needs),
    }
}

fn single_writer(sight: &Sight<'_>, intent: &Intent<'_>) -> Gate {
    let others = sight.policy.regions.iter().filter(|r| *r != intent.from && *r != intent.to);
    let second: Vec<String> = others.filter(|r| sight.takes_writes(r)).map(ToString::to_string).collect();
    let saw = if second.is_empty() {
        "no third region takes writes".to_owned()
    } else {
        format!("{} takes writes too", second.join(", "))
    };
    gate("SingleWriter", for_automation(intent), second.is_empty(), saw, "one region takes writes")
}

fn most_advanced(sight: &Sight<'_>, intent: &Intent<'_>) -> Gate {
    let best = sight.best_candidate(intent.from);
    let ok = best.as_ref() == Some(intent.to)
        || best.as_ref().is_none_or(|b| sight.fitness(b).ok() == sight.fitness(intent.to).ok());
    let saw = best.map_or_else(|| "no candidate".to_owned(), |b| format!("{b} has the most"));
    gate("MostAdvanced", Severity::Block, ok, saw, "the standby with the highest received position")
}

/// A standby that did not follow the last promotion lacks everything since, however far ahead it is of the others.
fn target_current(sight: &Sight<'_>, intent: &Intent<'_>) -> Gate {
    let stale = sight.policy.data.iter().find_map(|item| {
        let facts = sight.data(&item.name, intent.to)?;
        if let Some(other) = facts.follows.as_ref().filter(|region| is_another_writer(sight, intent, region))
        {
            return Some(format!("{} in {} follows {other}, and not {}", item.name, intent.to, intent.from));
        }
        let timeline = facts.timeline;
        let known = sight.journal.state.lineage.get(&item.name)?.timeline;
        (timeline < known).then(|| {
            format!("{} in {} is on timeline {timeline}, the writer was on {known}", item.name, intent.to)
        })
    });
    let needs = "the target followed the last promotion";
    match stale {
        None => gate("TargetCurrent", Severity::Block, true, format!("{} follows", intent.to), needs),
        Some(saw) => gate("TargetCurrent", Severity::Block, false, saw, needs),
    }
}

/// Whoever follows another writer gets none of the active region's writes. One whose promotion may still land has what the others
/// have.
fn is_another_writer(sight: &Sight<'_>, intent: &Intent<'_>, region: &RegionName) -> bool {
    let outcast = sight.journal.state.outcasts.get(region);
    region != intent.from && !outcast.is_some_and(|outcast| outcast.promotion_pending)
}

fn primary_unhealthy(sight: &Sight<'_>, intent: &Intent<'_>) -> Gate {
    let verdict = sight.verdict(intent.from);
    let saw = format!("{}: {}", intent.from, verdict.saw);
    let ok = verdict.kind == VerdictKind::Unhealthy;
    gate("PrimaryUnhealthy", for_verdict(intent), ok, saw, "a quorum of vantages outside it sees it fail")
}

fn observers_suffice(sight: &Sight<'_>, intent: &Intent<'_>) -> Gate {
    let detection = &sight.policy.detection;
    let outside =
        sight.seen.health.vantages.values().filter(|stands| stands.as_ref() != Some(intent.from)).count();
    let probes = sight.probes_at(intent.from, Some(intent.from)).len();
    let needed = if crate::seeded::active(crate::seeded::Bug::NoQuorum) { 1 } else { 2 };
    let ok = detection.anchors > 0 && outside >= needed && probes > 0 && detection.quorum as usize >= needed;
    let saw = format!(
        "{} anchors, {outside} vantages outside {}, quorum of {}, {probes} probes",
        detection.anchors, intent.from, detection.quorum
    );
    gate(
        "ObserversSuffice",
        for_verdict(intent),
        ok,
        saw,
        "an anchor, a probe, and a quorum of two vantages outside the region",
    )
}

fn estimated_loss(sight: &Sight<'_>, intent: &Intent<'_>) -> Option<Gate> {
    let approved = intent.approval.and_then(|a| a.max_loss);
    let limit = approved.or(sight.policy.safety.max_estimated_loss)?;
    let needs = format!("at most {limit}");
    let estimate = estimate_loss(sight, intent.to);
    let ok = estimate.as_ref().is_some_and(|loss| loss.at_most <= limit);
    let mut saw = match &estimate {
        Some(loss) => {
            format!("between {} and {} ({} heartbeats)", loss.at_least, loss.at_most, loss.heartbeats)
        }
        None => "unknown: no heartbeat to compare".to_owned(),
    };
    saw.extend(words_of_engines(sight, intent.to));
    Some(gate("EstimatedLoss", Severity::Block, ok, saw, needs))
}

/// What engines say themselves of how far they are behind, for people: it bounds nothing, since what was committed after it is
/// not in it.
fn words_of_engines(sight: &Sight<'_>, to: &RegionName) -> impl Iterator<Item = String> {
    let lag = |item: &DataItem| Some(format!("; {}: {}", item.name, sight.data(&item.name, to)?.lag?));
    sight.policy.data.iter().filter_map(lag)
}

fn cooldown_over(sight: &Sight<'_>, intent: &Intent<'_>) -> Gate {
    let left = sight.journal.state.cooldown.as_ref().map_or(Millis(0), |c| cooldown_left(c, sight.now));
    let saw = if left.0 == 0 { "over".to_owned() } else { format!("{left} left") };
    gate("CooldownOver", for_verdict(intent), left.0 == 0, saw, "no run within the cool-down")
}

fn acknowledged(sight: &Sight<'_>, intent: &Intent<'_>) -> Gate {
    let open = sight.journal.state.needs_ack.as_ref();
    let saw = open.map_or_else(|| "nothing open".to_owned(), Clone::clone);
    gate("Acknowledged", for_automation(intent), open.is_none(), saw, "a person says ack")
}

fn source_writable(sight: &Sight<'_>, intent: &Intent<'_>) -> Gate {
    let needs = "the present primary answers and takes writes: a planned run loses nothing";
    if let Some(left) = detachment_left(sight) {
        let saw = format!("what was asked of {} may still detach it, for {left}", intent.from);
        return gate("SourceWritable", Severity::Law, false, saw, needs);
    }
    let silent = sight.policy.data.iter().find(|item| {
        sight
            .data(&item.name, intent.from)
            .is_none_or(|facts| facts.role != DataRole::Writable || hindered(facts).is_some())
    });
    match silent {
        None => gate("SourceWritable", Severity::Law, true, format!("{} is writable", intent.from), needs),
        Some(item) => {
            let saw = match sight.data(&item.name, intent.from) {
                Some(facts) => match hindered(facts) {
                    Some(why) => format!("{} in {}: {why}", item.name, intent.from),
                    None => format!("{} in {} is in recovery", item.name, intent.from),
                },
                None => sight.why_unknown(&item.name, intent.from),
            };
            gate("SourceWritable", Severity::Law, false, saw, needs)
        }
    }
}

/// For how long a detachment of the active region may still land: were it a standby by then, it would take writes all the same.
fn detachment_left(sight: &Sight<'_>) -> Option<Millis> {
    let outcasts = sight.journal.state.outcasts.values();
    outcasts.map(|outcast| outcast.detachment_left(&sight.now)).filter(|left| left.0 > 0).max()
}

/// Why an engine would not hand an item over to a node, or from it.
fn hindered(facts: &DataFacts) -> Option<&String> {
    facts.unfit.as_ref().or(facts.unready.as_ref())
}

/// Why a switchover would keep writes waiting for long: its engine blocks them until the target has caught up. An old word says
/// nothing of now.
fn too_far(facts: &DataFacts) -> Option<String> {
    const FRESH: Millis = Millis(3 * 60_000);
    const LONG: Millis = Millis(30_000);
    let lag = facts.lag.filter(|lag| lag.behind > LONG && lag.age < FRESH)?;
    Some(format!("{lag}; a switchover would keep writes waiting for so long"))
}

fn target_streams(sight: &Sight<'_>, intent: &Intent<'_>) -> Gate {
    let needs = "the target streams from the present primary";
    let idle = sight.policy.data.iter().find(|item| {
        let ready = |facts: &DataFacts| {
            facts.streams_from(intent.from) && hindered(facts).is_none() && too_far(facts).is_none()
        };
        !sight.data(&item.name, intent.to).is_some_and(ready)
    });
    match idle {
        None => gate("TargetStreams", Severity::Law, true, format!("{} streams", intent.to), needs),
        Some(item) => {
            let facts = sight.data(&item.name, intent.to);
            let why = facts.and_then(|facts| hindered(facts).cloned().or_else(|| too_far(facts)));
            let saw = match why {
                Some(why) => format!("{} in {}: {why}", item.name, intent.to),
                None => format!("{} in {} does not stream", item.name, intent.to),
            };
            gate("TargetStreams", Severity::Law, false, saw, needs)
        }
    }
}
