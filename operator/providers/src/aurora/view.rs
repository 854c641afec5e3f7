//! What RDS says of a global database, in plain words: states that the SDK does not know yet stay the text that they are.

use aws_sdk_rds::types::{
    DbCluster, FailoverStatus, GlobalCluster, GlobalClusterMemberSynchronizationStatus as Synchronization,
};
use std::fmt;

/// What this adapter steers; the API is shared by others.
const ENGINE: &str = "aurora-postgresql";
/// A cluster's state in which all is well.
const AVAILABLE: &str = "available";
/// A cluster that is backed up serves and switches as ever.
const BACKING_UP: &str = "backing-up";
/// A cluster that becomes a writer, in its global cluster or alone.
const PROMOTING: &str = "promoting";
/// A secondary that replicates.
const CONNECTED: &str = "connected";

/// A global cluster, as one region's endpoint sees it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct GlobalView {
    pub(super) status: String,
    pub(super) engine: String,
    pub(super) version: String,
    pub(super) operation: Option<Operation>,
    pub(super) members: Vec<MemberView>,
}

/// One of its clusters.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct MemberView {
    pub(super) arn: String,
    pub(super) is_writer: bool,
    /// `connected`, `pending-resync`, or nothing.
    pub(super) synchronization: String,
}

/// A switchover or failover under way.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Operation {
    /// `pending`, `switching-over`, `failing-over`, `cancelling`, or what is new.
    pub(super) status: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) data_loss: Option<bool>,
}

/// A cluster, as its own region sees it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct ClusterView {
    pub(super) status: String,
    pub(super) version: String,
    pub(super) instances: usize,
}

/// What one region's RDS says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Control {
    /// `None`: it knows no such global cluster.
    pub(super) global: Option<GlobalView>,
    /// `None`: it knows no such cluster.
    pub(super) cluster: Option<ClusterView>,
}

impl GlobalView {
    pub(super) fn of(global: &GlobalCluster) -> Self {
        let members = global.global_cluster_members().iter().map(|member| MemberView {
            arn: text(member.db_cluster_arn()),
            is_writer: member.is_writer() == Some(true),
            synchronization: text(member.synchronization_status().map(Synchronization::as_str)),
        });
        let operation = global.failover_state().map(|state| Operation {
            status: text(state.status().map(FailoverStatus::as_str)),
            from: text(state.from_db_cluster_arn()),
            to: text(state.to_db_cluster_arn()),
            data_loss: state.is_data_loss_allowed(),
        });
        Self {
            status: text(global.status()),
            engine: text(global.engine()),
            version: text(global.engine_version()),
            // The API may write an empty element where nothing is under way.
            operation: operation.filter(|o| [&o.status, &o.from, &o.to].iter().any(|text| !text.is_empty())),
            members: members.collect(),
        }
    }

    pub(super) fn member(&self, arn: &str) -> Option<&MemberView> {
        self.members.iter().find(|member| member.arn == arn)
    }

    /// ARNs of all that are said to take writes.
    pub(super) fn writers(&self) -> Vec<&str> {
        self.members.iter().filter(|member| member.is_writer).map(|member| member.arn.as_str()).collect()
    }

    pub(super) fn is_available(&self) -> bool {
        self.status == AVAILABLE
    }

    /// For people.
    pub(super) fn describe(&self) -> String {
        let operation = match &self.operation {
            Some(operation) => operation.to_string(),
            None => "nothing is under way".to_owned(),
        };
        let writers = self.writers();
        let writers = if writers.is_empty() { "nobody".to_owned() } else { writers.join(", ") };
        format!("the global cluster is {}, {writers} takes writes, {operation}", or_nothing(&self.status))
    }
}

impl MemberView {
    pub(super) fn is_connected(&self) -> bool {
        self.synchronization == CONNECTED
    }
}

impl ClusterView {
    pub(super) fn of(cluster: &DbCluster) -> Self {
        Self {
            status: text(cluster.status()),
            version: text(cluster.engine_version()),
            instances: cluster.db_cluster_members().len(),
        }
    }

    pub(super) fn is_promoting(&self) -> bool {
        self.status == PROMOTING
    }

    /// Why it can take over in no way, by its own state.
    pub(super) fn unfit(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.instances == 0 {
            reasons.push("the cluster has no instance (headless)".to_owned());
        }
        let status = self.status.as_str();
        if matches!(status, "deleting" | "stopped")
            || status.starts_with("inaccessible-encryption-credentials")
        {
            reasons.push(format!("the cluster is {status}"));
        }
        reasons
    }

    /// Why a switchover would be refused by its own state: it serves, and a failover may go on.
    pub(super) fn unready(&self) -> Option<String> {
        let is_well = matches!(self.status.as_str(), AVAILABLE | BACKING_UP);
        (!is_well).then(|| format!("the cluster is {}", or_nothing(&self.status)))
    }
}

impl Control {
    /// Why this member can take over in no way.
    pub(super) fn unfit(&self, cluster: &str, arn: &str) -> Vec<String> {
        let mut reasons = Vec::new();
        match &self.global {
            None => reasons.push(format!("there is no global cluster {cluster}")),
            Some(global) => reasons.extend(global_unfit(global, arn)),
        }
        match &self.cluster {
            None => reasons.push(format!("there is no cluster {arn}")),
            Some(own) => reasons.extend(own.unfit()),
        }
        reasons
    }

    /// Why no switchover would be taken now. What a dead region leaves behind is of this kind too: a failover may go on.
    pub(super) fn unready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        reasons.extend(self.global.iter().flat_map(global_unready));
        if let Some(own) = &self.cluster {
            reasons.extend(own.unready());
            reasons.extend(self.global.as_ref().and_then(|global| versions_differ(global, own)));
        }
        reasons
    }
}

fn global_unfit(global: &GlobalView, arn: &str) -> Vec<String> {
    let mut reasons = Vec::new();
    if !global.engine.is_empty() && global.engine != ENGINE {
        reasons.push(format!("its engine is {}; only {ENGINE} is steered", global.engine));
    }
    if global.member(arn).is_none() {
        reasons.push(format!("{arn} is not a member of the global cluster"));
    }
    reasons
}

fn global_unready(global: &GlobalView) -> Vec<String> {
    let mut reasons = Vec::new();
    reasons.extend(global.operation.as_ref().map(ToString::to_string));
    if !global.is_available() {
        reasons.push(format!("the global cluster is {}", or_nothing(&global.status)));
    }
    let writers = global.writers();
    if writers.len() > 1 {
        reasons.push(format!("more than one member is said to take writes: {}", writers.join(", ")));
    }
    reasons
}

/// A member of another version than the global cluster's is refused by a switchover, or is about to be upgraded.
fn versions_differ(global: &GlobalView, own: &ClusterView) -> Option<String> {
    let (all, this) = (major_minor(&global.version), major_minor(&own.version));
    let known = !global.version.is_empty() && !own.version.is_empty();
    (known && all != this)
        .then(|| format!("the cluster has version {} and the global cluster {}", own.version, global.version))
}

fn major_minor(version: &str) -> Vec<&str> {
    version.split('.').take(2).collect()
}

fn text(value: Option<&str>) -> String {
    value.unwrap_or_default().to_owned()
}

/// What a state is called that was not said.
fn or_nothing(state: &str) -> &str {
    if state.is_empty() { "in no state that is said" } else { state }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.data_loss {
            Some(true) => "a failover",
            Some(false) => "a switchover",
            None => "an operation",
        };
        let unsaid = |text: &str| if text.is_empty() { "?".to_owned() } else { text.to_owned() };
        let (status, from, to) = (unsaid(&self.status), unsaid(&self.from), unsaid(&self.to));
        write!(f, "{kind} is under way ({status}) from {from} to {to}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_rds::types::{DbClusterMember, FailoverState, GlobalClusterMember};

    fn global(state: Option<FailoverState>) -> GlobalView {
        let member = GlobalClusterMember::builder().db_cluster_arn("a").is_writer(true).build();
        let global = GlobalCluster::builder().status("available").engine_version("15.4");
        GlobalView::of(&global.global_cluster_members(member).set_failover_state(state).build())
    }

    #[test]
    fn a_state_that_the_sdk_does_not_know_is_still_an_operation() {
        let state = FailoverState::builder().status(FailoverStatus::from("switching-over"));
        let state = state.from_db_cluster_arn("a").to_db_cluster_arn("b").is_data_loss_allowed(false);
        let view = global(Some(state.build()));
        let told = view.operation.expect("under way").to_string();
        assert_eq!(told, "a switchover is under way (switching-over) from a to b");
    }

    #[test]
    fn an_empty_state_is_no_operation() {
        assert_eq!(global(None).operation, None);
        let empty = FailoverState::builder().is_data_loss_allowed(false).build();
        assert_eq!(global(Some(empty)).operation, None);
    }

    #[test]
    fn a_cluster_without_instances_is_headless_and_one_that_is_backed_up_is_well() {
        let headless = ClusterView::of(&DbCluster::builder().status("available").build());
        assert_eq!(headless.unfit(), ["the cluster has no instance (headless)"]);
        let member = DbClusterMember::builder().db_instance_identifier("i").build();
        let cluster = |status: &str| {
            ClusterView::of(&DbCluster::builder().status(status).db_cluster_members(member.clone()).build())
        };
        assert!(cluster("backing-up").unfit().is_empty());
        assert_eq!(cluster("backing-up").unready(), None);
        assert_eq!(cluster("upgrading").unready().as_deref(), Some("the cluster is upgrading"));
        assert!(cluster("upgrading").unfit().is_empty());
        assert_eq!(cluster("stopped").unfit(), ["the cluster is stopped"]);
    }

    #[test]
    fn versions_are_compared_by_major_and_minor() {
        let view = global(None);
        let own = |version: &str| ClusterView { version: version.to_owned(), ..ClusterView::default() };
        assert_eq!(versions_differ(&view, &own("15.4.2")), None);
        assert_eq!(versions_differ(&view, &own("")), None);
        let told = versions_differ(&view, &own("15.5")).expect("they differ");
        assert_eq!(told, "the cluster has version 15.5 and the global cluster 15.4");
    }
}
