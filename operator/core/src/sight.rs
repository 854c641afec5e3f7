//! One pass's arguments together, with the questions that the rules ask of them.

use crate::facts::{
    ByItemRegion, ComputeFacts, DataFacts, DataRole, Fact, FenceFacts, Outcome, PowerState, Seen,
    TrafficFacts,
};
use crate::health::{Verdict, VerdictKind};
use crate::ids::{ItemName, Position, RegionName};
use crate::journal::Step;
use crate::policy::{DataItem, FenceKind, FenceWay, On, Policy, ProbePlan};
use crate::time::{Millis, Stamp, Tick};
use crate::{facts::Observations, journal::Journal};

/// How old an observation of a target may be and still speak for now.
pub(crate) const FRESH: Millis = Millis(10_000);
/// The same of a workload: nothing that it says keeps data whole, and it is looked at less often.
const FRESH_COMPUTE: Millis = Millis(60_000);

/// Policy, journal, observations and time, read only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) journal: &'a Journal,
    pub(crate) seen: &'a Observations,
    pub(crate) now: Stamp,
}

impl<'a> Sight<'a> {
    fn looked_up<T>(
        &self,
        map: &'a ByItemRegion<T>,
        item: &ItemName,
        region: &RegionName,
        since: Tick,
    ) -> Option<&'a T> {
        let fact = map.get(item)?.get(region)?;
        let young = fact.fresh(self.now.tick, FRESH)?;
        (fact.at >= since).then(|| young.known()).flatten()
    }

    /// From when on an observation of this process is newer than a moment of the active run. Ticks of another boot say
    /// nothing here: such a moment counts as the one in which the run was taken over, and as never without that.
    pub(crate) fn tick_of(&self, moment: Stamp) -> Tick {
        self.here(moment).map_or(Tick(u64::MAX), |at| at.tick)
    }

    /// How long ago a moment of the active run was, at least.
    pub(crate) fn waited(&self, since: Stamp) -> Millis {
        self.here(since).and_then(|at| self.now.since(&at)).unwrap_or_default()
    }

    /// How long ago that was, at least; zero while it has not been.
    pub(crate) fn waited_since(&self, since: Option<Stamp>) -> Millis {
        since.map(|at| self.waited(at)).unwrap_or_default()
    }

    /// How long a pause has lasted, also over a reboot, where ticks say nothing: nothing hangs on the clock but the pause.
    pub(crate) fn paused_since(&self, since: Option<Stamp>) -> Millis {
        since.map(|at| self.now.since_or_wall(&at)).unwrap_or_default()
    }

    /// Whether a call for the step's newest intent has not returned yet.
    pub(crate) fn is_in_flight(&self, step: &Step) -> bool {
        step.seq.is_some_and(|seq| self.seen.in_flight.contains(&seq))
    }

    /// What the newest attempt came to, if its answer was heard here. That of an earlier one says nothing of it.
    pub(crate) fn outcome_of(&self, step: &Step) -> Option<&'a Fact<Outcome>> {
        let issued = self.tick_of(step.issued?);
        self.seen.outcomes.get(&step.seq?).filter(|outcome| outcome.at >= issued)
    }

    /// A moment of the active run, as this boot's clock has it.
    pub(crate) fn here(&self, moment: Stamp) -> Option<Stamp> {
        if moment.boot == self.now.boot {
            return Some(moment);
        }
        let taken_over = self.journal.run.as_ref().and_then(|run| run.taken_over);
        taken_over.filter(|at| at.boot == self.now.boot)
    }

    /// A data node, if it answered lately.
    pub(crate) fn data(&self, item: &ItemName, region: &RegionName) -> Option<&'a DataFacts> {
        self.data_since(item, region, Tick(0))
    }

    /// A data node, if it answered a look that began at `since` or later.
    pub(crate) fn data_since(
        &self,
        item: &ItemName,
        region: &RegionName,
        since: Tick,
    ) -> Option<&'a DataFacts> {
        self.looked_up(&self.seen.data, item, region, since)
    }

    /// Whether the active run will have an item's engine hand it over from `region`, which has not been seen done. Until then
    /// the region takes its writes, and no other does.
    pub(crate) fn is_yet_to_hand_over(&self, item: &ItemName, region: &RegionName) -> bool {
        let run = self.journal.run.as_ref().filter(|run| !run.phase.is_final() && run.from == *region);
        run.is_some_and(|run| run.has_yet_to_hand_over(item))
    }

    /// Whether any data item of a region answers, and is not closed by proof.
    pub(crate) fn answers_open(&self, region: &RegionName) -> bool {
        self.policy.data.iter().any(|item| self.data(&item.name, region).is_some_and(|f| !f.is_closed()))
    }

    /// Whether a region is seen to take the application's writes in any data item. Silence is not seen.
    pub(crate) fn takes_writes(&self, region: &RegionName) -> bool {
        self.policy.data.iter().any(|item| self.data(&item.name, region).is_some_and(DataFacts::takes_writes))
    }

    /// Why a data node has not answered since, for people.
    pub(crate) fn why_unknown_since(&self, item: &ItemName, region: &RegionName, since: Tick) -> String {
        match self.seen.data.get(item).and_then(|by| by.get(region)) {
            Some(fact) if fact.value.known().is_some() && fact.at < since => {
                format!("{item} in {region}: silent since it was last seen, {} ago", self.ago(fact.at))
            }
            _ => self.why_unknown(item, region),
        }
    }

    fn ago(&self, tick: Tick) -> Millis {
        self.now.tick.since(tick).unwrap_or_default()
    }

    /// Why a data node is not known, for people.
    pub(crate) fn why_unknown(&self, item: &ItemName, region: &RegionName) -> String {
        match self.seen.data.get(item).and_then(|by| by.get(region)).map(|f| &f.value) {
            Some(Seen::Unknown(why)) => format!("{item} in {region}: {why}"),
            Some(Seen::Known(_)) => format!("{item} in {region}: last seen too long ago"),
            None => format!("{item} in {region}: not looked at yet"),
        }
    }

    /// What a fence way says of a region, from a look at `since` or later.
    pub(crate) fn fence_since(
        &self,
        way: &ItemName,
        region: &RegionName,
        since: Tick,
    ) -> Option<&'a FenceFacts> {
        self.looked_up(&self.seen.fences, way, region, since)
    }

    /// A workload, if its cluster answered a look that began at `since` or later.
    pub(crate) fn compute_since(
        &self,
        item: &ItemName,
        region: &RegionName,
        since: Tick,
    ) -> Option<&'a ComputeFacts> {
        let fact = self.seen.compute.get(item)?.get(region)?;
        let young = fact.fresh(self.now.tick, FRESH_COMPUTE)?;
        (fact.at >= since).then(|| young.known()).flatten()
    }

    /// A workload, if its cluster answered lately.
    pub(crate) fn compute(&self, item: &ItemName, region: &RegionName) -> Option<&'a ComputeFacts> {
        self.compute_since(item, region, Tick(0))
    }

    /// Another region whose cluster shows the very same object: two kubeconfigs of one cluster. What is done in one region
    /// would be done in the other.
    pub(crate) fn same_workload(&self, item: &ItemName, region: &RegionName) -> Option<&'a RegionName> {
        let id = Some(&self.compute(item, region)?.id).filter(|id| !id.is_empty())?;
        let is_same = |other: &&RegionName| {
            *other != region && self.compute(item, other).is_some_and(|facts| facts.id == *id)
        };
        self.policy.regions.iter().find(is_same)
    }

    /// Why a workload is not known, for people.
    pub(crate) fn why_no_compute(&self, item: &ItemName, region: &RegionName) -> String {
        match self.seen.compute.get(item).and_then(|by| by.get(region)).map(|f| &f.value) {
            Some(Seen::Unknown(why)) => format!("{item} in {region}: {why}"),
            Some(Seen::Known(_)) => format!("{item} in {region}: last seen too long ago"),
            None => format!("{item} in {region}: not looked at yet"),
        }
    }

    /// A traffic item, if it answered a look that began at `since` or later.
    pub(crate) fn traffic_since(&self, item: &ItemName, since: Tick) -> Option<&'a TrafficFacts> {
        let fact: &Fact<Seen<TrafficFacts>> = self.seen.traffic.get(item)?;
        let young = fact.fresh(self.now.tick, FRESH)?;
        (fact.at >= since).then(|| young.known()).flatten()
    }

    /// The probes that run against `region` while `active` takes the writes.
    pub(crate) fn probes_at(&self, region: &RegionName, active: Option<&RegionName>) -> Vec<&'a ProbePlan> {
        let is_active = active == Some(region);
        let runs = |on: On| match on {
            On::Both => true,
            On::Primary => is_active,
            On::Standby => !is_active,
        };
        self.policy.probes.iter().filter(|p| runs(p.on)).collect()
    }

    /// The verdict on a region.
    pub(crate) fn verdict(&self, region: &RegionName) -> Verdict {
        let probes = self.probes_at(region, self.journal.state.active_region.as_ref());
        self.seen.health.verdict(region, &probes, &self.policy.detection, self.now.tick)
    }

    /// Whether a fence hook attests that a region is off: of an id that it has called on before, and where the
    /// policy accepts such a proof.
    pub(crate) fn attested_off_by(
        &self,
        region: &RegionName,
        since: Tick,
        counts: impl Fn(&FenceWay) -> bool,
    ) -> Option<(&'a ItemName, &'a str)> {
        use crate::policy::ProofClass;
        if !self.policy.accepts(ProofClass::Attested) {
            return None;
        }
        let mut ways =
            self.policy.fences.iter().filter(|way| way.proof == ProofClass::Attested && counts(way));
        ways.find_map(|way| {
            let facts = self.fence_since(&way.name, region, since)?;
            let known_id = self.journal.state.fence_ids.get(&way.name)?.get(region)?;
            (facts.state == PowerState::Off && *known_id == facts.id)
                .then_some((&way.name, facts.id.as_str()))
        })
    }

    /// The same, by a hook: what is off then is the region, and nothing in it can be promoted any more. Workloads at zero, or a
    /// network that denies, say nothing of the kind.
    pub(crate) fn switched_off(&self, region: &RegionName, since: Tick) -> Option<(&'a ItemName, &'a str)> {
        self.attested_off_by(region, since, |way| way.kind == FenceKind::Hook)
    }

    /// Why a region could not take over, or its rank: newest timeline, then highest received position.
    pub(crate) fn fitness(&self, region: &RegionName) -> Result<(u64, Position), String> {
        let mut rank = (0, Position(0));
        for (index, item) in self.policy.data.iter().enumerate() {
            let facts = self.data(&item.name, region).ok_or_else(|| self.why_unknown(&item.name, region))?;
            // Its engine may have moved it there after the run that asked for it was given up.
            let arrived = item.hands_over && crate::proof::promotion_pending(self, region);
            if facts.role != DataRole::Standby && !arrived {
                return Err(format!("{} in {region} is writable, not a standby", item.name));
            }
            if let Some(why) = self.foreign_system(item, region, facts) {
                return Err(why);
            }
            if let Some(why) = &facts.unfit {
                return Err(format!("{} in {region}: {why}", item.name));
            }
            if index == 0 {
                rank = (facts.timeline, facts.position);
            }
        }
        let verdict = self.verdict(region);
        if verdict.kind == VerdictKind::Unhealthy {
            return Err(format!("{region} is unhealthy too: {}", verdict.saw));
        }
        let probes = self.probes_at(region, self.journal.state.active_region.as_ref());
        if !self.seen.health.any_passes(region, &probes, self.now.tick) {
            return Err(format!("no probe passes at {region}"));
        }
        Ok(rank)
    }

    fn foreign_system(&self, item: &DataItem, region: &RegionName, facts: &DataFacts) -> Option<String> {
        let known = self.journal.state.lineage.get(&item.name)?;
        (known.system != facts.system).then(|| {
            format!(
                "{} in {region} holds other data ({}) than the writer ({})",
                item.name, facts.system, known.system
            )
        })
    }

    /// The region that could take over from `from`: the most advanced one; by preference where equal.
    pub(crate) fn best_candidate(&self, from: &RegionName) -> Option<RegionName> {
        let mut best: Option<((u64, Position), &RegionName)> = None;
        for region in self.policy.regions.iter().filter(|r| *r != from) {
            let Ok(rank) = self.fitness(region) else { continue };
            if best.as_ref().is_none_or(|(top, _)| rank > *top) {
                best = Some((rank, region));
            }
        }
        best.map(|(_, region)| region.clone())
    }
}
