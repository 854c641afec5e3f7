//! What bears which name: an instance gets another one, or is deleted and leaves its own to the next.
//!
//! What this module must never do: let an instance become another one by its name, or let two bear the same.

use super::arn::{Arn, Kind, Place};
use super::databases::{expect_status, find_instance, refuse_instance};
use super::refusals::RdsRefusal;
use super::settings::RdsEffect;
use super::steps::Step;
use super::store::Store;
use super::world::{AVAILABLE, World};
use crate::query::{Form, invalid_value};
use crate::service::Refusal;
use std::time::Duration;
use tokio::time::Instant;

const RENAMING: &str = "renaming";
const DELETING: &str = "deleting";

/// Another name for an instance, which keeps its `DbiResourceId`. What replicates from it goes on to.
pub(super) fn accept_rename(
    store: &mut Store,
    (place, now): (Place<'_>, Instant),
    form: &Form,
) -> Result<Arn, Refusal> {
    let instance = find_instance(&store.world, place, form.require("DBInstanceIdentifier")?)?;
    let name = form.require("NewDBInstanceIdentifier")?;
    if !form.flag("ApplyImmediately")? {
        return Err(invalid_value("This fake has no maintenance windows: ApplyImmediately must be true"));
    }
    check_name(name)?;
    let (from, to) = (instance.arn.clone(), Arn::new(Kind::Instance, place, name));
    if store.world.instances.contains_key(&to) {
        return Err(RdsRefusal::InstanceAlreadyExists(name.to_owned()).into());
    }
    expect_status(instance, AVAILABLE)?;
    let is_asked_again = instance.new_name.is_some();
    if let Some(instance) = store.world.instances.get_mut(&from).filter(|_| !is_asked_again) {
        instance.new_name = Some(to.name().to_owned());
        let step = Step::BeginRename { from: from.clone(), to };
        match store.settings.pace.rename_pending {
            Duration::ZERO => step.take(store, now),
            pending => store.after(now, pending, step),
        }
    }
    Ok(from)
}

/// `None`: it is on its way to another state by now.
pub(super) fn begin_rename(store: &mut Store, at: Instant, from: &Arn, to: Arn) -> Option<()> {
    let instance = store.world.instances.get_mut(from)?;
    instance.new_name = None;
    if instance.status != AVAILABLE {
        return None;
    }
    RENAMING.clone_into(&mut instance.status);
    store.after(at, store.settings.pace.rename, Step::Rename { from: from.clone(), to });
    Some(())
}

/// The rules for the identifier of an instance, as the documentation of `ModifyDBInstance` has them.
fn check_name(name: &str) -> Result<(), Refusal> {
    const LONGEST: usize = 63;
    let is_known = |character: char| character.is_ascii_alphanumeric() || character == '-';
    let is_valid = name.len() <= LONGEST
        && name.chars().all(is_known)
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && !name.ends_with('-')
        && !name.contains("--");
    let refused = || invalid_value(&format!("The parameter NewDBInstanceIdentifier is not valid: {name}"));
    if is_valid { Ok(()) } else { Err(refused()) }
}

/// `None`: it is on its way to another state by now, or somebody else bears the name.
pub(super) fn rename(store: &mut Store, from: &Arn, to: &Arn) -> Option<()> {
    let world = &mut store.world;
    if world.status_of(from)? != RENAMING {
        return None;
    }
    world.set_instance_status(from, AVAILABLE);
    if world.instances.contains_key(to) {
        return None;
    }
    let mut instance = world.instances.remove(from)?;
    instance.arn = to.clone();
    world.instances.insert(to.clone(), instance);
    let replicas = world.instances.values_mut().filter(|replica| replica.source.as_ref() == Some(from));
    for replica in replicas {
        replica.source = Some(to.clone());
    }
    store.happen(RdsEffect::Renamed, from);
    Some(())
}

/// Deletes an instance that nothing replicates from.
pub(super) fn accept_deletion(
    store: &mut Store,
    (place, now): (Place<'_>, Instant),
    form: &Form,
) -> Result<Arn, Refusal> {
    let instance = find_instance(&store.world, place, form.require("DBInstanceIdentifier")?)?;
    if !form.flag("SkipFinalSnapshot")? && form.get("FinalDBSnapshotIdentifier").is_none() {
        let message =
            "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.".to_owned();
        return Err(RdsRefusal::InvalidParameterCombination(message).into());
    }
    if store.world.replicas_of(&instance.arn).next().is_some() {
        return Err(invalid_value("This fake does not delete an instance that something replicates from"));
    }
    if instance.status == DELETING {
        return Err(refuse_instance(instance, "is already being deleted.").into());
    }
    let deleted = instance.arn.clone();
    store.world.set_instance_status(&deleted, DELETING);
    store.after(now, store.settings.pace.delete, Step::Delete(deleted.clone()));
    Ok(deleted)
}

/// `None`: it was given another status meanwhile.
pub(super) fn delete(world: &mut World, instance: &Arn) -> Option<()> {
    if world.status_of(instance)? != DELETING {
        return None;
    }
    world.instances.remove(instance).map(drop)
}
