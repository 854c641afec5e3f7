//! Objects as the API's types. Pure: what the objects do not say is left empty, and nothing is made up for it.

use super::super::exit::{Code, Done, Failure};
use crate::api::{DecisionBrief, FactsBrief, FileProblem, PolicyStatus, PolicySummary, Role};
use crate::convert::{Circumstances, Environment, UnresolvedSecrets, convert, full_name, mode_of};
use crate::engine::status::summarize_run;
use crate::execute::task::PASS_FAILS;
use crate::store::kubernetes::story::count;
use muster_core::decide::plan_hash_of;
use muster_core::decision::{Blocker, Explanation, PlanPreview};
use muster_core::health::{Verdict, VerdictKind};
use muster_core::ids::{Owner, PolicyName, RegionName};
use muster_core::journal::{Journal, Phase, PolicyState, Run, Trigger};
use muster_core::policy::{Aggregate, Detection, Mode, Objectives, Policy, Safety, Threshold};
use muster_core::rules::Rule;
use muster_core::time::{Millis, Stamp};
use muster_crds::policy::{self as api, RegionFailoverPolicyStatus};
use muster_crds::run::{Outcome, RunPhase};
use muster_crds::{
    Condition, ConditionStatus, FailoverJournal, FailoverRun, RegionFailoverPolicy, load_policy_file,
};
use std::collections::{BTreeMap, BTreeSet};

/// A journal's object, read.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) journal: Journal,
    /// The policy as it acts.
    in_force: Option<RegionFailoverPolicy>,
}

impl Kept {
    /// An error names the journal that another version wrote in another shape.
    pub(super) fn read(object: &FailoverJournal) -> Done<Self> {
        let journal = serde_json::from_str(&object.spec.body).map_err(|error| {
            let name = object.metadata.name.as_deref().unwrap_or_default();
            other_version(&format!("the journal of {name}"), &error.to_string())
        })?;
        let in_force = object.spec.in_force.as_deref().and_then(|text| load_policy_file(text).ok());
        Ok(Self { journal, in_force: in_force.and_then(|policies| policies.into_iter().next()) })
    }

    /// The run under way.
    pub(super) fn active(&self) -> Option<&Run> {
        self.journal.active_run()
    }
}

/// The spec that acts: an edit that is not good, or waits for a run's end, does not.
fn acting<'a>(object: &'a RegionFailoverPolicy, kept: Option<&'a Kept>) -> &'a api::RegionFailoverPolicySpec {
    kept.and_then(|kept| kept.in_force.as_ref()).map_or(&object.spec, |policy| &policy.spec)
}

/// Names of the regions of the spec that acts, in order of preference.
pub(super) fn regions_of(object: &RegionFailoverPolicy, kept: Option<&Kept>) -> Vec<RegionName> {
    acting(object, kept).regions.iter().map(|region| region.name.as_str().into()).collect()
}

/// How far the policy goes by itself, as it acts.
pub(super) fn mode(object: &RegionFailoverPolicy, kept: Option<&Kept>) -> Mode {
    mode_of(acting(object, kept).mode)
}

fn status_of(object: &RegionFailoverPolicy) -> RegionFailoverPolicyStatus {
    object.status.clone().unwrap_or_default()
}

fn condition<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.r#type == kind)
}

/// A policy on one line.
pub(super) fn summary(object: &RegionFailoverPolicy, kept: Option<&Kept>) -> PolicySummary {
    let (name, status) = (full_name(object), status_of(object));
    let state = kept.map(|kept| &kept.journal.state);
    let run = kept.and_then(Kept::active);
    let rule = rule_of(&status, run);
    PolicySummary {
        mode: mode(object, kept),
        regions: regions_of(object, kept),
        active_region: match state {
            Some(state) => state.active_region.clone(),
            None => status.active_region.as_deref().map(RegionName::from),
        },
        paused: state.and_then(|state| state.paused.clone()),
        needs_ack: state.and_then(open_matter),
        message: message(&status, rule, run),
        rule,
        verdicts: verdicts(&status).into_iter().map(|(region, verdict)| (region, verdict.kind)).collect(),
        run: run.map(|run| summarize_run(&name, run)),
        live_rpo: None,
        name,
    }
}

fn open_matter(state: &PolicyState) -> Option<String> {
    let behind = || state.behind.as_ref().map(|_| Rule::JournalBehindTargets.summary().to_owned());
    state.needs_ack.clone().or_else(behind)
}

/// The rule of the newest pass, as far as the objects tell: the policy's own step between runs, the run's phase in one.
fn rule_of(status: &RegionFailoverPolicyStatus, run: Option<&Run>) -> Option<Rule> {
    let Some(run) = run else {
        let step = status.step.as_deref()?;
        return Rule::ALL.iter().find(|rule| rule.name() == step).copied();
    };
    Some(match (run.phase, &run.trigger) {
        _ if run.undoing => Rule::Undoing,
        (Phase::AwaitingApproval, _) => Rule::AwaitingApproval,
        (Phase::Blocked, _) => Rule::GateUnmet,
        (Phase::Pending, Trigger::Person(_)) => Rule::RequestTaken,
        (Phase::Pending, _) => Rule::VerdictOpens,
        _ => Rule::StepAwaited,
    })
}

/// What the newest pass did, or why none does anything.
fn message(status: &RegionFailoverPolicyStatus, rule: Option<Rule>, run: Option<&Run>) -> String {
    match (failing(status), rule) {
        (Some(why), _) => why.to_owned(),
        (None, Some(rule)) => message_of(rule, run),
        (None, None) => no_pass(status),
    }
}

/// Why the operator's passes fail, if they do.
fn failing(status: &RegionFailoverPolicyStatus) -> Option<&str> {
    let ready = condition(&status.conditions, "Ready")?;
    (ready.reason == PASS_FAILS).then_some(ready.message.as_str())
}

fn message_of(rule: Rule, run: Option<&Run>) -> String {
    match run {
        Some(run) if !run.message.is_empty() => run.message.clone(),
        _ => rule.summary().to_owned(),
    }
}

fn no_pass(status: &RegionFailoverPolicyStatus) -> String {
    match condition(&status.conditions, "Accepted") {
        Some(accepted) if accepted.status != ConditionStatus::True => accepted.message.clone(),
        Some(_) => "the operator has taken it in and told of no pass yet".to_owned(),
        None => {
            "the operator has not looked at it: does it run, and does it watch this namespace?".to_owned()
        }
    }
}

fn verdicts(status: &RegionFailoverPolicyStatus) -> BTreeMap<RegionName, Verdict> {
    let kind = |word: &str| match word {
        "Healthy" => VerdictKind::Healthy,
        "Unhealthy" => VerdictKind::Unhealthy,
        _ => VerdictKind::Unknown,
    };
    let verdict = |region: &api::RegionStatus| {
        let verdict = Verdict {
            kind: kind(&region.verdict),
            views: BTreeMap::new(),
            first_failure: None,
            saw: String::new(),
        };
        (region.name.as_str().into(), verdict)
    };
    status.regions.iter().map(verdict).collect()
}

fn blocked(status: &RegionFailoverPolicyStatus) -> Vec<Blocker> {
    let blocker =
        |b: &api::Blocker| Blocker { name: b.name.clone(), saw: b.saw.clone(), needs: b.needs.clone() };
    status.blocked.iter().map(blocker).collect()
}

/// What keeps the object from being in force as it is written.
pub(super) fn problems(object: &RegionFailoverPolicy, kept: Option<&Kept>) -> Vec<FileProblem> {
    let status = status_of(object);
    let bad = condition(&status.conditions, "Accepted").filter(|c| c.status == ConditionStatus::False);
    let problem = |condition: &Condition| FileProblem {
        file: full_name(object).to_string(),
        policy: Some(full_name(object)),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        last_good_in_force: kept.is_some_and(|kept| kept.in_force.is_some()),
    };
    bad.map(problem).into_iter().collect()
}

/// An object that this version cannot read.
pub(super) fn unreadable(name: &PolicyName, why: &str) -> FileProblem {
    FileProblem {
        file: name.to_string(),
        policy: Some(name.clone()),
        reason: "Unreadable".to_owned(),
        message: format!("this version of Muster cannot read it: {why}"),
        last_good_in_force: false,
    }
}

/// All about one policy.
pub(super) fn status(object: &RegionFailoverPolicy, kept: Option<&Kept>, now: Stamp) -> PolicyStatus {
    let told = status_of(object);
    let summary = summary(object, kept);
    let decision = summary.rule.map(|rule| DecisionBrief {
        rule,
        message: summary.message.clone(),
        blocked: blocked(&told),
        age: written_ago(object, now),
    });
    let owner = Owner::new(object.metadata.uid.clone().unwrap_or_default());
    let untouched = || Journal { state: PolicyState::new(owner), run: None, requests: Vec::new() };
    PolicyStatus {
        policy: policy_of(object, kept),
        file_problems: problems(object, kept),
        journal: kept.map_or_else(untouched, |kept| kept.journal.clone()),
        decision,
        verdicts: verdicts(&told),
        failing: Vec::new(),
        facts: FactsBrief::default(),
        lease_holder: None,
        role: Role::Active,
        at: now,
        summary,
    }
}

/// How long ago the status was written: it is written when it changes, so that is the age of what it says.
fn written_ago(object: &RegionFailoverPolicy, now: Stamp) -> Millis {
    let fields = object.metadata.managed_fields.iter().flatten();
    let of_status = fields.filter(|field| field.subresource.as_deref() == Some("status"));
    let newest = of_status.filter_map(|field| field.time.as_ref()).map(|time| time.0.as_millisecond()).max();
    let age = newest.and_then(|at| u64::try_from(now.wall.0.saturating_sub(at)).ok());
    Millis(age.unwrap_or(0))
}

/// The policy for the core: a run's own while it acts, else as it is in force.
fn policy_of(object: &RegionFailoverPolicy, kept: Option<&Kept>) -> Policy {
    if let Some(run) = kept.and_then(Kept::active) {
        return run.policy.clone();
    }
    let owner = Owner::new(object.metadata.uid.clone().unwrap_or_default());
    let generation = object.metadata.generation.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
    let with = Circumstances {
        environment: Environment::Cluster,
        owner: owner.clone(),
        generation,
        secrets: &UnresolvedSecrets,
        program_env: BTreeMap::new(),
    };
    let written = kept.and_then(|kept| kept.in_force.as_ref()).unwrap_or(object);
    match convert(written, &with) {
        Ok(converted) => converted.policy,
        Err(_) => in_outline(object, owner, generation),
    }
}

/// Of a policy that is not valid: what is written, and no part that would have to be guessed.
fn in_outline(object: &RegionFailoverPolicy, owner: Owner, generation: u64) -> Policy {
    let never = Threshold { count: 0, min: Millis(0) };
    Policy {
        name: full_name(object),
        owner,
        generation,
        mode: mode(object, None),
        written: String::new(),
        objectives: Objectives::default(),
        regions: regions_of(object, None),
        probes: Vec::new(),
        public_probe: None,
        detection: Detection {
            trip: never.clone(),
            reset: never,
            aggregate: Aggregate::AtLeast(1),
            quorum: 0,
            anchors: 0,
        },
        data: Vec::new(),
        compute: Vec::new(),
        traffic: Vec::new(),
        fences: Vec::new(),
        hooks: Vec::new(),
        safety: Safety {
            cooldown: Millis(0),
            max_estimated_loss: None,
            accept: BTreeSet::new(),
            without_fence: None,
        },
    }
}

/// What the objects say about why: an error while the operator has told of no pass.
pub(super) fn explanation(object: &RegionFailoverPolicy, kept: Option<&Kept>) -> Done<Explanation> {
    let told = status_of(object);
    let run = kept.and_then(Kept::active);
    let Some(rule) = rule_of(&told, run) else {
        let what = format!("nothing is known of {} yet: {}", full_name(object), message(&told, None, run));
        return Err(Failure::new(Code::Refused, what).fix("`kubectl describe rfp` shows its conditions."));
    };
    Ok(Explanation {
        rule,
        message: message(&told, Some(rule), run),
        verdicts: verdicts(&told),
        gates: run.map(|run| run.gates.clone()).unwrap_or_default(),
        candidates: Vec::new(),
        blocked: blocked(&told),
    })
}

/// The plan of the run under way. `told` is the hash that the operator wrote, which may be of another version.
pub(super) fn preview(run: &Run, told: Option<String>) -> PlanPreview {
    let planned = run.kind.is_planned();
    PlanPreview {
        gates: run.gates.clone(),
        predicted: run.predicted.clone(),
        estimated_loss: planned.then_some(Millis(0)),
        loss_is_growing: !planned && !run.proofs.contains_key(&run.from),
        plan_hash: told.unwrap_or_else(|| plan_hash_of(run)),
        run: run.clone(),
    }
}

/// Why there is no plan to show, and how to get one.
pub(super) fn no_plan(object: &RegionFailoverPolicy, kept: Option<&Kept>) -> Failure {
    let name = full_name(object);
    let what = format!(
        "no run of {name} is under way, and a plan is made from what the operator sees right now, which is not in the \
         API server"
    );
    let fix = match mode(object, kept) {
        Mode::Approve => format!(
            "`muster failover {name} --request-only` makes a run that shows its plan and gates and waits for \
             `muster approve`; `muster abort` ends it."
        ),
        Mode::Automatic => format!(
            "In mode Automatic a run begins as soon as its gates hold; in mode Approve `muster failover {name} \
             --request-only` makes a run that waits and shows its plan. {}",
            super::ask_operator(&format!("muster plan {name}"))
        ),
        Mode::Observe => "In mode Observe no run begins; set spec.mode to Approve first.".to_owned(),
    };
    Failure::new(Code::Refused, what).fix(fix)
}

/// An ended run, as its object keeps it; `None` while it has not ended, and for one that was never claimed.
pub(super) fn record(object: &FailoverRun) -> Done<Option<Run>> {
    let record = object.status.as_ref().and_then(|status| status.record.as_deref());
    let read = record.map(serde_json::from_str::<Run>).transpose();
    read.map_err(|error| {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        other_version(name, &error.to_string())
    })
}

/// What another version wrote in another shape.
pub(super) fn other_version(what: &str, why: &str) -> Failure {
    Failure::failed(format!("{what} makes no sense to this version: {why}"))
        .fix("Compare the versions of this command and of the operator.")
}

/// Whether `object` tells of this run of the journal.
pub(super) fn belongs(object: &FailoverRun, run: &Run) -> bool {
    match object.status.as_ref().and_then(|status| status.epoch) {
        Some(epoch) => epoch == count(run.epoch.0),
        None => object.metadata.name.as_deref() == Some(run.name.as_str()),
    }
}

/// Where a request is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Request {
    /// The operator has not looked at it, or has no policy in force for it; what it said.
    Unseen(Option<String>),
    /// Taken in, and not a run yet.
    Waits,
    /// It is a run.
    Claimed,
    /// It is none, and why.
    Refused(Failure),
}

/// What became of a request.
pub(super) fn request_of(object: &FailoverRun) -> Request {
    let status = object.status.clone().unwrap_or_default();
    let name = object.metadata.name.as_deref().unwrap_or_default();
    if status.outcome == Some(Outcome::Refused) {
        let requested = condition(&status.conditions, "Requested");
        let why = requested.map_or_else(String::new, |condition| format!("{}: ", condition.reason));
        let what = format!("{name} was refused: {why}{}", status.message.unwrap_or_default());
        return Request::Refused(
            Failure::new(Code::Refused, what)
                .fix(format!("`muster explain {}` says what it needs.", object.spec.policy)),
        );
    }
    match (status.epoch, condition(&status.conditions, "Requested")) {
        (Some(_), _) => Request::Claimed,
        (None, Some(_)) => Request::Waits,
        (None, None) => Request::Unseen(status.message),
    }
}

/// Why a run's object has no run behind it.
pub(super) fn not_claimed(object: &FailoverRun) -> Failure {
    let name = object.metadata.name.as_deref().unwrap_or_default();
    match request_of(object) {
        Request::Refused(failure) => failure,
        Request::Unseen(Some(said)) => {
            Failure::new(Code::NotFound, format!("{name} is not a run yet: {said}"))
        }
        _ => Failure::new(Code::NotFound, format!("{name} is not a run yet: it waits to be claimed")),
    }
}

/// What became of consent or abort that stands in the spec since `generation`; `None`: no word yet.
pub(super) fn taken(object: &FailoverRun, kind: &str, generation: i64) -> Option<Done> {
    let status = object.status.as_ref()?;
    let told = condition(&status.conditions, kind).filter(|c| c.observed_generation >= generation);
    let name = object.metadata.name.as_deref().unwrap_or_default();
    match told {
        Some(condition) if condition.status == ConditionStatus::True => Some(Ok(())),
        Some(condition) => {
            let what = format!("{name}: {} ({})", condition.message, condition.reason);
            Some(Err(Failure::new(Code::Refused, what)))
        }
        None if status.phase.is_some_and(RunPhase::is_final) => {
            let what = format!("{name} has ended: {}", status.message.as_deref().unwrap_or_default());
            Some(Err(Failure::new(Code::Refused, what).fix(format!("`muster show {name}` says how."))))
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::view::{Source, sample, status as status_view};
    use super::*;
    use muster_core::journal::{OutcomeKind, RunKind};
    use serde_json::{Value, json};

    /// As `kubectl get -o json` showed them, cut down to what is read.
    fn policy(status: &Value) -> RegionFailoverPolicy {
        let secret = json!({"name": "pg", "key": "muster"});
        let node = |region: &str| json!({"region": region, "host": "127.0.0.1"});
        let postgres = json!({"database": "orders", "user": "muster", "passwordSecret": secret,
            "application": {"user": "shop", "passwordSecret": secret}, "nodes": [node("east"), node("west")]});
        serde_json::from_value(json!({
            "apiVersion": "muster.dev/v1alpha1", "kind": "RegionFailoverPolicy",
            "metadata": {"name": "checkout", "namespace": "shop", "uid": "6c1b", "generation": 3, "managedFields": [
                {"manager": "muster", "subresource": "status", "time": "2025-10-09T08:53:20Z"}]},
            "spec": {"mode": "Approve", "regions": [{"name": "east"}, {"name": "west"}],
                "data": [{"name": "orders", "postgres": postgres}]},
            "status": status,
        }))
        .expect("a policy")
    }

    fn watching() -> Value {
        json!({"phase": "Watching", "step": "Stable", "activeRegion": "west",
            "regions": [{"name": "east", "verdict": "Unknown", "castOut": "not back"}, {"name": "west", "verdict": "Healthy"}],
            "blocked": [{"name": "EstimatedLoss", "saw": "42 s", "needs": "at most 30 s"}],
            "conditions": [{"type": "Accepted", "status": "True", "reason": "Accepted", "message": "in force",
                "lastTransitionTime": "2025-10-09T08:00:00Z", "observedGeneration": 3}]})
    }

    fn kept(run: Option<Run>) -> Kept {
        let journal = Journal { run, ..sample::status().journal };
        let spec = json!({"owner": "6c1b", "epoch": 12, "term": 1, "changes": 7, "lease": "muster/muster",
            "leaseNumber": 1, "body": serde_json::to_string(&journal).expect("a journal")});
        let object = json!({"apiVersion": "muster.dev/v1alpha1", "kind": "FailoverJournal",
            "metadata": {"name": "checkout", "namespace": "shop"}, "spec": spec});
        Kept::read(&serde_json::from_value(object).expect("a journal's object")).expect("it is read")
    }

    fn waiting_run() -> Run {
        let mut run = sample::finished_run();
        (run.phase, run.outcome) = (Phase::AwaitingApproval, None);
        run.message = "the policy's mode is Approve".to_owned();
        run
    }

    fn run_object(status: &Value) -> FailoverRun {
        serde_json::from_value(json!({
            "apiVersion": "muster.dev/v1alpha1", "kind": "FailoverRun",
            "metadata": {"name": "checkout-failover-1a2b3", "namespace": "shop", "generation": 2},
            "spec": {"policy": "checkout", "kind": "Failover", "reason": "east is dark", "by": "kim"},
            "status": status,
        }))
        .expect("a run")
    }

    #[test]
    fn what_was_recorded_is_shown_and_what_the_operator_alone_knows_is_left_out() {
        let kept = kept(Some(sample::finished_run()));
        let now = sample::at(1_000);
        let status = status(&policy(&watching()), Some(&kept), now);
        assert_eq!(status.summary.rule, Some(Rule::Stable));
        assert_eq!(status.summary.live_rpo, None);
        assert_eq!(status.facts, FactsBrief::default());
        assert_eq!(
            status.decision.as_ref().map(|d| d.age),
            Some(Millis(1_000)),
            "since the status was written"
        );
        let text = status_view::render(&status, Source::Objects, &sample::look());
        assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
        for word in ["Approve", "R499 Stable", "west    active  Healthy", "EstimatedLoss", "From the objects"]
        {
            assert!(text.contains(word), "{word} is not in\n{text}");
        }
        assert!(!text.contains("RPO now"), "{text}");
    }

    #[test]
    fn what_is_wrong_with_a_name_is_shown_from_the_objects_too() {
        let (mut kept, now) = (kept(Some(sample::finished_run())), sample::at(1_000));
        let drift = muster_core::journal::Condition {
            ok: false,
            reason: "TrafficDrift".to_owned(),
            message: "shop: no routing control is on".to_owned(),
            since: now,
        };
        kept.journal.state.conditions.insert("TrafficReady".to_owned(), drift);
        let status = status(&policy(&watching()), Some(&kept), now);
        let text = status_view::render(&status, Source::Objects, &sample::look());
        assert!(text.contains("TrafficReady  TrafficDrift  shop: no routing control is on"), "{text}");
    }

    #[test]
    fn a_policy_that_nobody_looked_at_asks_for_the_operator() {
        let object = policy(&json!({}));
        let summary = summary(&object, None);
        assert_eq!((summary.rule, summary.active_region), (None, None));
        assert!(summary.message.contains("does it run"), "{}", summary.message);
        assert_eq!(explanation(&object, None).unwrap_err().code, Code::Refused);
    }

    #[test]
    fn passes_that_fail_are_said_before_what_the_last_good_one_did() {
        let mut told = watching();
        let ready = json!({"type": "Ready", "status": "False", "reason": "PassFails",
            "message": "failed to record: forbidden", "lastTransitionTime": "2025-10-09T08:00:00Z",
            "observedGeneration": 3});
        told["conditions"].as_array_mut().expect("conditions").push(ready);
        let summary = summary(&policy(&told), None);
        assert_eq!(
            (summary.rule, summary.message.as_str()),
            (Some(Rule::Stable), "failed to record: forbidden")
        );
        let explained = explanation(&policy(&told), None).unwrap();
        assert_eq!(explained.message, "failed to record: forbidden");
    }

    #[test]
    fn an_object_that_was_not_taken_is_a_problem_of_its_name() {
        let mut told = watching();
        told["conditions"][0]["status"] = json!("False");
        told["conditions"][0]["reason"] = json!("Invalid");
        let problems = problems(&policy(&told), None);
        assert_eq!(problems.len(), 1);
        assert_eq!((problems[0].file.as_str(), problems[0].reason.as_str()), ("shop/checkout", "Invalid"));
    }

    #[test]
    fn a_waiting_run_is_explained_by_its_own_gates() {
        let kept = kept(Some(waiting_run()));
        let explained = explanation(&policy(&watching()), Some(&kept)).unwrap();
        assert_eq!(explained.rule, Rule::AwaitingApproval);
        assert_eq!(explained.message, "the policy's mode is Approve");
        assert_eq!(explained.gates, waiting_run().gates);
        assert!(explained.candidates.is_empty());
    }

    #[test]
    fn a_plan_is_the_runs_own_and_a_loss_that_is_not_recorded_is_not_known() {
        let mut run = waiting_run();
        run.proofs.clear();
        let plan = preview(&run, Some("3f9c".to_owned()));
        assert_eq!(
            (plan.plan_hash.as_str(), plan.estimated_loss, plan.loss_is_growing),
            ("3f9c", None, true)
        );
        run.kind = RunKind::Switchover;
        let plan = preview(&run, None);
        assert_eq!((plan.plan_hash, plan.estimated_loss), (plan_hash_of(&run), Some(Millis(0))));
    }

    #[test]
    fn without_a_run_there_is_no_plan_and_the_way_to_one_is_said() {
        let failure = no_plan(&policy(&watching()), None);
        assert_eq!(failure.code, Code::Refused);
        assert!(failure.fix.contains("muster failover shop/checkout --request-only"), "{failure}");
    }

    #[test]
    fn an_ended_run_is_read_from_its_record() {
        let run = sample::finished_run();
        let object = run_object(&json!({"phase": "Completed", "epoch": 12,
            "record": serde_json::to_string(&run).expect("a run")}));
        assert_eq!(record(&object).unwrap().and_then(|run| run.outcome), Some(OutcomeKind::Succeeded));
        assert!(record(&run_object(&json!({"record": "{}"}))).is_err(), "of another version");
        assert_eq!(record(&run_object(&json!({"phase": "Executing"}))).unwrap(), None);
    }

    #[test]
    fn a_request_is_unseen_then_waits_and_is_claimed_or_refused() {
        let condition = |status: &str, reason: &str| {
            json!([{"type": "Requested", "status": status, "reason": reason, "message": "",
                "lastTransitionTime": "2025-10-09T08:00:00Z", "observedGeneration": 1}])
        };
        assert_eq!(request_of(&run_object(&json!({}))), Request::Unseen(None));
        let waits = json!({"phase": "Pending", "conditions": condition("True", "Requested")});
        assert_eq!(request_of(&run_object(&waits)), Request::Waits);
        assert_eq!(request_of(&run_object(&json!({"phase": "Pending", "epoch": 12}))), Request::Claimed);
        let refused = json!({"phase": "Failed", "outcome": "Refused", "message": "east is the active region already",
            "conditions": condition("False", "RequestRefused")});
        let Request::Refused(failure) = request_of(&run_object(&refused)) else { panic!("it is refused") };
        assert_eq!(failure.code, Code::Refused);
        assert!(failure.what.ends_with("RequestRefused: east is the active region already"), "{failure}");
    }

    #[test]
    fn a_word_on_an_earlier_consent_is_no_word_on_this_one() {
        let told = |status: &str, generation: i64| {
            run_object(&json!({"phase": "Executing", "conditions": [
                {"type": "ApprovalTaken", "status": status, "reason": "PlanChanged", "message": "another plan",
                    "lastTransitionTime": "2025-10-09T08:00:00Z", "observedGeneration": generation}]}))
        };
        assert_eq!(taken(&told("True", 1), "ApprovalTaken", 2), None);
        assert_eq!(taken(&told("True", 2), "ApprovalTaken", 2), Some(Ok(())));
        let refused = taken(&told("False", 2), "ApprovalTaken", 2).unwrap().unwrap_err();
        assert_eq!(refused.code, Code::Refused);
        assert!(refused.what.contains("another plan (PlanChanged)"), "{refused}");
        assert_eq!(taken(&told("True", 2), "AbortTaken", 2), None);
    }
}
