//! Order services that run for pods of a cluster: one process each, all behind the region's one address.

use super::site::Site;
use super::world::World;
use anyhow::Context;
use muster_core::ids::RegionName;
use std::sync::Arc;

/// A region's machines, as a kubelet has them.
#[derive(Clone, Debug)]
pub struct Machines {
    site: Arc<Site>,
    region: RegionName,
}

impl World {
    /// The machines of a region, for whoever runs its pods.
    pub fn machines(&self, region: &RegionName) -> Machines {
        Machines { site: Arc::clone(&self.site), region: region.clone() }
    }
}

impl Machines {
    fn process(&self, pod: &str) -> String {
        format!("{}/pod/{pod}", self.region)
    }

    /// Runs the pod's order service, unless it runs already. While the machines are down nothing starts.
    pub fn run(&self, pod: &str) -> anyhow::Result<()> {
        let name = self.process(pod);
        if self.site.is_down(&self.region) || self.site.processes.is_running(&name) {
            return Ok(());
        }
        let home = &self.site.nodes.get(&self.region).context("a region of the world")?.home;
        let log = home.join(format!("{pod}.log"));
        self.site.processes.spawn(&self.site.service(&self.region, name, home, log)).map(|_| ())
    }

    /// Ends the pod's order service.
    pub fn end(&self, pod: &str) {
        self.site.processes.kill(&self.process(pod));
    }
}
