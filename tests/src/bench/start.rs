//! From the start of `muster local` to the first decision on each of a thousand policies, whose targets all refuse.

use super::process::Process;
use super::series::Series;
use super::{Bench, Figures, Part};
use anyhow::{Context, ensure};
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;

pub(super) const PART: Part = Part {
    name: "start",
    measures: "start of `muster local` to the first decision on each of 1,000 policies",
    run: |bench, figures| Box::pin(measure(bench, figures)),
};

const POLICIES: usize = 1_000;
const LONGEST: Duration = Duration::from_mins(2);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Long enough for every use, and nobody's.
const SECRET: &str = "bm90LWEtc2VjcmV0LWJ1dC1sb25nLWVub3VnaA==";
const TEMPLATE: &str = include_str!("start.yaml");

/// The folders of one controller.
struct Site(TempDir);

impl Site {
    fn make(folder: &Path) -> anyhow::Result<Self> {
        let site = Self(tempfile::Builder::new().prefix("bench-").tempdir_in(folder)?);
        let closed = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        std::fs::create_dir(site.at("policies"))?;
        std::fs::create_dir_all(site.at("secrets/bench"))?;
        std::fs::write(site.at("secrets/bench/key"), SECRET)?;
        for number in 0..POLICIES {
            let policy =
                TEMPLATE.replace("NUMBER", &format!("{number:04}")).replace("PORT", &closed.to_string());
            std::fs::write(site.at(&format!("policies/{number:04}.yaml")), policy)?;
        }
        Ok(site)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn start(&self, muster: &Path) -> anyhow::Result<Process> {
        let mut command = Command::new(muster);
        command
            .arg("local")
            .arg("--policies")
            .arg(self.at("policies"))
            .arg("--secrets")
            .arg(self.at("secrets"));
        command.arg("--state").arg(self.at("state")).args(["--listen", "127.0.0.1:0"]).stdout(Stdio::null());
        Process::start(&mut command)
    }

    /// When each policy was first decided on: its version in force is kept right after that.
    fn decided_at(&self) -> anyhow::Result<Vec<SystemTime>> {
        let Ok(kept) = std::fs::read_dir(self.at("state/in-force")) else { return Ok(Vec::new()) };
        let mut times = Vec::new();
        for entry in kept {
            let path = entry?.path();
            // Another name: the copy is not whole yet.
            if path.extension().is_some_and(|e| e == "yaml") {
                times.push(path.metadata()?.modified()?);
            }
        }
        Ok(times)
    }
}

async fn measure(bench: &Bench, figures: &mut Figures) -> anyhow::Result<()> {
    let site = Site::make(&bench.folder)?;
    // Both ends by the clock of the file system.
    let began = File::create(site.at("began"))?.metadata()?.modified()?;
    let mut muster = site.start(&bench.me)?;
    let decided = wait_for_all(&site, &mut muster).await?;
    let mut seconds = Series::default();
    for at in decided {
        seconds.push(at.duration_since(began).context("a decision before the start")?.as_secs_f64());
    }
    figures.spread("start_policy_s", &seconds, "start to a policy's first decision, s");
    figures.set("start_1000_s", seconds.max(), "start to the first decision on every policy, s");
    figures.set("start_cpu_s", muster.cpu_seconds()?, "CPU time until then, s");
    figures.set("start_rss_mib", muster.peak_rss_mib()?, "peak memory until then, MiB");
    Ok(())
}

async fn wait_for_all(site: &Site, muster: &mut Process) -> anyhow::Result<Vec<SystemTime>> {
    let deadline = Instant::now() + LONGEST;
    loop {
        let decided = site.decided_at()?;
        if decided.len() >= POLICIES {
            return Ok(decided);
        }
        ensure!(muster.is_running(), "muster ended after {} decisions", decided.len());
        ensure!(Instant::now() < deadline, "only {} policies were decided on in time", decided.len());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
