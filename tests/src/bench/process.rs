//! A process that is measured from outside, by what the kernel says of it.

use anyhow::{Context, anyhow};
use std::process::{Child, Command, Stdio};

/// `man 5 proc`: times are in ticks of a hundredth second on every Linux that Muster runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Ended when dropped.
#[derive(Debug)]
pub struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// Starts `command`, with its output kept from the terminal unless the command says otherwise.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn();
        let program = || format!("failed to start {}", command.get_program().to_string_lossy());
        child.map(Self).with_context(program)
    }

    /// The child, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    /// User and system time so far, in seconds.
    pub fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = self.read("stat")?;
        // The second field is the program's name in brackets, and may hold anything.
        let after_name = stat.rsplit_once(')').ok_or_else(|| anyhow!("stat has no name"))?.1;
        let ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
        let ticks: f64 = ticks.sum::<Result<f64, _>>().context("stat has no times")?;
        Ok(ticks / TICKS_PER_SECOND)
    }

    /// The most memory that was resident at once (`VmHWM`), in MiB.
    pub fn peak_rss_mib(&self) -> anyhow::Result<f64> {
        let status = self.read("status")?;
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("status has no VmHWM")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().context("VmHWM is no number")?;
        Ok(kib / 1024.0)
    }

    fn read(&self, file: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{file}", self.0.id());
        std::fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))
    }
}
