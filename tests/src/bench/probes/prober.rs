//! Muster's side: the scheduler and its HTTP probes, in a process with the runtime that `muster` has.

use super::super::process::Process;
use super::{Done, EVERY, Probing, TIMEOUT};
use anyhow::{Context, anyhow};
use muster::clock::Clock;
use muster_core::health::ProbeResult;
use muster_core::policy::On;
use muster_probes::{HttpSpec, ProbeKind, ProbeRunner, ProbeSpec, ProbingSpec, RegionVars, Report};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// As many as a policy may have.
const PER_POLICY: usize = 32;

/// The result of one probe: its latency in microseconds, or `None` if it failed.
type Results = Arc<Mutex<Vec<Option<u32>>>>;

/// The role `prober`: probes until its input ends; after each line there it says what came since the last one, a
/// number a probe.
pub(crate) fn probe(address: &str, probes: &str) -> anyhow::Result<()> {
    let probes: u32 = probes.parse().context("the number of probes is none")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let results = Results::default();
    let _guard = runtime.enter();
    let mut running = Vec::new();
    for first in (0..probes).step_by(PER_POLICY) {
        let mut runner = runner_into(&results);
        let spec = ProbingSpec {
            regions: vec![RegionVars { name: "east".into(), values: BTreeMap::new() }],
            probes: (first..probes).take(PER_POLICY).map(|n| spec(address, n)).collect(),
            ..ProbingSpec::default()
        };
        runner.apply(&spec).map_err(|mistakes| anyhow!("the probes do not compile: {mistakes:?}"))?;
        running.push(runner);
    }
    for line in std::io::stdin().lines() {
        line?;
        let done = std::mem::take(&mut *results.lock().unwrap_or_else(PoisonError::into_inner));
        tell(&done)?;
    }
    Ok(())
}

fn tell(done: &[Option<u32>]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for us in done {
        match us {
            Some(us) => write!(out, "{us} ")?,
            None => write!(out, "- ")?,
        }
    }
    writeln!(out)
}

fn runner_into(results: &Results) -> ProbeRunner {
    let results = Arc::clone(results);
    let sink = move |report: Report| {
        let passed = report.sample.result == ProbeResult::Pass;
        let us = u32::try_from(report.latency.as_micros()).unwrap_or(u32::MAX);
        results.lock().unwrap_or_else(PoisonError::into_inner).push(passed.then_some(us));
    };
    // Every probe here runs on both sides: nobody ever says which region is active.
    let active = watch::channel(Some("east".into())).1;
    ProbeRunner::new("controller".into(), Arc::new(Clock::system()), Arc::new(sink), active)
}

fn spec(address: &str, number: u32) -> ProbeSpec {
    ProbeSpec {
        name: format!("api-{number}").as_str().into(),
        on: On::Both,
        every: EVERY,
        timeout: TIMEOUT,
        kind: ProbeKind::Http(HttpSpec {
            url: format!("http://{address}/healthz?probe={number}"),
            expect: vec!["status == 200".to_owned()],
            fresh_connection: true,
            ..HttpSpec::default()
        }),
    }
}

/// The prober's process.
pub(super) struct Prober {
    process: Process,
    said: BufReader<ChildStdout>,
}

impl Prober {
    pub(super) fn start(me: &Path, address: &str) -> anyhow::Result<Self> {
        let probes = super::PROBES.to_string();
        let mut command = Command::new(me);
        command.args(["role", "prober", address, &probes]).stdout(Stdio::piped());
        let mut process = Process::start(&mut command)?;
        let stdout = process.child().stdout.take().context("the prober has an output")?;
        Ok(Self { process, said: BufReader::new(stdout) })
    }
}

impl Probing for Prober {
    fn process(&self) -> &Process {
        &self.process
    }

    /// Blocks for a moment; nothing else is measured in this process meanwhile.
    async fn done(&mut self) -> anyhow::Result<Done> {
        self.process.child().stdin.as_mut().context("the prober has an input")?.write_all(b"\n")?;
        let mut line = String::new();
        self.said.read_line(&mut line).context("failed to read what the prober did")?;
        let mut done = Done::default();
        for word in line.split_whitespace() {
            match word.parse::<f64>() {
                Ok(us) => {
                    done.passed += 1;
                    done.latency_ms.push(us / 1e3);
                }
                Err(_) => done.failed += 1,
            }
        }
        Ok(done)
    }
}
