//! What a vantage probes: the policies that name it, as far as its own secrets reach.
//!
//! A vantage needs its token and what its probes show, not the controller's passwords. What a secret that is not
//! here would change is left out, and said: a probe without its credentials would call a good region bad.

use crate::convert::{Circumstances, Converted, Environment, SecretError, SecretSource, convert};
use muster_core::ids::{Owner, VantageName};
use muster_core::secret::Secret;
use muster_crds::RegionFailoverPolicy;
use muster_crds::policy::Mode;
use muster_probes::ProbingSpec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One policy, as this vantage runs it.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// What to probe. Without the public name: its clock is the controller's.
    pub(super) probing: ProbingSpec,
    /// What to show the controller.
    pub(super) token: Secret,
    /// Probes that cannot run here, and why.
    pub(super) left_out: Vec<String>,
}

/// The secrets that are here; others read as a value that nobody could use, which differs from mark to mark.
#[derive(Debug)]
struct Lenient {
    inner: Arc<dyn SecretSource>,
    mark: &'static str,
}

impl SecretSource for Lenient {
    fn get(&self, namespace: &str, name: &str, key: &str) -> Result<Secret, SecretError> {
        match self.inner.get(namespace, name, key) {
            Err(SecretError::Missing { .. }) => Ok(Secret::new(self.mark)),
            found => found,
        }
    }
}

/// The task of `vantage` for a policy. `Ok(None)`: the policy does not name it.
pub(super) fn task_of(
    policy: &RegionFailoverPolicy,
    vantage: &VantageName,
    secrets: &Arc<dyn SecretSource>,
    own_token: Option<&Secret>,
) -> Result<Option<Task>, String> {
    let policy = without_clusters(policy);
    let marked = |mark| {
        let secrets = Lenient { inner: Arc::clone(secrets), mark };
        convert_with(&policy, &secrets).map_err(|problems| crate::assemble::name_all(&problems))
    };
    // Valid as base64 too; where the two conversions differ, a secret is missing.
    let (one, other) = (marked("unresolved00")?, marked("unresolved11")?);
    let token_in =
        |c: &Converted| c.adapters.vantages.iter().find(|v| v.name == *vantage).map(|v| v.token.clone());
    let Some(named) = token_in(&one) else { return Ok(None) };
    let missing = token_in(&other) != Some(named.clone());
    let token = match own_token {
        Some(token) => token.clone(),
        None if missing => {
            return Err("its tokenSecret is not here; give --token-file or --secrets".to_owned());
        }
        None => named,
    };
    let (mut probing, other) = (one.adapters.probing, other.adapters.probing);
    probing.public = None;
    let mut left_out = Vec::new();
    let twins: BTreeMap<_, _> = other.probes.into_iter().map(|probe| (probe.name.clone(), probe)).collect();
    probing.probes.retain(|probe| {
        let whole = twins.get(&probe.name) == Some(probe);
        if !whole {
            left_out.push(format!("{}: a secret of it is not here", probe.name));
        }
        whole
    });
    Ok(Some(Task { probing, token, left_out }))
}

/// The policy without what needs the regions' clusters: nothing of it is probed, and their credentials are none of a
/// vantage's. A mode that would miss what is left out is lowered; no probe depends on it.
fn without_clusters(policy: &RegionFailoverPolicy) -> RegionFailoverPolicy {
    let mut policy = policy.clone();
    let spec = &mut policy.spec;
    for region in &mut spec.regions {
        region.cluster = None;
    }
    spec.compute.clear();
    spec.fence.retain(|fence| fence.scale_to_zero.is_none());
    spec.mode = Mode::Observe;
    policy
}

fn convert_with(
    policy: &RegionFailoverPolicy,
    secrets: &dyn SecretSource,
) -> Result<Converted, Vec<muster_crds::Problem>> {
    let with = Circumstances {
        environment: Environment::Local,
        owner: Owner::new("vantage"),
        generation: 0,
        secrets,
        program_env: BTreeMap::new(),
    };
    convert(policy, &with)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::FolderSecrets;
    use muster_crds::load_policy_file;

    const PLAIN: &str = include_str!("../local/tests/checkout.yaml");

    fn task(text: &str) -> Task {
        let policy = load_policy_file(text).expect("a policy").remove(0);
        let token = ("MUSTER_SECRET_V1_TOKEN".to_owned(), "token-of-the-first-vantage".to_owned());
        let secrets: Arc<dyn SecretSource> = Arc::new(FolderSecrets::new(None, [token]));
        task_of(&policy, &"v1".into(), &secrets, None).expect("it can be probed").expect("it names v1")
    }

    /// With a cluster in each region, a workload, and no fence but one that needs them.
    fn with_clusters() -> String {
        let mut text = PLAIN.to_owned();
        for (old, new) in [
            ("mode: Observe", "mode: Automatic"),
            (
                "{name: east, values",
                "{name: east, cluster: {kubeconfigSecret: {name: clusters, key: east}}, values",
            ),
            ("{name: west, values", "{name: west, cluster: {inCluster: {}}, values"),
            (
                "  - {name: deny-logins, sql: {data: orders}, timeout: 5s, attempts: 2}\n",
                "  - {name: pods, scaleToZero: {compute: [web]}, timeout: 45s}\n  compute:\n  - {name: web, scale: {target: \
                 {apiVersion: apps/v1, kind: Deployment, name: web}, to: {replicas: 2}}}\n",
            ),
            ("safety: {", "safety: {accept: [Attested], "),
        ] {
            assert_eq!(text.matches(old).count(), 1, "{old}");
            text = text.replace(old, new);
        }
        text
    }

    #[test]
    fn a_vantage_needs_no_cluster_of_the_policy_and_probes_the_same() {
        let (plain, task) = (task(PLAIN), task(&with_clusters()));
        assert_eq!(task.probing, plain.probing);
        assert_eq!(task.probing.probes.len(), 2);
        assert_eq!((task.token, task.left_out), (plain.token, Vec::new()));
    }
}
