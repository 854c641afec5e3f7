//! The other side: Debian's prometheus-blackbox-exporter with its usual module, asked as Prometheus asks it, over
//! kept connections. Who asks is this process and does not count.

use super::super::process::Process;
use super::{Done, EVERY, PROBES, Probing};
use anyhow::{Context, bail, ensure};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tempfile::NamedTempFile;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

/// Debian's name and the upstream project's.
const PROGRAMS: [&str; 2] = ["prometheus-blackbox-exporter", "blackbox_exporter"];
/// The module as the package configures it.
const CONFIG: &str = "modules:\n  http_2xx:\n    prober: http\n";
const STARTS_WITHIN: Duration = Duration::from_secs(10);

type Asker = Client<HttpConnector, Empty<Bytes>>;

/// The exporter's process, and who asks it.
pub(super) struct Exporter {
    process: Process,
    done: Arc<Mutex<Done>>,
    _asking: JoinSet<()>,
    _config: NamedTempFile,
}

impl Exporter {
    pub(super) async fn start(folder: &Path, target: &str) -> anyhow::Result<Self> {
        let config = tempfile::Builder::new().prefix("bench-").suffix(".yml").tempfile_in(folder)?;
        std::fs::write(config.path(), CONFIG)?;
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut process = start_any(config.path(), listen)?;
        wait_until_up(&mut process, listen).await?;
        let asker: Asker = Client::builder(TokioExecutor::new()).build_http();
        let done = Arc::<Mutex<Done>>::default();
        let mut asking = JoinSet::new();
        for number in 0..PROBES {
            let url = format!(
                "http://{listen}/probe?module=http_2xx&target=http%3A%2F%2F{target}%2Fhealthz%3Fprobe%3D{number}"
            );
            let offset = EVERY.mul_f64(f64::from(number) / f64::from(PROBES));
            asking.spawn(keep_asking(asker.clone(), url.parse()?, offset, Arc::clone(&done)));
        }
        Ok(Self { process, done, _asking: asking, _config: config })
    }
}

impl Probing for Exporter {
    fn process(&self) -> &Process {
        &self.process
    }

    async fn done(&mut self) -> anyhow::Result<Done> {
        Ok(std::mem::take(&mut *self.done.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn start_any(config: &Path, listen: SocketAddr) -> anyhow::Result<Process> {
    for program in PROGRAMS {
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--web.listen-address={listen}"))
            .stdout(Stdio::null());
        if let Ok(process) = Process::start(&mut command) {
            return Ok(process);
        }
    }
    bail!("there is neither {} nor {}: run scripts/install-deps.sh bench", PROGRAMS[0], PROGRAMS[1]);
}

async fn wait_until_up(process: &mut Process, listen: SocketAddr) -> anyhow::Result<()> {
    let deadline = Instant::now() + STARTS_WITHIN;
    while tokio::net::TcpStream::connect(listen).await.is_err() {
        ensure!(process.is_running(), "the exporter ended at once");
        ensure!(Instant::now() < deadline, "the exporter does not listen on {listen}");
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Asks for one target once a second.
async fn keep_asking(asker: Asker, url: hyper::Uri, offset: Duration, done: Arc<Mutex<Done>>) {
    let mut next = Instant::now() + offset;
    loop {
        sleep_until(next).await;
        next += EVERY;
        let answer = ask(&asker, url.clone()).await;
        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(latency_ms) => {
                done.passed += 1;
                done.latency_ms.push(latency_ms);
            }
            Err(_) => done.failed += 1,
        }
    }
}

/// The probe's own time as the exporter says it, in milliseconds.
async fn ask(asker: &Asker, url: hyper::Uri) -> anyhow::Result<f64> {
    let answer = asker.get(url).await?.into_body().collect().await?.to_bytes();
    let metrics = std::str::from_utf8(&answer)?;
    let metric = |name: &str| metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    ensure!(metric("probe_success") == Some("1"), "the probe failed");
    let seconds: f64 = metric("probe_duration_seconds").context("no duration")?.parse()?;
    Ok(seconds * 1e3)
}
