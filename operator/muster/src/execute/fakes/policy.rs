//! The policy that most tests start from.

use super::world::World;
use crate::execute::{Setup, VantagePlace};
use muster_core::ids::{ClaimKey, RegionName};
use muster_core::policy::{
    Aggregate, Capability, DataItem, Detection, FenceKind, FenceWay, Mode, Objectives, On, Policy, ProbePlan,
    ProofClass, PublicProbe, Safety, Threshold, TrafficItem,
};
use muster_core::time::Millis;
use muster_probes::ProbingSpec;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Two regions, one database, one name, a catalogue fence and a power switch, Automatic; thresholds in tens of
/// milliseconds, so that a whole failover fits into a test.
pub fn policy(name: &str) -> Policy {
    let threshold = |count, ms| Threshold { count, min: Millis(ms) };
    let probe =
        |name: &str, on| ProbePlan { name: name.into(), on, every: Millis(500), timeout: Millis(500) };
    Policy {
        name: name.into(),
        owner: format!("owner-of-{name}").as_str().into(),
        generation: 1,
        mode: Mode::Automatic,
        written: String::new(),
        objectives: Objectives::default(),
        regions: vec![RegionName::from("east"), RegionName::from("west")],
        probes: vec![probe("order", On::Primary), probe("api", On::Both)],
        public_probe: Some(PublicProbe { every: Millis(20), timeout: Millis(100), successes: 2 }),
        detection: Detection {
            trip: threshold(3, 40),
            reset: threshold(3, 40),
            aggregate: Aggregate::AnyOf(BTreeSet::from(["order".into()])),
            quorum: 2,
            anchors: 2,
        },
        data: vec![DataItem {
            name: "orders".into(),
            engine: "postgres".to_owned(),
            claims: BTreeSet::from([claim("pg", name)]),
            expected_promote: Millis(50),
            promote_deadline: Millis(2_000),
            capability: Capability::Checked,
            hands_over: false,
            saves_old_data: false,
            detaches_after: None,
            can_rejoin: true,
            rejoin_timeout: Millis(2_000),
            no_ack_declared: false,
        }],
        compute: Vec::new(),
        traffic: vec![TrafficItem {
            name: "shop".into(),
            engine: "rfc2136".to_owned(),
            claims: BTreeSet::from([claim("dns", name)]),
            ttl: Millis(1_000),
            deadline: Millis(2_000),
        }],
        fences: fences(),
        hooks: vec![],
        safety: Safety {
            cooldown: Millis(60_000),
            max_estimated_loss: Some(Millis(30_000)),
            accept: BTreeSet::from([ProofClass::Attested]),
            without_fence: None,
        },
    }
}

fn claim(kind: &str, policy: &str) -> ClaimKey {
    ClaimKey::new(format!("{kind}/{policy}"))
}

fn fences() -> Vec<FenceWay> {
    vec![
        FenceWay {
            name: "logins".into(),
            kind: FenceKind::Data("orders".into()),
            proof: ProofClass::Closed,
            timeout: Millis(300),
            attempts: 1,
        },
        FenceWay {
            name: "power".into(),
            kind: FenceKind::Hook,
            proof: ProofClass::Attested,
            timeout: Millis(300),
            attempts: 2,
        },
    ]
}

/// The policy with the world's adapters.
pub fn setup(policy: Policy, world: &Arc<World>) -> Setup {
    let nowhere = || VantagePlace { region: None, token: None };
    Setup {
        adapters: world.adapters(),
        policy,
        adopted: muster_providers::AdoptedOwners::default(),
        probing: ProbingSpec::default(),
        vantages: BTreeMap::from([("controller".into(), nowhere()), ("v1".into(), nowhere())]),
        rebuild: None,
        document: None,
    }
}
