//! Servers that refuse, hang or are gone: each ends in time, with the right class and a message that names the
//! server and the key and never the secret.

use crate::delay::lie_about_updates;
use crate::servers::{KEY, Kind, NameServer, OTHER_KEY, free_address};
use crate::*;
use muster_core::facts::ErrorClass;
use std::time::Instant;

fn assert_denied(outcome: &Outcome, server: SocketAddr, word: &str) {
    let Outcome::Failed(ErrorClass::Denied, why) = outcome else { panic!("{outcome:?}") };
    assert!(why.contains(&server.to_string()), "names the server: {why}");
    assert!(why.contains(word), "says {word}: {why}");
    assert!(!why.contains(KEY) && !why.contains(OTHER_KEY), "shows the secret: {why}");
}

async fn with_key(server: &NameServer, tsig: TsigConfig) -> Outcome {
    let config = Rfc2136Config { tsig, ..config(&[server.address], ADDRESSES) };
    let adapter = Rfc2136::new(&config).expect("the configuration holds");
    assert!(!format!("{adapter:?}").contains(config.tsig.secret.expose()));
    assert!(!format!("{config:?}").contains(config.tsig.secret.expose()));
    flip(&adapter, Numbers(1, 0, 1), "east").await
}

fn named(mut config: Rfc2136Config, change: impl FnOnce(&mut NameConfig)) -> Rfc2136Config {
    change(&mut config.name);
    config
}

fn key(name: &str, secret: &str) -> TsigConfig {
    TsigConfig {
        key_name: name.to_owned(),
        algorithm: TsigAlgorithm::HmacSha256,
        secret: Secret::new(secret),
    }
}

#[tokio::test]
async fn a_key_that_the_server_does_not_take_is_denied_and_says_why() {
    for kind in [Kind::Knot, Kind::Bind] {
        let server = NameServer::start(kind);
        let adapter = adapter(&[server.address]);
        assert_eq!(flip(&adapter, Numbers(1, 0, 0), "west").await, ISSUED);
        assert_denied(&with_key(&server, key("muster", OTHER_KEY)).await, server.address, "muster. (BADSIG)");
        assert_denied(&with_key(&server, key("nobody", KEY)).await, server.address, "nobody.");
        let algorithm = TsigConfig { algorithm: TsigAlgorithm::HmacSha512, ..key("muster", KEY) };
        assert_denied(&with_key(&server, algorithm).await, server.address, "muster.");
        assert_eq!(points_to(&facts(&adapter).await), Some("west"), "nothing of it landed");
    }
}

#[tokio::test]
async fn a_clock_that_is_an_hour_off_is_denied_with_the_difference_and_can_still_look() {
    for kind in [Kind::Knot, Kind::Bind] {
        let server = NameServer::start(kind);
        assert_eq!(flip(&adapter(&[server.address]), Numbers(1, 0, 0), "west").await, ISSUED);
        let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
        let adapter = adapter(&[server.address]).with_clock(Arc::new(move || now - 3600));
        let refused = flip(&adapter, Numbers(1, 0, 1), "east").await;
        assert_denied(&refused, server.address, "(BADTIME)");
        assert!(format!("{refused:?}").contains("s ahead of ours"), "{refused:?}");
        assert_eq!(points_to(&facts(&adapter).await), Some("west"));
    }
}

#[tokio::test]
async fn a_name_that_the_key_may_not_change_is_denied() {
    for kind in [Kind::Knot, Kind::Bind] {
        let server = NameServer::start(kind);
        let config =
            named(config(&[server.address], ADDRESSES), |name| name.record = "other.example.com".to_owned());
        let adapter = Rfc2136::new(&config).expect("the configuration holds");
        assert_denied(&flip(&adapter, Numbers(1, 0, 1), "east").await, server.address, "key muster.");
    }
}

#[tokio::test]
async fn an_update_without_a_signature_is_refused_by_servers_set_up_as_documented() {
    for kind in [Kind::Knot, Kind::Bind] {
        let server = NameServer::start(kind);
        let refused = server.try_nsupdate("update add shop.example.com 60 A 127.0.9.9", false);
        assert!(
            matches!(&refused, Err(why) if why.contains("REFUSED") || why.contains("NOTAUTH")),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_without_a_signature_is_not_believed() {
    const NOERROR: u8 = 0;
    const REFUSED: u8 = 5;
    let server = NameServer::start(Kind::Knot);
    let liar = adapter(&[lie_about_updates(server.address, NOERROR).await]);
    let outcome = flip(&liar, Numbers(1, 0, 1), "east").await;
    assert!(matches!(outcome, Outcome::Failed(ErrorClass::UnknownOutcome, _)), "{outcome:?}");
    // A server may refuse before it looks at the signature, and then it does not sign.
    let address = lie_about_updates(server.address, REFUSED).await;
    assert_denied(&flip(&adapter(&[address]), Numbers(1, 0, 1), "east").await, address, "key muster.");
}

#[tokio::test]
async fn a_server_without_the_zone_is_no_view_of_it() {
    for kind in [Kind::Knot, Kind::Bind] {
        let server = NameServer::start(kind);
        let config = named(config(&[server.address], ADDRESSES), |name| {
            name.zone = "example.org".to_owned();
            name.record = "shop.example.org".to_owned();
        });
        let adapter = Rfc2136::new(&config).expect("the configuration holds");
        let Seen::Unknown(why) = adapter.observe(Duration::from_secs(5)).await else { panic!("known") };
        assert!(why.contains(&server.address.to_string()), "{why}");
        let refused = flip(&adapter, Numbers(1, 0, 1), "east").await;
        assert!(matches!(refused, Outcome::Failed(ErrorClass::Denied, _)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_gone_is_unknown_at_once_and_changes_nothing() {
    let adapter = adapter(&[free_address()]);
    let started = Instant::now();
    assert!(matches!(adapter.observe(Duration::from_secs(5)).await, Seen::Unknown(_)));
    let outcome = flip(&adapter, Numbers(1, 0, 1), "east").await;
    assert!(matches!(outcome, Outcome::Failed(ErrorClass::Transient, _)), "{outcome:?}");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_server_that_hangs_is_unknown_at_the_deadline() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let adapter = adapter(&[silent.local_addr().expect("its address"), free_address()]);
    let started = Instant::now();
    let seen = adapter.observe(Duration::from_millis(300)).await;
    assert!(matches!(&seen, Seen::Unknown(why) if why.contains("no answer in 300 ms")), "{seen:?}");
    let ctx = ctx_of("uid-1", Numbers(1, 0, 1), "east", Duration::from_millis(300), Arc::new(Holds));
    let outcome = adapter.flip(&"east".into(), &ctx).await;
    assert!(matches!(outcome, Outcome::Failed(ErrorClass::Transient, _)), "nothing was sent: {outcome:?}");
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_lost_lease_sends_no_update() {
    let server = NameServer::start(Kind::Knot);
    let adapter = adapter(&[server.address]);
    let ctx = ctx_of("uid-1", Numbers(1, 0, 1), "east", Duration::from_secs(5), Arc::new(Lost));
    let outcome = adapter.flip(&"east".into(), &ctx).await;
    assert!(matches!(outcome, Outcome::Failed(ErrorClass::Transient, _)), "{outcome:?}");
    assert_eq!(points_to(&facts(&adapter).await), None);
}

#[tokio::test]
async fn an_effect_for_an_unknown_region_or_another_owner_is_invalid() {
    let adapter = adapter(&[free_address()]);
    for (owner, to) in [("uid-1", "north"), ("uid-2", "east")] {
        let outcome = flip_as(owner, &adapter, Numbers(1, 0, 1), to).await;
        assert!(matches!(outcome, Outcome::Failed(ErrorClass::Invalid, _)), "{outcome:?}");
    }
}

#[test]
fn a_broken_configuration_names_the_field() {
    let server = free_address();
    let good = || config(&[server], ADDRESSES);
    let broken: Vec<(&str, Rfc2136Config)> = vec![
        ("servers:", Rfc2136Config { servers: vec![], ..good() }),
        ("servers:", Rfc2136Config { servers: vec![server, server], ..good() }),
        ("zone:", named(good(), |name| name.zone = String::new())),
        ("record:", named(good(), |name| name.record = "shop.example.org".to_owned())),
        ("record:", named(good(), |name| name.record = "*.example.com".to_owned())),
        ("ttl:", named(good(), |name| name.ttl = Duration::from_millis(1500))),
        ("tsig:", Rfc2136Config { tsig: key("muster", "not base64!"), ..good() }),
        ("tsig:", Rfc2136Config { tsig: key("muster", "c2hvcnQ="), ..good() }),
        ("targets:", config(&[server], ["127.0.1.1", "127.0.1.1"])),
        ("targets:", config(&[server], ["127.0.1.1", "::1"])),
        ("targets:", config(&[server], ["127.0.1.1", "not a name"])),
        ("targets:", named(config(&[server], ["a.b", "c.d"]), |name| name.record = "example.com".to_owned())),
        ("owner:", named(good(), |name| name.owner = "with space".into())),
    ];
    for (field, config) in broken {
        let error = Rfc2136::new(&config).expect_err(field).to_string();
        assert!(error.starts_with(field), "{field}: {error}");
        assert!(!error.contains("not base64!") && !error.contains("c2hvcnQ="), "{error}");
    }
}
