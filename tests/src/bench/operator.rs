//! A thousand policies under `muster operator`, on a real API server: what they cost while nothing happens, what is
//! written, and how soon a process that starts again decides.

use super::probes::Server;
use super::process::Process;
use super::series::Series;
use super::{Bench, Figures, Part};
use crate::cluster::{Cluster, Options};
use crate::operated::install_kinds;
use anyhow::{Context, bail, ensure};
use muster::api::PolicyList;
use muster::cli::client::{ApiPath, Client};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

pub(super) const PART: Part = Part {
    name: "operator",
    measures: "`muster operator` with 1,000 policies of 3 regions and 5 probes each, every 30 s",
    run: |bench, figures| Box::pin(measure(bench, figures)),
};

const POLICIES: usize = 1_000;
/// In one call of kubectl.
const AT_ONCE: usize = 250;
const TEMPLATE: &str = include_str!("operator.yaml");
const LONGEST: Duration = Duration::from_mins(3);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Probes that follow each other every 30 s until each count has reached its threshold: until then it is recorded.
const SETTLE: Duration = Duration::from_mins(4);
const WINDOW: Duration = Duration::from_mins(1);

/// The operator's process and its API.
struct Operator {
    process: Process,
    client: Client,
}

impl Operator {
    fn start(bench: &Bench, cluster: &Cluster, folder: &TempDir) -> anyhow::Result<Self> {
        let listen: SocketAddr = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new(&bench.me);
        command.args(["operator", "--namespace", "muster", "--name", "bench", "--token-file"]);
        command.arg(folder.path().join("token")).arg("--kubeconfig").arg(cluster.kubeconfig());
        command.args(["--listen", &listen.to_string()]).stdout(Stdio::null());
        let process = Process::start(&mut command)?;
        let client = Client::new(Some(&format!("http://{listen}")), None, folder.path())?;
        Ok(Self { process, client })
    }

    /// Waits until so many policies were decided on.
    async fn until_decided(&mut self, wanted: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + LONGEST;
        loop {
            let list: Result<PolicyList, _> = self.client.get(ApiPath::new(["policies"])).await;
            let decided = list.map_or(0, |list| list.policies.iter().filter(|p| p.rule.is_some()).count());
            if decided >= wanted {
                return Ok(());
            }
            ensure!(self.process.is_running(), "the operator ended");
            ensure!(Instant::now() < deadline, "{decided} of {wanted} policies were decided on");
            sleep(LOOK_EVERY).await;
        }
    }

    /// Asks it to end, which gives the lease back, and waits.
    async fn end(mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(i32::try_from(self.process.child().id())?), Signal::SIGTERM)?;
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.process.is_running() {
            ensure!(Instant::now() < deadline, "the operator does not end");
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

async fn measure(bench: &Bench, figures: &mut Figures) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(&bench.folder)?;
    std::fs::write(folder.path().join("token"), uuid::Uuid::new_v4().simple().to_string())?;
    let probed = Server::start(&bench.me)?;
    let cluster = Cluster::start("bench", Options::default()).await?;
    install_kinds(&cluster).await?;
    for namespace in ["muster", "bench"] {
        cluster.kubectl(&["create", "namespace", namespace]).await?;
    }
    let secret =
        ["create", "secret", "generic", "bench", "-n", "bench", "--from-literal=key=a-secret-of-nobody"];
    cluster.kubectl(&secret).await?;
    apply_policies(&cluster, &probed.address).await?;

    let mut operator = Operator::start(bench, &cluster, &folder)?;
    operator.until_decided(POLICIES).await?;
    sleep(SETTLE).await;
    at_rest(&cluster, &operator, figures).await?;
    operator.end().await?;

    let (mut first, mut all) = (Series::default(), Series::default());
    for _ in 0..3 {
        let began = Instant::now();
        let mut operator = Operator::start(bench, &cluster, &folder)?;
        operator.until_decided(1).await?;
        first.push(began.elapsed().as_secs_f64());
        operator.until_decided(POLICIES).await?;
        all.push(began.elapsed().as_secs_f64());
        operator.end().await?;
    }
    figures.set(
        "operator_restart_s",
        first.percentile(50),
        "start after an orderly end to the first decision, s",
    );
    figures.set(
        "operator_restart_1000_s",
        all.percentile(50),
        "the same to the first decision on every policy, s",
    );
    figures.expect_at_most("operator_restart_s", 2.0);
    Ok(())
}

/// What a minute costs in which nothing happens.
async fn at_rest(cluster: &Cluster, operator: &Operator, figures: &mut Figures) -> anyhow::Result<()> {
    let (cpu, writes, began) = (operator.process.cpu_seconds()?, writes(cluster).await?, Instant::now());
    sleep(WINDOW).await;
    let took = began.elapsed().as_secs_f64();
    let cpu = (operator.process.cpu_seconds()? - cpu) / took;
    let now = self::writes(cluster).await?;
    figures.set("operator_cpu_cores", cpu, "share of one core, nothing happens");
    figures.set("operator_rss_mib", operator.process.peak_rss_mib()?, "peak memory, MiB");
    let per_minute = |of: fn(&Writes) -> f64| (of(&now) - of(&writes)) * 60.0 / took;
    figures.set("operator_status_writes_min", per_minute(|w| w.statuses), "status writes a minute");
    figures.set("operator_journal_writes_min", per_minute(|w| w.journals), "journal writes a minute");
    figures.set("operator_lease_writes_min", per_minute(|w| w.leases), "lease writes a minute");
    figures.expect_at_most("operator_cpu_cores", 1.0);
    figures.expect_at_most("operator_rss_mib", 500.0);
    figures.expect_at_most("operator_status_writes_min", 0.0);
    Ok(())
}

async fn apply_policies(cluster: &Cluster, probed: &str) -> anyhow::Result<()> {
    let closed = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
    let policies: Vec<String> = (0..POLICIES)
        .map(|number| {
            let own = format!("{}.{}", number / 250 + 1, number % 250 + 1);
            let policy = TEMPLATE.replace("NUMBER", &format!("{number:04}")).replace("PROBED", probed);
            policy.replace("OWN", &own).replace("CLOSED", &closed)
        })
        .collect();
    for some in policies.chunks(AT_ONCE) {
        cluster.kubectl_apply(&some.join("---\n")).await?;
    }
    Ok(())
}

/// Requests that changed something, as the API server counts them since its start.
#[derive(Clone, Copy, Default, Debug)]
struct Writes {
    statuses: f64,
    journals: f64,
    leases: f64,
}

async fn writes(cluster: &Cluster) -> anyhow::Result<Writes> {
    let metrics = cluster.kubectl(&["get", "--raw", "/metrics"]).await?;
    let mut writes = Writes::default();
    for line in metrics.lines().filter_map(|line| line.strip_prefix("apiserver_request_total{")) {
        let (labels, value) = line.rsplit_once("} ").context("a metric has a value")?;
        let has = |label: &str, value: &str| labels.contains(&format!("{label}=\"{value}\""));
        if !["POST", "PUT", "PATCH", "APPLY", "DELETE"].iter().any(|verb| has("verb", verb)) {
            continue;
        }
        let Ok(count) = value.parse::<f64>() else { bail!("{line} is no count") };
        let muster = has("group", "muster.dev");
        if muster && has("subresource", "status") {
            writes.statuses += count;
        } else if muster && has("resource", "failoverjournals") {
            writes.journals += count;
        } else if has("resource", "leases") {
            writes.leases += count;
        }
    }
    Ok(writes)
}
