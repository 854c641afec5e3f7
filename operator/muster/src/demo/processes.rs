//! The world's processes: started in groups of their own, written down before anything else happens to them,
//! waited for, and cleaned up also by the *next* demo when this one was killed.
//!
//! The journal has a line before each start (so that a kill between fork and note leaves a trace) and a line
//! after it, with pid and start time. A leftover is killed only if pid, start time and command line all agree.

use super::process_table::{self, ProcessId};
use anyhow::{Context, bail};
use muster_core::ids::RegionName;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The journal's name in the world's folder.
const JOURNAL: &str = "processes.jsonl";
/// How long a killed process may take to leave the process table.
const DEATH: Duration = Duration::from_secs(5);
/// Between two looks at something that ends within milliseconds.
const LOOK: Duration = Duration::from_millis(3);

/// A user to run a program as.
#[derive(Clone, Debug)]
pub struct Identity {
    /// For messages.
    pub name: String,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Identity {
    /// Who runs PostgreSQL: this user, or `postgres` when this is root (PostgreSQL refuses root).
    pub fn for_postgres() -> anyhow::Result<Option<Self>> {
        if !nix::unistd::geteuid().is_root() {
            return Ok(None);
        }
        let user = nix::unistd::User::from_name("postgres").context("failed to look up the user postgres")?;
        let user = user.context("PostgreSQL does not run as root, and there is no user postgres here")?;
        Ok(Some(Self { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
    }

    /// A command that runs as this user, or as the present one.
    pub fn command(identity: Option<&Self>, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some(identity) = identity {
            command.uid(identity.uid).gid(identity.gid);
        }
        command
    }
}

/// A program to run in the world.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Unique in the world, for example `east/database`.
    pub name: String,
    /// The region that it belongs to, if it belongs to one.
    pub region: Option<RegionName>,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its working folder; below the region's folder for a region's process.
    pub folder: PathBuf,
    /// Who runs it; `None`: this user.
    pub identity: Option<Identity>,
    /// Where its output goes.
    pub log: PathBuf,
    /// Variables that it gets beside this program's own.
    pub environment: Environment,
}

/// Variables of a process; `None` takes one away.
pub type Environment = Vec<(&'static str, Option<String>)>;

#[derive(Serialize, Deserialize)]
struct Note {
    name: String,
    cmdline: String,
    home: Option<PathBuf>,
    id: Option<ProcessId>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    id: ProcessId,
    region: Option<RegionName>,
}

/// Starts and ends the world's processes. Dropping it ends all of them.
#[derive(Debug)]
pub struct Processes {
    journal: Mutex<File>,
    running: Mutex<BTreeMap<String, Running>>,
    /// Pids of all that ran, for what they left in the kernel.
    makers: Mutex<Vec<i32>>,
    /// Regions' folders, by which their processes are found.
    homes: BTreeMap<RegionName, PathBuf>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Processes {
    /// Becomes the parent of every orphan below this process and opens a fresh journal in `dir`. Leftovers of an
    /// earlier run must have been ended before ([`end_leftovers`]).
    pub fn start(dir: &Path, homes: BTreeMap<RegionName, PathBuf>) -> anyhow::Result<Self> {
        nix::sys::prctl::set_child_subreaper(true).context("failed to become the parent of orphans")?;
        let path = dir.join(JOURNAL);
        let journal = OpenOptions::new().create(true).write(true).truncate(true).open(&path);
        let journal = journal.with_context(|| format!("failed to open {}", path.display()))?;
        Ok(Self { journal: Mutex::new(journal), running: Mutex::default(), makers: Mutex::default(), homes })
    }

    /// Starts a program.
    pub fn spawn(&self, launch: &Launch) -> anyhow::Result<ProcessId> {
        let mut running = locked(&self.running);
        if running.get(&launch.name).is_some_and(|r| r.id.is_alive()) {
            bail!("{} runs already", launch.name);
        }
        if let Some(mut old) = running.remove(&launch.name) {
            let _ = old.child.wait();
        }
        let words = std::iter::once(launch.program.display().to_string()).chain(launch.args.iter().cloned());
        let cmdline = words.collect::<Vec<_>>().join(" ");
        let home = launch.region.as_ref().and_then(|r| self.homes.get(r)).cloned();
        let mut note = Note { name: launch.name.clone(), cmdline, home, id: None };
        self.write_note(&note)?;
        let child = start_child(launch)?;
        let pid = i32::try_from(child.id()).context("a pid beyond the kernel's range")?;
        let id = ProcessId::of(pid).with_context(|| format!("{} ended at once", launch.name))?;
        note.id = Some(id);
        locked(&self.makers).push(pid);
        running.insert(launch.name.clone(), Running { child, id, region: launch.region.clone() });
        drop(running);
        self.write_note(&note)?;
        Ok(id)
    }

    fn write_note(&self, note: &Note) -> anyhow::Result<()> {
        let mut line = serde_json::to_string(note)?;
        line.push('\n');
        locked(&self.journal).write_all(line.as_bytes()).context("failed to note a process")
    }

    /// Whether this process runs (also frozen).
    pub fn is_running(&self, name: &str) -> bool {
        locked(&self.running).get(name).is_some_and(|r| r.id.is_alive())
    }

    /// The id of a process that was started under this name.
    pub fn id(&self, name: &str) -> Option<ProcessId> {
        locked(&self.running).get(name).map(|r| r.id)
    }

    /// Every process of a region, those that PostgreSQL started by itself among them.
    pub fn of_region(&self, region: &RegionName) -> Vec<ProcessId> {
        self.homes.get(region).map(|home| process_table::of_region(home)).unwrap_or_default()
    }

    /// Sends a signal to one process. A process that is gone is no error.
    pub fn signal(&self, name: &str, signal: Signal) {
        if let Some(id) = self.id(name) {
            send(id, signal);
        }
    }

    /// Kills one process and waits for its end.
    pub fn kill(&self, name: &str) {
        let Some(mut running) = locked(&self.running).remove(name) else { return };
        send(running.id, Signal::SIGKILL);
        let _ = running.child.wait();
    }

    /// Asks a process to end by a signal of its own, and kills it when it has not after `patience`.
    pub fn stop(&self, name: &str, signal: Signal, patience: Duration) {
        let Some(id) = self.id(name) else { return };
        send(id, Signal::SIGCONT);
        send(id, signal);
        wait_until(patience, || !id.is_alive());
        self.kill(name);
    }

    /// Kills all of a region at once, frozen or not, and waits for their end.
    pub fn kill_region(&self, region: &RegionName) {
        kill_all(|| self.of_region(region));
        let mut running = locked(&self.running);
        for gone in running.extract_if(.., |_, r| r.region.as_ref() == Some(region)) {
            let (_, mut gone) = gone;
            send(gone.id, Signal::SIGKILL);
            let _ = gone.child.wait();
        }
        drop(running);
        reap_orphans();
    }

    /// Stops every process of a region where it stands (SIGSTOP).
    pub fn freeze_region(&self, region: &RegionName) {
        self.freeze_of(region, |_| true);
    }

    /// Stops a region's PostgreSQL where it stands; the order service goes on.
    pub fn freeze_database(&self, region: &RegionName) {
        let service = self.id(&format!("{region}/service"));
        self.freeze_of(region, |process| Some(process) != service);
    }

    fn freeze_of(&self, region: &RegionName, choose: impl Fn(ProcessId) -> bool) {
        // A process may start another one between the look and the signal: look until none is left running.
        wait_until(DEATH, || {
            let moving: Vec<_> =
                self.of_region(region).into_iter().filter(|p| choose(*p) && !p.is_frozen()).collect();
            send_all(&moving, Signal::SIGSTOP);
            moving.is_empty()
        });
    }

    /// Lets a frozen region go on.
    pub fn thaw_region(&self, region: &RegionName) {
        send_all(&self.of_region(region), Signal::SIGCONT);
    }

    /// Waits for processes that lost their parent, so that the process table does not show them as alive.
    pub fn reap(&self) {
        reap_orphans();
    }

    /// Ends everything. PostgreSQL gets a moment to release its shared memory.
    pub fn end_all(&self) {
        let mut running = std::mem::take(&mut *locked(&self.running));
        for r in running.values() {
            ask_to_end(r.id);
        }
        for home in self.homes.values() {
            send_all(&process_table::of_region(home), Signal::SIGCONT);
        }
        wait_until(Duration::from_millis(1500), || running.values().all(|r| !r.id.is_alive()));
        for r in running.values_mut() {
            send(r.id, Signal::SIGKILL);
            let _ = r.child.wait();
        }
        for home in self.homes.values() {
            kill_all(|| process_table::of_region(home));
        }
        reap_orphans();
        remove_shared_memory(&locked(&self.makers));
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.end_all();
    }
}

/// Gives a command these variables beside this program's own.
pub fn set_environment(command: &mut Command, environment: &Environment) {
    for (name, value) in environment {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
}

fn start_child(launch: &Launch) -> anyhow::Result<Child> {
    let log = OpenOptions::new().create(true).append(true).open(&launch.log);
    let log = log.with_context(|| format!("failed to open the log {}", launch.log.display()))?;
    let mut command = Identity::command(launch.identity.as_ref(), &launch.program);
    command.args(&launch.args).current_dir(&launch.folder).process_group(0);
    set_environment(&mut command, &launch.environment);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().with_context(|| format!("failed to start {} ({})", launch.name, launch.program.display()))
}

fn send(id: ProcessId, signal: Signal) {
    if id.is_alive() {
        let _ = kill(id.pid(), signal);
    }
}

fn send_all(ids: &[ProcessId], signal: Signal) {
    for id in ids {
        send(*id, signal);
    }
}

/// Thaws a process and asks it to end soon. SIGQUIT is PostgreSQL's immediate shutdown: it releases its shared
/// memory, which it cannot when it is killed.
fn ask_to_end(id: ProcessId) {
    let is_postgres =
        process_table::cmdline(id.pid).split(' ').next().is_some_and(|p| p.ends_with("postgres"));
    send(id, Signal::SIGCONT);
    send(id, if is_postgres { Signal::SIGQUIT } else { Signal::SIGTERM });
}

fn kill_all(list: impl Fn() -> Vec<ProcessId>) {
    wait_until(DEATH, || {
        let alive = list();
        send_all(&alive, Signal::SIGKILL);
        alive.is_empty()
    });
}

fn wait_until(patience: Duration, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while !done() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(LOOK);
    }
    true
}

/// Waits for PostgreSQL's children that were orphaned to this process.
fn reap_orphans() {
    let me = i32::try_from(std::process::id()).unwrap_or_default();
    for pid in process_table::orphaned_zombies(me, "postgres") {
        let _ = waitpid(nix::unistd::Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
    }
}

/// Ends what an earlier run in `dir` left behind, and says how many processes that were.
pub fn end_leftovers(dir: &Path) -> anyhow::Result<usize> {
    let path = dir.join(JOURNAL);
    let mut text = String::new();
    match File::open(&path) {
        Ok(mut file) => file.read_to_string(&mut text).map(|_| ()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(e) => Err(e),
    }
    .with_context(|| format!("failed to read {}", path.display()))?;
    // The last line may be torn: the run was killed while writing it, and its first half (the intent) is enough.
    let notes: Vec<Note> = text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
    let leftovers = || notes.iter().flat_map(leftover).collect::<Vec<_>>();
    let found = leftovers().len();
    for id in leftovers() {
        ask_to_end(id);
    }
    wait_until(Duration::from_millis(1500), || leftovers().is_empty());
    kill_all(leftovers);
    let pids: Vec<i32> = notes.iter().filter_map(|n| n.id).map(|id| id.pid).collect();
    remove_shared_memory(&pids);
    if leftovers().is_empty() { Ok(found) } else { bail!("processes of an earlier demo cannot be ended") }
}

/// The processes that a note speaks of and that still run.
fn leftover(note: &Note) -> Vec<ProcessId> {
    // Killed between the intent and the note of the pid: the command line names the world's folder.
    let candidates = note.id.map_or_else(process_table::all_pids, |id| vec![id.pid]);
    let same = |pid: &i32| process_table::cmdline(*pid) == note.cmdline;
    let mut found: Vec<_> = candidates.into_iter().filter(same).filter_map(ProcessId::of).collect();
    found.retain(|id| note.id.is_none_or(|noted| noted == *id));
    found.extend(note.home.iter().flat_map(|home| process_table::of_region(home)));
    found.retain(|id| id.is_alive());
    found.sort_unstable();
    found.dedup();
    found
}

/// PostgreSQL keeps a small System V segment as its interlock, which outlives a SIGKILL. Those that were made by
/// `makers` and that nobody uses any more are removed.
fn remove_shared_memory(makers: &[i32]) {
    let table = std::fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    for line in table.lines().skip(1) {
        let fields: Vec<i64> = line.split_whitespace().map_while(|f| f.parse().ok()).collect();
        let (Some(id), Some(maker), Some(users)) = (fields.get(1), fields.get(4), fields.get(6)) else {
            continue;
        };
        if *users == 0 && makers.iter().any(|pid| i64::from(*pid) == *maker) {
            let _ = Command::new("ipcrm").args(["-m", &id.to_string()]).stderr(Stdio::null()).status();
        }
    }
}
