use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_region_is_left_and_the_run_completes() {
    let clock = Clock::system();
    let (store, world) = (Arc::new(MemoryStore::new(clock.clone())), World::new(clock.clone()));
    let mut process = Process::start("one", &store, &clock).await;
    let (handle, _offers) = process.run(policy("shop/checkout"), &world);
    settled(&store, &handle).await;
    assert_eq!(world.count("OpenWriter"), 1, "the witness is raised before it is ever needed");

    world.change("east", |node| node.running = false);
    let run = until("the failover completes", || completed(&store, "shop/checkout")).await;

    assert_eq!((run.from.as_str(), run.to.as_str()), ("east", "west"));
    assert_eq!((world.points_to().as_str(), world.writers()), ("west", vec!["west".into()]));
    assert_eq!((world.count("Promote"), world.count("Flip")), (1, 1));
    assert!(run.measured.rto.is_some());
    let frames = store.frames(&handle.name, &run.name).await.unwrap();
    assert!(frames.len() >= 4, "every recorded decision of a run can be replayed");
    let history = store.runs(&handle.name, 10).await.unwrap();
    assert_eq!(history.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_does_not_wait_for_looks_that_wait_for_others() {
    let clock = Clock::system();
    let (store, world) = (Arc::new(MemoryStore::new(clock.clone())), World::new(clock.clone()));
    world.share_reads(Duration::from_secs(8));
    let mut process = Process::start("one", &store, &clock).await;
    let (handle, _offers) = process.run(policy("shop/checkout"), &world);
    settled(&store, &handle).await;

    world.change("east", |node| node.running = false);
    let run = until("the failover completes", || completed(&store, "shop/checkout")).await;
    let acted = run.clock.promoted.zip(run.clock.decided).and_then(|(end, begin)| end.since(&begin));
    assert!(acted.is_some_and(|long| long < Millis::from_secs(8)), "{acted:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_replay_to_the_same_decisions() {
    let clock = Clock::system();
    let (store, world) = (Arc::new(MemoryStore::new(clock.clone())), World::new(clock.clone()));
    let mut process = Process::start("one", &store, &clock).await;
    let (handle, _offers) = process.run(policy("shop/checkout"), &world);
    settled(&store, &handle).await;
    world.change("east", |node| node.running = false);
    let run = until("the failover completes", || completed(&store, "shop/checkout")).await;

    for frame in store.frames(&handle.name, &run.name).await.unwrap() {
        let frame: crate::api::Frame = serde_json::from_value(frame).unwrap();
        let again = muster_core::decide::decide(&frame.policy, &frame.journal, &frame.observations, frame.at);
        assert_eq!(again, frame.decision);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stable_policy_in_a_stable_world_writes_nothing() {
    let clock = Clock::system();
    let (store, world) = (Arc::new(MemoryStore::new(clock.clone())), World::new(clock.clone()));
    let mut process = Process::start("one", &store, &clock).await;
    let (handle, _offers) = process.run(policy("shop/checkout"), &world);
    settled(&store, &handle).await;
    // Counts of streaks saturate; from then on nothing changes over many looks.
    let (mut records, mut looks) = (store.records(&handle.name), world.looks());
    until("many looks bring no record", || {
        if store.records(&handle.name) != records {
            (records, looks) = (store.records(&handle.name), world.looks());
        }
        (world.looks() > looks + 30).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_call_log_of_a_run_names_every_point() {
    let clock = Clock::system();
    let (store, world) = (Arc::new(MemoryStore::new(clock.clone())), World::new(clock.clone()));
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("calls");
    let flags = TestFlags { call_log: Some(log.clone()), ..TestFlags::default() };
    let mut process = Process::start_with("one", &store, &clock, flags).await;
    let (handle, _offers) = process.run(policy("shop/checkout"), &world);
    settled(&store, &handle).await;
    world.change("east", |node| node.running = false);
    until("the failover completes", || completed(&store, "shop/checkout")).await;

    until("east has rejoined and all is calm", || {
        let latest = handle.latest.borrow().clone()?;
        let state = latest.journal.as_ref().map(|journal| &journal.state)?;
        (state.outcasts.is_empty() && latest.rule.as_ref()?.0.number() == 499).then_some(())
    })
    .await;

    let text = std::fs::read_to_string(log).unwrap();
    for action in ["Promote", "Flip"] {
        let points: Vec<&str> = text
            .lines()
            .filter(|line| line.contains(&format!("\"action\":\"{action}\"")))
            .filter_map(|line| line.split("\"point\":\"").nth(1)?.split('"').next())
            .collect();
        assert_eq!(points, ["before", "sent", "answered"], "{action} in {text}");
    }
    let records = text.lines().filter(|line| line.contains("\"action\":\"R2")).count();
    assert!(records >= 8 && records % 2 == 0, "each record has before and after: {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_in_mid_run_waits_for_its_end_but_the_mode_is_live() {
    let clock = Clock::system();
    let (store, world) = (Arc::new(MemoryStore::new(clock.clone())), World::new(clock.clone()));
    let mut process = Process::start("one", &store, &clock).await;
    let (handle, offers) = process.run(policy("shop/checkout"), &world);
    settled(&store, &handle).await;
    world.set_fault("Promote", Some(crate::execute::fakes::Fault::Fails));
    world.change("east", |node| node.running = false);
    until("the promotion is tried", || {
        let journal = store.journal(&handle.name)?;
        journal.run.as_ref()?.clock.pivot
    })
    .await;

    let mut edited = policy("shop/checkout");
    edited.mode = muster_core::policy::Mode::Observe;
    edited.safety.cooldown = Millis(5);
    offers.send_modify(|offer| offer.newest = Arc::new(setup(edited, &world)));
    let latest = until("the edit is deferred", || {
        handle.latest.borrow().clone().filter(|latest| latest.deferred.is_some())
    })
    .await;
    assert!(latest.deferred.as_ref().is_some_and(|why| why.contains("takes effect when")));
    assert_eq!(latest.acting.policy.safety.cooldown, Millis(60_000));
    until("it holds still", || {
        let latest = handle.latest.borrow().clone()?;
        latest.rule.as_ref().filter(|(rule, _)| rule.name() == "HeldStill").map(|_| ())
    })
    .await;

    offers.send_modify(|offer| {
        let mut acting = policy("shop/checkout");
        acting.safety.cooldown = Millis(5);
        offer.newest = Arc::new(setup(acting, &world));
    });
    world.set_fault("Promote", None);
    until("the failover completes", || completed(&store, "shop/checkout")).await;
    until("the edit takes effect", || {
        (handle.acting.borrow().policy.safety.cooldown == Millis(5)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_policy_stays_in_force_until_its_run_ends_and_gives_up_its_claims() {
    let clock = Clock::system();
    let (store, world) = (Arc::new(MemoryStore::new(clock.clone())), World::new(clock.clone()));
    let mut process = Process::start("one", &store, &clock).await;
    let (handle, offers) = process.run(policy("shop/checkout"), &world);
    settled(&store, &handle).await;
    assert_eq!(store.claims().await.unwrap().len(), 3, "the server, what is on it, and the name");
    world.change("east", |node| node.running = false);
    until("the run is active", || store.journal(&handle.name)?.state.active_run).await;
    offers.send_modify(|offer| offer.removed = true);
    until("the failover completes", || completed(&store, "shop/checkout")).await;
    until("the task ends", || process.tasks[0].is_finished().then_some(())).await;
    assert!(store.claims().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_evidence_of_a_run_is_kept_when_it_changes() {
    use crate::store::archive::{Kind, Limits};
    use muster_core::time::Wall;

    let clock = Clock::system();
    let (store, world) = (Arc::new(MemoryStore::new(clock.clone())), World::new(clock.clone()));
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { keep_free_bytes: 0, ..Limits::default() };
    let archive = Arc::new(Archive::open(folder.path(), limits, clock.clone()));
    let (flags, kept) = (TestFlags::default(), Some(Arc::clone(&archive)));
    let mut process = Process::start_with_archive("one", &store, &clock, flags, kept).await;
    let (handle, _offers) = process.run(policy("shop/checkout"), &world);
    settled(&store, &handle).await;
    assert_eq!(archive.list(Kind::Evidence).await.unwrap(), [], "without a run there is none");
    world.change("east", |node| node.running = false);
    let run = until("the failover completes", || completed(&store, "shop/checkout")).await;

    let key = format!("shop/checkout/{}", run.name);
    let all = Wall(i64::MIN)..Wall(i64::MAX);
    let evidence = archive.read(Kind::Evidence, &key, all, 100).await.unwrap();
    let gate = |name: &str, of: &serde_json::Value| {
        of["gates"].as_array().unwrap().iter().find(|gate| gate["name"] == name).cloned()
    };
    assert!(evidence.len() >= 2 && evidence.len() < 20, "{evidence:#?}");
    let (first, last) = (&evidence[0].value, &evidence[evidence.len() - 1].value);
    let unhealthy = gate("PrimaryUnhealthy", first).expect("it opened the run");
    assert_eq!((&unhealthy["ok"], first["proofs"].get("east")), (&true.into(), None), "{unhealthy}");
    assert_eq!(last["proofs"]["east"]["class"], "Attested", "{last}");
    assert!(last["gates"] == serde_json::to_value(&run.gates).unwrap(), "as the promotion was recorded");
}
