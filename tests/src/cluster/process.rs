//! Components as processes. Each ends with its [`Process`], and with this program however that ends.

use anyhow::{Context, anyhow, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks.
pub(super) const LOOK: Duration = Duration::from_millis(50);
/// How long the kernel may take to stop every thread.
const FREEZE: Duration = Duration::from_secs(5);
/// Lines of a log that an error shows.
const LAST_LINES: usize = 15;

/// A component to start.
#[derive(Debug)]
pub(super) struct Launch {
    /// Unique in the cluster; also the name of its log.
    pub(super) name: &'static str,
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    /// The cluster's folder.
    pub(super) folder: PathBuf,
}

/// A running component, killed when dropped.
#[derive(Debug)]
pub(super) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

type Request = (Command, SyncSender<std::io::Result<Child>>);

/// The kernel kills children when the *thread* that started them ends, and a test's thread ends before its program:
/// so one thread, which never ends, starts them all.
fn launcher() -> Option<&'static Sender<Request>> {
    static LAUNCHER: OnceLock<Option<Sender<Request>>> = OnceLock::new();
    let start = || {
        let (sender, requests) = channel::<Request>();
        let serve = move || {
            for (mut command, answer) in requests {
                // Who asked may have been dropped meanwhile; then the child is not wanted either.
                if let Err(unwanted) = answer.send(command.spawn())
                    && let Ok(mut child) = unwanted.0
                {
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        };
        std::thread::Builder::new().name("cluster-launcher".to_owned()).spawn(serve).ok()?;
        Some(sender)
    };
    LAUNCHER.get_or_init(start).as_ref()
}

impl Process {
    /// Starts it, with its output appended to its log. It may end right after; [`Process::ensure_running`] tells.
    pub(super) fn start(launch: &Launch) -> anyhow::Result<Self> {
        let log = launch.folder.join(format!("{}.log", launch.name));
        let output = OpenOptions::new().create(true).append(true).open(&log);
        let output = output.with_context(|| format!("failed to open {}", log.display()))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&launch.program).args(&launch.args);
        command.current_dir(&launch.folder).env("HOME", &launch.folder).process_group(0);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let (sender, answer) = sync_channel(1);
        let failed = || format!("failed to start {}", launch.name);
        let launcher = launcher().context("no thread that starts processes").with_context(failed)?;
        launcher.send((command, sender)).map_err(|_| anyhow!("the launcher is gone")).with_context(failed)?;
        let child = answer.recv().with_context(failed)?.with_context(failed)?;
        Ok(Self { name: launch.name, child, log })
    }

    /// An error with its last words if it has ended.
    pub(super) fn ensure_running(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(anyhow!("{} ended with {status}{}", self.name, self.last_words())),
            Err(error) => Err(error).with_context(|| format!("failed to look at {}", self.name)),
        }
    }

    /// The end of its log, for an error's text.
    pub(super) fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(LAST_LINES));
        let lines: Vec<String> = last.map(|line| format!("\n  {line}")).collect();
        format!("; its last lines:{}", lines.concat())
    }

    /// Stops it where it stands, and returns when none of its threads runs any more.
    pub(super) async fn freeze(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGSTOP)?;
        let deadline = Instant::now() + FREEZE;
        while !is_frozen(self.child.id()) {
            ensure!(Instant::now() < deadline, "{} did not stop within {FREEZE:?}", self.name);
            sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// Lets it go on.
    pub(super) fn thaw(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        // A child that was not waited for keeps its pid, so the signal cannot reach another process.
        let pid = i32::try_from(self.child.id()).context("a pid beyond the kernel's range")?;
        kill(Pid::from_raw(pid), signal).with_context(|| format!("failed to signal {}", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself. SIGKILL also ends a frozen one.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether every thread is stopped: one may be inside a write while the first one is stopped already.
fn is_frozen(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.flatten().all(|thread| is_stopped(&thread.path()))
}

fn is_stopped(thread: &Path) -> bool {
    // A thread that ended since the listing does not run either.
    let Ok(stat) = std::fs::read_to_string(thread.join("stat")) else { return true };
    // The command's name stands in parentheses and may contain anything.
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    matches!(state, Some('T' | 't' | 'Z' | 'X'))
}
