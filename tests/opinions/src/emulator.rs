//! The emulators as processes: found, started on a free port of 127.0.0.1, asked whether they are ready, and killed.
//!
//! What this module must never do: let an emulator listen beyond 127.0.0.1, see this machine's environment and so its
//! credentials, or outlive this program.

use crate::aws::{ACCESS_KEY, Aws, SECRET_KEY};
use crate::differences::{Difference, OF_MINISTACK, OF_MOTO};
use anyhow::{Context, bail, ensure};
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// From the start to the first answer: Python reads many modules on a busy machine.
const READY: Duration = Duration::from_mins(1);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// Lines of its output that an error shows.
const LAST_LINES: usize = 10;

/// Which emulator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Moto,
    Ministack,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Moto => "moto",
            Self::Ministack => "ministack",
        }
    }

    /// What it is known to do otherwise.
    pub(crate) const fn differences(self) -> &'static [Difference] {
        match self {
            Self::Moto => OF_MOTO,
            Self::Ministack => OF_MINISTACK,
        }
    }

    /// Its Python, of the pinned version. An error says what is missing, and what to run.
    pub(crate) async fn find(self) -> anyhow::Result<PathBuf> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/build-emulators.sh");
        let print = Command::new(&script).arg("--print").arg(self.name()).output().await;
        let print = print.with_context(|| format!("failed to run {}", script.display()))?;
        ensure!(print.status.success(), "{}", String::from_utf8_lossy(&print.stderr).trim());
        Ok(Path::new(String::from_utf8_lossy(&print.stdout).trim()).join("bin/python"))
    }

    fn command(self, python: &Path, port: u16) -> Command {
        // Whatever becomes of this program, the kernel ends the emulator with it.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(python).arg("-m");
        command.env_clear();
        match self {
            Self::Moto => command.args(["moto.server", "-H", "127.0.0.1", "-p"]).arg(port.to_string()),
            Self::Ministack => {
                command.arg("ministack").env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", port.to_string());
                // It verifies signatures, and goes by the policies of buckets and roles, only when it is told to.
                command.env("AUTH", "true").env("AWS_ACCESS_KEY_ID", ACCESS_KEY);
                command.env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
                // It would start real databases in containers otherwise.
                command.env("DOCKER_HOST", "tcp://127.0.0.1:1")
            }
        };
        command
    }
}

/// A running emulator, killed when dropped.
pub(crate) struct Emulator {
    child: Child,
    port: u16,
    /// Its home, with its output.
    folder: TempDir,
}

impl Emulator {
    /// Starts it, and waits until it answers.
    pub(crate) async fn start(kind: Kind, python: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("failed to create a folder for an emulator")?;
        let port = free_port()?;
        let output = File::create(folder.path().join("output")).context("failed to create a log")?;
        let mut command = kind.command(python, port);
        command.current_dir(folder.path()).env("HOME", folder.path()).env("TMPDIR", folder.path());
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child =
            command.kill_on_drop(true).spawn().with_context(|| format!("failed to start {}", kind.name()))?;
        let mut emulator = Self { child, port, folder };
        emulator.wait_until_ready().await.with_context(|| emulator.last_words())?;
        Ok(emulator)
    }

    pub(crate) fn aws(&self) -> Aws {
        Aws::at(format!("http://127.0.0.1:{}", self.port))
    }

    /// Both answer a list of databases at their first breath.
    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let (rds, deadline) = (self.aws().rds("us-east-1"), Instant::now() + READY);
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}");
            }
            match rds.describe_db_instances().send().await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() >= deadline => return Err(error).context("it does not answer"),
                Err(_) => sleep(LOOK).await,
            }
        }
    }

    fn last_words(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("output")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default();
        format!("the emulator is not ready; its last lines:\n  {}", last.join("\n  "))
    }

    /// Ends it, and returns when it has.
    pub(crate) async fn stop(mut self) {
        // It may have ended by itself.
        let _ = self.child.kill().await;
    }
}

/// Free right now; who takes it meanwhile keeps the emulator from starting, which is told.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("failed to find a free port")?;
    Ok(listener.local_addr()?.port())
}
