//! From four-valued probe results to a verdict: streaks with trip and reset thresholds, aggregation over the
//! probes of a vantage, a quorum of vantages outside the judged region, and the observer's own connectivity.
//!
//! Only [`ProbeResult::Fail`] counts against a region. `Error` (the observer is bad) and `Inconclusive` neither
//! count nor clear.

use crate::ids::{ProbeName, RegionName, VantageName};
use crate::policy::{Aggregate, Detection, ProbePlan, Threshold};
use crate::seeded::{self, Bug};
use crate::time::{Millis, Stamp, Tick};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What one run of a probe says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum ProbeResult {
    /// It works.
    Pass,
    /// The target is bad.
    Fail,
    /// The observer is bad.
    Error,
    /// Nothing can be said.
    Inconclusive,
}

/// What a probe ran into, before it is known whether the observer itself is connected.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Symptom {
    /// Everything as expected.
    None,
    /// The target refused the connection, or broke it off.
    Refused,
    /// It answered wrongly: status, protocol, certificate, content.
    WrongAnswer,
    /// An expectation of the policy is false.
    ExpectationFalse,
    /// No answer in time.
    Timeout,
    /// No route to the target.
    NoRoute,
    /// The name could not be resolved, by a fault of the resolver.
    Resolver,
    /// Own descriptors, memory, ports.
    OwnResources,
    /// Own TLS store, certificate or configuration.
    OwnSetup,
    /// The target asked to slow down (429), or a metric is empty or not a number.
    NothingSaid,
}

impl Symptom {
    /// The result (safety rules, section 8). `anchor_passed`: an independent target answered this same vantage in
    /// the same window. Without anchors a silence is never the target's fault.
    pub const fn judge(self, anchor_passed: bool) -> ProbeResult {
        match self {
            Self::None => ProbeResult::Pass,
            Self::Refused | Self::WrongAnswer | Self::ExpectationFalse => ProbeResult::Fail,
            Self::Timeout | Self::NoRoute if anchor_passed => ProbeResult::Fail,
            Self::Timeout | Self::NoRoute | Self::Resolver | Self::OwnResources | Self::OwnSetup => {
                ProbeResult::Error
            }
            Self::NothingSaid => ProbeResult::Inconclusive,
        }
    }
}

/// One result, stamped on arrival by the receiver.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Of what.
    pub region: RegionName,
    /// By whom.
    pub vantage: VantageName,
    /// Which probe.
    pub probe: ProbeName,
    /// What it said.
    pub result: ProbeResult,
    /// When the probe began, by the receiver's clock.
    pub at: Stamp,
    /// The failing expression and value, for people.
    pub detail: String,
}

/// Results in a row, of one probe at one region from one vantage.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Streak {
    /// Fails in a row, saturating at the trip count.
    pub fails: u32,
    /// Passes in a row, saturating at the reset count.
    pub passes: u32,
    /// Whether it counts against the region: set by trip, cleared by reset.
    pub tripped: bool,
    /// First fail of the row; unset after a restart, so that `minOutage` starts anew.
    pub failing_since: Option<Stamp>,
    /// First pass of the row.
    pub passing_since: Option<Stamp>,
    /// Newest result.
    pub last: ProbeResult,
    /// When it began.
    pub last_at: Stamp,
    /// What it said, for people.
    pub detail: String,
}

impl Streak {
    const fn new(at: Stamp) -> Self {
        Self {
            fails: 0,
            passes: 0,
            tripped: false,
            failing_since: None,
            passing_since: None,
            last: ProbeResult::Inconclusive,
            last_at: at,
            detail: String::new(),
        }
    }

    fn fold(&mut self, sample: &Sample, detection: &Detection) {
        self.last = sample.result;
        self.last_at = sample.at;
        self.detail.clone_from(&sample.detail);
        match sample.result {
            ProbeResult::Fail => {
                self.passes = 0;
                self.passing_since = None;
                self.fails = (self.fails + 1).min(detection.trip.count);
                let since = *self.failing_since.get_or_insert(sample.at);
                self.tripped |= reached(self.fails, since, sample.at, &detection.trip);
            }
            ProbeResult::Pass => {
                self.fails = 0;
                self.failing_since = None;
                self.passes = (self.passes + 1).min(detection.reset.count);
                let since = *self.passing_since.get_or_insert(sample.at);
                self.tripped &= !reached(self.passes, since, sample.at, &detection.reset);
            }
            ProbeResult::Error | ProbeResult::Inconclusive => {}
        }
    }

    /// Whether the newest result is young enough to speak for now: at most three periods and a timeout.
    fn is_fresh(&self, now: Tick, probe: &ProbePlan) -> bool {
        now.since(self.last_at.tick).is_some_and(|age| age <= probe.freshness())
    }
}

fn reached(count: u32, since: Stamp, at: Stamp, threshold: &Threshold) -> bool {
    count >= threshold.count && at.since(&since).is_some_and(|long| long >= threshold.min)
}

impl ProbePlan {
    /// How long a result speaks for the present: three periods and a timeout.
    pub const fn freshness(&self) -> Millis {
        self.every.times(3).plus(self.timeout)
    }
}

/// What of a streak survives a restart: counts, not durations.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Mark {
    /// Fails in a row.
    pub fails: u32,
    /// Passes in a row.
    pub passes: u32,
    /// Counts against the region.
    pub tripped: bool,
}

/// Marks by region, vantage and probe.
pub type HealthMarks = BTreeMap<RegionName, BTreeMap<VantageName, BTreeMap<ProbeName, Mark>>>;

/// All streaks of a policy, folded from samples as they arrive. Volatile; [`HealthBook::marks`] is what is kept.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct HealthBook {
    /// Where each vantage stands; `None`: outside of all regions.
    pub vantages: BTreeMap<VantageName, Option<RegionName>>,
    /// By region, vantage and probe.
    pub streaks: BTreeMap<RegionName, BTreeMap<VantageName, BTreeMap<ProbeName, Streak>>>,
}

/// One vantage's view of one region.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum View {
    /// Fresh passes, nothing tripped.
    Pass,
    /// The aggregate is tripped by fresh fails.
    Fail,
    /// Neither: too few, too old, or the observer's own trouble.
    Unknown,
}

/// What a quorum says of a region.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// Healthy, Unhealthy or Unknown.
    pub kind: VerdictKind,
    /// By vantage.
    pub views: BTreeMap<VantageName, View>,
    /// First failed probe of the outage, over the vantages that say Fail.
    pub first_failure: Option<Stamp>,
    /// For people.
    pub saw: String,
}

/// The kind of a [`Verdict`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum VerdictKind {
    /// More vantages outside the region see it pass than fail, and none of the quorum is missing.
    Healthy,
    /// At least the quorum sees it fail, freshly, and more fail than pass.
    Unhealthy,
    /// Anything else.
    Unknown,
}

impl HealthBook {
    /// Starts from what survived: counts are kept, durations start from zero.
    pub fn from_marks(marks: &HealthMarks, now: Stamp) -> Self {
        let mut book = Self::default();
        for (region, vantages) in marks {
            for (vantage, probes) in vantages {
                for (probe, mark) in probes {
                    let mut streak = Streak::new(now);
                    (streak.fails, streak.passes, streak.tripped) = (mark.fails, mark.passes, mark.tripped);
                    book.streaks
                        .entry(region.clone())
                        .or_default()
                        .entry(vantage.clone())
                        .or_default()
                        .insert(probe.clone(), streak);
                }
            }
        }
        book
    }

    /// What must survive a restart. Saturated counts make it constant in a stable world.
    pub fn marks(&self) -> HealthMarks {
        let mark = |s: &Streak| Mark { fails: s.fails, passes: s.passes, tripped: s.tripped };
        self.streaks
            .iter()
            .map(|(region, vantages)| {
                let by_vantage = vantages.iter().map(|(vantage, probes)| {
                    (vantage.clone(), probes.iter().map(|(p, s)| (p.clone(), mark(s))).collect())
                });
                (region.clone(), by_vantage.collect())
            })
            .collect()
    }

    /// Takes in one result. An older one than the newest known is dropped: reports may arrive out of order.
    pub fn fold(&mut self, sample: &Sample, detection: &Detection) {
        let streak = self
            .streaks
            .entry(sample.region.clone())
            .or_default()
            .entry(sample.vantage.clone())
            .or_default()
            .entry(sample.probe.clone())
            .or_insert_with(|| Streak::new(sample.at));
        let out_of_order = streak.last_at.boot == sample.at.boot && sample.at.tick < streak.last_at.tick;
        if !out_of_order {
            streak.fold(sample, detection);
        }
    }

    /// Forgets vantages, probes and regions that the policy no longer has.
    pub fn retain(&mut self, regions: &[RegionName], probes: &[ProbePlan]) {
        let known: BTreeSet<&ProbeName> = probes.iter().map(|p| &p.name).collect();
        self.streaks.retain(|region, _| regions.contains(region));
        for vantages in self.streaks.values_mut() {
            vantages.retain(|vantage, _| self.vantages.contains_key(vantage));
            for streaks in vantages.values_mut() {
                streaks.retain(|probe, _| known.contains(probe));
            }
        }
    }

    fn streak(&self, region: &RegionName, vantage: &VantageName, probe: &ProbeName) -> Option<&Streak> {
        self.streaks.get(region)?.get(vantage)?.get(probe)
    }

    /// How one vantage sees `region` through `probes` (those that run against it now).
    pub fn view(
        &self,
        region: &RegionName,
        vantage: &VantageName,
        probes: &[&ProbePlan],
        aggregate: &Aggregate,
        now: Tick,
    ) -> View {
        let (mut tripped, mut passing, mut tripped_names) = (0_u32, 0_u32, BTreeSet::new());
        for probe in probes {
            let Some(streak) = self.streak(region, vantage, &probe.name) else { continue };
            if !streak.is_fresh(now, probe) {
                continue;
            }
            match streak.last {
                ProbeResult::Fail if streak.tripped => {
                    tripped += 1;
                    tripped_names.insert(&probe.name);
                }
                ProbeResult::Pass if !streak.tripped => passing += 1,
                _ => {}
            }
        }
        let fails = match aggregate {
            Aggregate::AnyOf(required) => required.iter().any(|name| tripped_names.contains(name)),
            Aggregate::AtLeast(n) => tripped >= (*n).max(1),
        };
        match (fails, passing) {
            (true, _) => View::Fail,
            (false, 1..) => View::Pass,
            (false, 0) => View::Unknown,
        }
    }

    /// The verdict on `region` by the vantages outside it.
    pub fn verdict(
        &self,
        region: &RegionName,
        probes: &[&ProbePlan],
        detection: &Detection,
        now: Tick,
    ) -> Verdict {
        let outside = self.vantages.iter().filter(|(_, stands)| stands.as_ref() != Some(region));
        let views: BTreeMap<VantageName, View> = outside
            .map(|(v, _)| (v.clone(), self.view(region, v, probes, &detection.aggregate, now)))
            .collect();
        let count = |want: View| u32::try_from(views.values().filter(|v| **v == want).count()).unwrap_or(0);
        let (fail, pass, unknown) = (count(View::Fail), count(View::Pass), count(View::Unknown));
        let quorum = if seeded::active(Bug::NoQuorum) { 1 } else { detection.quorum.max(1) };
        let kind = if fail >= quorum && fail > pass {
            VerdictKind::Unhealthy
        } else if pass >= 1 && pass > fail {
            VerdictKind::Healthy
        } else {
            VerdictKind::Unknown
        };
        let failing = views.iter().filter(|(_, v)| **v == View::Fail).map(|(name, _)| name);
        let first_failure =
            failing.filter_map(|vantage| self.first_failure(region, vantage, probes)).min_by_key(|s| s.tick);
        let saw = format!("{fail} fail, {pass} pass, {unknown} unknown of {} vantages", views.len());
        Verdict { kind, views, first_failure, saw }
    }

    fn first_failure(
        &self,
        region: &RegionName,
        vantage: &VantageName,
        probes: &[&ProbePlan],
    ) -> Option<Stamp> {
        probes
            .iter()
            .filter_map(|p| self.streak(region, vantage, &p.name))
            .filter(|s| s.tripped)
            .filter_map(|s| s.failing_since)
            .min_by_key(|s| s.tick)
    }

    /// Whether any vantage freshly sees a probe of `probes` pass at `region`.
    pub fn any_passes(&self, region: &RegionName, probes: &[&ProbePlan], now: Tick) -> bool {
        let Some(vantages) = self.streaks.get(region) else { return false };
        vantages.values().any(|streaks| {
            probes.iter().any(|probe| {
                streaks
                    .get(&probe.name)
                    .is_some_and(|s| s.is_fresh(now, probe) && s.last == ProbeResult::Pass)
            })
        })
    }

    /// Probes that fail right now, with what they said, for people.
    pub fn failing(&self, region: &RegionName) -> Vec<(VantageName, ProbeName, String)> {
        let Some(vantages) = self.streaks.get(region) else { return Vec::new() };
        let each = vantages.iter().flat_map(|(vantage, streaks)| {
            streaks.iter().map(move |(probe, streak)| (vantage, probe, streak))
        });
        each.filter(|(_, _, s)| s.last != ProbeResult::Pass)
            .map(|(vantage, probe, s)| (vantage.clone(), probe.clone(), s.detail.clone()))
            .collect()
    }
}
