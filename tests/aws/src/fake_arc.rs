//! The routing controls, as tests arrange them: the part of the handle that is about ARC.

use crate::arc::{REGIONS, SafetyRule, World};
use crate::fake::FakeAws;
use crate::route53::WeightedRecord;
use std::time::Duration;

impl FakeAws {
    fn arrange_arc<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        self.shared().arc.arrange(change)
    }

    /// The cluster's endpoints: region and URL of each of the five.
    pub fn cluster_endpoints(&self) -> Vec<(&'static str, String)> {
        REGIONS.into_iter().map(|region| (region, format!("{}/arc/{region}/v1", self.endpoint()))).collect()
    }

    /// Creates a routing control, which is off, in the panel of this name, and returns its ARN.
    pub fn create_routing_control(&self, account: &str, panel: &str, name: &str) -> String {
        self.arrange_arc(|world| world.create(account, panel, name))
    }

    /// Switches a routing control behind the API's back, whatever safety rules say.
    ///
    /// # Panics
    /// If there is no such control.
    pub fn put_routing_control(&self, arn: &str, is_on: bool) {
        self.arrange_arc(|world| world.put(arn, is_on))
            .expect("a routing control is switched that was created");
    }

    /// Whether a routing control is on.
    ///
    /// # Panics
    /// If there is no such control.
    pub fn is_routing_control_on(&self, arn: &str) -> bool {
        self.shared().arc.is_on(arn).expect("a routing control is looked at that was created")
    }

    /// Lets each endpoint of the cluster take its three changes in so long a time, instead of in a second.
    pub fn set_change_window(&self, window: Duration) {
        self.shared().arc.set_window(window);
    }

    /// Puts a safety rule in force, and returns its ARN.
    pub fn add_safety_rule(&self, rule: SafetyRule) -> String {
        self.arrange_arc(|world| world.add_rule(rule))
    }

    /// Creates a health check of type `RECOVERY_CONTROL`, which is as a routing control is, and returns its id.
    ///
    /// # Panics
    /// If the service would refuse it.
    pub fn create_control_check(&self, account: &str, arn: &str) -> String {
        let created = self.shared().route53.health.create_control_check(account, arn);
        created.expect("a health check is created that the service takes")
    }

    /// Writes one of the weighted records of a name behind the API's back; the others stay.
    ///
    /// # Panics
    /// If there is no such zone, or `record` has no domain name.
    pub fn put_weighted_record(&self, zone: &str, record: &WeightedRecord<'_>) {
        let put = self.shared().route53.put_weighted(zone, record);
        put.expect("a record is put at a domain name, into a zone that was created");
    }
}
