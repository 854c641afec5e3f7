//! What was observed, with its age. A missing or old fact is unknown, never false.

use crate::health::HealthBook;
use crate::ids::{ClaimKey, Epoch, HolderId, ItemName, Owner, Position, RegionName, RunName, Seq, Term};
use crate::time::{Millis, Stamp, Tick, Wall};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A value and when its observation *began* (receiver's clock): what happened at the target after `at` may be
/// missing from it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Fact<T> {
    /// What was seen.
    pub value: T,
    /// When looking began.
    pub at: Tick,
}

impl<T> Fact<T> {
    /// A fact seen at `at`.
    pub const fn new(value: T, at: Tick) -> Self {
        Self { value, at }
    }
    /// The value, if it is at most `max` old. A negative age is unknown.
    pub fn fresh(&self, now: Tick, max: Millis) -> Option<&T> {
        now.since(self.at).filter(|age| *age <= max).map(|_| &self.value)
    }
}

/// Seen, or a reason why not. "Could not look" never means "is not so".
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Seen<T> {
    /// The target answered.
    Known(T),
    /// It did not; the text is for people.
    Unknown(String),
}

impl<T> Seen<T> {
    /// The value, if the target answered.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }
}

/// Who wrote last, as a target keeps it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Witness {
    /// The policy's UID.
    pub owner: Owner,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its term.
    pub term: Term,
    /// The effect's number; grows with an undo too, so that no old value ever comes back.
    pub seq: Seq,
}

impl Witness {
    /// The order that targets compare by.
    pub const fn order(&self) -> (Epoch, Term, Seq) {
        (self.epoch, self.term, self.seq)
    }
}

/// Whether a data node takes writes, by its own word.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum DataRole {
    /// Accepts writes (a fence may still refuse the application's role, see [`ClosedView`]).
    Writable,
    /// In recovery: replays another node's log.
    Standby,
}

/// What an engine's positions count.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum PositionUnit {
    /// Bytes of a log.
    #[default]
    Bytes,
    /// Microseconds since 1970, by the writer's clock: the engine shows no log, and its newest heartbeat tells how new it is.
    Micros,
}

/// What speaks for a catalogue fence (safety rules, section 3): all of it together is Closed, any less is not.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct ClosedView {
    /// The catalogue says that the application's own role may not log in.
    #[serde(default)]
    pub role_closed: bool,
    /// `Some(true)`: a real write as the application's own role was refused; `Some(false)`: it was accepted. `None`:
    /// not tried, or it could not be told.
    pub app_write_refused: Option<bool>,
    /// Sessions that could still write.
    pub sessions: u32,
    /// Log-ins under way that a fence may have come too late for: no writers yet, and perhaps soon.
    pub arriving: u32,
    /// Prepared transactions.
    pub prepared: u32,
    /// Logical-replication apply workers.
    pub apply_workers: u32,
    /// The write position did not move between two looks.
    pub position_still: bool,
}

impl ClosedView {
    /// Whether the application is let in, as far as the catalogue and the last try say. Not the opposite of
    /// [`Self::is_closed`]: a role that is closed and could not be tried is neither.
    pub fn is_open(&self) -> bool {
        !self.role_closed && self.app_write_refused != Some(true)
    }

    /// Whether it is the proof class Closed.
    pub fn is_closed(&self) -> bool {
        self.app_write_refused == Some(true)
            && self.sessions == 0
            && self.arriving == 0
            && self.prepared == 0
            && self.apply_workers == 0
            && self.position_still
    }
}

/// Synchronous replication as a writer declares it (safety rules, section 6).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct SyncView {
    /// Names on the list, in order; one may be `*`.
    pub listed: Vec<String>,
    /// How many must confirm (0: asynchronous).
    pub needed: u32,
    /// The level is `on` or `remote_apply`, fsync is on, and no role or database overrides it.
    pub level_holds: bool,
    /// No two connected standbys share a name of the list.
    pub names_unique: bool,
}

/// A heartbeat row that a node has: the controller's own, or without one the newest of another writer.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct HeartbeatRow {
    /// Which heartbeat probe wrote it.
    pub writer: String,
    /// Its sequence number.
    pub seq: u64,
    /// When it was acknowledged to its writer, by this controller's tick, if this controller's probe wrote it.
    pub acked_at: Option<Tick>,
}

/// How far a standby was behind its writer when its engine last calculated that.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct EngineLag {
    /// What was committed at the writer and not stored at the standby, as time.
    pub behind: Millis,
    /// How old that word was when the node was looked at: it stays known when nobody tells any more.
    pub age: Millis,
}

impl fmt::Display for EngineLag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} behind by its engine's word of {} before", self.behind, self.age)
    }
}

/// What an engine says of the region that it took the writer's role from without asking it: whether it could keep writes out
/// there.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct WriteBlock {
    /// The old primary's region.
    pub region: RegionName,
    /// When the engine says that it was, by the engine's clock.
    pub at: Wall,
    /// Writes are kept out. `false`: it tried, and could not.
    pub holds: bool,
    /// In the engine's words.
    pub said: String,
}

/// What an engine saved of an old primary that a failover left.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct SavedData {
    /// The old primary's region.
    pub region: RegionName,
    /// When it was saved, by the engine's clock.
    pub at: Wall,
    /// A copy is complete that does not expire.
    pub kept: bool,
    /// Where it is, or what goes on, for people.
    pub said: String,
}

/// What one node of a data item says of itself.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct DataFacts {
    /// Its role.
    pub role: DataRole,
    /// Identity of the data (PostgreSQL: system identifier). Two nodes with other identities never replace each other.
    pub system: String,
    /// Its timeline.
    pub timeline: u64,
    /// What its positions count.
    #[serde(default)]
    pub unit: PositionUnit,
    /// Written (writer) or received (standby).
    pub position: Position,
    /// Replayed (standby); equals `position` on a writer.
    pub replayed: Position,
    /// A standby that is streaming right now.
    pub streaming: bool,
    /// Which address a standby replicates from, without secrets.
    pub upstream: Option<String>,
    /// Whose writes a standby gets, where its engine says so by itself.
    #[serde(default)]
    pub follows: Option<RegionName>,
    /// The witness row.
    pub witness: Option<Witness>,
    /// What speaks for a fence.
    pub closed: ClosedView,
    /// Synchronous settings, on a writer.
    pub sync: SyncView,
    /// The name under which a standby confirms.
    pub sync_name: Option<String>,
    /// Newest heartbeat present.
    pub heartbeat: Option<HeartbeatRow>,
    /// Why it can take over in no way, for people: no instance, another engine, not a member, ...
    #[serde(default)]
    pub unfit: Option<String>,
    /// Why its being in recovery proves nothing, for people: more than one node answers by its name, for example, and nobody
    /// says that none of them takes writes.
    #[serde(default)]
    pub unproven: Option<String>,
    /// What its engine says of writes at an old primary that was not asked, if it does.
    #[serde(default)]
    pub write_block: Option<Box<WriteBlock>>,
    /// What its engine saved of old primaries, once somebody has asked to keep it: the newest of each region.
    #[serde(default)]
    pub saved: Vec<SavedData>,
    /// Why its engine would not hand over to it or from it now, for people: an operation under way, versions that differ, a
    /// control plane that is silent, ... A failover may go on all the same.
    #[serde(default)]
    pub unready: Option<String>,
    /// How far a standby is behind, by its engine's own word, where that has one.
    #[serde(default)]
    pub lag: Option<EngineLag>,
    /// Why nobody can follow this writer, for people: it is in nothing that its engine replicates by.
    #[serde(default)]
    pub alone: Option<String>,
    /// What its provider calls this very node for as long as it exists, where names are used again: another node of its name
    /// has another. `None`: nobody says, and it may be the same.
    #[serde(default)]
    pub node: Option<String>,
    /// How far its engine is with an operation that moves the writer, in the engine's words, for people.
    #[serde(default)]
    pub progress: Option<String>,
}

impl DataFacts {
    /// Whether this node streams what a region writes, as far as its engine says whose writes they are.
    pub fn streams_from(&self, region: &RegionName) -> bool {
        self.streaming && self.follows.as_ref().is_none_or(|followed| followed == region)
    }

    /// Whether this node cannot acknowledge an application's write, as observed.
    pub fn is_closed(&self) -> bool {
        self.is_proven_standby() || self.closed.is_closed()
    }

    /// Whether, as a synchronous standby, it may still confirm what its writer commits.
    pub const fn may_confirm(&self) -> bool {
        self.streaming || self.upstream.is_some()
    }

    /// Whether it only replays, and that speaks for the whole region.
    pub const fn is_proven_standby(&self) -> bool {
        matches!(self.role, DataRole::Standby) && self.unproven.is_none()
    }

    /// Whether this node is seen to take writes beside another one. Not the opposite of [`Self::is_closed`], which is a
    /// proof: where the application's own write is refused, a person's session or a clean-up of the server alone is no
    /// second writer; somebody who could write there while transactions that write do end is one.
    pub fn takes_writes(&self) -> bool {
        let closed = &self.closed;
        let who = closed.sessions.max(closed.prepared).max(closed.apply_workers);
        // A closed role that could not be tried just now is no reason to call the node a writer.
        let barred = closed.app_write_refused.unwrap_or(closed.role_closed);
        self.role == DataRole::Writable && (!barred || (who > 0 && !closed.position_still))
    }
}

/// What bounds a workload's replicas beside Muster.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Autoscaler {
    /// It never goes below.
    pub min: u32,
    /// It never goes above.
    pub max: u32,
}

/// What a region's cluster says of one workload.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ComputeFacts {
    /// Identity of the object: a workload that was deleted and made again is another one.
    pub id: String,
    /// Replicas that are asked for.
    pub wanted: u32,
    /// Replicas that are ready to serve.
    pub ready: u32,
    /// The most that were asked for within the last day, as far as this process saw.
    pub recent: u32,
    /// A horizontal autoscaler of it.
    pub autoscaler: Option<Autoscaler>,
    /// What it had before Muster scaled it; `None`: Muster has given it back, or never had it.
    pub before: Option<u32>,
    /// The mark of who scaled it last.
    pub witness: Option<Witness>,
    /// Who else sets its number of replicas, and will again.
    pub keeper: Option<String>,
}

impl ComputeFacts {
    /// Whether it is asked to run at least so many, as far as its autoscaler allows.
    pub fn is_scaled(&self, replicas: u32) -> bool {
        let allowed = self.allowed(replicas);
        self.wanted >= allowed && self.autoscaler.is_none_or(|a| a.min >= allowed)
    }

    /// So many, or as many as its autoscaler allows.
    pub fn allowed(&self, replicas: u32) -> u32 {
        self.autoscaler.map_or(replicas, |a| replicas.min(a.max))
    }
}

/// What all authoritative servers of a traffic item say.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct TrafficFacts {
    /// Where the record points, if all servers that answered agree and it is one of the regions' targets.
    pub points_to: Option<RegionName>,
    /// Authoritative servers that answered with the same data, out of `servers`.
    pub agree: u32,
    /// All authoritative servers.
    pub servers: u32,
    /// The witness record.
    pub witness: Option<Witness>,
    /// What is not as Muster left it, or not as a flip needs it, for people: another writer's data, a health check that watches
    /// something else, a right that is missing. Without figures that move by themselves.
    pub drift: Option<String>,
    /// What alone keeps the name where it points, and was set on the day: without it clients would go elsewhere. `None`:
    /// nothing does, or it is not known.
    #[serde(default)]
    pub unsettled: Option<String>,
    /// What may yet send the name elsewhere by itself, although every server answers this: a marker that could not be
    /// switched off, for example. Then the move is not durable. Without figures that move by themselves.
    #[serde(default)]
    pub contested: Option<String>,
}

/// What a fence hook's `status` verb says.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum PowerState {
    /// The region's writers run.
    On,
    /// They do not.
    Off,
}

/// What one way to fence says of one region.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct FenceFacts {
    /// The id that the hook speaks of (an instance, a host); a proof is about one id.
    pub id: String,
    /// On or off.
    pub state: PowerState,
    /// Nothing of a fence is left, whether or not anything runs: what was off before the fence is off after its undo too.
    #[serde(default)]
    pub is_lifted: bool,
}

impl FenceFacts {
    /// What a verb says that knows on and off only.
    pub fn new(id: impl Into<String>, state: PowerState) -> Self {
        let is_lifted = state == PowerState::On;
        Self { id: id.into(), state, is_lifted }
    }
}

/// How an issued effect went. Never "done": that is for an observation to say.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// Sent and taken; an external reference if there is one.
    Issued(Option<String>),
    /// The target was there already.
    AlreadyDone,
    /// The target refused: it has seen a newer number.
    StaleEpoch(String),
    /// The target is in another state than the effect expects, or another owner's.
    Conflict(String),
    /// It failed; what may be assumed follows from the class.
    Failed(ErrorClass, String),
}

/// What a failed call means for the next step.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum ErrorClass {
    /// Had no effect; try again.
    Transient,
    /// Had no effect; try again more slowly.
    Throttled,
    /// Had no effect; a permission is missing.
    Denied,
    /// Had no effect; the target is in another state.
    Conflict,
    /// Had no effect; it can never work as asked.
    Invalid,
    /// May have had its effect: observe before anything else.
    UnknownOutcome,
}

/// Probes through the public name.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct PublicFacts {
    /// Successes in a row up to now.
    pub successes: u32,
    /// Start of the first of them.
    pub since: Option<Stamp>,
    /// The newest result, for people.
    pub last: String,
}

/// Heartbeats of one data item, as this controller's writer counts them.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct HeartbeatFacts {
    /// Name of this controller's writer.
    pub writer: String,
    /// Newest acknowledged.
    pub acked_seq: u64,
    /// When it was acknowledged.
    pub acked_at: Option<Stamp>,
    /// Sent without an answer since the newest acknowledged one.
    pub in_flight: u64,
    /// Acknowledgement times of recent sequence numbers, oldest first, bounded.
    pub recent: Vec<(u64, Stamp)>,
}

/// The exact count of lost writes, from the old primary's log after the fork.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct LossFacts {
    /// Commits on the old timeline after the fork, all writers together; not the fence's own.
    pub commits_after_fork: u64,
    /// Heartbeats among them, acknowledged or not.
    pub heartbeats_after_fork: u64,
    /// Time between the newest commit kept and the newest commit lost.
    pub span: Option<Millis>,
}

/// What the shell knows of the journal itself.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct JournalFacts {
    /// A write was tried and went through, with the room that a run needs.
    pub writable: Seen<()>,
    /// Claims of this policy that others hold.
    pub foreign_claims: BTreeMap<ClaimKey, Owner>,
}

impl Default for JournalFacts {
    fn default() -> Self {
        Self { writable: Seen::Unknown("not tried yet".into()), foreign_claims: BTreeMap::new() }
    }
}

/// A map by item and region.
pub type ByItemRegion<T> = BTreeMap<ItemName, BTreeMap<RegionName, Fact<Seen<T>>>>;

/// All that one pass saw. Every part may be missing.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Observations {
    /// This process, as the lease knows it.
    pub holder: Option<HolderId>,
    /// When this pass began to look; what promotion needs must be seen at or after it.
    pub pass: Tick,
    /// Probe results, folded.
    pub health: HealthBook,
    /// Data nodes.
    pub data: ByItemRegion<DataFacts>,
    /// Traffic records.
    pub traffic: BTreeMap<ItemName, Fact<Seen<TrafficFacts>>>,
    /// Workloads.
    #[serde(default)]
    pub compute: ByItemRegion<ComputeFacts>,
    /// Fence hooks' `status`, by way and region.
    pub fences: ByItemRegion<FenceFacts>,
    /// Outcomes of effects that this process issued.
    pub outcomes: BTreeMap<Seq, Fact<Outcome>>,
    /// Effects that this process has under way.
    pub in_flight: std::collections::BTreeSet<Seq>,
    /// Hooks that say by their `status` that they are done.
    pub hooks: BTreeMap<ItemName, Fact<Seen<bool>>>,
    /// The public name.
    pub public: Option<Fact<PublicFacts>>,
    /// Heartbeats by data item.
    pub heartbeats: BTreeMap<ItemName, HeartbeatFacts>,
    /// Old logs that were read, by data item and run.
    pub losses: BTreeMap<ItemName, BTreeMap<RunName, LossFacts>>,
    /// The journal.
    pub journal: JournalFacts,
}
