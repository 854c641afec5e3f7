//! What a policy's status says: computed from the newest pass, pure.

use super::requests::ack_token;
use crate::api::FileProblem;
use crate::execute::Latest;
use crate::execute::task::PASS_FAILS;
use crate::store::kubernetes::story::{self, clip, count, moment};
use muster_core::health::VerdictKind;
use muster_core::journal::{Journal, Run};
use muster_core::time::Stamp;
use muster_crds::policy::{ActiveRun, Blocker, RegionFailoverPolicyStatus, RegionStatus};
use muster_crds::text::Moment;
use muster_crds::{Condition, ConditionStatus};
use std::collections::BTreeMap;

/// Whether the policy guards anything: as the journal says, while passes go well.
const READY: &str = "Ready";

/// What is known beside the newest pass.
#[derive(Clone, Debug)]
pub(super) struct Around<'a> {
    /// Of the object as it is now.
    pub(super) generation: i64,
    /// What is wrong with the object.
    pub(super) problems: &'a [FileProblem],
    /// Now, for conditions that change with this status.
    pub(super) now: Stamp,
}

/// The status after a pass; `present` keeps what did not change: times of conditions, and what a blocker saw first.
pub(super) fn status_of(
    latest: Option<&Latest>,
    around: &Around<'_>,
    present: &RegionFailoverPolicyStatus,
) -> RegionFailoverPolicyStatus {
    let mut conditions = vec![accepted(around)];
    let failing = latest.and_then(Latest::failing);
    let Some((latest, journal)) = latest.and_then(|latest| Some((latest, latest.journal.as_ref()?))) else {
        conditions.extend(failing.map(|why| fails(why, around.generation, around.now)));
        let conditions = settle(conditions, &present.conditions);
        return RegionFailoverPolicyStatus { conditions, ..present.clone() };
    };
    let acting = generation_of(latest, around);
    conditions.extend(of_journal(journal, acting));
    match failing {
        Some(why) => {
            conditions.retain(|condition| condition.r#type != READY);
            conditions.push(fails(why, acting, around.now));
        }
        None => date_recovery(&mut conditions, &present.conditions, around.now),
    }
    let run = journal.active_run();
    let state = &journal.state;
    RegionFailoverPolicyStatus {
        observed_generation: Some(acting),
        active_region: state.active_region.as_ref().map(ToString::to_string),
        phase: Some(phase_of(latest, journal, run)),
        step: step_of(latest, run),
        active_run: run.map(|run| ActiveRun {
            name: run.name.to_string(),
            kind: story::kind(run.kind),
            epoch: count(run.epoch.0),
            term: count(run.term.0),
        }),
        may_be_writable: state.may_be_writable.iter().map(|r| r.as_str().into()).collect(),
        regions: regions_of(latest, journal),
        acknowledge: ack_token(state),
        blocked: blocked_of(latest, present),
        last_run: journal
            .run
            .as_ref()
            .filter(|run| run.phase.is_final())
            .map(story::last_run_of)
            .or_else(|| present.last_run.clone()),
        conditions: settle(conditions, &present.conditions),
    }
}

/// The generation of the spec that acts: an edit that waits for a run's end does not.
fn generation_of(latest: &Latest, around: &Around<'_>) -> i64 {
    match latest.deferred {
        Some(_) => count(latest.acting.policy.generation),
        None => around.generation,
    }
}

fn accepted(around: &Around<'_>) -> Condition {
    let condition = |status, reason: &str, message: String| Condition {
        r#type: "Accepted".to_owned(),
        status,
        reason: reason.to_owned(),
        message: clip(&message),
        last_transition_time: moment(around.now),
        observed_generation: around.generation,
    };
    match around.problems {
        [] => condition(ConditionStatus::True, "Accepted", "the policy is in force".to_owned()),
        [first, ..] => {
            let told: Vec<&str> = around.problems.iter().map(|p| p.message.as_str()).collect();
            let stays = if first.last_good_in_force { "; the last good version stays in force" } else { "" };
            condition(ConditionStatus::False, &first.reason, format!("{}{stays}", told.join("; ")))
        }
    }
}

fn of_journal(journal: &Journal, generation: i64) -> impl Iterator<Item = Condition> {
    journal.state.conditions.iter().map(move |(kind, condition)| Condition {
        r#type: kind.clone(),
        status: if condition.ok { ConditionStatus::True } else { ConditionStatus::False },
        reason: condition.reason.clone(),
        message: clip(&condition.message),
        last_transition_time: moment(condition.since),
        observed_generation: generation,
    })
}

/// Nothing is decided and nothing is done: what the journal says of readiness was true when the last pass went well.
fn fails(why: &str, generation: i64, now: Stamp) -> Condition {
    Condition {
        r#type: READY.to_owned(),
        status: ConditionStatus::False,
        reason: PASS_FAILS.to_owned(),
        message: clip(why),
        last_transition_time: moment(now),
        observed_generation: generation,
    }
}

/// The journal knows nothing of passes that failed: what it dates may be from before them.
fn date_recovery(conditions: &mut [Condition], present: &[Condition], now: Stamp) {
    if present.iter().any(|condition| condition.reason == PASS_FAILS) {
        for ready in conditions.iter_mut().filter(|condition| condition.r#type == READY) {
            ready.last_transition_time = moment(now);
        }
    }
}

/// A condition's time is when its status changed, whatever else did.
fn settle(mut conditions: Vec<Condition>, present: &[Condition]) -> Vec<Condition> {
    let known: BTreeMap<&str, (&ConditionStatus, &Moment)> =
        present.iter().map(|c| (c.r#type.as_str(), (&c.status, &c.last_transition_time))).collect();
    for condition in &mut conditions {
        if let Some((status, since)) = known.get(condition.r#type.as_str())
            && **status == condition.status
        {
            condition.last_transition_time = (*since).clone();
        }
    }
    conditions.sort_by(|a, b| a.r#type.cmp(&b.r#type));
    conditions
}

fn phase_of(latest: &Latest, journal: &Journal, run: Option<&Run>) -> String {
    let state = &journal.state;
    let active = state.active_region.as_ref();
    let verdict = active.and_then(|active| latest.verdicts.get(active)).map(|verdict| verdict.kind);
    match (run, verdict) {
        (Some(run), _) => format!("{:?}", run.phase),
        _ if state.paused.is_some() => "Paused".to_owned(),
        _ if state.needs_ack.is_some() || state.behind.is_some() => "NeedsAck".to_owned(),
        _ if active.is_none() => "Learning".to_owned(),
        (None, Some(VerdictKind::Unhealthy)) => "Unhealthy".to_owned(),
        (None, _) => "Watching".to_owned(),
    }
}

fn step_of(latest: &Latest, run: Option<&Run>) -> Option<String> {
    let rule = || latest.rule.as_ref().map(|(rule, _)| rule.name().to_owned());
    run.and_then(story::current_step).or_else(rule)
}

fn regions_of(latest: &Latest, journal: &Journal) -> Vec<RegionStatus> {
    let verdict = |region| latest.verdicts.get(region).map_or(VerdictKind::Unknown, |verdict| verdict.kind);
    let regions = &latest.acting.policy.regions;
    let status = |region| RegionStatus {
        name: ToString::to_string(region),
        verdict: format!("{:?}", verdict(region)),
        cast_out: journal.state.outcasts.get(region).map(|outcast| clip(&outcast.message)),
    };
    regions.iter().map(status).collect()
}

/// Figures in what a blocker saw move with each pass: they are written when it begins to block.
fn blocked_of(latest: &Latest, present: &RegionFailoverPolicyStatus) -> Vec<Blocker> {
    let mut blocked: Vec<Blocker> = Vec::new();
    for blocker in &latest.blocked {
        let known = present.blocked.iter().find(|b| b.name == blocker.name);
        if blocked.iter().all(|b| b.name != blocker.name) {
            blocked.push(known.cloned().unwrap_or_else(|| Blocker {
                name: blocker.name.clone(),
                saw: clip(&blocker.saw),
                needs: clip(&blocker.needs),
            }));
        }
    }
    blocked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::execute::fakes::{World, policy, setup};
    use muster_core::health::Verdict;
    use muster_core::journal::{self, PolicyState};
    use muster_core::rules::Rule;
    use muster_core::time::{BootId, Tick, Wall};
    use muster_core::{decision, ids::RegionName};
    use std::sync::Arc;

    const FORBIDDEN: &str = "failed to record: forbidden";

    fn at(seconds: i64) -> Stamp {
        Stamp { boot: BootId(1), tick: Tick(0), wall: Wall(seconds * 1_000) }
    }

    /// A policy that guards its application since second 10, with something that blocks.
    fn latest(problem: Option<&str>) -> Latest {
        let policy = policy("shop/checkout");
        let mut state = PolicyState::new(policy.owner.clone());
        state.active_region = Some("east".into());
        let ready = journal::Condition {
            ok: true,
            reason: "Ready".to_owned(),
            message: "watching".to_owned(),
            since: at(10),
        };
        state.conditions.insert(READY.to_owned(), ready);
        let healthy = Verdict {
            kind: VerdictKind::Healthy,
            views: BTreeMap::new(),
            first_failure: None,
            saw: String::new(),
        };
        Latest {
            at: at(20),
            acting: Arc::new(setup(policy, &World::new(Clock::system()))),
            journal: Some(Journal { state, run: None, requests: Vec::new() }),
            rule: Some((Rule::Stable, "all is well".to_owned())),
            blocked: vec![decision::Blocker {
                name: "EstimatedLoss".to_owned(),
                saw: "42 s".to_owned(),
                needs: "at most 30 s".to_owned(),
            }],
            verdicts: BTreeMap::from([(RegionName::from("east"), healthy)]),
            problem: problem.map(str::to_owned),
            deferred: None,
        }
    }

    fn told(
        latest: &Latest,
        seconds: i64,
        present: &RegionFailoverPolicyStatus,
    ) -> RegionFailoverPolicyStatus {
        status_of(Some(latest), &Around { generation: 3, problems: &[], now: at(seconds) }, present)
    }

    fn ready(status: &RegionFailoverPolicyStatus) -> (ConditionStatus, &str, &str, Moment) {
        let ready: Vec<&Condition> = status.conditions.iter().filter(|c| c.r#type == READY).collect();
        let [ready] = ready[..] else { panic!("{:?}", status.conditions) };
        (ready.status, ready.reason.as_str(), ready.message.as_str(), ready.last_transition_time.clone())
    }

    #[test]
    fn passes_that_fail_show_beside_what_was_seen_last_until_one_goes_well() {
        let well = told(&latest(None), 30, &RegionFailoverPolicyStatus::default());
        assert_eq!(ready(&well), (ConditionStatus::True, "Ready", "watching", moment(at(10))));

        let failing = told(&latest(Some(FORBIDDEN)), 40, &well);
        assert_eq!(ready(&failing), (ConditionStatus::False, PASS_FAILS, FORBIDDEN, moment(at(40))));
        let seen = |status: &RegionFailoverPolicyStatus| {
            (status.phase.clone(), status.step.clone(), status.regions.clone(), status.blocked.clone())
        };
        assert_eq!(seen(&failing), seen(&well));
        assert_eq!(told(&latest(Some(FORBIDDEN)), 50, &failing), failing, "nothing is written at each pass");

        let again = told(&latest(None), 60, &failing);
        assert_eq!(ready(&again), (ConditionStatus::True, "Ready", "watching", moment(at(60))));
        assert_eq!(told(&latest(None), 70, &again), again);
    }

    #[test]
    fn a_journal_that_was_never_read_shows_too() {
        let unread = Latest { journal: None, ..latest(Some("failed to load the journal")) };
        let status = told(&unread, 40, &RegionFailoverPolicyStatus::default());
        assert_eq!(ready(&status).1, PASS_FAILS);
        assert_eq!(status.phase, None);
    }

    #[test]
    fn that_another_process_acted_a_moment_ago_is_no_failure() {
        let well = told(&latest(None), 30, &RegionFailoverPolicyStatus::default());
        for said in ["", ", and failed to read the journal: no answer"] {
            let onlooker = format!("this process does not hold the lease; it only looks on{said}");
            assert_eq!(told(&latest(Some(&onlooker)), 40, &well), well, "{said}");
        }
    }
}
