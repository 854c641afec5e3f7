//! One operated world, and one failover after the other in it.

use super::proxy::{Proxy, Rule};
use crate::crash::{Effects, End, Meter, Parts, wrap_tools};
use crate::operated::{Operated, OperatorLink};
use anyhow::{Context, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use muster::api::{PolicyStatus, Role};
use muster::demo::policy::PolicyOptions;
use muster_core::ids::RegionName;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// For everything to be calm before a run.
const CALM: Duration = Duration::from_mins(1);
/// For a run with one restart in it, its rejoin included.
const RUN: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(50);

/// A run that came to its end.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) end: End,
    pub(super) effects: Effects,
    pub(super) writes: Vec<String>,
    pub(super) disturbed: usize,
    pub(super) killed: bool,
}

/// The world, its API server behind the proxy, and its operator.
pub(super) struct Stage {
    operated: Operated,
    proxy: Proxy,
    active: RegionName,
}

impl Stage {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let policy =
            PolicyOptions { cooldown: "1s".to_owned(), probe_every_ms: 800, ..PolicyOptions::default() };
        let mut started = None;
        let binary = std::env::current_exe().context("failed to find this program")?;
        let operated = Operated::start_linked(&binary, policy, async |cluster| {
            let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig())?;
            let mut config =
                Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
            config.default_retry = false;
            let proxy = Proxy::start(Client::try_from(config)?).await?;
            let kubeconfig = write_kubeconfig(&proxy)?;
            started = Some(proxy);
            Ok(OperatorLink { kubeconfig, args: vec!["--relist-ms".to_owned(), "1000".to_owned()] })
        })
        .await?;
        let proxy = started.context("the link was made")?;
        wrap_tools(operated.world.dir())?;
        let active = operated.world.regions().first().context("a world has regions")?.clone();
        let stage = Self { operated, proxy, active };
        stage.operated.controller.wait_ready(&stage.active, CALM).await?;
        Ok(stage)
    }

    /// Plays a failover to its end, and until the region that was left follows.
    pub(super) async fn play(&mut self, rule: &Rule) -> anyhow::Result<Played> {
        let world = &self.operated.world;
        let taken = world.regions().iter().find(|r| **r != self.active).context("two regions")?.clone();
        let parts = Parts { left: self.active.clone(), taken };
        let ready = self.operated.controller.wait_ready(&parts.left, CALM).await?;
        let meter = Meter::start(world).await?;
        let epoch = ready.journal.state.epoch.0;
        self.proxy.set(rule.clone());
        world.kill(&parts.left);
        world.repair(&parts.left);
        let followed = Box::pin(self.follow(&parts, epoch)).await;
        let (writes, disturbed) = (self.proxy.writes(), self.proxy.disturbed());
        self.proxy.set(Rule::default());
        let (_, killed) = followed?;
        // What was just shown may itself come from an old read.
        let (status, _) = Box::pin(self.follow(&parts, epoch)).await?;
        let end = End::look(world, &status, &parts).await?;
        let runs = usize::try_from(status.journal.state.epoch.0 - epoch)?;
        let (effects, _) = meter.read(world, runs).await?;
        self.active =
            status.journal.state.active_region.clone().context("a calm world has an active region")?;
        Ok(Played { end, effects, writes, disturbed, killed })
    }

    async fn follow(&self, parts: &Parts, epoch: u64) -> anyhow::Result<(PolicyStatus, bool)> {
        let deadline = Instant::now() + RUN;
        let (mut killed, mut last) = (false, String::new());
        while Instant::now() < deadline {
            if self.proxy.is_held() && !killed {
                killed = true;
                self.operated.restart_operator().await.context("failed to start the operator again")?;
            }
            match self.operated.controller.status().await {
                Ok(status) => match self.missing(&status, epoch).await {
                    None => match self.operated.controller.wait_ready(&parts.taken, LOOK).await {
                        Ok(status) => return Ok((status, killed)),
                        Err(missing) => last = format!("{missing:#}"),
                    },
                    Some(missing) => last = missing,
                },
                Err(error) => last = format!("{error:#}"),
            }
            sleep(LOOK).await;
        }
        bail!("not over within {} s: {last}", RUN.as_secs())
    }

    /// What is missing until the run and all that follows it are over.
    async fn missing(&self, status: &PolicyStatus, epoch: u64) -> Option<String> {
        let journal = &status.journal;
        if status.role != Role::Active || status.decision.is_none() {
            return Some("no pass yet".to_owned());
        }
        let Some(run) = journal.run.as_ref().filter(|run| run.epoch.0 > epoch) else {
            return Some(format!("no run: {}", status.summary.message));
        };
        if !run.phase.is_final() {
            return Some(format!("{:?}: {}", run.phase, run.message));
        }
        if let Some(outcast) = journal.state.outcasts.values().next() {
            return Some(format!("not rejoined: {}", outcast.message));
        }
        let said = self.operated.get("run", run.name.as_str()).await;
        match said {
            Ok(object) if object["status"]["phase"] == format!("{:?}", run.phase) => None,
            Ok(object) => Some(format!(
                "{:?}: {}; the object of {} says {:#}",
                run.phase, run.message, run.name, object["status"]
            )),
            Err(error) => Some(format!("the object of {}: {error:#}", run.name)),
        }
    }

    pub(super) fn last_words(&self) -> String {
        let text = std::fs::read_to_string(self.operated.world.controller_log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(15).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.operated.stop().await
    }
}

fn write_kubeconfig(proxy: &Proxy) -> anyhow::Result<std::path::PathBuf> {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
        "clusters": [{"name": "proxy", "cluster": {"server": format!("http://{}", proxy.address)}}],
        "users": [{"name": "proxy", "user": {}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
    });
    let (file, path) = tempfile::Builder::new().prefix("muster-sieve-").suffix(".json").tempfile()?.keep()?;
    serde_json::to_writer(file, &config)?;
    Ok(path)
}
