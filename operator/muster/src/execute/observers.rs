//! One task per place that facts come from. Each looks at its own pace, publishes to the [`Board`], and looks again
//! at once when a pass asks for it. A target that hangs holds up its own task and nothing else.

use super::adapters::{Adapters, FenceAdapter};
use super::board::{Board, Freshness, Slot, SlotFact};
use crate::clock::Clock;
use futures::FutureExt;
use muster_core::facts::Seen;
use muster_core::ids::{ItemName, RegionName};
use muster_core::policy::Policy;
use muster_core::time::Tick;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How often and how long to look.
#[derive(Clone, Copy, Debug)]
pub struct Paces {
    /// Between two looks at a data node in a stable world.
    pub data_every: Duration,
    /// Between two looks at a public name in a stable world.
    pub traffic_every: Duration,
    /// Between two calls of a fence hook's `status` in a stable world.
    pub fence_every: Duration,
    /// Between two looks at a workload in a stable world.
    pub compute_every: Duration,
    /// Of one look at a workload: several calls in a row.
    pub compute_deadline: Duration,
    /// Of one look.
    pub look_deadline: Duration,
    /// At most so long a pass waits for targets that answered the last time.
    pub wait_known: Duration,
    /// At most so long a pass waits for targets that did not.
    pub wait_silent: Duration,
}

impl Default for Paces {
    fn default() -> Self {
        Self {
            data_every: Duration::from_secs(1),
            traffic_every: Duration::from_secs(5),
            fence_every: Duration::from_secs(30),
            compute_every: Duration::from_secs(30),
            compute_deadline: Duration::from_secs(5),
            look_deadline: Duration::from_secs(1),
            wait_known: Duration::from_secs(1),
            wait_silent: Duration::from_millis(10),
        }
    }
}

/// What a pass needs to be looked at again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Need {
    /// Fence hooks of these regions too; they start processes or ask a cluster many things, so only while a proof may
    /// hang on them.
    pub(super) fences: BTreeSet<RegionName>,
    /// Workloads too, but no pass waits for them: nothing that they say keeps data whole.
    pub(super) compute: bool,
}

/// The observer tasks of one policy; dropped, they end.
#[derive(Debug)]
pub(super) struct Observers {
    data: Group,
    traffic: Group,
    compute: Group,
    fences: BTreeMap<RegionName, Group>,
    paces: Paces,
    _tasks: JoinSet<()>,
}

/// Slots that are asked to look again together.
#[derive(Debug)]
struct Group {
    wanted: watch::Sender<Tick>,
    slots: Vec<Slot>,
}

impl Group {
    fn new(slots: Vec<Slot>) -> Self {
        Self { wanted: watch::Sender::new(Tick(0)), slots }
    }

    fn want(&self, since: Tick) {
        self.wanted.send_replace(since);
    }
}

impl Observers {
    /// Starts a task per slot of the policy. Each looks at once.
    pub(super) fn start(
        policy: &Policy,
        adapters: &Adapters,
        board: &Arc<Board>,
        clock: &Clock,
        paces: Paces,
    ) -> Self {
        let mut tasks = JoinSet::new();
        let (mut data, mut traffic, mut compute) = (vec![], vec![], vec![]);
        let mut fences = BTreeMap::<RegionName, Vec<Slot>>::new();
        for item in &policy.data {
            data.extend(policy.regions.iter().map(|region| Slot::Data(item.name.clone(), region.clone())));
        }
        for item in &policy.compute {
            compute.extend(policy.regions.iter().map(|r| Slot::Compute(item.name.clone(), r.clone())));
        }
        traffic.extend(policy.traffic.iter().map(|item| Slot::Traffic(item.name.clone())));
        for way in &policy.fences {
            if matches!(adapters.fences.get(&way.name), Some(FenceAdapter::Hook(_))) {
                for region in &policy.regions {
                    let slot = Slot::Fence(way.name.clone(), region.clone());
                    fences.entry(region.clone()).or_default().push(slot);
                }
            }
        }
        let [data, traffic, compute] = [data, traffic, compute].map(Group::new);
        let fences: BTreeMap<RegionName, Group> =
            fences.into_iter().map(|(region, slots)| (region, Group::new(slots))).collect();
        let all =
            [(&data, paces.data_every), (&traffic, paces.traffic_every), (&compute, paces.compute_every)];
        let of_fences = fences.values().map(|group| (group, paces.fence_every));
        for (group, every) in all.into_iter().chain(of_fences) {
            for slot in &group.slots {
                let look = Look {
                    slot: slot.clone(),
                    adapters: adapters.clone(),
                    board: Arc::clone(board),
                    clock: clock.clone(),
                    deadline: deadline_of(policy, slot, paces),
                    shared: shares_reads(adapters, slot),
                };
                tasks.spawn(look.run(group.wanted.subscribe(), every));
            }
        }
        Self { data, traffic, compute, fences, paces, _tasks: tasks }
    }

    /// Asks for looks that begin at or after `since`, and waits for them: long for targets that answered the last
    /// time, shortly for those that did not. What is late is published when it comes, for the next pass.
    pub(super) async fn refresh(&self, board: &Board, since: Tick, need: &Need) {
        let began = Instant::now();
        let mut groups = vec![&self.data, &self.traffic];
        groups.extend(need.fences.iter().filter_map(|region| self.fences.get(region)));
        for group in &groups {
            group.want(since);
        }
        if need.compute {
            self.compute.want(since);
        }
        loop {
            let Some(until) = self.wait_until(board, since, &groups, began) else { return };
            if tokio::time::timeout_at(until, board.arrived()).await.is_err() {
                return;
            }
        }
    }

    /// Until when to wait for what is missing; `None`: nothing is, or it is late already.
    fn wait_until(&self, board: &Board, since: Tick, groups: &[&Group], began: Instant) -> Option<Instant> {
        let states = groups.iter().flat_map(|g| &g.slots).map(|slot| board.freshness(slot, since));
        let longest = states
            .filter_map(|state| match state {
                Freshness::Fresh => None,
                Freshness::Due => Some(self.paces.wait_known),
                Freshness::Silent => Some(self.paces.wait_silent),
            })
            .max()?;
        let until = began + longest;
        (Instant::now() < until).then_some(until)
    }
}

/// A fence hook's own timeout holds for its `status` verb too.
fn deadline_of(policy: &Policy, slot: &Slot, paces: Paces) -> Duration {
    match slot {
        Slot::Data(..) | Slot::Traffic(_) => paces.look_deadline,
        Slot::Compute(..) => paces.compute_deadline,
        Slot::Fence(way, _) => {
            let way = policy.fences.iter().find(|f| f.name == *way);
            way.map_or(paces.look_deadline, |f| f.timeout.to_std())
        }
    }
}

/// How long a look may wait for what others read too, while nobody wants it sooner.
fn shares_reads(adapters: &Adapters, slot: &Slot) -> Option<Duration> {
    match slot {
        Slot::Data(item, _) => adapters.data.get(item)?.shares_reads(),
        Slot::Traffic(_) | Slot::Compute(..) | Slot::Fence(..) => None,
    }
}

/// One observer.
struct Look {
    slot: Slot,
    adapters: Adapters,
    board: Arc<Board>,
    clock: Clock,
    deadline: Duration,
    /// In a stable world.
    shared: Option<Duration>,
}

impl Look {
    async fn run(self, mut wanted: watch::Receiver<Tick>, every: Duration) {
        let mut is_wanted = true;
        loop {
            let at = self.clock.now().tick;
            wanted.borrow_and_update();
            let fact = match self.shared.filter(|_| !is_wanted) {
                None => self.look(self.deadline).await,
                Some(patience) => tokio::select! {
                    fact = self.look(patience) => fact,
                    // Nobody waits for the others now.
                    _ = wanted.wait_for(|since| *since > at) => {
                        is_wanted = true;
                        continue;
                    }
                },
            };
            self.board.publish(&self.slot, fact, at);
            let asked_meanwhile = *wanted.borrow() > at;
            is_wanted = asked_meanwhile;
            if !asked_meanwhile {
                // A closed channel is the end of the group; the task is aborted with it.
                let asked = tokio::time::timeout(jittered(every), wanted.wait_for(|since| *since > at)).await;
                is_wanted = asked.is_ok();
            }
        }
    }

    async fn look(&self, deadline: Duration) -> SlotFact {
        let adapters = &self.adapters;
        match &self.slot {
            Slot::Data(item, region) => SlotFact::Data(Box::new(match adapters.data.get(item) {
                Some(data) => look_within(deadline, data.observe(region, deadline)).await,
                None => no_adapter(item),
            })),
            Slot::Traffic(item) => SlotFact::Traffic(match adapters.traffic.get(item) {
                Some(traffic) => look_within(deadline, traffic.observe(deadline)).await,
                None => no_adapter(item),
            }),
            Slot::Compute(item, region) => SlotFact::Compute(match adapters.compute.get(item) {
                Some(compute) => look_within(deadline, compute.observe(region, deadline)).await,
                None => no_adapter(item),
            }),
            Slot::Fence(way, region) => SlotFact::Fence(match adapters.fences.get(way) {
                Some(FenceAdapter::Hook(hook)) => look_within(deadline, hook.status(region, deadline)).await,
                _ => no_adapter(way),
            }),
        }
    }
}

fn no_adapter<T>(item: &ItemName) -> Seen<T> {
    Seen::Unknown(format!("the policy in force has no adapter for {item}"))
}

/// A look, with the deadline kept for the adapter if it does not keep it itself, and its panic made an unknown.
pub(super) async fn look_within<T>(deadline: Duration, look: impl Future<Output = Seen<T>>) -> Seen<T> {
    /// An adapter that keeps its own deadline says better what it waited for.
    const GRACE: Duration = Duration::from_millis(100);
    let caught = AssertUnwindSafe(look).catch_unwind();
    match tokio::time::timeout(deadline + GRACE, caught).await {
        Ok(Ok(seen)) => seen,
        Ok(Err(_)) => Seen::Unknown("the adapter panicked while it looked".into()),
        Err(_) => Seen::Unknown(format!("no answer within {} ms", deadline.as_millis())),
    }
}

/// Spreads the looks of many policies that were started at once.
fn jittered(every: Duration) -> Duration {
    every.mul_f64(rand::random_range(0.9..1.0))
}
