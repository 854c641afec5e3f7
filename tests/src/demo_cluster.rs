//! `make demo-cluster`: the demo's world under the operator, with a management cluster and one for each region.
//!
//! A region is lost with its cluster, the shop moves to the other one and runs its pods there, the region comes back, and
//! a person moves the shop home by kubectl. What kubectl watches is on the screen.

use crate::operated::{Operated, Region};
use anyhow::{Context, bail};
use muster::api::PolicyStatus;
use muster::cli::view::Look;
use muster::clock::Clock;
use muster::demo::clients::{Pace, Writers};
use muster::demo::controller::check_success;
use muster::demo::policy::{POLICY, PolicyOptions};
use muster::demo::report::{self, ClientsView};
use muster::demo::timeline::{Timeline, Voice};
use muster_core::ids::RegionName;
use muster_core::journal::Run;
use muster_core::time::Stamp;
use std::fmt;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio_util::task::AbortOnDropHandle;

const PATIENCE: Duration = Duration::from_mins(2);

/// What the last line says.
#[derive(Debug)]
pub struct Figures {
    failover: Run,
    failback: Run,
    lost: usize,
}

impl Figures {
    /// Whether the story ended as it should: an error ended it before otherwise.
    pub const fn is_good(&self) -> bool {
        self.failover.measured.rto.is_some() && self.failback.measured.rto.is_some()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |run: &Run| run.measured.rto.map_or_else(|| "unknown".to_owned(), |rto| rto.0.to_string());
        let rpo = self
            .failover
            .measured
            .rpo
            .at_most
            .map_or_else(|| "unbounded".to_owned(), |rpo| rpo.0.to_string());
        write!(
            f,
            "demo-cluster: clusters=3 failover_rto_ms={} failover_rpo_at_most_ms={rpo} acknowledged_and_lost={} failback_rto_ms={}",
            ms(&self.failover),
            self.lost,
            ms(&self.failback)
        )
    }
}

/// Plays it. `fast` shortens the calm times.
pub async fn run(fast: bool) -> anyhow::Result<Figures> {
    let timeline = Timeline::start();
    timeline.print(INTRODUCTION);
    timeline.say(
        Voice::Demo,
        "starting three clusters, two databases, the name server, the operator and two vantages",
    );
    let binary = std::env::current_exe().context("failed to find this program's file")?;
    let operated = Operated::start_regional(&binary, PolicyOptions::default()).await?;
    let cast = Cast { timeline: &timeline, operated: &operated, fast };
    let told = cast.play().await.map_err(|error| operated.with_last_words(&error));
    operated.stop().await?;
    timeline.say(Voice::Demo, "every process was stopped and every file removed");
    told
}

const INTRODUCTION: &str = "\
A shop in two regions, each with a real Kubernetes cluster, a real PostgreSQL node, and an order service for each pod that
is ready: three in east, one in west. A third cluster has the policy, and the operator reconciles it. Now east will be
lost, with its cluster.

";

struct Cast<'a> {
    timeline: &'a Timeline,
    operated: &'a Operated,
    fast: bool,
}

impl Cast<'_> {
    fn say(&self, voice: Voice, text: &str) {
        self.timeline.say(voice, text);
    }

    async fn calm(&self) {
        tokio::time::sleep(if self.fast { Duration::from_millis(500) } else { Duration::from_secs(3) }).await;
    }

    fn region(&self, name: &str) -> anyhow::Result<&Region> {
        self.operated.regions.get(&RegionName::from(name)).context("a region of the world")
    }

    async fn play(&self) -> anyhow::Result<Figures> {
        let _policies = self.watch("rfp")?;
        let _runs = self.watch("run")?;
        self.tell_pods().await?;
        let known = |status: &PolicyStatus| match status.journal.state.peaks.values().next() {
            Some(peak) if peak.replicas >= 3 => Ok(()),
            other => Err(format!("the peak is not known yet: {other:?}")),
        };
        self.operated.controller.wait_until(PATIENCE, known).await?;
        let (failover, lost) = self.lose_east().await?;
        let failback = self.return_to_east(&failover).await?;
        Ok(Figures { failover, failback, lost })
    }

    /// Puts what `kubectl get KIND -w` prints on the screen.
    fn watch(&self, kind: &str) -> anyhow::Result<AbortOnDropHandle<()>> {
        let mut child = self.operated.cluster.follow(&["get", kind, "-n", POLICY.0, "-w"])?;
        let out = child.stdout.take().context("its output is read here")?;
        let timeline = self.timeline.clone();
        Ok(AbortOnDropHandle::new(tokio::spawn(async move {
            let mut lines = BufReader::new(out).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                timeline.tell(Voice::Kubectl, &line);
            }
            drop(child);
        })))
    }

    async fn tell_pods(&self) -> anyhow::Result<()> {
        for (name, region) in &self.operated.regions {
            let (wanted, ready) = region.replicas().await?;
            self.say(Voice::Demo, &format!("deployment/shop in {name}: {ready} of {wanted} ready"));
        }
        Ok(())
    }

    async fn customers(&self) -> anyhow::Result<Writers> {
        let customers = self.operated.world.write_outside(Pace::default());
        customers.wait_for(20, Duration::from_secs(20)).await?;
        Ok(customers)
    }

    async fn lose_east(&self) -> anyhow::Result<(Run, usize)> {
        let customers = self.customers().await?;
        self.say(Voice::Clients, "two customers order by the public name, again and again");
        self.calm().await;
        let since = Clock::system().now();
        self.say(Voice::Fault, "east's machines die: database, pods and API server, all at once");
        self.operated.world.kill(&"east".into());
        let east = self.region("east")?;
        east.cluster.stop_api_server().await;
        let run = self.follow(None).await?;
        customers
            .wait_for(20, Duration::from_secs(20))
            .await
            .context("the customers are not served in west")?;
        self.say(Voice::Clients, "the customers are served by west");
        let (wanted, ready) = self.region("west")?.replicas().await?;
        self.say(Voice::Demo, &format!("deployment/shop in west: {ready} of {wanted} ready"));
        self.calm().await;
        east.cluster.start_api_server().await?;
        self.operated.world.repair(&"east".into());
        self.say(Voice::Fault, "over: east's machines are repaired, with their old data");
        self.until_rejoined("east").await?;
        let run = self.until_final(&run).await?;
        let lost =
            self.report("Failover: east was lost, west took over", &run, customers, "west", since).await?;
        Ok((run, lost))
    }

    async fn return_to_east(&self, before: &Run) -> anyhow::Result<Run> {
        self.operated.controller.wait_ready(&"west".into(), PATIENCE).await?;
        let customers = self.customers().await?;
        let since = Clock::system().now();
        self.say(
            Voice::Clients,
            "the customers order again; a person applies a FailoverRun of kind Failback",
        );
        self.operated.cluster.kubectl_apply(FAILBACK).await?;
        let run = self.follow(Some(before)).await?;
        customers
            .wait_for(20, Duration::from_secs(20))
            .await
            .context("the customers are not served in east")?;
        let lost = self.report("Failback: the shop returned to east", &run, customers, "east", since).await?;
        if lost > 0 {
            bail!("{lost} acknowledged orders were lost in a planned move");
        }
        self.until_rejoined("west").await?;
        self.region("west")?.until_replicas(1).await?;
        self.say(
            Voice::Muster,
            "all is as it was: east takes the writes, west replicates, and its pods are given back",
        );
        self.tell_pods().await?;
        Ok(run)
    }

    async fn follow(&self, before: Option<&Run>) -> anyhow::Result<Run> {
        let before = before.map(|run| &run.name);
        let run = self.operated.controller.follow_run(before, PATIENCE, self.timeline).await?;
        check_success(&run).map(|()| run)
    }

    /// The loss is final once the old log was read; without a way to read it the figures stay bounds.
    async fn until_final(&self, run: &Run) -> anyhow::Result<Run> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        loop {
            let run = self.operated.controller.run(&run.name).await?;
            if run.measured.rpo.r#final || tokio::time::Instant::now() >= deadline {
                return Ok(run);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn until_rejoined(&self, name: &str) -> anyhow::Result<()> {
        let rejoined = |status: &PolicyStatus| match status.journal.state.outcasts.get(&name.into()) {
            Some(outcast) => Err(format!("{name} has not rejoined: {}", outcast.message)),
            None => Ok(()),
        };
        self.operated.controller.wait_until(PATIENCE, rejoined).await.map(|_| ())
    }

    /// The controller's figures beside what the customers counted; how many acknowledged orders are lost.
    async fn report(
        &self,
        title: &str,
        run: &Run,
        customers: Writers,
        now_in: &str,
        since: Stamp,
    ) -> anyhow::Result<usize> {
        let ledger = customers.stop().await;
        let account = self.operated.world.account(&ledger, &now_in.into()).await?;
        let lost = account.lost.len();
        let look = Look { width: 100, paint: self.timeline.paint(), zone: jiff::tz::TimeZone::system() };
        let view = ClientsView { who: "customers", ledger: &ledger, account, since };
        self.timeline.print(&format!("{}\n", report::render(title, run, &[view], &look)));
        if report::contradicts(run, lost) {
            bail!("the report and the customers contradict each other");
        }
        Ok(lost)
    }
}

const FAILBACK: &str = r#"
apiVersion: muster.dev/v1alpha1
kind: FailoverRun
metadata: {name: checkout-home, namespace: shop}
spec: {policy: checkout, kind: Failback, to: east, reason: "east is back", by: admin}
"#;
