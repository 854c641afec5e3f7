//! `muster demo-world`: the world without a story, for developers and for tests that kill it.

use super::addresses::{Kind, Place};
use super::clients::Pace;
use super::world::{World, WorldSpec};
use anyhow::Context;
use muster_core::ids::RegionName;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Names of regions, in order of preference.
pub const REGIONS: [&str; 3] = ["east", "west", "north"];

/// How the world is held.
#[derive(clap::Args, Debug)]
pub struct HoldArgs {
    /// Where the world keeps its files
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Where prepared databases are kept
    #[arg(long)]
    cache: Option<PathBuf>,
    /// How many regions
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=3))]
    regions: u8,
    /// Commits wait for a standby
    #[arg(long)]
    synchronous: bool,
    /// Start the controller and the vantages too
    #[arg(long)]
    controller: bool,
    /// End by itself once this many orders were placed
    #[arg(long)]
    orders: Option<usize>,
}

/// Starts it, says where everything is, and waits.
#[allow(clippy::print_stdout)] // what the command is for
pub async fn run(args: HoldArgs) -> anyhow::Result<()> {
    let spec = WorldSpec {
        regions: REGIONS.iter().take(args.regions.into()).map(|name| RegionName::from(*name)).collect(),
        dir: args.dir,
        cache: args.cache,
        synchronous: args.synchronous,
        controller: args.controller,
        ..WorldSpec::default()
    };
    let mut end = End::watch()?;
    // Dropped in mid-start, a world cleans up as well.
    let world = tokio::select! {
        world = World::start(spec) => world?,
        () = end.comes() => return Ok(()),
    };
    println!("folder {}", world.dir().display());
    for region in world.regions() {
        println!("region {region}: front {}, database {}", world.front(region), world.database(region));
    }
    println!("names {}", world.addresses().path(&Place::Outside, &Place::NameServer, Kind::Dns));
    println!("ended {} leftovers", world.leftovers());
    if let Some(count) = args.orders {
        let writers = world.write_outside(Pace::default());
        writers.wait_for(count, Duration::from_secs(30)).await?;
        println!("placed {count} orders");
    } else {
        println!("ready");
        end.comes().await;
    }
    world.stop().await
}

/// Ctrl-C and SIGTERM, watched from its making on.
#[derive(Debug)]
pub struct End {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl End {
    /// Begins to watch; from now on the signals no longer end this process by themselves.
    pub fn watch() -> anyhow::Result<Self> {
        let terminate = signal(SignalKind::terminate()).context("failed to watch for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("failed to watch for Ctrl-C")?;
        Ok(Self { terminate, interrupt })
    }

    /// Waits for either.
    pub async fn comes(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
