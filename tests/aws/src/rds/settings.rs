//! What a test chooses: how long everything takes, how a failover goes, and what it is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long the service takes. Each time counts from the end of the one before it, and a time that changes holds
/// for the steps that begin afterwards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RdsPace {
    /// From the acceptance of a switchover or failover to its beginning: the members are verified.
    pub pending: Duration,
    /// From its beginning to the new writer. A switchover takes the writes from the old one after half of it.
    pub moving: Duration,
    /// From the new writer of a failover to its old members being connected again. They are being rebuilt in the
    /// second half of it.
    pub rejoin: Duration,
    /// From the failing of a failover to everything being as it was.
    pub cancelling: Duration,
    /// From the new writer to the global writer endpoint naming it.
    pub endpoint: Duration,
    /// Until a snapshot is available.
    pub snapshot: Duration,
    /// From the acceptance of a promotion of a replica to its reboot: `modifying`.
    pub promote: Duration,
    /// The reboot of a replica that is promoted, after which it is a database by itself.
    pub reboot: Duration,
    /// The first backup of a replica that was promoted; there is none if it is zero.
    pub backup: Duration,
    /// From the acceptance of the removal from a global database to the cluster being one by itself.
    pub detach: Duration,
    /// Until an instance or a cluster has stopped.
    pub stop: Duration,
    /// Until one that was stopped is available.
    pub start: Duration,
    /// Until a new replica replicates.
    pub create: Duration,
    /// From the acceptance of another name to its beginning: the name is pending, and the instance `available`. It begins at once
    /// if this is zero.
    pub rename_pending: Duration,
    /// From there until an instance bears its new name; it reboots meanwhile.
    pub rename: Duration,
    /// Until an instance that is deleted is gone.
    pub delete: Duration,
}

impl Default for RdsPace {
    fn default() -> Self {
        Self {
            pending: Duration::from_secs(10),
            moving: Duration::from_mins(1),
            rejoin: Duration::from_mins(15),
            cancelling: Duration::from_secs(20),
            endpoint: Duration::from_secs(5),
            snapshot: Duration::from_mins(2),
            promote: Duration::from_mins(1),
            reboot: Duration::from_mins(1),
            backup: Duration::from_mins(2),
            detach: Duration::from_mins(1),
            stop: Duration::from_mins(2),
            start: Duration::from_mins(5),
            create: Duration::from_mins(15),
            rename_pending: Duration::ZERO,
            rename: Duration::from_mins(3),
            delete: Duration::from_mins(5),
        }
    }
}

/// Whether the storage of the old writer could be kept from taking writes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum FenceVerdict {
    /// Event RDS-EVENT-0390: it takes none.
    #[default]
    Succeeded,
    /// Event RDS-EVENT-0391: it may take some until it is being rebuilt. Of a failover alone; a switchover always
    /// comes to an orderly end of the old writer.
    TimedOut,
}

/// Which operation on a global database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RdsMove {
    /// The roles swap when everything is synchronised.
    Switchover,
    /// `AllowDataLoss`: the target is promoted as it is.
    Failover,
}

/// A cluster of a new global database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewMember {
    /// As `us-east-1`.
    pub region: String,
    /// Its identifier.
    pub cluster: String,
    /// The identifiers of its instances; it is headless without any.
    pub instances: Vec<String>,
}

/// What was created, by the ARNs that the other methods take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewGlobalCluster {
    /// Of the global database.
    pub arn: String,
    /// Its `GlobalClusterResourceId`.
    pub resource_id: String,
    /// By region.
    pub clusters: BTreeMap<String, String>,
}

/// What happened to a database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RdsEffect {
    /// It takes writes from now on.
    Promoted,
    /// It takes no writes from now on.
    Demoted,
    /// It takes no connections from now on.
    Stopped,
    /// It takes connections again, in the role that it had.
    Started,
    /// Its endpoint has another name from now on, and the one that is told here names nothing.
    Renamed,
    /// A new replica replicates, or a member of a global database that was its writer.
    Replicates,
}

/// Something that a test bed may want to do to a real database too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RdsHappening {
    /// What happened.
    pub effect: RdsEffect,
    /// Of a cluster or an instance.
    pub arn: String,
    /// Where it is.
    pub region: String,
    /// Of a cluster or an instance.
    pub identifier: String,
}

/// Is told what happened, in the order in which it did.
pub(crate) type Listener = Arc<dyn Fn(&RdsHappening) + Send + Sync>;

/// How the next operations go.
#[derive(Clone, Copy, Default)]
pub(super) struct Settings {
    pub(super) pace: RdsPace,
    pub(super) verdict: FenceVerdict,
    /// Whether the old writer's region cannot be reached by the service: what happens there is recorded elsewhere.
    pub(super) is_old_writer_lost: bool,
    pub(super) does_next_fail: bool,
}
