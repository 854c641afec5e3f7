//! What policies need of AWS: the documents, the plan in its three forms, and that docs/aws.md shows the same.

use muster::aws::iam::{Part, Rights, rights};
use muster::aws::{CheckedPolicy, dns, read_policies, shell, terraform};
use muster::cli::paint::Paint;
use muster::cli::view::{self, Look};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(file(path)).expect("a file of the project")
}

fn policies(text: &str) -> Vec<CheckedPolicy> {
    read_policies(text).expect("good policies")
}

fn good(name: &str) -> Vec<CheckedPolicy> {
    policies(&read(&format!("tests/policies/good/{name}.yaml")))
}

fn look() -> Look {
    Look { width: 100, paint: Paint::PLAIN, zone: jiff::tz::TimeZone::UTC }
}

/// A whole policy around a part that docs/aws.md shows.
fn policy_with(fragment: &str) -> String {
    let mut text =
        "apiVersion: muster.dev/v1alpha1\nkind: RegionFailoverPolicy\nmetadata: {name: shown}\nspec:\n"
            .to_owned();
    text.push_str(
        "  probes: [{name: api, side: Both, http: {get: \"https://{{ region.name }}.example.com/\"}}]\n",
    );
    if !fragment.contains("regions:\n- {name:") {
        text.push_str("  regions: [{name: us-east-1}, {name: us-west-2}]\n");
    }
    if !fragment.contains("data:\n") {
        text.push_str(
            "  data:\n  - name: orders\n    postgres:\n      database: shop\n      user: muster\n      passwordSecret: {name: pg, key: muster}\n      application: {user: shop, passwordSecret: {name: pg, key: shop}}\n      nodes: [{region: us-east-1, host: db.east.example.com}, {region: us-west-2, host: db.west.example.com}]\n",
        );
    }
    for line in fragment.lines() {
        text.push_str("  ");
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// What stands between code fences of a language.
fn fenced(text: &str, language: &str) -> Vec<String> {
    let open = format!("```{language}\n");
    let blocks = text.split(&open).skip(1);
    blocks.map(|rest| rest.split("\n```").next().unwrap_or_default().to_owned()).collect()
}

fn role_policy(all: &[Rights]) -> Value {
    let of_role = all.iter().find(|rights| rights.role.is_some()).expect("a role");
    serde_json::to_value(&of_role.policy).expect("JSON")
}

fn snapshot(name: &str, text: &str) {
    insta::with_settings!(
        { snapshot_path => "aws", prepend_module_to_snapshot => false, omit_expression => true },
        { insta::assert_snapshot!(name, text); }
    );
}

/// Docs show the rights of the very policies that they show.
#[test]
fn the_documents_of_the_docs_are_what_their_policies_need() {
    let docs = read("../../docs/aws.md");
    let shown: Vec<Value> =
        fenced(&docs, "json").iter().map(|json| serde_json::from_str(json).expect("JSON")).collect();
    let needed: Vec<Value> = fenced(&docs, "yaml")
        .iter()
        .map(|fragment| role_policy(&rights(&policies(&policy_with(fragment)), Part::Everything, None)))
        .collect();
    assert!(shown.len() > 3, "{}", shown.len());
    for (shown, needed) in shown.iter().zip(&needed) {
        assert_eq!(shown, needed, "docs/aws.md is stale: it needs\n{needed:#}");
    }
    assert_eq!(shown.len(), needed.len());
}

#[test]
fn rights_are_shown_with_a_reason_for_each() {
    let mut all = good("aurora");
    all.extend(good("health-object"));
    let rights = rights(&all, Part::Everything, Some("arn:aws:iam::111122223333:role/base"));
    snapshot("rights", &view::aws::rights(&rights, &look()));
}

#[test]
fn every_statement_says_on_what_and_has_a_name_of_its_own() {
    let record = policy_with(&fenced(&read("../../docs/aws.md"), "yaml")[1]);
    let mut all = policies(&record);
    all.extend(policies(
        &record
            .replace("record: shop.", "record: cart.")
            .replace("roleArn", "#")
            .replace("externalIdSecret", "#"),
    ));
    all.extend(policies(&record.replace("record: shop.", "record: blog.")));
    all.extend(good("aurora"));
    all.extend(good("health-object"));
    all.extend(good("routing-control"));
    let rights = rights(&all, Part::Everything, None);
    let roles: Vec<Option<&str>> = rights.iter().map(|rights| rights.role.as_deref()).collect();
    assert_eq!(roles, [None, Some("arn:aws:iam::111122223333:role/muster")]);
    for rights in &rights {
        let statements = &rights.policy.statement;
        assert!(statements.iter().all(|statement| !statement.resource.is_empty()), "{rights:?}");
        let sids: BTreeSet<&str> = statements.iter().map(|statement| statement.sid.as_str()).collect();
        assert_eq!(sids.len(), statements.len(), "{sids:?}");
        assert_eq!(rights.reasons.len(), statements.len());
    }
    assert!(
        rights[1].policy.statement.iter().any(|statement| statement.sid == "ReplaceTheNameAndItsWitness2")
    );
}

#[test]
fn only_a_policy_that_lets_clusters_be_detached_gets_the_right_to() {
    let removes = |name: &str| {
        let rights = rights(&good(name), Part::Everything, None);
        let statements = rights.iter().flat_map(|rights| &rights.policy.statement);
        let own = statements.filter(|statement| statement.sid == "TakeTheTargetOutOfThisGlobalDatabase");
        own.map(|statement| serde_json::to_value(statement).expect("JSON")).collect::<Vec<_>>()
    };
    assert_eq!(removes("aurora"), Vec::<Value>::new());
    let [east, west] = &removes("aurora-detach")[..] else { panic!("one of each role") };
    for statement in [east, west] {
        assert_eq!(statement["Action"], "rds:RemoveFromGlobalCluster");
        assert!(statement["Resource"].to_string().contains("global-cluster:orders-global"), "{statement}");
    }
}

#[test]
fn only_who_knows_the_external_id_may_take_the_role_and_no_document_shows_it() {
    let rights = rights(&good("aurora"), Part::Everything, None);
    let trust = rights.iter().find_map(|rights| rights.trust.as_ref()).expect("of the role").to_json();
    assert!(trust.contains("<the value of Secret aws/external-id>"), "{trust}");
    assert!(trust.contains("ARN-OF-WHAT-MUSTER-RUNS-AS"), "{trust}");
}

#[test]
fn the_plan_of_a_name_is_told_scripted_and_written_for_terraform() {
    let plan = dns::plan(&good("health-object"), None).expect("a plan");
    snapshot("plan-text", &view::aws::plan(&plan, &look()));
    snapshot("plan-cli", &shell::script(&plan));
    snapshot("plan-terraform", &terraform::configuration(&plan));
}

#[test]
fn what_routing_controls_need_is_told_and_written_for_terraform() {
    let plan = dns::plan(&good("routing-control"), Some("west")).expect("a plan");
    snapshot("plan-controls-text", &view::aws::plan(&plan, &look()));
    snapshot("plan-controls-terraform", &terraform::configuration(&plan));
    assert!(shell::script(&plan).contains("# Not made here: a cluster takes minutes"));
}

#[test]
fn whoever_switches_routing_controls_may_override_no_safety_rule() {
    let rights = rights(&good("routing-control"), Part::Everything, None);
    let [own] = &rights[..] else { panic!("{rights:?}") };
    let switching = own.policy.statement.iter().find(|s| s.sid == "SwitchTheRoutingControlsOfThisName");
    let switching = serde_json::to_value(switching.expect("the right to switch")).expect("JSON");
    let allowed = &switching["Condition"]["Bool"]["route53-recovery-cluster:AllowSafetyRulesOverrides"];
    assert_eq!((allowed, switching["Resource"].as_array().map(Vec::len)), (&Value::from("false"), Some(3)));
}

#[test]
fn a_bucket_that_names_share_is_made_once_with_the_objects_of_all() {
    let mut both = good("health-object");
    let other = read("tests/policies/good/health-object.yaml")
        .replace("name: checkout,", "name: cart,")
        .replace("record: shop.example.org", "record: cart.example.org")
        .replace("key: markers/shop,", "");
    both.extend(policies(&other));
    let plan = dns::plan(&both, None).expect("a plan");
    let (script, terraform) = (shell::script(&plan), terraform::configuration(&plan));
    assert_eq!(script.matches("s3api put-bucket-policy").count(), 2, "{script}");
    assert_eq!(terraform.matches("resource \"aws_s3_bucket\"").count(), 2, "{terraform}");
    for text in [script, terraform] {
        for key in [
            "shop-east/muster/cart.example.org",
            "shop-east/muster/shop.example.org",
            "shop-west/markers/shop",
        ] {
            assert!(text.contains(&format!("\"arn:aws:s3:::muster-{key}\"")), "{key}: {text}");
        }
    }
}

#[test]
fn nothing_is_made_for_a_name_that_is_moved_by_its_record() {
    let record = policy_with(&fenced(&read("../../docs/aws.md"), "yaml")[1]);
    let plan = dns::plan(&policies(&record), None).expect("a plan");
    let script = shell::script(&plan);
    assert!(!script.contains("\naws route53 ") && script.contains("aws iam put-role-policy"), "{script}");
    assert!(!terraform::configuration(&plan).contains("aws_route53_record\""));
}

#[test]
fn the_primary_record_is_the_active_region_s_and_watches_the_other_one_s_object() {
    let primary = |active| {
        let plan = dns::plan(&good("health-object"), active).expect("a plan");
        let dns::Way::Objects(objects) = &plan.names[0].way else { panic!("{plan:?}") };
        let [primary, secondary] = objects.sides();
        let script = shell::script(&plan);
        let check = format!("${{check_1_{}}}", secondary.at.region);
        assert!(script.contains(&format!("\"HealthCheckId\": \"{check}\"")), "{script}");
        assert_eq!(script.matches("\"HealthCheckId\"").count(), 1, "the secondary has none");
        primary.at.region.to_string()
    };
    assert_eq!(primary(None), "east");
    assert_eq!(primary(Some("west")), "west");
    let error = dns::plan(&good("health-object"), Some("north")).unwrap_err();
    assert_eq!(error.to_string(), "shop/checkout: the name `other` has no region north; it has east, west");
}

#[test]
fn no_terraform_makes_a_record_before_it_is_told_to_nor_takes_one_away() {
    for name in ["health-object", "routing-control"] {
        let terraform = terraform::configuration(&dns::plan(&good(name), None).expect("a plan"));
        let resources: Vec<&str> = terraform.split("\nresource ").skip(1).collect();
        let records = resources.iter().filter(|resource| resource.starts_with("\"aws_route53_record\""));
        let records: Vec<&str> = records.filter_map(|record| record.split("\n}\n").next()).collect();
        assert!(records.len() > 1, "{terraform}");
        for record in records {
            let gate = "= contains(var.muster_create_records, \"shop.example.org\") ? 1 : 0\n";
            assert!(record.contains(gate) && record.contains("prevent_destroy = true"), "{record}");
        }
        assert!(terraform.contains("default     = []\n"), "{terraform}");
    }
}

#[test]
fn records_of_objects_are_handed_over_and_those_of_routing_controls_stay_with_terraform() {
    let terraform_of = |name| terraform::configuration(&dns::plan(&good(name), None).expect("a plan"));
    let (objects, controls) = (terraform_of("health-object"), terraform_of("routing-control"));
    let addresses =
        ["east", "west"].map(|region| format!("'aws_route53_record.muster_shop_checkout_other_{region}[0]'"));
    assert!(objects.contains(&format!("terraform state rm {}\n", addresses.join(" "))), "{objects}");
    assert!(!controls.contains("terraform state rm"), "{controls}");
    let first = "Switch that of east on";
    assert!(controls.contains(first) && controls.contains("update-routing-control-states"), "{controls}");
}

#[test]
fn rights_are_to_what_is_made_and_not_to_what_the_policy_calls_it_until_then() {
    let texts = |name| {
        let plan = dns::plan(&good(name), None).expect("a plan");
        [shell::script(&plan), terraform::configuration(&plan)]
    };
    let placeholders = ["11111111-2222", "66666666-7777", "99999999-0000", "routingcontrol/"];
    let is_named = |text: &str| placeholders.iter().any(|placeholder| text.contains(placeholder));
    let [script, terraform] = texts("health-object");
    assert!(!is_named(&script) && script.contains("\"arn:aws:route53:::healthcheck/${check_1_west}\""));
    let check = "\"${aws_route53_health_check.muster_shop_checkout_other_west.arn}\"";
    assert!(!is_named(&terraform) && terraform.contains(check), "{terraform}");
    // The script makes no routing control, so it has none to refer to.
    let [script, terraform] = texts("routing-control");
    let control =
        "\"${aws_route53recoverycontrolconfig_routing_control.muster_shop_checkout_shop_west.arn}\"";
    assert!(is_named(&script) && !is_named(&terraform));
    assert_eq!(terraform.matches(control).count(), 2, "to see and to switch: {terraform}");
}

/// Stands before the script, for the AWS CLI: it notes its calls, and tells of a health check what the next file says, else what
/// the last one does. No time passes between two looks.
const STAND_IN: &str = r#"
aws() {
  echo "$1 $2" >>"$STAND_IN/calls"
  case "$1 $2" in
    "route53 create-health-check") echo "id-of-$4" ;;
    "route53 get-health-check-status")
      look=$(($(cat "$STAND_IN/look") + 1))
      echo "$look" >"$STAND_IN/look"
      [ -f "$STAND_IN/answer-$look" ] || look=last
      cat "$STAND_IN/answer-$look" ;;
  esac
}
sleep() { :; }
"#;

/// Runs the script of a name, with these answers about its health checks, of which the last stays. Gives the calls too.
fn run_script(answers: &[&str]) -> (Output, Vec<String>) {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(at(name), text).expect("written");
    for (index, answer) in answers.iter().enumerate() {
        write(&format!("answer-{}", index + 1), answer);
    }
    write("answer-last", answers.last().expect("an answer"));
    write("look", "0\n");
    let script = shell::script(&dns::plan(&good("health-object"), None).expect("a plan"));
    write("script", &format!("{STAND_IN}{script}"));
    let output = Command::new("sh")
        .arg(at("script"))
        .env("STAND_IN", folder.path())
        .env("MUSTER_SECRET_AWS_MARKER", "0123456789abcdef")
        .env("MUSTER_ROLE", "muster")
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let calls = std::fs::read_to_string(at("calls")).expect("calls");
    (output, calls.lines().map(str::to_owned).collect())
}

/// Checkers with the time of their last look, which saw that the object is not on.
fn off(looks: &[(&str, u32)]) -> String {
    let line = |(checker, at): &(&str, u32)| {
        format!("{checker}\t2026-11-01T00:00:{at:02}+00:00\tFailure: HTTP Status Code: 403. Forbidden\n")
    };
    looks.iter().map(line).collect()
}

#[test]
fn the_script_makes_records_once_every_checker_has_seen_twice_that_the_object_is_off() {
    let two = off(&[("192.0.2.1", 10), ("192.0.2.2", 11)]);
    let one_again = off(&[("192.0.2.1", 20), ("192.0.2.2", 11)]);
    let third_came = off(&[("192.0.2.1", 20), ("192.0.2.2", 21), ("192.0.2.3", 22)]);
    let third_came = format!("{third_came}192.0.2.4\tNone\tNone\n");
    let all_again = off(&[("192.0.2.1", 30), ("192.0.2.2", 31), ("192.0.2.3", 32)]);
    let both_again = off(&[("192.0.2.1", 40), ("192.0.2.2", 41)]);
    // Of one region, then of the other.
    let answers: [&str; 7] = ["", &two, &one_again, &third_came, &all_again, &two, &both_again];
    let (output, calls) = run_script(&answers);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let looks = calls.iter().filter(|call| *call == "route53 get-health-check-status").count();
    assert_eq!(looks, answers.len(), "{calls:?}");
    assert_eq!(calls.last().map(String::as_str), Some("route53 change-resource-record-sets"));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("  west: id-of-muster-aa33b7fef17dffdc-1\n"), "{told}");
}

#[test]
fn the_script_makes_no_record_while_a_checker_sees_the_object_on() {
    let on = "192.0.2.1\t2026-11-01T00:00:10+00:00\tSuccess: HTTP Status Code: 200. OK\n";
    let answer = format!("{on}{}", off(&[("192.0.2.2", 11)]));
    let (output, calls) = run_script(&[answer.as_str()]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(!calls.iter().any(|call| call.contains("change-resource-record-sets")), "{calls:?}");
    assert!(told.contains("2 have looked, 1 see it on") && told.contains("No record was made"), "{told}");
    assert!(told.contains("--health-check-id id-of-muster-45065b10403e75bd-1"), "{told}");
}

#[test]
fn the_script_is_valid_shell() {
    let script = shell::script(&dns::plan(&good("health-object"), None).expect("a plan"));
    let mut sh = Command::new("sh").arg("-n").stdin(Stdio::piped()).spawn().expect("sh");
    sh.stdin.take().expect("piped").write_all(script.as_bytes()).expect("written");
    assert!(sh.wait().expect("an end").success(), "{script}");
}

fn muster(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_muster")).arg("aws").args(args).output().expect("it runs")
}

#[test]
fn the_verbs_read_several_files_and_end_as_validate_does() {
    let path = |name: &str| file(&format!("tests/policies/{name}.yaml")).display().to_string();
    let (aurora, name, least) = (path("good/aurora"), path("good/health-object"), path("good/least"));
    let both = muster(&["iam", "-o", "json", "-f", &aurora, &name]);
    let answer: Value = serde_json::from_slice(&both.stdout).expect("JSON");
    assert_eq!(answer["documents"].as_array().map(Vec::len), Some(2), "{answer:#}");
    assert_eq!(answer["documents"][0]["policy"]["Version"], "2012-10-17");
    let nothing = muster(&["iam", "-f", &least]);
    assert!(nothing.status.success() && nothing.stdout.is_empty());
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("no item of these policies uses AWS"));
    let broken = muster(&["plan-dns", "-f", &path("broken/86-route53-no-way")]);
    assert_eq!(broken.status.code(), Some(1));
    assert!(broken.stdout.is_empty() && String::from_utf8_lossy(&broken.stderr).contains("flip"));
    assert_eq!(muster(&["iam", "-f", "no/such/file.yaml"]).status.code(), Some(2));
    assert_eq!(muster(&["plan-dns", "-f", &name, "--active", "north"]).status.code(), Some(4));
    let controls = muster(&["plan-dns", "--apply", "--yes", "-f", &path("good/routing-control")]);
    let told = String::from_utf8_lossy(&controls.stderr).into_owned();
    assert!(!controls.status.success() && told.contains("--apply makes no cluster"), "{told}");
    let script = muster(&["plan-dns", "-o", "cli", "-f", &name]);
    assert!(String::from_utf8_lossy(&script.stdout).starts_with("#!/bin/sh\n"));
}

#[test]
fn the_policy_of_the_first_drill_is_good_without_a_warning() {
    use muster::convert::validate::validate_text;
    use muster::convert::{Environment, UnresolvedSecrets};

    let docs = read("../../docs/aws.md");
    let whole: Vec<&str> = docs
        .split("<<'YAML'\n")
        .skip(1)
        .filter_map(|rest| rest.split("\nYAML\n").next())
        .filter(|text| text.contains("kind: RegionFailoverPolicy"))
        .collect();
    let [drill] = whole[..] else { panic!("one whole policy is shown, not {}", whole.len()) };
    let report = validate_text(drill, Environment::Cluster, &UnresolvedSecrets);
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
    assert_eq!(report.good, ["drill/drill"]);
    // Of what it names everything can be planned.
    assert!(!rights(&policies(drill), Part::Everything, None).is_empty());
}
