use super::*;
use crate::execute::fakes::{Fault, RecordFault};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_ends_the_pass_and_no_effect_of_it_starts() {
    for fault in [RecordFault::Conflict, RecordFault::LostUnknown, RecordFault::WrittenUnknown] {
        let clock = Clock::system();
        let (store, world) = (Arc::new(MemoryStore::new(clock.clone())), World::new(clock.clone()));
        let mut process = Process::start("one", &store, &clock).await;
        let (handle, _offers) = process.run(policy("shop/checkout"), &world);
        settled(&store, &handle).await;
        world.change("east", |node| node.running = false);
        until("the run is active", || store.journal(&handle.name)?.state.active_run).await;
        store.fail_next_record(fault);
        let run = until("the failover completes", || completed(&store, "shop/checkout")).await;
        assert_eq!(run.to.as_str(), "west");
        assert_eq!(world.count("Promote"), 1, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_node_does_not_delay_the_others_facts() {
    // The catalogue fence fails at once, the power switch goes off, and no pass waits for east. A busy machine may.
    let mut took = Vec::new();
    while took.len() < 5 && took.last().is_none_or(|took| *took >= Millis(2_000)) {
        took.push(flip_beside_a_stuck_node().await);
    }
    assert!(took.last().is_some_and(|took| *took < Millis(2_000)), "{took:?}");
}

/// From the decision to the flip.
async fn flip_beside_a_stuck_node() -> Millis {
    let clock = Clock::system();
    let (store, world) = (Arc::new(MemoryStore::new(clock.clone())), World::new(clock.clone()));
    let mut process = Process::start("one", &store, &clock).await;
    let (handle, _offers) = process.run(policy("shop/checkout"), &world);
    settled(&store, &handle).await;

    // Frozen: every look at east takes the whole deadline of 400 ms.
    world.change("east", |node| node.reachable = false);
    let run = until("the failover completes", || completed(&store, "shop/checkout")).await;
    let decided = run.clock.decided.expect("decided");
    run.clock.flipped.expect("flipped").since(&decided).expect("later")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_effect_that_hangs_ends_at_its_deadline_and_the_next_way_is_tried() {
    let clock = Clock::system();
    let (store, world) = (Arc::new(MemoryStore::new(clock.clone())), World::new(clock.clone()));
    let mut process = Process::start("one", &store, &clock).await;
    let (handle, _offers) = process.run(policy("shop/checkout"), &world);
    settled(&store, &handle).await;
    world.set_fault("Promote", Some(Fault::Hangs));
    world.change("east", |node| node.running = false);
    until("the promotion hangs", || (world.hanging() > 0).then_some(())).await;
    world.set_fault("Promote", None);
    let run = until("the failover completes", || completed(&store, "shop/checkout")).await;
    assert_eq!(world.count("Promote"), 1, "the one that hung never landed");
    let attempts = run.steps.iter().find(|s| s.action.as_ref().is_some_and(|a| a.kind() == "Promote"));
    assert_eq!(attempts.expect("it was promoted").attempts, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_is_made_good_by_looking() {
    let clock = Clock::system();
    let (store, world) = (Arc::new(MemoryStore::new(clock.clone())), World::new(clock.clone()));
    let mut process = Process::start("one", &store, &clock).await;
    let (handle, _offers) = process.run(policy("shop/checkout"), &world);
    settled(&store, &handle).await;
    for kind in ["Promote", "Flip", "Fence"] {
        world.set_fault(kind, Some(Fault::AnswerLost));
    }
    world.change("east", |node| node.running = false);
    // A crashed host is off as well: only a fence that was answered can be attested, so it is asked for again.
    until("the fence lands", || (world.count("Fence") > 0).then_some(())).await;
    world.set_fault("Fence", None);
    until("the failover completes", || completed(&store, "shop/checkout")).await;
    assert_eq!((world.count("Promote"), world.count("Flip")), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panicking_adapter_stops_neither_its_policy_nor_another() {
    let clock = Clock::system();
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let (bad, good) = (World::new(clock.clone()), World::new(clock.clone()));
    let mut process = Process::start("one", &store, &clock).await;
    let (bad_handle, _bad_offers) = process.run(policy("shop/bad"), &bad);
    let (good_handle, _good_offers) = process.run(policy("shop/good"), &good);
    settled(&store, &bad_handle).await;
    settled(&store, &good_handle).await;
    bad.set_fault("Promote", Some(Fault::Panics));
    for world in [&bad, &good] {
        world.change("east", |node| node.running = false);
    }
    until("the good one completes", || completed(&store, "shop/good")).await;
    bad.set_fault("Promote", None);
    until("the bad one completes too", || completed(&store, "shop/bad")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_takes_over_in_mid_run_with_a_new_term() {
    let clock = Clock::system();
    let (store, world) = (Arc::new(MemoryStore::new(clock.clone())), World::new(clock.clone()));
    let mut first = Process::start("one", &store, &clock).await;
    let (handle, _offers) = first.run(policy("shop/checkout"), &world);
    settled(&store, &handle).await;
    let mut second = Process::start("two", &store, &clock).await;
    let (_handle, _offers) = second.run(policy("shop/checkout"), &world);
    world.set_fault("Promote", Some(Fault::Fails));
    world.change("east", |node| node.running = false);
    let before = past_pivot(&store, "shop/checkout").await;

    first.die(&store);
    world.set_fault("Promote", None);
    let run = until("the second completes it", || completed(&store, "shop/checkout")).await;
    assert_eq!((run.name.clone(), run.epoch), (before.name, before.epoch));
    assert!(run.term > before.term);
    assert_eq!((run.holder.as_str(), world.count("Promote")), ("two", 1));
}

/// An edit that only adapters know of: other servers, under the same plan.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_not_gone_on_with_by_another_version_than_its_own() {
    let clock = Clock::system();
    let (store, world) = (Arc::new(MemoryStore::new(clock.clone())), World::new(clock.clone()));
    let version = |written: &str| Policy { written: written.to_owned(), ..policy("shop/checkout") };
    let mut first = Process::start("one", &store, &clock).await;
    let (handle, _offers) = first.run(version("one"), &world);
    settled(&store, &handle).await;
    // Until it ends, and so lands nothing once the fault is over.
    world.set_fault("Promote", Some(Fault::Hangs));
    world.change("east", |node| node.running = false);
    until("the first one's promotion hangs", || (world.hanging() > 0).then_some(())).await;
    first.die(&store);
    world.set_fault("Promote", None);

    let mut second = Process::start("two", &store, &clock).await;
    let (handle, offers) = second.run(version("two"), &world);
    until("it says what is missing", || {
        let latest = handle.latest.borrow().clone()?;
        latest.problem.as_ref().filter(|why| why.contains("was claimed with")).map(|_| ())
    })
    .await;
    assert_eq!(world.count("Promote"), 0);
    offers.send_modify(|offer| offer.kept = Some(Arc::new(setup(version("one"), &world))));
    until("it goes on with its own", || completed(&store, "shop/checkout")).await;
    assert_eq!(world.count("Promote"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_without_the_lease_only_looks_on() {
    let clock = Clock::system();
    let (store, world) = (Arc::new(MemoryStore::new(clock.clone())), World::new(clock.clone()));
    let mut first = Process::start("one", &store, &clock).await;
    let (handle, _offers) = first.run(policy("shop/checkout"), &world);
    settled(&store, &handle).await;
    let mut second = Process::start("two", &store, &clock).await;
    let idle = World::new(clock.clone());
    let (onlooker, _offers) = second.run(policy("shop/checkout"), &idle);
    let latest = until("it has looked", || onlooker.latest.borrow().clone()).await;
    assert!(latest.problem.as_ref().is_some_and(|why| why.contains("only looks on")));
    assert!(latest.journal.is_some(), "it shows the journal all the same");
    assert_eq!(latest.failing(), None, "that is no failure");
    assert_eq!((idle.looks(), idle.landed().len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_starts_once_the_process_is_asked_to_end() {
    let clock = Clock::system();
    let (store, world) = (Arc::new(MemoryStore::new(clock.clone())), World::new(clock.clone()));
    let mut process = Process::start("one", &store, &clock).await;
    let (handle, _offers) = process.run(policy("shop/checkout"), &world);
    settled(&store, &handle).await;
    process.shell.lease.stop_acting();
    let landed = world.landed().len();
    world.change("east", |node| node.running = false);
    until("it says so", || {
        let latest = handle.latest.borrow().clone()?;
        latest.problem.as_ref().filter(|why| why.contains("only looks on")).map(|_| ())
    })
    .await;
    assert_eq!(world.landed().len(), landed);
}

/// What a person has said where the journal does not hear it by itself.
#[derive(Debug)]
struct Said {
    /// `Err`: nobody can say.
    abort: std::sync::Mutex<Result<bool, String>>,
    asked: std::sync::atomic::AtomicU32,
}

impl Said {
    fn new(abort: Result<bool, String>) -> Arc<Self> {
        Arc::new(Self { abort: std::sync::Mutex::new(abort), asked: std::sync::atomic::AtomicU32::new(0) })
    }

    fn asked(&self) -> u32 {
        self.asked.load(std::sync::atomic::Ordering::SeqCst)
    }
}

#[async_trait::async_trait]
impl crate::execute::LastWord for Said {
    async fn stop(
        &self,
        _policy: &muster_core::ids::PolicyName,
        run: &Run,
    ) -> Result<Option<muster_core::wish::Wish>, String> {
        self.asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let (by, reason) = ("kim".to_owned(), "a test".to_owned());
        let said = self.abort.lock().unwrap().clone()?;
        Ok(said.then(|| muster_core::wish::Wish::Abort { run: run.name.clone(), by, reason }))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_that_has_not_arrived_is_heard_before_the_point_of_no_return() {
    let clock = Clock::system();
    let (store, world) = (Arc::new(MemoryStore::new(clock.clone())), World::new(clock.clone()));
    let said = Said::new(Ok(true));
    let mut process = Process::start_asking(&store, &clock, Arc::clone(&said) as _).await;
    let (handle, _offers) = process.run(policy("shop/checkout"), &world);
    settled(&store, &handle).await;
    world.change("east", |node| node.running = false);
    let ended = || store.journal(&handle.name)?.run.filter(|run| run.phase.is_final());
    let run = until("the run ends", ended).await;
    assert_eq!((run.phase, run.past_pivot(), world.count("Promote")), (Phase::Aborted, false, 0));
    assert_eq!(said.asked(), 1, "asked once, and not at each step");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_promoted_while_nobody_can_say_whether_it_was_aborted() {
    let clock = Clock::system();
    let (store, world) = (Arc::new(MemoryStore::new(clock.clone())), World::new(clock.clone()));
    let said = Said::new(Err("no answer".to_owned()));
    let mut process = Process::start_asking(&store, &clock, Arc::clone(&said) as _).await;
    let (handle, _offers) = process.run(policy("shop/checkout"), &world);
    settled(&store, &handle).await;
    world.change("east", |node| node.running = false);
    until("it was asked again and again", || (said.asked() >= 3).then_some(())).await;
    assert_eq!(world.count("Promote"), 0);
    let failing = until("it says why", || {
        let latest = handle.latest.borrow().clone()?;
        let says = latest.failing()?.contains("whether a person has stopped the run");
        says.then_some(latest)
    })
    .await;
    assert!(failing.rule.is_some() && !failing.verdicts.is_empty(), "the last good pass stays beside it");
    *said.abort.lock().unwrap() = Ok(false);
    until("the failover completes", || completed(&store, "shop/checkout")).await;
    let well = handle.latest.borrow().as_ref().is_some_and(|latest| latest.failing().is_none());
    assert!(well, "a pass went well since");
}
