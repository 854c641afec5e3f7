//! A small world to decide about: databases, a name, a power switch, and time that moves only when asked.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::wildcard_imports,
    clippy::struct_excessive_bools,
    clippy::too_many_lines
)]

mod pods;

pub use pods::{Change, Pods};

use muster_core::decide::{decide, preview};
use muster_core::decision::Decision;
use muster_core::effect::{Action, Effect};
use muster_core::facts::*;
use muster_core::health::{HealthBook, ProbeResult, Sample};
use muster_core::ids::*;
use muster_core::journal::*;
use muster_core::policy::*;
use muster_core::time::*;
use muster_core::wish::{Refusal, Wish, take_in};
use std::collections::{BTreeMap, BTreeSet};

pub fn region(name: &str) -> RegionName {
    RegionName::new(name)
}
pub fn item(name: &str) -> ItemName {
    ItemName::new(name)
}

/// Two regions, one database, one name, both fences, Automatic.
pub fn policy() -> Policy {
    let threshold = |count, secs| Threshold { count, min: Millis::from_secs(secs) };
    Policy {
        name: "shop/checkout".into(),
        owner: "owner-1".into(),
        generation: 1,
        mode: Mode::Automatic,
        written: String::new(),
        objectives: Objectives::default(),
        regions: vec![region("east"), region("west")],
        probes: vec![
            ProbePlan { name: "order".into(), on: On::Primary, every: Millis(1000), timeout: Millis(500) },
            ProbePlan { name: "api".into(), on: On::Both, every: Millis(1000), timeout: Millis(500) },
        ],
        public_probe: Some(PublicProbe { every: Millis(1000), timeout: Millis(500), successes: 2 }),
        detection: Detection {
            trip: threshold(3, 2),
            reset: threshold(2, 1),
            aggregate: Aggregate::AnyOf(BTreeSet::from(["order".into()])),
            quorum: 2,
            anchors: 2,
        },
        data: vec![DataItem {
            name: item("orders"),
            engine: "postgres".to_owned(),
            claims: BTreeSet::from(["pg/orders".into()]),
            expected_promote: Millis(1000),
            promote_deadline: Millis::from_secs(10),
            capability: Capability::Checked,
            hands_over: false,
            saves_old_data: false,
            detaches_after: None,
            can_rejoin: true,
            rejoin_timeout: Millis::from_secs(60),
            no_ack_declared: false,
        }],
        compute: Vec::new(),
        traffic: vec![TrafficItem {
            name: item("shop"),
            engine: "rfc2136".to_owned(),
            claims: BTreeSet::from(["dns/shop".into()]),
            ttl: Millis(1000),
            deadline: Millis::from_secs(5),
        }],
        fences: vec![
            FenceWay {
                name: item("logins"),
                kind: FenceKind::Data(item("orders")),
                proof: ProofClass::Closed,
                timeout: Millis::from_secs(2),
                attempts: 2,
            },
            FenceWay {
                name: item("power"),
                kind: FenceKind::Hook,
                proof: ProofClass::Attested,
                timeout: Millis::from_secs(2),
                attempts: 2,
            },
        ],
        hooks: vec![],
        safety: Safety {
            cooldown: Millis::from_secs(60),
            max_estimated_loss: Some(Millis::from_secs(30)),
            accept: BTreeSet::from([ProofClass::Attested]),
            without_fence: None,
        },
    }
}

/// One database node.
#[derive(Clone, Debug)]
pub struct Node {
    /// What its provider calls it; `None`: the provider is silent.
    pub id: Option<String>,
    pub running: bool,
    pub reachable: bool,
    pub writable: bool,
    pub logins: bool,
    pub timeline: u64,
    pub position: u64,
    pub follows: Option<RegionName>,
    pub witness: Option<Witness>,
    pub beat: u64,
    /// Sessions of somebody who could write, whatever the application may do.
    pub sessions: u32,
    /// Transactions that write end there.
    pub moving: bool,
    /// How far it is behind by its engine's word.
    pub lag: Option<EngineLag>,
}

/// An engine with a switchover of its own, which carries the item `events`; looked at only where the policy has it.
#[derive(Clone, Debug)]
pub struct Engine {
    pub writer: RegionName,
    pub witness: Option<Witness>,
    /// What it accepted and has not done yet.
    pub moving_to: Option<RegionName>,
    /// It does at once what it accepts.
    pub prompt: bool,
    /// It accepts nothing: a right is missing.
    pub refuses: bool,
    /// It takes a promotion and never comes to its end, unless it [`World::land`]s.
    pub hangs: bool,
    /// How far it is, in its own words.
    pub progress: Option<String>,
    /// A region that left what it replicates by, and takes writes alone.
    pub alone: Option<RegionName>,
    /// What becomes of a detachment that it is asked for, if it is not done at once.
    pub detaches: Option<Outcome>,
    /// What becomes of the first promotion that it is asked for.
    pub first_refusal: Option<ErrorClass>,
    /// What a region says against taking over or handing over.
    pub unfit: BTreeMap<RegionName, String>,
}

impl Engine {
    /// Whether a region takes writes: as the engine's one writer, or alone.
    pub fn writes(&self, region: &RegionName) -> bool {
        self.writer == *region || self.alone.as_ref() == Some(region)
    }
}

/// The item that an engine hands over.
pub fn events() -> DataItem {
    DataItem {
        name: item("events"),
        engine: "auroraGlobal".to_owned(),
        claims: BTreeSet::from(["aurora/events".into()]),
        expected_promote: Millis(1000),
        promote_deadline: Millis::from_secs(300),
        capability: Capability::Unchecked,
        hands_over: true,
        saves_old_data: false,
        detaches_after: None,
        can_rejoin: false,
        rejoin_timeout: Millis(0),
        no_ack_declared: false,
    }
}

/// The world as it is, not as it is seen.
#[derive(Clone, Debug)]
pub struct World {
    pub policy: Policy,
    pub journal: Journal,
    pub now: Stamp,
    pub holder: HolderId,
    pub nodes: BTreeMap<RegionName, Node>,
    pub engine: Engine,
    pub points_to: RegionName,
    pub dns_witness: Option<Witness>,
    /// A flip sets something that has to be settled afterwards.
    pub flips_lean: bool,
    pub leans_on: Option<String>,
    /// What is not as it was left at the name.
    pub traffic_drift: Option<String>,
    /// What may yet send the name elsewhere, until it is settled.
    pub traffic_contested: Option<String>,
    /// The zone's control plane takes changes.
    pub settles: bool,
    /// And never comes to the end of them.
    pub settles_slowly: bool,
    /// The compute item `web`, by region; looked at only where the policy has it.
    pub pods: BTreeMap<RegionName, Pods>,
    pub dns_up: bool,
    pub power_reachable: bool,
    pub power_lies: bool,
    /// Its verb `fence` fails, while its `status` answers.
    pub power_refuses: bool,
    /// Regions whose databases the network denies to everybody; what runs behind goes on.
    pub cut: BTreeSet<RegionName>,
    /// The control plane of the networks.
    pub network_answers: bool,
    pub book: HealthBook,
    pub outcomes: BTreeMap<Seq, Fact<Outcome>>,
    pub in_flight: BTreeSet<Seq>,
    pub beats: HeartbeatFacts,
    /// The item that they are written through.
    pub beats_in: ItemName,
    /// A region whose databases are known by an older look alone: the newest has not come to its end.
    pub late: Option<(RegionName, Tick)>,
    /// What a writer declares of synchronous commit; nodes are listed by their regions' names.
    pub sync: SyncView,
    /// Standbys that do not stop receiving when they are asked to.
    pub keeps_receiving: BTreeSet<RegionName>,
    /// What each node's engine says of an old primary.
    pub write_block: Option<WriteBlock>,
    /// What the engine tells of data that it saved.
    pub saved: Vec<SavedData>,
    /// What it answers to who wants to keep it.
    pub saves: Option<Outcome>,
    pub public_ok: u32,
    pub public_since: Option<Stamp>,
    pub losses: BTreeMap<ItemName, BTreeMap<RunName, LossFacts>>,
    pub foreign_claims: BTreeMap<ClaimKey, Owner>,
    pub journal_writable: Seen<()>,
    /// Every effect that reached a target.
    pub applied: Vec<Effect>,
    /// Effects whose call hangs.
    pub hang: Option<fn(&Action) -> bool>,
    pub decisions: Vec<Decision>,
    /// Views that the vantages have, if other than the truth.
    pub blind: bool,
    pub vantages: usize,
}

impl World {
    /// East takes writes, everything healthy.
    pub fn new(policy: Policy) -> Self {
        let now = Stamp { boot: BootId(7), tick: Tick(100_000), wall: Wall(1_700_000_000_000) };
        let node = |first: bool| Node {
            id: Some(if first { "db-1" } else { "db-2" }.to_owned()),
            running: true,
            reachable: true,
            writable: first,
            logins: true,
            timeline: 1,
            position: 1000,
            follows: (!first).then(|| region("east")),
            witness: None,
            beat: 10,
            sessions: 0,
            moving: false,
            lag: None,
        };
        let pods = policy.regions.iter().enumerate();
        let of_region = |r: &RegionName, replicas| Pods { id: format!("uid-{r}"), ..Pods::new(replicas) };
        let pods = pods.map(|(i, r)| (r.clone(), of_region(r, if i == 0 { 5 } else { 2 }))).collect();
        let nodes = policy.regions.iter().enumerate().map(|(i, r)| (r.clone(), node(i == 0))).collect();
        let mut world = Self {
            journal: Journal { state: PolicyState::new(policy.owner.clone()), run: None, requests: vec![] },
            policy,
            now,
            holder: "one".into(),
            nodes,
            engine: Engine {
                writer: region("east"),
                witness: None,
                moving_to: None,
                prompt: true,
                refuses: false,
                hangs: false,
                progress: None,
                alone: None,
                detaches: None,
                first_refusal: None,
                unfit: BTreeMap::new(),
            },
            points_to: region("east"),
            dns_witness: None,
            flips_lean: false,
            leans_on: None,
            traffic_drift: None,
            traffic_contested: None,
            settles: true,
            settles_slowly: false,
            pods,
            dns_up: true,
            power_reachable: true,
            power_lies: false,
            power_refuses: false,
            cut: BTreeSet::new(),
            network_answers: true,
            book: HealthBook::default(),
            outcomes: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            beats: HeartbeatFacts {
                writer: "controller".into(),
                acked_seq: 10,
                acked_at: Some(now),
                in_flight: 0,
                recent: vec![(10, now)],
            },
            beats_in: item("orders"),
            late: None,
            sync: SyncView::default(),
            keeps_receiving: BTreeSet::new(),
            write_block: None,
            saved: Vec::new(),
            saves: None,
            public_ok: 0,
            public_since: None,
            losses: BTreeMap::new(),
            foreign_claims: BTreeMap::new(),
            journal_writable: Seen::Known(()),
            applied: vec![],
            hang: None,
            decisions: vec![],
            blind: false,
            vantages: 3,
        };
        world.run_for(5);
        world
    }

    pub fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.get_mut(&region(name)).expect("the test names a region of its policy")
    }

    fn serves(&self, name: &RegionName) -> bool {
        let node = &self.nodes[name];
        node.running && node.reachable && !self.cut.contains(name)
    }

    fn takes_writes(&self, name: &RegionName) -> bool {
        let node = &self.nodes[name];
        let all = self.policy.data.iter().all(|data| {
            if data.hands_over { self.engine.writes(name) } else { node.writable && node.logins }
        });
        self.serves(name) && all
    }

    /// The engine does what it has accepted.
    pub fn land(&mut self) {
        if let Some(to) = self.engine.moving_to.take() {
            self.engine.writer = to;
        }
    }

    pub fn writers(&self) -> Vec<RegionName> {
        let open = |n: &Node| n.running && n.writable && n.logins;
        self.nodes.iter().filter(|(_, n)| open(n)).map(|(r, _)| r.clone()).collect()
    }

    pub fn run(&self) -> &Run {
        self.journal.run.as_ref().expect("the test has a run")
    }

    pub fn last(&self) -> &Decision {
        self.decisions.last().expect("a pass was made")
    }

    pub fn blocked(&self) -> Vec<&str> {
        self.last().blocked.iter().map(|b| b.name.as_str()).collect()
    }

    pub fn wish(&mut self, wish: &Wish) -> Result<(), Refusal> {
        self.journal = take_in(&self.journal, wish, self.now)?;
        Ok(())
    }

    pub fn request(&mut self, kind: RunKind, to: Option<&str>) {
        let request = RunRequest {
            name: RunName::new(format!("asked-{}", self.journal.state.epoch.0)),
            kind,
            to: to.map(region),
            reason: "a test".into(),
            by: "kim".into(),
            at: self.now,
            approval: None,
        };
        self.wish(&Wish::Run(request)).expect("the wish is taken");
    }

    /// Consent to the active run's plan as it is shown now, whatever it may lose.
    pub fn approval(&self, waives: &[&str]) -> Approval {
        let run = self.run();
        let shown = preview(&self.policy, &self.journal, &self.observe(), self.now, run.kind, Some(&run.to));
        Approval {
            plan_hash: shown.expect("a plan is shown").plan_hash,
            max_loss: None,
            waives: waives.iter().map(ToString::to_string).collect(),
            by: "kim".into(),
            valid_until: self.now.plus(Millis::from_secs(600)),
        }
    }

    pub fn try_approve(&mut self, approval: Approval) -> Result<(), Refusal> {
        let run = self.run().name.clone();
        self.wish(&Wish::Approve { run, approval })
    }

    pub fn approve(&mut self, approval: Approval) {
        self.try_approve(approval).expect("it is the plan that was shown");
    }

    /// How many effects of this kind were recorded so far.
    pub fn count(&self, kind: &str) -> usize {
        self.decisions.iter().flat_map(|d| &d.effects).filter(|e| e.action.kind() == kind).count()
    }

    /// How many events with this reason there were so far.
    pub fn events(&self, reason: &str) -> usize {
        self.decisions.iter().flat_map(|d| &d.events).filter(|e| e.reason == reason).count()
    }

    /// Seconds of probes, heartbeats and passes.
    pub fn run_for(&mut self, secs: u64) {
        for _ in 0..secs {
            self.probe();
            for _ in 0..10 {
                self.now = self.now.plus(Millis(100));
                self.pass();
            }
        }
    }

    /// Passes until it holds, at most ten seconds of them; without probes in between, which might open another run.
    pub fn pass_until(&mut self, holds: impl Fn(&Self) -> bool) {
        let came = (0..100).any(|_| {
            self.now = self.now.plus(Millis(100));
            self.pass();
            holds(self)
        });
        assert!(came, "it did not come to that: {}", self.run().message);
    }

    /// Until the active run has ended, at most a minute.
    pub fn run_to_end(&mut self) -> &Run {
        for _ in 0..60 {
            self.run_for(1);
            if self.journal.run.as_ref().is_some_and(|r| r.phase.is_final()) {
                break;
            }
        }
        self.run()
    }

    pub fn pods(&mut self, name: &str) -> &mut Pods {
        self.pods.get_mut(&region(name)).expect("the test names a region of its policy")
    }

    fn probe(&mut self) {
        self.pods.values_mut().for_each(Pods::tick);
        let active = self.journal.state.active_region.clone();
        self.book.vantages = (0..self.vantages).map(|i| (VantageName::new(format!("v{i}")), None)).collect();
        for name in self.policy.regions.clone() {
            for vantage in self.book.vantages.keys().cloned().collect::<Vec<_>>() {
                for plan in self.policy.probes.clone() {
                    let primary = active.as_ref() == Some(&name);
                    let runs = match plan.on {
                        On::Primary => primary,
                        On::Standby => !primary,
                        On::Both => true,
                    };
                    let good =
                        if plan.on == On::Primary { self.takes_writes(&name) } else { self.serves(&name) };
                    if !runs {
                        continue;
                    }
                    let result = match (self.blind, good) {
                        (true, _) => ProbeResult::Error,
                        (false, true) => ProbeResult::Pass,
                        (false, false) => ProbeResult::Fail,
                    };
                    let sample = Sample {
                        region: name.clone(),
                        vantage: vantage.clone(),
                        probe: plan.name.clone(),
                        result,
                        at: self.now,
                        detail: String::new(),
                    };
                    self.book.fold(&sample, &self.policy.detection);
                }
            }
        }
        self.beat();
        let works = self.takes_writes(&self.points_to.clone());
        if works {
            self.public_ok += 1;
            self.public_since.get_or_insert(self.now);
        } else {
            self.public_ok = 0;
            self.public_since = None;
        }
    }

    /// As after a restart: the heartbeats' book starts empty.
    pub fn forget_beats(&mut self) {
        self.beats = HeartbeatFacts { writer: self.beats.writer.clone(), ..HeartbeatFacts::default() };
    }

    fn beat(&mut self) {
        let Some(active) = self.journal.state.active_region.clone() else { return };
        // Heartbeats write as Muster's own role: a fence of the application's role does not stop them.
        if !(self.serves(&active) && self.nodes[&active].writable) {
            return;
        }
        let seq = self.beats.acked_seq + 1;
        self.beats.acked_seq = seq;
        self.beats.acked_at = Some(self.now);
        self.beats.recent.push((seq, self.now));
        let writer = self.nodes.get_mut(&active).expect("active is a region");
        writer.beat = seq;
        if writer.logins {
            writer.position += 10;
        }
        let (position, timeline, witness) = (writer.position, writer.timeline, writer.witness.clone());
        for node in self.nodes.values_mut() {
            if node.running && node.reachable && node.follows.as_ref() == Some(&active) {
                (node.position, node.timeline, node.witness, node.beat) =
                    (position, timeline, witness.clone(), seq);
            }
        }
    }

    fn as_if_reachable(&self, name: &RegionName) -> Self {
        let mut world = self.clone();
        world.node(name.as_str()).reachable = true;
        world
    }

    fn data_facts(&self, name: &RegionName) -> Seen<DataFacts> {
        let node = &self.nodes[name];
        if !self.serves(name) {
            return Seen::Unknown("no answer".into());
        }
        let fenced = node.writable && !node.logins;
        Seen::Known(DataFacts {
            role: if node.writable { DataRole::Writable } else { DataRole::Standby },
            system: "sys".into(),
            timeline: node.timeline,
            unit: PositionUnit::Bytes,
            position: Position(node.position),
            replayed: Position(node.position),
            streaming: !node.writable && node.follows.as_ref().is_some_and(|f| self.serves(f)),
            upstream: node.follows.as_ref().map(ToString::to_string),
            witness: node.witness.clone(),
            closed: ClosedView {
                role_closed: fenced,
                app_write_refused: fenced.then_some(true),
                sessions: node.sessions,
                position_still: !node.moving,
                ..ClosedView::default()
            },
            sync: if node.writable { self.sync.clone() } else { SyncView::default() },
            sync_name: Some(name.to_string()),
            heartbeat: Some(HeartbeatRow { writer: "controller".into(), seq: node.beat, acked_at: None }),
            unfit: None,
            unready: None,
            lag: node.lag,
            alone: None,
            node: node.id.clone(),
            progress: None,
            follows: None,
            write_block: self.write_block.clone().map(Box::new),
            saved: self.saved.clone(),
            unproven: None,
        })
    }

    fn engine_facts(&self, name: &RegionName) -> Seen<DataFacts> {
        let engine = &self.engine;
        let Seen::Known(node) = self.data_facts(name) else { return Seen::Unknown("no answer".into()) };
        let is_writer = engine.writes(name);
        let alone =
            engine.alone.as_ref().filter(|alone| *alone == name).map(|_| "nobody follows it".to_owned());
        let moving = engine.moving_to.as_ref().map(|to| format!("moves to {to}"));
        Seen::Known(DataFacts {
            role: if is_writer { DataRole::Writable } else { DataRole::Standby },
            system: "cluster".into(),
            timeline: 1,
            streaming: !is_writer,
            upstream: None,
            witness: engine.witness.clone(),
            closed: ClosedView::default(),
            follows: (!is_writer).then(|| engine.writer.clone()),
            unfit: engine.unfit.get(name).cloned().or_else(|| alone.clone()),
            alone,
            unready: moving,
            unproven: None,
            node: None,
            progress: engine.progress.clone(),
            ..node
        })
    }

    pub fn observe(&self) -> Observations {
        let at = self.now.tick;
        let fact = |value| Fact::new(value, at);
        let data_of = |data: &DataItem| {
            let facts =
                |r: &RegionName| if data.hands_over { self.engine_facts(r) } else { self.data_facts(r) };
            let late = |r: &RegionName| self.late.as_ref().filter(|(late, _)| late == r);
            let seen = |r: &RegionName| match late(r) {
                Some((_, at)) => Fact::new(self.as_if_reachable(r).data_facts(r), *at),
                None => fact(facts(r)),
            };
            (data.name.clone(), self.policy.regions.iter().map(|r| (r.clone(), seen(r))).collect())
        };
        let power = |r: &RegionName| {
            if !self.power_reachable {
                return Fact::new(Seen::Unknown("no answer".to_owned()), at);
            }
            let on = self.nodes[r].running && !self.power_lies;
            let state = if on { PowerState::On } else { PowerState::Off };
            Fact::new(Seen::Known(FenceFacts::new(format!("i-{r}"), state)), at)
        };
        let traffic = if self.dns_up {
            Seen::Known(TrafficFacts {
                points_to: Some(self.points_to.clone()),
                agree: 1,
                servers: 1,
                witness: self.dns_witness.clone(),
                drift: self.traffic_drift.clone(),
                unsettled: self.leans_on.clone(),
                contested: self.traffic_contested.clone(),
            })
        } else {
            Seen::Unknown("no answer".to_owned())
        };
        Observations {
            holder: Some(self.holder.clone()),
            pass: at,
            health: self.book.clone(),
            data: self.policy.data.iter().map(data_of).collect(),
            traffic: BTreeMap::from([(item("shop"), Fact::new(traffic, at))]),
            compute: self.compute_facts(),
            fences: BTreeMap::from([
                (item("power"), self.policy.regions.iter().map(|r| (r.clone(), power(r))).collect()),
                (item("pods"), self.policy.regions.iter().map(|r| (r.clone(), self.pods_off(r))).collect()),
                (item("acl"), self.policy.regions.iter().map(|r| (r.clone(), self.network_off(r))).collect()),
            ]),
            outcomes: self.outcomes.clone(),
            in_flight: self.in_flight.clone(),
            hooks: BTreeMap::new(),
            public: Some(Fact::new(
                PublicFacts { successes: self.public_ok, since: self.public_since, last: String::new() },
                at,
            )),
            heartbeats: BTreeMap::from([(self.beats_in.clone(), self.beats.clone())]),
            losses: self.losses.clone(),
            journal: JournalFacts {
                writable: self.journal_writable.clone(),
                foreign_claims: self.foreign_claims.clone(),
            },
        }
    }

    fn compute_facts(&self) -> ByItemRegion<ComputeFacts> {
        let fact = |pods: &Pods| Fact::new(pods.facts(), self.now.tick);
        let of_item = |compute: &ComputeItem| {
            (
                compute.name.clone(),
                self.pods.iter().map(|(region, pods)| (region.clone(), fact(pods))).collect(),
            )
        };
        self.policy.compute.iter().map(of_item).collect()
    }

    /// What the fence by scale says.
    fn pods_off(&self, region: &RegionName) -> Fact<Seen<FenceFacts>> {
        let pods = &self.pods[region];
        let state = if (pods.wanted, pods.ready) == (0, 0) { PowerState::Off } else { PowerState::On };
        let is_lifted = pods.fenced.is_none();
        let seen = Seen::Known(FenceFacts { id: format!("uid-{region}"), state, is_lifted });
        Fact::new(if pods.answers { seen } else { Seen::Unknown("no answer".to_owned()) }, self.now.tick)
    }

    /// What the fence by the network says.
    fn network_off(&self, region: &RegionName) -> Fact<Seen<FenceFacts>> {
        let state = if self.cut.contains(region) { PowerState::Off } else { PowerState::On };
        let seen = Seen::Known(FenceFacts::new(format!("acl-{region}"), state));
        let silent = Seen::Unknown("no answer".to_owned());
        Fact::new(if self.network_answers { seen } else { silent }, self.now.tick)
    }

    /// One pass: observe, decide, record, act.
    pub fn pass(&mut self) {
        let decision = self.decide();
        self.journal = decision.next.clone();
        for effect in decision.effects.clone() {
            if self.hang.is_some_and(|hangs| hangs(&effect.action)) {
                self.in_flight.insert(effect.seq);
                continue;
            }
            let outcome = self.apply(&effect);
            self.outcomes.insert(effect.seq, Fact::new(outcome, self.now.tick));
        }
        self.decisions.push(decision);
    }

    pub fn decide(&self) -> Decision {
        decide(&self.policy, &self.journal, &self.observe(), self.now)
    }

    /// What a target does with an effect.
    pub fn apply(&mut self, effect: &Effect) -> Outcome {
        self.applied.push(effect.clone());
        let mark =
            Witness { owner: effect.owner.clone(), epoch: effect.epoch, term: effect.term, seq: effect.seq };
        match &effect.action {
            Action::OpenWriter { item, region } if item.as_str() == "events" => {
                if !self.engine.writes(region) || !self.serves(region) {
                    return Outcome::Failed(ErrorClass::Transient, "no writer".into());
                }
                self.engine.witness = Some(mark);
            }
            Action::SwitchOver { .. } if self.engine.refuses => {
                return Outcome::Failed(ErrorClass::Denied, "rds:SwitchoverGlobalCluster".into());
            }
            Action::SwitchOver { from, to, .. } => {
                if !(self.serves(from) && self.serves(to) && self.engine.writer == *from) {
                    return Outcome::Failed(ErrorClass::Transient, "no switchover now".into());
                }
                self.engine.moving_to = Some(to.clone());
                if self.engine.prompt {
                    self.land();
                }
            }
            Action::Promote { item, .. }
                if item.as_str() == "events" && self.engine.first_refusal.is_some() =>
            {
                let class = self.engine.first_refusal.take().unwrap_or(ErrorClass::Invalid);
                return Outcome::Failed(class, "not now".into());
            }
            Action::Promote { item, region } if item.as_str() == "events" && self.engine.hangs => {
                self.engine.moving_to = Some(region.clone());
            }
            Action::Detach { .. } if self.engine.detaches.is_some() => {
                return self.engine.detaches.clone().unwrap_or(Outcome::AlreadyDone);
            }
            Action::Detach { region, .. } if self.engine.writes(region) => return Outcome::AlreadyDone,
            Action::Detach { region, .. } => {
                (self.engine.alone, self.engine.moving_to) = (Some(region.clone()), None);
            }
            Action::Promote { item, region } if item.as_str() == "events" => {
                self.engine.writer = region.clone();
            }
            Action::OpenWriter { region, .. } => {
                let node = self.nodes.get_mut(region).expect("known region");
                if !(node.running && node.reachable && node.writable) {
                    return Outcome::Failed(ErrorClass::Transient, "no writer".into());
                }
                if node.witness.as_ref().is_some_and(|w| w.order() > mark.order()) {
                    return Outcome::StaleEpoch("newer witness".into());
                }
                node.witness = Some(mark.clone());
                node.logins = true;
                let from = region.clone();
                for follower in self.nodes.values_mut().filter(|n| n.follows.as_ref() == Some(&from)) {
                    if follower.running && follower.reachable {
                        follower.witness = Some(mark.clone());
                    }
                }
            }
            Action::Fence { way, region } | Action::Unfence { way, region } => {
                let fence = matches!(effect.action, Action::Fence { .. });
                if way.as_str() == "pods" {
                    let change = if fence { Change::Zero } else { Change::Lift };
                    return self.pods.get_mut(region).expect("known region").apply(effect, change);
                }
                if way.as_str() == "acl" {
                    if !self.network_answers {
                        return Outcome::Failed(ErrorClass::Transient, "no answer".into());
                    }
                    if fence {
                        self.cut.insert(region.clone());
                    } else {
                        self.cut.remove(region);
                    }
                } else if way.as_str() == "power" {
                    if !self.power_reachable || self.power_refuses {
                        return Outcome::Failed(ErrorClass::Transient, "no answer".into());
                    }
                    self.nodes.get_mut(region).expect("known region").running = !fence;
                } else {
                    if !self.serves(region) {
                        return Outcome::Failed(ErrorClass::Transient, "no answer".into());
                    }
                    self.nodes.get_mut(region).expect("known region").logins = !fence;
                }
            }
            Action::Promote { region, .. } => {
                let node = self.nodes.get_mut(region).expect("known region");
                if !(node.running && node.reachable) {
                    return Outcome::Failed(ErrorClass::Transient, "no answer".into());
                }
                let stale = node.witness.as_ref().is_none_or(|w| w.epoch > effect.epoch);
                if stale {
                    return Outcome::StaleEpoch("guarded promotion refused".into());
                }
                if !node.writable {
                    (node.writable, node.follows) = (true, None);
                    node.timeline += 1;
                }
            }
            Action::Rejoin { region, follow, .. } => {
                if self.cut.contains(region) {
                    return Outcome::Failed(ErrorClass::Transient, "no answer".into());
                }
                let (timeline, position, witness, beat) = {
                    let to = &self.nodes[follow];
                    (to.timeline, to.position, to.witness.clone(), to.beat)
                };
                let node = self.nodes.get_mut(region).expect("known region");
                if !node.reachable {
                    return Outcome::Failed(ErrorClass::Transient, "no answer".into());
                }
                (node.running, node.writable, node.logins) = (true, false, true);
                (node.timeline, node.position, node.witness, node.beat) = (timeline, position, witness, beat);
                node.follows = Some(follow.clone());
            }
            Action::KeepOldData { .. } => {
                return self.saves.clone().unwrap_or(Outcome::Issued(None));
            }
            Action::Flip { to, .. } => {
                if !self.dns_up {
                    return Outcome::Failed(ErrorClass::Transient, "no answer".into());
                }
                self.points_to = to.clone();
                self.dns_witness = Some(mark);
                self.leans_on = self.flips_lean.then(|| format!("a marker in {to}"));
            }
            Action::Settle { .. } => {
                if !self.settles {
                    return Outcome::Failed(ErrorClass::Transient, "the control plane is silent".into());
                }
                if !self.settles_slowly {
                    (self.leans_on, self.traffic_contested) = (None, None);
                }
            }
            Action::Scale { region, replicas, .. } => {
                return self
                    .pods
                    .get_mut(region)
                    .expect("known region")
                    .apply(effect, Change::AtLeast(*replicas));
            }
            Action::Restore { region, replicas, .. } => {
                return self
                    .pods
                    .get_mut(region)
                    .expect("known region")
                    .apply(effect, Change::Back(*replicas));
            }
            Action::StopReceiving { region, .. } => {
                if self.keeps_receiving.contains(region) || !self.serves(region) {
                    return Outcome::Failed(ErrorClass::Transient, "no answer".into());
                }
                self.nodes.get_mut(region).expect("known region").follows = None;
            }
            Action::ResumeReceiving { region, .. } => {
                let active = self.journal.state.active_region.clone();
                self.nodes.get_mut(region).expect("known region").follows = active;
            }
            Action::Hook { .. } => {}
        }
        Outcome::Issued(None)
    }
}
