//! The demo's world under the operator: the same databases, services, names and vantages, with the policy in a real API
//! server instead of a folder.
//!
//! ```text
//! Cluster  <--kubeconfig--  muster operator  -->  the world's databases and names
//!    ^ kubectl                    ^ reports of v1, v2           -->  door -->  the world's power tool and rejoin hook
//! ```
//! With [`Operated::start_regional`] each region has a cluster of its own, and the order services are pods of it.

mod door;
mod person;
mod regions;

pub(crate) use door::Door;
pub use person::{Person, condition, is_in, serves, text, told};
pub use regions::Region;

use crate::cluster::{Cluster, Options};
use anyhow::{Context, bail};

use muster::cli::client::Client;
use muster::demo::controller::Controller;
use muster::demo::http::{Call, send};
use muster::demo::policy::{POLICY, PolicyOptions};
use muster::demo::processes::Launch;
use muster::demo::{World, WorldSpec, folders};
use muster_core::ids::RegionName;
use muster_core::policy::Mode;
use muster_crds::{load_policy_file, schema};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Patience with anything that must come.
pub const PATIENCE: Duration = Duration::from_mins(2);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// How the operator is started.
#[derive(Clone, Debug)]
pub struct OperatorLink {
    /// How it reaches the API server.
    pub kubeconfig: PathBuf,
    /// Further words of its command line.
    pub args: Vec<String>,
}

/// The operator's process.
pub const OPERATOR: &str = "controller";
/// The one that stands by, of a pair.
pub const SECOND: &str = "controller-2";

/// What there is beside the world and its cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    Plain,
    /// A cluster for each region.
    Regional,
    /// A second operator.
    Pair,
}

/// The world, its cluster and its operator. Dropped, all of it ends.
#[derive(Debug)]
pub struct Operated {
    /// The regions' own clusters, where they have some.
    pub regions: BTreeMap<RegionName, Region>,
    /// The API server.
    pub cluster: Cluster,
    /// Everything else.
    pub world: World,
    /// The operator's view, by its read-only API.
    pub controller: Controller,
    binary: PathBuf,
    link: OperatorLink,
    policy: Value,
    _door: Door,
    _folder: tempfile::TempDir,
}

/// Applies Muster's kinds and waits until they are served.
pub async fn install_kinds(cluster: &Cluster) -> anyhow::Result<()> {
    for definition in schema::definitions() {
        cluster.kubectl_apply(&definition.yaml()).await?;
    }
    cluster.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"]).await?;
    Ok(())
}

/// A policy that asks a person, however much may be lost.
pub fn asking() -> PolicyOptions {
    PolicyOptions {
        mode: Mode::Approve,
        probe_every_ms: 1_000,
        max_estimated_loss: None,
        ..PolicyOptions::default()
    }
}

impl Operated {
    /// Starts everything and waits until a failover could begin. `binary` is the `muster` program.
    pub async fn start(binary: &Path, policy: PolicyOptions) -> anyhow::Result<Self> {
        Self::start_as(binary, policy, Shape::Plain, link_of).await
    }

    /// As [`Self::start`], with a cluster for each region: the first runs three replicas of the shop, the others one.
    pub async fn start_regional(binary: &Path, policy: PolicyOptions) -> anyhow::Result<Self> {
        Self::start_as(binary, policy, Shape::Regional, link_of).await
    }

    /// As [`Self::start`], with a second operator that stands by; vantages report to both.
    pub async fn start_pair(binary: &Path, policy: PolicyOptions) -> anyhow::Result<Self> {
        Self::start_as(binary, policy, Shape::Pair, link_of).await
    }

    /// As [`Self::start_pair`], with further words of both operators' command lines.
    pub async fn start_pair_with(
        binary: &Path,
        policy: PolicyOptions,
        args: &[&str],
    ) -> anyhow::Result<Self> {
        let args: Vec<String> = args.iter().map(|word| (*word).to_owned()).collect();
        let link = async |cluster: &Cluster| -> anyhow::Result<OperatorLink> {
            Ok(OperatorLink { args, ..link_of(cluster).await? })
        };
        Self::start_as(binary, policy, Shape::Pair, link).await
    }

    /// As [`Self::start`], with an operator that reaches the API server in a way of the caller's.
    pub async fn start_linked(
        binary: &Path,
        policy: PolicyOptions,
        link: impl AsyncFnOnce(&Cluster) -> anyhow::Result<OperatorLink>,
    ) -> anyhow::Result<Self> {
        Self::start_as(binary, policy, Shape::Plain, link).await
    }

    async fn start_as(
        binary: &Path,
        policy: PolicyOptions,
        shape: Shape,
        link: impl AsyncFnOnce(&Cluster) -> anyhow::Result<OperatorLink>,
    ) -> anyhow::Result<Self> {
        let regional = shape == Shape::Regional;
        let folder = tempfile::Builder::new().prefix("muster-").tempdir()?;
        // As root the databases run as another user, who has to pass through.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let spec = WorldSpec {
            binary: Some(binary.to_owned()),
            policy,
            controller: false,
            pods: regional,
            dir: Some(folder.path().join("world")),
            ..WorldSpec::default()
        };
        let (cluster, world) = tokio::join!(Cluster::start("mgmt", Options::default()), World::start(spec));
        let (cluster, world) = (cluster?, world.context("the world does not start")?);
        let regions = if regional { start_regions(&world).await? } else { BTreeMap::new() };
        let policy = read_policy(&world.policy_file())?;
        let door = Door::open(&policy).await?;
        install_kinds(&cluster).await?;
        for namespace in ["muster", POLICY.0] {
            cluster.kubectl(&["create", "namespace", namespace]).await?;
        }
        write_secrets(&cluster, &world.secrets()).await?;
        let mut policy = through(&door, policy);
        if regional {
            let mut kubeconfigs = serde_json::Map::new();
            for (name, region) in &regions {
                kubeconfigs.insert(name.to_string(), region.kubeconfig().await?.into());
            }
            cluster.kubectl_apply(&regions::secret(&kubeconfigs).to_string()).await?;
            policy = regions::with_workloads(policy);
        }
        cluster.kubectl_apply(&policy.to_string()).await?;
        folders::make_private(&world.state(), None)?;
        folders::write(&world.state().join("token"), &uuid::Uuid::new_v4().simple().to_string(), 0o600)?;
        let link = link(&cluster).await?;
        start_operator(&world, binary, &link)?;
        let second = (shape == Shape::Pair).then(free_address).transpose()?;
        match second {
            Some(second) => world.start_vantages_of(&[second])?,
            None => world.start_vantages()?,
        }
        let controller = Controller::of(&world).await?;
        let binary = binary.to_owned();
        let operated =
            Self { regions, cluster, world, controller, binary, link, policy, _door: door, _folder: folder };
        operated
            .controller
            .wait_ready(&"east".into(), PATIENCE)
            .await
            .map_err(|e| operated.with_last_words(&e))?;
        // Not before the first one has the lease: which of two gets it is chance.
        if let Some(second) = second {
            start_operator_as(SECOND, second, &operated.world, &operated.binary, &operated.link)?;
        }
        Ok(operated)
    }

    /// Kills the operator and starts it again.
    pub async fn restart_operator(&self) -> anyhow::Result<()> {
        self.world.processes().kill(OPERATOR);
        let deadline = Instant::now() + PATIENCE;
        while self.world.processes().is_running(OPERATOR) {
            anyhow::ensure!(Instant::now() < deadline, "the operator does not end");
            self.world.processes().reap();
            sleep(Duration::from_millis(5)).await;
        }
        start_operator(&self.world, &self.binary, &self.link)
    }

    /// Applies the policy again, after it was deleted.
    pub async fn apply_policy_again(&self) -> anyhow::Result<()> {
        self.cluster.kubectl_apply(&self.policy.to_string()).await.map(|_| ())
    }

    /// How the operator reaches the API server.
    pub fn kubeconfig(&self) -> &Path {
        &self.link.kubeconfig
    }

    /// A client of the operator's API.
    pub fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::new(Some(&format!("http://{}", self.world.api())), None, &self.world.state())?)
    }

    /// Starts an operator of another installation, with a lease of its own; the address of its API.
    pub fn start_stranger(&self) -> anyhow::Result<SocketAddr> {
        let listen = free_address()?;
        let mut link =
            OperatorLink { kubeconfig: self.link.kubeconfig.clone(), args: self.link.args.clone() };
        link.args.extend(["--lease-name", "stranger"].map(str::to_owned));
        start_operator_as(SECOND, listen, &self.world, &self.binary, &link)?;
        Ok(listen)
    }

    /// What the operator's `/metrics` says.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        self.metrics_of(self.world.api()).await
    }

    /// What the `/metrics` of an operator at this address says.
    pub async fn metrics_of(&self, operator: SocketAddr) -> anyhow::Result<String> {
        let answer = send(operator, &Call::get("/metrics"), Duration::from_secs(5)).await?;
        anyhow::ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
        Ok(answer.body.as_str().unwrap_or_default().to_owned())
    }

    /// What `muster` prints about the cluster, as a person calls it.
    pub async fn muster(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut command = tokio::process::Command::new(&self.binary);
        command.args(words).arg("--kubeconfig").arg(&self.link.kubeconfig).args(["-n", POLICY.0]);
        let output = command.kill_on_drop(true).output().await?;
        Ok(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
    }

    /// The object of the policy, or of a run, as the API server has it.
    pub async fn get(&self, kind: &str, name: &str) -> anyhow::Result<Value> {
        let text = self.cluster.kubectl(&["get", kind, name, "-n", POLICY.0, "-o", "json"]).await?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Waits until an object shows what is wanted; `missing` says what is not there yet.
    pub async fn until(
        &self,
        kind: &str,
        name: &str,
        missing: impl Fn(&Value) -> Result<(), String>,
    ) -> anyhow::Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let why = match self.get(kind, name).await {
                Ok(object) => match missing(&object) {
                    Ok(()) => return Ok(object),
                    Err(why) => why,
                },
                Err(error) => format!("{error:#}"),
            };
            if Instant::now() >= deadline {
                bail!("{kind} {name}: not within {} s: {why}", PATIENCE.as_secs());
            }
            sleep(LOOK).await;
        }
    }

    /// The error with what each operator said last.
    pub fn with_last_words(&self, error: &anyhow::Error) -> anyhow::Error {
        let mut told = format!("{error:#}");
        for name in [OPERATOR, SECOND] {
            let Ok(said) = std::fs::read_to_string(log_of(&self.world, name)) else { continue };
            let lines: Vec<&str> = said.lines().rev().take(60).collect();
            let last: Vec<&str> = lines.into_iter().rev().collect();
            told = format!("{told}\n  the last words of {name}:\n  {}", last.join("\n  "));
        }
        anyhow::anyhow!(told)
    }

    /// Ends all of it, and answers what was told of it: an error comes with what the operator said last.
    pub async fn end(self, told: anyhow::Result<()>) -> anyhow::Result<()> {
        let told = told.map_err(|error| self.with_last_words(&error));
        self.stop().await?;
        told
    }

    /// Ends all of it.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.world.stop().await
    }
}

async fn link_of(cluster: &Cluster) -> anyhow::Result<OperatorLink> {
    Ok(OperatorLink { kubeconfig: cluster.kubeconfig().to_owned(), args: Vec::new() })
}

async fn start_regions(world: &World) -> anyhow::Result<BTreeMap<RegionName, Region>> {
    let start = async |(index, name): (usize, &RegionName)| {
        let replicas = if index == 0 { 3 } else { 1 };
        Ok::<_, anyhow::Error>((name.clone(), Region::start(world, name, replicas).await?))
    };
    let started = world.regions().iter().enumerate().map(start);
    Ok(futures::future::try_join_all(started).await?.into_iter().collect())
}

fn start_operator(world: &World, binary: &Path, link: &OperatorLink) -> anyhow::Result<()> {
    start_operator_as(OPERATOR, world.api(), world, binary, link)
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn start_operator_as(
    name: &str,
    listen: SocketAddr,
    world: &World,
    binary: &Path,
    link: &OperatorLink,
) -> anyhow::Result<()> {
    let text = |path: &Path| path.display().to_string();
    let mut args = vec![
        "operator".to_owned(),
        "--kubeconfig".to_owned(),
        text(&link.kubeconfig),
        "--listen".to_owned(),
        listen.to_string(),
        "--token-file".to_owned(),
        text(&world.state().join("token")),
        "--name".to_owned(),
        name.to_owned(),
    ];
    // Said twice, it would be refused.
    if !link.args.iter().any(|word| word == "--lease-ms") {
        args.extend(["--lease-ms", "3000"].map(str::to_owned));
    }
    args.extend(link.args.iter().cloned());
    world.processes().spawn(&Launch {
        name: name.to_owned(),
        region: None,
        program: binary.to_owned(),
        args,
        folder: world.dir().to_path_buf(),
        identity: None,
        log: log_of(world, name),
        environment: Vec::new(),
    })?;
    Ok(())
}

fn log_of(world: &World, name: &str) -> PathBuf {
    if name == OPERATOR { world.controller_log() } else { world.dir().join(format!("{name}.log")) }
}

/// The first policy of a file, as its object.
pub(crate) fn read_policy(file: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(file)?;
    let policies = load_policy_file(&text).map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    Ok(serde_json::to_value(policies.first().context("the file has a policy")?)?)
}

/// Programs of the controller's machine become endpoints: in a cluster there is no such machine.
pub(crate) fn through(door: &Door, mut policy: Value) -> Value {
    for fence in policy["spec"]["fence"].as_array_mut().into_iter().flatten() {
        if fence.get("exec").is_some() {
            let url = |verb: &str| format!("http://{}/power/{verb}", door.address);
            fence["webhook"] =
                json!({"fence": url("fence"), "status": url("status"), "unfence": url("unfence")});
            fence.as_object_mut().map(|fence| fence.remove("exec"));
        }
    }
    for item in policy["spec"]["data"].as_array_mut().into_iter().flatten() {
        let Some(rejoin) = item.pointer_mut("/postgres/rejoin") else { continue };
        if rejoin.get("exec").is_some() {
            rejoin["webhook"] = json!({"url": format!("http://{}/rejoin/rejoin", door.address)});
            rejoin.as_object_mut().map(|rejoin| rejoin.remove("exec"));
        }
    }
    policy
}

/// Makes a Secret of the policy's namespace of each folder in this one, with a key for each file.
pub(crate) async fn write_secrets(cluster: &Cluster, secrets: &Path) -> anyhow::Result<()> {
    for secret in std::fs::read_dir(secrets)? {
        let secret = secret?;
        let mut data = serde_json::Map::new();
        for key in std::fs::read_dir(secret.path())? {
            let key = key?;
            let value = std::fs::read_to_string(key.path())?;
            data.insert(key.file_name().to_string_lossy().into_owned(), json!(value));
        }
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "stringData": data,
            "metadata": {"name": secret.file_name().to_string_lossy(), "namespace": POLICY.0},
        });
        cluster.kubectl_apply(&object.to_string()).await?;
    }
    Ok(())
}
