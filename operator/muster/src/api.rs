//! The wire types of the local HTTP API, for the server, the command line and `muster vantage`.
//!
//! JSON over HTTP, `authorization: Bearer <token>`; on loopback unless asked otherwise. Field names are camelCase;
//! the core's own types (journal, run, plan) are shown as the journal keeps them. Durations are whole milliseconds.
//!
//! | verb and path | body | answer |
//! |---|---|---|
//! | `GET /v1/health` | | [`Health`] |
//! | `GET /v1/policies` | | [`PolicyList`] |
//! | `GET /v1/policies/{ns}/{name}` | | [`PolicyStatus`] |
//! | `GET /v1/policies/{ns}/{name}/explain` | | [`muster_core::decision::Explanation`] |
//! | `GET /v1/policies/{ns}/{name}/plan?kind=Failover&to=west` | | [`muster_core::decision::PlanPreview`] |
//! | `GET /v1/policies/{ns}/{name}/runs` | | [`RunList`], newest first |
//! | `POST /v1/policies/{ns}/{name}/runs` | [`StartRun`] | [`Accepted`] |
//! | `POST /v1/policies/{ns}/{name}/approve` | [`Approve`] | [`Accepted`] |
//! | `POST /v1/policies/{ns}/{name}/abort` | [`Abort`] | [`Accepted`] |
//! | `POST /v1/policies/{ns}/{name}/ack` | [`Ack`] | [`Accepted`] |
//! | `POST /v1/policies/{ns}/{name}/adopt` | [`Adopt`] | [`Accepted`] |
//! | `POST /v1/policies/{ns}/{name}/pause` | [`Pause`] | [`Accepted`] |
//! | `POST /v1/policies/{ns}/{name}/resume` | [`Resume`] | [`Accepted`] |
//! | `POST /v1/policies/{ns}/{name}/probe` | | [`ProbeReport`] |
//! | `GET /v1/runs/{run}` | | [`RunReport`] |
//! | `GET /v1/runs/{run}/frames` | | [`FrameList`] |
//! | `GET /v1/events?since=0&wait=10000&policy=ns/name` | | [`EventPage`]; waits at most `wait` ms for one |
//! | `POST /v1/vantage/report` | [`VantageReport`] | [`VantageReply`]; the token is the vantage's own |
//!
//! Refusals are an [`ApiError`]: 400 bad input (names the field), 401 no or wrong token, 404 unknown policy or run,
//! 409 refused by a rule, 503 this process cannot answer now (standby without that data, journal not readable).

use muster_core::decision::{Blocker, Decision};
use muster_core::facts::{ComputeFacts, DataRole, EngineLag, Observations, PowerState, Witness};
use muster_core::health::{ProbeResult, Verdict, VerdictKind};
use muster_core::ids::{
    Epoch, HolderId, ItemName, Owner, PolicyName, Position, ProbeName, RegionName, RunName, Term, VantageName,
};
use muster_core::journal::{Journal, Measured, OutcomeKind, Phase, Run, RunKind, Trigger};
use muster_core::policy::{Mode, Policy};
use muster_core::rules::Rule;
use muster_core::time::{Millis, Stamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Why something was refused or failed. The status code says which of both.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiError {
    /// `PascalCase`, bounded set; for refusals by a rule, the page in runbooks/.
    pub reason: String,
    /// For people, with what to do instead.
    pub message: String,
    /// The input field that is wrong, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// Whether this process acts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Role {
    /// It holds the lease.
    Active,
    /// Another process holds it, or nobody yet; this one only looks.
    Standby,
}

/// The process as a whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// This process.
    pub holder: HolderId,
    /// Its version.
    pub version: String,
    /// Whether it acts.
    pub role: Role,
    /// Who holds the lease, as last read.
    pub lease_holder: Option<HolderId>,
    /// Why the journal cannot be used, if it cannot.
    pub journal_problem: Option<String>,
    /// Policies in force.
    pub policies: u32,
    /// Files that were not taken.
    pub file_problems: Vec<FileProblem>,
    /// Since the start.
    pub uptime: Millis,
}

/// A policy file that is not in force as written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileProblem {
    /// The file's name in the policies' folder.
    pub file: String,
    /// The policy that it is about, if that much could be read.
    pub policy: Option<PolicyName>,
    /// `PascalCase`: `Unreadable`, `Invalid`, `DuplicateName`, `Removed`, `SpecChangeDeferred`.
    pub reason: String,
    /// The field and the fix.
    pub message: String,
    /// Whether an earlier good version stays in force meanwhile.
    pub last_good_in_force: bool,
}

/// All policies in brief.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyList {
    /// By name.
    pub policies: Vec<PolicySummary>,
    /// Files that were not taken.
    pub file_problems: Vec<FileProblem>,
}

/// A policy on one line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicySummary {
    /// `namespace/name`.
    pub name: PolicyName,
    /// How far it goes by itself.
    pub mode: Mode,
    /// In order of preference.
    pub regions: Vec<RegionName>,
    /// The region that takes writes.
    pub active_region: Option<RegionName>,
    /// Who paused, and why.
    pub paused: Option<String>,
    /// What a person must acknowledge.
    pub needs_ack: Option<String>,
    /// The rule of the newest pass; `None` before the first one.
    pub rule: Option<Rule>,
    /// What that rule said, or why there was no pass.
    pub message: String,
    /// By region.
    pub verdicts: BTreeMap<RegionName, VerdictKind>,
    /// The active run.
    pub run: Option<RunSummary>,
    /// Data loss if the active region were gone now: age of the newest write that a standby is known to have.
    pub live_rpo: Option<Millis>,
}

/// All about one policy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// In brief.
    pub summary: PolicySummary,
    /// The policy in force: the run's while one is active.
    pub policy: Policy,
    /// Its file's problems.
    pub file_problems: Vec<FileProblem>,
    /// The journal as this process last loaded or recorded it.
    pub journal: Journal,
    /// The newest pass; `None` before the first one.
    pub decision: Option<DecisionBrief>,
    /// By region.
    pub verdicts: BTreeMap<RegionName, Verdict>,
    /// Probes that do not pass right now.
    pub failing: Vec<FailingProbe>,
    /// What was seen, with ages.
    pub facts: FactsBrief,
    /// Who holds the lease.
    pub lease_holder: Option<HolderId>,
    /// Whether that is the answering process.
    pub role: Role,
    /// When this answer was made; ages count from here.
    pub at: Stamp,
}

/// A pass in brief.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionBrief {
    /// The rule that fired.
    pub rule: Rule,
    /// What it said.
    pub message: String,
    /// All that blocks.
    pub blocked: Vec<Blocker>,
    /// How long ago.
    pub age: Millis,
}

/// A probe that does not pass.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailingProbe {
    /// Where it points.
    pub region: RegionName,
    /// Who looks.
    pub vantage: VantageName,
    /// Which.
    pub probe: ProbeName,
    /// Its newest result.
    pub result: ProbeResult,
    /// The failing expression and value.
    pub detail: String,
    /// How long ago it began.
    pub age: Millis,
}

/// What was seen of the world.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FactsBrief {
    /// Nodes, by item and region.
    pub data: Vec<DataBrief>,
    /// Names.
    pub traffic: Vec<TrafficBrief>,
    /// Workloads, by item and region.
    #[serde(default)]
    pub compute: Vec<ComputeBrief>,
    /// Fence hooks' word.
    pub fences: Vec<FenceBrief>,
    /// Through the public name.
    pub public: Option<PublicBrief>,
    /// By data item.
    pub heartbeats: Vec<HeartbeatBrief>,
}

/// One data node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataBrief {
    /// Data item.
    pub item: ItemName,
    /// Where.
    pub region: RegionName,
    /// `None`: unknown.
    pub role: Option<DataRole>,
    /// Closed for the application, as observed.
    pub closed: bool,
    /// A standby that is streaming.
    pub streaming: bool,
    /// Its timeline, where the engine counts them.
    pub timeline: Option<u64>,
    /// Written or received.
    pub position: Option<Position>,
    /// Bytes behind the writer of the same item, when both are known on one timeline.
    pub lag_bytes: Option<u64>,
    /// Why it could not take over now, if so.
    #[serde(default)]
    pub unfit: Option<String>,
    /// Why its engine would not hand over to it or from it now, if so.
    #[serde(default)]
    pub unready: Option<String>,
    /// How far it is behind by its engine's own word, if that has one.
    #[serde(default)]
    pub engine_lag: Option<EngineLag>,
    /// Who wrote last.
    pub witness: Option<Witness>,
    /// Why nothing is known, if so.
    pub unknown: Option<String>,
    /// How old this is.
    pub age: Millis,
}

/// One public name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficBrief {
    /// Traffic item.
    pub item: ItemName,
    /// Where it points, if all servers agree.
    pub points_to: Option<RegionName>,
    /// Servers that answered alike.
    pub agree: u32,
    /// All servers.
    pub servers: u32,
    /// What is not as Muster left it, or not as a flip needs it.
    pub drift: Option<String>,
    /// What alone keeps it there, until it is settled.
    #[serde(default)]
    pub unsettled: Option<String>,
    /// What may yet send it elsewhere by itself, until it is settled.
    #[serde(default)]
    pub contested: Option<String>,
    /// Why nothing is known, if so.
    pub unknown: Option<String>,
    /// How old this is.
    pub age: Millis,
}

/// One workload in one region.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComputeBrief {
    /// Compute item.
    pub item: ItemName,
    /// Where.
    pub region: RegionName,
    /// What its cluster says.
    pub seen: Option<ComputeFacts>,
    /// Why nothing is known, if so.
    pub unknown: Option<String>,
    /// How old this is.
    pub age: Millis,
}

/// What one fence says of one region.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FenceBrief {
    /// The way.
    pub way: ItemName,
    /// The region.
    pub region: RegionName,
    /// `None`: unknown.
    pub state: Option<PowerState>,
    /// What it speaks of.
    pub id: Option<String>,
    /// Why nothing is known, if so.
    pub unknown: Option<String>,
    /// How old this is.
    pub age: Millis,
}

/// The public name's probe.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicBrief {
    /// Successes in a row.
    pub successes: u32,
    /// Newest result.
    pub last: String,
    /// How old this is.
    pub age: Millis,
}

/// Heartbeats of one data item.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatBrief {
    /// Data item.
    pub item: ItemName,
    /// This controller's writer.
    pub writer: String,
    /// Newest acknowledged.
    pub acked_seq: u64,
    /// How long ago it was acknowledged.
    pub acked_age: Option<Millis>,
    /// Sent without an answer.
    pub in_flight: u64,
    /// Newest sequence number seen at each standby.
    pub present: BTreeMap<RegionName, u64>,
    /// See [`PolicySummary::live_rpo`], for the best standby.
    pub live_rpo: Option<Millis>,
}

/// Runs, newest first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunList {
    /// The active one first.
    pub runs: Vec<RunSummary>,
}

/// A run on one line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    /// Its name.
    pub name: RunName,
    /// Whose.
    pub policy: PolicyName,
    /// What.
    pub kind: RunKind,
    /// Left.
    pub from: RegionName,
    /// Taken.
    pub to: RegionName,
    /// Who started it.
    pub trigger: Trigger,
    /// Why.
    pub reason: String,
    /// Its number.
    pub epoch: Epoch,
    /// Its holder's number.
    pub term: Term,
    /// For people.
    pub phase: Phase,
    /// Since when.
    pub phase_since: Stamp,
    /// Where it hangs, or the last step.
    pub step: Option<String>,
    /// Why it waits or how it ended.
    pub message: String,
    /// Detected, or asked for.
    pub started: Option<Stamp>,
    /// How it ended.
    pub outcome: Option<OutcomeKind>,
    /// Figures.
    pub measured: Measured,
    /// Whether it is the active one.
    pub active: bool,
}

/// One run in full.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// Whose.
    pub policy: PolicyName,
    /// Spec and journal.
    pub run: Run,
    /// Whether it is the active one.
    pub active: bool,
}

/// One recorded decision with all that it was made from: equal inputs give an equal decision.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Frame {
    /// When it was decided.
    pub at: Stamp,
    /// The policy given to the core.
    pub policy: Policy,
    /// The journal before.
    pub journal: Journal,
    /// What was seen.
    pub observations: Observations,
    /// What was decided, with the journal after.
    pub decision: Decision,
    /// What the pass cost.
    #[serde(default)]
    pub took: PassTimes,
}

/// What a pass cost, by stage, in microseconds. Only `observe` waits for targets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PassTimes {
    /// Journal and claims.
    pub load_us: u64,
    /// Looking, as long as the pass waited for it.
    pub observe_us: u64,
    /// The core.
    pub decide_us: u64,
    /// Until the record was durable.
    pub record_us: u64,
}

/// The recorded decisions of a run, oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrameList {
    /// Bounded; the oldest are dropped first.
    pub frames: Vec<Frame>,
}

/// Asks for a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StartRun {
    /// What.
    pub kind: RunKind,
    /// To where; absent: the core chooses.
    #[serde(default)]
    pub to: Option<RegionName>,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
    /// Consent given with the request, bound to a plan that was shown before.
    #[serde(default)]
    pub approve: Option<Consent>,
}

/// Consent is about what was seen; nobody has seen tomorrow.
pub const LONGEST_CONSENT: Millis = Millis::from_secs(24 * 3600);

/// Consent to one plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Consent {
    /// Hash of the plan that was shown.
    pub plan_hash: String,
    /// Accept at most this loss, in milliseconds.
    #[serde(default)]
    pub max_loss: Option<Millis>,
    /// Gates by name that may be unmet.
    #[serde(default)]
    pub waives: BTreeSet<String>,
    /// For how long, in milliseconds.
    pub valid_for: Millis,
}

/// Agrees to the active run's plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approve {
    /// The active run's name.
    pub run: RunName,
    /// Hash of the plan that was shown.
    pub plan_hash: String,
    /// Accept at most this loss, in milliseconds.
    #[serde(default)]
    pub max_loss: Option<Millis>,
    /// Gates by name that may be unmet.
    #[serde(default)]
    pub waives: BTreeSet<String>,
    /// Who.
    pub by: String,
    /// For how long, in milliseconds.
    pub valid_for: Millis,
}

/// Aborts the active run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Abort {
    /// The active run's name.
    pub run: RunName,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Acknowledges what made automation stand still.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ack {
    /// Who.
    pub by: String,
}

/// Takes over targets that another owner marked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Adopt {
    /// Whose marks.
    pub owner: Owner,
    /// Who.
    pub by: String,
}

/// No new effect until resumed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pause {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Undoes a pause.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resume {
    /// Who.
    pub by: String,
}

/// A wish was recorded.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// The run that it is about, if it is about one.
    pub run: Option<RunName>,
    /// What happens next.
    pub message: String,
}

/// Each probe run once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeReport {
    /// By probe and region.
    pub results: Vec<ProbeOnce>,
}

/// One run of one probe.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeOnce {
    /// Which; `public` is the one through the public name.
    pub probe: ProbeName,
    /// Against which region; `None`: the public name or an anchor.
    pub region: Option<RegionName>,
    /// What it said.
    pub result: ProbeResult,
    /// How long it took.
    pub took: Millis,
    /// The failing expression and value.
    pub detail: String,
}

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventRecord {
    /// Grows by one; starts anew with the process.
    pub id: u64,
    /// When.
    pub at: Stamp,
    /// Whose.
    pub policy: PolicyName,
    /// The active run then.
    pub run: Option<RunName>,
    /// Whether a person should look.
    pub warning: bool,
    /// `PascalCase`, bounded set.
    pub reason: String,
    /// With values.
    pub message: String,
}

/// Recent events.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventPage {
    /// Newer than asked for, oldest first.
    pub events: Vec<EventRecord>,
    /// Ask with `since` = this for what comes after.
    pub next: u64,
}

/// What a vantage saw since its last report.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VantageReport {
    /// Which vantage; the token must be its own.
    pub vantage: VantageName,
    /// How long the previous report took until its answer, in milliseconds; ages lie at most this much too low.
    #[serde(default)]
    pub round_trip: Option<Millis>,
    /// By policy; a policy without samples asks for its active region.
    pub policies: BTreeMap<PolicyName, Vec<AgedSample>>,
}

/// A probe result with its age instead of a time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgedSample {
    /// Of which region.
    pub region: RegionName,
    /// Which probe.
    pub probe: ProbeName,
    /// What it said.
    pub result: ProbeResult,
    /// How long before the report was sent it began, in milliseconds. Negative: dropped by the receiver.
    pub age: i64,
    /// For people.
    pub detail: String,
}

/// What the controller says to a vantage.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VantageReply {
    /// The region that takes writes, by policy; `None`: not known yet.
    pub active_regions: BTreeMap<PolicyName, Option<RegionName>>,
    /// The process that answers: a name may lead to it by several addresses, and is told once.
    #[serde(default)]
    pub holder: Option<HolderId>,
    /// Policies that were not taken, and why (unknown, token of another vantage).
    pub refused: BTreeMap<PolicyName, String>,
}
