//! Conformance of the RFC 2136 adapter, against Knot DNS and BIND as they are installed.

#![expect(clippy::panic, reason = "what helps a test fails as the test does")]

mod conformance;
mod delay;
mod servers;
mod trouble;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use muster_core::effect::{Action, Effect};
use muster_core::facts::{Outcome, Seen, TrafficFacts};
use muster_core::ids::{Epoch, Owner, RegionName, Seq, Term};
use muster_core::secret::Secret;
use muster_core::time::Millis;
use muster_providers::dns::{NameConfig, Target};
use muster_providers::rfc2136::{Rfc2136, Rfc2136Config, TsigAlgorithm, TsigConfig};
use muster_providers::{AdoptedOwners, OpCtx, SendGuard, TrafficControl};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// Holds its lease.
#[derive(Debug)]
struct Holds;

impl SendGuard for Holds {
    fn may_send(&self) -> bool {
        true
    }
    fn sent(&self) {}
}

/// Lost its lease.
#[derive(Debug)]
struct Lost;

impl SendGuard for Lost {
    fn may_send(&self) -> bool {
        false
    }
    fn sent(&self) {
        panic!("nothing may be sent");
    }
}

/// The numbers of an effect.
#[derive(Clone, Copy)]
struct Numbers(u64, u64, u64);

fn config(servers: &[SocketAddr], targets: [&str; 2]) -> Rfc2136Config {
    Rfc2136Config {
        item: "shop".into(),
        name: NameConfig {
            owner: "uid-1".into(),
            zone: "example.com".to_owned(),
            record: "shop.example.com".to_owned(),
            ttl: Duration::from_secs(2),
            targets: [("east", targets[0]), ("west", targets[1])]
                .map(|(region, target)| (RegionName::from(region), Target::parse(target)))
                .into(),
            adopted: AdoptedOwners::default(),
        },
        servers: servers.to_vec(),
        tsig: TsigConfig {
            key_name: servers::KEY_NAME.to_owned(),
            algorithm: TsigAlgorithm::HmacSha256,
            secret: Secret::new(servers::KEY),
        },
    }
}

const ADDRESSES: [&str; 2] = ["127.0.1.1", "127.0.2.1"];

fn adapter(servers: &[SocketAddr]) -> Rfc2136 {
    Rfc2136::new(&config(servers, ADDRESSES)).expect("the configuration holds")
}

fn adapter_of(owner: &str, servers: &[SocketAddr], adopted: &AdoptedOwners) -> Rfc2136 {
    let mut config = config(servers, ADDRESSES);
    (config.name.owner, config.name.adopted) = (owner.into(), adopted.clone());
    Rfc2136::new(&config).expect("the configuration holds")
}

fn ctx_of(owner: &str, numbers: Numbers, to: &str, timeout: Duration, guard: Arc<dyn SendGuard>) -> OpCtx {
    let effect = Effect {
        owner: Owner::new(owner),
        epoch: Epoch(numbers.0),
        term: Term(numbers.1),
        seq: Seq(numbers.2),
        attempt: 1,
        action: Action::Flip { item: "shop".into(), to: to.into() },
        timeout: Millis::from(timeout),
    };
    OpCtx::new(effect, "run-1".to_owned(), guard)
}

async fn flip_as(owner: &str, adapter: &Rfc2136, numbers: Numbers, to: &str) -> Outcome {
    let ctx = ctx_of(owner, numbers, to, Duration::from_secs(10), Arc::new(Holds));
    adapter.flip(&to.into(), &ctx).await
}

async fn flip(adapter: &Rfc2136, numbers: Numbers, to: &str) -> Outcome {
    flip_as("uid-1", adapter, numbers, to).await
}

async fn facts(adapter: &Rfc2136) -> TrafficFacts {
    match adapter.observe(Duration::from_secs(5)).await {
        Seen::Known(facts) => facts,
        Seen::Unknown(why) => panic!("unknown: {why}"),
    }
}

fn points_to(facts: &TrafficFacts) -> Option<&str> {
    facts.points_to.as_ref().map(RegionName::as_str)
}

fn numbers_seen(facts: &TrafficFacts) -> Option<(u64, u64, u64)> {
    facts.witness.as_ref().map(|w| (w.epoch.0, w.term.0, w.seq.0))
}

const ISSUED: Outcome = Outcome::Issued(None);

/// Asks by UDP, as a resolver does. `None`: no answer, or an error.
fn ask(server: SocketAddr, name: &str, kind: RecordType) -> Option<Vec<RData>> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout is set");
    socket.connect(server).expect("connected");
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name).expect("a name"), kind));
    socket.send(&message.to_vec().expect("encoded")).ok()?;
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).ok()?;
    let answer = Message::from_vec(&buffer[..length]).expect("an answer");
    let usable = matches!(answer.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain);
    usable.then(|| answer.answers.into_iter().map(|record| record.data).collect())
}
