//! What a vantage probes: the policies that name it, as far as its own secrets reach.
//!
//! A vantage needs its token and what its probes show, not the controller's passwords. What a secret that is not
//! here would change is left out, and said: a probe without its credentials would call a good region bad.

use crate::convert::{Circumstances, Converted, Environment, SecretError, SecretSource, convert};
use muster_core::ids::{Owner, VantageName};
use muster_core::secret::Secret;
use muster_crds::RegionFailoverPolicy;
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
    let marked = |mark| {
        let secrets = Lenient { inner: Arc::clone(secrets), mark };
        convert_with(policy, &secrets).map_err(|problems| crate::assemble::name_all(&problems))
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
