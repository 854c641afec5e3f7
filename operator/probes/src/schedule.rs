//! The scheduler: a task per probe and region, each at its own jittered pace.
//!
//! A task runs its probe, reports, sleeps: a probe never overlaps with itself, and no probe waits for another. What
//! is under way at once is bounded by the number of probes times regions. Dropping the runner stops everything at
//! the next point where a task waits, that is at once.

use crate::anchors::Anchors;
use crate::error::{Mistakes, SpecError};
use crate::heartbeats::{HeartbeatBook, StandbyBeat};
use crate::net::SystemNames;
use crate::public::{self, PublicProbe};
use crate::report::{ReportSink, Shared};
use crate::run::Probe;
use crate::spec::{AnchorSpec, ProbeKind, ProbeSpec, ProbingSpec, PublicSpec, RegionVars};
use crate::{Clock, task};
use muster_core::facts::{Fact, HeartbeatFacts, PublicFacts};
use muster_core::ids::{ItemName, ProbeName, RegionName, VantageName};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Which region takes writes, by the journal; `None` until that is known.
pub type ActiveRegion = watch::Receiver<Option<RegionName>>;

struct Running {
    spec: Arc<ProbeSpec>,
    region: Arc<RegionVars>,
    _task: AbortOnDropHandle<()>,
}

struct RunningPublic {
    spec: PublicSpec,
    facts: watch::Receiver<Option<Fact<PublicFacts>>>,
    _task: AbortOnDropHandle<()>,
}

/// Runs one policy's probes from one vantage.
pub struct ProbeRunner {
    shared: Arc<Shared>,
    active: ActiveRegion,
    anchors: watch::Sender<Arc<Anchors>>,
    anchor_specs: Vec<AnchorSpec>,
    running: BTreeMap<(ProbeName, RegionName), Running>,
    public: Option<RunningPublic>,
    books: BTreeMap<ItemName, Arc<HeartbeatBook>>,
}

impl ProbeRunner {
    /// A runner without probes; [`ProbeRunner::apply`] gives it some.
    pub fn new(
        vantage: VantageName,
        clock: Arc<dyn Clock>,
        sink: Arc<dyn ReportSink>,
        active: ActiveRegion,
    ) -> Self {
        let names = Arc::new(SystemNames::default());
        let none = Anchors::compile(&[], Arc::clone(&names), Arc::clone(&clock), &mut Mistakes::default());
        Self {
            shared: Arc::new(Shared { vantage, clock, sink, names }),
            active,
            anchors: watch::Sender::new(Arc::new(none)),
            anchor_specs: Vec::new(),
            running: BTreeMap::new(),
            public: None,
            books: BTreeMap::new(),
        }
    }

    /// Takes over a new or edited policy, all of it or nothing. What did not change keeps running. Needs a tokio
    /// runtime around it.
    pub fn apply(&mut self, spec: &ProbingSpec) -> Result<(), Vec<SpecError>> {
        let mut mistakes = Mistakes::default();
        let fresh = self.compile_changed(spec, &mut mistakes);
        let public = self.compile_public(spec, &mut mistakes);
        let anchors = (spec.anchors != self.anchor_specs).then(|| self.compile_anchors(spec, &mut mistakes));
        let mistakes = mistakes.into_vec();
        if !mistakes.is_empty() {
            self.forget_books();
            return Err(mistakes);
        }
        if let Some(anchors) = anchors {
            self.anchors.send_replace(Arc::new(anchors));
            self.anchor_specs.clone_from(&spec.anchors);
        }
        self.running.retain(|(probe, region), running| {
            let still = |p: &ProbeSpec| p.name == *probe && *p == *running.spec;
            let known = |r: &RegionVars| r.name == *region && *r == *running.region;
            spec.probes.iter().any(still) && spec.regions.iter().any(known)
        });
        for probe in fresh {
            self.start(probe);
        }
        self.switch_public(spec, public);
        self.forget_books();
        Ok(())
    }

    /// Keeps the books of heartbeats that run.
    fn forget_books(&mut self) {
        let items: Vec<&ItemName> = self.running.values().filter_map(|r| item_of(&r.spec)).collect();
        self.books.retain(|item, _| items.contains(&item));
    }

    /// Heartbeats by data item.
    pub fn heartbeats(&self) -> BTreeMap<ItemName, HeartbeatFacts> {
        self.books.iter().map(|(item, book)| (item.clone(), book.facts())).collect()
    }

    /// What the standbys have of them: the live loss.
    pub fn standby_beats(&self) -> BTreeMap<ItemName, BTreeMap<RegionName, StandbyBeat>> {
        self.books.iter().map(|(item, book)| (item.clone(), book.standbys())).collect()
    }

    /// The book of one data item.
    pub fn heartbeat_book(&self, item: &ItemName) -> Option<Arc<HeartbeatBook>> {
        self.books.get(item).cloned()
    }

    /// The public name; absent before the first result.
    pub fn public(&self) -> Option<Fact<PublicFacts>> {
        self.public.as_ref()?.facts.borrow().clone()
    }

    fn compile_changed(&mut self, spec: &ProbingSpec, mistakes: &mut Mistakes) -> Vec<Probe> {
        let regions: Vec<Arc<RegionVars>> = spec.regions.iter().cloned().map(Arc::new).collect();
        let mut fresh = Vec::new();
        for (n, probe) in spec.probes.iter().enumerate() {
            if spec.probes[..n].iter().any(|other| other.name == probe.name) {
                mistakes.add(SpecError::new(&format!("probes[{}]", probe.name), "the name is used twice"));
            }
            let shared = Arc::new(probe.clone());
            for region in &regions {
                let key = (probe.name.clone(), region.name.clone());
                let same = |r: &Running| *r.spec == *probe && r.region == *region;
                if self.running.get(&key).is_some_and(same) {
                    continue;
                }
                let (books, vantage) = (&mut self.books, &self.shared.vantage);
                let book = || {
                    let item = item_of(probe).cloned().unwrap_or_else(|| ItemName::new(""));
                    Arc::clone(books.entry(item).or_insert_with(|| Arc::new(HeartbeatBook::new(vantage))))
                };
                fresh.extend(Probe::compile(&shared, region, book, mistakes));
            }
        }
        fresh
    }

    fn compile_public(&self, spec: &ProbingSpec, mistakes: &mut Mistakes) -> Option<PublicProbe> {
        let wanted = spec.public.as_ref()?;
        if self.public.as_ref().is_some_and(|running| running.spec == *wanted) {
            return None;
        }
        PublicProbe::compile(wanted, mistakes)
    }

    fn compile_anchors(&self, spec: &ProbingSpec, mistakes: &mut Mistakes) -> Anchors {
        let (names, clock) = (Arc::clone(&self.shared.names), Arc::clone(&self.shared.clock));
        Anchors::compile(&spec.anchors, names, clock, mistakes)
    }

    fn start(&mut self, probe: Probe) {
        let (spec, region) = (Arc::clone(&probe.spec), Arc::clone(&probe.region));
        let key = (spec.name.clone(), region.name.clone());
        let (shared, active) = (Arc::clone(&self.shared), self.active.clone());
        let running = task::keep_probing(Box::new(probe), shared, self.anchors.subscribe(), active);
        let running = AbortOnDropHandle::new(tokio::spawn(running));
        self.running.insert(key, Running { spec, region, _task: running });
    }

    fn switch_public(&mut self, spec: &ProbingSpec, public: Option<PublicProbe>) {
        match (&spec.public, public) {
            (Some(wanted), Some(public)) => {
                let (sender, facts) = watch::channel(None);
                let running = public::keep_probing(public, Arc::clone(&self.shared), sender);
                let running = AbortOnDropHandle::new(tokio::spawn(running));
                self.public = Some(RunningPublic { spec: wanted.clone(), facts, _task: running });
            }
            (Some(_), None) => {}
            (None, _) => self.public = None,
        }
    }
}

fn item_of(probe: &ProbeSpec) -> Option<&ItemName> {
    match &probe.kind {
        ProbeKind::Heartbeat(beat) => Some(&beat.data),
        _ => None,
    }
}
