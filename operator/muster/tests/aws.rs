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
