//! Making the absence of every marker mean the region that traffic belongs to.
//!
//! ```text
//! a marker left on elsewhere ──► roles swapped ──► INSYNC, TTL ──► the last marker off ──► settled
//! ```
//! One arrow a call at most, each on what stands there now.

use super::super::values::{parse_listed, wire_name};
use super::super::verb::VerbError;
use super::judge::{Goal, Standing, Standings, judge};
use super::objects::Put;
use super::roles::{Roles, read_roles, swap_roles};
use super::{HealthObject, share_of};
use crate::OpCtx;
use crate::aws::{Action, CallError};
use crate::dns::Verdict;
use aws_sdk_route53::types::ChangeStatus;
use muster_core::facts::{ErrorClass, Outcome, Witness};
use muster_core::ids::RegionName;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Records of one answer of the API: all that may stand at one name.
const PAGE: i32 = 100;

impl HealthObject {
    pub(super) async fn try_settle(
        &self,
        region: &RegionName,
        witness: &Witness,
        ctx: &OpCtx,
        under_way: &AtomicBool,
    ) -> Result<Outcome, VerbError> {
        let adopt = self.name.adopted.get();
        let goal = Goal { on: None, witness, adopt: &adopt };
        let (standings, silent) = self.read_markers(ctx).await;
        match judge(&standings, &goal) {
            Verdict::Stale(why) => return Ok(Outcome::StaleEpoch(self.about(&why))),
            Verdict::Conflict(why) => return Ok(Outcome::Conflict(self.about(&why))),
            Verdict::Write | Verdict::AlreadyDone => {}
        }
        let roles = match self.list_roles().await? {
            Ok(roles) => roles,
            Err(why) => return Ok(Outcome::Conflict(self.about(&why))),
        };
        self.memory().take_roles(Some(&roles), Instant::now());
        if let Some(other) = newest_on(&standings).filter(|newest| *newest != region) {
            let why = format!(
                "the marker of region {other} is on: the name points there, and settling moves nothing"
            );
            return Ok(Outcome::Conflict(self.about(&why)));
        }
        let on = standings.iter().filter(|(_, standing)| standing.is_on()).map(|(at, _)| at);
        let (own, others): (Vec<_>, Vec<_>) = on.partition(|at| *at == region);
        if !others.is_empty() {
            return self.switch_off(&others, &standings, &goal, ctx, under_way).await;
        }
        if let Some(silent) = silent {
            return Ok(Outcome::Failed(ErrorClass::Transient, self.about(&silent)));
        }
        if roles.primary.region != *region {
            if !standings.get(region).is_some_and(is_on_now) {
                let why = format!("the marker of region {region} is not on: the name does not point there");
                return Ok(Outcome::Conflict(self.about(&why)));
            }
            return self.swap(region, &roles, ctx, under_way).await;
        }
        if own.is_empty() {
            return Ok(Outcome::AlreadyDone);
        }
        if let Some(why) = self.await_servers().await? {
            return Ok(Outcome::Failed(ErrorClass::Transient, self.about(&why)));
        }
        self.switch_off(&own, &standings, &goal, ctx, under_way).await
    }

    /// The markers that answer, and why others do not.
    async fn read_markers(&self, ctx: &OpCtx) -> (Standings, Option<String>) {
        let (mut standings, mut silent) = (Standings::new(), None);
        for (region, answer) in self.objects.read_all(share_of(ctx), None).await {
            match answer {
                Ok(standing) => {
                    standings.insert(region, standing);
                }
                Err(error) => silent = Some(format!("the marker of region {region}: {}", error.why)),
            }
        }
        (standings, silent)
    }

    /// The two records as the API has them; for people, why they are not as they must be.
    pub(super) async fn list_roles(&self) -> Result<Result<Roles, String>, VerbError> {
        let client = self.objects.account.route53().await;
        let list = client.list_resource_record_sets().hosted_zone_id(&self.zone_id).max_items(PAGE);
        let list = list.start_record_name(wire_name(&self.name.record));
        let failed = |error| VerbError::Before(CallError::new(Action::ListResourceRecordSets, &error));
        let page = Box::pin(list.send()).await.map_err(failed)?;
        if page.next_record_name().and_then(parse_listed).as_ref() == Some(&self.name.record) {
            return Ok(Err(format!("more than {PAGE} record sets stand there")));
        }
        Ok(read_roles(page.resource_record_sets(), &self.name, &self.objects.places))
    }

    async fn swap(
        &self,
        region: &RegionName,
        roles: &Roles,
        ctx: &OpCtx,
        under_way: &AtomicBool,
    ) -> Result<Outcome, VerbError> {
        let batch = swap_roles(roles, &self.name, &self.objects.places, ctx)?;
        let client = self.objects.account.route53().await;
        let change = client.change_resource_record_sets().hosted_zone_id(&self.zone_id).change_batch(batch);
        self.memory().expect_roles();
        let failed = |error| CallError::new(Action::ChangeResourceRecordSets, &error);
        let request = Box::pin(change.send());
        let send = async {
            under_way.store(true, Ordering::Relaxed);
            request.await.map_err(failed)
        };
        match ctx.send(send).await? {
            Ok(taken) => {
                let change = taken.change_info().map(|change| change.id().to_owned());
                if let Some(change) = &change {
                    self.memory().remember_swap(region.clone(), change.clone());
                }
                Ok(Outcome::Issued(change))
            }
            Err(error) if error.code.as_deref() == Some("InvalidChangeBatch") => {
                let why = format!("another writer was faster, or something else forbids it: {}", error.why);
                Ok(Outcome::Failed(ErrorClass::Transient, self.about(&why)))
            }
            Err(error) => Err(VerbError::After(error)),
        }
    }

    /// Until the swapped roles are at every server and no resolver holds an older answer; else, what is waited for.
    async fn await_servers(&self) -> Result<Option<String>, VerbError> {
        let swap = self.memory().swap();
        if let Some(swap) = swap.filter(|swap| swap.synced.is_none()) {
            match self.change_status(&swap.change).await? {
                Some(ChangeStatus::Insync) => self.memory().swap_synced(Instant::now()),
                Some(_) => return Ok(Some(format!("change {} is not in sync yet", swap.change))),
                None => self.memory().forget_swap(Instant::now()),
            }
        }
        let stand_at = self.memory().roles_stand_at();
        let Some(stand_at) = stand_at else {
            return Ok(Some("it is not known since when the records have their roles".to_owned()));
        };
        let until = stand_at + Duration::from_secs(u64::from(self.name.ttl));
        let left = until.saturating_duration_since(Instant::now());
        let wait = || {
            format!("servers and resolvers may still answer by the old roles, for {} s", left.as_secs() + 1)
        };
        Ok((!left.is_zero()).then(wait))
    }

    /// `None`: Route 53 does not know the change, or no longer.
    async fn change_status(&self, change: &str) -> Result<Option<ChangeStatus>, VerbError> {
        let get = self.objects.account.route53().await.get_change().id(change);
        match Box::pin(get.send()).await {
            Ok(got) => Ok(got.change_info().map(|info| info.status().clone())),
            Err(error) => {
                let error = CallError::new(Action::GetChange, &error);
                if error.code.as_deref() == Some("NoSuchChange") {
                    Ok(None)
                } else {
                    Err(VerbError::Before(error))
                }
            }
        }
    }

    async fn switch_off(
        &self,
        regions: &[&RegionName],
        standings: &Standings,
        goal: &Goal<'_>,
        ctx: &OpCtx,
        under_way: &AtomicBool,
    ) -> Result<Outcome, VerbError> {
        self.memory().expect(goal.witness);
        for region in regions {
            let Some(before) = standings.get(*region) else { continue };
            if self.objects.write(region, before, goal, ctx, under_way).await? == Put::Lost {
                let why = format!("another writer of the marker of region {region} was faster");
                return Ok(Outcome::Failed(ErrorClass::Transient, self.about(&why)));
            }
        }
        Ok(Outcome::Issued(None))
    }
}

/// The region of the marker that is on and was written last.
fn newest_on(standings: &Standings) -> Option<&RegionName> {
    let on = standings.iter().filter(|(_, standing)| standing.is_on());
    let newest = on.max_by_key(|(_, standing)| standing.marker().map(|marker| marker.witness.order()));
    newest.map(|(region, _)| region)
}

/// On, and the health check finds it.
fn is_on_now(standing: &Standing) -> bool {
    standing.is_on() && standing.marker().is_some_and(|marker| marker.is_current)
}

#[cfg(test)]
mod tests {
    use super::super::marker::{Marker, Signal};
    use super::*;
    use muster_core::ids::{Epoch, Seq, Term};

    fn standing(signal: Signal, is_current: bool, seq: u64) -> Standing {
        let witness = Witness { owner: "me".into(), epoch: Epoch(1), term: Term(0), seq: Seq(seq) };
        Standing::Written { marker: Marker { signal, is_current, witness }, etag: "\"1\"".to_owned() }
    }

    #[test]
    fn of_two_markers_that_are_on_the_newer_one_tells_where_traffic_belongs() {
        let newest = |east, west| {
            let standings = Standings::from([("east".into(), east), ("west".into(), west)]);
            newest_on(&standings).map(ToString::to_string)
        };
        let (on, off) = (|seq| standing(Signal::On, true, seq), |seq| standing(Signal::Off, true, seq));
        assert_eq!(newest(on(1), on(2)).as_deref(), Some("west"));
        assert_eq!(newest(on(3), on(2)).as_deref(), Some("east"));
        assert_eq!(newest(on(1), off(2)).as_deref(), Some("east"));
        assert_eq!(newest(Standing::Absent, off(2)), None);
    }

    #[test]
    fn a_marker_by_an_older_secret_is_not_what_the_health_check_looks_for() {
        assert!(is_on_now(&standing(Signal::On, true, 1)));
        assert!(!is_on_now(&standing(Signal::On, false, 1)));
        assert!(!is_on_now(&standing(Signal::Off, true, 1)));
    }
}
