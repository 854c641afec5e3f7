//! One spec of a sequence, and what the law says of it.

use super::random::Random;
use super::sane::PLACE;
use super::{bad, edits, sane};
use anyhow::Context;
use muster::assemble::Assembler;
use muster::convert::{Environment, SecretError, SecretSource};
use muster_core::ids::Owner;
use muster_core::secret::Secret;
use muster_crds::RegionFailoverPolicy;
use muster_providers::aws::AwsAccounts;
use muster_providers::kubernetes::Clusters;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where all policies are.
pub(super) const NAMESPACE: &str = "shop";

/// A Secret: its name, and its keys with their values.
type SecretKeys = (&'static str, &'static [(&'static str, &'static [u8])]);

/// The Secrets that are there.
const SECRETS: [SecretKeys; 4] = [
    ("pg", &[("muster", b"one"), ("shop", b"two")]),
    ("vantages", &[("token", b"a-token-of-vantages")]),
    ("dns", &[("tsig", b"c2VjcmV0LXRzaWcta2V5LW9mLWFjdG8=")]),
    (
        "api",
        &[
            ("canary", b"Bearer canary"),
            ("sign", b"signed"),
            ("junk", b"no certificate!"),
            ("short", b"c2hvcnQ="),
            ("binary", &[0xff, 0xfe]),
            ("empty", b""),
        ],
    ),
];

/// As manifests.
pub(super) fn secrets() -> Vec<Value> {
    use base64::Engine;
    let encode = |value: &[u8]| base64::engine::general_purpose::STANDARD.encode(value);
    let object = |(name, keys): &SecretKeys| {
        let data: BTreeMap<&str, String> = keys.iter().map(|(key, value)| (*key, encode(value))).collect();
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}, "data": data})
    };
    SECRETS.iter().map(object).collect()
}

/// The same, for the conversion here.
#[derive(Debug)]
struct Known;

impl SecretSource for Known {
    fn get(&self, namespace: &str, name: &str, key: &str) -> Result<Secret, SecretError> {
        let keys =
            SECRETS.iter().find(|(known, _)| *known == name && namespace == NAMESPACE).map(|(_, k)| *k);
        let value =
            keys.and_then(|keys| keys.iter().find(|(known, _)| *known == key)).map(|(_, value)| *value);
        let text = value.and_then(|value| std::str::from_utf8(value).ok()).filter(|text| !text.is_empty());
        text.map(Secret::new).ok_or_else(|| SecretError::NotInCluster {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            key: key.to_owned(),
            why: "of no use".to_owned(),
        })
    }
}

/// How a spec was made. What it is, others say.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    /// Put together as the rules want it.
    Sane,
    /// With fields at their bounds.
    AtABound,
    /// Beyond the schema.
    Refused,
    /// Beyond what the schema can say.
    Unusable,
}

/// A spec of a sequence.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) kind: Kind,
    /// How it differs from a good one.
    pub(super) told: String,
    /// With [`PLACE`] where a policy has something of its own.
    text: String,
}

impl Spec {
    pub(super) fn generate(random: &mut Random, kind: Kind) -> Self {
        let mut spec = sane::spec(random);
        let told = match kind {
            Kind::Sane => "as the rules want it".to_owned(),
            Kind::AtABound => {
                let edits = 1 + random.below(2);
                (0..edits).map(|_| edits::to_a_bound(random, &mut spec)).collect::<Vec<_>>().join(", ")
            }
            Kind::Refused if random.chance(40) => bad::break_a_rule(random, &mut spec),
            Kind::Refused => edits::beyond_a_bound(random, &mut spec),
            Kind::Unusable => bad::make_unusable(random, &mut spec),
        };
        Self { kind, told, text: spec.to_string() }
    }

    /// For the policy that has this place.
    pub(super) fn at(&self, place: &str) -> Value {
        serde_json::from_str(&self.text.replace(PLACE, place)).unwrap_or_default()
    }
}

/// A sequence's kinds: a good one first and last, and a good one after a few bad ones.
pub(super) fn kinds(random: &mut Random, count: usize) -> Vec<Kind> {
    let (mut kinds, mut bad) = (vec![Kind::Sane], 0);
    while kinds.len() + 1 < count {
        let kind = match random.below(100) {
            _ if bad >= 3 => Kind::Sane,
            0..30 => Kind::Sane,
            30..55 => Kind::AtABound,
            55..72 => Kind::Refused,
            _ => Kind::Unusable,
        };
        bad = if kind == Kind::Sane { 0 } else { bad + 1 };
        kinds.push(kind);
    }
    kinds.push(Kind::Sane);
    kinds
}

/// What must become of a spec that the API server took.
#[derive(Clone, Debug)]
pub(super) enum Law {
    /// It comes into force, just so.
    Good(Arc<RegionFailoverPolicy>),
    /// It does not.
    Bad {
        /// Fields that the message must name.
        fields: Vec<String>,
    },
}

/// Asks the conversion about an object as it is stored, and whether adapters can be made of what it answers.
pub(super) fn law(stored: &Value) -> anyhow::Result<Law> {
    let object = json!({
        "apiVersion": stored["apiVersion"], "kind": stored["kind"], "spec": stored["spec"],
        "metadata": {"name": stored["metadata"]["name"], "namespace": NAMESPACE},
    });
    let policy =
        serde_json::from_value(object).context("what the API server takes does not fit the types")?;
    let (policy, owner): (Arc<RegionFailoverPolicy>, _) = (Arc::new(policy), Owner::new("acto"));
    let assembler = Arc::new(Assembler {
        environment: Environment::Cluster,
        secrets: Arc::new(Known),
        program_env: BTreeMap::new(),
        region: None,
        clusters: Clusters::default(),
        accounts: AwsAccounts::default(),
    });
    let Err(problems) = assembler.assemble(&policy, &owner, 1) else { return Ok(Law::Good(policy)) };
    let errors: Vec<_> = problems.iter().filter(|problem| problem.is_error()).collect();
    Ok(Law::Bad { fields: errors.iter().map(|problem| problem.path.clone()).collect() })
}
