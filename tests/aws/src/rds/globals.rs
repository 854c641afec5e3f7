//! Operations on global databases: they are checked as a whole, and take their course in `steps`.
//!
//! What this module must never do: begin an operation beside another one on the same global database.

use super::arn::{Arn, Kind, Place};
use super::events::Tale;
use super::refusals::RdsRefusal;
use super::settings::{FenceVerdict, RdsMove};
use super::steps::{Run, Step, moving_status, tell_both};
use super::store::Store;
use super::world::{AVAILABLE, Cluster, FailoverState, GlobalCluster, World};
use crate::query::Form;
use crate::service::Refusal;
use tokio::time::Instant;

/// The status of an operation that was accepted and has not begun.
const PENDING: &str = "pending";

/// The global database, if the place's endpoint shows it.
pub(super) fn find<'a>(
    world: &'a World,
    place: Place<'_>,
    text: &str,
) -> Result<&'a GlobalCluster, RdsRefusal> {
    let found = world.globals.get(&Arn::named(Kind::GlobalCluster, place, text));
    let seen = found.filter(|global| global.is_seen_at(place));
    seen.ok_or_else(|| RdsRefusal::GlobalClusterNotFound(text.to_owned()))
}

/// `FailoverGlobalCluster` means a switchover unless it is told to allow data loss.
pub(super) fn read_failover(form: &Form) -> Result<RdsMove, Refusal> {
    match (form.flag("AllowDataLoss")?, form.flag("Switchover")?) {
        (true, true) => {
            let message = "AllowDataLoss and Switchover can't be specified together.".to_owned();
            Err(RdsRefusal::InvalidParameterCombination(message).into())
        }
        (true, false) => Ok(RdsMove::Failover),
        (false, _) => Ok(RdsMove::Switchover),
    }
}

/// Accepts a switchover or a failover that somebody asks for, and returns the global database.
pub(super) fn accept_move(
    store: &mut Store,
    (place, now): (Place<'_>, Instant),
    form: &Form,
    kind: RdsMove,
) -> Result<Arn, Refusal> {
    let global = find(&store.world, place, form.require("GlobalClusterIdentifier")?)?.arn.clone();
    let target = Arn::given(form.require("TargetDbClusterIdentifier")?);
    start_move(store, now, &global, &target, kind)?;
    Ok(global)
}

/// Starts a switchover or a failover, whoever asks for it.
pub(super) fn start_move(
    store: &mut Store,
    now: Instant,
    global: &Arn,
    target: &Arn,
    kind: RdsMove,
) -> Result<(), RdsRefusal> {
    let from = judge_move(&store.world, global, target, kind)?;
    let is_data_loss_allowed = kind == RdsMove::Failover;
    let state = FailoverState { status: PENDING.to_owned(), from, to: target.clone(), is_data_loss_allowed };
    let unknown = || RdsRefusal::GlobalClusterNotFound(global.to_string());
    let moved = store.world.globals.get_mut(global).ok_or_else(unknown)?;
    moved.operation += 1;
    moving_status(&state).clone_into(&mut moved.status);
    moved.failover = Some(state.clone());
    let fails = std::mem::take(&mut store.settings.does_next_fail);
    let is_fenced = store.settings.verdict == FenceVerdict::Succeeded;
    let run = Run { global: global.clone(), operation: moved.operation, fails, is_fenced };
    if !is_data_loss_allowed {
        tell_both(store, now, &state, &Tale::SwitchoverStarted(target.clone()));
    }
    store.after(now, store.settings.pace.pending, Step::Begin(run));
    Ok(())
}

/// Returns the writer, from which the target may take over.
fn judge_move(world: &World, global: &Arn, target: &Arn, kind: RdsMove) -> Result<Arn, RdsRefusal> {
    let unknown = || RdsRefusal::GlobalClusterNotFound(global.to_string());
    let global = world.globals.get(global).ok_or_else(unknown)?;
    let name = global.arn.name();
    let refuse = |why: &str| RdsRefusal::InvalidGlobalClusterState(format!("Global cluster {name} {why}"));
    let cluster = find_given(world, target)?;
    if global.failover.is_some() || global.status != AVAILABLE {
        return Err(refuse("is not in the available state"));
    }
    let writer = global.writer().ok_or_else(|| refuse("does not have a primary cluster"))?;
    let member = global.member(target).filter(|member| !member.is_writer);
    let member = member.ok_or_else(|| refuse("does not have a secondary target to promote"))?;
    if !member.is_connected {
        return Err(refuse("is resynchronizing the target DB cluster"));
    }
    judge_status(cluster)?;
    if kind == RdsMove::Switchover {
        let primary = find_given(world, &writer.cluster)?;
        judge_status(primary)?;
        if world.instances_of(target).next().is_none() {
            let message = format!("DB cluster {} has no DB instances", target.name());
            return Err(RdsRefusal::InvalidClusterState(message));
        }
        judge_versions(primary, cluster)?;
    }
    Ok(writer.cluster.clone())
}

fn find_given<'a>(world: &'a World, cluster: &Arn) -> Result<&'a Cluster, RdsRefusal> {
    world.clusters.get(cluster).ok_or_else(|| RdsRefusal::ClusterNotFound(cluster.to_string()))
}

fn judge_status(cluster: &Cluster) -> Result<(), RdsRefusal> {
    if cluster.status == AVAILABLE {
        return Ok(());
    }
    let message = format!("DB cluster {} is in {} state", cluster.arn.name(), cluster.status);
    Err(RdsRefusal::InvalidClusterState(message))
}

fn judge_versions(primary: &Cluster, target: &Cluster) -> Result<(), RdsRefusal> {
    let (old, new) = (&primary.engine_version, &target.engine_version);
    if old == new {
        return Ok(());
    }
    let message =
        format!("The engine versions of the primary ({old}) and the target ({new}) are not compatible");
    Err(RdsRefusal::InvalidClusterState(message))
}

/// Accepts the removal of a cluster from its global database, which makes it one by itself.
pub(super) fn accept_removal(
    store: &mut Store,
    (place, now): (Place<'_>, Instant),
    form: &Form,
) -> Result<Arn, Refusal> {
    let global = find(&store.world, place, form.require("GlobalClusterIdentifier")?)?;
    let cluster = Arn::given(form.require("DbClusterIdentifier")?);
    find_given(&store.world, &cluster)?;
    let name = global.arn.name();
    let refuse = |why: &str| RdsRefusal::InvalidGlobalClusterState(format!("Global cluster {name} {why}"));
    let member = global.member(&cluster).ok_or_else(|| refuse("does not have this DB cluster"))?;
    if member.is_writer && global.members.len() > 1 {
        return Err(refuse("has secondary clusters, so its primary cluster can't be removed").into());
    }
    let global = global.arn.clone();
    store.world.set_cluster_status(&cluster, "promoting");
    let step = Step::Detach { global: global.clone(), cluster };
    store.after(now, store.settings.pace.detach, step);
    Ok(global)
}
