//! What becomes of an operation as time passes.
//!
//! ```text
//! switchover   pending ─► switching-over ─ 0183 ─► old writer demoted, 0182 ─► writer flips, 0184, 0185 ─► 0397
//! failover     pending ─► failing-over ─ 0390|0391 ─► writer flips, 0238|0519 ─► 0397 ─► 0240 ─► connected, 0241
//! one that fails   ... ─► cancelling, 0239|0187 ─► as before
//! removal      promoting ─► no member, available; what was under way with it ends
//! promotion    modifying ─► rebooting ─► no source ─► (backing-up) ─► available
//! new name     (pending) ─► renaming ─► available, under the new one;  deletion   deleting ─► gone
//! ```
//!
//! What this module must never do: let a step of an operation that ended change anything; read a clock.

use super::arn::{Arn, Kind};
use super::events::Tale;
use super::names;
use super::settings::RdsEffect;
use super::store::Store;
use super::world::{AVAILABLE, FailoverState, GlobalCluster, Snapshot};
use tokio::time::Instant;

/// Which run of which global database.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) global: Arn,
    pub(super) operation: u64,
    pub(super) fails: bool,
    /// Whether the writes of the old writer are blocked from its beginning on.
    pub(super) is_fenced: bool,
}

/// Something that comes to pass at its time.
pub(super) enum Step {
    /// The members are verified: `switching-over` or `failing-over`.
    Begin(Run),
    /// The old writer of a switchover takes no more writes.
    Demote(Run),
    /// The target is the writer.
    Flip(Run),
    /// It does not come off.
    Cancel(Run),
    /// Everything is as it was before.
    Restore(Run),
    /// The global writer endpoint names the writer.
    ChangeEndpoint(Arn),
    /// The members of a global database that a failover left behind are being rebuilt.
    Rebuild { global: Arn, old_writer: Arn, is_fenced: bool },
    /// They are connected.
    Reconnect(Arn),
    /// A cluster leaves its global database.
    Detach { global: Arn, cluster: Arn },
    /// A snapshot is complete.
    CompleteSnapshot(Arn),
    /// A replica that is promoted reboots.
    Reboot(Arn),
    /// It is a database by itself.
    Promote { replica: Arn, backup_retention: u32 },
    /// An instance is about to bear another name, and reboots.
    BeginRename { from: Arn, to: Arn },
    /// An instance bears its new name.
    Rename { from: Arn, to: Arn },
    /// An instance is gone.
    Delete(Arn),
    /// A database has the status that it was on its way to.
    Settle { database: Arn, from: &'static str, to: &'static str, effect: Option<RdsEffect> },
}

impl Step {
    /// Takes the step, at its instant.
    pub(super) fn take(self, store: &mut Store, at: Instant) {
        // `None`: what it was about has gone, or somebody has put it into another state meanwhile.
        let _taken = match self {
            Self::Begin(run) => begin(store, at, run),
            Self::Demote(run) => demote(store, at, &run),
            Self::Flip(run) => flip(store, at, &run),
            Self::Cancel(run) => cancel(store, at, run),
            Self::Restore(run) => restore(store, &run),
            Self::ChangeEndpoint(global) => change_endpoint(store, at, &global),
            Self::Rebuild { global, old_writer, is_fenced } => {
                rebuild(store, at, &global, &old_writer, is_fenced)
            }
            Self::Reconnect(global) => reconnect(store, at, &global),
            Self::Detach { global, cluster } => detach(store, &global, &cluster),
            Self::CompleteSnapshot(snapshot) => complete_snapshot(store, &snapshot),
            Self::Reboot(replica) => replace_status(store, &replica, "modifying", "rebooting"),
            Self::Promote { replica, backup_retention } => promote(store, at, &replica, backup_retention),
            Self::BeginRename { from, to } => names::begin_rename(store, at, &from, to),
            Self::Rename { from, to } => names::rename(store, &from, &to),
            Self::Delete(instance) => names::delete(&mut store.world, &instance),
            Self::Settle { database, from, to, effect } => settle(store, at, &database, (from, to), effect),
        };
    }
}

/// The state of a run that still goes on.
fn state_of(store: &Store, run: &Run) -> Option<FailoverState> {
    let global = store.world.globals.get(&run.global)?;
    global.failover.clone().filter(|_| global.operation == run.operation)
}

fn global_of<'a>(store: &'a mut Store, run: &Run) -> Option<&'a mut GlobalCluster> {
    store.world.globals.get_mut(&run.global)
}

/// The status of a global database while this goes on, and of its operation once it has begun.
pub(super) fn moving_status(state: &FailoverState) -> &'static str {
    if state.is_data_loss_allowed { "failing-over" } else { "switching-over" }
}

fn begin(store: &mut Store, at: Instant, run: Run) -> Option<()> {
    let state = state_of(store, &run)?;
    let status = moving_status(&state);
    status.clone_into(&mut global_of(store, &run)?.failover.as_mut()?.status);
    store.world.set_cluster_status(&state.to, "promoting");
    if !state.is_data_loss_allowed {
        store.world.set_cluster_status(&state.from, "modifying");
        store.tell(at, &state.from, Tale::WaitsForSync);
    }
    let moving = store.settings.pace.moving;
    if run.fails {
        store.after(at, moving, Step::Cancel(run));
        return Some(());
    }
    fence(store, at, &state, run.is_fenced);
    if !state.is_data_loss_allowed {
        store.after(at, moving / 2, Step::Demote(run.clone()));
    }
    store.after(at, moving, Step::Flip(run));
    Some(())
}

/// Tries to keep the old writer from taking writes; a switchover goes on to shut it down in order.
fn fence(store: &mut Store, at: Instant, state: &FailoverState, is_fenced: bool) {
    let recorded_at = if store.settings.is_old_writer_lost { &state.to } else { &state.from };
    let instance = store.world.instances_of(recorded_at).next().map(|instance| instance.arn.clone());
    if let Some(instance) = instance {
        let old = state.from.clone();
        let tale = if is_fenced { Tale::WritesBlocked(old) } else { Tale::WritesNotBlocked(old) };
        store.tell(at, &instance, tale);
    }
    if is_fenced && state.is_data_loss_allowed {
        store.happen(RdsEffect::Demoted, &state.from);
    }
}

fn demote(store: &mut Store, at: Instant, run: &Run) -> Option<()> {
    let state = state_of(store, run)?;
    store.happen(RdsEffect::Demoted, &state.from);
    store.tell(at, &state.from, Tale::OldWriterShutDown(state.from.clone()));
    Some(())
}

fn flip(store: &mut Store, at: Instant, run: &Run) -> Option<()> {
    let state = state_of(store, run)?;
    let is_loss = state.is_data_loss_allowed;
    let global = global_of(store, run)?;
    global.failover = None;
    AVAILABLE.clone_into(&mut global.status);
    for member in &mut global.members {
        member.is_writer = member.cluster == state.to;
        member.is_connected = member.is_writer || !is_loss;
    }
    store.world.set_cluster_status(&state.to, AVAILABLE);
    store.happen(RdsEffect::Promoted, &state.to);
    let pace = store.settings.pace;
    store.after(at, pace.endpoint, Step::ChangeEndpoint(run.global.clone()));
    if is_loss {
        complete_failover(store, at, run, &state);
    } else {
        store.world.set_cluster_status(&state.from, AVAILABLE);
        store.happen(RdsEffect::Replicates, &state.from);
        store.tell(at, &state.to, Tale::NewWriterPromoted(state.to.clone()));
        tell_both(store, at, &state, &Tale::SwitchoverFinished(state.to.clone()));
    }
    Some(())
}

/// Tells it in the region of the old writer and in that of the target.
pub(super) fn tell_both(store: &mut Store, at: Instant, state: &FailoverState, tale: &Tale) {
    store.tell(at, &state.from, tale.clone());
    store.tell(at, &state.to, tale.clone());
}

fn complete_failover(store: &mut Store, at: Instant, run: &Run, state: &FailoverState) {
    let target = state.to.clone();
    let is_headless = store.world.instances_of(&target).next().is_none();
    let tale = if is_headless {
        Tale::FailoverCompletedHeadless(target, run.global.clone())
    } else {
        Tale::FailoverCompleted(target)
    };
    store.tell(at, &state.to, tale);
    take_snapshot(store, at, &state.from);
    let rebuild = Step::Rebuild {
        global: run.global.clone(),
        old_writer: state.from.clone(),
        is_fenced: run.is_fenced,
    };
    store.after(at, store.settings.pace.rejoin / 2, rebuild);
}

fn cancel(store: &mut Store, at: Instant, run: Run) -> Option<()> {
    let state = state_of(store, &run)?;
    "cancelling".clone_into(&mut global_of(store, &run)?.failover.as_mut()?.status);
    let target = state.to.clone();
    let tale = if state.is_data_loss_allowed {
        Tale::FailoverFailed(target)
    } else {
        Tale::SwitchoverFailed(target)
    };
    tell_both(store, at, &state, &tale);
    store.after(at, store.settings.pace.cancelling, Step::Restore(run));
    Some(())
}

fn restore(store: &mut Store, run: &Run) -> Option<()> {
    let state = state_of(store, run)?;
    let global = global_of(store, run)?;
    global.failover = None;
    AVAILABLE.clone_into(&mut global.status);
    store.world.set_cluster_status(&state.to, AVAILABLE);
    store.world.set_cluster_status(&state.from, AVAILABLE)
}

fn change_endpoint(store: &mut Store, at: Instant, global: &Arn) -> Option<()> {
    let writer = store.world.globals.get(global)?.writer()?.cluster.clone();
    store.tell(at, &writer, Tale::EndpointChanged);
    Some(())
}

/// An old writer that could not be fenced gives up at the latest now, for it gets a new volume.
fn rebuild(store: &mut Store, at: Instant, global: &Arn, old_writer: &Arn, is_fenced: bool) -> Option<()> {
    let writer = store.world.globals.get(global)?.writer()?.cluster.clone();
    if !is_fenced && writer != *old_writer {
        store.happen(RdsEffect::Demoted, old_writer);
    }
    store.tell(at, &writer, Tale::ResyncStarted(writer.clone()));
    store.after(at, store.settings.pace.rejoin / 2, Step::Reconnect(global.clone()));
    Some(())
}

fn reconnect(store: &mut Store, at: Instant, global: &Arn) -> Option<()> {
    let global = store.world.globals.get_mut(global)?;
    let writer = global.writer()?.cluster.clone();
    let left = global.members.iter_mut().filter(|member| !member.is_connected);
    let connected: Vec<Arn> = left
        .map(|member| {
            member.is_connected = true;
            member.cluster.clone()
        })
        .collect();
    for cluster in connected {
        store.happen(RdsEffect::Replicates, &cluster);
    }
    store.tell(at, &writer, Tale::ResyncFinished(writer.clone()));
    Some(())
}

fn detach(store: &mut Store, global: &Arn, cluster: &Arn) -> Option<()> {
    let global = store.world.globals.get_mut(global)?;
    let was_writer = global.member(cluster)?.is_writer;
    global.members.retain(|member| member.cluster != *cluster);
    let ended = global.failover.take_if(|state| state.from == *cluster || state.to == *cluster);
    if let Some(state) = ended {
        AVAILABLE.clone_into(&mut global.status);
        store.world.set_cluster_status(&state.from, AVAILABLE);
    }
    store.world.set_cluster_status(cluster, AVAILABLE);
    if !was_writer {
        store.happen(RdsEffect::Promoted, cluster);
    }
    Some(())
}

/// Begins the snapshot that the service takes of what a failover leaves behind.
fn take_snapshot(store: &mut Store, at: Instant, cluster: &Arn) -> Option<()> {
    let stamp = store.date(at).strftime("%Y-%m-%d-%H-%M-%S").to_string();
    let name = format!("rds:unplanned-global-failover-{}-{stamp}", cluster.name());
    let arn = Arn::new(Kind::ClusterSnapshot, cluster.place(), &name);
    let snapshot = Snapshot {
        arn: arn.clone(),
        cluster: cluster.clone(),
        source: None,
        status: "creating",
        engine_version: store.world.clusters.get(cluster)?.engine_version.clone(),
        created_at: at,
    };
    store.world.snapshots.insert(arn.clone(), snapshot);
    store.after(at, store.settings.pace.snapshot, Step::CompleteSnapshot(arn));
    Some(())
}

fn complete_snapshot(store: &mut Store, snapshot: &Arn) -> Option<()> {
    store.world.snapshots.get_mut(snapshot)?.status = AVAILABLE;
    Some(())
}

/// Changes the status of a database and of its instances, if it is still the expected one.
fn replace_status(store: &mut Store, database: &Arn, from: &str, to: &str) -> Option<()> {
    if store.world.status_of(database)? != from {
        return None;
    }
    store.world.set_status(database, to)
}

fn settle(
    store: &mut Store,
    at: Instant,
    database: &Arn,
    (from, to): (&str, &str),
    effect: Option<RdsEffect>,
) -> Option<()> {
    replace_status(store, database, from, to)?;
    match effect {
        Some(RdsEffect::Stopped) => store.tell(at, database, Tale::Stopped),
        Some(RdsEffect::Started) => store.tell(at, database, Tale::Started),
        _ => {}
    }
    store.happen(effect?, database);
    Some(())
}

fn promote(store: &mut Store, at: Instant, replica: &Arn, backup_retention: u32) -> Option<()> {
    let backup = store.settings.pace.backup;
    let has_backup = backup_retention > 0 && !backup.is_zero();
    replace_status(store, replica, "rebooting", if has_backup { "backing-up" } else { AVAILABLE })?;
    let instance = store.world.instances.get_mut(replica)?;
    instance.source = None;
    instance.backup_retention = backup_retention;
    store.happen(RdsEffect::Promoted, replica);
    if has_backup {
        let database = replica.clone();
        store.after(at, backup, Step::Settle { database, from: "backing-up", to: AVAILABLE, effect: None });
    }
    Some(())
}
