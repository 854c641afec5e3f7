//! What Aurora saved of an old primary's volume before it built that cluster again: a snapshot of the system, which expires with
//! the *old* cluster's backups. A copy does not (`USER_Events`, "unplanned global failover"; facts of each in the old region).
//!
//! | the newest snapshot of the old volume | its copy | verdict |
//! |---|---|---|
//! | none | none | not there: Aurora tries, and the region may still be away |
//! | none, it has expired | `available` | kept |
//! | there | `available` | kept |
//! | there | `creating`, `copying` | under way |
//! | there | `failed` | stuck: a person deletes it |
//! | `available` | none | to be copied, under the one name that belongs to it |
//! | anything else | none | not now |
//!
//! The name is what makes the call idempotent: RDS takes it once (`DBClusterSnapshotAlreadyExistsFault`).
//!
//! What this module must never do: delete a snapshot; copy one that Aurora did not make at a failover.

use super::{AuroraData, Member};
use crate::aws::{Action, CallError, LeaseGate, Silent, by_deadline, transient};
use crate::postgres::guarded::lease_lost;
use crate::{LeaseLost, OpCtx};
use aws_sdk_rds::types::DbClusterSnapshot;
use muster_core::facts::{ErrorClass, Outcome, SavedData};
use muster_core::ids::RegionName;
use muster_core::time::Wall;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What the system's name of a snapshot begins with that is of the volume which a failover left.
const SYSTEM: &str = "rds:unplanned-global-failover-";
/// And that of a copy of Muster's.
const COPY: &str = "muster-old-";
/// So much of the cluster's name is in that of a copy: RDS takes 63 characters (`CopyDBClusterSnapshot`), and the name that the
/// system gives may be longer.
const OF_CLUSTER: usize = 30;
const AVAILABLE: &str = "available";
/// The name of a copy was taken: by an attempt whose answer was lost, or by another process.
const TAKEN: &str = "DBClusterSnapshotAlreadyExistsFault";

/// The names of all snapshots that Aurora makes of a cluster's volume at a failover, and of all copies that are kept of them, as
/// IAM compares names.
pub fn old_volumes(cluster: &str) -> [String; 2] {
    [format!("{SYSTEM}{cluster}-*"), format!("{}*", copies_of(cluster))]
}

/// What the names of a cluster's copies begin with.
fn copies_of(cluster: &str) -> String {
    let short: String = cluster.chars().take(OF_CLUSTER).collect();
    format!("{COPY}{}-", short.trim_end_matches('-'))
}

/// The one name of a snapshot's copy.
fn name_of_copy(cluster: &str, snapshot: &str) -> String {
    let hash = Sha256::digest(snapshot.as_bytes());
    let number = hash.iter().take(6).fold(0_u64, |number, octet| number << 8 | u64::from(*octet));
    format!("{}{number:012x}", copies_of(cluster))
}

/// What was read last of each region, by who was asked to keep it.
#[derive(Debug, Default)]
pub(super) struct Saved(Mutex<BTreeMap<RegionName, SavedData>>);

impl Saved {
    /// Of each region.
    pub(super) fn all(&self) -> Vec<SavedData> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn remember(&self, saved: SavedData) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(saved.region.clone(), saved);
    }
}

/// A snapshot, as far as it matters here.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Snapshot {
    name: String,
    at: Wall,
    status: String,
}

impl Snapshot {
    fn of(snapshot: &DbClusterSnapshot) -> Option<Self> {
        Some(Self {
            name: snapshot.db_cluster_snapshot_identifier()?.to_owned(),
            at: Wall(snapshot.snapshot_create_time()?.to_millis().ok()?),
            status: snapshot.status().unwrap_or_default().to_owned(),
        })
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Verdict {
    NotThere,
    /// Copy this one under this name.
    ToCopy {
        from: String,
        to: String,
    },
    NotNow(String),
    Stuck(String),
    UnderWay(Wall, String),
    Kept(Wall, String),
}

/// Judges the snapshots of one cluster, those that were made since.
fn judge(cluster: &str, snapshots: &[Snapshot], since: Wall) -> Verdict {
    let newest = |start: &str| {
        let own =
            snapshots.iter().filter(|snapshot| snapshot.name.starts_with(start) && snapshot.at >= since);
        own.max_by_key(|snapshot| snapshot.at)
    };
    let Some(saved) = newest(SYSTEM) else {
        return newest(&copies_of(cluster)).map_or(Verdict::NotThere, |copy| judge_copy(copy, copy.at));
    };
    let to = name_of_copy(cluster, &saved.name);
    match snapshots.iter().find(|snapshot| snapshot.name == to) {
        Some(copy) => judge_copy(copy, saved.at),
        None if saved.status == AVAILABLE => Verdict::ToCopy { from: saved.name.clone(), to },
        None => Verdict::NotNow(format!("{} is `{}`", saved.name, saved.status)),
    }
}

fn judge_copy(copy: &Snapshot, saved: Wall) -> Verdict {
    let name = &copy.name;
    match copy.status.as_str() {
        AVAILABLE => Verdict::Kept(saved, format!("kept as the cluster snapshot {name}")),
        "failed" => Verdict::Stuck(format!(
            "the copy {name} has failed; delete it, and it is made again while {SYSTEM}... is there"
        )),
        status => Verdict::UnderWay(saved, format!("the copy {name} is `{status}`")),
    }
}

impl AuroraData {
    /// Copies the newest snapshot that Aurora made of the old primary's volume, unless that is under way or done.
    pub(super) async fn do_keep_old_data(
        &self,
        (region, member): (&RegionName, &Member),
        since: Wall,
        ctx: &OpCtx,
    ) -> Outcome {
        let sent = Arc::new(AtomicBool::new(false));
        by_deadline(ctx, &sent, async {
            let snapshots = match member.rds.cluster_snapshots(member.name()).await {
                Ok(snapshots) => snapshots,
                Err(error) => return Silent::new(member.rds.region(), &error).outcome(),
            };
            let snapshots: Vec<_> = snapshots.iter().filter_map(Snapshot::of).collect();
            let remember = |at, kept, said| {
                self.saved.remember(SavedData { region: region.clone(), at, kept, said });
            };
            match judge(member.name(), &snapshots, since) {
                Verdict::NotThere => transient(format!(
                    "RDS in {} shows no snapshot of what {} held at the failover",
                    member.rds.region(),
                    member.name()
                )),
                Verdict::NotNow(why) => transient(why),
                Verdict::Stuck(why) => Outcome::Failed(ErrorClass::Conflict, why),
                Verdict::UnderWay(at, said) => {
                    remember(at, false, said.clone());
                    Outcome::Issued(Some(said))
                }
                Verdict::Kept(at, said) => {
                    remember(at, true, said);
                    Outcome::AlreadyDone
                }
                Verdict::ToCopy { from, to } => copy(member, &from, &to, ctx, &sent).await,
            }
        })
        .await
    }
}

async fn copy(member: &Member, from: &str, to: &str, ctx: &OpCtx, sent: &Arc<AtomicBool>) -> Outcome {
    let client = member.rds.client().await;
    let noted = Arc::clone(sent);
    let gate = LeaseGate::noting(ctx, move || noted.store(true, Ordering::Relaxed));
    let request = client.copy_db_cluster_snapshot().source_db_cluster_snapshot_identifier(from);
    let request = request.target_db_cluster_snapshot_identifier(to).customize().interceptor(gate);
    let answer = async { Box::pin(request.send()).await };
    match ctx.send(answer).await {
        Err(LeaseLost) => lease_lost(),
        Ok(Ok(_)) => Outcome::Issued(Some(format!("{from} is being copied to {to}"))),
        Ok(Err(error)) => match CallError::new(Action::CopyDbClusterSnapshot, &error) {
            error if error.code.as_deref() == Some(TAKEN) => {
                transient(format!("{to} is there already, and not listed yet"))
            }
            error => Outcome::Failed(error.class, error.why),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAVED: &str = "rds:unplanned-global-failover-shop-2026-11-28-15-00";

    fn kept() -> String {
        name_of_copy("shop", SAVED)
    }

    fn snapshot(name: &str, at: i64, status: &str) -> Snapshot {
        Snapshot { name: name.to_owned(), at: Wall(at), status: status.to_owned() }
    }

    fn verdict(snapshots: &[(&str, i64, &str)]) -> Verdict {
        let all: Vec<_> = snapshots.iter().map(|(name, at, status)| snapshot(name, *at, status)).collect();
        judge("shop", &all, Wall(5))
    }

    #[test]
    fn a_snapshot_of_the_old_volume_is_copied_once_under_its_own_name() {
        let copy = kept();
        let to_copy = Verdict::ToCopy { from: SAVED.to_owned(), to: copy.clone() };
        assert_eq!(verdict(&[(SAVED, 7, "available")]), to_copy);
        let under_way = Verdict::UnderWay(Wall(7), format!("the copy {copy} is `creating`"));
        assert_eq!(verdict(&[(SAVED, 7, "available"), (&copy, 9, "creating")]), under_way);
        let kept = |at| Verdict::Kept(Wall(at), format!("kept as the cluster snapshot {copy}"));
        assert_eq!(verdict(&[(SAVED, 7, "available"), (&copy, 9, "available")]), kept(7));
        assert_eq!(verdict(&[(&copy, 9, "available")]), kept(9), "the system's has expired");
    }

    #[test]
    fn the_newest_counts_and_what_an_earlier_failover_left_does_not() {
        let older = "rds:unplanned-global-failover-shop-2026-11-28-14-00";
        let older_copy = name_of_copy("shop", older);
        let all = [(older, 6, "available"), (&older_copy, 6, "available"), (SAVED, 7, "creating")];
        assert_eq!(verdict(&all), Verdict::NotNow(format!("{SAVED} is `creating`")));
        let long_ago = "rds:unplanned-global-failover-shop-2026-10-01-00-00";
        assert_eq!(verdict(&[(long_ago, 1, "available")]), Verdict::NotThere);
    }

    #[test]
    fn snapshots_of_another_kind_are_left_alone() {
        for other in ["rds:shop-2026-11-28-15-00", "shop-by-hand"] {
            assert_eq!(verdict(&[(other, 7, "available")]), Verdict::NotThere, "{other}");
        }
    }

    #[test]
    fn a_copy_that_failed_waits_for_a_person() {
        let found = verdict(&[(SAVED, 7, "available"), (&kept(), 9, "failed")]);
        assert!(matches!(found, Verdict::Stuck(why) if why.contains("delete it")));
    }

    /// `CopyDBClusterSnapshot`: 1 to 63 letters, digits and hyphens, no two hyphens in a row, none at the end.
    #[test]
    fn the_name_of_a_copy_is_one_that_rds_takes_and_a_right_covers() {
        for cluster in ["shop", "a-cluster-with-a-name-as-long-as-rds-takes-one-for-its-clusters"] {
            let name = name_of_copy(cluster, SAVED);
            assert!(name.len() <= 63 && !name.ends_with('-'), "{name}");
            let [_, copies] = old_volumes(cluster);
            assert!(name.starts_with(copies.trim_end_matches('*')), "{name}, {copies}");
        }
        let cut = copies_of("aaaaaaaaaaaaaaaaaaaaaaaaaaaaa-more");
        assert!(!cut.contains("--"), "{cut}");
    }
}
