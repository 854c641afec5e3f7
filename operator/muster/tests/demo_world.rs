#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on says where

//! The demo's world, driven by hand: it starts, it can be hurt in the ways it promises, and it leaves nothing.

#[path = "demo_world/bed.rs"]
mod bed;

use bed::{Bed, east, west};
use muster::api::PolicyStatus;
use muster::demo::WorldSpec;
use muster::demo::addresses::{Kind, Place};
use muster::demo::clients::Pace;
use muster::demo::controller::Controller;
use muster::demo::http::{Call, send};
use muster::demo::nameserver::{RECORD, Server};
use muster::demo::postgres::view;
use muster::demo::power::PowerMode;
use muster::demo::resolver::ask_address;
use muster::demo::timeline::Timeline;
use muster_core::journal::OutcomeKind;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(10);
/// For a whole run, on a busy machine.
const LONG: Duration = Duration::from_mins(2);
const SHORT: Duration = Duration::from_millis(400);

/// One client that writes almost without pause.
const FAST: Pace = Pace { clients: 1, pause: Duration::from_millis(2) };

#[tokio::test(flavor = "multi_thread")]
async fn a_world_places_orders_and_leaves_no_process_port_or_folder() {
    let bed = Bed::new();
    let world = bed.world().await;
    let writers = world.write_outside(Pace::default());
    writers.wait_for(30, SOON).await.unwrap();
    let ledger = writers.stop().await;
    assert!(world.account(&ledger, &east()).await.unwrap().lost.is_empty());
    let (front, database, dir) = (world.front(&east()), world.database(&west()), world.dir().to_path_buf());
    assert!(!bed.processes().is_empty());
    world.stop().await.unwrap();
    assert_eq!(bed.processes(), Vec::<String>::new());
    assert!(!dir.exists());
    for address in [front, database] {
        assert!(std::net::TcpStream::connect(address).is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_cloud_aurora_and_route_53_move_the_shop_when_us_east_1_is_lost() {
    let bed = Bed::new();
    let in_cloud = |spec: &mut WorldSpec| (spec.cloud, spec.controller) = (true, true);
    let world = bed.try_world(in_cloud).await.unwrap();
    let controller = Controller::of(&world).await.unwrap();
    controller.wait_ready(&east(), LONG).await.unwrap();
    let customers = world.write_outside(Pace::default());
    customers.wait_for(5, SOON).await.unwrap();
    world.kill(&east());
    let run = controller.follow_run(None, LONG, &Timeline::quiet()).await.unwrap();
    assert_eq!(run.outcome, Some(OutcomeKind::Succeeded), "{}", run.message);
    let names = world.addresses().path(&Place::Outside, &Place::NameServer, Kind::Dns);
    let answer = ask_address(names, RECORD, SOON).await.unwrap();
    assert_eq!(answer.address, world.front(&west()).ip());
    customers.wait_for(5, SOON).await.unwrap();
    // Aurora builds the old writer again, once its region is back.
    world.repair(&east());
    let follows = |status: &PolicyStatus| match status.journal.state.outcasts.get(&east()) {
        Some(outcast) => Err(outcast.message.clone()),
        None => Ok(()),
    };
    controller.wait_until(LONG, follows).await.unwrap();
    assert!(view(&world.admin(&east()).await.unwrap()).await.unwrap().streaming);
    world.stop().await.unwrap();
    assert_eq!(bed.processes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_world_whose_demo_was_killed_is_cleaned_up_by_the_next_one() {
    let bed = Bed::new();
    let mut demo = bed.command(&["demo-world"]).spawn().unwrap();
    bed::wait_for_line(&mut demo, "ready");
    let before = bed.processes().len();
    assert!(before >= 4, "{:?}", bed.processes());
    demo.kill().unwrap();
    demo.wait().unwrap();
    assert!(!bed.processes().is_empty(), "a killed demo cannot clean up");
    let world = bed.world().await;
    assert!(world.leftovers() >= before - 1, "{} of {before}", world.leftovers());
    world.write_outside(Pace::default()).wait_for(5, SOON).await.unwrap();
    world.stop().await.unwrap();
    assert_eq!(bed.processes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_and_sigterm_clean_up() {
    for signal in [nix::sys::signal::Signal::SIGINT, nix::sys::signal::Signal::SIGTERM] {
        let bed = Bed::new();
        let mut demo = bed.command(&["demo-world"]).spawn().unwrap();
        bed::wait_for_line(&mut demo, "ready");
        let pid = nix::unistd::Pid::from_raw(i32::try_from(demo.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
        assert!(demo.wait().unwrap().success());
        assert_eq!(bed.processes(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_demo_in_the_same_folder_is_refused_with_the_way_out() {
    let bed = Bed::new();
    let world = bed.world().await;
    let error = bed.try_world(|_| {}).await.unwrap_err().to_string();
    assert!(error.contains("another demo runs in") && error.contains("--dir"), "{error}");
    world.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_files_of_others_is_left_alone() {
    let bed = Bed::new();
    std::fs::create_dir_all(bed.dir()).unwrap();
    std::fs::write(bed.dir().join("thesis.txt"), "mine").unwrap();
    let error = bed.try_world(|_| {}).await.unwrap_err().to_string();
    assert!(error.contains("files of others"), "{error}");
    assert_eq!(std::fs::read_to_string(bed.dir().join("thesis.txt")).unwrap(), "mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_user_can_run_it() {
    let bed = Bed::new();
    let out = bed.command_as_nobody(&["demo-world", "--orders", "10"]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && said.contains("placed 10 orders"), "{said}");
    assert_eq!(bed.processes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_partition_clients_outside_time_out_while_those_inside_go_on() {
    let bed = Bed::new();
    let world = bed.world().await;
    let inside = world.write_inside(&east(), FAST);
    let outside = world.write_outside(Pace::default());
    outside.wait_for(5, SOON).await.unwrap();
    world.partition(&east());
    let started = Instant::now();
    let refused = send(world.front(&east()), &Call::get("/healthz"), SHORT).await.unwrap_err();
    assert!(started.elapsed() >= SHORT, "a cut is silent, not a refusal: {refused:#}");
    inside.wait_for(20, SOON).await.unwrap();
    outside.wait_for(1, Duration::from_secs(2)).await.unwrap_err();
    let seen = outside.ledger().last_failure().unwrap();
    assert!(seen.contains("no answer"), "{seen}");
    world.heal_region(&east());
    outside.wait_for(5, SOON).await.unwrap();
    let ledger = inside.stop().await;
    assert!(world.account(&ledger, &east()).await.unwrap().lost.is_empty());
    world.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_region_sends_can_be_lost_while_requests_still_arrive() {
    let bed = Bed::new();
    let world = bed.world().await;
    let path = world.addresses().path(&Place::Controller, &Place::Region(east()), Kind::Database);
    let admin = world.connect(path, "shop").await.unwrap();
    admin.batch_execute("create table seen (i int)").await.unwrap();
    world.partition_outward(&east());
    let answer = tokio::time::timeout(SHORT, admin.batch_execute("insert into seen values (1)")).await;
    assert!(answer.is_err(), "the answer does not come");
    let own = world.admin(&east()).await.unwrap();
    let count: i64 = own.query_one("select count(*) from seen", &[]).await.unwrap().get(0);
    assert_eq!(count, 1, "the request arrived");
    world.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_region_is_silent_and_after_the_thaw_acknowledges_again() {
    let bed = Bed::new();
    let world = bed.world().await;
    let inside = world.write_inside(&east(), FAST);
    inside.wait_for(10, SOON).await.unwrap();
    world.freeze(&east());
    assert!(world.processes().of_region(&east()).iter().all(|p| p.is_frozen()));
    let moment = muster::clock::Clock::system().now();
    inside.wait_for(1, Duration::from_secs(1)).await.unwrap_err();
    let answer = send(world.front(&east()), &Call::get("/healthz"), SHORT).await;
    assert!(answer.is_err());
    world.thaw(&east());
    inside.wait_for(5, SOON).await.unwrap();
    assert!(inside.ledger().acknowledged_since(moment) >= 5, "without a fence the old primary goes on");
    world.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_acknowledged_orders_that_the_new_primary_lacks_are_counted_as_lost() {
    let bed = Bed::new();
    let world = bed.world().await;
    let inside = world.write_inside(&east(), FAST);
    inside.wait_for(20, SOON).await.unwrap();
    let kept = inside.ledger().acknowledged();
    world.cut_replication(&east(), &west());
    inside.wait_for(50, SOON).await.unwrap();
    let ledger = inside.stop().await;
    bed::settle(&world, &east()).await;
    world.kill(&east());
    bed::promote(&world, &west()).await;
    let account = world.account(&ledger, &west()).await.unwrap();
    assert!(account.lost.len() >= 45 && account.acknowledged >= kept + 50, "{account:?}");
    world.heal_region(&west());
    let refused = bed::rejoin(&world, &east(), &west()).unwrap_err();
    assert!(refused.contains("the machines of east are down"), "{refused}");
    world.repair(&east());
    let in_log = bed::rejoin(&world, &east(), &west()).unwrap();
    // What was under way when the client stopped may have been committed and not acknowledged.
    let present = world.orders_in(&west()).await.unwrap();
    let unanswered =
        ledger.writes().iter().filter(|w| w.acknowledged().is_none() && !present.contains(&w.id)).count();
    assert!(
        (account.lost.len()..=account.lost.len() + unanswered).contains(&in_log),
        "{in_log} of {account:?}"
    );
    assert_eq!(bed::rejoin(&world, &east(), &west()).unwrap(), in_log, "repeating it says the same");
    let again = world.account(&ledger, &east()).await.unwrap();
    assert_eq!(again.lost, account.lost, "the rejoined node has what the new primary has");
    world.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_synchronous_replication_a_cut_off_primary_acknowledges_nothing() {
    let bed = Bed::new();
    let world = bed.try_world(|spec| spec.synchronous = true).await.unwrap();
    let inside = world.write_inside(&east(), FAST);
    inside.wait_for(10, SOON).await.unwrap();
    world.partition(&east());
    let moment = muster::clock::Clock::system().now();
    inside.wait_for(2, Duration::from_secs(2)).await.unwrap_err();
    assert!(inside.ledger().acknowledged_since(moment) <= 1, "one may have been confirmed on its way");
    bed::promote(&world, &west()).await;
    let ledger = inside.stop().await;
    assert!(world.account(&ledger, &west()).await.unwrap().lost.is_empty());
    world.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_region_follows_a_new_primary_by_itself() {
    let bed = Bed::new();
    let regions = ["east", "west", "north"].map(Into::into).to_vec();
    let world = bed.try_world(|spec| spec.regions = regions).await.unwrap();
    world.kill(&east());
    bed::promote(&world, &west()).await;
    let inside = world.write_inside(&west(), FAST);
    inside.wait_for(10, SOON).await.unwrap();
    let ledger = inside.stop().await;
    bed::until("north has every order", async || {
        world.account(&ledger, &"north".into()).await.is_ok_and(|account| account.lost.is_empty())
    })
    .await;
    world.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_power_tool_switches_a_frozen_region_off_and_says_so() {
    let bed = Bed::new();
    let world = bed.world().await;
    assert_eq!(bed::power(&world, &east(), "status").unwrap(), r#"{"id":"machines-of-east","state":"on"}"#);
    world.freeze(&east());
    assert!(bed::power(&world, &east(), "status").unwrap().contains("on"));
    bed::power(&world, &east(), "fence").unwrap();
    assert!(bed::power(&world, &east(), "status").unwrap().contains("off"));
    assert!(bed::power(&world, &west(), "status").unwrap().contains("on"));
    bed::power(&world, &east(), "unfence").unwrap();
    assert!(bed::power(&world, &east(), "status").unwrap().contains("on"));
    world.write_outside(Pace::default()).wait_for(5, SOON).await.unwrap();
    world.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_power_tool_can_be_made_to_lie_fail_and_hang() {
    let bed = Bed::new();
    let world = bed.world().await;
    world.set_power(&east(), PowerMode::Lies).unwrap();
    bed::power(&world, &east(), "fence").unwrap();
    assert!(bed::power(&world, &east(), "status").unwrap().contains("off"));
    world.write_outside(Pace::default()).wait_for(5, SOON).await.unwrap();
    world.set_power(&east(), PowerMode::Fails).unwrap();
    bed::power(&world, &east(), "fence").unwrap_err();
    world.set_power(&east(), PowerMode::Hangs).unwrap();
    let mut hung = bed::power_command(&world, &east(), "fence").spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(hung.try_wait().unwrap().is_none());
    hung.kill().unwrap();
    hung.wait().unwrap();
    assert!(bed::power(&world, &east(), "status").unwrap().contains("on"));
    world.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn either_name_server_comes_back_with_the_updates_that_it_took() {
    for server in [Server::Knot, Server::Bind] {
        let bed = Bed::new();
        let world = bed.try_world(|spec| spec.names = Some(server)).await.unwrap();
        let names = world.addresses().path(&Place::Outside, &Place::NameServer, Kind::Dns);
        assert_eq!(ask_address(names, RECORD, SHORT).await.unwrap().address, world.front(&east()).ip());
        bed::flip(&world, &west());
        let address = || async { ask_address(names, RECORD, SHORT).await.map(|a| a.address).ok() };
        assert_eq!(address().await, Some(world.front(&west()).ip()));
        world.stop_names();
        assert_eq!(address().await, None);
        world.start_names_again().unwrap();
        bed::until("the name resolves again", async || address().await.is_some()).await;
        assert_eq!(address().await, Some(world.front(&west()).ip()));
        world.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_refuses_orders_on_a_standby_and_answers_while_its_database_hangs() {
    let bed = Bed::new();
    let world = bed.world().await;
    let order = || Call::post("/orders", serde_json::json!({ "item": "tea" }));
    let answer = send(world.front(&west()), &order(), SOON).await.unwrap();
    assert_eq!((answer.status, answer.body["error"].as_str()), (503, Some("readOnly")));
    let placed = send(world.front(&east()), &order(), SOON).await.unwrap();
    let path = format!("/orders/{}", placed.body["id"].as_str().unwrap());
    assert_eq!(send(world.front(&east()), &Call::get(&path), SOON).await.unwrap().body["state"], "placed");
    world.freeze_database(&east());
    let started = Instant::now();
    let answer = send(world.front(&east()), &order(), SOON).await.unwrap();
    assert_eq!(answer.status, 503);
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "the promise is one second, and this machine may be busy"
    );
    assert_eq!(send(world.front(&east()), &Call::get("/healthz"), SOON).await.unwrap().status, 200);
    world.thaw(&east());
    world.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_replay_lags_and_catches_up() {
    let bed = Bed::new();
    let world = bed.world().await;
    world.pause_replay(&west()).await.unwrap();
    let writers = world.write_outside(Pace::default());
    writers.wait_for(10, SOON).await.unwrap();
    let ledger = writers.stop().await;
    assert!(world.account(&ledger, &west()).await.unwrap().lost.len() >= 10);
    world.resume_replay(&west()).await.unwrap();
    bed::until("west has every order", async || {
        world.account(&ledger, &west()).await.is_ok_and(|account| account.lost.is_empty())
    })
    .await;
    world.stop().await.unwrap();
}
