//! The data plane of one item: a real pair of PostgreSQL that does what the fake of RDS says has happened.
//!
//! ```text
//! global database  Demoted     the server stops in order: its standby has received everything by then
//!                  Promoted    pg_promote; the other server is copied anew from it and follows, unless its region is lost. The same
//!                              where it was detached: then that region is lost, and comes back as it was
//! instances        Promoted    pg_promote; the other server stays as it was, and takes writes if nobody keeps it from that
//!                  Renamed     the server ends: nothing answers at the endpoint of the old name
//!                  Replicates  the server is copied anew from the other one, and follows
//! ```
//! What this module must never do: make a server writable that the fake did not say to promote.

use super::region::Region;
use anyhow::{Context, bail};
use muster::demo::postgres::{Login, connect, view};
use muster_aws_fake::{FakeAws, RdsEffect, RdsHappening};
use muster_providers::testing::postgres::{APPLICATION, DATABASE, Pair, Server, program};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_util::task::AbortOnDropHandle;

/// For a server to end by itself.
const END: Duration = Duration::from_secs(10);
/// Between two looks at a server that ends.
const LOOK: Duration = Duration::from_millis(20);
/// For a session.
const CONNECT: Duration = Duration::from_secs(3);

/// What the two servers are to RDS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Engine {
    /// The clusters of a global database of Aurora.
    Global,
    /// An instance and its read replica.
    Replica,
}

impl Engine {
    fn is_about(self, happening: &RdsHappening) -> bool {
        happening.arn.contains(":db:") == (self == Self::Replica)
    }

    /// Set up by whom the engine has for it: Aurora is asked for nothing that takes more than any owner may.
    async fn start_pair(self) -> std::io::Result<Pair> {
        let names = Region::ALL.map(Region::name);
        match self {
            Self::Global => Pair::start(&names, "").await,
            Self::Replica => Pair::start_managed(&names, "").await,
        }
    }
}

/// The pair.
pub(super) struct Databases {
    engine: Engine,
    pair: tokio::sync::Mutex<Pair>,
    ports: BTreeMap<Region, u16>,
    lost: Mutex<BTreeSet<Region>>,
    promotions: AtomicUsize,
    problems: Mutex<Vec<String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Databases {
    /// Starts the pair; east takes the writes.
    pub(super) async fn start(engine: Engine) -> anyhow::Result<Arc<Self>> {
        let pair = engine.start_pair().await.context("failed to start the databases")?;
        let ports = Region::ALL.into_iter().map(|region| (region, pair.server(region.name()).port)).collect();
        Ok(Arc::new(Self {
            engine,
            pair: tokio::sync::Mutex::new(pair),
            ports,
            lost: Mutex::default(),
            promotions: AtomicUsize::new(0),
            problems: Mutex::default(),
        }))
    }

    /// Does from now on what happens at the fake.
    pub(super) fn mirror(self: &Arc<Self>, aws: &FakeAws) -> AbortOnDropHandle<()> {
        let (sender, happenings) = unbounded_channel();
        aws.on_rds_event(Arc::new(move |happening: &RdsHappening| {
            // Nobody listens any more: the bed is being taken down.
            let _ = sender.send(happening.clone());
        }));
        AbortOnDropHandle::new(tokio::spawn(Arc::clone(self).keep_up(happenings)))
    }

    async fn keep_up(self: Arc<Self>, mut happenings: UnboundedReceiver<RdsHappening>) {
        while let Some(happening) = happenings.recv().await {
            let region = Region::by_aws(&happening.region).filter(|_| self.engine.is_about(&happening));
            let Some(region) = region else { continue };
            let done = match (self.engine, happening.effect) {
                (Engine::Global, RdsEffect::Demoted) => self.demote(region).await,
                (_, RdsEffect::Promoted) => self.promote(region).await,
                (Engine::Replica, RdsEffect::Replicates) => self.follow(region).await,
                (Engine::Replica, RdsEffect::Renamed) => {
                    self.retire(region).await;
                    Ok(())
                }
                _ => Ok(()),
            };
            if let Err(error) = done {
                let problem = format!("{:?} in {}: {error:#}", happening.effect, region.name());
                locked(&self.problems).push(problem);
            }
        }
    }

    async fn demote(&self, region: Region) -> anyhow::Result<()> {
        let mut pair = self.pair.lock().await;
        end(pair.server_mut(region.name()), Signal::SIGINT).await;
        drop(pair);
        Ok(())
    }

    async fn promote(&self, region: Region) -> anyhow::Result<()> {
        self.promotions.fetch_add(1, Ordering::Relaxed);
        self.make_writer(region).await?;
        match self.engine {
            Engine::Global => self.follow(region.other()).await,
            Engine::Replica => Ok(()),
        }
    }

    /// Promotes a server, whoever else is writable.
    pub(super) async fn make_writer(&self, region: Region) -> anyhow::Result<()> {
        let pair = self.pair.lock().await;
        let server = pair.server(region.name());
        if server.value("select pg_is_in_recovery()").await? == "t" {
            server.sql("select pg_promote(true, 30)").await?;
            server.until("select pg_is_in_recovery()", "f").await?;
        }
        drop(pair);
        Ok(())
    }

    /// Copies the other region's server, and follows it; not in a region that is lost.
    pub(super) async fn follow(&self, region: Region) -> anyhow::Result<()> {
        let mut pair = self.pair.lock().await;
        if locked(&self.lost).contains(&region) {
            return Ok(());
        }
        let source = pair.server(region.other().name()).port;
        let server = pair.server_mut(region.name());
        end(server, Signal::SIGQUIT).await;
        copy(server, source).await?;
        server.start().await.context("failed to start the copy")?;
        drop(pair);
        Ok(())
    }

    /// Takes a region's server away at once.
    pub(super) async fn lose(&self, region: Region) {
        locked(&self.lost).insert(region);
        let mut pair = self.pair.lock().await;
        // An immediate end: as a crash to its standby, and it gives its shared memory back.
        end(pair.server_mut(region.name()), Signal::SIGQUIT).await;
        drop(pair);
    }

    /// Takes away a server whose endpoint has another name from now on, or whose cluster somebody stopped.
    pub(super) async fn retire(&self, region: Region) {
        end(self.pair.lock().await.server_mut(region.name()), Signal::SIGQUIT).await;
    }

    /// Lets a lost region's server come back: as Aurora has it a standby, if it is in a global database with the other one, which
    /// takes writes by now; and else as it was.
    pub(super) async fn repair(&self, region: Region, follows_other: bool) -> anyhow::Result<()> {
        locked(&self.lost).remove(&region);
        if follows_other && self.engine == Engine::Global {
            return self.follow(region).await;
        }
        let mut pair = self.pair.lock().await;
        let server = pair.server_mut(region.name());
        if server.postmaster().is_none() {
            server.start().await.context("failed to start what was there")?;
        }
        drop(pair);
        Ok(())
    }

    /// How often the fake said that one of them was promoted.
    pub(super) fn promotions(&self) -> usize {
        self.promotions.load(Ordering::Relaxed)
    }

    /// What the pair could not do, since it was last asked.
    pub(super) fn take_problems(&self) -> Vec<String> {
        std::mem::take(&mut *locked(&self.problems))
    }

    /// A region's server, whatever became of it.
    pub(super) fn address(&self, region: Region) -> SocketAddr {
        let port = self.ports.get(&region).copied().unwrap_or_default();
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }

    /// Whether a region's server answers, and takes no writes.
    pub(super) async fn is_reader(&self, region: Region) -> bool {
        let Ok(session) = self.superuser(region).await else { return false };
        view(&session).await.is_ok_and(|seen| seen.in_recovery)
    }

    /// A superuser's session.
    pub(super) async fn superuser(&self, region: Region) -> anyhow::Result<Client> {
        let login = Login { user: "postgres", password: "", database: DATABASE };
        connect(self.address(region), &login, CONNECT).await
    }

    /// The application's session; `None`: its role may not log in.
    pub(super) async fn application(&self, region: Region) -> anyhow::Result<Option<Client>> {
        let login = Login { user: APPLICATION, password: APPLICATION, database: DATABASE };
        match connect(self.address(region), &login, CONNECT).await {
            Ok(session) => Ok(Some(session)),
            Err(error) if is_kept_out(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn is_kept_out(error: &anyhow::Error) -> bool {
    let code = error.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::code);
    code == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
}

/// Ends a server, by force if it does not end by itself.
async fn end(server: &mut Server, signal: Signal) {
    if let Some(pid) = server.postmaster() {
        // It may have ended meanwhile.
        let _ = kill(Pid::from_raw(pid), signal);
    }
    let deadline = Instant::now() + END;
    while server.postmaster().is_some() && Instant::now() < deadline {
        sleep(LOOK).await;
    }
    server.kill();
}

/// A fresh copy of the server at `source`, to be started as its standby. What stood there is gone.
async fn copy(server: &Server, source: u16) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(&server.data) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        removed => removed.context("failed to remove the old data")?,
    }
    let source = format!("host=127.0.0.1 port={source} user=postgres application_name={}", server.region);
    let mut command = tokio::process::Command::from(program("pg_basebackup"));
    command.arg("-D").arg(&server.data).args(["-c", "fast", "-R", "--no-sync", "-d", &source]);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.context("failed to run pg_basebackup")?;
    if !output.status.success() {
        bail!("failed to copy the writer: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
