//! The subcommands that this module gives to `muster`: `demo`, and the hidden programs of its world.

use super::{hold, power, rejoin, service, story};

/// The demo and its world's programs.
#[derive(clap::Subcommand, Debug)]
pub enum DemoCommand {
    /// See a region lost and regained on this machine, with real databases, in about 40 s
    Demo(story::DemoArgs),
    /// An order service of the demo's world
    #[command(hide = true)]
    DemoService(service::ServiceArgs),
    /// The power tool of the demo's world
    #[command(hide = true)]
    DemoPower(power::PowerArgs),
    /// Start the demo's world, leave it running until Ctrl-C
    #[command(hide = true)]
    DemoWorld(hold::HoldArgs),
    /// The rejoin hook of the demo's world
    #[command(hide = true)]
    DemoRejoin(rejoin::RejoinArgs),
}

impl DemoCommand {
    /// Runs it.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Demo(args) => story::run(args).await,
            Self::DemoService(args) => service::serve(args).await,
            Self::DemoPower(args) => power::run(args).await,
            Self::DemoWorld(args) => hold::run(args).await,
            Self::DemoRejoin(args) => rejoin::run(args).await,
        }
    }
}
