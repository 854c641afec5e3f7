//! Starts the world and ends it.

use super::addresses::{Addresses, Kind, Place, PortLease};
use super::anchors;
use super::clients::{Pace, Writers};
use super::cloud::Cloud;
use super::control;
use super::folders::{self, Homes};
use super::ledger::{Account, Ledger};
use super::links::Links;
use super::nameserver::{NameServer, Server};
use super::policy::{self, Hooks, PolicyOptions, TrafficKey};
use super::postgres::{self, Login, Node, NodeOptions, connect, connect_patiently, wait_caught_up};
use super::power::PowerMode;
use super::processes::{self, Processes};
use super::site::{START, Site};
use super::template::{Passwords, Programs, Template};
use anyhow::{Context, bail};
use muster_core::ids::RegionName;
use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

/// What the world is made of.
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
#[derive(Clone, Debug)]
pub struct WorldSpec {
    /// Regions in order of preference; the first one is the primary.
    pub regions: Vec<RegionName>,
    /// The world's folder; `None`: the default one.
    pub dir: Option<PathBuf>,
    /// Where prepared databases are kept; `None`: the default one.
    pub cache: Option<PathBuf>,
    /// The `muster` program; `None`: this one, or the one beside a test's program.
    pub binary: Option<PathBuf>,
    /// Commits wait for a standby.
    pub synchronous: bool,
    /// The name server's program; `None`: the first one that is installed.
    pub names: Option<Server>,
    /// Start the controller and the vantages.
    pub controller: bool,
    /// The regions stand in a cloud: Aurora and Route 53 of a fake of AWS move the data and the name.
    pub cloud: bool,
    /// Order services are pods of a cluster, run by somebody else ([`World::machines`]).
    pub pods: bool,
    /// The policy.
    pub policy: PolicyOptions,
    /// Leave the folder behind at the end.
    pub keep: bool,
}

impl Default for WorldSpec {
    fn default() -> Self {
        Self {
            regions: ["east", "west"].map(RegionName::from).into(),
            dir: None,
            cache: None,
            binary: None,
            synchronous: false,
            names: None,
            controller: true,
            cloud: false,
            pods: false,
            policy: PolicyOptions::default(),
            keep: false,
        }
    }
}

/// The running world. Dropping it ends every process and removes its folder.
#[derive(Debug)]
pub struct World {
    pub(super) site: Arc<Site>,
    spec: WorldSpec,
    passwords: Passwords,
    cloud: Option<Arc<Cloud>>,
    tasks: Vec<JoinHandle<()>>,
    leftovers: usize,
    _ports: PortLease,
    _lock: File,
}

/// Paths in the world's folder.
impl World {
    /// The world's folder.
    pub fn dir(&self) -> &Path {
        &self.site.dir
    }
    /// The controller's policy file.
    pub fn policy_file(&self) -> PathBuf {
        self.policies("controller").join("checkout.yaml")
    }
    /// The folder of policies of `controller`, `v1` or `v2`.
    pub fn policies(&self, of: &str) -> PathBuf {
        self.site.dir.join(of).join("policies")
    }
    /// The secrets.
    pub fn secrets(&self) -> PathBuf {
        self.site.dir.join("secrets")
    }
    /// The controller's journal and token.
    pub fn state(&self) -> PathBuf {
        self.site.dir.join("controller/state")
    }
    /// The controller's log.
    pub fn controller_log(&self) -> PathBuf {
        self.site.dir.join("controller/local.log")
    }
}

impl World {
    /// Starts everything and waits until it works: standbys stream, the name resolves, the services answer.
    pub async fn start(spec: WorldSpec) -> anyhow::Result<Self> {
        let homes = Homes::from_environment();
        let dir = spec.dir.clone().map_or_else(|| homes.world(), Ok)?;
        folders::check_length(&dir)?;
        folders::make(&dir)?;
        let dir = dir.canonicalize()?;
        let lock = lock(&dir)?;
        let leftovers = processes::end_leftovers(&dir)?;
        empty(&dir)?;
        let (programs, owner) = postgres::tools()?;
        postgres::check_reachable(&dir, owner.as_ref()).await?;
        let cache = spec.cache.clone().map_or_else(|| homes.cache(), Ok)?;
        let template = Template::ensure(&cache, &programs, owner.as_ref()).await?;
        let (addresses, ports) = Addresses::choose(&spec.regions)?;
        let site = Arc::new(Site::lay(dir, &spec, addresses, &programs, owner.as_ref())?);
        let mut world = Self {
            site,
            passwords: template.passwords.clone(),
            cloud: None,
            spec,
            tasks: Vec::new(),
            leftovers,
            _ports: ports,
            _lock: lock,
        };
        world.open(&template, programs).await?;
        Ok(world)
    }

    async fn open(&mut self, template: &Template, programs: Programs) -> anyhow::Result<()> {
        let site = self.site.clone();
        site.write_world_file(&self.passwords, programs)?;
        self.tasks.push(tokio::spawn(control::serve(control::open(&site.dir)?, site.clone())));
        self.tasks.push(tokio::spawn(keep_process_table_clean(site.clone())));
        self.tasks.extend(anchors::start(&site.addresses)?);
        let (databases, names) = tokio::join!(self.start_databases(template), self.start_names());
        databases?;
        let (key, cloud) = names?;
        self.cloud = cloud;
        policy::write_secrets(&self.secrets(), &self.passwords, &key)?;
        for region in &self.spec.regions {
            site.start_service(region).await?;
        }
        if let Some(cloud) = &self.cloud {
            self.tasks.push(cloud.keep_up(site.clone(), self.passwords.clone()));
        }
        self.write_policies(&self.spec.policy)?;
        if self.spec.controller {
            self.start_controller("controller").await?;
            self.start_vantages()?;
        }
        Ok(())
    }

    async fn start_databases(&self, template: &Template) -> anyhow::Result<()> {
        let lays = self.site.nodes.values().map(|node| {
            let standby = Some(&node.region) != self.spec.regions.first();
            let options = NodeOptions { standby, synchronous: self.spec.synchronous };
            node.lay(template, &self.site.addresses, options)
        });
        futures::future::try_join_all(lays).await?;
        for region in &self.spec.regions {
            self.site.start_database(region)?;
        }
        for region in &self.spec.regions {
            let client = self.admin_patiently(region).await?;
            if Some(region) != self.spec.regions.first() {
                wait_caught_up(&client, 1, START)
                    .await
                    .with_context(|| format!("{region} does not replicate"))?;
            }
        }
        Ok(())
    }

    /// Starts what answers for the public name, and tells the key by which Muster moves it.
    async fn start_names(&self) -> anyhow::Result<(TrafficKey, Option<Arc<Cloud>>)> {
        if !self.spec.cloud {
            return Ok((TrafficKey::Tsig(self.start_name_server().await?), None));
        }
        let cloud = Arc::new(Cloud::start(&self.site.addresses).await?);
        Ok((TrafficKey::Marker(cloud.marker_secret().to_owned()), Some(cloud)))
    }

    async fn start_name_server(&self) -> anyhow::Result<String> {
        let first = self.spec.regions.first().context("a world needs a region")?;
        let SocketAddr::V4(front) = self.front(first) else { bail!("loopback addresses here are IPv4") };
        let listen = self.site.addresses.own(&Place::NameServer, Kind::Dns);
        let server = NameServer::lay(self.site.dir.join("names"), listen, *front.ip(), self.spec.names)?;
        self.site.processes.spawn(&server.launch())?;
        server.wait_ready(START).await?;
        let _ = self.site.names.set(server.launch());
        Ok(server.key)
    }

    /// Renders the policy for the controller and each vantage; a running controller reads it again.
    pub fn write_policies(&self, options: &PolicyOptions) -> anyhow::Result<()> {
        let dir = &self.site.dir;
        let hooks = Hooks { power: dir.join("bin/power"), rejoin: dir.join("bin/rejoin") };
        self.site.write_tools(&hooks, self.spec.cloud)?;
        let cloud = self.cloud.as_ref().map(|cloud| cloud.policy(&self.site.addresses));
        for (name, viewer) in
            [("controller", Place::Controller), ("v1", Place::Vantage(1)), ("v2", Place::Vantage(2))]
        {
            let text = policy::render(&self.site.addresses, &viewer, &hooks, options, cloud.as_ref())?;
            let folder = self.policies(name);
            folders::make_private(&folder, None)?;
            // Renamed into place: a reader sees the old file or the new one.
            folders::write(&folder.join(".checkout.yaml.new"), &text, 0o600)?;
            std::fs::rename(folder.join(".checkout.yaml.new"), folder.join("checkout.yaml"))?;
        }
        Ok(())
    }

    /// Ends everything and removes the folder (unless it is to be kept).
    pub async fn stop(self) -> anyhow::Result<()> {
        // Ending waits for processes, which would stall a runtime's thread.
        tokio::task::spawn_blocking(move || drop(self)).await.context("failed to end the world")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.site.processes.end_all();
        if !self.spec.keep {
            let _ = empty(&self.site.dir);
            let _ = std::fs::remove_dir_all(&self.site.dir);
        }
    }
}

/// What a user of the world asks it.
impl World {
    /// How many processes of an earlier world in this folder had to be ended.
    pub const fn leftovers(&self) -> usize {
        self.leftovers
    }
    /// Who listens where.
    pub fn addresses(&self) -> &Addresses {
        &self.site.addresses
    }
    /// The network.
    pub fn links(&self) -> &Links {
        &self.site.links
    }
    /// The processes.
    pub fn processes(&self) -> &Processes {
        &self.site.processes
    }
    /// The regions, in order of preference.
    pub fn regions(&self) -> &[RegionName] {
        &self.spec.regions
    }
    /// The address of a region in DNS, with the port.
    pub fn front(&self, region: &RegionName) -> SocketAddr {
        self.site.addresses.path(&Place::Outside, &Place::Region(region.clone()), Kind::Api)
    }
    /// The cloud that the regions stand in, if they do.
    pub fn cloud(&self) -> Option<&Cloud> {
        self.cloud.as_deref()
    }
    /// The controller's HTTP API, for those who stand beside it.
    pub fn api(&self) -> SocketAddr {
        self.site.addresses.own(&Place::Controller, Kind::Control)
    }
    /// Passwords of the database's roles.
    pub const fn passwords(&self) -> &Passwords {
        &self.passwords
    }
    /// Makes the power tool of a region behave like this from its next call on.
    pub fn set_power(&self, region: &RegionName, mode: PowerMode) -> anyhow::Result<()> {
        mode.set(&self.site.dir, region)
    }

    /// A superuser's connection to a region's own database, inside the region.
    pub async fn admin(&self, region: &RegionName) -> anyhow::Result<Client> {
        connect(self.database(region), &self.admin_login(), Duration::from_secs(3)).await
    }

    /// A superuser's connection to this address, for example over another place's path.
    pub async fn connect(&self, address: SocketAddr, database: &str) -> anyhow::Result<Client> {
        connect(address, &Login { database, ..self.admin_login() }, Duration::from_secs(3)).await
    }

    async fn admin_patiently(&self, region: &RegionName) -> anyhow::Result<Client> {
        let client = connect_patiently(self.database(region), &self.admin_login(), START).await;
        let said = || self.site.nodes.get(region).map(Node::last_words).unwrap_or_default();
        client.with_context(|| format!("PostgreSQL in {region} does not start; it said: {}", said()))
    }

    fn admin_login(&self) -> Login<'_> {
        Login { user: "postgres", password: &self.passwords.superuser, database: "shop" }
    }

    /// A region's own PostgreSQL, as reached inside the region.
    pub fn database(&self, region: &RegionName) -> SocketAddr {
        self.site.addresses.own(&Place::Region(region.clone()), Kind::Database)
    }

    /// Clients that come by the public name.
    pub fn write_outside(&self, pace: Pace) -> Writers {
        Writers::outside(&self.site.addresses, pace)
    }

    /// Clients inside a region.
    pub fn write_inside(&self, region: &RegionName, pace: Pace) -> Writers {
        Writers::inside(&self.site.addresses, region, &self.passwords.shop, pace)
    }

    /// The ids of all orders that a region's database has.
    pub async fn orders_in(&self, region: &RegionName) -> anyhow::Result<HashSet<uuid::Uuid>> {
        let rows = self.admin(region).await?.query("select id::text from orders", &[]).await?;
        let ids = rows.iter().map(|row| anyhow::Ok(row.try_get::<_, String>(0)?.parse()?));
        ids.collect()
    }

    /// Which acknowledged orders a region's database has, and which it lost.
    pub async fn account(&self, ledger: &Ledger, region: &RegionName) -> anyhow::Result<Account> {
        Ok(ledger.compare(&self.orders_in(region).await?))
    }
}

fn lock(dir: &Path) -> anyhow::Result<File> {
    let path = dir.join("lock");
    let file = File::options().create(true).write(true).truncate(false).open(&path);
    let file = file.with_context(|| format!("failed to open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("another demo runs in {}: end it first, or choose another --dir", dir.display())
        }
        Err(TryLockError::Error(e)) => Err(e).context("failed to lock the demo's folder"),
    }
}

/// Removes what an earlier world left; only names that a world makes, in case the folder is somebody's own.
fn empty(dir: &Path) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("failed to read {}", dir.display()))?;
    let ours = dir.join("processes.jsonl").exists();
    for entry in entries.flatten().filter(|e| e.file_name() != "lock") {
        if !ours {
            bail!("{} holds files of others: choose an empty --dir", dir.display());
        }
        let path = entry.path();
        let removed =
            if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.with_context(|| format!("failed to remove {}", path.display()))?;
    }
    Ok(())
}

async fn keep_process_table_clean(world: Arc<Site>) {
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.processes.reap();
    }
}
