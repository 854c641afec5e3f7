//! A plan as Terraform, for the provider `hashicorp/aws`.
//!
//! What this module must never do: write a secret down (it is a variable; Terraform keeps what it was in its state, and a comment
//! says so); let the first apply make a record, whose health check is not what it has to be yet; let any apply take one away.

mod controls;

use super::dns::{NamePlan, Objects, Plan, Side, Way};
use super::iam::Rights;
use super::references::References;
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
# The first apply makes all but the records: what they hang on must be right before. What to do then stands at each name.
";

/// Holds the names whose records are made. Names, and not a switch for all: an object's records leave Terraform's state once they
/// are made, those of routing controls stay in it, and a name may come later.
const GATE: &str = "muster_create_records";

/// Of each record: else a name that is left out of the variable by mistake would be gone.
const KEEP: &str = "  lifecycle {\n    prevent_destroy = true\n  }\n";

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
    let references = references(plan);
    for (index, rights) in plan.rights.iter().enumerate() {
        add_rights(&mut out, index, rights, &references);
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
    format!("\"{}\"", escape(&text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// A text that Terraform fills nothing into.
fn escape(text: &str) -> String {
    text.replace("${", "$${").replace("%{", "%%{")
}

/// A document of IAM as an attribute, escaped already.
fn policy(json: &str) -> String {
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
    gate(out, plan);
}

/// The variable that holds the names whose records are made; a name that is none of the plan's is refused.
fn gate(out: &mut String, plan: &Plan) {
    let of_objects = plan.by_objects().map(|(name, _)| name);
    let gated = of_objects.chain(plan.by_controls().map(|(name, _)| name));
    let names: BTreeSet<String> = gated.map(|name| text(&name.record)).collect();
    if names.is_empty() {
        return;
    }
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    let description = text("The names whose records are made: none in the first apply.");
    let attributes =
        [("description", description), ("type", "set(string)".to_owned()), ("default", "[]".to_owned())];
    let validation = format!(
        "  validation {{\n    condition     = length(setsubtract(var.{GATE}, [{names}])) == 0\n    error_message = \"It may hold nothing but names of this file, as they are written here.\"\n  }}\n"
    );
    block(out, &format!("variable \"{GATE}\""), &attributes, &validation);
}

/// Whether the records of a name are made.
fn count_of(name: &NamePlan) -> (&'static str, String) {
    ("count", format!("contains(var.{GATE}, {}) ? 1 : 0", text(&name.record)))
}

/// What this file makes, by what policies call it.
fn references(plan: &Plan) -> References {
    let mut references = References::default();
    let check = |label: &str| format!("${{aws_route53_health_check.{label}.arn}}");
    for (name, objects) in plan.by_objects() {
        for side in objects.sides() {
            references.add(&side.marker.health_check, check(&label(name, &side.at.region)));
        }
        if let Some(pin) = &objects.pin_check {
            references.add(pin, check("muster_pin"));
        }
    }
    for (name, sides) in plan.by_controls() {
        for side in sides {
            let label = label(name, &side.at.region);
            references.add(&side.control.health_check, check(&label));
            references.add(&side.control.arn, format!("${{{}.arn}}", controls::control(&label)));
        }
    }
    references
}

/// What a name's resources are called, and the output that tells its ids.
fn whole_label(name: &NamePlan) -> String {
    format!("muster_{}_{}", name.policy.as_str().replace(['/', '.'], "_"), name.item)
}

/// What a name's resources in a region are called.
fn label(name: &NamePlan, region: &RegionName) -> String {
    format!("{}_{region}", whole_label(name))
}

fn objects_of(out: &mut String, name: &NamePlan, objects: &Objects) {
    for side in objects.sides() {
        if !side.readable.is_empty() {
            bucket(out, &label(name, &side.at.region), side);
        }
        health_check(out, &label(name, &side.at.region), objects, side);
    }
    hand_over(out, name, objects);
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
    let head = format!("output \"{}\"", whole_label(name));
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
    block(out, &head, &[of, region, after], &policy(&escape(&side.bucket_policy().to_json())));
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

/// When the records may be made, and that they are Muster's from then on: with identifiers that Terraform does not know.
fn hand_over(out: &mut String, name: &NamePlan, objects: &Objects) {
    let record = &name.record;
    let addresses = objects
        .sides()
        .map(|side| format!("'aws_route53_record.{}[0]'", label(name, &side.at.region)))
        .join(" ");
    let (secondary, output) = (&objects.secondary.at.region, whole_label(name));
    let _ = write!(
        out,
        "
# Records of {record}. A new inverted health check is unhealthy until its checkers have looked, and would send the name
# to {secondary}. So, after the first apply:
# 1. Wait until every checker of both says, in two looks, that the object is not there or holds another text. For each id of the
#    output {output}:
#      aws route53 get-health-check-status --health-check-id ID --output text \\
#        --query 'HealthCheckObservations[].StatusReport.[CheckedTime, Status]'
# 2. Put the name into {GATE}, beside what is in it already, and apply:
#      terraform apply -var '{GATE}=[\"{record}\"]'
# 3. At once, and before any other apply, take the records out of Terraform's state:
#      terraform state rm {addresses}
#    and the name out of {GATE}. The records are Muster's from now on: it gives them identifiers of its own, so
#    that Terraform would take them for gone. While the name is in the variable each apply tries to make them anew, and fails.
#    Without step 3 an apply that would delete them fails too (prevent_destroy).
#    Where nobody can change the state by hand, replace each of the two resources by a block `removed` instead: `from` it,
#    without [0], and with `lifecycle {{ destroy = false }}` (Terraform 1.7 or later).
"
    );
}

fn record(out: &mut String, name: &NamePlan, side: &Side, role: &str, check: Option<String>) {
    let mut attributes = vec![
        count_of(name),
        ("zone_id", text(&name.zone_id)),
        ("name", text(&name.record)),
        ("type", text(name.kind)),
        ("ttl", name.ttl_s.to_string()),
        ("records", format!("[{}]", text(&side.at.address))),
        ("set_identifier", text(side.at.region.as_str())),
    ];
    attributes.extend(check.map(|check| ("health_check_id", check)));
    let rest = format!("  failover_routing_policy {{\n    type = {}\n  }}\n\n{KEEP}", text(role));
    let head = format!("resource \"aws_route53_record\" \"{}\"", label(name, &side.at.region));
    block(out, &head, &attributes, &rest);
}

/// On the health checks and routing controls that are made, and not on what policies call them until then.
fn add_rights(out: &mut String, index: usize, rights: &Rights, references: &References) {
    let role = if let (Some(arn), Some(name)) = (&rights.role, rights.role_name()) {
        let _ = write!(out, "\n# Rights of {arn}, in its account. `muster aws iam` shows who may assume it.");
        text(name)
    } else {
        out.push_str("\n# Rights of what Muster runs as.");
        "var.muster_role".to_owned()
    };
    let head = format!("resource \"aws_iam_role_policy\" \"muster_names_{}\"", index + 1);
    let policy = policy(&references.fill_in(&rights.policy, escape));
    block(out, &head, &[("name", text("muster-names")), ("role", role)], &policy);
}
