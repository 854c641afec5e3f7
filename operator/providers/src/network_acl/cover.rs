//! Whether the network ACLs are those of the databases' subnets: a deny in front of other subnets keeps nobody out. RDS tells in
//! which ones each instance may stand; the group's are taken all together, since an instance may come back in another one.
//!
//! RDS is asked before the day, at a pace of its own. A region that is silent says nothing new, and what it said holds.
//!
//! What this module must never do: hold up a look at the ACLs, or call subnets covered because nobody has named them.

use crate::aws::{Account, CallError, LONGEST_LOOK, Look, NetworkAcl, Rds};
use aws_sdk_rds::types::{DbInstance, DbSubnetGroup};
use muster_core::facts::ErrorClass;
use muster_core::ids::{Owner, RegionName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Between two questions.
const EVERY: Duration = Duration::from_mins(5);
/// After one without an answer.
const AGAIN: Duration = Duration::from_secs(30);
/// A look at the ACLs waits so long for the first answer.
const WITHIN: Duration = Duration::from_secs(1);

/// The databases behind one region's network ACLs.
#[derive(Debug)]
pub(super) struct Cover(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rds: Arc<Rds>,
    /// ARNs of clusters and instances.
    databases: BTreeSet<String>,
    look: Look,
    /// Outlives this version of the policy.
    known: Arc<Mutex<Known>>,
}

/// What RDS told of the databases in one region.
#[derive(Debug, Default)]
struct Known {
    due: Option<Instant>,
    /// By the policy's database: each subnet that it may stand in, with an instance that may.
    subnets: BTreeMap<String, BTreeMap<String, String>>,
    /// The databases that RDS was asked for at all.
    asked_for: BTreeSet<String>,
    /// Those that it named no subnet of, which is told once of each.
    missing: BTreeSet<String>,
    /// RDS refuses to tell, which is told once.
    refused: bool,
}

impl Cover {
    /// Asks nobody yet.
    pub(super) fn new(
        (owner, region): (&Owner, &RegionName),
        account: &Account,
        aws_region: &str,
        databases: BTreeSet<String>,
    ) -> Self {
        let known = account.memory(owner, format!("{region} in {aws_region}"), Known::default);
        let (rds, look) = (account.rds(aws_region), Look::default());
        Self(Arc::new(Inner { rds, databases, look, known }))
    }

    /// Asks RDS if it is time to, and waits a little for it.
    pub(super) async fn refresh(&self) {
        let inner = Arc::clone(&self.0);
        let is_due = inner.known().is_due(&inner.databases);
        if is_due && !inner.databases.is_empty() {
            self.0.look.wait(async move { inner.read().await }, WITHIN).await;
        }
    }

    /// Why a deny at these ACLs would keep nobody out of some database, for people.
    pub(super) fn gap(&self, acls: &[NetworkAcl]) -> Option<String> {
        let covered: BTreeSet<&str> =
            acls.iter().flat_map(|acl| &acl.association_set.item).map(|of| of.subnet_id.as_str()).collect();
        let known = self.0.known();
        let mut all = known.subnets_of(&self.0.databases);
        let (subnet, instance) = all.find(|(subnet, _)| !covered.contains(subnet.as_str()))?;
        Some(format!(
            "{instance} may stand in {subnet}, which none of the policy's network ACLs is in force for"
        ))
    }
}

impl Inner {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(&self) {
        let told = self.rds.instances(Instant::now() + LONGEST_LOOK).await;
        let region = self.rds.region();
        let mut known = self.known();
        known.due = Some(Instant::now() + if told.is_ok() { EVERY } else { AGAIN });
        known.asked_for.extend(self.databases.iter().cloned());
        match told {
            Ok(all) => {
                known.refused = false;
                for database in known.learn(&self.databases, &all) {
                    tracing::warn!(
                        region,
                        database,
                        "RDS names no subnet of it: it is not compared with the network ACLs"
                    );
                }
            }
            Err(CallError { class: ErrorClass::Denied, why, .. }) => {
                if !std::mem::replace(&mut known.refused, true) {
                    tracing::warn!(
                        region,
                        why,
                        "the databases' subnets are not compared with the network ACLs"
                    );
                }
            }
            // A region that is away; its circuit tells.
            Err(_) => {}
        }
    }
}

impl Known {
    /// A version of the policy that has a further database does not wait for what the one before was told.
    fn is_due(&self, databases: &BTreeSet<String>) -> bool {
        self.due.is_none_or(|due| Instant::now() >= due) || !databases.is_subset(&self.asked_for)
    }

    /// Of these databases: each subnet, with an instance that may stand in it.
    fn subnets_of<'k>(
        &'k self,
        databases: &'k BTreeSet<String>,
    ) -> impl Iterator<Item = (&'k String, &'k String)> {
        self.subnets.iter().filter(|(database, _)| databases.contains(*database)).flat_map(|(_, all)| all)
    }

    /// A database that is not there just now, as while it is made anew, stands where it stood. Those that are newly missing and
    /// that nothing is known of.
    fn learn(&mut self, databases: &BTreeSet<String>, all: &[DbInstance]) -> Vec<String> {
        for database in databases {
            let own = all.iter().filter(|instance| is_of(database, instance));
            let subnets: BTreeMap<String, String> = own.flat_map(subnets_of).collect();
            if !subnets.is_empty() {
                self.subnets.insert(database.clone(), subnets);
            }
        }
        let unknown = databases.iter().filter(|database| !self.subnets.contains_key(*database));
        let unknown: BTreeSet<String> = unknown.cloned().collect();
        let news = unknown.difference(&self.missing).cloned().collect();
        self.missing = unknown;
        news
    }
}

/// Whether it is this one, or in this cluster.
fn is_of(database: &str, instance: &DbInstance) -> bool {
    let Some(arn) = instance.db_instance_arn() else { return false };
    let in_cluster = || {
        let place = arn.rsplit_once(":db:").map(|(place, _)| place)?;
        instance.db_cluster_identifier().map(|name| format!("{place}:cluster:{name}"))
    };
    arn == database || in_cluster().is_some_and(|cluster| cluster == database)
}

fn subnets_of(instance: &DbInstance) -> impl Iterator<Item = (String, String)> {
    let name = instance.db_instance_identifier().unwrap_or_default();
    let subnets = instance.db_subnet_group().map(DbSubnetGroup::subnets).unwrap_or_default();
    subnets.iter().filter_map(move |of| Some((of.subnet_identifier()?.to_owned(), name.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_rds::types::Subnet;

    fn instance(name: &str, cluster: Option<&str>, subnets: &[&str]) -> DbInstance {
        let subnets = subnets.iter().map(|id| Subnet::builder().subnet_identifier(*id).build()).collect();
        DbInstance::builder()
            .db_instance_identifier(name)
            .db_instance_arn(format!("arn:aws:rds:us-east-1:111122223333:db:{name}"))
            .set_db_cluster_identifier(cluster.map(str::to_owned))
            .db_subnet_group(DbSubnetGroup::builder().set_subnets(Some(subnets)).build())
            .build()
    }

    #[test]
    fn only_the_policy_s_own_databases_count_and_one_that_is_gone_stands_where_it_stood() {
        let own =
            ["cluster:orders", "db:reports"].map(|id| format!("arn:aws:rds:us-east-1:111122223333:{id}"));
        let (own, mut known) = (BTreeSet::from(own), Known::default());
        let all = [
            instance("orders-1", Some("orders"), &["subnet-1"]),
            instance("orders", None, &["subnet-8"]),
            instance("reports", None, &["subnet-2", "subnet-3"]),
            instance("stranger", Some("others"), &["subnet-9"]),
        ];
        known.learn(&own, &all);
        let subnets = |known: &Known, of: &BTreeSet<String>| {
            known.subnets_of(of).map(|(subnet, _)| subnet.clone()).collect::<Vec<_>>()
        };
        assert_eq!(subnets(&known, &own), ["subnet-1", "subnet-2", "subnet-3"]);
        assert_eq!(known.learn(&own, &all[..1]), [""; 0]);
        assert_eq!(subnets(&known, &own), ["subnet-1", "subnet-2", "subnet-3"]);
        let fewer = own.iter().take(1).cloned().collect();
        assert_eq!(subnets(&known, &fewer), ["subnet-1"], "the policy has it no more");
    }

    #[test]
    fn a_database_that_rds_names_no_subnet_of_is_told_once_and_a_further_one_is_asked_for_at_once() {
        let arn = |name: &str| format!("arn:aws:rds:us-east-1:111122223333:{name}");
        let orders = BTreeSet::from([arn("cluster:orders")]);
        let both = BTreeSet::from([arn("cluster:orders"), arn("db:reports")]);
        let mut known = Known { due: Some(Instant::now() + EVERY), ..Known::default() };
        known.asked_for.clone_from(&orders);
        assert_eq!(known.learn(&orders, &[]), [arn("cluster:orders")]);
        assert_eq!(known.learn(&orders, &[]), [""; 0], "it was told");
        assert!(!known.is_due(&orders) && known.is_due(&both));
        assert_eq!(known.learn(&both, &[]), [arn("db:reports")]);
    }
}
