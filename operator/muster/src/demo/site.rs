//! The world's parts as laid out on disk and network, and how a region's processes are started. Shared by the world
//! and its door ([`super::control`]).

use super::addresses::{Addresses, Kind, Place};
use super::folders;
use super::http::{Call, send};
use super::links::{LinkState, Links};
use super::nameserver;
use super::policy::Hooks;
use super::postgres::Node;
use super::processes::{Identity, Launch, Processes};
use super::template::{Passwords, Programs};
use super::world::WorldSpec;
use anyhow::{Context, bail};
use muster_core::ids::RegionName;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Patience with something that starts.
pub(super) const START: Duration = Duration::from_secs(20);

/// What the power tool and the rejoin hook need to know, in the world's folder, for its owner only.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WorldFile {
    /// Who listens where.
    pub(super) addresses: Addresses,
    /// Folders by region.
    pub(super) homes: BTreeMap<RegionName, PathBuf>,
    /// PostgreSQL's programs.
    pub(super) programs: Programs,
    /// Of the database's roles.
    pub(super) passwords: Passwords,
}

impl WorldFile {
    /// Reads it from a world's folder.
    pub(super) fn read(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join("world.json");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("there is no world in {}", dir.display()))?;
        serde_json::from_str(&text).with_context(|| format!("failed to read {}", path.display()))
    }
}

/// What the world's own tasks share.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) dir: PathBuf,
    pub(super) binary: PathBuf,
    pub(super) addresses: Addresses,
    pub(super) links: Links,
    pub(super) processes: Processes,
    pub(super) nodes: BTreeMap<RegionName, Node>,
    pub(super) names: OnceLock<Launch>,
    /// Regions whose machines are broken: nothing can be started there.
    pub(super) down: Mutex<BTreeSet<RegionName>>,
    /// Order services are run by somebody else.
    pods: bool,
}

impl Site {
    pub(super) fn lay(
        dir: PathBuf,
        spec: &WorldSpec,
        addresses: Addresses,
        programs: &Programs,
        owner: Option<&Identity>,
    ) -> anyhow::Result<Self> {
        let homes: BTreeMap<_, _> = spec.regions.iter().map(|r| (r.clone(), dir.join(r.as_str()))).collect();
        let node = |(r, home): (&RegionName, &PathBuf)| {
            (r.clone(), Node::new(r, home.clone(), programs.clone(), owner.cloned()))
        };
        let nodes = homes.iter().map(node).collect();
        for part in ["controller", "v1", "v2", "bin"] {
            folders::make_private(&dir.join(part), None)?;
        }
        let links = open_links(&addresses)?;
        let processes = Processes::start(&dir, homes)?;
        let binary = spec.binary.clone().map_or_else(find_binary, Ok)?;
        Ok(Self {
            dir,
            binary,
            addresses,
            links,
            processes,
            nodes,
            names: OnceLock::new(),
            down: Mutex::default(),
            pods: spec.pods,
        })
    }

    pub(super) fn write_world_file(&self, passwords: &Passwords, programs: Programs) -> anyhow::Result<()> {
        let homes = self.nodes.iter().map(|(r, n)| (r.clone(), n.home.clone())).collect();
        let file =
            WorldFile { addresses: self.addresses.clone(), homes, programs, passwords: passwords.clone() };
        folders::write(&self.dir.join("world.json"), &serde_json::to_string(&file)?, 0o600)
    }

    /// The policy names these two as programs. In a cloud nobody but its provider reaches the databases: the tool switches the
    /// order services alone.
    pub(super) fn write_tools(&self, hooks: &Hooks, in_cloud: bool) -> anyhow::Result<()> {
        let power = if in_cloud { "demo-power --services" } else { "demo-power" };
        for (path, verb) in [(&hooks.power, power), (&hooks.rejoin, "demo-rejoin")] {
            let (binary, dir) = (self.binary.display(), self.dir.display());
            folders::write(
                path,
                &format!("#!/bin/sh\nexec '{binary}' {verb} --world '{dir}' \"$@\"\n"),
                0o700,
            )?;
        }
        Ok(())
    }

    pub(super) fn is_down(&self, region: &RegionName) -> bool {
        self.down.lock().unwrap_or_else(PoisonError::into_inner).contains(region)
    }

    pub(super) fn may_repair(&self, region: &RegionName, follow: &RegionName) -> anyhow::Result<()> {
        if self.is_down(region) {
            bail!("the machines of {region} are down");
        }
        let (back, leader) = (Place::Region(region.clone()), Place::Region(follow.clone()));
        let reached = |from: &Place, to: &Place| {
            self.links.state(from, to, Kind::Database).is_some_and(LinkState::is_open)
        };
        if !reached(&Place::Controller, &back) || !reached(&back, &leader) {
            bail!("{region} is cut off");
        }
        Ok(())
    }

    pub(super) fn start_database(&self, region: &RegionName) -> anyhow::Result<()> {
        if self.is_down(region) {
            bail!("the machines of {region} are down");
        }
        let node = self.nodes.get(region).with_context(|| format!("there is no region {region}"))?;
        if self.processes.is_running(&Node::process(region)) {
            return Ok(());
        }
        self.processes.spawn(&node.launch()).map(|_| ())
    }

    pub(super) async fn start_service(&self, region: &RegionName) -> anyhow::Result<()> {
        if self.pods {
            return Ok(());
        }
        if self.is_down(region) {
            bail!("the machines of {region} are down");
        }
        let home = &self.nodes.get(region).with_context(|| format!("there is no region {region}"))?.home;
        let name = service_process(region);
        if self.processes.is_running(&name) {
            return Ok(());
        }
        self.processes.spawn(&self.service(region, name, home, home.join("service.log")))?;
        let listen = self.addresses.own(&Place::Region(region.clone()), Kind::Api);
        let deadline = tokio::time::Instant::now() + START;
        while send(listen, &Call::get("/healthz"), Duration::from_secs(1)).await.is_err() {
            if tokio::time::Instant::now() >= deadline || !self.processes.is_running(&service_process(region))
            {
                let log = std::fs::read_to_string(home.join("service.log")).unwrap_or_default();
                bail!(
                    "the order service of {region} does not start; it said: {}",
                    log.lines().last().unwrap_or("nothing")
                );
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// An order service of a region, as a process of this name.
    pub(super) fn service(&self, region: &RegionName, name: String, home: &Path, log: PathBuf) -> Launch {
        let place = Place::Region(region.clone());
        let address = |kind| self.addresses.own(&place, kind).to_string();
        let (listen, database) = (address(Kind::Api), address(Kind::Database));
        let password = self.dir.join("secrets/pg/shop").display().to_string();
        let words = [
            "demo-service",
            "--region",
            region.as_str(),
            "--listen",
            &listen,
            "--database",
            &database,
            "--password-file",
            &password,
        ];
        let shared = self.pods.then_some("--shared");
        Launch {
            name,
            region: Some(region.clone()),
            program: self.binary.clone(),
            args: words.into_iter().chain(shared).map(str::to_owned).collect(),
            folder: home.to_path_buf(),
            identity: None,
            log,
            environment: Vec::new(),
        }
    }

    /// Starts the name server again with the zone as it was when it stopped.
    pub(super) fn start_names_again(&self) -> anyhow::Result<()> {
        let launch = self.names.get().context("the name server was never started")?;
        self.processes.spawn(launch).map(|_| ())
    }
}

/// The name of a region's order service among the processes.
pub(super) fn service_process(region: &RegionName) -> String {
    format!("{region}/service")
}

/// The name of the name server among the processes.
pub(super) const NAMES_PROCESS: &str = nameserver::PROCESS;

fn open_links(addresses: &Addresses) -> anyhow::Result<Links> {
    let mut links = Links::default();
    let observers = [Place::Controller, Place::Vantage(1), Place::Vantage(2)];
    for name in addresses.regions() {
        let region = Place::Region(name.clone());
        links.open(addresses, Place::Outside, region.clone(), Kind::Api)?;
        for observer in &observers {
            links.open(addresses, observer.clone(), region.clone(), Kind::Api)?;
            links.open(addresses, observer.clone(), region.clone(), Kind::Database)?;
        }
        for other in addresses.regions().iter().filter(|o| *o != name) {
            links.open(addresses, Place::Region(other.clone()), region.clone(), Kind::Database)?;
        }
    }
    links.open(addresses, Place::Outside, Place::NameServer, Kind::Dns)?;
    for observer in observers {
        links.open(addresses, observer.clone(), Place::NameServer, Kind::Dns)?;
        links.open(addresses, observer.clone(), Place::Anchor(1), Kind::Anchor)?;
        links.open(addresses, observer.clone(), Place::Anchor(2), Kind::Anchor)?;
        if matches!(observer, Place::Vantage(_)) {
            links.open(addresses, observer, Place::Controller, Kind::Control)?;
        }
    }
    Ok(links)
}

/// This program, or the `muster` that a test's program was built beside.
fn find_binary() -> anyhow::Result<PathBuf> {
    let me = std::env::current_exe().context("failed to find this program's file")?;
    let mut candidates =
        me.ancestors().skip(1).take(3).map(|folder| folder.join("muster")).filter(|p| p.is_file());
    if me.file_name().is_some_and(|name| name == "muster") {
        return Ok(me);
    }
    candidates
        .next()
        .with_context(|| format!("the program muster is not beside {}: build it first", me.display()))
}
