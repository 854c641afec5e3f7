//! A probe compiled for one region, and one run of it.

use crate::Clock;
use crate::dns::Dns;
use crate::error::{Mistakes, SpecError};
use crate::finding::Finding;
use crate::grpc::{Grpc, compile_address};
use crate::heartbeats::HeartbeatBook;
use crate::http::judge::judge;
use crate::http::{Connections, HttpPlan, Place, Suite, fetch};
use crate::net::{Address, Lookup, SystemNames, dial};
use crate::postgres::{Heartbeat, Sql};
use crate::progress::Progress;
use crate::spec::{HttpSpec, ProbeKind, ProbeSpec, RegionVars};
use crate::template::Saved;
use futures::future::BoxFuture;
use muster_core::ids::RegionName;
use muster_core::policy::On;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// What a region is at the moment of a run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// The journal's active region.
    Primary,
    /// Another.
    Standby,
    /// There is no active region yet.
    Unknown,
}

impl Side {
    /// The side of `region`.
    pub fn of(region: &RegionName, active: Option<&RegionName>) -> Self {
        match active {
            Some(active) if active == region => Self::Primary,
            Some(_) => Self::Standby,
            None => Self::Unknown,
        }
    }
}

/// On which sides a probe runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sides {
    on: On,
    heartbeat: bool,
    /// A standby is asked by another name.
    elsewhere: bool,
}

impl Sides {
    /// Whether it runs against a region of this side.
    pub(crate) fn applies(self, side: Side) -> bool {
        match side {
            Side::Primary => self.heartbeat || self.on != On::Standby,
            Side::Standby => self.heartbeat || self.on != On::Primary,
            Side::Unknown => !self.heartbeat && self.on == On::Both,
        }
    }

    /// Whether a change of sides ends what is under way. A heartbeat writes on one side and reads on the other, and a name may
    /// lead nowhere on one of them.
    pub(crate) fn differ(self, old: Side, new: Side) -> bool {
        self.applies(old) != self.applies(new) || ((self.heartbeat || self.elsewhere) && old != new)
    }
}

/// What a run is given.
pub(crate) struct RunCx<'a> {
    pub(crate) names: &'a SystemNames,
    pub(crate) progress: &'a Progress,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) side: Side,
}

/// How a run went, before anchors were asked.
pub(crate) struct Outcome {
    pub(crate) result: Result<(), Finding>,
    pub(crate) latency: Duration,
}

/// An HTTP request with the connections it keeps.
pub(crate) struct Http {
    plan: Arc<HttpPlan>,
    connections: Connections,
    lookup: Lookup,
}

/// Boxed but for the two most usual ones, so that these do not have the size of the largest.
enum Work {
    Http(Http),
    Suite(Box<Suite>),
    Tcp(Address),
    Grpc(Box<Grpc>),
    Dns(Box<Dns>),
    Sql(Box<Sql>),
    Heartbeat(Box<Heartbeat>),
}

/// A probe compiled for one region, with the connections that it keeps.
pub(crate) struct Probe {
    pub(crate) spec: Arc<ProbeSpec>,
    pub(crate) region: Arc<RegionVars>,
    work: Work,
}

impl Http {
    pub(crate) fn compile(spec: &HttpSpec, place: &Place<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let plan = HttpPlan::compile(spec, &[], place, mistakes)?;
        let lookup = if plan.fresh { Lookup::Fresh } else { Lookup::Recent };
        Some(Self { plan: Arc::new(plan), connections: Connections::default(), lookup })
    }

    /// Resolves by this way instead.
    pub(crate) fn with_lookup(self, lookup: Lookup) -> Self {
        Self { lookup, ..self }
    }

    pub(crate) async fn run(&mut self, cx: &RunCx<'_>) -> Result<(), Finding> {
        let request = self.plan.prepare(&Saved::new()).map_err(Finding::own_setup)?;
        let answer = fetch(&self.plan, request, self.lookup, &mut self.connections, cx).await?;
        judge(&self.plan, answer, cx.clock.now().wall).await.result
    }

    pub(crate) fn secrets(&self) -> &[String] {
        &self.plan.secrets
    }
}

impl Probe {
    /// Compiles; mistakes are collected, and `None` given, if there are any.
    pub(crate) fn compile(
        spec: &Arc<ProbeSpec>,
        region: &Arc<RegionVars>,
        book: impl FnOnce() -> Arc<HeartbeatBook>,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let field = format!("probes[{}]", spec.name);
        for (part, length) in [("every", spec.every), ("timeout", spec.timeout)] {
            if length < Duration::from_millis(1) {
                mistakes.add(SpecError::new(&format!("{field}.{part}"), "must be at least 1ms"));
            }
        }
        let work = match &spec.kind {
            ProbeKind::Http(http) => {
                let place = Place { field: &format!("{field}.http"), region: Some(region), saved: &[] };
                Http::compile(http, &place, mistakes).map(Work::Http)
            }
            ProbeKind::Suite(steps) => {
                Suite::compile(steps, &field, region, mistakes).map(|s| Work::Suite(Box::new(s)))
            }
            ProbeKind::Tcp(tcp) => {
                let address = compile_address(&tcp.address, &format!("{field}.tcp.address"), region, None);
                mistakes.take(address).map(Work::Tcp)
            }
            ProbeKind::Grpc(grpc) => {
                Grpc::compile(grpc, &field, region, mistakes).map(|g| Work::Grpc(Box::new(g)))
            }
            ProbeKind::Dns(dns) => {
                Dns::compile(dns, &field, region, mistakes).map(|d| Work::Dns(Box::new(d)))
            }
            ProbeKind::Sql(sql) => {
                let sql = Sql::compile(sql, spec.timeout, &field, &region.name, mistakes);
                sql.map(|sql| Work::Sql(Box::new(sql)))
            }
            ProbeKind::Heartbeat(beat) => {
                let beat = Heartbeat::compile(beat, book(), &field, &region.name, mistakes);
                beat.map(|beat| Work::Heartbeat(Box::new(beat)))
            }
        };
        Some(Self { spec: Arc::clone(spec), region: Arc::clone(region), work: work? })
    }

    /// On which sides it runs.
    pub(crate) fn sides(&self) -> Sides {
        let heartbeat = matches!(self.work, Work::Heartbeat(_));
        let elsewhere = matches!(&self.work, Work::Sql(sql) if sql.has_reader());
        Sides { on: self.spec.on, heartbeat, elsewhere }
    }

    /// One run, at most as long as the probe's timeout.
    pub(crate) async fn run(&mut self, cx: &RunCx<'_>) -> Outcome {
        let began = Instant::now();
        let limit = self.spec.timeout;
        let result = match timeout(limit, self.work.run(cx)).await {
            Ok(result) => result,
            Err(_) => Err(self.work.timed_out(cx.progress.timed_out(limit))),
        };
        let result = result.map_err(|finding| finding.publishable(&self.work.secrets()));
        Outcome { result, latency: began.elapsed() }
    }

    /// Whether [`Probe::clean_up`] has something to do.
    pub(crate) fn needs_clean_up(&self) -> bool {
        matches!(&self.work, Work::Suite(suite) if suite.needs_clean_up())
    }

    /// What a failed or timed-out suite still has to undo, in a short time of its own: half the timeout, between
    /// 200 ms and 2 s. Gives what did not work.
    pub(crate) async fn clean_up(&mut self, cx: &RunCx<'_>) -> Vec<String> {
        let limit = (self.spec.timeout / 2).clamp(Duration::from_millis(200), Duration::from_secs(2));
        let Work::Suite(suite) = &mut self.work else { return Vec::new() };
        let notes = Box::pin(suite.clean_up(cx, limit)).await;
        let secrets = suite.secrets();
        notes.into_iter().map(|note| Finding::own_setup(note).publishable(&secrets).detail).collect()
    }

    /// Closes kept connections: it does not run for a while.
    pub(crate) fn rest(&mut self) {
        match &mut self.work {
            Work::Http(http) => http.connections.clear(),
            Work::Suite(suite) => suite.rest(),
            Work::Sql(sql) => sql.rest(),
            Work::Heartbeat(beat) => beat.rest(),
            Work::Tcp(_) | Work::Grpc(_) | Work::Dns(_) => {}
        }
    }
}

impl Work {
    /// Boxed: a probe that sleeps must not hold the room of one that runs.
    fn run<'a>(&'a mut self, cx: &'a RunCx<'_>) -> BoxFuture<'a, Result<(), Finding>> {
        match self {
            Self::Http(http) => Box::pin(http.run(cx)),
            Self::Suite(suite) => Box::pin(suite.run(cx)),
            Self::Tcp(address) => {
                Box::pin(async move { dial(cx.names, address, Lookup::Fresh, cx.progress).await.map(drop) })
            }
            Self::Grpc(grpc) => Box::pin(grpc.run(cx)),
            Self::Dns(dns) => Box::pin(dns.run(cx)),
            Self::Sql(sql) => Box::pin(sql.run(cx)),
            Self::Heartbeat(beat) => Box::pin(beat.run(cx)),
        }
    }

    /// Says in which step the time was over.
    fn timed_out(&self, finding: Finding) -> Finding {
        match self {
            Self::Suite(suite) => suite.timed_out(finding),
            _ => finding,
        }
    }

    /// Never to be shown.
    fn secrets(&self) -> Vec<String> {
        match self {
            Self::Http(http) => http.secrets().to_vec(),
            Self::Suite(suite) => suite.secrets(),
            _ => Vec::new(),
        }
    }
}
