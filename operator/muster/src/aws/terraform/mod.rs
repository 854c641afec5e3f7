//! A plan as Terraform, for the provider `hashicorp/aws`.
//!
//! What this module must never do: write a secret down. It is a variable; Terraform keeps what it was in its state, and a comment
//! says so.

mod controls;

use super::dns::{NamePlan, Objects, Plan, Side, Way};
use super::iam::{Document, Rights};
use muster_core::ids::RegionName;
use muster_providers::route53::HealthObjectConfig;
use muster_providers::route53::setup::wanted::{
    CHECK_FAILURES, CHECK_INTERVAL_S, PIN_FAILURES, PIN_HOST, PIN_INTERVAL_S, PIN_PORT,
};
use std::collections::BTreeSet;
use std::fmt::Write;

const HEAD: &str = "\
# What must exist before Muster can move these names. Made by `muster aws plan-dns`.
# Needs the provider hashicorp/aws 6.0 or later, which takes the region of a bucket.
";

/// The configuration; every line ended.
pub fn configuration(plan: &Plan) -> String {
    let mut out = HEAD.to_owned();
    variables(&mut out, plan);
    for name in &plan.names {
        let _ = write!(out, "\n# {} `{}`: {} ({})\n", name.policy, name.item, name.record, name.kind);
        match &name.way {
            Way::Record(targets) => {
                let targets: Vec<&str> = targets.iter().map(|target| target.address.as_str()).collect();
                out.push_str("# Nothing to make: a flip makes the record, and Terraform must not keep it. One that is there\n");
                let _ =
                    writeln!(out, "# already must be simple and point at one of: {}.", targets.join(", "));
            }
            Way::Objects(objects) => objects_of(&mut out, name, objects),
            Way::Controls(sides) => controls::name_of(&mut out, name, sides),
        }
    }
    if plan.by_controls().next().is_some() {
        controls::cluster(&mut out);
    }
    if plan.by_objects().next().is_some() {
        pinning_check(&mut out);
    }
    for (index, rights) in plan.rights.iter().enumerate() {
        add_rights(&mut out, index, rights);
    }
    out
}

/// A block of attributes, aligned as `terraform fmt` does, and what follows them in it.
fn block(out: &mut String, head: &str, attributes: &[(&str, String)], rest: &str) {
    let width = attributes.iter().map(|(key, _)| key.len()).max().unwrap_or_default();
    let _ = writeln!(out, "\n{head} {{");
    for (key, value) in attributes {
        let _ = writeln!(out, "  {key:<width$} = {value}");
    }
    if !rest.is_empty() {
        let _ = write!(out, "\n{rest}");
    }
    out.push_str("}\n");
}

/// A text without anything that Terraform would fill in.
fn text(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace("${", "$${").replace("%{", "%%{"))
}

/// A document of IAM as an attribute.
fn policy(document: &Document) -> String {
    let json = document.to_json().replace("${", "$${").replace("%{", "%%{");
    let mut out = "  policy = <<-JSON\n".to_owned();
    for line in json.lines() {
        let _ = writeln!(out, "    {line}");
    }
    out + "  JSON\n"
}

fn variables(out: &mut String, plan: &Plan) {
    let mut secrets = BTreeSet::new();
    for name in &plan.names {
        if let Way::Objects(objects) = &name.way {
            secrets.insert(&objects.secret);
        }
    }
    for secret in secrets {
        let description =
            format!("The value of Secret {}. Terraform keeps it in its state.", secret.reference);
        let attributes = [
            ("description", text(&description)),
            ("type", "string".to_owned()),
            ("sensitive", "true".to_owned()),
        ];
        block(out, &format!("variable \"{}\"", secret.variable.to_lowercase()), &attributes, "");
    }
    if plan.rights.iter().any(|rights| rights.role.is_none()) {
        let description = text("The name of the role that Muster runs as.");
        let attributes = [("description", description), ("type", "string".to_owned())];
        block(out, "variable \"muster_role\"", &attributes, "");
    }
}

/// What a name's resources in a region are called.
fn label(name: &NamePlan, region: &RegionName) -> String {
    format!("muster_{}_{}_{region}", name.policy.as_str().replace(['/', '.'], "_"), name.item)
}

fn objects_of(out: &mut String, name: &NamePlan, objects: &Objects) {
    for side in objects.sides() {
        if !side.readable.is_empty() {
            bucket(out, &label(name, &side.at.region), side);
        }
        health_check(out, &label(name, &side.at.region), objects, side);
    }
    let check = format!("aws_route53_health_check.{}.id", label(name, &objects.secondary.at.region));
    record(out, name, &objects.primary, "PRIMARY", Some(check));
    record(out, name, &objects.secondary, "SECONDARY", None);
    let mut ids = String::new();
    for side in objects.sides() {
        let region = &side.at.region;
        let _ = writeln!(
            ids,
            "    {} = aws_route53_health_check.{}.id",
            text(region.as_str()),
            label(name, region)
        );
    }
    let head = format!("output \"muster_{}_{}\"", name.policy.as_str().replace(['/', '.'], "_"), name.item);
    let description = text("healthCheckId of each region, for the policy.");
    block(out, &head, &[("description", description)], &format!("  value = {{\n{ids}  }}\n"));
}

fn bucket(out: &mut String, label: &str, side: &Side) {
    let region = ("region", text(&side.marker.aws_region));
    let own = ("bucket", text(&side.marker.bucket));
    block(out, &format!("resource \"aws_s3_bucket\" \"{label}\""), &[own, region.clone()], "");
    let of = ("bucket", format!("aws_s3_bucket.{label}.id"));
    let flag = |name, on: bool| (name, on.to_string());
    let access = [
        of.clone(),
        region.clone(),
        flag("block_public_acls", true),
        flag("ignore_public_acls", true),
        flag("block_public_policy", false),
        flag("restrict_public_buckets", false),
    ];
    block(out, &format!("resource \"aws_s3_bucket_public_access_block\" \"{label}\""), &access, "");
    let after = ("depends_on", format!("[aws_s3_bucket_public_access_block.{label}]"));
    let head = format!("resource \"aws_s3_bucket_policy\" \"{label}\"");
    block(out, &head, &[of, region, after], &policy(&side.bucket_policy()));
}

fn health_check(out: &mut String, label: &str, objects: &Objects, side: &Side) {
    let sought = format!("\"{}${{var.{}}}\"", HealthObjectConfig::ON, objects.secret.variable.to_lowercase());
    let attributes = [
        ("type", text("HTTPS_STR_MATCH")),
        ("invert_healthcheck", "true".to_owned()),
        ("enable_sni", "true".to_owned()),
        ("fqdn", text(&side.host())),
        ("port", "443".to_owned()),
        ("resource_path", text(&side.path())),
        ("search_string", sought),
        ("request_interval", CHECK_INTERVAL_S.to_string()),
        ("failure_threshold", CHECK_FAILURES.to_string()),
    ];
    block(out, &format!("resource \"aws_route53_health_check\" \"{label}\""), &attributes, "");
}

fn pinning_check(out: &mut String) {
    out.push_str("\n# All names: the health check that pins them. It is disabled, and so always healthy.\n");
    let attributes = [
        ("type", text("HTTP")),
        ("disabled", "true".to_owned()),
        ("invert_healthcheck", "false".to_owned()),
        ("fqdn", text(PIN_HOST)),
        ("port", PIN_PORT.to_string()),
        ("request_interval", PIN_INTERVAL_S.to_string()),
        ("failure_threshold", PIN_FAILURES.to_string()),
    ];
    block(out, "resource \"aws_route53_health_check\" \"muster_pin\"", &attributes, "");
    let output = [
        ("description", text("pinHealthCheckId, for the policies.")),
        ("value", "aws_route53_health_check.muster_pin.id".to_owned()),
    ];
    block(out, "output \"muster_pin\"", &output, "");
}

/// Muster swaps the roles of the two records and their health check later; Terraform must leave that as it is.
fn record(out: &mut String, name: &NamePlan, side: &Side, role: &str, check: Option<String>) {
    let mut attributes = vec![
        ("zone_id", text(&name.zone_id)),
        ("name", text(&name.record)),
        ("type", text(name.kind)),
        ("ttl", name.ttl_s.to_string()),
        ("records", format!("[{}]", text(&side.at.address))),
        ("set_identifier", text(side.at.region.as_str())),
    ];
    attributes.extend(check.map(|check| ("health_check_id", check)));
    let rest = format!(
        "  failover_routing_policy {{\n    type = {}\n  }}\n\n  lifecycle {{\n    # Muster swaps the two records' roles.\n    ignore_changes = [failover_routing_policy, health_check_id]\n  }}\n",
        text(role)
    );
    let head = format!("resource \"aws_route53_record\" \"{}\"", label(name, &side.at.region));
    block(out, &head, &attributes, &rest);
}

fn add_rights(out: &mut String, index: usize, rights: &Rights) {
    let role = if let (Some(arn), Some(name)) = (&rights.role, rights.role_name()) {
        let _ = write!(out, "\n# Rights of {arn}, in its account. `muster aws iam` shows who may assume it.");
        text(name)
    } else {
        out.push_str("\n# Rights of what Muster runs as.");
        "var.muster_role".to_owned()
    };
    let head = format!("resource \"aws_iam_role_policy\" \"muster_names_{}\"", index + 1);
    block(out, &head, &[("name", text("muster-names")), ("role", role)], &policy(&rights.policy));
}
