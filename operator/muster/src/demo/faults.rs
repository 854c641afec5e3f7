//! What can happen to a region, its network and its neighbours, and how it is mended.

use super::addresses::Place;
use super::links::{Link, LinkState};
use super::site::{NAMES_PROCESS, Site};
use super::world::World;
use anyhow::Context;
use muster_core::ids::RegionName;
use nix::sys::signal::Signal;
use std::sync::PoisonError;
use std::time::Duration;

impl Site {
    fn set_down(&self, region: &RegionName, down: bool) {
        let mut all = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        if down {
            all.insert(region.clone())
        } else {
            all.remove(region)
        };
    }
}

/// Faults of machines.
impl World {
    /// The region's machines die: every process at once. Nothing can be started there until [`World::repair`].
    pub fn kill(&self, region: &RegionName) {
        self.site.set_down(region, true);
        self.site.processes.kill_region(region);
        self.lose_cloud(region);
    }

    /// The machines can be used again; nothing is started.
    pub fn repair(&self, region: &RegionName) {
        self.site.set_down(region, false);
        self.mend_cloud();
    }

    fn mend_cloud(&self) {
        if let Some(cloud) = self.cloud() {
            cloud.repair();
        }
    }

    /// What the region's cloud offers there is lost with it.
    fn lose_cloud(&self, region: &RegionName) {
        if let Some(cloud) = self.cloud() {
            cloud.lose(region);
        }
    }

    /// Everything in the region stands still, sockets stay open. Ends with [`World::thaw`].
    pub fn freeze(&self, region: &RegionName) {
        self.site.processes.freeze_region(region);
    }

    /// Only the region's database stands still.
    pub fn freeze_database(&self, region: &RegionName) {
        self.site.processes.freeze_database(region);
    }

    /// The region goes on where it stood.
    pub fn thaw(&self, region: &RegionName) {
        self.site.processes.thaw_region(region);
    }

    /// Repairs the machines and starts the database and service as their files say: an old primary comes back as a
    /// primary, which is what a fence has to reckon with.
    pub async fn restart(&self, region: &RegionName) -> anyhow::Result<()> {
        self.repair(region);
        self.site.start_database(region)?;
        self.site.start_service(region).await
    }

    /// Ends one of the world's processes, for example `controller` or `v1`.
    pub fn kill_process(&self, name: &str) {
        self.site.processes.kill(name);
    }

    /// Stops a process where it stands, for example the controller between two actions.
    pub fn freeze_process(&self, name: &str) {
        self.site.processes.signal(name, Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn thaw_process(&self, name: &str) {
        self.site.processes.signal(name, Signal::SIGCONT);
    }
}

/// Faults of the network. Each sets a state; [`World::heal`] opens the path again.
impl World {
    /// Cuts a region off from everybody. Clients inside it go on with it.
    pub fn partition(&self, region: &RegionName) {
        self.set_paths_of(&Place::Region(region.clone()), LinkState::Cut);
        self.lose_cloud(region);
    }

    /// What the region sends is lost, what is sent to it arrives: requests land, and no answer comes.
    pub fn partition_outward(&self, region: &RegionName) {
        let place = Place::Region(region.clone());
        self.site.links.set(LinkState::CutBack, |l| l.to == place);
        self.site.links.set(LinkState::CutForward, |l| l.from == place);
    }

    /// Cuts one place off from everybody, for example the controller.
    pub fn isolate(&self, place: &Place) {
        self.set_paths_of(place, LinkState::Cut);
    }

    /// Opens all paths of a place.
    pub fn heal(&self, place: &Place) {
        self.set_paths_of(place, LinkState::Open);
    }

    /// Opens all paths of a region.
    pub fn heal_region(&self, region: &RegionName) {
        self.heal(&Place::Region(region.clone()));
        self.mend_cloud();
    }

    /// Cuts the paths of one place to another; others still reach it.
    pub fn cut(&self, from: &Place, to: &Place) {
        self.site.links.set(LinkState::Cut, |l| l.from == *from && l.to == *to);
    }

    /// Makes everything between two places late, by this much in each direction.
    pub fn delay(&self, one: &Place, other: &Place, by: Duration) {
        let between = |l: &Link| l.touches(one) && l.touches(other);
        self.site.links.set(LinkState::Delayed(by), between);
    }

    fn set_paths_of(&self, place: &Place, state: LinkState) {
        self.site.links.set(state, |l| l.touches(place));
    }
}

/// Faults of the name server and of replication.
impl World {
    /// The name server dies.
    pub fn stop_names(&self) {
        self.site.processes.kill(NAMES_PROCESS);
    }

    /// It comes back with every update that it had taken.
    pub fn start_names_again(&self) -> anyhow::Result<()> {
        self.site.start_names_again()
    }

    /// A standby goes on receiving and stops replaying.
    pub async fn pause_replay(&self, region: &RegionName) -> anyhow::Result<()> {
        self.replay(region, "select pg_wal_replay_pause()").await
    }

    /// It replays again.
    pub async fn resume_replay(&self, region: &RegionName) -> anyhow::Result<()> {
        self.replay(region, "select pg_wal_replay_resume()").await
    }

    async fn replay(&self, region: &RegionName, sql: &str) -> anyhow::Result<()> {
        let admin = self.admin(region).await?;
        admin.batch_execute(sql).await.with_context(|| format!("failed to change the replay in {region}"))
    }

    /// A standby receives nothing more, and lags from now on.
    pub fn cut_replication(&self, from: &RegionName, to: &RegionName) {
        // The standby is the one that connects.
        self.cut(&Place::Region(to.clone()), &Place::Region(from.clone()));
    }
}
