//! What policies need of AWS, for people and their tools: the least rights ([`iam`]), and what must exist before a name can
//! be moved ([`dns`]), as a shell script ([`shell`]) or as Terraform ([`terraform`]).
//!
//! Pure: texts in, texts out. What this module must never do: connect to anything, or hold a secret's value. Where one is
//! needed its reference stands, or a variable.

pub mod dns;
mod grants;
pub mod iam;
mod references;
pub mod shell;
pub mod terraform;

use crate::convert::secrets::variable_of;
use crate::convert::validate::FileReport;
use crate::convert::{
    AdapterConfigs, Circumstances, Converted, Environment, UnresolvedSecrets, convert_loaded, full_name,
};
use muster_core::ids::{ItemName, Owner, PolicyName};
use muster_crds::policy::{RegionFailoverPolicySpec, SecretRef};
use muster_crds::{LoadedPolicy, Problem, load_documents};
use std::collections::BTreeMap;

/// A policy that was read, and found good.
#[derive(Clone, Debug)]
pub struct CheckedPolicy {
    /// `namespace/name`.
    pub name: PolicyName,
    /// As written: adapters do not know which Secret a value came from.
    pub spec: RegionFailoverPolicySpec,
    /// What its adapters would be made from, with every secret unresolved.
    pub adapters: AdapterConfigs,
}

/// As whom AWS is called.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Caller {
    /// The credentials that Muster runs with.
    Own,
    /// A role, by its ARN.
    Role(String),
}

impl Caller {
    fn of(role_arn: Option<impl ToString>) -> Self {
        role_arn.map_or(Self::Own, |arn| Self::Role(arn.to_string()))
    }

    /// The role's ARN.
    pub fn role(&self) -> Option<&str> {
        match self {
            Self::Own => None,
            Self::Role(arn) => Some(arn),
        }
    }
}

/// A value that stays where it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SecretPlace {
    /// `name/key`.
    pub reference: String,
    /// The variable of the environment that a script reads it from; the one that `muster local` reads too.
    pub variable: String,
}

impl SecretPlace {
    fn of(reference: &SecretRef) -> Self {
        let (name, key) = (reference.name.as_str(), reference.key.as_str());
        Self { reference: format!("{name}/{key}"), variable: variable_of(name, key) }
    }
}

/// The policies of one file's text, or all that is wrong with them. Where a policy is to run makes no difference here: it is
/// taken if it is good in one place.
pub fn read_policies(text: &str) -> Result<Vec<CheckedPolicy>, FileReport> {
    let loaded = load_documents(text);
    let mut problems = loaded.problems;
    let mut policies = Vec::new();
    for policy in &loaded.policies {
        match convert_anywhere(policy) {
            Ok(converted) => policies.push(CheckedPolicy {
                name: full_name(&policy.policy),
                spec: policy.policy.spec.clone(),
                adapters: converted.adapters,
            }),
            Err(found) => problems.extend(found),
        }
    }
    problems.retain(Problem::is_error);
    if problems.is_empty() {
        return Ok(policies);
    }
    problems.sort_by_key(|problem| problem.line);
    Err(FileReport { problems, ..FileReport::default() })
}

fn convert_anywhere(policy: &LoadedPolicy) -> Result<Converted, Vec<Problem>> {
    let convert = |environment| {
        let with = Circumstances {
            environment,
            owner: Owner::new("aws"),
            generation: 0,
            secrets: &UnresolvedSecrets,
            program_env: BTreeMap::new(),
        };
        convert_loaded(policy, &with)
    };
    convert(Environment::Local).or_else(|found| convert(Environment::Cluster).map_err(|_| found))
}

/// By the role's ARN, else by the name of a region.
fn partition_of(caller: &Caller, region: Option<&str>) -> String {
    if let Some(partition) = caller.role().and_then(|arn| arn.split(':').nth(1)) {
        return partition.to_owned();
    }
    match region {
        Some(region) if region.starts_with("cn-") => "aws-cn",
        Some(region) if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
    .to_owned()
}

/// An item's name as adapters know it.
fn item_name(name: &str) -> ItemName {
    ItemName::new(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_comes_from_the_role_and_else_from_the_region() {
        let role = Caller::Role("arn:aws-cn:iam::111122223333:role/ops/muster".to_owned());
        assert_eq!(partition_of(&role, Some("us-east-1")), "aws-cn");
        assert_eq!(partition_of(&Caller::Own, Some("us-gov-west-1")), "aws-us-gov");
        assert_eq!(partition_of(&Caller::Own, None), "aws");
    }

    #[test]
    fn a_policy_with_an_error_is_told_with_its_field() {
        let broken = include_str!("../../tests/policies/good/aurora.yaml").replace("side: Both", "side: All");
        let report = read_policies(&broken).unwrap_err();
        assert!(report.problems.iter().all(Problem::is_error) && !report.problems.is_empty());
    }
}
