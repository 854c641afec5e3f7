//! A plan as a script of `aws` calls. Nothing is made twice: buckets and health checks that are there already are found again,
//! and records that are there already end the script, which is why they come last.
//!
//! What this module must never do: write a secret into the script, or onto a command line, where every user of the machine sees
//! it; documents go through standard input. Make a record before the checkers of its health check have looked.

use super::dns::{NamePlan, Objects, Plan, Side, Way, pin_check};
use super::iam::Rights;
use super::references::References;
use muster_core::ids::RegionName;
use muster_providers::route53::HealthObjectConfig;
use muster_providers::route53::setup::wanted::{CHECK_FAILURES, PIN_STEM, caller_reference};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;

const HEAD: &str = "\
#!/bin/sh
# What must exist before Muster can move these names, for the AWS CLI. Made by `muster aws plan-dns`: read it before you run it.
# It makes buckets, health checks and rights, waits until the health checkers have looked, and makes the records. They come last:
# where some are there already, Route 53 refuses the new ones and changes nothing.
set -eu
";

/// As `--apply` waits: every checker must have seen that the object is not on, and then once more. Bounded: 60 rounds of 5 s.
const AWAIT_CHECKERS: &str = r#"# A new inverted health check is unhealthy until its checkers have looked, and would send the name to its SECONDARY.
await_checkers() { # whose it is; its id
  echo "waiting until every checker of the health check of $1 has looked twice, 5 minutes at most" >&2
  before='' looked=0 on=0 tries=0
  while [ "$tries" -lt 60 ]; do
    answer=$(aws route53 get-health-check-status --health-check-id "$2" --output text --query \
      'HealthCheckObservations[].[IPAddress, StatusReport.CheckedTime, StatusReport.Status]') || break
    now='' looked=0 on=0 new=0 once=0
    while read -r checker at status; do
      case $at in '' | None) continue ;; esac
      looked=$((looked + 1))
      now="$now $checker@$at "
      case $status in Success*200*) on=$((on + 1)) ;; esac
      case $before in
        *" $checker@$at "*) once=$((once + 1)) ;;
        *" $checker@"*) ;;
        *) new=$((new + 1)) ;;
      esac
    done <<ANSWER
$answer
ANSWER
    if [ "$on" -gt 0 ]; then
      before=''
    elif [ "$new" -gt 0 ]; then
      before=$now
    elif [ "$looked" -gt 0 ] && [ "$once" -eq 0 ]; then
      return 0
    fi
    tries=$((tries + 1))
    sleep 5
  done
  echo "The checkers of the health check of $1 have not all been seen to look twice and find its object off:" >&2
  echo "$looked have looked, $on see it on. Look at: aws route53 get-health-check-status --health-check-id $2" >&2
  echo "No record was made or changed, and the name answers as before. An object that is on must be off first." >&2
  echo "Run this script again then: it finds what it has made." >&2
  exit 1
}
"#;

// A look and the next one.
const _: () = assert!(CHECK_FAILURES == 2, "await_checkers waits for two looks");

/// The script; every line ended.
pub fn script(plan: &Plan) -> String {
    let mut out = HEAD.to_owned();
    require_variables(&mut out, plan);
    for (index, name) in plan.names.iter().enumerate() {
        let Way::Objects(objects) = &name.way else { continue };
        title(&mut out, &format!("{} `{}`: buckets and health checks", name.policy, name.item));
        for side in objects.sides() {
            if !side.readable.is_empty() {
                bucket(&mut out, side);
            }
            health_check(&mut out, index, objects, side);
        }
    }
    let pins = plan.by_objects().next().is_some();
    if pins {
        pinning_check(&mut out);
    }
    let references = references(plan);
    for rights in &plan.rights {
        add_rights(&mut out, rights, &references);
    }
    if pins {
        await_checks(&mut out, plan);
    }
    for (index, name) in plan.names.iter().enumerate() {
        title(&mut out, &format!("{} `{}`: records of {}", name.policy, name.item, name.record));
        match &name.way {
            Way::Record(targets) => {
                let targets: Vec<&str> = targets.iter().map(|target| target.address.as_str()).collect();
                push(
                    &mut out,
                    "# Nothing to make: a flip makes the record. One that is there must be simple and point at",
                );
                push(&mut out, &format!("# one of: {}.", targets.join(", ")));
            }
            Way::Objects(objects) => records(&mut out, index, name, objects),
            Way::Controls(_) => {
                push(
                    &mut out,
                    "# Not made here: a cluster takes minutes, and is paid by the hour. `-o terraform` makes it, with its",
                );
                push(&mut out, "# control panel, routing controls, health checks and records.");
            }
        }
    }
    if pins {
        title(&mut out, "all names");
        push(&mut out, "echo \"pinHealthCheckId, for the policy: ${check_pin}\"");
    }
    out
}

fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

fn title(out: &mut String, text: &str) {
    out.push_str("\n# --- ");
    push(out, text);
}

/// In single quotes, which no shell looks into.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A document on standard input, as it is.
fn verbatim(out: &mut String, document: &str) {
    let _ = write!(out, " <<'JSON'\n{document}\nJSON\n");
}

/// A text that a shell fills nothing into, in a document on standard input.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('$', "\\$").replace('`', "\\`")
}

fn require_variables(out: &mut String, plan: &Plan) {
    let secrets: BTreeSet<_> = plan.by_objects().map(|(_, objects)| &objects.secret).collect();
    for secret in secrets {
        let (variable, reference) = (&secret.variable, &secret.reference);
        push(out, &format!(": \"${{{variable}:?set it to the value of Secret {reference}}}\""));
    }
    if plan.rights.iter().any(|rights| rights.role.is_none()) {
        push(out, ": \"${MUSTER_ROLE:?set it to the name of the role that Muster runs as}\"");
    }
}

fn bucket(out: &mut String, side: &Side) {
    let region = side.marker.aws_region.as_str();
    let place = format!("--bucket {} --region {}", quote(&side.marker.bucket), quote(region));
    // Of this one region S3 takes no constraint.
    let constraint = if region == "us-east-1" {
        String::new()
    } else {
        format!(" --create-bucket-configuration {}", quote(&format!("LocationConstraint={region}")))
    };
    push(out, &format!("aws s3api head-bucket {place} >/dev/null 2>&1 ||"));
    push(out, &format!("  aws s3api create-bucket {place}{constraint}"));
    push(out, &format!("aws s3api put-public-access-block {place} --public-access-block-configuration \\"));
    push(
        out,
        "  BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=false,RestrictPublicBuckets=false",
    );
    let _ = write!(out, "aws s3api put-bucket-policy {place} --policy file:///dev/stdin");
    verbatim(out, &side.bucket_policy().to_json());
}

/// The variable that holds the id of a region's health check.
fn check_variable(index: usize, region: &RegionName) -> String {
    format!("check_{}_{}", index + 1, region.as_str().replace('-', "_"))
}

fn health_check(out: &mut String, index: usize, objects: &Objects, side: &Side) {
    let variable = check_variable(index, &side.at.region);
    let sought = format!("{}${{{}}}", HealthObjectConfig::ON, objects.secret.variable);
    create_check(out, &variable, &side.caller_reference(), &side.health_check(&sought));
}

fn pinning_check(out: &mut String) {
    title(out, "all names: the health check that pins them");
    create_check(out, "check_pin", &caller_reference(PIN_STEM, 1), &pin_check());
}

fn create_check(out: &mut String, variable: &str, reference: &str, config: &Value) {
    push(out, "# If it was deleted since: count the last number of the reference up.");
    push(out, &format!("{variable}=$(aws route53 create-health-check --caller-reference {reference} \\"));
    push(out, "  --query HealthCheck.Id --output text --health-check-config file:///dev/stdin <<JSON");
    push(out, &format!("{}\nJSON\n)", pretty(config)));
}

/// What the script makes, by its variables.
fn references(plan: &Plan) -> References {
    let mut references = References::default();
    for (index, name) in plan.names.iter().enumerate() {
        let Way::Objects(objects) = &name.way else { continue };
        let arn =
            |partition: &str, check: &str| format!("arn:{partition}:route53:::healthcheck/${{{check}}}");
        for side in objects.sides() {
            let made = arn(&side.partition, &check_variable(index, &side.at.region));
            references.add(&side.marker.health_check, made);
        }
        if let Some(pin) = &objects.pin_check {
            references.add(pin, arn(&objects.primary.partition, "check_pin"));
        }
    }
    references
}

/// Before any record: where one name has to wait, no other is changed either.
fn await_checks(out: &mut String, plan: &Plan) {
    title(out, "all names: wait until the checkers have looked");
    out.push_str(AWAIT_CHECKERS);
    for (index, name) in plan.names.iter().enumerate() {
        let Way::Objects(objects) = &name.way else { continue };
        for side in objects.sides() {
            let region = &side.at.region;
            let of = quote(&format!("{} {} {region}", name.policy, name.item));
            push(out, &format!("await_checkers {of} \"${{{}}}\"", check_variable(index, region)));
        }
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// On the health checks that were made, and not on what policies call them until then.
fn add_rights(out: &mut String, rights: &Rights, references: &References) {
    let role = if let (Some(arn), Some(name)) = (&rights.role, rights.role_name()) {
        title(out, &format!("rights of the role {arn}, in its account"));
        push(out, "# The role must exist: `muster aws iam` shows who may assume it.");
        quote(name)
    } else {
        title(out, "rights of the role that Muster runs as");
        "\"$MUSTER_ROLE\"".to_owned()
    };
    push(out, &format!("aws iam put-role-policy --role-name {role} --policy-name muster-names \\"));
    let document = references.fill_in(&rights.policy, escape);
    push(out, &format!("  --policy-document file:///dev/stdin <<JSON\n{document}\nJSON"));
}

fn records(out: &mut String, index: usize, name: &NamePlan, objects: &Objects) {
    let (primary, secondary) = (&objects.primary, &objects.secondary);
    let check = format!("${{{}}}", check_variable(index, &secondary.at.region));
    let batch = json!({"Changes": [
        create(name, primary, "PRIMARY", Some(&check)),
        create(name, secondary, "SECONDARY", None),
    ]});
    push(out, "# To move from a simple record, add its deletion to this batch.");
    let zone = quote(&name.zone_id);
    push(out, &format!("aws route53 change-resource-record-sets --hosted-zone-id {zone} \\"));
    push(out, &format!("  --change-batch file:///dev/stdin <<JSON\n{}\nJSON", pretty(&batch)));
    push(out, &format!("echo 'healthCheckId of {} {}, for the policy:'", name.policy, name.item));
    for side in objects.sides() {
        let region = &side.at.region;
        push(out, &format!("echo \"  {region}: ${{{}}}\"", check_variable(index, region)));
    }
}

fn create(name: &NamePlan, side: &Side, role: &str, check: Option<&str>) -> Value {
    let mut set = json!({
        "Name": name.record,
        "Type": name.kind,
        "TTL": name.ttl_s,
        "SetIdentifier": side.at.region.as_str(),
        "Failover": role,
        "ResourceRecords": [{"Value": side.at.address}],
    });
    if let Some(check) = check {
        set["HealthCheckId"] = json!(check);
    }
    json!({"Action": "CREATE", "ResourceRecordSet": set})
}
