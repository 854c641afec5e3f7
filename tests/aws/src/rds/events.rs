//! What the service tells about global databases, in its words.
//!
//! What this module must never do: name the number of an event in an answer, for the API does not either.

use super::arn::Arn;
use tokio::time::Instant;

/// Of everything about a switchover or a failover, but for the fence.
const GLOBAL_FAILOVER: &[&str] = &["global failover"];
/// Of the fence.
const GLOBAL_DATABASE: &[&str] = &["notification", "global database"];
/// Of a database that stops or starts.
const NOTIFICATION: &[&str] = &["notification"];

/// Something that was recorded about a cluster or an instance.
#[derive(Clone)]
pub(super) struct Event {
    pub(super) at: Instant,
    pub(super) source: Arn,
    pub(super) tale: Tale,
}

/// What is told. The number of each is that of `RDS-EVENT-0181` and so on.
#[derive(Clone)]
pub(super) enum Tale {
    /// 0181, with the target.
    SwitchoverStarted(Arn),
    /// 0183.
    WaitsForSync,
    /// 0182, with the old writer.
    OldWriterShutDown(Arn),
    /// 0184, with the new writer.
    NewWriterPromoted(Arn),
    /// 0185, with the target.
    SwitchoverFinished(Arn),
    /// 0187, with the target.
    SwitchoverFailed(Arn),
    /// 0238, with the target.
    FailoverCompleted(Arn),
    /// 0239, with the target.
    FailoverFailed(Arn),
    /// 0240, with the new writer.
    ResyncStarted(Arn),
    /// 0241, with the new writer.
    ResyncFinished(Arn),
    /// 0390, with the old writer.
    WritesBlocked(Arn),
    /// 0391, with the old writer.
    WritesNotBlocked(Arn),
    /// 0397.
    EndpointChanged,
    /// 0519, with the target and the global database.
    FailoverCompletedHeadless(Arn, Arn),
    /// 0087 of an instance, 0150 of a cluster.
    Stopped,
    /// 0088 of an instance, 0151 of a cluster.
    Started,
}

impl Event {
    /// As the API names what it is about.
    pub(super) fn source_type(&self) -> &'static str {
        if self.is_about_an_instance() { "db-instance" } else { "db-cluster" }
    }

    fn is_about_an_instance(&self) -> bool {
        self.source.as_str().contains(":db:")
    }

    pub(super) fn categories(&self) -> &'static [&'static str] {
        match self.tale {
            Tale::WritesBlocked(_) | Tale::WritesNotBlocked(_) => GLOBAL_DATABASE,
            Tale::Stopped | Tale::Started => NOTIFICATION,
            _ => GLOBAL_FAILOVER,
        }
    }

    /// The words of the documentation (`USER_Events.Messages`).
    pub(super) fn message(&self) -> String {
        let thing = if self.is_about_an_instance() { "DB instance" } else { "DB cluster" };
        match &self.tale {
            Tale::SwitchoverStarted(target) => format!("Global switchover to {} started.", place(target)),
            Tale::WaitsForSync => {
                "Waiting for data synchronization across global cluster members. Current lags \
                                   behind primary DB cluster: 0 ms."
                    .to_owned()
            }
            Tale::OldWriterShutDown(old) => format!("Old primary {} successfully shut down.", place(old)),
            Tale::NewWriterPromoted(new) => format!("New primary {} was successfully promoted.", place(new)),
            Tale::SwitchoverFinished(target) => format!("Global switchover to {} finished.", place(target)),
            Tale::SwitchoverFailed(target) => format!("Global switchover to {} failed.", place(target)),
            Tale::FailoverCompleted(target) => format!("Global failover to {} completed.", place(target)),
            Tale::FailoverFailed(target) => format!("Global failover to {} failed.", place(target)),
            Tale::ResyncStarted(new) => {
                format!("Started resynchronizing members of {} after global failover.", place(new))
            }
            Tale::ResyncFinished(new) => {
                format!("Finished resynchronizing members of {} after global failover.", place(new))
            }
            Tale::WritesBlocked(old) => format!("Attempt to block writes for {} succeeded.", place(old)),
            Tale::WritesNotBlocked(old) => format!("Attempt to block writes for {} timed out.", place(old)),
            Tale::EndpointChanged => {
                "Aurora finished changing the DNS name that the global writer endpoint resolves to."
                    .to_owned()
            }
            Tale::FailoverCompletedHeadless(target, global) => format!(
                "Global database failover to DB cluster {} in global database {} completed. The DB cluster has no \
                 instances. Create a DB instance to access your data.",
                target.name(),
                global.name()
            ),
            Tale::Stopped => format!("{thing} stopped"),
            Tale::Started => format!("{thing} started"),
        }
    }
}

fn place(cluster: &Arn) -> String {
    format!("DB cluster {} in Region {}", cluster.name(), cluster.region())
}
