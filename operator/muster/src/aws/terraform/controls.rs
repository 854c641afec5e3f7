//! Names that routing controls move.

use super::super::dns::{ControlSide, NamePlan};
use super::{GATE, KEEP, block, count_of, label, text, whole_label};
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
    let whole = whole_label(name);
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
    }
    rule(out, name, sides, &whole, panel);
    switch_on(out, name, sides, &whole);
    for side in sides {
        record(out, name, side);
    }
    ids(out, name, sides, &whole);
}

/// The resource of a routing control.
pub(super) fn control(label: &str) -> String {
    format!("aws_route53recoverycontrolconfig_routing_control.{label}")
}

/// When the records may be made.
fn switch_on(out: &mut String, name: &NamePlan, sides: &[ControlSide], whole: &str) {
    let first = sides.first().map(|side| side.at.region.as_str()).unwrap_or_default();
    let record = &name.record;
    let _ = write!(
        out,
        "
# Records of {record}. New routing controls are off, and while none is on Route 53 answers with every region.
# So, after the first apply:
# 1. Switch that of {first} on, which serves now: its ARN is in the output {whole}, an endpoint and its
#    region in the output muster_cluster_endpoints.
#      aws route53-recovery-cluster update-routing-control-states --region REGION --endpoint-url ENDPOINT \\
#        --update-routing-control-state-entries RoutingControlArn=ARN,RoutingControlState=On
# 2. Put the name into {GATE}, beside what is in it already, and apply. It stays in it, best in terraform.tfvars:
#      {GATE} = [\"{record}\"]
#    Muster does not write these records, so Terraform keeps them. An apply that would delete them fails (prevent_destroy).
"
    );
}

fn record(out: &mut String, name: &NamePlan, side: &ControlSide) {
    let label = label(name, &side.at.region);
    let attributes = [
        count_of(name),
        ("zone_id", text(&name.zone_id)),
        ("name", text(&name.record)),
        ("type", text(name.kind)),
        ("ttl", name.ttl_s.to_string()),
        ("records", format!("[{}]", text(&side.at.address))),
        ("set_identifier", text(side.at.region.as_str())),
        ("health_check_id", format!("aws_route53_health_check.{label}.id")),
    ];
    let head = format!("resource \"aws_route53_record\" \"{label}\"");
    let rest = format!("  weighted_routing_policy {{\n    weight = 1\n  }}\n\n{KEEP}");
    block(out, &head, &attributes, &rest);
}

/// One region at least is on: else Route 53 would answer all of them.
fn rule(out: &mut String, name: &NamePlan, sides: &[ControlSide], whole: &str, panel: (&str, String)) {
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
