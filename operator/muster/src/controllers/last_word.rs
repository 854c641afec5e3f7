//! What people wrote into a run or a policy, read from the API server itself: a watch may be late by minutes and not
//! know it.

use super::link::within;
use super::requests::{PAUSED, said};
use crate::execute::LastWord;
use crate::store::kubernetes::split;
use crate::store::kubernetes::story::clip;
use async_trait::async_trait;
use kube::{Api, Client};
use muster_core::ids::PolicyName;
use muster_core::journal::Run;
use muster_core::wish::Wish;
use muster_crds::policy::Mode;
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
        let policies: Api<RegionFailoverPolicy> = Api::namespaced(self.0.clone(), namespace);
        let (run_object, policy_object) =
            tokio::try_join!(within(runs.get_opt(run.name.as_str())), within(policies.get_opt(name)))?;
        if let Some(abort) = run_object.and_then(|object| object.spec.abort).filter(|_| run.abort.is_none()) {
            let (by, reason) = (abort.by.to_string(), abort.reason.to_string());
            return Ok(Some(Wish::Abort { run: run.name.clone(), by, reason }));
        }
        if policy_object.as_ref().is_some_and(|object| object.spec.mode == Mode::Observe) {
            return Err("the policy's mode is Observe by now".to_owned());
        }
        let paused = policy_object.and_then(|object| said(&object, PAUSED));
        Ok(paused.map(|why| Wish::Pause { by: "annotation".to_owned(), reason: clip(&why) }))
    }
}
