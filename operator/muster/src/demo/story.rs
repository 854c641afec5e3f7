//! `muster demo`: a region is lost, the shop moves, the region comes back, the shop returns.

use super::clients::{Pace, Writers};
use super::controller::{Controller, check_success};
use super::hold::End;
use super::ledger::{Account, Ledger};
use super::report::{self, ClientsView};
use super::timeline::{Timeline, Voice};
use super::world::{World, WorldSpec};
use crate::cli::view::Look;
use crate::clock::Clock;
use anyhow::{Context, bail};
use clap::ValueEnum;
use jiff::tz::TimeZone;
use muster_core::ids::{RegionName, RunName};
use muster_core::journal::{Run, RunKind};
use muster_core::time::Stamp;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

/// For the records of the name to swap their roles.
const SETTLING: Duration = Duration::from_mins(2);

/// How the primary region is taken away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum FaultArg {
    /// Its machines die
    Kill,
    /// Its machines stand still, with all connections open, and go on later
    Freeze,
    /// Its network is cut; clients inside it go on writing
    Partition,
}

/// A cloud, played on this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum CloudArg {
    /// AWS: an Aurora global database, whose data is in real PostgreSQL nodes, and Route 53 with real name servers
    AwsFake,
}

/// The demo.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  muster demo                      lose a region, fail over, come back; about 40 s
  muster demo --fault partition    the hard case: the lost region lives and goes on writing
  muster demo --cloud aws-fake     the same on AWS: Aurora Global and Route 53, played by a fake on this machine; about 100 s
  muster demo --keep               leave it running at the end and look around with the other verbs

Everything runs on this machine, on loopback addresses and in one folder. PostgreSQL and a name server (Knot or
BIND) must be installed; they need no setup and no rights. Ctrl-C ends the demo and cleans up.")]
pub struct DemoArgs {
    /// What happens to the primary region
    #[arg(long, value_name = "FAULT", default_value = "kill")]
    fault: FaultArg,
    /// Where the regions stand: without it, databases and a name server of the shop's own
    #[arg(long, value_name = "CLOUD")]
    cloud: Option<CloudArg>,
    /// Shorten the calm times between the events
    #[arg(long)]
    fast: bool,
    /// Leave everything running at the end, until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Folder for the demo's files [default: ~/.local/state/muster-demo, as root /var/lib/muster-demo]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// The whole demo. An error after its start has cleaned up as well.
pub async fn run(args: DemoArgs) -> anyhow::Result<()> {
    if args.cloud.is_some() && args.fault == FaultArg::Freeze {
        bail!(
            "the machines of a managed database do not stand still: with --cloud choose --fault kill or partition"
        );
    }
    let mut end = End::watch()?;
    let timeline = Timeline::start();
    timeline.print(if args.cloud.is_some() { INTRODUCTION_AWS } else { INTRODUCTION });
    let story = tokio::select! {
        story = tell(&args, &timeline) => story,
        () = end.comes() => {
            timeline.say(Voice::Demo, "ended by a signal; everything was stopped and removed");
            return Ok(());
        }
    };
    let world = story?;
    if args.keep {
        timeline.print(&invitation(&world));
        end.comes().await;
    }
    world.stop().await?;
    timeline.say(Voice::Demo, "every process was stopped and every file removed");
    Ok(())
}

const INTRODUCTION: &str = "\
A shop in two regions, east and west, on this machine: in each a real PostgreSQL node and an order service. West
replicates from east. Customers find the shop by its name, shop.example.test, at a real name server. Muster watches
from three places. Now east will be lost.

";

const INTRODUCTION_AWS: &str = "\
A shop in two regions of AWS, east (us-east-1) and west (us-west-2). AWS is played by a fake on this machine that speaks
its API: an Aurora global database, whose data is in a real PostgreSQL node a region; Route 53, with real name servers and
health checks; S3 and STS. What AWS does takes a sixtieth of its usual time here: a minute is a second. Muster's own part is
not sped up. Customers find the shop by its name, shop.example.test. Muster watches from three places. Now us-east-1 will be
lost, and with it the control planes of AWS that stand only there.

";

fn invitation(world: &World) -> String {
    let (api, token) = (world.api(), world.state().join("token"));
    format!(
        "\nThe world still runs. In another terminal:\n  export MUSTER_SERVER=http://{api} MUSTER_TOKEN_FILE={}\n  \
         muster status -w\n  muster explain\n  muster history\nCtrl-C here ends it.\n",
        token.display()
    )
}

/// The people of the story.
struct Cast<'a> {
    args: &'a DemoArgs,
    timeline: &'a Timeline,
    world: World,
    controller: Controller,
    east: RegionName,
    west: RegionName,
}

async fn tell(args: &DemoArgs, timeline: &Timeline) -> anyhow::Result<World> {
    let spec = WorldSpec { dir: args.dir.clone(), cloud: args.cloud.is_some(), ..WorldSpec::default() };
    timeline.say(Voice::Demo, "starting two regions, the name server, the controller and two vantages");
    let world = World::start(spec).await?;
    let _aws = world
        .cloud()
        .map(|cloud| AbortOnDropHandle::new(tokio::spawn(tell_cloud(cloud.listen(), timeline.clone()))));
    if world.leftovers() > 0 {
        timeline
            .say(Voice::Demo, &format!("ended {} processes of a demo that was killed", world.leftovers()));
    }
    let controller = Controller::of(&world).await?;
    let (east, west) = (RegionName::from("east"), RegionName::from("west"));
    let cast = Cast { args, timeline, world, controller, east, west };
    if let Err(error) = cast.play().await {
        let log = cast.world.controller_log();
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().rev().take(8).collect();
        let last: Vec<&str> = lines.into_iter().rev().collect();
        timeline.print(&format!("\nThe controller's last words:\n{}\n", last.join("\n")));
        return Err(error);
    }
    Ok(cast.world)
}

/// What the cloud does, line by line.
async fn tell_cloud(mut said: Receiver<String>, timeline: Timeline) {
    loop {
        match said.recv().await {
            Ok(sentence) => timeline.say(Voice::Cloud, &sentence),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

impl Cast<'_> {
    fn say(&self, voice: Voice, text: &str) {
        self.timeline.say(voice, text);
    }

    fn look(&self) -> Look {
        Look { width: 100, paint: self.timeline.paint(), zone: TimeZone::system() }
    }

    fn calm(&self) -> Duration {
        if self.args.fast { Duration::from_millis(1500) } else { Duration::from_secs(4) }
    }

    async fn play(&self) -> anyhow::Result<()> {
        self.controller
            .wait_ready(&self.east, Duration::from_secs(30))
            .await
            .context("the world does not get calm")?;
        self.say(Voice::Muster, "all is well: east takes the writes, west replicates, three places see both");
        let failover = self.lose_east().await?;
        self.bring_east_back(&failover).await?;
        self.return_to_east(&failover.name).await
    }

    /// A line that moves: how the customers fare.
    fn watch(&self, customers: &Writers) -> super::timeline::MovingLine {
        let ledger = customers.ledger().clone();
        let clock = Clock::system();
        self.timeline.move_line(move || {
            let second = clock.now().minus(muster_core::time::Millis(1000));
            let (all, now) = (ledger.acknowledged(), ledger.acknowledged_since(second));
            let state = if now == 0 { "customers get NO answer" } else { "customers are served" };
            format!("{state}: {now} orders in the last second, {all} in all")
        })
    }

    async fn lose_east(&self) -> anyhow::Result<Run> {
        let customers = self.world.write_outside(Pace::default());
        // In a cloud nobody logs in to the database but the services, which the fence switches off.
        let has_clerks = self.args.fault != FaultArg::Kill && self.args.cloud.is_none();
        let clerks = has_clerks.then(|| self.world.write_inside(&self.east, Pace::default()));
        let line = self.watch(&customers);
        customers.wait_for(20, Duration::from_secs(10)).await?;
        self.say(Voice::Clients, "two customers order by the public name, again and again");
        if clerks.is_some() {
            self.say(Voice::Clients, "two clerks inside east order directly at its database");
        }
        sleep(self.calm()).await;
        let fault = Clock::system().now();
        self.strike();
        let run = self.controller.follow_run(None, Duration::from_mins(1), self.timeline).await?;
        check_success(&run)?;
        customers
            .wait_for(20, Duration::from_secs(10))
            .await
            .context("the customers are not served in west")?;
        self.say(Voice::Clients, "the customers are served by west");
        sleep(self.calm() / 2).await;
        self.mend(clerks.as_ref()).await?;
        drop(line);
        let customers = customers.stop().await;
        let clerks = match clerks {
            Some(clerks) => Some(clerks.stop().await),
            None => None,
        };
        self.read_loss(run, &customers, clerks.as_ref(), fault).await
    }

    fn strike(&self) {
        match self.args.fault {
            FaultArg::Kill => {
                let aws = if self.args.cloud.is_some() { ", and every endpoint of AWS there" } else { "" };
                self.say(
                    Voice::Fault,
                    &format!("east's machines die: database and service, all at once{aws}"),
                );
                self.world.kill(&self.east);
            }
            FaultArg::Freeze => {
                self.say(Voice::Fault, "east's machines stand still, their connections stay open");
                self.world.freeze(&self.east);
            }
            FaultArg::Partition => {
                let inside =
                    if self.args.cloud.is_some() { "" } else { "; the clerks inside go on ordering there" };
                self.say(Voice::Fault, &format!("east's network is cut{inside}"));
                self.world.partition(&self.east);
            }
        }
    }

    /// Undoes the fault, and shows that the fence held: nothing more is acknowledged in east.
    async fn mend(&self, clerks: Option<&Writers>) -> anyhow::Result<()> {
        let before = Clock::system().now();
        match self.args.fault {
            FaultArg::Kill => {
                self.world.repair(&self.east);
                self.say(Voice::Fault, "over: east's machines are repaired, with their old data");
            }
            FaultArg::Freeze => {
                self.world.thaw(&self.east);
                self.say(Voice::Fault, "over: what is left of east goes on where it stood");
            }
            FaultArg::Partition => {
                self.world.heal_region(&self.east);
                self.say(Voice::Fault, "over: east's network works again");
            }
        }
        if let Some(clerks) = clerks {
            sleep(Duration::from_millis(500)).await;
            let late = clerks.ledger().acknowledged_since(before);
            if late > 0 {
                bail!("{late} orders were acknowledged by the old primary after the failover");
            }
            self.say(Voice::Clients, "not one order was acknowledged by the old primary after that");
        }
        Ok(())
    }

    /// Waits until the old log was read, and reports.
    async fn read_loss(
        &self,
        run: Run,
        customers: &Arc<Ledger>,
        clerks: Option<&Arc<Ledger>>,
        since: Stamp,
    ) -> anyhow::Result<Run> {
        let rejoined = |status: &crate::api::PolicyStatus| match status.journal.state.outcasts.get(&self.east)
        {
            Some(outcast) => Err(format!("east has not rejoined: {}", outcast.message)),
            None => Ok(()),
        };
        self.controller.wait_until(Duration::from_secs(40), rejoined).await?;
        let run = self.wait_final(&run.name).await?;
        let mut views = vec![self.view("customers", customers, since).await?];
        if let Some(clerks) = clerks {
            views.push(self.view("clerks", clerks, since).await?);
        }
        let lost: usize = views.iter().map(|v| v.account.lost.len()).sum();
        self.timeline.print(&report::render(
            "Failover: east was lost, west took over",
            &run,
            &views,
            &self.look(),
        ));
        self.timeline.print("\n");
        if report::contradicts(&run, lost) {
            bail!("the report and the clients contradict each other");
        }
        Ok(run)
    }

    /// The loss is final once the old log was read; without a way to read it the figures stay bounds.
    async fn wait_final(&self, name: &RunName) -> anyhow::Result<Run> {
        const PATIENCE: Duration = Duration::from_secs(10);
        let mut run = self.controller.run(name).await?;
        let deadline = Instant::now() + PATIENCE;
        while !run.measured.rpo.r#final && Instant::now() < deadline {
            sleep(Duration::from_millis(100)).await;
            run = self.controller.run(name).await?;
        }
        Ok(run)
    }

    async fn wait_rejoined(&self, region: &RegionName) -> anyhow::Result<()> {
        let rejoined = |status: &crate::api::PolicyStatus| match status.journal.state.outcasts.get(region) {
            Some(outcast) => Err(format!("{region} has not rejoined: {}", outcast.message)),
            None => Ok(()),
        };
        self.controller.wait_until(Duration::from_secs(40), rejoined).await.map(|_| ())
    }

    async fn view<'l>(
        &self,
        who: &'l str,
        ledger: &'l Ledger,
        since: Stamp,
    ) -> anyhow::Result<ClientsView<'l>> {
        let account: Account = self.world.account(ledger, &self.west).await?;
        Ok(ClientsView { who, ledger, account, since })
    }

    async fn bring_east_back(&self, failover: &Run) -> anyhow::Result<()> {
        let lost = failover
            .measured
            .lost_commits
            .map_or_else(String::new, |n| format!("; {n} commits stayed behind"));
        self.say(Voice::Muster, &format!("east rejoined as a standby of west{lost}"));
        let status = self.controller.status().await?;
        if let Some(why) = &status.journal.state.needs_ack {
            self.say(Voice::Demo, &format!("a person acknowledges: {why}"));
            self.controller.acknowledge().await?;
        }
        self.controller
            .wait_ready(&self.west, Duration::from_secs(40))
            .await
            .context("the world does not get calm")?;
        self.say(Voice::Muster, "all is well: west takes the writes, east replicates");
        self.wait_settled(&self.west).await
    }

    /// On AWS: waits until the name stays in this region without any object, and without Muster.
    async fn wait_settled(&self, region: &RegionName) -> anyhow::Result<()> {
        let Some(cloud) = self.world.cloud() else { return Ok(()) };
        let (front, deadline) = (self.world.front(region), Instant::now() + SETTLING);
        while !cloud.is_settled(front) {
            if Instant::now() >= deadline {
                bail!("the name does not stay in {region} by itself within {} s", SETTLING.as_secs());
            }
            sleep(Duration::from_millis(100)).await;
        }
        let text =
            format!("the records have swapped their roles: the name stays in {region}, even without Muster");
        self.say(Voice::Muster, &text);
        Ok(())
    }

    async fn return_to_east(&self, before: &RunName) -> anyhow::Result<()> {
        let customers = self.world.write_outside(Pace::default());
        let line = self.watch(&customers);
        customers.wait_for(20, Duration::from_secs(10)).await?;
        self.say(Voice::Clients, "the customers order again; a person asks to move back to east");
        let since = Clock::system().now();
        self.controller.start_run(RunKind::Failback, &self.east, "east is back").await?;
        let run = self.controller.follow_run(Some(before), Duration::from_mins(1), self.timeline).await?;
        check_success(&run)?;
        customers
            .wait_for(20, Duration::from_secs(10))
            .await
            .context("the customers are not served in east")?;
        drop(line);
        let ledger = customers.stop().await;
        self.wait_rejoined(&self.west).await?;
        let run = self.controller.run(&run.name).await?;
        let account = self.world.account(&ledger, &self.east).await?;
        let lost = account.lost.len();
        let view = ClientsView { who: "customers", ledger: &ledger, account, since };
        self.timeline.print(&report::render(
            "Failback: the shop returned to east",
            &run,
            &[view],
            &self.look(),
        ));
        self.timeline.print("\n");
        if lost > 0 {
            bail!("{lost} acknowledged orders were lost in a planned move");
        }
        self.controller
            .wait_ready(&self.east, Duration::from_secs(40))
            .await
            .context("the world does not get calm")?;
        self.wait_settled(&self.east).await?;
        self.say(Voice::Muster, "all is as it was: east takes the writes, west replicates");
        self.say(Voice::Demo, &format!("done in {:.0} s", self.timeline.elapsed().as_secs_f64()));
        Ok(())
    }
}
