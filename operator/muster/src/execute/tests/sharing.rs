use super::*;
use muster_core::decide::explain;

/// What `explain` says of the gate on claims.
fn told(store: &MemoryStore, handle: &PolicyHandle, clock: &Clock) -> Option<String> {
    let journal = store.journal(&handle.name)?;
    let policy = &handle.acting.borrow().policy.clone();
    let seen = handle.board.snapshot(Some("one".into()), clock.now().tick);
    let told = explain(policy, &journal, &seen, clock.now());
    told.blocked.into_iter().find(|blocker| blocker.name == "ClaimsHeld").map(|blocker| blocker.saw)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_policies_on_one_server_under_two_names_only_the_first_acts() {
    let clock = Clock::system();
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let (orders, stock) = (World::new(clock.clone()), World::new(clock.clone()));
    // Another name and another database, and the same server behind it.
    stock.set_system(orders.system());
    let mut process = Process::start("one", &store, &clock).await;
    let (first, offers) = process.run(policy("shop/orders"), &orders);
    settled(&store, &first).await;
    let (second, _offers) = process.run(policy("shop/stock"), &stock);
    let condition = until("the second one is not ready", || {
        store.journal(&second.name)?.state.conditions.get("Ready").filter(|ready| !ready.ok).cloned()
    })
    .await;
    let key = format!("postgres-system/{} by owner-of-shop/orders", orders.system());
    assert_eq!((condition.reason.as_str(), &condition.message), ("ClaimHeld", &key));

    until("a heartbeat has reached west, and the switch says on", || {
        let seen = second.board.snapshot(None, Tick(0));
        let west = seen.data.get(&"orders".into())?.get(&"west".into())?.value.known()?.heartbeat.clone()?;
        let ids = store.journal(&second.name)?.state.fence_ids;
        (west.seq > 0 && !ids.is_empty()).then_some(())
    })
    .await;
    stock.change("east", |node| node.running = false);
    until("it would leave the region", || {
        second.latest.borrow().as_ref()?.blocked.iter().any(|b| b.name == "ClaimsHeld").then_some(())
    })
    .await;
    assert_eq!(told(&store, &second, &clock), Some(key));
    assert!(stock.landed().is_empty(), "nothing was ever sent: {:?}", stock.landed());
    assert!(store.journal(&second.name).unwrap().run.is_none());

    offers.send_modify(|offer| offer.removed = true);
    let run = until("the second one fails over", || completed(&store, "shop/stock")).await;
    assert_eq!((run.to.as_str(), told(&store, &second, &clock)), ("west", None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_process_has_claimed_is_given_up_with_the_policy() {
    let clock = Clock::system();
    let (store, world) = (Arc::new(MemoryStore::new(clock.clone())), World::new(clock.clone()));
    let mut first = Process::start("one", &store, &clock).await;
    let (handle, _offers) = first.run(policy("shop/checkout"), &world);
    settled(&store, &handle).await;
    assert_eq!(store.claims().await.unwrap().len(), 3);
    first.die(&store);

    let mut second = Process::start("two", &store, &clock).await;
    let (_handle, offers) = second.run(policy("shop/checkout"), &world);
    until("the second one acts", || second.shell.lease.is_held().then_some(())).await;
    offers.send_modify(|offer| offer.removed = true);
    until("the task ends", || second.tasks[0].is_finished().then_some(())).await;
    assert!(store.claims().await.unwrap().is_empty());
}
