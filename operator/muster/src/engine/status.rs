//! What the API shows of a policy: ages instead of times, and nothing that is not known.

use super::Shown;
use crate::api::{
    ComputeBrief, DataBrief, DecisionBrief, FactsBrief, FailingProbe, FenceBrief, HeartbeatBrief,
    PolicySummary, PublicBrief, RunSummary, TrafficBrief,
};
use crate::execute::Latest;
use muster_core::facts::{DataFacts, EngineLag, Fact, Observations, PositionUnit, Seen};
use muster_core::health::{HealthBook, ProbeResult};
use muster_core::ids::{ItemName, PolicyName, RegionName};
use muster_core::journal::{Phase, Run, Step};
use muster_core::time::{Millis, Stamp, Tick};
use std::collections::BTreeMap;
use std::sync::PoisonError;

fn age(now: Stamp, at: Tick) -> Millis {
    now.tick.since(at).unwrap_or_default()
}

/// A policy on one line.
pub(crate) fn summarize(shown: &Shown) -> PolicySummary {
    let latest = shown.handle.latest.borrow().clone();
    let setup = shown.handle.acting.borrow().clone();
    let journal = latest.as_ref().and_then(|l| l.journal.as_ref());
    let state = journal.map(|j| &j.state);
    let active = journal.and_then(|j| j.active_run());
    PolicySummary {
        name: shown.handle.name.clone(),
        mode: setup.policy.mode,
        regions: setup.policy.regions.clone(),
        active_region: state.and_then(|s| s.active_region.clone()),
        paused: state.and_then(|s| s.paused.clone()),
        needs_ack: state.and_then(|s| s.needs_ack.clone()),
        rule: latest.as_ref().and_then(|l| l.rule.as_ref()).map(|(rule, _)| *rule),
        message: message_of(latest.as_deref()),
        verdicts: latest
            .as_ref()
            .map(|l| l.verdicts.iter().map(|(region, verdict)| (region.clone(), verdict.kind)).collect())
            .unwrap_or_default(),
        run: active.map(|run| summarize_run(&shown.handle.name, run)),
        live_rpo: live_rpo(shown),
    }
}

fn message_of(latest: Option<&Latest>) -> String {
    match latest {
        None => "no pass was made yet".to_owned(),
        Some(Latest { problem: Some(problem), .. }) => problem.clone(),
        Some(Latest { rule: Some((_, message)), .. }) => message.clone(),
        Some(_) => String::new(),
    }
}

/// The pass in brief.
pub(crate) fn brief_decision(latest: &Latest, now: Stamp) -> Option<DecisionBrief> {
    let (rule, message) = latest.rule.clone()?;
    Some(DecisionBrief { rule, message, blocked: latest.blocked.clone(), age: age(now, latest.at.tick) })
}

/// Data loss if the active region were gone now: the worst item, each by its best standby.
fn live_rpo(shown: &Shown) -> Option<Millis> {
    let beats = shown.beats.lock().unwrap_or_else(PoisonError::into_inner);
    let best = beats.values().map(|by_region| by_region.values().filter_map(|beat| beat.lag).min());
    best.collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// A run on one line.
pub(crate) fn summarize_run(policy: &PolicyName, run: &Run) -> RunSummary {
    let begun = |step: &&Step| step.started.is_some();
    let step = run.current().and_then(|index| run.steps.get(index));
    let step = step.or_else(|| run.steps.iter().rfind(begun));
    RunSummary {
        name: run.name.clone(),
        policy: policy.clone(),
        kind: run.kind,
        from: run.from.clone(),
        to: run.to.clone(),
        trigger: run.trigger.clone(),
        reason: run.reason.clone(),
        epoch: run.epoch,
        term: run.term,
        phase: run.phase,
        phase_since: run.phase_since,
        step: step.filter(|_| run.phase != Phase::Completed).map(name_step),
        message: run.message.clone(),
        started: run.clock.detected,
        outcome: run.outcome.clone(),
        measured: run.measured.clone(),
        active: !run.phase.is_final(),
    }
}

fn name_step(step: &Step) -> String {
    step.action.as_ref().map_or_else(|| step.key.to_string(), ToString::to_string)
}

/// Probes that do not pass, worst first.
pub(crate) fn failing_probes(book: &HealthBook, now: Stamp) -> Vec<FailingProbe> {
    let mut failing = Vec::new();
    for (region, vantages) in &book.streaks {
        for (vantage, streaks) in vantages {
            for (probe, streak) in streaks.iter().filter(|(_, s)| s.last != ProbeResult::Pass) {
                failing.push(FailingProbe {
                    region: region.clone(),
                    vantage: vantage.clone(),
                    probe: probe.clone(),
                    result: streak.last,
                    detail: streak.detail.clone(),
                    age: age(now, streak.last_at.tick),
                });
            }
        }
    }
    failing.sort_by_key(|probe| probe.result != ProbeResult::Fail);
    failing
}

/// What was seen of the world.
pub(crate) fn brief_facts(seen: &Observations, shown: &Shown, now: Stamp) -> FactsBrief {
    let traffic = seen.traffic.iter().map(|(item, fact)| {
        let known = fact.value.known();
        TrafficBrief {
            item: item.clone(),
            points_to: known.and_then(|f| f.points_to.clone()),
            agree: known.map_or(0, |f| f.agree),
            servers: known.map_or(0, |f| f.servers),
            drift: known.and_then(|f| f.drift.clone()),
            unsettled: known.and_then(|f| f.unsettled.clone()),
            contested: known.and_then(|f| f.contested.clone()),
            unknown: why_unknown(&fact.value),
            age: age(now, fact.at),
        }
    });
    let fences = seen.fences.iter().flat_map(|(way, regions)| {
        regions.iter().map(move |(region, fact)| FenceBrief {
            way: way.clone(),
            region: region.clone(),
            state: fact.value.known().map(|f| f.state.clone()),
            id: fact.value.known().map(|f| f.id.clone()),
            unknown: why_unknown(&fact.value),
            age: age(now, fact.at),
        })
    });
    let compute = seen.compute.iter().flat_map(|(item, regions)| {
        regions.iter().map(move |(region, fact)| ComputeBrief {
            item: item.clone(),
            region: region.clone(),
            seen: fact.value.known().cloned(),
            unknown: why_unknown(&fact.value),
            age: age(now, fact.at),
        })
    });
    FactsBrief {
        compute: compute.collect(),
        data: seen.data.iter().flat_map(|(item, regions)| brief_item(item, regions, now)).collect(),
        traffic: traffic.collect(),
        fences: fences.collect(),
        public: seen.public.as_ref().map(|fact| PublicBrief {
            successes: fact.value.successes,
            last: fact.value.last.clone(),
            age: age(now, fact.at),
        }),
        heartbeats: brief_heartbeats(seen, shown, now),
    }
}

fn why_unknown<T>(seen: &Seen<T>) -> Option<String> {
    match seen {
        Seen::Known(_) => None,
        Seen::Unknown(why) => Some(why.clone()),
    }
}

/// How far standbys are behind by their engines' own words, as old as those are by now.
pub(crate) fn engine_lags(seen: &Observations, now: Stamp) -> Vec<(ItemName, RegionName, EngineLag)> {
    let nodes = seen.data.iter().flat_map(|(item, regions)| {
        regions.iter().map(move |(region, fact)| (item.clone(), region.clone(), fact))
    });
    let lag = |fact: &Fact<Seen<DataFacts>>| {
        let lag = fact.value.known()?.lag?;
        Some(EngineLag { age: lag.age.plus(age(now, fact.at)), ..lag })
    };
    nodes.filter_map(|(item, region, fact)| Some((item, region, lag(fact)?))).collect()
}

fn brief_item(
    item: &ItemName,
    regions: &BTreeMap<RegionName, Fact<Seen<DataFacts>>>,
    now: Stamp,
) -> Vec<DataBrief> {
    let writer = regions
        .values()
        .filter_map(|fact| fact.value.known())
        .find(|facts| facts.role == muster_core::facts::DataRole::Writable);
    let brief = |(region, fact): (&RegionName, &Fact<Seen<DataFacts>>)| {
        let known = fact.value.known();
        let of_log = known.filter(|node| node.unit == PositionUnit::Bytes);
        let lag = of_log.zip(writer).filter(|(node, writer)| node.timeline == writer.timeline);
        DataBrief {
            item: item.clone(),
            region: region.clone(),
            role: known.map(|f| f.role),
            closed: known.is_some_and(DataFacts::is_closed),
            streaming: known.is_some_and(|f| f.streaming),
            timeline: of_log.map(|f| f.timeline),
            position: of_log.map(|f| f.position),
            lag_bytes: lag.map(|(node, writer)| writer.position.0.saturating_sub(node.position.0)),
            unfit: known.and_then(|f| f.unfit.clone()),
            unready: known.and_then(|f| f.unready.clone()),
            engine_lag: known.and_then(|f| f.lag),
            witness: known.and_then(|f| f.witness.clone()),
            unknown: why_unknown(&fact.value),
            age: age(now, fact.at),
        }
    };
    regions.iter().map(brief).collect()
}

fn brief_heartbeats(seen: &Observations, shown: &Shown, now: Stamp) -> Vec<HeartbeatBrief> {
    let beats = shown.beats.lock().unwrap_or_else(PoisonError::into_inner);
    let brief = |(item, facts): (&ItemName, &muster_core::facts::HeartbeatFacts)| {
        let standbys = beats.get(item);
        HeartbeatBrief {
            item: item.clone(),
            writer: facts.writer.clone(),
            acked_seq: facts.acked_seq,
            acked_age: facts.acked_at.map(|at| age(now, at.tick)),
            in_flight: facts.in_flight,
            present: standbys
                .map(|s| s.iter().map(|(region, beat)| (region.clone(), beat.seq)).collect())
                .unwrap_or_default(),
            live_rpo: standbys.and_then(|s| s.values().filter_map(|beat| beat.lag).min()),
        }
    };
    seen.heartbeats.iter().map(brief).collect()
}
