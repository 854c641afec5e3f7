//! From a policy as written to a policy that can be acted on: every check beyond the schema, in one place.
//!
//! ```text
//! file --muster_crds::load--> RegionFailoverPolicy --convert--> muster_core::policy::Policy   (pure, pinned by a run)
//!                                                          \--> AdapterConfigs                (live: secrets, addresses)
//! ```
//!
//! - [`secrets`]: where values behind `{name, key}` come from; a value never enters a message.
//! - [`validate`]: files to problems with lines, for `muster validate` and for the folder of policies.
//!
//! All problems come back at once, each with the field, what is wrong with the value found there, and the way out.
//! Rules that the API server enforces too (CEL in the schema) are checked here as well, with the very item named;
//! a test holds both together.

mod advice;
mod calls;
mod compile;
mod compute;
mod data;
mod findings;
mod names;
mod network_acls;
mod probes;
mod requests;
mod rules;
pub mod secrets;
mod traffic;
pub mod validate;

pub use calls::Hooks;
pub use compute::{ClusterPlace, ComputeConfig};
pub use data::{DataConfig, EngineConfig};
pub use secrets::{FolderSecrets, SecretError, SecretSource, UnresolvedSecrets};
pub use traffic::TrafficConfig;

pub(crate) use names::fold;

use findings::Findings;
use muster_core::ids::{ItemName, Owner, PolicyName, RegionName};
use muster_core::policy::{Mode, Objectives, Policy, ProofClass, Safety, WithoutFence};
use muster_core::time::Millis;
use muster_crds::policy::{self as api, RegionFailoverPolicy, RegionFailoverPolicySpec};
use muster_crds::{Duration, LoadedPolicy, Problem};
use muster_probes::ProbingSpec;
use muster_providers::hook::{FenceHookConfig, HookConfig};
use muster_providers::network_acl::NetworkAclConfig;
use requests::Resolver;
use std::collections::BTreeMap;

/// Where Muster runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Environment {
    /// `muster local`: programs of the user may be run.
    Local,
    /// In a cluster: they may not.
    Cluster,
}

/// What a conversion needs beside the policy.
#[derive(Clone, Debug)]
pub struct Circumstances<'a> {
    /// Where Muster runs.
    pub environment: Environment,
    /// The policy's UID, as the store or the API server gave it.
    pub owner: Owner,
    /// Grows with each edit of the spec.
    pub generation: u64,
    /// Values behind references.
    pub secrets: &'a dyn SecretSource,
    /// What programs of the user find in their environment, read once by the command line.
    pub program_env: BTreeMap<String, String>,
}

/// What the adapters and probes need: addresses and secrets. Live, unlike the pinned policy.
#[derive(Clone, Debug, Default)]
pub struct AdapterConfigs {
    /// What a vantage probes.
    pub probing: ProbingSpec,
    /// Data items.
    pub data: BTreeMap<ItemName, DataConfig>,
    /// Traffic items.
    pub traffic: BTreeMap<ItemName, TrafficConfig>,
    /// Compute items.
    pub compute: BTreeMap<ItemName, ComputeConfig>,
    /// Fences by scale: the compute items that each scales to zero.
    pub scale_fences: BTreeMap<ItemName, Vec<ItemName>>,
    /// Fences at the network ACLs of AWS.
    pub network_acls: BTreeMap<ItemName, NetworkAclConfig>,
    /// Fences by hook. Fences by SQL are the data item's own and have no entry here.
    pub fences: BTreeMap<ItemName, FenceHookConfig>,
    /// The user's own steps.
    pub hooks: BTreeMap<ItemName, HookConfig>,
    /// Vantages that may report, with the region that they stand in and the token that they show.
    pub vantages: Vec<VantageConfig>,
}

/// A vantage that may report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VantageConfig {
    /// Its name.
    pub name: muster_core::ids::VantageName,
    /// Where it stands; `None`: outside all regions.
    pub region: Option<RegionName>,
    /// What it shows when it reports.
    pub token: muster_core::secret::Secret,
}

/// A policy that can be acted on.
#[derive(Clone, Debug)]
pub struct Converted {
    /// For the core.
    pub policy: Policy,
    /// For the adapters and probes.
    pub adapters: AdapterConfigs,
    /// What a person should look at; the policy is good in spite of it.
    pub warnings: Vec<Problem>,
}

/// Converts a policy that was read from a file; problems come back with their lines.
pub fn convert_loaded(loaded: &LoadedPolicy, with: &Circumstances<'_>) -> Result<Converted, Vec<Problem>> {
    match convert(&loaded.policy, with) {
        Ok(converted) => {
            let warnings = loaded.locate(converted.warnings);
            Ok(Converted { warnings, ..converted })
        }
        Err(problems) => Err(loaded.locate(problems)),
    }
}

/// Converts a policy, or says everything that is wrong with it: errors first, then warnings.
pub fn convert(policy: &RegionFailoverPolicy, with: &Circumstances<'_>) -> Result<Converted, Vec<Problem>> {
    let mut findings = Findings::default();
    let name = full_name(policy);
    let resolver = Resolver { with, policy: name.clone(), namespace: namespace_of(policy) };
    let spec = &policy.spec;
    rules::check(spec, &mut findings);
    let (data, data_configs) = data::convert(spec, &resolver, &mut findings);
    let (traffic, traffic_configs) = traffic::convert(spec, &resolver, &mut findings);
    let (compute, compute_configs) = compute::convert(spec, &resolver, &mut findings);
    let hooks = calls::convert(spec, &resolver, &mut findings);
    let (probes, public_probe, probing) = probes::convert(spec, &data_configs, &resolver, &mut findings);
    compile::check(spec, &probing, &mut findings);
    let converted = Policy {
        name,
        owner: with.owner.clone(),
        generation: with.generation,
        mode: mode_of(spec.mode),
        written: digest(spec),
        objectives: objectives_of(spec.objectives.as_ref()),
        regions: spec.regions.iter().map(|r| RegionName::new(r.name.as_str())).collect(),
        probes,
        public_probe,
        detection: rules::detection_of(spec),
        data,
        compute,
        traffic,
        fences: hooks.ways,
        hooks: hooks.steps,
        safety: safety_of(&spec.safety),
    };
    let vantages = vantages_of(spec, &resolver, &mut findings);
    advice::advise(spec, &converted, &mut findings);
    if findings.has_errors() {
        return Err(findings.into_sorted());
    }
    let adapters = AdapterConfigs {
        probing,
        data: data_configs,
        traffic: traffic_configs,
        compute: compute_configs,
        scale_fences: hooks.scale_fences,
        network_acls: hooks.network_acls,
        fences: hooks.fences,
        hooks: hooks.hooks,
        vantages,
    };
    Ok(Converted { policy: converted, adapters, warnings: findings.into_sorted() })
}

/// Of everything that a run holds to: the mode is live.
fn digest(spec: &RegionFailoverPolicySpec) -> String {
    use base64::Engine as _;
    use sha2::{Digest, Sha256};
    let pinned = RegionFailoverPolicySpec { mode: api::Mode::default(), ..spec.clone() };
    // What was read from text can be written as text.
    let text = serde_json::to_string(&pinned).unwrap_or_default();
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(Sha256::digest(text.as_bytes()))
}

/// `namespace/name`.
pub fn full_name(policy: &RegionFailoverPolicy) -> PolicyName {
    let name = policy.metadata.name.as_deref().unwrap_or_default();
    PolicyName::new(format!("{}/{name}", namespace_of(policy)))
}

fn namespace_of(policy: &RegionFailoverPolicy) -> String {
    policy.metadata.namespace.clone().unwrap_or_else(|| "default".to_owned())
}

fn vantages_of(
    spec: &RegionFailoverPolicySpec,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> Vec<VantageConfig> {
    let convert = |(index, vantage): (usize, &api::Vantage)| VantageConfig {
        name: vantage.name.as_str().into(),
        region: vantage.region.as_ref().map(|r| RegionName::new(r.as_str())),
        token: resolver.secret(
            &vantage.token_secret,
            &format!("spec.vantages[{index}].tokenSecret"),
            findings,
        ),
    };
    spec.vantages.iter().enumerate().map(convert).collect()
}

/// The mode's name in the core.
pub(crate) const fn mode_of(mode: api::Mode) -> Mode {
    match mode {
        api::Mode::Observe => Mode::Observe,
        api::Mode::Approve => Mode::Approve,
        api::Mode::Automatic => Mode::Automatic,
    }
}

const fn millis(duration: Duration) -> Millis {
    Millis(duration.as_millis())
}

fn objectives_of(objectives: Option<&api::Objectives>) -> Objectives {
    Objectives {
        rto: objectives.and_then(|o| o.rto).map(millis),
        rpo: objectives.and_then(|o| o.rpo).map(millis),
    }
}

fn safety_of(safety: &api::Safety) -> Safety {
    let class = |proof: &api::AcceptedProof| match proof {
        api::AcceptedProof::Attested => ProofClass::Attested,
        api::AcceptedProof::NoAck => ProofClass::NoAck,
    };
    Safety {
        cooldown: millis(safety.cooldown),
        max_estimated_loss: safety.max_estimated_loss.map(millis),
        accept: safety.accept.iter().map(class).collect(),
        without_fence: safety
            .without_fence
            .as_ref()
            .map(|w| WithoutFence { max_loss: millis(w.max_loss), after: millis(w.after) }),
    }
}
