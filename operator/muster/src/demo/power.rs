//! The power tool: a management network of its own that can switch a region's machines off, whatever state they
//! are in. The policy's exec fence.
//!
//! | verb | effect | checks |
//! |---|---|---|
//! | `fence` | SIGKILL for every process of the region, frozen ones too | nothing: repeating it is harmless |
//! | `status` | none; reads the process table | pid, folder and command line of each process |
//! | `unfence` | the database starts as its files say, and the order service | - |
//!
//! For tests it can be made to hang, to fail, to lie, or to be out of reach.

use super::control::{Request, ask};
use super::process_table::{self, ProcessId};
use super::site::WorldFile;
use anyhow::{Context, bail};
use clap::ValueEnum;
use muster_core::ids::RegionName;
use nix::sys::signal::{Signal, kill};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What the policy asks of it.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Verb {
    Fence,
    Status,
    Unfence,
}

/// How the tool is called.
#[derive(clap::Args, Debug)]
pub struct PowerArgs {
    /// The world's folder
    #[arg(long)]
    world: PathBuf,
    /// Switch the order services alone, not the databases
    #[arg(long)]
    services: bool,
    /// What to do
    verb: Verb,
    /// The region
    #[arg(long, env = "MUSTER_REGION")]
    region: String,
}

/// How the tool of one region behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PowerMode {
    /// As it should.
    #[default]
    Works,
    /// `fence` never ends, and does nothing.
    Hangs,
    /// `fence` says that it did it, `status` says off, and the region goes on.
    Lies,
    /// Every verb fails.
    Fails,
    /// No verb ever ends: the management network is cut.
    OutOfReach,
}

impl PowerMode {
    const ALL: [(Self, &str); 5] = [
        (Self::Works, "works"),
        (Self::Hangs, "hangs"),
        (Self::Lies, "lies"),
        (Self::Fails, "fails"),
        (Self::OutOfReach, "out of reach"),
    ];

    fn path(dir: &Path, region: &RegionName) -> PathBuf {
        dir.join(format!("power-{region}"))
    }

    /// Makes the tool behave like this from the next call on.
    pub fn set(self, dir: &Path, region: &RegionName) -> anyhow::Result<()> {
        let word = Self::ALL.iter().find(|(mode, _)| *mode == self).map_or("works", |(_, word)| word);
        super::folders::write(&Self::path(dir, region), word, 0o600)
    }

    fn read(dir: &Path, region: &RegionName) -> Self {
        let word = std::fs::read_to_string(Self::path(dir, region)).unwrap_or_default();
        Self::ALL.iter().find(|(_, w)| *w == word.trim()).map_or(Self::Works, |(mode, _)| *mode)
    }
}

/// Carries out one verb.
pub async fn run(args: PowerArgs) -> anyhow::Result<()> {
    let region = RegionName::new(args.region);
    let world = WorldFile::read(&args.world)?;
    let home = world.homes.get(&region).with_context(|| format!("there is no region {region}"))?;
    match (PowerMode::read(&args.world, &region), args.verb) {
        (PowerMode::OutOfReach, _) | (PowerMode::Hangs, Verb::Fence) => std::future::pending().await,
        (PowerMode::Fails, _) => bail!("the power controller of {region} reports a fault"),
        (PowerMode::Lies, Verb::Fence) => Ok(()),
        (PowerMode::Lies, Verb::Status) => print_status(&region, args.services, false),
        (_, Verb::Fence) => switch_off(&region, || processes(home, args.services)),
        (_, Verb::Status) => print_status(&region, args.services, !processes(home, args.services).is_empty()),
        (_, Verb::Unfence) => {
            if !args.services {
                ask(&args.world, &Request::StartDatabase { region: region.clone() }).await?;
            }
            ask(&args.world, &Request::StartService { region }).await
        }
    }
}

fn processes(home: &Path, services: bool) -> Vec<ProcessId> {
    if services { process_table::services_of_region(home) } else { process_table::of_region(home) }
}

#[allow(clippy::print_stdout)] // the answer of the verb
fn print_status(region: &RegionName, services: bool, on: bool) -> anyhow::Result<()> {
    let state = if on { "on" } else { "off" };
    let what = if services { "services" } else { "machines" };
    println!(
        "{}",
        serde_json::to_string(&serde_json::json!({ "id": format!("{what}-of-{region}"), "state": state }))?
    );
    Ok(())
}

/// Looks again after each round: PostgreSQL starts processes by itself until its first process is dead.
fn switch_off(region: &RegionName, list: impl Fn() -> Vec<ProcessId>) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(3);
    loop {
        let alive = list();
        if alive.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!("{} processes of {region} are still there", alive.len());
        }
        for process in alive {
            let _ = kill(process.pid(), Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
