//! From a policy as written to a [`Setup`] that can act: conversion, then one adapter per item.
//!
//! Knows no store and no folder: `muster local` and a controller in a cluster assemble alike.

use crate::convert::{
    AdapterConfigs, Circumstances, ClusterPlace, ComputeConfig, Converted, DataConfig, EngineConfig,
    Environment, SecretSource, TrafficConfig, convert,
};
use crate::execute::{Adapters, FenceAdapter, Setup, VantagePlace};
use kube::core::GroupVersionKind;
use muster_core::ids::{Owner, RegionName, VantageName};
use muster_core::policy::{FenceKind, Policy};
use muster_crds::Problem;
use muster_crds::policy::RegionFailoverPolicy;
use muster_providers::aurora::AuroraData;
use muster_providers::aws::AwsAccounts;
use muster_providers::hook::{FenceHook, Hook, RejoinHook};
use muster_providers::kubernetes::{Clusters, Place, ScaleFence, Workload, WorkloadConfig};
use muster_providers::network_acl::NetworkAclFence;
use muster_providers::postgres::PostgresData;
use muster_providers::rds_replica::RdsReplicaData;
use muster_providers::rfc2136::Rfc2136;
use muster_providers::route53::{HealthObject, Route53, RoutingControl};
use muster_providers::{
    AdoptedOwners, ComputeControl, DataControl, FenceControl, HookControl, TrafficControl,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The controller's own vantage.
pub const CONTROLLER: &str = "controller";

/// What assembling takes beside the policy; the same for all policies of a process.
#[derive(Debug)]
pub struct Assembler {
    /// Where Muster runs.
    pub environment: Environment,
    /// Values behind references.
    pub secrets: Arc<dyn SecretSource>,
    /// What programs of the user find in their environment.
    pub program_env: BTreeMap<String, String>,
    /// The region that this process stands in; `None`: outside of all.
    pub region: Option<RegionName>,
    /// The regions' clusters, shared by all policies.
    pub clusters: Clusters,
    /// The accounts of AWS, shared by all policies.
    pub accounts: AwsAccounts,
}

/// A setup, and what a person should look at all the same.
#[derive(Debug)]
pub struct Assembled {
    /// Ready to act.
    pub setup: Setup,
    /// Not errors.
    pub warnings: Vec<Problem>,
}

impl Assembler {
    /// Converts a policy and builds its adapters; connects to nothing. Every problem comes back at once.
    pub fn assemble(
        self: &Arc<Self>,
        source: &Arc<RegionFailoverPolicy>,
        owner: &Owner,
        generation: u64,
    ) -> Result<Assembled, Vec<Problem>> {
        let Converted { policy, adapters, warnings } = convert(
            source,
            &Circumstances {
                environment: self.environment,
                owner: owner.clone(),
                generation,
                secrets: self.secrets.as_ref(),
                program_env: self.program_env.clone(),
            },
        )?;
        let adopted = AdoptedOwners::default();
        let vantages = self.vantages(&policy, &adapters);
        let probing = adapters.probing.clone();
        let adapters = self.build_adapters(&policy, adapters, &adopted)?;
        let again = (Arc::clone(self), Arc::clone(source), owner.clone());
        let rebuild = move || {
            let (assembler, source, owner) = &again;
            let built = assembler.assemble(source, owner, generation);
            built.map(|built| built.setup).map_err(|problems| name_all(&problems))
        };
        let document = serde_yaml_ng::to_string(source.as_ref()).map(Arc::from).ok();
        let rebuild = Some(Arc::new(rebuild) as crate::execute::Rebuild);
        let setup = Setup { policy, adapters, adopted, probing, vantages, rebuild, document };
        Ok(Assembled { setup, warnings })
    }

    fn build_adapters(
        &self,
        policy: &Policy,
        configs: AdapterConfigs,
        adopted: &AdoptedOwners,
    ) -> Result<Adapters, Vec<Problem>> {
        let mut adapters = Adapters::default();
        self.build_compute(policy, &configs, adopted, &mut adapters)?;
        for (name, config) in configs.data {
            let index = policy.data.iter().position(|item| item.name == name).unwrap_or_default();
            let data = self.build_data(index, config, adopted)?;
            adapters.data.insert(name, data);
        }
        for (name, config) in configs.traffic {
            let index = policy.traffic.iter().position(|item| item.name == name).unwrap_or_default();
            let traffic = self.build_traffic(index, config, adopted)?;
            adapters.traffic.insert(name, traffic);
        }
        for (name, config) in &configs.fences {
            let index = policy.fences.iter().position(|way| way.name == *name).unwrap_or_default();
            let built = FenceHook::new(config).map_err(|e| broken(format!("spec.fence[{index}]"), e))?;
            let built = FenceAdapter::Hook(Arc::new(built) as Arc<dyn FenceControl>);
            adapters.fences.insert(name.clone(), built);
        }
        for (name, config) in configs.network_acls {
            let built = Arc::new(NetworkAclFence::new(config, &self.accounts));
            adapters.fences.insert(name, FenceAdapter::Hook(built as Arc<dyn FenceControl>));
        }
        for way in &policy.fences {
            if let FenceKind::Data(item) = &way.kind {
                adapters.fences.insert(way.name.clone(), FenceAdapter::Data(item.clone()));
            }
        }
        for (name, config) in &configs.hooks {
            let index = policy.hooks.iter().position(|hook| hook.name == *name).unwrap_or_default();
            let built = Hook::new(config).map_err(|e| broken(format!("spec.hooks[{index}]"), e))?;
            adapters.hooks.insert(name.clone(), Arc::new(built) as Arc<dyn HookControl>);
        }
        Ok(adapters)
    }

    fn build_data(
        &self,
        index: usize,
        config: DataConfig,
        adopted: &AdoptedOwners,
    ) -> Result<Arc<dyn DataControl>, Vec<Problem>> {
        let path = |field: &str| format!("spec.data[{index}].{field}");
        match config.engine {
            EngineConfig::Postgres { mut config, rejoin } => {
                config.adopted = adopted.clone();
                if let Some(rejoin) = rejoin {
                    let hook = RejoinHook::new(&rejoin).map_err(|e| broken(path("postgres.rejoin"), e))?;
                    config.rejoin = Some(Arc::new(hook));
                }
                let data = PostgresData::new(*config).map_err(|e| broken(path("postgres.tls"), e))?;
                Ok(Arc::new(data))
            }
            EngineConfig::AuroraGlobal(mut config) => {
                config.adopted = adopted.clone();
                let built = AuroraData::new(*config, &self.accounts);
                let data = built.map_err(|e| broken(path("auroraGlobal.tls"), e))?;
                Ok(Arc::new(data))
            }
            EngineConfig::RdsReplica(mut config) => {
                config.adopted = adopted.clone();
                let built = RdsReplicaData::new(*config, &self.accounts);
                let data = built.map_err(|e| broken(path("rdsReplica.tls"), e))?;
                Ok(Arc::new(data))
            }
        }
    }

    fn build_traffic(
        &self,
        index: usize,
        config: TrafficConfig,
        adopted: &AdoptedOwners,
    ) -> Result<Arc<dyn TrafficControl>, Vec<Problem>> {
        let path = |engine: &str| format!("spec.traffic[{index}].{engine}");
        match config {
            TrafficConfig::Rfc2136(mut config) => {
                config.name.adopted = adopted.clone();
                let built = Rfc2136::new(&config).map_err(|e| broken(path("rfc2136"), e))?;
                Ok(Arc::new(built))
            }
            TrafficConfig::Route53(mut config, access) => {
                config.name.adopted = adopted.clone();
                let account = self.accounts.account(&access);
                let built = Route53::new(&config, account).map_err(|e| broken(path("route53"), e))?;
                Ok(Arc::new(built))
            }
            TrafficConfig::HealthObject(mut config, access) => {
                config.name.adopted = adopted.clone();
                let account = self.accounts.account(&access);
                let built = HealthObject::new(&config, account).map_err(|e| broken(path("route53"), e))?;
                Ok(Arc::new(built))
            }
            TrafficConfig::RoutingControl(mut config, access) => {
                config.name.adopted = adopted.clone();
                let account = self.accounts.account(&access);
                let built = RoutingControl::new(&config, account).map_err(|e| broken(path("route53"), e))?;
                Ok(Arc::new(built))
            }
        }
    }

    /// Workloads, and the fences that scale them to zero.
    fn build_compute(
        &self,
        policy: &Policy,
        configs: &AdapterConfigs,
        adopted: &AdoptedOwners,
        adapters: &mut Adapters,
    ) -> Result<(), Vec<Problem>> {
        let mut workloads = BTreeMap::new();
        for (name, config) in &configs.compute {
            let places =
                config.places.iter().map(|(region, place)| Some((region.clone(), self.place(place)?)));
            let nowhere = || broken("spec.regions".to_owned(), "inCluster: Muster runs in no cluster here");
            let workload = Arc::new(Workload::new(WorkloadConfig {
                item: name.clone(),
                owner: policy.owner.clone(),
                kind: kind_of(config),
                name: config.name.clone(),
                service: config.service.clone(),
                places: places.collect::<Option<_>>().ok_or_else(nowhere)?,
                adopted: adopted.clone(),
            }));
            adapters.compute.insert(name.clone(), Arc::clone(&workload) as Arc<dyn ComputeControl>);
            workloads.insert(name.clone(), workload);
        }
        for (name, items) in &configs.scale_fences {
            let scaled = items.iter().filter_map(|item| workloads.get(item).cloned()).collect();
            let fence = FenceAdapter::Hook(Arc::new(ScaleFence::new(scaled)) as Arc<dyn FenceControl>);
            adapters.fences.insert(name.clone(), fence);
        }
        Ok(())
    }

    fn place(&self, place: &ClusterPlace) -> Option<Place> {
        let link = match &place.kubeconfig {
            Some(kubeconfig) => self.clusters.link(kubeconfig),
            None => self.clusters.own()?,
        };
        Some(Place { link, namespace: place.namespace.clone() })
    }

    fn vantages(&self, policy: &Policy, adapters: &AdapterConfigs) -> BTreeMap<VantageName, VantagePlace> {
        let own = self.region.clone().filter(|region| policy.regions.contains(region));
        let mut places = BTreeMap::from([(CONTROLLER.into(), VantagePlace { region: own, token: None })]);
        places.extend(adapters.vantages.iter().map(|vantage| {
            let token = Some(vantage.token.clone());
            (vantage.name.clone(), VantagePlace { region: vantage.region.clone(), token })
        }));
        places
    }
}

/// Longest text of [`name_all`], but for a first problem that is longer: it has to fit a condition's message.
const LONGEST_LIST: usize = 800;

/// Problems as one text, for a log line or a status page: the first ones in full, and how many there are beside them.
pub fn name_all(problems: &[Problem]) -> String {
    let errors: Vec<String> = problems.iter().filter(|p| p.is_error()).map(ToString::to_string).collect();
    let mut told = String::new();
    for (index, error) in errors.iter().enumerate() {
        if index > 0 && told.len() + error.len() > LONGEST_LIST {
            return format!("{told}; and {} more, see muster validate", errors.len() - index);
        }
        if index > 0 {
            told.push_str("; ");
        }
        told.push_str(error);
    }
    told
}

fn broken(path: String, error: impl std::fmt::Display) -> Vec<Problem> {
    vec![Problem::error(path, error.to_string(), "correct the value that the message names")]
}

fn kind_of(config: &ComputeConfig) -> GroupVersionKind {
    let (group, version, kind) = &config.kind;
    GroupVersionKind::gvk(group, version, kind)
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_LIST, name_all};
    use muster_crds::Problem;

    #[test]
    fn of_many_problems_the_first_are_named_in_full_and_the_others_counted() {
        let problem =
            |n: usize| Problem::error(format!("spec.field[{n}]"), "is wrong in some way", "mend it");
        let few: Vec<Problem> = (0..3).map(problem).collect();
        assert_eq!(name_all(&few).matches("is wrong").count(), 3);
        let many: Vec<Problem> = (0..100).map(problem).collect();
        let told = name_all(&many);
        let named = told.matches("is wrong in some way").count();
        assert!(
            told.len() < LONGEST_LIST + 50
                && told.ends_with(&format!("and {} more, see muster validate", 100 - named))
        );
    }
}
