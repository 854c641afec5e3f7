//! One holder at a time, judged by what each process sees itself.

use super::{Acquired, Backing, HolderId, Loaded, Millis, World, journal_with_run, policy, world};
use super::{LONG, StoreError, acquire, acquire_in_time, ensure_refused};
use crate::store::{LeaseKeeper, LeaseSettings, LeaseToken, Store};
use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Short enough for a test to wait for, long enough to renew within on a busy machine.
const SHORT: Millis = Millis(600);
const STEP: Duration = Duration::from_millis(50);

pub(super) async fn one_of_eight_candidates_gets_the_lease(backing: &dyn Backing) -> anyhow::Result<()> {
    let views = try_join_all((0..8).map(|_| backing.open())).await?;
    let asked = views.into_iter().enumerate().map(|(n, view)| {
        tokio::spawn(async move { view.acquire(&HolderId::new(format!("h{n}")), LONG).await })
    });
    let mut tokens = Vec::new();
    for answer in try_join_all(asked).await? {
        if let Acquired::Ours(token) = answer? {
            tokens.push(token);
        }
    }
    ensure!(tokens.len() == 1, "{} of 8 have it", tokens.len());
    Ok(())
}

pub(super) async fn a_lease_that_is_renewed_is_never_taken_over(backing: &dyn Backing) -> anyhow::Result<()> {
    let (store, other) = (backing.open().await?, backing.open().await?);
    let token = acquire(store.as_ref(), "first", SHORT).await?;
    let end = Instant::now() + 3 * SHORT.to_std();
    while Instant::now() < end {
        let asked = other.acquire(&HolderId::new("second"), SHORT).await?;
        if matches!(asked, Acquired::Ours(_)) {
            ensure!(!token.is_live(), "taken over with {} left", token.remaining());
            // The machine stood still for longer than the lease; this says nothing.
            return Ok(());
        }
        tokio::time::sleep(STEP).await;
        if store.renew(&token).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

pub(super) async fn a_first_look_never_takes_over(backing: &dyn Backing) -> anyhow::Result<()> {
    let store = backing.open().await?;
    let token = acquire(store.as_ref(), "first", SHORT).await?;
    wait_out(&token).await?;
    let other = backing.open().await?;
    let first_look = other.acquire(&HolderId::new("second"), SHORT).await?;
    ensure!(matches!(first_look, Acquired::Held { .. }), "by what does it know how old this is?");
    Ok(())
}

pub(super) async fn a_silent_holder_is_followed_after_its_duration(
    backing: &dyn Backing,
) -> anyhow::Result<()> {
    let (store, other) = (backing.open().await?, backing.open().await?);
    let old = acquire(store.as_ref(), "first", SHORT).await?;
    // The candidate's own duration is of no account: it waits for what the holder relies on.
    let looked = Instant::now();
    let new = acquire_in_time(other.as_ref(), "second", Millis(100)).await?;
    ensure!(!old.is_live(), "both may act");
    ensure!(looked.elapsed() >= SHORT.to_std(), "after {:?} already", looked.elapsed());
    ensure!(new.number() > old.number());
    ensure_refused!(store.renew(&old).await, StoreError::LeaseLost { .. });
    Ok(())
}

pub(super) async fn a_lease_given_back_is_free_at_once(backing: &dyn Backing) -> anyhow::Result<()> {
    let (store, other) = (backing.open().await?, backing.open().await?);
    let old = acquire(store.as_ref(), "first", LONG).await?;
    let held = other.acquire(&HolderId::new("second"), LONG).await?;
    ensure!(matches!(held, Acquired::Held { by, .. } if by == HolderId::new("first")));
    store.release(&old).await?;
    ensure!(!old.is_live());
    let new = acquire(other.as_ref(), "second", LONG).await?;
    // Late and again: it must not end the successor's lease.
    store.release(&old).await?;
    other.renew(&new).await?;
    Ok(())
}

pub(super) async fn the_number_grows_with_each_acquisition(backing: &dyn Backing) -> anyhow::Result<()> {
    let store = backing.open().await?;
    let mut last = 0;
    for n in 0..6 {
        // Every second time the same process asks anew without giving back: its old token is void then.
        let token = acquire(store.as_ref(), &format!("h{}", n / 2), LONG).await?;
        ensure!(token.number() > last, "{} after {last}", token.number());
        last = token.number();
        if n % 2 == 1 {
            store.release(&token).await?;
        }
    }
    Ok(())
}

pub(super) async fn an_old_token_records_nothing(backing: &dyn Backing) -> anyhow::Result<()> {
    let World { store, token: old, loaded } = world(backing).await?;
    // Acquired anew by the same process: the deadline of the old token has not passed, only its number is old.
    let new = acquire(store.as_ref(), "first", LONG).await?;
    ensure!(old.is_live());
    let next = journal_with_run(&loaded.journal, 1);
    ensure_refused!(
        store.record(&policy(), &loaded.version, &old, &next).await,
        StoreError::LeaseLost { .. }
    );
    ensure!(store.load(&policy()).await? == loaded, "it was written all the same");
    ensure!(!old.is_live(), "the token does not know");
    store.record(&policy(), &loaded.version, &new, &next).await?;
    Ok(())
}

pub(super) async fn a_token_that_ran_out_records_nothing_even_if_nobody_followed(
    backing: &dyn Backing,
) -> anyhow::Result<()> {
    let World { store, token, loaded } = world(backing).await?;
    store.release(&token).await?;
    let token = acquire(store.as_ref(), "first", Millis(100)).await?;
    wait_out(&token).await?;
    let next = journal_with_run(&loaded.journal, 1);
    ensure_refused!(
        store.record(&policy(), &loaded.version, &token, &next).await,
        StoreError::LeaseLost { .. }
    );
    ensure_refused!(store.renew(&token).await, StoreError::LeaseLost { .. });
    ensure!(store.load(&policy()).await? == loaded);
    // Its own lease: it need not wait, but the number is a new one.
    let again = acquire(store.as_ref(), "first", LONG).await?;
    ensure!(again.number() > token.number());
    Ok(())
}

pub(super) async fn a_lost_lease_is_not_renewed_and_all_clones_know(
    backing: &dyn Backing,
) -> anyhow::Result<()> {
    let (store, other) = (backing.open().await?, backing.open().await?);
    let token = acquire(store.as_ref(), "first", Millis(200)).await?;
    let clone = token.clone();
    acquire_in_time(other.as_ref(), "second", LONG).await?;
    ensure_refused!(store.renew(&token).await, StoreError::LeaseLost { .. });
    ensure!(!clone.is_live() && clone.remaining() == Millis(0));
    clone.prolong(crate::clock::Clock::system().now().tick);
    ensure!(!clone.is_live(), "void is for good");
    Ok(())
}

pub(super) async fn the_keeper_follows_a_keeper_that_stops(backing: &dyn Backing) -> anyhow::Result<()> {
    let World { store, token, loaded: Loaded { version, journal } } = world(backing).await?;
    store.release(&token).await?;
    let settings = LeaseSettings { duration: LONG, renew_every: Millis(50), look_every: Millis(20) };
    let first = LeaseKeeper::start(store.clone(), HolderId::new("first"), settings);
    let one = held(&first).await?;
    let other: Arc<dyn Store> = backing.open().await?;
    let second = LeaseKeeper::start(other.clone(), HolderId::new("second"), settings);
    let version = store.record(&policy(), &version, &one, &journal).await?;
    ensure!(second.token().is_none());
    first.stop().await;
    ensure!(!one.is_live());
    let two = held(&second).await?;
    ensure!(two.number() > one.number());
    other.record(&policy(), &version, &two, &journal).await?;
    second.stop().await;
    Ok(())
}

async fn held(keeper: &LeaseKeeper) -> anyhow::Result<LeaseToken> {
    let mut watch = keeper.watch();
    let waited = tokio::time::timeout(Duration::from_secs(20), watch.wait_for(Option::is_some)).await;
    waited.context("no lease in time")??.clone().context("it was there")
}

async fn wait_out(token: &LeaseToken) -> anyhow::Result<()> {
    let waiting = async {
        while token.is_live() {
            tokio::time::sleep(STEP).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.context("it never runs out")
}
