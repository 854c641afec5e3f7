//! The world as it is, not as it is seen.

use crate::clock::Clock;
use crate::execute::Board;
use muster_core::effect::{Action, Effect};
use muster_core::facts::{ErrorClass, Fact, HeartbeatFacts, Outcome, PublicFacts, Witness};
use muster_core::health::{ProbeResult, Sample};
use muster_core::ids::RegionName;
use muster_core::policy::{On, Policy};
use muster_core::time::Stamp;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One database node with the service on it.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, Debug)]
pub struct Node {
    /// The machine runs.
    pub running: bool,
    /// It answers.
    pub reachable: bool,
    /// It takes writes.
    pub writable: bool,
    /// The application may log in.
    pub logins: bool,
    /// Its timeline.
    pub timeline: u64,
    /// Its position.
    pub position: u64,
    /// The node it replicates from.
    pub follows: Option<RegionName>,
    /// The witness row.
    pub witness: Option<Witness>,
    /// Newest heartbeat.
    pub beat: u64,
}

/// How a target meets an effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The call never returns and never lands.
    Hangs,
    /// The call is refused as transient.
    Fails,
    /// The effect lands, but its answer is lost.
    AnswerLost,
    /// The call panics.
    Panics,
}

/// An effect that reached its target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Landed {
    /// The effect.
    pub effect: Effect,
    /// The run it was sent for.
    pub run: String,
}

/// What tests set and read.
#[derive(Debug)]
pub(super) struct State {
    pub(super) nodes: BTreeMap<RegionName, Node>,
    pub(super) points_to: RegionName,
    pub(super) name_witness: Option<Witness>,
    pub(super) landed: Vec<Landed>,
    pub(super) faults: BTreeMap<&'static str, Fault>,
    pub(super) looks: u64,
    /// A look at data that is not wanted at once waits so long for others.
    pub(super) shares: Option<Duration>,
    pub(super) hanging: u64,
    pub(super) beats: HeartbeatFacts,
    pub(super) public: PublicFacts,
    pub(super) system: String,
}

/// Worlds made so far: each has other data.
static WORLDS: AtomicU64 = AtomicU64::new(1);

/// A database node in each region, a name, a power switch.
#[derive(Debug)]
pub struct World {
    state: Mutex<State>,
    clock: Clock,
}

impl World {
    /// All is well in east and west; east takes the writes.
    pub fn new(clock: Clock) -> Arc<Self> {
        Self::of(&["east", "west"], clock)
    }

    /// All is well in `regions`; the first takes the writes, the others follow it.
    pub fn of(regions: &[&str], clock: Clock) -> Arc<Self> {
        let primary = RegionName::from(*regions.first().expect("a test names a region"));
        let node = |first: bool| Node {
            running: true,
            reachable: true,
            writable: first,
            logins: true,
            timeline: 1,
            position: 1000,
            follows: (!first).then(|| primary.clone()),
            witness: None,
            beat: 0,
        };
        let state = State {
            nodes: regions.iter().map(|name| ((*name).into(), node(*name == primary.as_str()))).collect(),
            points_to: primary.clone(),
            name_witness: None,
            landed: Vec::new(),
            faults: BTreeMap::new(),
            looks: 0,
            shares: None,
            hanging: 0,
            beats: HeartbeatFacts { writer: "controller".into(), ..HeartbeatFacts::default() },
            public: PublicFacts::default(),
            system: format!("sys-{}", WORLDS.fetch_add(1, Ordering::Relaxed)),
        };
        Arc::new(Self { state: Mutex::new(state), clock })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a node.
    pub fn change(&self, region: &str, change: impl FnOnce(&mut Node)) {
        change(self.lock().nodes.get_mut(&region.into()).expect("a test names a region of the world"));
    }

    /// Which data the nodes hold.
    pub fn system(&self) -> String {
        self.lock().system.clone()
    }

    /// Other names for the nodes of another world: both see the same data.
    pub fn set_system(&self, system: String) {
        self.lock().system = system;
    }

    /// The node as it is.
    pub fn node(&self, region: &str) -> Node {
        self.lock().nodes[&region.into()].clone()
    }

    /// Where the name points.
    pub fn points_to(&self) -> RegionName {
        self.lock().points_to.clone()
    }

    /// From now on, effects of this kind meet a fault; `None` heals.
    pub fn set_fault(&self, kind: &'static str, fault: Option<Fault>) {
        let mut state = self.lock();
        match fault {
            Some(fault) => state.faults.insert(kind, fault),
            None => state.faults.remove(kind),
        };
    }

    /// Effects that reached their target, in order.
    pub fn landed(&self) -> Vec<Landed> {
        self.lock().landed.clone()
    }

    /// How often a target of this kind of action was reached.
    pub fn count(&self, kind: &str) -> usize {
        self.lock().landed.iter().filter(|l| l.effect.action.kind() == kind).count()
    }

    /// From now on looks at data wait so long for those of others; before the adapters are handed out.
    pub fn share_reads(&self, wait: Duration) {
        self.lock().shares = Some(wait);
    }

    /// Looks at targets so far.
    pub fn looks(&self) -> u64 {
        self.lock().looks
    }

    /// Calls that hang, or hung until their deadline.
    pub fn hanging(&self) -> u64 {
        self.lock().hanging
    }

    /// Regions in which the application can write.
    pub fn writers(&self) -> Vec<RegionName> {
        let state = self.lock();
        let open = |n: &Node| n.running && n.writable && n.logins;
        state.nodes.iter().filter(|(_, n)| open(n)).map(|(r, _)| r.clone()).collect()
    }

    /// One round of everything that probes: two vantages, the public name, a heartbeat.
    pub fn probe(&self, board: &Board, policy: &Policy, active: Option<&RegionName>) {
        let now = self.clock.now();
        let mut state = self.lock();
        for (region, node) in &state.nodes {
            for plan in &policy.probes {
                let is_active = active == Some(region);
                let runs = plan.on == On::Both || (plan.on == On::Primary) == is_active;
                let good = node.answers() && (plan.on != On::Primary || (node.writable && node.logins));
                for vantage in ["controller", "v1"].iter().filter(|_| runs) {
                    let sample = Sample {
                        region: region.clone(),
                        vantage: (*vantage).into(),
                        probe: plan.name.clone(),
                        result: if good { ProbeResult::Pass } else { ProbeResult::Fail },
                        at: now,
                        detail: String::new(),
                    };
                    board.fold_sample(&sample, policy);
                }
            }
        }
        if let Some(active) = active {
            state.beat(active, now);
            board.set_heartbeat(&"orders".into(), state.beats.clone());
        }
        let public = state.probe_public(now);
        board.set_public(Fact::new(public, now.tick));
    }

    /// Probes every 10 ms until dropped.
    pub async fn keep_probing(self: Arc<Self>, handle: crate::execute::PolicyHandle) {
        loop {
            let policy = handle.acting.borrow().policy.clone();
            let latest = handle.latest.borrow().clone();
            let active = latest.and_then(|l| l.journal.as_ref()?.state.active_region.clone());
            self.probe(&handle.board, &policy, active.as_ref());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What the target does with an effect that reaches it.
    pub(super) fn apply(&self, effect: &Effect, run: &str) -> Outcome {
        let mut state = self.lock();
        state.landed.push(Landed { effect: effect.clone(), run: run.to_owned() });
        state.apply(effect)
    }

    pub(super) fn fault(&self, kind: &str) -> Option<Fault> {
        self.lock().faults.get(kind).copied()
    }
}

impl Node {
    pub(super) const fn answers(&self) -> bool {
        self.running && self.reachable
    }
}

impl State {
    fn beat(&mut self, active: &RegionName, now: Stamp) {
        let Some(writer) = self.nodes.get_mut(active).filter(|n| n.answers() && n.writable) else { return };
        self.beats.acked_seq += 1;
        self.beats.acked_at = Some(now);
        self.beats.recent.push((self.beats.acked_seq, now));
        if self.beats.recent.len() > 64 {
            self.beats.recent.remove(0);
        }
        writer.beat = self.beats.acked_seq;
        writer.position += u64::from(writer.logins);
        self.replicate(active);
    }

    pub(super) fn replicate(&mut self, from: &RegionName) {
        let writer = self.nodes[from].clone();
        for node in self.nodes.values_mut().filter(|n| n.answers() && n.follows.as_ref() == Some(from)) {
            (node.position, node.timeline, node.witness, node.beat, node.logins) =
                (writer.position, writer.timeline, writer.witness.clone(), writer.beat, writer.logins);
        }
    }

    fn probe_public(&mut self, now: Stamp) -> PublicFacts {
        let node = &self.nodes[&self.points_to];
        if node.answers() && node.writable && node.logins {
            self.public.successes += 1;
            self.public.since.get_or_insert(now);
        } else {
            self.public = PublicFacts { last: "failed".into(), ..PublicFacts::default() };
        }
        self.public.clone()
    }

    fn apply(&mut self, effect: &Effect) -> Outcome {
        let mark =
            Witness { owner: effect.owner.clone(), epoch: effect.epoch, term: effect.term, seq: effect.seq };
        let unreachable = || Outcome::Failed(ErrorClass::Transient, "no answer".into());
        match &effect.action {
            Action::OpenWriter { region, .. } => {
                let node = self.nodes.get_mut(region).expect("a region of the world");
                if !node.answers() || !node.writable {
                    return unreachable();
                }
                if node.witness.as_ref().is_some_and(|w| w.order() > mark.order()) {
                    return Outcome::StaleEpoch("newer witness".into());
                }
                (node.witness, node.logins) = (Some(mark), true);
                self.replicate(region);
            }
            Action::Fence { way, region } | Action::Unfence { way, region } => {
                let fences = matches!(effect.action, Action::Fence { .. });
                let node = self.nodes.get_mut(region).expect("a region of the world");
                if way.as_str() == "power" {
                    node.running = !fences;
                } else if node.answers() {
                    node.logins = !fences;
                } else {
                    return unreachable();
                }
            }
            Action::Promote { region, .. } => {
                let node = self.nodes.get_mut(region).expect("a region of the world");
                if !node.answers() {
                    return unreachable();
                }
                if node.witness.as_ref().is_some_and(|w| w.epoch > mark.epoch) {
                    return Outcome::StaleEpoch("newer witness".into());
                }
                if node.writable {
                    return Outcome::AlreadyDone;
                }
                (node.writable, node.follows, node.logins) = (true, None, true);
                node.timeline += 1;
            }
            Action::Rejoin { region, follow, .. } => {
                let node = self.nodes.get_mut(region).expect("a region of the world");
                (node.running, node.reachable, node.writable) = (true, true, false);
                node.follows = Some(follow.clone());
                self.replicate(follow);
            }
            Action::Flip { to, .. } => {
                if self.name_witness.as_ref().is_some_and(|w| w.order() > mark.order()) {
                    return Outcome::StaleEpoch("newer witness".into());
                }
                (self.points_to, self.name_witness) = (to.clone(), Some(mark));
            }
            // No world of these has workloads.
            Action::KeepOldData { .. }
            | Action::StopReceiving { .. }
            | Action::ResumeReceiving { .. }
            | Action::Scale { .. }
            | Action::Restore { .. }
            | Action::Detach { .. }
            | Action::SwitchOver { .. }
            | Action::Settle { .. }
            | Action::Hook { .. } => {}
        }
        Outcome::Issued(None)
    }
}
