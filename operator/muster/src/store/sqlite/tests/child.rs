//! Real processes: this test binary, started again with one hidden test and a word on what to do.

use super::{acquire, count, few, load, open, open_with};
use crate::store::{LeaseKeeper, LeaseSettings, Store as _, StoreError};
use muster_core::ids::HolderId;
use muster_core::time::Millis;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

const ROLE: &str = "MUSTER_STORE_TEST_ROLE";
const DIR: &str = "MUSTER_STORE_TEST_DIR";
const PATIENCE: Duration = Duration::from_secs(30);

/// A running child; killed when dropped.
pub(super) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Process {
    pub(super) fn start(role: &str, dir: &Path) -> Self {
        Self::start_under(Command::new(std::env::current_exe().unwrap()), role, dir)
    }

    /// `command` must end in running this binary.
    pub(super) fn start_under(mut command: Command, role: &str, dir: &Path) -> Self {
        let hidden = format!("{}::child", module_path!().split_once("::").unwrap().1);
        command.args([&hidden, "--exact", "--nocapture", "--test-threads=1"]).env(ROLE, role).env(DIR, dir);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // The harness writes the test's name in front of what it prints first.
                let said = line.rsplit_once("> ").map(|(_, said)| said.to_owned());
                if said.is_some_and(|said| tell.send(said).is_err()) {
                    return;
                }
            }
        });
        Self { child, stdin, lines }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next thing it says that begins with `start`; everything before is dropped.
    pub(super) fn hear(&self, start: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.starts_with(start) => return line,
                Ok(_) => {}
                Err(error) => panic!("never said {start:?}: {error}"),
            }
        }
    }

    /// All that it said and says within `long`.
    pub(super) fn hear_all(&self, long: Duration) -> Vec<String> {
        let deadline = Instant::now() + long;
        let mut said = Vec::new();
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => said.push(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return said,
            }
        }
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.pid()).unwrap()), signal).unwrap();
    }

    /// Kills it without a word and waits until it is gone.
    pub(super) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.hear_all(PATIENCE)
    }

    /// Asks it to end well, and waits.
    pub(super) fn end(mut self) -> Vec<String> {
        drop(self.stdin.take());
        let said = self.hear_all(PATIENCE);
        assert!(self.child.wait().unwrap().success());
        said
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    // The parent may be gone; then nobody listens.
    let _ = writeln!(out, "> {what}");
    let _ = out.flush();
}

/// What a child does; in an ordinary run of the tests, nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let (Some(role), Some(dir)) = (std::env::var_os(ROLE), std::env::var_os(DIR).map(PathBuf::from)) else {
        return;
    };
    match role.to_str().unwrap() {
        "writer" => write_until_killed(&dir).await,
        "holder" => hold(&dir, Millis(600)).await,
        "patient holder" => hold(&dir, Millis(60_000)).await,
        "locker" => lock(&dir).await,
        "limited" => write_until_refused(&dir).await,
        other => panic!("{other}"),
    }
}

/// Says each count once it is acknowledged, with the length of the log at that moment.
async fn write_until_killed(dir: &Path) {
    let store = open(dir).await.unwrap();
    load(&store).await;
    let token = acquire(&store, "writer").await;
    loop {
        let seq = count(&store, &token).await.unwrap();
        let log = std::fs::metadata(dir.join("journal.db-wal")).map_or(0, |meta| meta.len());
        say(&format!("acknowledged {seq} {log}"));
    }
}

/// Acts while it holds the lease, until its standard input ends.
async fn hold(dir: &Path, duration: Millis) {
    let store = Arc::new(open(dir).await.unwrap());
    load(&store).await;
    let holder = HolderId::new(std::process::id().to_string());
    let settings = LeaseSettings { duration, renew_every: Millis(150), look_every: Millis(50) };
    let keeper = LeaseKeeper::start(store.clone(), holder, settings);
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    while !ended.is_finished() {
        if let Some(token) = keeper.token() {
            match count(&store, &token).await {
                Ok(seq) if token.is_live() => say(&format!("acted {} {seq}", token.number())),
                Ok(_) => say("recorded, and did not act"),
                Err(StoreError::LeaseLost { .. }) => say(&format!("lost {}", token.number())),
                Err(error) => say(&format!("failed: {error}")),
            }
        }
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    keeper.stop().await;
    say("ended");
}

/// Takes the write lock and keeps it until its standard input ends.
async fn lock(dir: &Path) {
    open(dir).await.unwrap().close().await;
    let connection = rusqlite::Connection::open(dir.join("journal.db")).unwrap();
    connection.execute_batch("begin immediate; update meta set pulse = pulse + 1").unwrap();
    say("locked");
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await.unwrap().unwrap();
}

/// Says what it met when there was no more room.
async fn write_until_refused(dir: &Path) {
    let store = open_with(dir, super::Options { reserve_bytes: 16 << 10, ..few() }).await.unwrap();
    load(&store).await;
    let token = acquire(&store, "writer").await;
    let error = loop {
        match count(&store, &token).await {
            Ok(seq) => say(&format!("acknowledged {seq}")),
            Err(error) => break error,
        }
    };
    say(&format!("refused {:?}: {error}", error.class()));
    let loaded = store.load(&super::policy()).await.unwrap();
    say(&format!("loaded {}", loaded.journal.state.seq));
}
