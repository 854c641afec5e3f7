//! Where the version of a policy that acts is kept: in its journal's object, which outlives the policy.

use super::secrets::{ClusterSecrets, named_by};
use crate::engine::source::{Keeps, parse_kept};
use crate::store::KubernetesStore;
use async_trait::async_trait;
use muster_core::ids::PolicyName;
use muster_crds::RegionFailoverPolicy;
use std::sync::Arc;

/// Keeps versions, and at hand what they refer to: an edit that names other Secrets does not take them from a run.
#[derive(Debug)]
pub(super) struct KeptInJournal {
    pub(super) store: Arc<KubernetesStore>,
    pub(super) secrets: Arc<ClusterSecrets>,
}

#[async_trait]
impl Keeps for KeptInJournal {
    async fn keep(&self, policy: &PolicyName, document: &str) -> Result<(), String> {
        self.store.keep_in_force(policy, document).await.map_err(|error| error.to_string())?;
        if let Some(kept) = parse_kept(policy, document) {
            self.secrets.hold(policy, named_by(&kept)).await;
        }
        Ok(())
    }

    /// The journal outlives its policy.
    async fn forget(&self, policy: &PolicyName) {
        self.secrets.let_go(policy);
    }

    async fn read(&self, policy: &PolicyName) -> Result<Option<RegionFailoverPolicy>, String> {
        let text = self.store.in_force(policy).await.map_err(|error| error.to_string())?;
        let Some(kept) = text.and_then(|text| parse_kept(policy, &text)) else { return Ok(None) };
        self.secrets.hold(policy, named_by(&kept)).await;
        Ok(Some(kept))
    }
}
