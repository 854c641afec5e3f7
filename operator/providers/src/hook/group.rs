//! Ends a command with everything that it started, as far as it can be found.
//!
//! Found: the command's process group, and every process that still descends from the command, also when it has
//! left the group (`timeout(1)` does, and so does `setsid`). Not found: a process whose parents have exited, so that
//! it descends from init by now, *and* that has left the group (a daemon); one of another user cannot be killed.

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::path::Path;

/// How often new descendants are looked for; each round stops all of a generation, and a stopped process forks no
/// more.
const ROUNDS: u32 = 16;

/// A command's process group, ended with the value unless it ended by itself.
#[derive(Debug)]
pub(super) struct Group {
    leader: Option<Pid>,
}

impl Group {
    /// Takes charge of the group that this child leads.
    pub(super) fn of_leader(pid: u32) -> Self {
        Self { leader: i32::try_from(pid).ok().filter(|pid| *pid > 1).map(Pid::from_raw) }
    }

    /// Kills the leader, its group and its descendants. The leader must not have been waited for.
    pub(super) fn kill_all(&mut self) {
        let Some(leader) = self.leader.take() else { return };
        // Frozen from the top down: a frozen parent neither forks nor waits, so the numbers stay those of these
        // processes until they are killed.
        let _ = killpg(leader, Signal::SIGSTOP);
        let mut found = BTreeSet::new();
        for _ in 0..ROUNDS {
            let new: Vec<Pid> =
                list_descendants(leader).into_iter().filter(|pid| found.insert(*pid)).collect();
            if new.is_empty() {
                break;
            }
            for pid in new {
                let _ = kill(pid, Signal::SIGSTOP);
            }
        }
        for pid in found {
            let _ = kill(pid, Signal::SIGKILL);
        }
        let _ = killpg(leader, Signal::SIGKILL);
    }

    /// Kills what a leader that has been waited for left in its group.
    pub(super) fn kill_leftovers(&mut self) {
        let Some(leader) = self.leader.take() else { return };
        // While a group has members its number is given to no new process. One with that number is a stranger, and
        // the group is empty.
        if !Path::new("/proc").join(leader.to_string()).exists() {
            let _ = killpg(leader, Signal::SIGKILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill_all();
    }
}

/// Every live descendant, by the parents that `/proc` shows now.
fn list_descendants(ancestor: Pid) -> BTreeSet<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return BTreeSet::new() };
    let pairs: Vec<(Pid, Pid)> = entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            let pid = name.to_str()?.parse().ok().map(Pid::from_raw)?;
            Some((pid, read_parent(pid)?))
        })
        .collect();
    let mut family = BTreeSet::from([ancestor]);
    loop {
        let before = family.len();
        family.extend(
            pairs
                .iter()
                .filter(|(_, parent)| family.contains(parent))
                .map(|(pid, _)| *pid)
                .collect::<Vec<_>>(),
        );
        if family.len() == before {
            break;
        }
    }
    family.remove(&ancestor);
    family
}

/// The fourth field of `/proc/PID/stat`; the second, the name, may hold anything but ends with the last `)`.
fn read_parent(pid: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?;
    parent.parse().ok().map(Pid::from_raw)
}
