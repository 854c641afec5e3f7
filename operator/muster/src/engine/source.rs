//! Where policies come from, and where the version that acts is kept for after a restart.

use crate::api::FileProblem;
use async_trait::async_trait;
use muster_core::ids::{Owner, PolicyName};
use muster_crds::{RegionFailoverPolicy, load_policy_file};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use tokio::sync::Notify;

/// What a look found changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Changed {
    pub(crate) policies: bool,
    pub(crate) credentials: bool,
}

/// One policy of the source.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Where it comes from, for people.
    pub(crate) file: String,
    /// Without what others write into it.
    pub(crate) policy: RegionFailoverPolicy,
    /// As the source knows it; else one is made.
    pub(crate) uid: Option<Owner>,
    /// As the source counts it; else it is counted here.
    pub(crate) generation: Option<u64>,
}

/// All policies of the source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// Good as far as reading goes.
    pub(crate) found: BTreeMap<PolicyName, Found>,
    /// What is not.
    pub(crate) problems: Vec<FileProblem>,
    /// Policies that are there but broken: not removed.
    pub(crate) doubtful: BTreeSet<PolicyName>,
    /// Something is there that does not even say which policies it holds: any of them may be in it.
    pub(crate) obscure: bool,
}

/// Where policies come from.
pub(crate) trait PolicySource: Send + Sync + 'static {
    /// Looks again. May block for as long as files take.
    fn look(&mut self) -> Changed;
    /// Tells of a change before the next look is due; for sources that are told themselves.
    fn wakes(&self) -> Arc<Notify> {
        Arc::default()
    }
    /// Where each policy comes from; `in_force` says where it came from before.
    fn listing(&self, in_force: &BTreeMap<PolicyName, String>) -> Listing;
}

/// Keeps each policy as it acted last. After a restart a bad or missing one does not take it out of force, and an active
/// run finds the version that it was claimed with.
#[async_trait]
pub(crate) trait Keeps: fmt::Debug + Send + Sync {
    /// All or nothing: the old copy stays until the new one is whole.
    async fn keep(&self, policy: &PolicyName, document: &str) -> Result<(), String>;
    /// The policy is gone for good.
    async fn forget(&self, policy: &PolicyName);
    /// The kept copy, with what it refers to at hand; `None` if there is none. An error says that nobody knows just now.
    async fn read(&self, policy: &PolicyName) -> Result<Option<RegionFailoverPolicy>, String>;
}

/// A kept policy's text. One that this version cannot read stays so: `None`, and a word in the log.
pub(crate) fn parse_kept(policy: &PolicyName, text: &str) -> Option<RegionFailoverPolicy> {
    match load_policy_file(text) {
        Ok(policies) => policies.into_iter().next(),
        Err(problems) => {
            tracing::warn!(%policy, problems = problems.len(), "a kept policy cannot be read any more");
            None
        }
    }
}

/// What is said of a policy that is not in force as written.
pub(crate) fn problem(
    file: &str,
    policy: Option<PolicyName>,
    reason: &str,
    message: impl Into<String>,
) -> FileProblem {
    FileProblem {
        file: file.to_owned(),
        policy,
        reason: reason.to_owned(),
        message: message.into(),
        last_good_in_force: false,
    }
}
