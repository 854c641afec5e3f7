//! Each permission of Muster's own roles is needed: without it a named thing no longer works, and what is said names
//! the permission.

use super::stage::{self, NAMESPACE, Operator, POLICY, SHOP, Stage, client, lease, render, text};
use anyhow::{Context as _, bail, ensure};
use muster::clock::Clock;
use muster::store::conformance::ended_run;
use muster::store::kubernetes::{KubernetesStore, Options};
use muster::store::{Acquired, Store as _, StoreError};
use muster_core::ids::{HolderId, Owner, PolicyName};
use muster_core::time::Millis;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// Which role, of which kind of installation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Role {
    /// Where the policies are; for the whole cluster.
    Everywhere,
    /// In Muster's own namespace; for the whole cluster.
    Own,
    /// In Muster's own namespace; for one namespace.
    OwnOfOne,
}

/// What shows that a permission is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Breaks {
    /// The first step of [`use_store`] that fails.
    Step(&'static str),
    /// What the operator no longer tells.
    Untold(Untold),
    /// Nothing is gone, and everything works.
    Nothing,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Untold {
    PolicyStatus,
    /// It lists everything anew, again and again.
    News,
    Credentials,
    Event,
    Count,
}

use Breaks::{Nothing, Step, Untold as Tells};
use Role::{Everywhere, Own, OwnOfOne};

const ELSEWHERE: &str = "look for another installation";

/// Every verb of every resource, and what it is for.
const NEEDED: [(Role, &str, &str, Breaks); 26] = [
    (Everywhere, "regionfailoverpolicies", "list", Tells(Untold::PolicyStatus)),
    (Everywhere, "regionfailoverpolicies", "watch", Tells(Untold::News)),
    (Everywhere, "regionfailoverpolicies", "get", Tells(Untold::PolicyStatus)),
    (Everywhere, "regionfailoverpolicies/status", "update", Tells(Untold::PolicyStatus)),
    (Everywhere, "failoverruns", "watch", Tells(Untold::News)),
    (Everywhere, "failoverruns", "list", Step("keep an ended run")),
    (Everywhere, "failoverruns", "get", Step("keep an ended run")),
    (Everywhere, "failoverruns", "create", Step("keep an ended run")),
    (Everywhere, "failoverruns/status", "update", Step("keep an ended run")),
    (Everywhere, "failoverruns", "delete", Step("forget the oldest run")),
    (Everywhere, "failoverjournals", "create", Step("begin a journal")),
    (Everywhere, "failoverjournals", "get", Step("read the journal")),
    (Everywhere, "failoverjournals", "list", Step("find the journals")),
    (Everywhere, "failoverjournals", "update", Step("record")),
    (Everywhere, "secrets", "get", Tells(Untold::Credentials)),
    (Everywhere, "events", "create", Tells(Untold::Event)),
    (Everywhere, "events", "patch", Tells(Untold::Count)),
    (Everywhere, "leases", "get", Step("take the lease")),
    (Own, "leases", "create", Step("take the lease")),
    (Own, "leases", "update", Step("renew the lease")),
    (Own, "configmaps", "get", Step("claim")),
    (Own, "configmaps", "create", Step("claim")),
    (Own, "configmaps", "update", Step("claim more")),
    (OwnOfOne, "leases", "get", Step("take the lease")),
    // An installation for one namespace may look at no Lease elsewhere: then it keeps away.
    (OwnOfOne, "", "", Step(ELSEWHERE)),
    (Everywhere, "", "", Nothing),
];

/// The rules of one rendering.
struct Rules {
    policies: Vec<Value>,
    own: Vec<Value>,
}

async fn rules(stage: &Stage, sets: &[&str]) -> anyhow::Result<Rules> {
    let rendered = render(NAMESPACE, sets)?;
    let objects = stage::apply(&stage.cluster, &rendered, &["--dry-run=client", "-o", "json"]).await?;
    let objects: Value = serde_json::from_str(&objects)?;
    let of = |name: &str| -> anyhow::Result<Vec<Value>> {
        let is_it = |object: &&Value| {
            text(object, "/kind").ends_with("Role") && text(object, "/metadata/name") == name
        };
        let found = objects["items"].as_array().into_iter().flatten().find(is_it);
        let rules = found.and_then(|role| role["rules"].as_array());
        Ok(rules.with_context(|| format!("no role {name}"))?.clone())
    };
    Ok(Rules { policies: of("muster")?, own: of("muster-own")? })
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn pairs(rules: &[Value]) -> BTreeSet<(String, String)> {
    let pairs = rules.iter().flat_map(|rule| {
        strings(&rule["resources"]).flat_map(|resource| {
            strings(&rule["verbs"]).map(move |verb| (resource.to_owned(), verb.to_owned()))
        })
    });
    pairs.collect()
}

fn without(rules: &[Value], resource: &str, verb: &str) -> Vec<Value> {
    let mut rules = rules.to_vec();
    for rule in &mut rules {
        if strings(&rule["resources"]).any(|of| of == resource)
            && let Some(verbs) = rule["verbs"].as_array_mut()
        {
            verbs.retain(|of| of != verb);
        }
    }
    rules.retain(|rule| strings(&rule["verbs"]).next().is_some());
    rules
}

fn ensure_all_are_named(everywhere: &Rules, of_one: &Rules) -> anyhow::Result<()> {
    let named = |roles: &[Role]| -> BTreeSet<(String, String)> {
        let of_role =
            NEEDED.iter().filter(|(role, resource, ..)| roles.contains(role) && !resource.is_empty());
        of_role.map(|(_, resource, verb, _)| ((*resource).to_owned(), (*verb).to_owned())).collect()
    };
    ensure!(pairs(&everywhere.policies) == named(&[Everywhere]), "{:?}", everywhere.policies);
    ensure!(pairs(&everywhere.own) == named(&[Own]), "{:?}", everywhere.own);
    // For one namespace it is the same, but for the Lease.
    ensure!(pairs(&of_one.policies) == pairs(&without(&everywhere.policies, "leases", "get")));
    ensure!(pairs(&of_one.own) == named(&[Own, OwnOfOne]), "{:?}", of_one.own);
    Ok(())
}

/// A user for each case, in a namespace of its own.
fn users(everywhere: &Rules, of_one: &Rules) -> String {
    let mut items = Vec::new();
    for (index, (role, resource, verb, _)) in NEEDED.iter().enumerate() {
        let (user, namespace) = (format!("without-{index}"), format!("case-{index}"));
        let rules = if *role == OwnOfOne { of_one } else { everywhere };
        let (mut policies, mut own) = (rules.policies.clone(), rules.own.clone());
        match role {
            Everywhere => policies = without(&policies, resource, verb),
            Own | OwnOfOne => own = without(&own, resource, verb),
        }
        let prefix = if *role == OwnOfOne { "" } else { "Cluster" };
        items.push(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}));
        items.extend(grant(prefix, (&user, &namespace), "policies", &policies));
        items.extend(grant("", (&user, &namespace), "own", &own));
    }
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

fn grant(prefix: &str, (user, namespace): (&str, &str), name: &str, rules: &[Value]) -> [Value; 2] {
    const GROUP: &str = "rbac.authorization.k8s.io";
    let version = format!("{GROUP}/v1");
    let mut metadata = json!({"name": format!("{user}-{name}")});
    if prefix.is_empty() {
        metadata["namespace"] = json!(namespace);
    }
    let role = format!("{prefix}Role");
    [
        json!({"apiVersion": version, "kind": role, "metadata": metadata, "rules": rules}),
        json!({
            "apiVersion": version, "kind": format!("{role}Binding"), "metadata": metadata,
            "roleRef": {"apiGroup": GROUP, "kind": role, "name": format!("{user}-{name}")},
            "subjects": [{"apiGroup": GROUP, "kind": "User", "name": user}],
        }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_permission_is_needed_and_no_other_is_given() -> anyhow::Result<()> {
    // Anybody may write statuses here: this is about roles alone.
    let stage = Stage::start("roles", &["admission.enabled=false"]).await?;
    let (everywhere, of_one) = (rules(&stage, &[]).await?, rules(&stage, &["watchNamespace=shop"]).await?);
    ensure_all_are_named(&everywhere, &of_one)?;
    stage.apply(&users(&everywhere, &of_one)).await?;
    let last = format!("--as=without-{}", NEEDED.len() - 1);
    let own = format!("--namespace=case-{}", NEEDED.len() - 1);
    stage::until("the roles are in force", || async {
        stage.cluster.kubectl(&["auth", "can-i", "list", "failoverjournals", "-A", &last]).await?;
        stage.cluster.kubectl(&["auth", "can-i", "create", "leases", &own, &last]).await.map(|_| ())
    })
    .await?;
    for (index, (role, resource, verb, breaks)) in NEEDED.iter().enumerate() {
        let (user, namespace) = (format!("without-{index}"), format!("case-{index}"));
        let kubeconfig = stage.cluster.kubeconfig_for(&user, &[])?;
        let missing = if resource.is_empty() {
            r#"cannot get resource "leases""#.to_owned()
        } else {
            format!(r#"cannot {verb} resource "{resource}""#)
        };
        let case = Case { stage: &stage, kubeconfig: &kubeconfig, namespace: &namespace, missing: &missing };
        let taken = if *role == OwnOfOne { namespace.as_str() } else { SHOP };
        let shown = match breaks {
            Step(step) => case.breaks_at(step, taken).await,
            Tells(untold) => case.leaves_untold(*untold).await,
            Nothing => case.works(taken).await,
        };
        shown.with_context(|| format!("{role:?} without {verb} of {resource}"))?;
    }
    Ok(())
}

struct Case<'a> {
    stage: &'a Stage,
    kubeconfig: &'a Path,
    namespace: &'a str,
    /// How the API server words the refusal.
    missing: &'a str,
}

impl Case<'_> {
    async fn breaks_at(&self, step: &str, taken: &str) -> anyhow::Result<()> {
        if step == ELSEWHERE {
            self.stage.take(taken).await?;
        }
        match self.use_store(taken).await? {
            Some((at, error)) if at == step && error.to_string().contains(self.missing) => Ok(()),
            Some((at, error)) => bail!("breaks at {at:?}, not at {step:?}: {error}"),
            None => bail!("everything works"),
        }
    }

    async fn works(&self, taken: &str) -> anyhow::Result<()> {
        self.stage.take(taken).await?;
        if let Some((at, error)) = self.use_store(taken).await? {
            bail!("breaks at {at}: {error}");
        }
        // The journal of the store's steps is no policy's.
        let everything =
            ["delete", "failoverjournals,failoverruns,leases,configmaps", "--all", "-n", self.namespace];
        self.stage.cluster.kubectl(&everything).await?;
        self.stage.apply_example(self.namespace).await?;
        self.stage.seed_journal(self.stage.cluster.kubeconfig(), self.namespace, self.namespace).await?;
        let operator = self.operate()?;
        let told = self.everything_is_told().await;
        told.map_err(|error| operator.with_last_words(&error))?;
        ensure!(operator.said("cannot watch resource") == 0, "it may watch");
        Ok(())
    }

    fn operate(&self) -> anyhow::Result<Operator> {
        Stage::operate(self.kubeconfig, self.namespace, Some(self.namespace))
    }

    async fn everything_is_told(&self) -> anyhow::Result<()> {
        self.ask_twice().await?;
        stage::until("all is told", || async {
            let policy = self.stage.get(self.namespace, "rfp", POLICY).await?;
            ensure!(stage::condition(&policy, "Accepted")["status"] == "True", "{policy:#}");
            let run = self.stage.get(self.namespace, "run", "second").await?;
            ensure!(text(&run, "/status/outcome") == "Refused", "{run:#}");
            let counted = self.stage.counted_events(self.namespace).await?;
            ensure!(counted == [2], "{counted:?}");
            Ok(())
        })
        .await
    }

    async fn ask_twice(&self) -> anyhow::Result<()> {
        for name in ["first", "second"] {
            self.stage.apply(&stage::run_object(self.namespace, name, "admin").to_string()).await?;
        }
        Ok(())
    }

    async fn leaves_untold(&self, untold: Untold) -> anyhow::Result<()> {
        self.stage.apply_example(self.namespace).await?;
        self.stage.seed_journal(self.stage.cluster.kubeconfig(), self.namespace, self.namespace).await?;
        let operator = self.operate()?;
        self.ask_twice().await?;
        // A policy is judged once, everything else is tried again and again.
        let times = match untold {
            Untold::Credentials => 1,
            Untold::News => operator.said(self.missing) + 3,
            _ => operator.said(self.missing) + 1,
        };
        let shown = self.is_refused(&operator, times).await;
        shown.map_err(|error| operator.with_last_words(&error))?;
        self.ensure_untold(untold).await
    }

    async fn is_refused(&self, operator: &Operator, times: usize) -> anyhow::Result<()> {
        stage::until("the operator names the permission", || async {
            ensure!(operator.said(self.missing) >= times, "{}", self.missing);
            Ok(())
        })
        .await
    }

    async fn ensure_untold(&self, untold: Untold) -> anyhow::Result<()> {
        let object = match untold {
            Untold::PolicyStatus => self.stage.get(self.namespace, "rfp", POLICY).await?,
            Untold::News => return Ok(()),
            // It does not come into force.
            Untold::Credentials => {
                let policy = self.stage.get(self.namespace, "rfp", POLICY).await?;
                ensure!(text(&policy, "/status/phase").is_empty(), "{policy:#}");
                return Ok(());
            }
            Untold::Event | Untold::Count => {
                let counted = self.stage.counted_events(self.namespace).await?;
                let expected: &[u64] = if untold == Untold::Event { &[] } else { &[1] };
                ensure!(counted == expected, "{counted:?}");
                return Ok(());
            }
        };
        ensure!(object["status"].is_null(), "{object:#}");
        Ok(())
    }

    /// Does with a store all that an operator does; the first step that fails.
    async fn use_store(&self, taken: &str) -> anyhow::Result<Option<(&'static str, StoreError)>> {
        // An installation for the whole cluster looks in all of it.
        let namespace = (taken != SHOP).then(|| self.namespace.to_owned());
        let options = Options { runs_kept: 1, namespace, ..lease(self.namespace) };
        let store = KubernetesStore::new(client(self.kubeconfig).await?, options, Clock::system());
        let policies =
            (PolicyName::new(format!("{}/steps", self.namespace)), PolicyName::new(format!("{taken}/taken")));
        Ok(walk(&store, &policies.0, &policies.1).await.err())
    }
}

async fn walk(
    store: &KubernetesStore,
    policy: &PolicyName,
    taken: &PolicyName,
) -> Result<(), (&'static str, StoreError)> {
    let at = |step| move |error| (step, error);
    let acquired =
        store.acquire(&HolderId::new("one"), Millis(60_000)).await.map_err(at("take the lease"))?;
    let Acquired::Ours(held) = acquired else {
        return Err(("take the lease", StoreError::LeaseLost { why: "it is another's".to_owned() }));
    };
    store.renew(&held).await.map_err(at("renew the lease"))?;
    let owner = Owner::new("uid");
    store.create(policy, &owner).await.map_err(at("begin a journal"))?;
    let loaded = store.load(policy).await.map_err(at("read the journal"))?;
    store.policies().await.map_err(at("find the journals"))?;
    store.record(policy, &loaded.version, &held, &loaded.journal).await.map_err(at("record"))?;
    store.claim(&owner, &["a".into()].into()).await.map_err(at("claim"))?;
    store.claim(&owner, &["b".into()].into()).await.map_err(at("claim more"))?;
    store.finish(policy, &ended_run(1)).await.map_err(at("keep an ended run"))?;
    store.finish(policy, &ended_run(2)).await.map_err(at("forget the oldest run"))?;
    let loaded = store.load(taken).await.map_err(at(ELSEWHERE))?;
    match store.record(taken, &loaded.version, &held, &loaded.journal).await {
        Err(StoreError::OtherInstallation { .. }) => Ok(()),
        Err(error) => Err((ELSEWHERE, error)),
        Ok(_) => {
            Err((ELSEWHERE, StoreError::LeaseLost { why: "it writes into another's journal".to_owned() }))
        }
    }
}
