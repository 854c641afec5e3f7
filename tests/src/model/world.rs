//! The world's state, its moves, and what each does.

use super::engine::{Engine, has_agreed};
use muster_core::decide::{decide, preview};
use muster_core::effect::{Action, Effect};
use muster_core::facts::{
    ClosedView, DataFacts, DataRole, ErrorClass, Fact, FenceFacts, JournalFacts, Observations, Outcome,
    PositionUnit, PowerState, Seen, SyncView, TrafficFacts, Witness,
};
use muster_core::health::{HealthBook, ProbeResult, Streak};
use muster_core::ids::{ClaimKey, HolderId, Owner, Position, RegionName, Seq};
use muster_core::journal::{Approval, Journal, Phase, PolicyState, RunKind, RunRequest, Trigger};
use muster_core::policy::{
    Aggregate, Capability, DataItem, Detection, FenceKind, FenceWay, Mode, Objectives, On, Policy, ProbePlan,
    ProofClass, Safety, Threshold, TrafficItem,
};
use muster_core::time::{BootId, Millis, Stamp, Tick, Wall};
use muster_core::wish::{Wish, take_in};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The regions' names, by number.
pub(super) const REGIONS: [&str; 3] = ["east", "west", "north"];
/// A pause that outlasts every back-off of the core, and is far shorter than its cool-down.
const WAIT: Millis = Millis(31_000);
/// The life of a sender that waits no more.
pub(super) const LATE: u32 = u32::MAX;
/// How long a signed call may still land.
const SIGNED_FOR: Millis = Millis(15 * 60_000);
/// An engine's failover is waited for so long before a person may have its target detached: one pause.
const DETACHES_AFTER: Millis = Millis(30_000);
/// How long that person's consent holds.
const CONSENT: Millis = Millis(600_000);
/// What that person has to name.
pub(super) const ENGINE_GATE: &str = "EngineFailover";
/// The policy's cool-down.
const COOLDOWN: Millis = Millis(600_000);

/// One database node and its host.
#[allow(clippy::struct_excessive_bools)] // each is a fault of its own
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Node {
    /// The host crashed; it may come back by itself.
    pub crashed: bool,
    /// Switched off by the fence; it does not come back by itself.
    pub off: bool,
    /// Its fence hook lied once, or somebody undid the fence by hand. A host that is off for other reasons then comes back unfenced, which no status
    /// verb can tell: accepting Attested means to trust that it does not.
    pub lied: bool,
    /// No controller and no standby reaches it.
    pub cut: bool,
    /// Takes writes.
    pub writable: bool,
    /// The application's role may log in.
    pub logins: bool,
    /// Its timeline.
    pub timeline: u64,
    /// Which region it replays.
    pub follows: Option<usize>,
    /// It left what its engine replicates by.
    pub alone: bool,
    /// Its witness row.
    pub witness: Option<Witness>,
}

/// A controller process.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Controller {
    /// Grows with each restart.
    pub life: u32,
    /// Recorded effects that it has not sent yet.
    pub queue: Vec<Effect>,
    /// What it was answered.
    pub outcomes: BTreeMap<Seq, Fact<Outcome>>,
}

/// An effect on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    /// Who sent it.
    pub by: usize,
    /// The sender's life; nobody waits for the answer of another one.
    pub life: u32,
    /// What.
    pub effect: Effect,
    /// When.
    pub at: Tick,
}

/// What went wrong, once and for all.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Damage {
    /// Two regions took the application's writes.
    TwoWriters,
    /// Traffic moved to a region that took no writes.
    DeadTraffic,
    /// A failover began on fewer than two vantages.
    NoQuorum,
    /// An effect was recorded on targets that another policy claims.
    ForeignTarget,
    /// A failover began within the cool-down.
    TooSoon,
    /// A target was to be detached before the point of no return, or nobody had agreed.
    Unasked,
    /// Epoch, term or seq went back.
    NumberFell,
}

/// What one step of the world may be.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Move {
    /// The controller that holds the lease observes, decides and records.
    Pass,
    /// A controller sends its oldest recorded effect, also if it lost the lease meanwhile.
    Send(usize),
    /// A sent effect reaches its target.
    Land(usize),
    /// A sent effect is lost; the sender cannot know.
    Lose(usize),
    /// The sender gives up waiting; the effect may land at any time after.
    Stall(usize),
    /// A fence hook answers well and does nothing.
    Lie(usize),
    /// The other controller takes the lease.
    TakeLease,
    /// The lease holder crashes and starts again.
    Crash,
    /// A host dies.
    Kill(usize),
    /// A crashed host comes back as it was.
    Return(usize),
    /// Somebody switches a fenced host on again, before the point of no return.
    PowerOn(usize),
    /// A region is cut off, or healed.
    Cut(usize),
    /// The end of a cut.
    Heal(usize),
    /// One vantage alone sees the primary fail.
    OneEyed,
    /// A person aborts the active run.
    Abort,
    /// A person asks for a switchover.
    Switchover,
    /// A person has the target detached that the active run waits for.
    Agree,
    /// The engine comes to the end of a failover that hung in it.
    Finish,
    /// The engine gives up a failover that hung in it, and hangs no more.
    GiveUp,
    /// The wall clock steps by an hour.
    StepWall,
    /// Half a minute passes.
    Wait,
}

/// The whole world.
#[allow(clippy::struct_excessive_bools)] // each is a fault of its own
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// The policy, shared by all states.
    pub policy: Arc<Policy>,
    /// The store.
    pub journal: Journal,
    /// Who holds the lease.
    pub lease: usize,
    /// The controllers.
    pub controllers: [Controller; 2],
    /// Sent effects, with the life of their sender.
    pub wire: Vec<Sent>,
    /// The databases.
    pub nodes: Vec<Node>,
    /// The one writer that an engine with a switchover of its own knows.
    pub engine_writer: usize,
    /// Where the engine moves its writer to: a failover that it has taken, and that hangs in it.
    pub moving_to: Option<usize>,
    /// Failovers that the engine takes hang in it from now on.
    pub engine_hangs: bool,
    /// The public name.
    pub points_to: usize,
    /// Its witness.
    pub name_witness: Option<Witness>,
    /// Only one vantage sees, and it sees the primary fail.
    pub one_eyed: bool,
    /// Another policy's claim.
    pub foreign_claim: bool,
    /// Now.
    pub now: Stamp,
    /// Faults that may still happen.
    pub faults_left: u32,
    /// The end of the newest run that a verdict began.
    pub cooling_since: Option<Tick>,
    /// What went wrong.
    pub damage: Option<Damage>,
    /// Model-level seeded faults.
    pub unchecked_promote: bool,
    /// Durations come from the wall clock.
    pub wall_for_tick: bool,
}

fn region(index: usize) -> RegionName {
    RegionName::new(REGIONS[index])
}

fn index_of(region: &RegionName) -> usize {
    REGIONS.iter().position(|name| *name == region.as_str()).expect("the model's policy names its regions")
}

/// Three regions, one database, one name, both kinds of fence, Automatic.
fn policy(engine: Engine) -> Policy {
    let threshold = |count| Threshold { count, min: Millis(0) };
    let fence = |name: &str, kind, proof| FenceWay {
        name: name.into(),
        kind,
        proof,
        timeout: Millis(1_000),
        attempts: 1,
    };
    Policy {
        name: "shop/model".into(),
        owner: "owner".into(),
        generation: 1,
        mode: Mode::Automatic,
        written: String::new(),
        objectives: Objectives::default(),
        regions: (0..3).map(region).collect(),
        probes: vec![ProbePlan {
            name: "order".into(),
            on: On::Both,
            every: Millis(1_000),
            timeout: Millis(1_000),
        }],
        public_probe: None,
        detection: Detection {
            trip: threshold(1),
            reset: threshold(1),
            aggregate: Aggregate::AtLeast(1),
            quorum: 2,
            anchors: 1,
        },
        data: vec![DataItem {
            name: "orders".into(),
            engine: "model".to_owned(),
            claims: BTreeSet::new(),
            expected_promote: Millis(100),
            promote_deadline: Millis(1_000),
            capability: engine.capability(),
            hands_over: engine.hands_over(),
            saves_old_data: false,
            detaches_after: (engine == Engine::Detaches).then_some(DETACHES_AFTER),
            can_rejoin: engine != Engine::Detaches,
            rejoin_timeout: Millis(1_000),
            no_ack_declared: false,
        }],
        compute: Vec::new(),
        traffic: vec![TrafficItem {
            name: "shop".into(),
            engine: "model".to_owned(),
            claims: BTreeSet::new(),
            ttl: Millis(100),
            deadline: Millis(1_000),
        }],
        fences: vec![
            fence("logins", FenceKind::Data("orders".into()), ProofClass::Closed),
            fence("power", FenceKind::Hook, ProofClass::Attested),
        ],
        hooks: vec![],
        safety: Safety {
            cooldown: COOLDOWN,
            max_estimated_loss: None,
            accept: BTreeSet::from([ProofClass::Attested]),
            without_fence: None,
        },
    }
}

impl World {
    /// East takes writes; nothing was recorded yet.
    pub fn new(engine: Engine) -> Self {
        let policy = Arc::new(policy(engine));
        let node = |index: usize| Node {
            crashed: false,
            off: false,
            lied: false,
            cut: false,
            writable: index == 0,
            logins: true,
            timeline: 1,
            follows: (index > 0).then_some(0),
            alone: false,
            witness: None,
        };
        let controller = || Controller { life: 0, queue: Vec::new(), outcomes: BTreeMap::new() };
        Self {
            journal: Journal { state: PolicyState::new(policy.owner.clone()), run: None, requests: vec![] },
            policy,
            lease: 0,
            controllers: [controller(), controller()],
            wire: Vec::new(),
            nodes: (0..3).map(node).collect(),
            engine_writer: 0,
            moving_to: None,
            engine_hangs: false,
            points_to: 0,
            name_witness: None,
            one_eyed: false,
            foreign_claim: false,
            now: Stamp { boot: BootId(1), tick: Tick(1_000_000), wall: Wall(50_000_000_000) },
            faults_left: 0,
            cooling_since: None,
            damage: None,
            unchecked_promote: engine.capability() == Capability::Unchecked,
            wall_for_tick: false,
        }
    }

    /// Whether it runs, whoever reaches it.
    pub(super) fn is_up(&self, index: usize) -> bool {
        let node = &self.nodes[index];
        !(node.crashed || node.off)
    }

    pub(super) fn answers(&self, index: usize) -> bool {
        self.is_up(index) && !self.nodes[index].cut
    }

    fn takes_writes(&self, index: usize) -> bool {
        let node = &self.nodes[index];
        !node.crashed && !node.off && node.writable && node.logins
    }

    /// Time as the controllers measure it.
    fn clock(&self) -> Stamp {
        if self.wall_for_tick {
            let tick = Tick(u64::try_from(self.now.wall.0).unwrap_or(0));
            return Stamp { tick, ..self.now };
        }
        self.now
    }

    fn data_facts(&self, index: usize) -> Seen<DataFacts> {
        if !self.answers(index) {
            return Seen::Unknown("no answer".to_owned());
        }
        let node = &self.nodes[index];
        let fenced = node.writable && !node.logins;
        let names = |of: Option<usize>| of.filter(|_| self.hands_over()).map(region);
        let alone = node.alone.then(|| "nobody follows it".to_owned());
        Seen::Known(DataFacts {
            role: if node.writable { DataRole::Writable } else { DataRole::Standby },
            system: "one".to_owned(),
            // Such an engine shows none.
            timeline: if self.hands_over() { 1 } else { node.timeline },
            unit: PositionUnit::Bytes,
            position: Position(1),
            replayed: Position(1),
            streaming: node.follows.is_some_and(|f| self.answers(f)),
            upstream: node.follows.map(|f| REGIONS[f].to_owned()),
            witness: node.witness.clone(),
            closed: ClosedView {
                role_closed: fenced,
                app_write_refused: fenced.then_some(true),
                position_still: true,
                ..ClosedView::default()
            },
            sync: SyncView::default(),
            sync_name: None,
            heartbeat: None,
            unfit: alone.clone(),
            unready: names(self.moving_to).map(|to| format!("moves to {to}")),
            lag: None,
            alone,
            node: None,
            progress: None,
            follows: names(node.follows),
            write_block: None,
            saved: Vec::new(),
            unproven: None,
        })
    }

    fn book(&self, at: Stamp) -> HealthBook {
        let mut book = HealthBook::default();
        for vantage in ["v0", "v1", "v2"] {
            book.vantages.insert(vantage.into(), None);
            for index in 0..3 {
                let fails = if self.one_eyed && index == 0 {
                    vantage == "v0"
                } else {
                    !self.answers(index) || (self.nodes[index].writable && !self.nodes[index].logins)
                };
                let silent = self.one_eyed && vantage != "v0";
                let streak = Streak {
                    fails: u32::from(fails),
                    passes: u32::from(!fails),
                    tripped: fails,
                    failing_since: fails.then_some(at),
                    passing_since: (!fails).then_some(at),
                    last: match (silent, fails) {
                        (true, _) => ProbeResult::Error,
                        (false, true) => ProbeResult::Fail,
                        (false, false) => ProbeResult::Pass,
                    },
                    last_at: at,
                    detail: String::new(),
                };
                book.streaks
                    .entry(region(index))
                    .or_default()
                    .entry(vantage.into())
                    .or_default()
                    .insert("order".into(), streak);
            }
        }
        book
    }

    fn observe(&self, controller: usize) -> Observations {
        let stamp = self.clock();
        let at = stamp.tick;
        let power = |index: usize| {
            let node = &self.nodes[index];
            let state = if node.off || node.crashed { PowerState::Off } else { PowerState::On };
            Fact::new(Seen::Known(FenceFacts::new(REGIONS[index], state)), at)
        };
        let me = &self.controllers[controller];
        let sent = self.wire.iter().filter(|s| s.by == controller && s.life == me.life);
        let mut in_flight: BTreeSet<Seq> = sent.map(|s| s.effect.seq).collect();
        in_flight.extend(me.queue.iter().map(|e| e.seq));
        let claims = [(ClaimKey::new("name"), Owner::new("other"))];
        Observations {
            holder: Some(self.holder(controller)),
            pass: at,
            health: self.book(stamp),
            data: BTreeMap::from([(
                "orders".into(),
                (0..3).map(|i| (region(i), Fact::new(self.data_facts(i), at))).collect(),
            )]),
            traffic: BTreeMap::from([(
                "shop".into(),
                Fact::new(
                    Seen::Known(TrafficFacts {
                        points_to: Some(region(self.points_to)),
                        agree: 1,
                        servers: 1,
                        witness: self.name_witness.clone(),
                        drift: None,
                        unsettled: None,
                        contested: None,
                    }),
                    at,
                ),
            )]),
            fences: BTreeMap::from([("power".into(), (0..3).map(|i| (region(i), power(i))).collect())]),
            outcomes: me.outcomes.clone(),
            in_flight,
            journal: JournalFacts {
                writable: Seen::Known(()),
                foreign_claims: if self.foreign_claim { claims.into() } else { BTreeMap::new() },
            },
            ..Observations::default()
        }
    }

    fn holder(&self, controller: usize) -> HolderId {
        HolderId::new(format!("c{controller}.{}", self.controllers[controller].life))
    }

    /// Makes a move; `None` if it changes nothing.
    pub fn make(&self, step: &Move) -> Option<Self> {
        let mut next = self.clone();
        next.now = next.now.plus(Millis(1));
        match step {
            Move::Pass => next.pass()?,
            Move::Send(c) => {
                let effect = next.controllers[*c].queue.remove(0);
                let life = next.controllers[*c].life;
                let at = next.now.tick;
                next.wire.push(Sent { by: *c, life, effect, at });
            }
            Move::Land(_) | Move::Lose(_) | Move::Stall(_) | Move::Lie(_) => next.deliver(step),
            Move::TakeLease => next.lease = 1 - next.lease,
            Move::Crash => {
                let me = &mut next.controllers[next.lease];
                me.life += 1;
                me.queue.clear();
                me.outcomes.clear();
            }
            Move::Kill(i) => next.nodes[*i].crashed = true,
            Move::Return(i) => next.nodes[*i].crashed = false,
            Move::PowerOn(i) => {
                let node = &mut next.nodes[*i];
                (node.off, node.crashed, node.lied) = (false, false, true);
            }
            Move::Cut(i) => next.nodes[*i].cut = true,
            Move::Heal(i) => next.nodes[*i].cut = false,
            Move::OneEyed => next.one_eyed = !next.one_eyed,
            Move::Abort => {
                let run = next.journal.state.active_run.clone()?.name;
                let wish = Wish::Abort { run, by: "kim".to_owned(), reason: "no".to_owned() };
                next.journal = next.take(&wish)?;
            }
            Move::Switchover => {
                let request = RunRequest {
                    name: "asked".into(),
                    kind: RunKind::Switchover,
                    to: None,
                    reason: "asked".to_owned(),
                    by: "kim".to_owned(),
                    at: next.clock(),
                    approval: None,
                };
                next.journal = next.take(&Wish::Run(request))?;
            }
            Move::Agree => next.agree()?,
            Move::Finish => next.finish()?,
            Move::GiveUp => (next.moving_to, next.engine_hangs) = (None, false),
            Move::StepWall => next.now.wall = Wall(next.now.wall.0 + 3_600_000),
            Move::Wait => {
                next.now = next.now.plus(WAIT);
                let now = next.now.tick;
                let lands = |s: &Sent| now.since(s.at).is_some_and(|age| age < SIGNED_FOR);
                // A target that checks nothing has at least signatures that expire; one that checks needs none.
                if next.policy.data.iter().any(|d| d.capability == Capability::Unchecked) {
                    next.wire.retain(lands);
                }
            }
        }
        next.look_for_damage();
        Some(next)
    }

    /// What becomes of a sent effect.
    fn deliver(&mut self, step: &Move) {
        let next = self;
        match step {
            Move::Land(i) => {
                let Sent { by, life, effect, .. } = next.wire.remove(*i);
                let outcome = next.apply(&effect, life == LATE);
                next.answer(by, life, &effect, outcome);
            }
            Move::Lose(i) => {
                let Sent { by, life, effect, .. } = next.wire.remove(*i);
                let lost = Outcome::Failed(ErrorClass::UnknownOutcome, "no answer".to_owned());
                next.answer(by, life, &effect, lost);
            }
            Move::Stall(i) => {
                let Sent { by, life, effect, .. } = next.wire[*i].clone();
                let lost = Outcome::Failed(ErrorClass::UnknownOutcome, "no answer".to_owned());
                next.answer(by, life, &effect, lost);
                next.wire[*i].life = LATE;
            }
            Move::Lie(i) => {
                let Sent { by, life, effect, .. } = next.wire.remove(*i);
                if let Action::Fence { region, .. } = &effect.action {
                    next.nodes[index_of(region)].lied = true;
                }
                next.answer(by, life, &effect, Outcome::Issued(None));
            }
            _ => {}
        }
    }

    fn take(&self, wish: &Wish) -> Option<Journal> {
        take_in(&self.journal, wish, self.clock()).ok()
    }

    fn answer(&mut self, controller: usize, life: u32, effect: &Effect, outcome: Outcome) {
        let at = self.clock().tick;
        if self.controllers[controller].life == life {
            self.controllers[controller].outcomes.insert(effect.seq, Fact::new(outcome, at));
        }
    }

    fn pass(&mut self) -> Option<()> {
        let lease = self.lease;
        let decision = decide(&self.policy, &self.journal, &self.observe(lease), self.clock());
        let (old, new) = (&self.journal.state, &decision.next.state);
        if (old.epoch, old.term, old.seq) > (new.epoch, new.term, new.seq) {
            self.damage = Some(Damage::NumberFell);
        }
        self.judge_opening(&decision.next);
        self.judge_flips(&decision.effects);
        self.judge_detachments(&decision.effects);
        if self.foreign_claim && !decision.effects.is_empty() {
            self.damage = Some(Damage::ForeignTarget);
        }
        let ended = |j: &Journal| {
            j.run
                .as_ref()
                .filter(|r| r.phase == Phase::Completed && r.trigger == Trigger::Verdict)
                .map(|r| r.epoch)
        };
        if ended(&decision.next).is_some() && ended(&self.journal) != ended(&decision.next) {
            self.cooling_since = Some(self.now.tick);
        }
        if decision.next == self.journal && decision.effects.is_empty() {
            return None;
        }
        self.journal = decision.next;
        self.controllers[lease].queue.extend(decision.effects);
        Some(())
    }

    fn judge_flips(&mut self, effects: &[Effect]) {
        for effect in effects {
            if let Action::Flip { to, .. } = &effect.action
                && !self.nodes[index_of(to)].writable
            {
                self.damage = Some(Damage::DeadTraffic);
            }
        }
    }

    fn judge_detachments(&mut self, effects: &[Effect]) {
        let is_agreed = |target: &RegionName| {
            let run = self.journal.run.as_ref();
            run.is_some_and(|run| has_agreed(run) && run.past_pivot() && run.to == *target)
        };
        let mut targets = effects.iter().filter_map(|effect| match &effect.action {
            Action::Detach { region, .. } => Some(region),
            _ => None,
        });
        if targets.any(|target| !is_agreed(target)) {
            self.damage = Some(Damage::Unasked);
        }
    }

    fn judge_opening(&mut self, next: &Journal) {
        let opened = next.state.active_run.is_some() && self.journal.state.active_run.is_none();
        let by_verdict = next.run.as_ref().is_some_and(|r| r.trigger == Trigger::Verdict);
        if !opened || !by_verdict {
            return;
        }
        if self.one_eyed {
            self.damage = Some(Damage::NoQuorum);
        }
        let passed = self.cooling_since.and_then(|since| self.now.tick.since(since));
        if passed.is_some_and(|passed| passed < COOLDOWN) {
            self.damage = Some(Damage::TooSoon);
        }
    }

    fn look_for_damage(&mut self) {
        if (0..self.nodes.len()).filter(|i| self.takes_writes(*i)).count() > 1 {
            self.damage.get_or_insert(Damage::TwoWriters);
        }
    }

    /// A person is shown the plan of the active run, and agrees that its target is detached.
    fn agree(&mut self) -> Option<()> {
        let (journal, now) = (&self.journal, self.clock());
        let plan = preview(&self.policy, journal, &self.observe(self.lease), now, RunKind::Failover, None);
        let approval = Approval {
            plan_hash: plan.ok()?.plan_hash,
            max_loss: None,
            waives: BTreeSet::from([ENGINE_GATE.to_owned()]),
            by: "kim".to_owned(),
            valid_until: now.plus(CONSENT),
        };
        let run = journal.state.active_run.clone()?.name;
        self.journal = self.take(&Wish::Approve { run, approval })?;
        Some(())
    }

    /// What the target does, checking what the real one checks. `late`: long after the adapter looked, and nobody waits.
    fn apply(&mut self, effect: &Effect, late: bool) -> Outcome {
        let silent = || Outcome::Failed(ErrorClass::Transient, "no answer".to_owned());
        let mark =
            Witness { owner: effect.owner.clone(), epoch: effect.epoch, term: effect.term, seq: effect.seq };
        let newer = |w: &Option<Witness>| w.as_ref().is_some_and(|w| w.order() > mark.order());
        match &effect.action {
            Action::OpenWriter { region, .. } => {
                let i = index_of(region);
                if !self.answers(i) || !self.nodes[i].writable {
                    return silent();
                }
                if newer(&self.nodes[i].witness) {
                    return Outcome::StaleEpoch("newer".to_owned());
                }
                self.nodes[i].witness = Some(mark);
                self.nodes[i].logins = true;
                self.replicate(i);
            }
            Action::Fence { way, region } if way.as_str() == "power" => {
                self.nodes[index_of(region)].off = true;
            }
            Action::Unfence { way, region } if way.as_str() == "power" => {
                self.nodes[index_of(region)].off = false;
            }
            Action::Fence { region, .. } | Action::Unfence { region, .. } => {
                let i = index_of(region);
                if !self.answers(i) || !self.nodes[i].writable {
                    return silent();
                }
                if newer(&self.nodes[i].witness) {
                    return Outcome::StaleEpoch("newer".to_owned());
                }
                self.nodes[i].witness = Some(mark);
                self.nodes[i].logins = matches!(effect.action, Action::Unfence { .. });
                self.replicate(i);
            }
            Action::Promote { region, .. } => return self.promote(index_of(region), effect, late),
            Action::SwitchOver { to, .. } => return self.switch_over(index_of(to)),
            Action::Detach { region, .. } => return self.detach(index_of(region), late),
            Action::Rejoin { region, follow, .. } => {
                let (i, to) = (index_of(region), index_of(follow));
                if self.nodes[i].crashed || self.nodes[i].cut || !self.answers(to) || !self.nodes[to].writable
                {
                    return silent();
                }
                let (timeline, logins, witness) =
                    (self.nodes[to].timeline, self.nodes[to].logins, self.nodes[to].witness.clone());
                if newer(&witness) {
                    return Outcome::StaleEpoch("newer".to_owned());
                }
                let node = &mut self.nodes[i];
                *node = Node {
                    off: false,
                    writable: false,
                    logins,
                    timeline,
                    follows: Some(to),
                    witness,
                    ..node.clone()
                };
            }
            Action::Flip { to, .. } => {
                if newer(&self.name_witness) {
                    return Outcome::StaleEpoch("newer".to_owned());
                }
                self.name_witness = Some(mark);
                self.points_to = index_of(to);
            }
            // This world has no synchronous standbys, no workloads and no hooks.
            _ => {}
        }
        Outcome::Issued(None)
    }
}
