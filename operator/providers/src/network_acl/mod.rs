//! A fence of AWS: the network ACLs of the old primary's database subnets deny everything, in both directions.
//!
//! RDS cannot stop what Muster steers (it refuses members of a global cluster, and instances with replicas), and a security group
//! spares the connections that it tracks. A network ACL keeps no state: its entries are compared with every packet that enters
//! or leaves the subnet, so sessions that are open end as well. Going out is denied too: a statement that had come in before may
//! still run and commit, but nobody is told so any more.
//!
//! ```text
//! fence:   DescribeNetworkAcls ──► all entries there, or one in the way ──► done, Conflict
//!                 └──► CreateNetworkAclEntry for each that is missing, inbound first ── AlreadyExists ──► read back
//! unfence: DescribeNetworkAcls ──► DeleteNetworkAclEntry of exactly these entries, outbound first
//! status:  DescribeNetworkAcls ──► Off: every ACL lets nothing pass; else On; lifted: no entry is left in any
//! ```
//!
//! | call | idempotent because | checked by the target | not protected |
//! |---|---|---|---|
//! | `status` | reads only, shared by all policies of an account and region | - | EC2's lists may be late. It tells what is written, not what packets meet, so it attests and never closes; where a database still answers as a writer, it proves nothing |
//! | `fence` | looked for first, and made with a number that only one entry can have | a number that is taken; **nothing of Muster's** | a signed request that got stuck lands for 15 minutes, also one of an older epoch: it **closes**, never opens, and an abort that is over may be followed by it |
//! | `unfence` | only entries that are exactly Muster's are removed; one that is gone is done | **nothing**: the number and the direction alone count by then | a signed request that got stuck **opens** for 15 minutes what a later run has closed. The lease is asked right before it leaves, and whether the entries are there is looked at again in the very pass that records a promotion |
//!
//! An entry bears no name: one that says exactly the same at the same number counts as Muster's, whoever made it. That no other
//! policy denies at the same ACLs is what the fence claims them for.
//!
//! # What it does not cover
//! Packets within a subnet pass no network ACL. What the databases do by themselves (scheduled jobs), and what reaches them by
//! AWS' own networks (Aurora's replication, the Data API), goes on. So the ACLs must be those of subnets in which databases
//! stand and nothing else, and a promotion may still land behind one: it never tells that a target was lost. That no subnet of a
//! database is left out is seen at RDS before the day (`cover.rs`); what else stands in them is not.
//!
//! What this module must never do: change or remove an entry that is not exactly its own; deny at a part of the ACLs while an
//! entry is seen in the way at another; say off of an ACL that it has not read, or while a database is known to stand elsewhere.

mod config;
mod cover;
mod judge;

pub use config::{NetworkAclConfig, NetworkAclPlace};

use crate::aws::{
    AwsAccounts, CallError, Ec2, Entry, LeaseGate, NetworkAcl, Silent, by_deadline, done_in_part, invalid,
    transient,
};
use crate::postgres::guarded::lease_lost;
use crate::{FenceControl, LeaseLost, OpCtx};
use async_trait::async_trait;
use cover::Cover;
use judge::{Acl, DOORS};
use muster_core::facts::{ErrorClass, FenceFacts, Outcome, PowerState, Seen};
use muster_core::ids::{ItemName, RegionName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Denies at network ACLs.
#[derive(Debug)]
pub struct NetworkAclFence {
    name: ItemName,
    places: BTreeMap<RegionName, Place>,
}

/// One region's network ACLs.
#[derive(Debug)]
struct Place {
    ec2: Arc<Ec2>,
    ids: BTreeSet<String>,
    rule_number: u16,
    cover: Cover,
}

/// A change of one entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    Create,
    Delete,
}

impl NetworkAclFence {
    /// Connects to nothing yet.
    pub fn new(config: NetworkAclConfig, accounts: &AwsAccounts) -> Self {
        let place = |region: &RegionName, place: NetworkAclPlace| {
            let account = accounts.account(&place.access);
            Place {
                ec2: account.ec2(&place.aws_region),
                ids: place.ids,
                rule_number: config.rule_number,
                cover: Cover::new((&config.owner, region), &account, &place.aws_region, place.databases),
            }
        };
        let places = config.regions.into_iter();
        let places = places.map(|(region, of)| (region.clone(), place(&region, of))).collect();
        Self { name: config.name, places }
    }

    fn place(&self, region: &RegionName) -> Result<&Place, String> {
        self.places.get(region).ok_or_else(|| format!("fence {} has no network ACLs in {region}", self.name))
    }
}

#[async_trait]
impl FenceControl for NetworkAclFence {
    async fn status(&self, region: &RegionName, deadline: Duration) -> Seen<FenceFacts> {
        let place = match self.place(region) {
            Ok(place) => place,
            Err(why) => return Seen::Unknown(why),
        };
        let (looked, ()) = tokio::join!(place.look(Instant::now() + deadline), place.cover.refresh());
        match looked {
            Ok(looked) => match (looked.facts(), place.cover.gap(&looked.acls)) {
                // Not all is off, whatever the entries say; that they are gone again is told all the same.
                (Seen::Known(facts), Some(gap)) => Seen::Known(FenceFacts {
                    id: format!("{}, and {gap}", facts.id),
                    state: PowerState::On,
                    ..facts
                }),
                (facts, _) => facts,
            },
            Err(silent) => Seen::Unknown(silent.why),
        }
    }

    async fn fence(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        match self.place(region) {
            Ok(place) => place.fence(ctx).await,
            Err(why) => invalid(why),
        }
    }

    async fn unfence(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        match self.place(region) {
            Ok(place) => place.unfence(ctx).await,
            Err(why) => invalid(why),
        }
    }
}

/// The place's ACLs as one read has them, in the order of their ids.
struct Looked {
    acls: Vec<NetworkAcl>,
    rule_number: u16,
}

impl Looked {
    fn each(&self) -> impl Iterator<Item = Acl<'_>> {
        self.acls.iter().map(|acl| Acl { acl, rule_number: self.rule_number })
    }

    /// The id has the subnets: other ones are another thing, which has not been seen on.
    fn facts(&self) -> Seen<FenceFacts> {
        let mut ids = Vec::new();
        for acl in &self.acls {
            let subnets: BTreeSet<&str> =
                acl.association_set.item.iter().map(|of| of.subnet_id.as_str()).collect();
            if subnets.is_empty() {
                return Seen::Unknown(format!("{} is of no subnet: it cuts nothing off", acl.id));
            }
            let subnets = subnets.into_iter().collect::<Vec<_>>().join(", ");
            ids.push(format!("{} ({subnets})", acl.id));
        }
        Seen::Known(FenceFacts {
            id: ids.join(", "),
            state: if self.each().all(|acl| acl.is_shut()) { PowerState::Off } else { PowerState::On },
            is_lifted: self.each().all(|acl| acl.is_lifted()),
        })
    }
}

impl Place {
    /// All of the ACLs, newer than this question.
    async fn look(&self, by: Instant) -> Result<Looked, Silent> {
        let region = self.ec2.region();
        let all = self.ec2.network_acls_at_once(by).await;
        let all = all.map_err(|error| Silent::of("EC2", region, &error))?;
        let find = |id: &String| {
            let found = all.iter().find(|acl| acl.id == *id).cloned();
            let why = || format!("EC2 in {region} knows no network ACL {id}");
            found.ok_or_else(|| Silent { class: ErrorClass::Invalid, why: why() })
        };
        let acls = self.ids.iter().map(find).collect::<Result<_, _>>()?;
        Ok(Looked { acls, rule_number: self.rule_number })
    }

    async fn fence(&self, ctx: &OpCtx) -> Outcome {
        let sent = Arc::new(AtomicBool::new(false));
        by_deadline(ctx, &sent, async {
            let looked = match self.look(ctx.not_after).await {
                Ok(looked) => looked,
                Err(silent) => return silent.outcome(),
            };
            let mut missing = Vec::new();
            for acl in looked.each() {
                match acl.missing() {
                    Ok(entries) => missing.extend(entries.into_iter().map(|entry| (acl.acl, entry))),
                    Err(in_the_way) => return Outcome::Conflict(in_the_way),
                }
            }
            if let Some(gap) = self.cover.gap(&looked.acls).filter(|_| !missing.is_empty()) {
                return invalid(format!("nothing is denied: {gap}"));
            }
            // What comes in is denied everywhere before what goes out is anywhere.
            missing.sort_by_key(|(_, entry)| entry.egress);
            self.change_all(Change::Create, &missing, ctx, &sent).await
        })
        .await
    }

    async fn unfence(&self, ctx: &OpCtx) -> Outcome {
        let sent = Arc::new(AtomicBool::new(false));
        by_deadline(ctx, &sent, async {
            let looked = match self.look(ctx.not_after).await {
                Ok(looked) => looked,
                Err(silent) => return silent.outcome(),
            };
            let mut own = Vec::new();
            for acl in looked.each() {
                let there = DOORS.into_iter().filter(|door| acl.has_own(*door));
                own.extend(there.map(|door| (acl.acl, acl.own(door))));
            }
            own.sort_by_key(|(_, entry)| !entry.egress);
            self.change_all(Change::Delete, &own, ctx, &sent).await
        })
        .await
    }

    /// One after the other; the first that fails ends it, and the next attempt looks at what is left.
    async fn change_all(
        &self,
        change: Change,
        entries: &[(&NetworkAcl, Entry)],
        ctx: &OpCtx,
        sent: &Arc<AtomicBool>,
    ) -> Outcome {
        for (done, (acl, entry)) in entries.iter().enumerate() {
            if let Err(outcome) = self.change(change, &acl.id, entry, ctx, sent).await {
                return if done == 0 { outcome } else { done_in_part(outcome) };
            }
        }
        match (entries.len(), change) {
            (0, _) => Outcome::AlreadyDone,
            (made, Change::Create) => Outcome::Issued(Some(format!("{made} entries made"))),
            (removed, Change::Delete) => Outcome::Issued(Some(format!("{removed} entries removed"))),
        }
    }

    async fn change(
        &self,
        change: Change,
        acl: &str,
        entry: &Entry,
        ctx: &OpCtx,
        sent: &Arc<AtomicBool>,
    ) -> Result<(), Outcome> {
        let sent = Arc::clone(sent);
        let gate = LeaseGate::noting(ctx, move || sent.store(true, Ordering::Relaxed));
        let client = self.ec2.client();
        let request = async {
            match change {
                Change::Create => client.create_network_acl_entry(acl, entry, gate).await,
                Change::Delete => client.delete_network_acl_entry(acl, entry, gate).await,
            }
        };
        match ctx.send(request).await {
            Err(LeaseLost) => Err(lease_lost()),
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if change == Change::Create && is(&error, "NetworkAclEntryAlreadyExists") => {
                self.read_back(acl, entry, &error, ctx).await
            }
            Ok(Err(error)) if change == Change::Delete && is(&error, "InvalidNetworkAclEntry.NotFound") => {
                Ok(())
            }
            Ok(Err(error)) => Err(Outcome::Failed(error.class, error.why)),
        }
    }

    /// EC2 has an entry where the look had none: the same, or somebody else's.
    async fn read_back(
        &self,
        id: &str,
        entry: &Entry,
        error: &CallError,
        ctx: &OpCtx,
    ) -> Result<(), Outcome> {
        let looked = self.look(ctx.not_after).await.map_err(Silent::outcome)?;
        let acl = looked.each().find(|acl| acl.acl.id == id);
        match acl.as_ref().and_then(|acl| acl.at(entry).map(|there| (acl, there))) {
            Some((_, there)) if there == entry => Ok(()),
            Some((acl, there)) => Err(Outcome::Conflict(acl.in_the_way(there))),
            None => Err(transient(format!("{} (not seen yet)", error.why))),
        }
    }
}

fn is(error: &CallError, code: &str) -> bool {
    error.code.as_deref() == Some(code)
}
