//! `muster aws plan-dns --apply`: shows what is lacking, asks, and makes it with the person's own credentials.
//!
//! What this module must never do: make anything that was not shown and agreed to; print a secret.

use super::super::super::args::{PlanDnsArgs, PlanFormat};
use super::super::super::context::Context;
use super::super::super::exit::{Code, Done, Failure};
use super::super::super::output::Format;
use super::super::super::view;
use super::super::super::view::aws::{Applied, AppliedName};
use super::super::super::words;
use super::super::variables;
use crate::aws::dns::{NamePlan, Objects, Plan, Side};
use crate::convert::secrets::{FolderSecrets, SecretSource};
use muster_core::ids::Owner;
use muster_core::secret::Secret;
use muster_providers::AdoptedOwners;
use muster_providers::aws::{AwsAccess, AwsAccounts};
use muster_providers::dns::{NameConfig, Target};
use muster_providers::route53::HealthObjectConfig;
use muster_providers::route53::setup::{
    Blueprint, NameIds, NameSetup, Pace, Setup, SetupError, SlowCheck, Step,
};
use std::time::Duration;

/// Between two questions about what the checkers saw. The API takes five requests a second of an account.
const POLL: Duration = Duration::from_secs(2);

pub(super) async fn run(cx: &Context, args: &PlanDnsArgs, plan: &Plan) -> Done {
    let format = match args.output {
        PlanFormat::Text => Format::Table,
        PlanFormat::Json => Format::Json,
        PlanFormat::Yaml => Format::Yaml,
        PlanFormat::Cli | PlanFormat::Terraform => {
            return Err(Failure::usage("--apply makes it itself: give -o text, json or yaml"));
        }
    };
    if let Some((name, _)) = plan.by_controls().next() {
        let why = format!(
            "{} is moved by routing controls: --apply makes no cluster, which takes minutes and is paid by the hour",
            name.record
        );
        return Err(Failure::new(Code::Refused, why)
            .fix("Give -o terraform for all that they need, and --apply for the other policies alone."));
    }
    let secrets = FolderSecrets::new(None, variables());
    let names = names_of(plan, &secrets)?;
    if names.is_empty() {
        cx.screen.note("names that are moved by their record need nothing beside the zone and the rights");
        return Ok(());
    }
    let setup = Setup {
        account: AwsAccounts::default().account(&AwsAccess::default()),
        names,
        replaces: args.apply.replace,
        pace: Pace { poll: POLL, patience: Duration::from_millis(args.apply.timeout.0) },
    };
    let blueprint = Box::pin(setup.look()).await.map_err(|error| failure(&error))?;
    for slow in &blueprint.slow {
        cx.screen.note(&format!("warning: {slow}"));
    }
    agree(cx, args, &blueprint)?;
    let made = blueprint.steps.iter().map(Step::to_string).collect();
    let warnings = blueprint.slow.iter().map(SlowCheck::to_string).collect();
    let tell = |line: &str| cx.screen.note(line);
    let ids = Box::pin(setup.carry_out(blueprint, &tell)).await.map_err(|error| failure(&error))?;
    let applied = Applied { made, warnings, names: applied_names(plan, &ids) };
    cx.screen.emit(format, &applied, || view::aws::applied(&applied, &cx.look()))
}

/// What is lacking is shown; nothing is asked where nothing is.
fn agree(cx: &Context, args: &PlanDnsArgs, blueprint: &Blueprint) -> Done {
    let steps = &blueprint.steps;
    if steps.is_empty() {
        cx.screen.note("all is there already: nothing is changed");
        return Ok(());
    }
    let count = words::count(steps.len(), "thing is", "things are");
    cx.screen.note(&format!("{count} lacking. With your credentials --apply would"));
    for step in steps {
        cx.screen.note(&format!("  {step}"));
    }
    if args.apply.yes {
        return Ok(());
    }
    if !cx.screen.can_ask {
        return Err(Failure::usage("there is no terminal to ask for consent; nothing was changed")
            .fix("Look at what it would do, above, then give --yes."));
    }
    if cx.screen.ask("Make this?")? {
        return Ok(());
    }
    Err(Failure::new(Code::Refused, "you said no; nothing was changed"))
}

fn failure(error: &SetupError) -> Failure {
    let code = if error.is_refusal() { Code::Refused } else { Code::Failed };
    Failure::new(code, error.to_string()).fix(error.fix())
}

/// The names that objects move, with their secrets.
fn names_of(plan: &Plan, secrets: &dyn SecretSource) -> Done<Vec<NameSetup>> {
    plan.by_objects().map(|(name, objects)| name_of(name, objects, secrets)).collect()
}

fn name_of(name: &NamePlan, objects: &Objects, secrets: &dyn SecretSource) -> Done<NameSetup> {
    let target = |side: &Side| (side.at.region.clone(), Target::parse(&side.at.address));
    Ok(NameSetup {
        label: format!("{} {}", name.policy, name.item),
        zone_id: name.zone_id.clone(),
        name: NameConfig {
            owner: Owner::new("setup"),
            zone: name.zone.clone(),
            record: name.record.clone(),
            ttl: Duration::from_secs(name.ttl_s),
            targets: objects.sides().map(target).into(),
            adopted: AdoptedOwners::default(),
        },
        markers: objects.sides().map(|side| (side.at.region.clone(), side.marker.clone())).into(),
        partition: objects.primary.partition.clone(),
        secret: secret_of(objects, secrets)?,
        active: objects.primary.at.region.clone(),
        pin_check: objects.pin_check.clone(),
    })
}

/// From the variable that the script takes it from.
fn secret_of(objects: &Objects, secrets: &dyn SecretSource) -> Done<Secret> {
    let (reference, variable) = (&objects.secret.reference, &objects.secret.variable);
    let (name, key) = reference.split_once('/').unwrap_or((reference, ""));
    let secret = secrets
        .get("", name, key)
        .map_err(|_| Failure::usage(format!("set {variable} to the value of Secret {reference}")))?;
    if HealthObjectConfig::is_secret(secret.expose()) {
        return Ok(secret);
    }
    Err(Failure::usage(format!("{variable} must be 16 to 128 letters and digits"))
        .fix("openssl rand -hex 16 makes them; Secret and variable must hold the same."))
}

fn applied_names(plan: &Plan, ids: &[NameIds]) -> Vec<AppliedName> {
    plan.by_objects().zip(ids).map(|((name, objects), ids)| applied_name(name, objects, ids)).collect()
}

fn applied_name(name: &NamePlan, objects: &Objects, ids: &NameIds) -> AppliedName {
    let known = |id: &Option<String>| id.clone().unwrap_or_default();
    let mut policy_differs = Vec::new();
    for side in objects.sides() {
        let region = &side.at.region;
        let made = ids.checks.get(region).and_then(Option::as_deref);
        if made != Some(side.marker.health_check.as_str()) {
            policy_differs.push(format!("healthCheckId of {region}"));
        }
    }
    if objects.pin_check != ids.pin {
        policy_differs.push("pinHealthCheckId".to_owned());
    }
    AppliedName {
        policy: name.policy.to_string(),
        item: name.item.to_string(),
        record: name.record.clone(),
        health_check_ids: ids.checks.iter().map(|(region, id)| (region.clone(), known(id))).collect(),
        pin_health_check_id: known(&ids.pin),
        policy_differs,
    }
}
