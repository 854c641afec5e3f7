//! What an HTTP probe costs, beside the prober that most people have.
//!
//! Both probe the same server (a process of its own) a thousand times a second, over a fresh connection each time,
//! and expect status 200, one after the other and for the same time. CPU and memory are what the kernel counts for
//! the prober's process alone.

mod exporter;
mod prober;
mod server;

pub(super) use prober::probe;
pub(super) use server::{Server, serve};

use super::process::Process;
use super::series::Series;
use super::{Bench, Figures, Part};
use anyhow::ensure;
use exporter::Exporter;
use prober::Prober;

use std::time::{Duration, Instant};

pub(super) const PART: Part = Part {
    name: "probes",
    measures: "1,000 HTTP probes a second over fresh connections, beside prometheus-blackbox-exporter",
    run: |bench, figures| Box::pin(measure(bench, figures)),
};

/// Each is run once a second.
const PROBES: u32 = 1_000;
const EVERY: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_millis(900);
const WARM_UP: Duration = Duration::from_secs(4);
const LONG: Duration = Duration::from_secs(20);
const GOAL_RATIO: f64 = 0.5;
/// Of the rate asked for: less is not the same work.
const LEAST_DONE: f64 = 0.97;

/// What a prober did since it was asked the last time.
#[derive(Default)]
struct Done {
    passed: u32,
    failed: u32,
    latency_ms: Series,
}

/// What it did in the window, and what that took.
struct Cost {
    per_second: f64,
    failed: u32,
    latency_ms: Series,
    /// Of one core.
    cpu_share: f64,
    peak_rss_mib: f64,
}

/// A prober at work.
trait Probing {
    fn process(&self) -> &Process;
    async fn done(&mut self) -> anyhow::Result<Done>;
}

async fn measure(bench: &Bench, figures: &mut Figures) -> anyhow::Result<()> {
    let server = Server::start(&bench.me)?;
    let ours = watch("muster", &mut Prober::start(&bench.me, &server.address)?).await?;
    let theirs = watch("the exporter", &mut Exporter::start(&bench.folder, &server.address).await?).await?;
    tell(figures, "probe", "muster", &ours);
    tell(figures, "exporter", "the exporter", &theirs);
    figures.set("cpu_ratio", ours.cpu_share / theirs.cpu_share, "CPU time, muster to the exporter");
    figures.set("rss_ratio", ours.peak_rss_mib / theirs.peak_rss_mib, "peak memory, muster to the exporter");
    figures.expect_at_most("cpu_ratio", GOAL_RATIO);
    figures.expect_at_most("rss_ratio", GOAL_RATIO);
    Ok(())
}

async fn watch(who: &str, prober: &mut impl Probing) -> anyhow::Result<Cost> {
    tokio::time::sleep(WARM_UP).await;
    prober.done().await?;
    let (began, cpu) = (Instant::now(), prober.process().cpu_seconds()?);
    tokio::time::sleep(LONG).await;
    let (cpu, peak_rss_mib) = (prober.process().cpu_seconds()? - cpu, prober.process().peak_rss_mib()?);
    let done = prober.done().await?;
    let took = began.elapsed().as_secs_f64();
    let cost = Cost {
        per_second: f64::from(done.passed + done.failed) / took,
        failed: done.failed,
        latency_ms: done.latency_ms,
        cpu_share: cpu / took,
        peak_rss_mib,
    };
    ensure!(
        cost.per_second >= f64::from(PROBES) * LEAST_DONE
            && f64::from(cost.failed) <= f64::from(PROBES) / 100.0,
        "{who} made {:.0} probes a second, {} failed in all: the machine is too busy to compare",
        cost.per_second,
        cost.failed
    );
    Ok(cost)
}

fn tell(figures: &mut Figures, key: &str, who: &str, cost: &Cost) {
    let mut set = |part: &str, value: f64, says: &str| {
        figures.set(&format!("{key}_{part}"), value, &format!("{who}: {says}"));
    };
    set("per_s", cost.per_second, "probes a second");
    set("failed", f64::from(cost.failed), "of them failed, in all");
    set("cpu_share", cost.cpu_share, "of one core");
    set("per_core_s", cost.per_second / cost.cpu_share, "probes a second that one core would carry");
    set("rss_mib", cost.peak_rss_mib, "peak memory, MiB");
    figures.spread(&format!("{key}_ms"), &cost.latency_ms, &format!("{who}: one probe, ms"));
}
