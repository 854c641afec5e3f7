//! etcd and kube-apiserver: started, stopped, frozen, and set back to an earlier state.

use super::kubectl::Kubectl;
use super::process::{LOOK, Launch, Process};
use super::tools::Tools;
use anyhow::{Context, anyhow, ensure};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

/// How long a component may take to serve. About 4 s alone on two cores; a test run beside it takes its share.
pub(super) const READY: Duration = Duration::from_secs(90);
/// Ports are taken from here: below the range from which Linux takes a client's port, so that no connection occupies
/// the port of an API server that is stopped.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// Two servers, each perhaps stopped.
#[derive(Debug)]
pub(super) struct ControlPlane {
    tools: Tools,
    folder: PathBuf,
    etcd_port: u16,
    api_port: u16,
    kubectl: Kubectl,
    etcd: Mutex<Option<Process>>,
    api_server: Mutex<Option<Process>>,
}

impl ControlPlane {
    /// Nothing runs yet. `folder` holds the files that the API server's flags name.
    pub(super) fn new(tools: &Tools, folder: &Path, api_port: u16, kubectl: Kubectl) -> anyhow::Result<Self> {
        Ok(Self {
            tools: tools.clone(),
            folder: folder.to_path_buf(),
            etcd_port: free_port()?,
            api_port,
            kubectl,
            etcd: Mutex::new(None),
            api_server: Mutex::new(None),
        })
    }

    /// Starts both, and returns when the API server is ready.
    pub(super) async fn start(&self) -> anyhow::Result<()> {
        self.start_etcd().await?;
        self.start_api_server().await
    }

    async fn start_etcd(&self) -> anyhow::Result<()> {
        let mut place = self.etcd.lock().await;
        let mut etcd = Process::start(&self.launch("etcd", self.etcd_args()))?;
        let deadline = Instant::now() + READY;
        while !is_open(self.etcd_port).await {
            etcd.ensure_running()?;
            ensure!(Instant::now() < deadline, "etcd is not ready within {READY:?}{}", etcd.last_words());
            sleep(LOOK).await;
        }
        *place = Some(etcd);
        Ok(())
    }

    /// Starts the API server, under the port and with the data that it had.
    pub(super) async fn start_api_server(&self) -> anyhow::Result<()> {
        let mut place = self.api_server.lock().await;
        ensure!(place.is_none(), "the API server runs already");
        let mut server = Process::start(&self.launch("kube-apiserver", self.api_server_args()))?;
        let deadline = Instant::now() + READY;
        while let Err(unready) = self.ask_readiness().await {
            self.ensure_etcd().await?;
            server.ensure_running()?;
            let words = server.last_words();
            ensure!(
                Instant::now() < deadline,
                "kube-apiserver is not ready within {READY:?}: {unready:#}{words}"
            );
            sleep(LOOK).await;
        }
        // What answers under etcd's port could be another one, if that took the port first; then this one has ended.
        self.ensure_etcd().await?;
        *place = Some(server);
        Ok(())
    }

    async fn ensure_etcd(&self) -> anyhow::Result<()> {
        self.etcd.lock().await.as_mut().context("etcd does not run")?.ensure_running()
    }

    async fn ask_readiness(&self) -> anyhow::Result<()> {
        // A connection costs nothing; kubectl costs a tenth of a second of a core.
        ensure!(is_open(self.api_port).await, "its port is closed");
        self.kubectl.run(&["get", "--raw", "/readyz", "--request-timeout=2s"], None).await.map(|_| ())
    }

    /// Kills the API server, as a machine that loses power does. It may be stopped already.
    pub(super) async fn stop_api_server(&self) {
        self.api_server.lock().await.take();
    }

    /// Freezes the API server: connections stay open, and get no answer.
    pub(super) async fn pause_api_server(&self) -> anyhow::Result<()> {
        let place = self.api_server.lock().await;
        place.as_ref().context("the API server does not run")?.freeze().await
    }

    /// Lets a frozen API server go on.
    pub(super) async fn resume_api_server(&self) -> anyhow::Result<()> {
        let place = self.api_server.lock().await;
        place.as_ref().context("the API server does not run")?.thaw()
    }

    /// Copies etcd's data to `target` while etcd is frozen: what a disk holds after a crash, from which etcd recovers.
    pub(super) async fn save(&self, target: &Path) -> anyhow::Result<()> {
        let place = self.etcd.lock().await;
        let etcd = place.as_ref().context("etcd does not run")?;
        let frozen = etcd.freeze().await;
        let copied = match frozen {
            Ok(()) => copy_folder(&self.data(), target).await,
            Err(error) => Err(error),
        };
        etcd.thaw()?;
        copied
    }

    /// Stops both, puts the saved data in place, and starts both.
    pub(super) async fn load(&self, saved: &Path) -> anyhow::Result<()> {
        self.stop_api_server().await;
        self.etcd.lock().await.take();
        tokio::fs::remove_dir_all(self.data()).await.context("failed to remove etcd's data")?;
        copy_folder(saved, &self.data()).await?;
        self.start().await
    }

    fn data(&self) -> PathBuf {
        self.folder.join("etcd")
    }

    fn launch(&self, name: &'static str, args: Vec<String>) -> Launch {
        Launch { name, program: self.tools.program(name), args, folder: self.folder.clone() }
    }

    fn etcd_args(&self) -> Vec<String> {
        let clients = format!("http://127.0.0.1:{}", self.etcd_port);
        vec![
            "--name=single".to_owned(),
            format!("--data-dir={}", self.data().display()),
            format!("--listen-client-urls={clients}"),
            format!("--advertise-client-urls={clients}"),
            // A single member never calls a peer: any port to listen on, and a name that is never dialled.
            "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
            "--initial-advertise-peer-urls=http://127.0.0.1:2380".to_owned(),
            "--initial-cluster=single=http://127.0.0.1:2380".to_owned(),
            "--unsafe-no-fsync=true".to_owned(),
            "--log-level=warn".to_owned(),
        ]
    }

    fn api_server_args(&self) -> Vec<String> {
        let file = |name: &str| self.folder.join(name).display().to_string();
        vec![
            format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", self.api_port),
            format!("--cert-dir={}", file("kube-apiserver")),
            format!("--tls-cert-file={}", file("server.crt")),
            format!("--tls-private-key-file={}", file("server.key")),
            format!("--client-ca-file={}", file("ca.crt")),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", file("tokens.pub")),
            format!("--service-account-signing-key-file={}", file("tokens.key")),
            "--authorization-mode=RBAC".to_owned(),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            "--allow-privileged=true".to_owned(),
            // Nothing would answer at the address of the service `kubernetes`.
            "--endpoint-reconciler-type=none".to_owned(),
            // What costs time at the start, and serves crowds of clients.
            "--enable-priority-and-fairness=false".to_owned(),
            "--profiling=false".to_owned(),
        ]
    }
}

async fn is_open(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok()
}

/// A port that nobody listens on. Somebody may take it before it is used: then the start is tried again.
pub(super) fn free_port() -> anyhow::Result<u16> {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    // Programs start at different places, so that they rarely meet.
    let first = std::process::id().wrapping_mul(37);
    let size = u32::from(PORTS.end - PORTS.start);
    for _ in PORTS {
        let number = u32::from(TAKEN.fetch_add(1, Ordering::Relaxed));
        let offset = u16::try_from(first.wrapping_add(number) % size).context("a port beyond the range")?;
        let port = PORTS.start + offset;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(anyhow!("no free port in {PORTS:?}"))
}

/// Whether a start failed since somebody took the port first.
pub(super) fn is_lost_port(error: &anyhow::Error) -> bool {
    format!("{error:#}").contains("address already in use")
}

/// By cp, which keeps the holes: etcd's log is a file of 64 MB that is nearly empty.
async fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("cp");
    command.arg("-a").arg("--sparse=always").arg(from).arg(to).kill_on_drop(true);
    let output = command.output().await.context("failed to run cp")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "failed to copy {} to {}: {}",
        from.display(),
        to.display(),
        said.trim()
    );
    Ok(())
}
