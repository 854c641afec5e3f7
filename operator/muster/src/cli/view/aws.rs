//! `muster aws`: rights with the reason of each, and what must exist for a name.

use super::super::table::{Cell, Table, paragraph};
use super::{Facts, Look};
use crate::aws::dns::{CHECK_FAILURES, CHECK_INTERVAL_S, NamePlan, Objects, Plan, Side, Way};
use crate::aws::iam::Rights;
use muster_core::ids::PolicyName;
use muster_providers::route53::HealthObjectConfig;
use std::fmt::Write;

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
    let more = "Made by -o cli or -o terraform, with the rights that it takes. The rights alone, each with its reason: muster aws iam.";
    out + &look.paint.dim(&paragraph("", more, look.width))
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
    }
    facts
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
