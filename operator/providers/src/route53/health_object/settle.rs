//! Making the absence of every marker mean the region that traffic belongs to.
//!
//! ```text
//! a marker left on elsewhere ──► roles swapped ──► INSYNC, TTL ──► the last marker off ──► settled
//!                                 │ the roles are right already, by another process: the same ones, written anew (a touch)
//!   another region is silent ─────┴─► pinned ─── it answers, and is off ──► the health check attached ──► as above
//! ```
//! One arrow a call at most, each on what stands there now. What has only to be waited for is no failure.

use super::super::change::{change_status, send_batch};
use super::super::listed::list_from;
use super::super::verb::{Sends, VerbError};
use super::checks::LONGEST_NOTICE;
use super::judge::{Goal, Standing, Standings, judge};
use super::objects::Put;
use super::roles::{Health, Roles, read_roles, write_roles};
use super::{Looked, Steering};
use crate::OpCtx;
use crate::aws::Action;
use crate::dns::Verdict;
use aws_sdk_route53::types::ChangeStatus;
use muster_core::facts::{ErrorClass, Outcome, Witness};
use muster_core::ids::RegionName;
use std::time::Duration;
use tokio::time::Instant;

/// What this process knows of its own last change of the records.
enum Change {
    /// It has made none that stands there: an older one of anybody may still be on its way.
    NotKnown,
    /// What is waited for.
    Awaited(String),
    /// Every server has it, no resolver holds an older answer, and no older change can land any more.
    Everywhere,
}

/// One call of `settle`, or of a flip that has to write the records.
#[derive(Clone, Copy)]
pub(super) struct Settling<'a> {
    pub(super) region: &'a RegionName,
    pub(super) goal: Goal<'a>,
    pub(super) ctx: &'a OpCtx,
    pub(super) sends: &'a Sends,
}

/// Where a name is pinned that was last seen pinned elsewhere; `written`: by this very call.
pub(super) enum Pin {
    /// To the region that takes over: no marker takes it back.
    Here { written: bool },
    /// Nowhere: the markers move it.
    Gone { written: bool },
    /// Where it was, and why.
    Stays(Outcome),
}

impl Steering {
    pub(super) async fn try_settle(
        &self,
        region: &RegionName,
        witness: &Witness,
        ctx: &OpCtx,
        sends: &Sends,
    ) -> Result<Outcome, VerbError> {
        self.memory().begin_settling(Instant::now());
        let adopt = self.name.adopted.get();
        let goal = Goal { on: None, may_stay_on: Some(region), witness, adopt: &adopt };
        let looked = self.read_markers(region, ctx).await?;
        let standings = &looked.standings;
        match judge(standings, &goal) {
            Verdict::Stale(why) => return Ok(Outcome::StaleEpoch(self.about(&why))),
            Verdict::Conflict(why) => return Ok(Outcome::Conflict(self.about(&why))),
            Verdict::Write | Verdict::AlreadyDone => {}
        }
        if let Some(other) = newest_on(standings).filter(|newest| *newest != region) {
            let why = format!(
                "the marker of region {other} is on: the name points there, and settling moves nothing"
            );
            return Ok(Outcome::Conflict(self.about(&why)));
        }
        let settling = Settling { region, goal, ctx, sends };
        let on = standings.iter().filter(|(at, standing)| *at != region && standing.is_on());
        let others: Vec<_> = on.map(|(at, _)| at).collect();
        if !others.is_empty() {
            return self.switch_off(&others, standings, settling).await;
        }
        let silence = self.silence(&looked);
        let is_pinned = self.memory().is_pinned_to(region);
        if let Some(why) = silence.as_ref().filter(|_| is_pinned) {
            return self.stay_pinned(why, ctx).await;
        }
        let roles = match self.learn_roles(ctx).await? {
            Ok(roles) => roles,
            Err(conflict) => return Ok(conflict),
        };
        self.settle_roles(&roles, standings, silence, settling).await
    }

    /// No other region's marker is seen on.
    async fn settle_roles(
        &self,
        roles: &Roles,
        standings: &Standings,
        silence: Option<String>,
        settling: Settling<'_>,
    ) -> Result<Outcome, VerbError> {
        let region = settling.region;
        let own = standings.get(region).filter(|standing| standing.is_on());
        let is_primary = roles.primary.region == *region;
        if !is_primary {
            let elsewhere = match own {
                _ if roles.is_pinned() => {
                    Some(format!("the name is pinned to region {}", roles.primary.region))
                }
                None => Some(format!("the marker of region {region} is not on")),
                Some(own) if is_on_now(own) => None,
                Some(own) => return self.renew(own, settling).await,
            };
            if let Some(why) = elsewhere {
                let why = format!("{why}: the name does not point there");
                return Ok(Outcome::Conflict(self.about(&why)));
            }
        }
        if let Some(why) = silence {
            return match own {
                Some(_) if !(is_primary && roles.is_pinned()) => self.pin(roles, &why, settling).await,
                _ if roles.is_pinned() => self.stay_pinned(&why, settling.ctx).await,
                _ => Ok(Outcome::Issued(Some(self.about(&why)))),
            };
        }
        if !is_primary || roles.is_pinned() {
            let other = if is_primary { &roles.secondary.region } else { &roles.primary.region };
            if let Some(why) = self.look_at_notice(other, settling.ctx).await? {
                return Ok(Outcome::Issued(Some(self.about(&why))));
            }
            return self.write_records(roles, Health::Attached, settling).await;
        }
        if own.is_none() {
            return Ok(Outcome::AlreadyDone);
        }
        match self.look_at_change(settling.ctx).await? {
            Change::NotKnown => self.write_records(roles, Health::Attached, settling).await,
            Change::Awaited(why) => Ok(Outcome::Issued(Some(self.about(&why)))),
            Change::Everywhere => self.switch_off(&[region], standings, settling).await,
        }
    }

    /// Both records anew, so that no marker moves the name away from this region; `why` that is needed.
    async fn pin(&self, roles: &Roles, why: &str, settling: Settling<'_>) -> Result<Outcome, VerbError> {
        if roles.pin.is_none() {
            let why = format!("held by its object, and not pinned, for there is no pinHealthCheckId: {why}");
            return Ok(Outcome::Issued(Some(self.about(&why))));
        }
        self.write_pinned(roles, settling).await
    }

    /// The same where there is a check to pin by.
    async fn write_pinned(&self, roles: &Roles, settling: Settling<'_>) -> Result<Outcome, VerbError> {
        self.turn(Action::GetHealthCheck, settling.ctx).await?;
        match self.judge_pin().await? {
            Some(wrong) => Ok(Outcome::Conflict(self.about(&wrong))),
            None => self.write_records(roles, Health::Pinned, settling).await,
        }
    }

    /// Moves a name that is pinned to another region by its records.
    pub(super) async fn move_pin(&self, settling: Settling<'_>) -> Result<Pin, VerbError> {
        let roles = match self.learn_roles(settling.ctx).await? {
            Ok(roles) => roles,
            Err(conflict) => return Ok(Pin::Stays(conflict)),
        };
        if !roles.is_pinned() {
            return Ok(Pin::Gone { written: false });
        }
        if roles.primary.region == *settling.region {
            return Ok(Pin::Here { written: false });
        }
        // Without a check that is always healthy it was pinned by having none, which Route 53 takes no more.
        let (outcome, pin) = if roles.pin.is_some() {
            (self.write_pinned(&roles, settling).await?, Pin::Here { written: true })
        } else {
            let attached = self.write_records(&roles, Health::Attached, settling).await?;
            (attached, Pin::Gone { written: true })
        };
        Ok(if matches!(outcome, Outcome::Issued(_)) { pin } else { Pin::Stays(outcome) })
    }

    /// Why another region's marker may be on, if one may.
    fn silence(&self, looked: &Looked) -> Option<String> {
        let memory = self.memory();
        let mut silent = looked.silent.iter().filter(|(region, _)| !memory.is_surely_off(region));
        silent.next().map(|(region, why)| format!("the marker of region {region}: {why}"))
    }

    /// The name stays where it is; `why` the check is not attached yet.
    async fn stay_pinned(&self, why: &str, ctx: &OpCtx) -> Result<Outcome, VerbError> {
        let why = match self.look_at_change(ctx).await? {
            Change::Awaited(awaited) => awaited,
            Change::NotKnown | Change::Everywhere => {
                format!("pinned until the other region's marker is known to be off: {why}")
            }
        };
        Ok(Outcome::Issued(Some(self.about(&why))))
    }

    /// Writes the own marker on again, by the secret that the health check looks for now.
    async fn renew(&self, own: &Standing, settling: Settling<'_>) -> Result<Outcome, VerbError> {
        let Settling { region, goal, ctx, sends } = settling;
        self.turn(Action::GetHealthCheck, ctx).await?;
        if let Some(place) = self.objects.places.get(region)
            && let Some(wrong) = self.judge_check_of(region, place).await?
        {
            // It may look for the older secret: then it finds the marker as it is.
            let why = format!("the marker of region {region} has another secret, and {wrong}");
            return Ok(Outcome::Conflict(self.about(&why)));
        }
        let goal = Goal { on: Some(region), ..goal };
        self.memory().expect(region, goal.witness);
        if self.objects.write(region, own, &goal, ctx, sends).await? == Put::Lost {
            return Ok(self.lose(region));
        }
        let why = format!("the marker of region {region} is written by the new secret");
        Ok(Outcome::Issued(Some(self.about(&why))))
    }

    /// Waits until the account's budget has room for a call of Route 53.
    async fn turn(&self, call: Action, ctx: &OpCtx) -> Result<(), VerbError> {
        self.objects.account.route53_effect_turn(call, ctx).await.map_err(VerbError::Before)
    }

    /// The two records as the API has them now, kept in mind; the inner error: they are not as they must be.
    async fn learn_roles(&self, ctx: &OpCtx) -> Result<Result<Roles, Outcome>, VerbError> {
        self.turn(Action::ListResourceRecordSets, ctx).await?;
        let listed = self.list_roles().await?;
        let (mut memory, now) = (self.memory(), Instant::now());
        Ok(match listed {
            Ok(roles) => {
                memory.take_roles(&roles, now);
                Ok(roles)
            }
            Err(why) => {
                let told = self.about(&why);
                memory.take_wrong_roles(why, now);
                Err(Outcome::Conflict(told))
            }
        })
    }

    /// The two records as the API has them; for people, why they are not as they must be.
    pub(super) async fn list_roles(&self) -> Result<Result<Roles, String>, VerbError> {
        let account = &self.objects.account;
        let sets = match list_from(account, &self.zone_id, &self.name.record).await? {
            Ok(sets) => sets,
            Err(why) => return Ok(Err(why)),
        };
        let (places, pin) = (&self.objects.places, self.objects.pin_check.as_deref());
        Ok(read_roles(&sets, &self.name, places, pin))
    }

    /// Both records anew, this region's the primary one.
    async fn write_records(
        &self,
        roles: &Roles,
        health: Health,
        settling: Settling<'_>,
    ) -> Result<Outcome, VerbError> {
        let Settling { region, ctx, sends, .. } = settling;
        let (batch, new) = write_roles(roles, region, health, &self.name, &self.objects.places, ctx)?;
        self.turn(Action::ChangeResourceRecordSets, ctx).await?;
        self.memory().expect_roles();
        match send_batch(&self.objects.account, &self.zone_id, batch, ctx, sends).await? {
            Ok(change) => {
                if let Some(change) = &change {
                    let ttl = roles.ttl().max(Duration::from_secs(u64::from(self.name.ttl)));
                    self.memory().remember_change(&new, change.clone(), ttl);
                }
                Ok(Outcome::Issued(change))
            }
            Err(why) => {
                let why = format!("another writer was faster, or something else forbids it: {why}");
                Ok(Outcome::Failed(ErrorClass::Transient, self.about(&why)))
            }
        }
    }

    /// A check that has not noticed yet that its marker is off would move the name once it is attached.
    async fn look_at_notice(&self, region: &RegionName, ctx: &OpCtx) -> Result<Option<String>, VerbError> {
        let on_until = self.memory().on_until(region).filter(|at| at.elapsed() < LONGEST_NOTICE);
        let (Some(on_until), Some(place)) = (on_until, self.objects.places.get(region)) else {
            return Ok(None);
        };
        self.turn(Action::GetHealthCheck, ctx).await?;
        let left = self.notice_of(place).await.saturating_sub(on_until.elapsed());
        let wait = || {
            let left = left.as_secs() + 1;
            format!("the health check of region {region} may not know for {left} s that the marker is off")
        };
        Ok((!left.is_zero()).then(wait))
    }

    /// How far the last change is that this process has made and that still stands there.
    async fn look_at_change(&self, ctx: &OpCtx) -> Result<Change, VerbError> {
        let known = self.memory().change();
        let Some(change) = known else { return Ok(Change::NotKnown) };
        let synced = if let Some(at) = change.synced {
            at
        } else {
            self.turn(Action::GetChange, ctx).await?;
            let status = change_status(&self.objects.account, &change.id).await;
            match status.map_err(VerbError::Before)? {
                Some(ChangeStatus::Insync) => {}
                Some(_) => return Ok(Change::Awaited(format!("change {} is not in sync yet", change.id))),
                None if change.is_young() => {
                    return Ok(Change::Awaited(format!("Route 53 does not show change {} yet", change.id)));
                }
                None => {
                    self.memory().forget_change();
                    return Ok(Change::NotKnown);
                }
            }
            let now = Instant::now();
            self.memory().change_synced(now);
            now
        };
        let left = (synced + change.ttl).saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Change::Everywhere);
        }
        Ok(Change::Awaited(format!("resolvers may still hold an older answer, for {} s", left.as_secs() + 1)))
    }

    async fn switch_off(
        &self,
        regions: &[&RegionName],
        standings: &Standings,
        settling: Settling<'_>,
    ) -> Result<Outcome, VerbError> {
        let Settling { goal, ctx, sends, .. } = settling;
        for region in regions {
            let Some(before) = standings.get(*region) else { continue };
            self.memory().expect(region, goal.witness);
            if self.objects.write(region, before, &goal, ctx, sends).await? == Put::Lost {
                return Ok(self.lose(region));
            }
        }
        Ok(Outcome::Issued(None))
    }

    fn lose(&self, region: &RegionName) -> Outcome {
        let why = format!("another writer of the marker of region {region} was faster");
        Outcome::Failed(ErrorClass::Transient, self.about(&why))
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
