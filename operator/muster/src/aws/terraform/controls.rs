//! Names that routing controls move.

use super::super::dns::{ControlSide, NamePlan};
use super::{block, label, text};
use std::fmt::Write;

/// Between two changes of the same controls, against flapping: what AWS takes if nothing is said.
const WAIT_PERIOD_MS: u32 = 5000;

/// The cluster, for all names.
pub(super) fn cluster(out: &mut String) {
    out.push_str("\n# All names: one cluster, USD 2.50 an hour. If you have one, use its ARN instead.\n");
    let head = "resource \"aws_route53recoverycontrolconfig_cluster\" \"muster\"";
    block(out, head, &[("name", text("muster"))], "");
    let output = [
        ("description", text("endpoints, for the policies.")),
        ("value", "aws_route53recoverycontrolconfig_cluster.muster.cluster_endpoints".to_owned()),
    ];
    block(out, "output \"muster_cluster_endpoints\"", &output, "");
}

/// Panel, controls, rule, health checks and records of one name.
pub(super) fn name_of(out: &mut String, name: &NamePlan, sides: &[ControlSide]) {
    let whole = format!("muster_{}_{}", name.policy.as_str().replace(['/', '.'], "_"), name.item);
    let cluster = ("cluster_arn", "aws_route53recoverycontrolconfig_cluster.muster.arn".to_owned());
    let panel_name = text(&whole.replace('_', "-"));
    let head = format!("resource \"aws_route53recoverycontrolconfig_control_panel\" \"{whole}\"");
    block(out, &head, &[("name", panel_name), cluster.clone()], "");
    let panel = ("control_panel_arn", format!("aws_route53recoverycontrolconfig_control_panel.{whole}.arn"));
    for side in sides {
        let label = label(name, &side.at.region);
        let head = format!("resource \"aws_route53recoverycontrolconfig_routing_control\" \"{label}\"");
        block(out, &head, &[("name", text(side.at.region.as_str())), cluster.clone(), panel.clone()], "");
        let head = format!("resource \"aws_route53_health_check\" \"{label}\"");
        let attributes =
            [("type", text("RECOVERY_CONTROL")), ("routing_control_arn", format!("{}.arn", control(&label)))];
        block(out, &head, &attributes, "");
        record(out, name, side, &label);
    }
    rule(out, name, sides, &whole, panel);
    ids(out, name, sides, &whole);
}

/// The resource of a routing control.
fn control(label: &str) -> String {
    format!("aws_route53recoverycontrolconfig_routing_control.{label}")
}

fn record(out: &mut String, name: &NamePlan, side: &ControlSide, label: &str) {
    let attributes = [
        ("zone_id", text(&name.zone_id)),
        ("name", text(&name.record)),
        ("type", text(name.kind)),
        ("ttl", name.ttl_s.to_string()),
        ("records", format!("[{}]", text(&side.at.address))),
        ("set_identifier", text(side.at.region.as_str())),
        ("health_check_id", format!("aws_route53_health_check.{label}.id")),
    ];
    let head = format!("resource \"aws_route53_record\" \"{label}\"");
    block(out, &head, &attributes, "  weighted_routing_policy {\n    weight = 1\n  }\n");
}

/// One region at least is on: else Route 53 would answer all of them.
fn rule(out: &mut String, name: &NamePlan, sides: &[ControlSide], whole: &str, panel: (&str, String)) {
    out.push_str("\n# New routing controls are off, and then Route 53 answers as if all were on. Switch the first on before the\n");
    let first = sides.first().map(|side| side.at.region.as_str()).unwrap_or_default();
    let _ = writeln!(out, "# records are made, at one of the cluster's endpoints: here {first}.");
    let controls: Vec<String> =
        sides.iter().map(|side| format!("{}.arn", control(&label(name, &side.at.region)))).collect();
    let attributes = [
        ("name", text(&format!("{}-one-on", whole.replace('_', "-")))),
        panel,
        ("wait_period_ms", WAIT_PERIOD_MS.to_string()),
        ("asserted_controls", format!("[{}]", controls.join(", "))),
    ];
    let config =
        "  rule_config {\n    inverted  = false\n    threshold = 1\n    type      = \"ATLEAST\"\n  }\n";
    let head = format!("resource \"aws_route53recoverycontrolconfig_safety_rule\" \"{whole}\"");
    block(out, &head, &attributes, config);
}

/// What the policy needs to know.
fn ids(out: &mut String, name: &NamePlan, sides: &[ControlSide], whole: &str) {
    let mut value = String::new();
    for side in sides {
        let label = label(name, &side.at.region);
        let _ = writeln!(value, "    {} = {{", text(side.at.region.as_str()));
        let _ = writeln!(value, "      routingControlArn = {}.arn", control(&label));
        let _ = writeln!(value, "      healthCheckId     = aws_route53_health_check.{label}.id");
        value.push_str("    }\n");
    }
    let description = text("routingControlArn and healthCheckId of each region, for the policy.");
    let head = format!("output \"{whole}\"");
    block(out, &head, &[("description", description)], &format!("  value = {{\n{value}  }}\n"));
}
