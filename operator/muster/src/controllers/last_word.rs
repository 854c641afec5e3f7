//! What people wrote into a run or a policy, read from the API server itself: a watch may be late by minutes and not
//! know it.

use super::link::within;
use super::requests::{PAUSED, said};
use crate::execute::LastWord;
use crate::store::KubernetesStore;
use crate::store::kubernetes::split;
use crate::store::kubernetes::story::clip;
use async_trait::async_trait;
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client};
use muster_core::ids::PolicyName;
use muster_core::journal::Run;
use muster_core::wish::Wish;
use muster_crds::{FailoverRun, RegionFailoverPolicy};
use std::fmt;

/// Reads the run's abort, and the policy's pause and mode.
pub(super) struct Objects(pub(super) Client);

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").finish_non_exhaustive()
    }
}

#[async_trait]
impl LastWord for Objects {
    async fn stop(&self, policy: &PolicyName, run: &Run) -> Result<Option<Wish>, String> {
        let (namespace, name) = split(policy);
        let runs: Api<FailoverRun> = Api::namespaced(self.0.clone(), namespace);
        // As it stands there: one that this version cannot read is paused and stopped all the same.
        let kind = ApiResource::erase::<RegionFailoverPolicy>(&());
        let policies: Api<DynamicObject> = Api::namespaced_with(self.0.clone(), namespace, &kind);
        let [own, with_epoch] = KubernetesStore::object_names(run);
        let (own, with_epoch, policy_object) = tokio::try_join!(
            within(runs.get_opt(&own)),
            within(runs.get_opt(&with_epoch)),
            within(policies.get_opt(name))
        )?;
        // The run's name may be another run's object: what that says is about another run.
        let mut objects = [own, with_epoch].into_iter().flatten();
        let object = objects.find(|object| tells_abort(object, policy, run));
        if let Some(abort) = object.and_then(|object| object.spec.abort) {
            let (by, reason) = (abort.by.to_string(), abort.reason.to_string());
            return Ok(Some(Wish::Abort { run: run.name.clone(), by, reason }));
        }
        if policy_object.as_ref().is_some_and(|object| object.data["spec"]["mode"] == "Observe") {
            return Err("the policy's mode is Observe by now".to_owned());
        }
        let paused = policy_object.and_then(|object| said(&object.metadata, PAUSED));
        Ok(paused.map(|why| Wish::Pause { by: "annotation".to_owned(), reason: clip(&why) }))
    }
}

/// Whether `object` is this run's, and holds an abort that the journal does not have yet.
fn tells_abort(object: &FailoverRun, policy: &PolicyName, run: &Run) -> bool {
    let news = object.spec.abort.is_some() && run.abort.is_none();
    news && KubernetesStore::is_object_of(object, policy, run)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::ended_run;
    use muster_core::journal::Phase;
    use serde_json::{Value, json};

    fn aborting(name: &str, status: &Value) -> FailoverRun {
        serde_json::from_value(json!({
            "apiVersion": "muster.dev/v1alpha1", "kind": "FailoverRun",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"policy": "checkout", "kind": "Failover", "reason": "east is dark", "by": "kim",
                "abort": {"by": "kim", "reason": "east is back"}},
            "status": status,
        }))
        .expect("a run")
    }

    #[test]
    fn an_abort_counts_in_the_runs_own_object_only() {
        let policy = PolicyName::new("shop/checkout");
        let run = Run { phase: Phase::Executing, ..ended_run(5) };
        let (early, own, other) = (json!({}), json!({"epoch": 5}), json!({"phase": "Executing", "epoch": 3}));
        for (name, status, counts) in [
            ("checkout-5", &early, true),
            ("checkout-5", &own, true),
            ("checkout-5-e5", &own, true),
            ("checkout-5", &other, false),
            ("checkout-3", &own, false),
        ] {
            assert_eq!(tells_abort(&aborting(name, status), &policy, &run), counts, "{name} {status}");
        }
        let aborted = Run { abort: Some("kim: east is back".to_owned()), ..run };
        assert!(!tells_abort(&aborting("checkout-5", &own), &policy, &aborted), "it was heard");
    }
}
