//! What the tests of all ways to move a name of Route 53 have in common.

use muster_aws_fake::{FakeAws, Zone};
use muster_core::effect::{Action, Effect};
use muster_core::facts::{Seen, TrafficFacts};
use muster_core::ids::{Epoch, Owner, RegionName, Seq, Term};
use muster_core::secret::Secret;
use muster_core::time::Millis;
use muster_providers::aws::{AwsAccounts, AwsPlace};
use muster_providers::dns::{NameConfig, Target};
use muster_providers::route53::ServerName;
use muster_providers::testing::TestGuard;
use muster_providers::{AdoptedOwners, OpCtx, TrafficControl};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

pub(crate) const KEY: &str = "AKIDEXAMPLE";
pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const NAME: &str = "shop.example.com";
pub(crate) const INSYNC: Duration = Duration::from_millis(300);

/// A lease that is never lost.
pub(crate) const HELD: u32 = u32::MAX;

/// The numbers of an effect.
#[derive(Clone, Copy)]
pub(crate) struct Numbers(pub(crate) u64, pub(crate) u64, pub(crate) u64);

/// A fake with the account and the zone that the name is in.
pub(crate) async fn fake_with_zone() -> (FakeAws, Zone) {
    let aws = FakeAws::start().await.expect("the fake starts");
    aws.add_account(KEY, ACCOUNT);
    let zone = aws.create_zone(ACCOUNT, "example.com", INSYNC).await.expect("a zone");
    (aws, zone)
}

/// The accounts, as the one who has this access key comes to them.
pub(crate) fn accounts(aws: &FakeAws, key: &str) -> AwsAccounts {
    AwsAccounts::at(AwsPlace {
        endpoint: aws.endpoint(),
        access_key: key.to_owned(),
        secret_key: Secret::new("a-secret-of-nobody"),
    })
}

pub(crate) fn servers_of(zone: &Zone) -> Vec<ServerName> {
    let parse = |server: &std::net::SocketAddr| ServerName::parse(&server.to_string()).expect("an address");
    zone.servers.iter().map(parse).collect()
}

pub(crate) fn name_config(ttl: Duration, targets: BTreeMap<RegionName, Target>) -> NameConfig {
    NameConfig {
        owner: "uid-1".into(),
        zone: "example.com".to_owned(),
        record: NAME.to_owned(),
        ttl,
        targets,
        adopted: AdoptedOwners::default(),
    }
}

pub(crate) fn ctx_of(owner: &str, numbers: Numbers, to: &str, timeout: Duration, lease_checks: u32) -> OpCtx {
    let effect = Effect {
        owner: Owner::new(owner),
        epoch: Epoch(numbers.0),
        term: Term(numbers.1),
        seq: Seq(numbers.2),
        attempt: 1,
        action: Action::Flip { item: "shop".into(), to: to.into() },
        timeout: Millis::from(timeout),
    };
    let guard = Arc::new(TestGuard::default());
    guard.lose_lease_after(lease_checks);
    OpCtx::new(effect, "run-1".to_owned(), guard)
}

/// Looks again where nothing is known: on a busy machine no server may answer in time.
pub(crate) async fn facts(adapter: &impl TrafficControl) -> TrafficFacts {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match adapter.observe(Duration::from_secs(5)).await {
            Seen::Known(facts) => return facts,
            Seen::Unknown(why) if Instant::now() >= deadline => panic!("unknown: {why}"),
            Seen::Unknown(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Waits so long until it is observed.
pub(crate) async fn until_within(
    patience: Duration,
    adapter: &impl TrafficControl,
    holds: impl Fn(&TrafficFacts) -> bool,
) -> TrafficFacts {
    let deadline = Instant::now() + patience;
    loop {
        let seen = facts(adapter).await;
        if holds(&seen) {
            return seen;
        }
        assert!(Instant::now() < deadline, "{seen:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits so long until every server answers so, and the adapter vouches for these numbers.
pub(crate) async fn until_seen_within(
    patience: Duration,
    adapter: &impl TrafficControl,
    to: &str,
    numbers: Numbers,
) -> TrafficFacts {
    let holds = |seen: &TrafficFacts| {
        let wrote = seen.witness.as_ref().map(|w| (w.epoch.0, w.term.0, w.seq.0));
        let points_to = seen.points_to.as_ref().map(RegionName::as_str);
        (points_to, wrote, seen.agree) == (Some(to), Some((numbers.0, numbers.1, numbers.2)), 4)
    };
    until_within(patience, adapter, holds).await
}
