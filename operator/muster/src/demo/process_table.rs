//! What the kernel says of processes. Reads `/proc` only.

use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// A process, safe against the reuse of its pid: pid and start time together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct ProcessId {
    /// The pid.
    pub pid: i32,
    /// Start, in clock ticks since boot.
    pub started: u64,
}

/// The fields of `/proc/PID/stat` that are used here.
struct Stat {
    comm: String,
    state: char,
    parent: i32,
    started: u64,
}

impl ProcessId {
    /// The process that has this pid now.
    pub fn of(pid: i32) -> Option<Self> {
        read_stat(pid).map(|s| Self { pid, started: s.started })
    }
    /// Whether it still runs (also frozen); a zombie does not.
    pub fn is_alive(self) -> bool {
        read_stat(self.pid).is_some_and(|s| s.started == self.started && !is_dead(s.state))
    }
    /// Whether the kernel has stopped it.
    pub fn is_frozen(self) -> bool {
        read_stat(self.pid).is_some_and(|s| s.started == self.started && matches!(s.state, 'T' | 't'))
    }
    /// For signals.
    pub fn pid(self) -> Pid {
        Pid::from_raw(self.pid)
    }
}

const fn is_dead(state: char) -> bool {
    matches!(state, 'Z' | 'X' | 'x')
}

fn read_stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name stands in parentheses and may contain both blanks and parentheses.
    let (open, close) = (text.find('(')?, text.rfind(')')?);
    let rest: Vec<&str> = text.get(close + 1..)?.split_whitespace().collect();
    Some(Stat {
        comm: text.get(open + 1..close)?.to_owned(),
        state: rest.first()?.chars().next()?,
        parent: rest.get(1)?.parse().ok()?,
        started: rest.get(19)?.parse().ok()?,
    })
}

/// The arguments of a process, joined by blanks; empty for a zombie.
pub fn cmdline(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = bytes.split(|b| *b == 0).map(String::from_utf8_lossy).collect();
    words.join(" ").trim_end().to_owned()
}

/// All pids of this machine, in order.
pub fn all_pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut pids: Vec<i32> =
        entries.flatten().filter_map(|e| e.file_name().to_str().and_then(|n| n.parse().ok())).collect();
    pids.sort_unstable();
    pids
}

/// Processes of a region: PostgreSQL and the order service, by their working folder below `home` *and* their
/// command line. A shell that somebody opened in that folder is not one of them.
pub fn of_region(home: &Path) -> Vec<ProcessId> {
    below(home, is_region_command)
}

/// The order services of a region.
pub fn services_of_region(home: &Path) -> Vec<ProcessId> {
    below(home, is_service)
}

fn below(home: &Path, is_one: impl Fn(&str) -> bool) -> Vec<ProcessId> {
    let belongs = |pid: &i32| {
        let folder = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_else(|_| PathBuf::new());
        folder.starts_with(home) && is_one(&cmdline(*pid))
    };
    all_pids().into_iter().filter(belongs).filter_map(ProcessId::of).filter(|p| p.is_alive()).collect()
}

fn is_region_command(cmdline: &str) -> bool {
    let program = cmdline.split([' ', ':']).next().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default();
    name == "postgres" || is_service(cmdline)
}

fn is_service(cmdline: &str) -> bool {
    cmdline.split(' ').any(|word| word == "demo-service")
}

/// Zombies that were orphaned to `parent` and whose command has this name.
pub fn orphaned_zombies(parent: i32, comm: &str) -> Vec<i32> {
    let orphan =
        |pid: &i32| read_stat(*pid).is_some_and(|s| s.parent == parent && s.state == 'Z' && s.comm == comm);
    all_pids().into_iter().filter(orphan).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_another_start_time_is_not() {
        let me = ProcessId::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(me.is_alive());
        assert!(!ProcessId { started: me.started + 1, ..me }.is_alive());
    }

    #[test]
    fn a_region_command_is_told_by_its_program_not_by_its_arguments() {
        assert!(is_region_command("/usr/lib/postgresql/15/bin/postgres -D /x"));
        assert!(is_region_command("postgres: walwriter"));
        assert!(is_region_command("/x/muster demo-service --region east"));
        assert!(!is_region_command("vim postgres.log"));
        assert!(!is_region_command("bash"));
    }
}
