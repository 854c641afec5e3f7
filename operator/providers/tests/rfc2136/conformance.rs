//! What a flip and an observation promise; each case runs on each server.

use crate::delay::StuckPath;
use crate::servers::{Kind, NameServer};
use crate::*;
use muster_core::facts::ErrorClass;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

macro_rules! on_each_server {
    ($($(#[$doc:meta])* $case:ident)*) => {
        mod knot {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case(super::Kind::Knot).await; })*
        }
        mod bind {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case(super::Kind::Bind).await; })*
        }
    };
}

on_each_server! {
    the_first_flip_creates_the_name_and_a_second_moves_it_back
    a_name_made_by_hand_is_taken_over_only_if_it_points_at_a_region
    a_server_that_is_killed_has_kept_name_and_witness
    an_older_effect_is_refused
    the_same_effect_again_is_already_done
    an_update_that_was_stuck_changes_nothing_after_a_newer_one
    an_update_changes_nothing_when_another_writer_came_in_between
    an_undo_does_not_let_an_old_update_through
    of_two_flips_at_once_the_newer_numbers_stay
    of_two_owners_at_once_one_gets_the_name
    another_writer_is_seen_and_not_written_over
    another_address_family_beside_is_seen_and_left_alone
    names_and_ipv6_addresses_are_steered_too
    a_policy_that_changes_from_addresses_to_names_moves_the_record
    a_foreign_owner_keeps_the_name_until_it_is_adopted
    no_reader_ever_finds_the_name_empty
    a_secondary_is_verified_too_and_one_server_down_lowers_the_agreement
}

async fn the_first_flip_creates_the_name_and_a_second_moves_it_back(kind: Kind) {
    let server = NameServer::start(kind);
    let adapter = adapter(&[server.address]);
    let nothing = TrafficFacts {
        points_to: None,
        agree: 1,
        servers: 1,
        witness: None,
        drift: None,
        unsettled: None,
        contested: None,
    };
    assert_eq!(facts(&adapter).await, nothing);

    assert_eq!(flip(&adapter, Numbers(1, 0, 1), "east").await, ISSUED);
    let seen = facts(&adapter).await;
    assert_eq!((points_to(&seen), numbers_seen(&seen)), (Some("east"), Some((1, 0, 1))));
    assert_eq!((seen.agree, seen.servers, seen.drift), (1, 1, None));

    assert_eq!(flip(&adapter, Numbers(2, 0, 1), "west").await, ISSUED);
    assert_eq!(flip(&adapter, Numbers(3, 0, 1), "east").await, ISSUED);
    let seen = facts(&adapter).await;
    assert_eq!((points_to(&seen), numbers_seen(&seen)), (Some("east"), Some((3, 0, 1))));
}

async fn a_name_made_by_hand_is_taken_over_only_if_it_points_at_a_region(kind: Kind) {
    let server = NameServer::start(kind);
    let adapter = adapter(&[server.address]);
    server.nsupdate("update add shop.example.com 60 A 127.0.9.9");
    let refused = flip(&adapter, Numbers(1, 0, 1), "west").await;
    assert!(matches!(&refused, Outcome::Conflict(why) if why.contains("A 127.0.9.9")), "{refused:?}");

    server.nsupdate("update delete shop.example.com A\nupdate add shop.example.com 60 A 127.0.1.1");
    assert_eq!(points_to(&facts(&adapter).await), Some("east"));
    assert_eq!(flip(&adapter, Numbers(1, 0, 1), "west").await, ISSUED);
    assert_eq!(points_to(&facts(&adapter).await), Some("west"));
}

async fn a_server_that_is_killed_has_kept_name_and_witness(kind: Kind) {
    let mut server = NameServer::start(kind);
    let adapter = adapter(&[server.address]);
    assert_eq!(flip(&adapter, Numbers(1, 0, 1), "east").await, ISSUED);
    assert_eq!(flip(&adapter, Numbers(2, 0, 1), "west").await, ISSUED);
    let before = facts(&adapter).await;
    server.restart_after_kill();
    assert_eq!(facts(&adapter).await, before);
    assert_eq!(flip(&adapter, Numbers(2, 0, 1), "west").await, Outcome::AlreadyDone);
}

async fn an_older_effect_is_refused(kind: Kind) {
    let server = NameServer::start(kind);
    let adapter = adapter(&[server.address]);
    assert_eq!(flip(&adapter, Numbers(2, 1, 5), "west").await, ISSUED);
    for older in [Numbers(1, 9, 9), Numbers(2, 0, 9), Numbers(2, 1, 4)] {
        let refused = flip(&adapter, older, "east").await;
        assert!(matches!(refused, Outcome::StaleEpoch(_)), "{refused:?}");
    }
    assert_eq!(points_to(&facts(&adapter).await), Some("west"));
}

async fn the_same_effect_again_is_already_done(kind: Kind) {
    let server = NameServer::start(kind);
    let adapter = adapter(&[server.address]);
    assert_eq!(flip(&adapter, Numbers(1, 0, 1), "east").await, ISSUED);
    assert_eq!(flip(&adapter, Numbers(1, 0, 1), "east").await, Outcome::AlreadyDone);
    let other = flip(&adapter, Numbers(1, 0, 1), "west").await;
    assert!(matches!(other, Outcome::Conflict(_)), "{other:?}");
}

/// Sends a flip on a path where updates get stuck: nobody can tell its outcome.
async fn flip_and_get_stuck(path: &StuckPath, numbers: Numbers, to: &str) {
    let stuck = adapter(&[path.address]);
    let ctx = ctx_of("uid-1", numbers, to, Duration::from_millis(400), Arc::new(Holds));
    let started = Instant::now();
    let outcome = stuck.flip(&to.into(), &ctx).await;
    assert!(matches!(outcome, Outcome::Failed(ErrorClass::UnknownOutcome, _)), "{outcome:?}");
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

/// "A set of records that should exist does not" (RFC 2136, 2.2).
const NXRRSET: u8 = 8;

async fn an_update_that_was_stuck_changes_nothing_after_a_newer_one(kind: Kind) {
    let server = NameServer::start(kind);
    let adapter = adapter(&[server.address]);
    let mut path = StuckPath::to(server.address).await;
    assert_eq!(flip(&adapter, Numbers(1, 0, 1), "east").await, ISSUED);
    flip_and_get_stuck(&path, Numbers(2, 0, 1), "west").await;
    assert_eq!(flip(&adapter, Numbers(2, 1, 2), "east").await, ISSUED);
    let before = facts(&adapter).await;

    assert_eq!(path.release().await, NXRRSET);
    assert_eq!(facts(&adapter).await, before);
}

async fn an_update_changes_nothing_when_another_writer_came_in_between(kind: Kind) {
    let server = NameServer::start(kind);
    let adapter = adapter(&[server.address]);
    let mut path = StuckPath::to(server.address).await;
    assert_eq!(flip(&adapter, Numbers(1, 0, 1), "east").await, ISSUED);
    flip_and_get_stuck(&path, Numbers(2, 0, 1), "west").await;
    server.nsupdate("update delete shop.example.com A\nupdate add shop.example.com 60 A 127.0.9.9");
    assert_eq!(path.release().await, NXRRSET);
    let data = ask(server.address, "shop.example.com.", RecordType::A).expect("an answer");
    assert_eq!(data.len(), 1);
    assert_eq!(data[0].to_string(), "127.0.9.9");
}

async fn an_undo_does_not_let_an_old_update_through(kind: Kind) {
    let server = NameServer::start(kind);
    let adapter = adapter(&[server.address]);
    let mut path = StuckPath::to(server.address).await;
    assert_eq!(flip(&adapter, Numbers(1, 0, 1), "east").await, ISSUED);
    flip_and_get_stuck(&path, Numbers(1, 0, 2), "west").await;
    // There and back: the data is what the stuck update expects, the witness is not.
    assert_eq!(flip(&adapter, Numbers(1, 0, 3), "west").await, ISSUED);
    assert_eq!(flip(&adapter, Numbers(1, 0, 4), "east").await, ISSUED);
    path.release().await;
    let seen = facts(&adapter).await;
    assert_eq!((points_to(&seen), numbers_seen(&seen)), (Some("east"), Some((1, 0, 4))));

    // With nothing newer in between it is the same effect, late: it lands, and its repetition finds it done.
    flip_and_get_stuck(&path, Numbers(1, 0, 5), "west").await;
    path.release().await;
    assert_eq!(flip(&adapter, Numbers(1, 0, 5), "west").await, Outcome::AlreadyDone);
}

async fn of_two_flips_at_once_the_newer_numbers_stay(kind: Kind) {
    let server = NameServer::start(kind);
    let (one, other) = (adapter(&[server.address]), adapter(&[server.address]));
    for round in 1..=20 {
        let (older, newer) = tokio::join!(
            flip(&one, Numbers(round, 1, 1), "west"),
            flip(&other, Numbers(round, 2, 2), "east")
        );
        assert_eq!(newer, ISSUED);
        assert!(matches!(older, ISSUED | Outcome::StaleEpoch(_)), "{older:?}");
        let seen = facts(&one).await;
        assert_eq!((points_to(&seen), numbers_seen(&seen)), (Some("east"), Some((round, 2, 2))));
    }
}

async fn of_two_owners_at_once_one_gets_the_name(kind: Kind) {
    let server = NameServer::start(kind);
    let nobody = AdoptedOwners::default();
    let (one, other) =
        (adapter_of("one", &[server.address], &nobody), adapter_of("other", &[server.address], &nobody));
    let (a, b) = tokio::join!(
        flip_as("one", &one, Numbers(1, 0, 1), "east"),
        flip_as("other", &other, Numbers(1, 0, 1), "west")
    );
    let winners = [&a, &b].into_iter().filter(|outcome| **outcome == ISSUED).count();
    let losers = [&a, &b].into_iter().filter(|outcome| matches!(outcome, Outcome::Conflict(_))).count();
    assert_eq!((winners, losers), (1, 1), "{a:?} {b:?}");
}

async fn another_writer_is_seen_and_not_written_over(kind: Kind) {
    let server = NameServer::start(kind);
    let adapter = adapter(&[server.address]);
    assert_eq!(flip(&adapter, Numbers(1, 0, 1), "east").await, ISSUED);
    server.nsupdate("update delete shop.example.com A\nupdate add shop.example.com 60 A 127.0.9.9");
    let seen = facts(&adapter).await;
    assert_eq!(seen.points_to, None);
    let drift = seen.drift.expect("drift is seen");
    assert_eq!(drift, "another writer: A 127.0.9.9 stands there, A 127.0.1.1 was written");
    let refused = flip(&adapter, Numbers(2, 0, 1), "west").await;
    assert!(matches!(&refused, Outcome::Conflict(why) if why.contains("127.0.9.9")), "{refused:?}");

    // Moved by hand to a region: seen, and the next flip takes it from there.
    server.nsupdate("update delete shop.example.com A\nupdate add shop.example.com 60 A 127.0.2.1");
    let seen = facts(&adapter).await;
    assert_eq!((points_to(&seen), seen.drift.is_some()), (Some("west"), true));
    assert_eq!(flip(&adapter, Numbers(2, 0, 1), "west").await, ISSUED);
    assert_eq!(facts(&adapter).await.drift, None);

    // Taken away by hand: seen, and the next flip puts it back.
    server.nsupdate("update delete shop.example.com A");
    let seen = facts(&adapter).await;
    assert_eq!((seen.points_to, seen.drift.is_some()), (None, true));
    assert_eq!(flip(&adapter, Numbers(3, 0, 1), "west").await, ISSUED);

    server.nsupdate("update add _muster.shop.example.com 60 TXT \"hello\"");
    assert!(facts(&adapter).await.drift.is_some());
    let refused = flip(&adapter, Numbers(4, 0, 1), "east").await;
    assert!(matches!(refused, Outcome::Conflict(_)), "{refused:?}");
}

async fn another_address_family_beside_is_seen_and_left_alone(kind: Kind) {
    let server = NameServer::start(kind);
    let adapter = adapter(&[server.address]);
    assert_eq!(flip(&adapter, Numbers(1, 0, 1), "east").await, ISSUED);
    server.nsupdate("update add shop.example.com 60 AAAA 2001:db8::9");
    let seen = facts(&adapter).await;
    assert_eq!(points_to(&seen), Some("east"));
    assert_eq!(seen.drift.as_deref(), Some("AAAA 2001:db8::9 stands there too, which is not steered"));
    assert_eq!(flip(&adapter, Numbers(2, 0, 1), "west").await, ISSUED);
    let left = ask(server.address, "shop.example.com.", RecordType::AAAA).expect("an answer");
    assert_eq!(left.len(), 1);
}

async fn names_and_ipv6_addresses_are_steered_too(kind: Kind) {
    for targets in [["2001:db8:1::1", "2001:db8:2::1"], ["east.example.net", "West.example.com."]] {
        let server = NameServer::start(kind);
        let adapter = Rfc2136::new(&config(&[server.address], targets)).expect("the configuration holds");
        for (epoch, to) in [(1, "east"), (2, "west"), (3, "east")] {
            assert_eq!(flip(&adapter, Numbers(epoch, 0, 1), to).await, ISSUED);
            let seen = facts(&adapter).await;
            assert_eq!((points_to(&seen), seen.drift.as_deref()), (Some(to), None), "{targets:?}");
        }
    }
}

async fn a_policy_that_changes_from_addresses_to_names_moves_the_record(kind: Kind) {
    let server = NameServer::start(kind);
    let by_address = adapter(&[server.address]);
    assert_eq!(flip(&by_address, Numbers(1, 0, 1), "east").await, ISSUED);
    let names = ["east.example.net", "west.example.net"];
    let by_name = Rfc2136::new(&config(&[server.address], names)).expect("the configuration holds");
    assert_eq!(flip(&by_name, Numbers(2, 0, 1), "west").await, ISSUED);
    let seen = facts(&by_name).await;
    assert_eq!((points_to(&seen), seen.drift.as_deref()), (Some("west"), None));
    assert_eq!(flip(&by_address, Numbers(3, 0, 1), "west").await, ISSUED);
    let seen = facts(&by_address).await;
    assert_eq!((points_to(&seen), seen.drift.as_deref()), (Some("west"), None));
}

async fn a_foreign_owner_keeps_the_name_until_it_is_adopted(kind: Kind) {
    let server = NameServer::start(kind);
    let adopted = AdoptedOwners::default();
    let old = adapter_of("old", &[server.address], &AdoptedOwners::default());
    let new = adapter_of("new", &[server.address], &adopted);
    assert_eq!(flip_as("old", &old, Numbers(7, 0, 1), "east").await, ISSUED);

    let refused = flip_as("new", &new, Numbers(8, 0, 1), "west").await;
    assert!(matches!(&refused, Outcome::Conflict(why) if why.contains("old owns it")), "{refused:?}");
    adopted.set([Owner::from("old")].into());
    let behind = flip_as("new", &new, Numbers(1, 0, 1), "west").await;
    assert!(matches!(behind, Outcome::StaleEpoch(_)), "{behind:?}");
    assert_eq!(flip_as("new", &new, Numbers(8, 0, 1), "west").await, ISSUED);

    let refused = flip_as("old", &old, Numbers(9, 0, 1), "east").await;
    assert!(matches!(refused, Outcome::Conflict(_)), "{refused:?}");
    assert_eq!(points_to(&facts(&new).await), Some("west"));
}

async fn no_reader_ever_finds_the_name_empty(kind: Kind) {
    const FLIPS: u64 = 200;
    let server = NameServer::start(kind);
    let adapter = adapter(&[server.address]);
    assert_eq!(flip(&adapter, Numbers(1, 0, 0), "east").await, ISSUED);

    let (over, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (address, until, counter) = (server.address, Arc::clone(&over), Arc::clone(&reads));
    let reader = std::thread::spawn(move || {
        let (mut empty, mut unanswered) = (0_u32, 0_u32);
        while !until.load(Ordering::Relaxed) {
            match ask(address, "shop.example.com.", RecordType::A) {
                Some(data) if data.len() == 1 => {}
                Some(_) => empty += 1,
                None => unanswered += 1,
            }
            counter.fetch_add(1, Ordering::Relaxed);
        }
        (empty, unanswered)
    });
    let mut took = Vec::new();
    for seq in 1..=FLIPS {
        let before = reads.load(Ordering::Relaxed);
        let started = Instant::now();
        let to = if seq % 2 == 0 { "east" } else { "west" };
        assert_eq!(flip(&adapter, Numbers(1, 0, seq), to).await, ISSUED);
        took.push(started.elapsed());
        // A reader that gets no turn on a busy machine would see nothing.
        while reads.load(Ordering::Relaxed) == before {
            tokio::task::yield_now().await;
        }
    }
    over.store(true, Ordering::Relaxed);
    let (empty, unanswered) = reader.join().expect("the reader ends");
    took.sort();
    let ms = |d: Duration| d.as_secs_f64() * 1000.0;
    // Straight to the terminal: a figure from a passing test is worth reading.
    let _ = writeln!(
        std::io::stdout(),
        "rfc2136-flip: server={kind:?} flips={FLIPS} p50_ms={:.1} p99_ms={:.1} max_ms={:.1} reads={} empty={empty} unanswered={unanswered}",
        ms(took[took.len() / 2]),
        ms(took[took.len() * 99 / 100]),
        ms(took[took.len() - 1]),
        reads.load(Ordering::Relaxed),
    );
    assert_eq!((empty, unanswered), (0, 0));
}

async fn a_secondary_is_verified_too_and_one_server_down_lowers_the_agreement(kind: Kind) {
    let (primary, mut secondary) = NameServer::start_pair(kind);
    let adapter = adapter(&[primary.address, secondary.address]);
    for (epoch, to) in [(1, "east"), (2, "west")] {
        assert_eq!(flip(&adapter, Numbers(epoch, 0, 1), to).await, ISSUED);
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let seen = facts(&adapter).await;
            assert_eq!(seen.drift, None, "a server that lags is no other writer");
            if (points_to(&seen), seen.agree, seen.servers) == (Some(to), 2, 2) {
                break;
            }
            assert!(Instant::now() < deadline, "the secondary does not follow: {seen:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    secondary.kill();
    let seen = facts(&adapter).await;
    assert_eq!((points_to(&seen), seen.agree, seen.servers), (Some("west"), 1, 2));
}
