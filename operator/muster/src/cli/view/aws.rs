//! `muster aws`: rights with the reason of each, and what must exist for a name.

use super::super::table::{Cell, Table, paragraph};
use super::{Facts, Look};
use crate::aws::dns::{ControlSide, NamePlan, Objects, Plan, Side, Way};
use crate::aws::iam::Rights;
use muster_core::ids::{PolicyName, RegionName};
use muster_providers::route53::HealthObjectConfig;
use muster_providers::route53::setup::wanted::{CHECK_FAILURES, CHECK_INTERVAL_S};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// What `plan-dns --apply` made, and the ids that the policies need.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// What was made, in this order; empty: all was there.
    pub made: Vec<String>,
    /// What was there, was taken, and is worse than what would have been made.
    pub warnings: Vec<String>,
    /// Each name.
    pub names: Vec<AppliedName>,
}

/// What a name's policy needs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppliedName {
    /// The policy.
    pub policy: String,
    /// Its traffic item.
    pub item: String,
    /// The name.
    pub record: String,
    /// `healthCheckId` of each region.
    pub health_check_ids: BTreeMap<RegionName, String>,
    /// `pinHealthCheckId`.
    pub pin_health_check_id: String,
    /// The fields in which the policy says something else.
    pub policy_differs: Vec<String>,
}

/// Each caller: what for, then the documents to paste.
pub fn rights(all: &[Rights], look: &Look) -> String {
    let blocks: Vec<String> = all.iter().map(|rights| rights_of(rights, look)).collect();
    blocks.join("\n")
}

fn rights_of(rights: &Rights, look: &Look) -> String {
    let mut out =
        look.paint.strong(rights.role.as_deref().unwrap_or("The credentials that Muster runs with"));
    let policies: Vec<&str> = rights.policies.iter().map(PolicyName::as_str).collect();
    let _ = writeln!(out, "\n{}", paragraph("  for ", &policies.join(", "), look.width));
    let mut table = Table::new(&["ACTION", "WHY"]).indent(2);
    for reason in &rights.reasons {
        for (index, action) in reason.actions.iter().enumerate() {
            table.row([Cell::from(action), Cell::from(if index == 0 { reason.reason } else { "the same" })]);
        }
    }
    out.push_str(&look.table(&table));
    out.push_str(&look.title("Its policy"));
    let _ = writeln!(out, "{}", rights.policy.to_json());
    if let Some(trust) = &rights.trust {
        out.push_str(&look.title("Its trust policy"));
        let _ = writeln!(out, "{}", trust.to_json());
    }
    out
}

/// Each name: what must exist, as facts to compare with what is there.
pub fn plan(plan: &Plan, look: &Look) -> String {
    let mut out = String::new();
    for name in &plan.names {
        let title = format!("{} {}: {} ({})", name.policy, name.item, name.record, name.kind);
        let _ = writeln!(out, "{}", look.paint.strong(&title));
        out.push_str(&look.table(&facts_of(name).0));
        out.push('\n');
    }
    if let Some(pin) = pin_of(plan) {
        let _ = writeln!(out, "{}", look.paint.strong("All names that objects move"));
        out.push_str(&look.table(&pin.0));
        out.push('\n');
    }
    // A cluster is more than a script should make.
    let by = if plan.by_controls().next().is_some() { "-o terraform" } else { "-o cli or -o terraform" };
    let more = format!(
        "Made by {by}, with the rights that it takes. The rights alone, each with its reason: muster aws iam."
    );
    out + &look.paint.dim(&paragraph("", &more, look.width))
}

/// What was made, and the ids that the policies need.
pub fn applied(applied: &Applied, look: &Look) -> String {
    let mut out = String::new();
    for name in &applied.names {
        let title = format!("{} {}: {}", name.policy, name.item, name.record);
        let _ = writeln!(out, "{}", look.paint.strong(&title));
        out.push_str(&look.table(&ids_of(name).0));
        if name.policy_differs.is_empty() {
            out.push_str("  The policy says the same.\n");
        } else {
            let _ = writeln!(out, "  Write into the policy: {}.", name.policy_differs.join(", "));
        }
        out.push('\n');
    }
    for warning in &applied.warnings {
        let _ = writeln!(out, "{}", paragraph("warning: ", warning, look.width));
    }
    let more = "The name servers know new records within about a minute. Rights are not made here: muster aws iam prints them.";
    out + &look.paint.dim(&paragraph("", more, look.width))
}

fn ids_of(name: &AppliedName) -> Facts {
    let mut facts = Facts::new();
    for (region, id) in &name.health_check_ids {
        facts.add(&format!("healthCheckId of {region}"), id.as_str());
    }
    facts.add("pinHealthCheckId", name.pin_health_check_id.as_str());
    facts
}

/// `None`: nothing is ever pinned.
fn pin_of(plan: &Plan) -> Option<Facts> {
    plan.by_objects().next()?;
    let known: BTreeSet<&str> =
        plan.by_objects().filter_map(|(_, objects)| objects.pin_check.as_deref()).collect();
    let known = if known.is_empty() { String::new() } else { format!(" {}", join(known)) };
    let without: Vec<&str> =
        plan.by_objects().filter(|(_, o)| o.pin_check.is_none()).map(|(n, _)| n.record.as_str()).collect();
    let mut text =
        "HTTP, disabled and not inverted, and so always healthy: it pins a name beside a silent region. One is enough"
            .to_owned();
    if !without.is_empty() {
        let _ =
            write!(text, "; flip.healthObject.pinHealthCheckId does not name it for {}", without.join(", "));
    }
    let mut facts = Facts::new();
    facts.add(&format!("health check{known}"), text);
    Some(facts)
}

fn join(words: BTreeSet<&str>) -> String {
    words.into_iter().collect::<Vec<_>>().join(", ")
}

fn facts_of(name: &NamePlan) -> Facts {
    let mut facts = Facts::new();
    facts.add("hosted zone", name.zone_id.as_str());
    match &name.way {
        Way::Record(targets) => {
            let targets: Vec<&str> = targets.iter().map(|target| target.address.as_str()).collect();
            let text = format!(
                "none, or a simple one that points at one of {}; a flip makes it",
                targets.join(", ")
            );
            facts.add("record", text);
        }
        Way::Objects(objects) => add_objects(&mut facts, name, objects),
        Way::Controls(sides) => add_controls(&mut facts, name, sides),
    }
    facts
}

fn add_controls(facts: &mut Facts, name: &NamePlan, sides: &[ControlSide]) {
    facts.add("cluster", "of ARC, with its five endpoints: USD 2.50 an hour, for all names");
    for (index, side) in sides.iter().enumerate() {
        let region = &side.at.region;
        let state = if index == 0 { "On" } else { "Off" };
        facts.add(&format!("routing control {region}"), format!("{state} now; {}", side.control.arn));
        let check = format!("RECOVERY_CONTROL, of region {region}'s routing control; not inverted");
        facts.add(&format!("health check {}", side.control.health_check), check);
    }
    for side in sides {
        let (region, address, ttl_s) = (&side.at.region, &side.at.address, name.ttl_s);
        let text = format!("weight 1, {address}, TTL {ttl_s} s, with the health check of region {region}");
        facts.add(&format!("record {region}"), text);
    }
}

fn add_objects(facts: &mut Facts, name: &NamePlan, objects: &Objects) {
    let secret = &objects.secret;
    let form = "16 to 128 letters and digits, as openssl rand -hex 16 makes them";
    facts.add("secret", format!("{}: {form}", secret.reference));
    for side in objects.sides() {
        let marker = &side.marker;
        let bucket =
            format!("in {}; everyone may read {} there and nothing else", marker.aws_region, marker.key);
        facts.add(&format!("bucket {}", marker.bucket), bucket);
    }
    for side in objects.sides() {
        facts.add(&format!("health check {}", side.marker.health_check), check_text(side, objects));
    }
    let watched = &objects.secondary.marker.health_check;
    let primary = format!("with the health check {watched}, that of the other region's object");
    record(facts, name, &objects.primary, "PRIMARY", &primary);
    record(facts, name, &objects.secondary, "SECONDARY", "without a health check");
}

fn check_text(side: &Side, objects: &Objects) -> String {
    format!(
        "HTTPS_STR_MATCH, inverted, at https://{}{}, every {CHECK_INTERVAL_S} s, {CHECK_FAILURES} failures; looks for {} and the value of {}",
        side.host(),
        side.path(),
        HealthObjectConfig::ON,
        objects.secret.reference
    )
}

fn record(facts: &mut Facts, name: &NamePlan, side: &Side, role: &str, check: &str) {
    let (address, ttl_s) = (&side.at.address, name.ttl_s);
    facts.add(&format!("record {}", side.at.region), format!("{role}, {address}, TTL {ttl_s} s, {check}"));
}
