//! The kinds as a real API server takes them: what is refused and why, defaults, ownership of fields, status, columns.
//!
//! A case is the good object with a few edits, sent with strict field validation as kubectl sends it, as a dry run. Each
//! rule of the definitions must be broken by a case.

#[path = "kinds/cases.rs"]
mod cases;

use anyhow::{Context, bail, ensure};
use cases::{Edit, NAMESPACE, POLICY_CASES, RUN_CASES, RUN_CHANGES, good_policy, good_run, largest_policy};
use futures::StreamExt;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams, Request};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, Status};
use kube::{Client, Config};
use muster_crds::{FailoverJournal, FailoverRun, RegionFailoverPolicy, load_policy_file, schema};
use muster_tests::cluster::{self, Cluster};
use muster_tests::operated::install_kinds;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Requests at once.
const AT_ONCE: usize = 8;

fn edited(good: &Value, edits: &[Edit]) -> anyhow::Result<Value> {
    let mut object = good.clone();
    for (pointer, text) in edits {
        let (parent, key) = pointer.rsplit_once('/').context("a pointer has a slash")?;
        let parent = object.pointer_mut(parent).with_context(|| format!("nothing is at {parent}"))?;
        let value = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
        match parent {
            Value::Array(items) if key == "-" => items.push(value),
            Value::Array(items) if text.is_empty() => drop(items.remove(key.parse()?)),
            Value::Array(items) => *items.get_mut(key.parse::<usize>()?).context("no such item")? = value,
            Value::Object(fields) if text.is_empty() => drop(fields.remove(key).context("no such field")?),
            Value::Object(fields) => drop(fields.insert(key.to_owned(), value)),
            _ => bail!("{pointer} is not in a list or an object"),
        }
    }
    Ok(object)
}

/// The cluster as the checks see it.
struct Server {
    cluster: Cluster,
    client: Client,
}

impl Server {
    async fn start() -> anyhow::Result<Self> {
        let cluster = Cluster::start("kinds", cluster::Options::default()).await?;
        install_kinds(&cluster).await?;
        cluster.kubectl(&["create", "namespace", NAMESPACE]).await?;
        let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig())?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Self { cluster, client: Client::try_from(config)? })
    }

    fn api<K: kube::Resource<DynamicType = ()>>(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), NAMESPACE, &ApiResource::erase::<K>(&()))
    }

    /// Creates, or with a name replaces, as kubectl does: unknown fields are errors. A dry run unless `keep`.
    async fn send(&self, object: &Value, name: Option<&str>, keep: bool) -> kube::Result<Value> {
        let kinds = match object["kind"].as_str() {
            Some("FailoverRun") => "failoverruns",
            _ => "regionfailoverpolicies",
        };
        let path = format!("/apis/muster.dev/v1alpha1/namespaces/{NAMESPACE}/{kinds}");
        let (request, body, none) =
            (Request::new(&path), object.to_string().into_bytes(), PostParams::default());
        let request = match name {
            None => request.create(&none, body),
            Some(name) => request.replace(name, &none, body),
        };
        let mut request = request.map_err(kube::Error::BuildRequest)?;
        let path = name.map_or_else(|| path.clone(), |name| format!("{path}/{name}"));
        let dry = if keep { "" } else { "&dryRun=All" };
        *request.uri_mut() =
            format!("{path}?fieldValidation=Strict{dry}").parse().expect("what is given is a path");
        self.client.request(request).await
    }

    /// Creates for good, and answers what is stored.
    async fn create(&self, object: &Value) -> anyhow::Result<Value> {
        self.send(object, None, true).await.with_context(|| format!("{}", object["metadata"]["name"]))
    }
}

/// What is taken must be read by Muster.
fn fits_the_types(object: &Value) -> Result<(), String> {
    let read = match object["kind"].as_str() {
        Some("FailoverRun") => FailoverRun::deserialize(object).map(|_| ()),
        _ => RegionFailoverPolicy::deserialize(object).map(|_| ()),
    };
    read.map_err(|error| format!("Muster cannot read it: {error}"))
}

/// What the API server said of a case, if it is not what was expected. `seen` collects what it said.
fn judge(
    case: &str,
    answer: kube::Result<Value>,
    expected: Option<(&str, &str)>,
    seen: &mut BTreeSet<String>,
) -> Option<String> {
    let status: Status = match (answer, expected) {
        (Ok(object), None) => {
            return fits_the_types(&object).err().map(|why| format!("{case}: taken, but {why}"));
        }
        (Ok(_), Some((field, _))) => return Some(format!("{case}: taken, in spite of {field}")),
        (Err(kube::Error::Api(status)), _) => *status,
        (Err(error), _) => return Some(format!("{case}: {error}")),
    };
    let causes = status.details.map(|details| details.causes).unwrap_or_default();
    seen.extend(causes.iter().map(|cause| cause.message.clone()));
    let Some((field, reason)) = expected else { return Some(format!("{case}: {}", status.message)) };
    let is_it = causes.iter().any(|cause| cause.field == field && cause.message.contains(reason));
    let in_text = causes.is_empty() && status.message.contains(field) && status.message.contains(reason);
    (!is_it && !in_text).then(|| format!("{case}: not {field}: {reason}, but {}", status.message))
}

async fn the_table_holds(server: &Server) -> anyhow::Result<String> {
    let (policy, run) = (good_policy(), good_run());
    let cases = POLICY_CASES.iter().map(|case| (&policy, case)).chain(RUN_CASES.iter().map(|c| (&run, c)));
    let sent = cases.map(|(good, (name, edits, expected))| async move {
        let object = edited(good, edits).with_context(|| (*name).to_owned())?;
        anyhow::Ok((*name, server.send(&object, None, false).await, *expected))
    });
    let answers: Vec<_> = futures::stream::iter(sent).buffer_unordered(AT_ONCE).collect().await;
    let (mut seen, mut wrong, count) = (BTreeSet::new(), Vec::new(), answers.len());
    for answer in answers {
        let (name, answer, expected) = answer?;
        wrong.extend(judge(name, answer, expected, &mut seen));
    }
    for (index, (name, before, change, expected)) in RUN_CHANGES.iter().enumerate() {
        let object_name = format!("change-{index}");
        let mut object = edited(&run, before)?;
        object["metadata"]["name"] = json!(object_name);
        let stored = server.create(&object).await?;
        let changed = edited(&stored, change).with_context(|| (*name).to_owned())?;
        let answer = server.send(&changed, Some(&object_name), false).await;
        wrong.extend(judge(name, answer, *expected, &mut seen));
    }
    ensure!(wrong.is_empty(), "{} of {count} cases:\n{}", wrong.len(), wrong.join("\n"));
    let mut rules = BTreeSet::new();
    for definition in schema::definitions() {
        collect_rules(&definition.crd, &mut rules);
    }
    rules.retain(|message| !seen.iter().any(|said| said.contains(message.as_str())));
    ensure!(rules.is_empty(), "no case breaks: {rules:#?}");
    let count = count + RUN_CHANGES.len();
    ensure!(count >= 60, "{count} cases");
    Ok(format!("{count} cases"))
}

fn collect_rules(schema: &Value, messages: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            let rules = fields.get("x-kubernetes-validations").and_then(Value::as_array);
            let own = rules.into_iter().flatten().filter_map(|rule| rule["message"].as_str());
            messages.extend(own.map(str::to_owned));
            fields.values().for_each(|inner| collect_rules(inner, messages));
        }
        Value::Array(items) => items.iter().for_each(|inner| collect_rules(inner, messages)),
        _ => {}
    }
}

/// What is left out is stored as the types say, for a policy and for a run.
async fn defaults_are_those_of_the_types(server: &Server) -> anyhow::Result<String> {
    let example = load_policy_file(include_str!("../../crds/examples/local.yaml"));
    let example = example.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let mut example = serde_json::to_value(example.first().context("the example has a policy")?)?;
    example["metadata"] = json!({"name": "example", "namespace": NAMESPACE});
    let mut least = edited(
        &good_policy(),
        &[
            ("/spec/mode", ""),
            ("/spec/detection", ""),
            ("/spec/safety", ""),
            ("/spec/objectives", ""),
            ("/metadata/name", "least"),
            ("/spec/probes/-", r#"{"name": "d", "dns": {"server": "a:1", "name": "x"}}"#),
            (
                "/spec/hooks/-",
                r#"{"name": "b", "at": "BeforeFence", "exec": {"command": ["x"], "status": ["x"]}}"#,
            ),
        ],
    )?;
    for policy in [&example, &least] {
        let stored = server.create(policy).await?;
        let typed: RegionFailoverPolicy = serde_json::from_value(policy.clone())?;
        ensure!(
            stored["spec"] == serde_json::to_value(&typed.spec)?,
            "{:#}\n{:#?}",
            stored["spec"],
            typed.spec
        );
        let again: RegionFailoverPolicy = serde_json::from_value(stored)?;
        ensure!(again.spec == typed.spec, "{:#?}", again.spec);
    }
    let stored = &server.api::<RegionFailoverPolicy>().get("least").await?.data["spec"];
    for (pointer, default) in [
        ("/mode", json!("Approve")),
        ("/detection/trip", json!({"failures": 3, "minOutage": "1m"})),
        ("/detection/aggregate", json!({"atLeast": 1})),
        ("/safety/cooldown", json!("1h")),
        ("/data/0/postgres/tls/mode", json!("VerifyFull")),
        ("/probes/4/dns/type", json!("A")),
    ] {
        ensure!(stored.pointer(pointer) == Some(&default), "{pointer}: {:?}", stored.pointer(pointer));
    }
    // A null is the same as nothing, where nothing is allowed.
    least["metadata"]["name"] = json!("nulls");
    (least["spec"]["mode"], least["spec"]["objectives"]) = (Value::Null, Value::Null);
    let nulls = server.create(&least).await?;
    ensure!(nulls["spec"] == *stored, "{:#}", nulls["spec"]);
    let run = edited(&good_run(), &[("/metadata/name", "plain")])?;
    let stored = server.create(&run).await?;
    let typed: FailoverRun = serde_json::from_value(run)?;
    ensure!(stored["spec"] == serde_json::to_value(&typed.spec)?, "{:#}", stored["spec"]);
    ensure!(stored["spec"]["trigger"] == "Person", "{:#}", stored["spec"]);
    Ok("two policies and a run".to_owned())
}

/// Two people who apply share a policy item by item, and are told when they want the same field.
async fn appliers_share_a_policy(server: &Server) -> anyhow::Result<String> {
    let api = server.api::<RegionFailoverPolicy>();
    let name = "shared";
    let part = |spec: Value| {
        Patch::Apply(json!({
            "apiVersion": "muster.dev/v1alpha1", "kind": "RegionFailoverPolicy",
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec,
        }))
    };
    let (platform, team) = (PatchParams::apply("platform"), PatchParams::apply("team"));
    let whole = good_policy()["spec"].clone();
    api.patch(name, &platform, &part(whole.clone())).await?;
    let secret = json!({"name": "a", "key": "b"});
    let own = json!({
        "vantages": [{"name": "v3", "tokenSecret": secret}],
        "probes": [{"name": "cart", "http": {"get": "http://x/cart"}}],
        "hooks": [{"name": "cache", "at": "AfterTraffic", "repeatSafe": true, "webhook": {"url": "http://x/"}}],
    });
    api.patch(name, &team, &part(own.clone())).await.context("items of one's own")?;
    let mut less = whole.clone();
    less["vantages"].as_array_mut().context("a list")?.pop();
    let after = api.patch(name, &platform, &part(less)).await.context("applied again")?;
    let names = |list: &str| -> Vec<&str> {
        let items = after.data["spec"][list].as_array();
        items.into_iter().flatten().filter_map(|item| item["name"].as_str()).collect()
    };
    ensure!(names("vantages") == ["v1", "v3"], "{:?}", names("vantages"));
    ensure!(names("probes") == ["order", "api", "beat", "rows", "cart"], "{:?}", names("probes"));
    ensure!(names("hooks") == ["warm", "cache"], "{:?}", names("hooks"));

    for (spec, field) in [
        (json!({"mode": "Observe"}), r#"conflict with "platform": .spec.mode"#),
        (json!({"probes": [{"name": "api", "every": "9s"}]}), r#".spec.probes[name="api"].every"#),
        (
            json!({"regions": [{"name": "east", "values": {"api": "x"}}]}),
            r#".spec.regions[name="east"].values.api"#,
        ),
    ] {
        let refused = api.patch(name, &team, &part(spec)).await.err().context("taken")?;
        let kube::Error::Api(status) = &refused else { bail!("{refused}") };
        ensure!(status.code == 409 && status.message.contains(field), "{field}: {}", status.message);
    }
    // Who leaves out what was theirs gives it up.
    let left = api.patch(name, &team, &part(json!({}))).await?;
    ensure!(
        left.data["spec"]["probes"].as_array().map(Vec::len) == Some(4),
        "{:#}",
        left.data["spec"]["probes"]
    );
    Ok("2 appliers, 3 conflicts".to_owned())
}

/// Who writes the status cannot change the spec, and the other way round.
async fn spec_and_status_have_their_own_writers(server: &Server) -> anyhow::Result<String> {
    let (params, mut count) = (PostParams::default(), 0);
    let policy = edited(&good_policy(), &[("/metadata/name", "parts")])?;
    let run = edited(&good_run(), &[("/metadata/name", "parts")])?;
    for (object, api, other) in [
        (&policy, server.api::<RegionFailoverPolicy>(), ("mode", "Observe")),
        (&run, server.api::<FailoverRun>(), ("approval", "")),
    ] {
        let stored: DynamicObject = serde_json::from_value(server.create(object).await?)?;
        let mut by_status = stored.clone();
        by_status.data["spec"][other.0] = json!(other.1);
        by_status.data["status"] = json!({"phase": "Pending"});
        let after = api.replace_status("parts", &params, &by_status).await?;
        ensure!(after.data["spec"] == stored.data["spec"], "{:#}", after.data["spec"]);
        ensure!(after.data["status"]["phase"] == "Pending", "{:#}", after.data["status"]);
        ensure!(after.metadata.generation == stored.metadata.generation, "a status is no edit");
        let mut by_spec = after.clone();
        by_spec.data["status"] = json!({"phase": "Failed"});
        by_spec.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
        let after = api.replace("parts", &params, &by_spec).await?;
        ensure!(after.data["status"]["phase"] == "Pending", "{:#}", after.data["status"]);
        let mut unknown = after.clone();
        unknown.data["status"] = json!({"phase": 7});
        let refused = api.replace_status("parts", &params, &unknown).await.err().context("taken")?;
        ensure!(refused.to_string().contains("status.phase"), "{refused}");
        count += 1;
    }
    let mut early = edited(&good_run(), &[("/metadata/name", "early")])?;
    early["status"] = json!({"phase": "Completed", "outcome": "Succeeded"});
    let early = server.create(&early).await?;
    ensure!(early.get("status").is_none(), "a run is created without a story: {:#}", early["status"]);
    Ok(format!("{count} kinds"))
}

/// The rules' cost stays within the budget of one request.
async fn the_largest_policy_is_taken(server: &Server) -> anyhow::Result<String> {
    let largest = largest_policy();
    let size = largest.to_string().len();
    let taken = server.send(&largest, None, false).await;
    taken.with_context(|| format!("{size} bytes"))?;
    for (list, most) in [
        ("regions", 8),
        ("vantages", 16),
        ("probes", 32),
        ("data", 8),
        ("traffic", 8),
        ("compute", 8),
        ("fence", 8),
        ("hooks", 16),
    ] {
        let mut more = largest.clone();
        let items = more["spec"][list].as_array_mut().context("a list")?;
        ensure!(items.len() == most, "{list} has {} items", items.len());
        let mut one = items.first().cloned().context("an item")?;
        one["name"] = json!("one-more");
        items.push(one);
        let refused = server.send(&more, None, false).await.err();
        let refused = refused.with_context(|| format!("{} {list} are taken", most + 1))?.to_string();
        ensure!(refused.contains(&format!("must have at most {most} items")), "{list}: {refused}");
    }
    Ok(format!("{} KB", size / 1024))
}

const JOURNAL: &str = r#"
apiVersion: muster.dev/v1alpha1
kind: FailoverJournal
metadata: {name: columns, namespace: shop}
spec: {owner: u, epoch: 42, term: 3, activeRun: out-42, changes: 7, lease: muster/muster, leaseNumber: 1, body: "{}"}
"#;

/// A policy, runs and a journal, as they look in mid-run and after.
async fn write_a_story(server: &Server) -> anyhow::Result<()> {
    let params = PostParams::default();
    let policy = edited(&good_policy(), &[("/metadata/name", "columns")])?;
    let mut policy: DynamicObject = serde_json::from_value(server.create(&policy).await?)?;
    policy.data["status"] = json!({
        "activeRegion": "east", "phase": "Executing", "step": "PromoteData orders",
        "activeRun": {"name": "out-42", "kind": "Failover", "epoch": 42, "term": 1},
        "lastRun": {"name": "x", "phase": "Completed", "rto": "14s"},
        "conditions": [{"type": "Ready", "status": "Unknown", "reason": "A", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1}],
    });
    server.api::<RegionFailoverPolicy>().replace_status("columns", &params, &policy).await?;
    for (name, of, phase) in [
        ("columns-a", "columns", "Completed"),
        ("columns-b", "columns", "Failed"),
        ("columns-c", "else", "Completed"),
    ] {
        let mut run = edited(&good_run(), &[])?;
        (run["metadata"]["name"], run["spec"]["policy"]) = (json!(name), json!(of));
        let mut run: DynamicObject = serde_json::from_value(server.create(&run).await?)?;
        run.data["status"] = json!({"phase": phase, "from": "east", "to": "west", "step": "FlipTraffic shop",
            "message": "west serves", "measured": {"rto": "1s600ms", "rpo": {"final": true, "shown": "none"}}});
        server.api::<FailoverRun>().replace_status(name, &params, &run).await?;
    }
    server.cluster.kubectl_apply(JOURNAL).await?;
    Ok(())
}

async fn kubectl_shows_what_matters(server: &Server) -> anyhow::Result<String> {
    write_a_story(server).await?;
    let get = |args: &'static [&'static str]| async move {
        let mut all = vec!["get", "-n", NAMESPACE];
        all.extend(args);
        server.cluster.kubectl(&all).await
    };
    let line =
        |table: &str, of: &str| table.lines().find(|l| l.starts_with(of)).map(words).unwrap_or_default();
    let policies = get(&["rfp"]).await?;
    ensure!(line(&policies, "NAME") == "NAME MODE ACTIVE PHASE STEP RUN READY LAST RTO AGE", "{policies}");
    let shown = line(&policies, "columns");
    ensure!(
        shown.starts_with("columns Automatic east Executing PromoteData orders out-42 Unknown 14s "),
        "{shown}"
    );
    let runs = get(&["run"]).await?;
    ensure!(line(&runs, "NAME") == "NAME POLICY KIND FROM TO PHASE STEP RTO LOST AGE", "{runs}");
    let shown = line(&runs, "columns-a");
    ensure!(
        shown.starts_with("columns-a columns Failover east west Completed FlipTraffic shop 1s600ms none "),
        "{shown}"
    );
    let journals = get(&["failoverjournal"]).await?;
    ensure!(line(&journals, "NAME") == "NAME EPOCH TERM RUN CHANGES AGE", "{journals}");
    ensure!(line(&journals, "columns").starts_with("columns 42 3 out-42 7 "), "{journals}");
    let wide = get(&["rfp,run", "-o", "wide"]).await?;
    ensure!(wide.contains("REGIONS") && wide.contains("MESSAGE") && wide.contains("west serves"), "{wide}");

    let all = get(&["muster", "-o", "name"]).await?;
    for definition in schema::definitions() {
        let names = &definition.crd["spec"]["names"];
        let kind = format!("{}.muster.dev/", names["singular"].as_str().unwrap_or_default());
        ensure!(all.contains(&kind), "{kind} is not of the category muster:\n{all}");
        for short in names["shortNames"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let by_short = server.cluster.kubectl(&["get", short, "-n", NAMESPACE, "-o", "name"]).await?;
            ensure!(by_short.contains(&kind), "{short}: {by_short}");
        }
    }
    for (selector, names) in [
        ("spec.policy=columns", &["columns-a", "columns-b"][..]),
        ("spec.policy=columns,status.phase=Completed", &["columns-a"]),
        ("status.phase=Completed", &["columns-a", "columns-c"]),
    ] {
        let found = server.api::<FailoverRun>().list(&ListParams::default().fields(selector)).await?;
        let found: Vec<_> = found.items.iter().filter_map(|run| run.metadata.name.as_deref()).collect();
        ensure!(found == names, "{selector}: {found:?}");
    }
    let _: FailoverJournal =
        serde_json::from_value(serde_json::to_value(server.api::<FailoverJournal>().get("columns").await?)?)?;
    Ok("3 tables, 3 selectors".to_owned())
}

fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// One server for all of it: starting one takes longer than any check.
#[tokio::test(flavor = "multi_thread")]
async fn the_kinds_are_what_they_say_in_a_real_api_server() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let mut failed = Vec::new();
    for (name, told) in [
        ("the table holds", the_table_holds(&server).await),
        ("defaults are those of the types", defaults_are_those_of_the_types(&server).await),
        ("appliers share a policy", appliers_share_a_policy(&server).await),
        ("spec and status have their own writers", spec_and_status_have_their_own_writers(&server).await),
        ("the largest policy is taken", the_largest_policy_is_taken(&server).await),
        ("kubectl shows what matters", kubectl_shows_what_matters(&server).await),
    ] {
        match told {
            Ok(told) => println!("ok {name}: {told}"),
            Err(error) => failed.push(format!("{name}: {error:#}")),
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n\n"));
    Ok(())
}
