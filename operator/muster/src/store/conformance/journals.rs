//! Versions, lost updates, wishes.

use super::{Backing, World, acquire, ended_run, ensure_refused, journal_with_run, owner, policy, world};
use super::{LONG, Loaded, StoreError};
use crate::clock::Clock;
use crate::store::{Store, Version};
use anyhow::ensure;
use futures::future::try_join_all;
use muster_core::ids::{Epoch, Owner, PolicyName, RunName, Seq, Term};
use muster_core::wish::Wish;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) async fn an_unknown_policy_is_refused_by_every_verb(backing: &dyn Backing) -> anyhow::Result<()> {
    let World { store, token, loaded } = world(backing).await?;
    let nobody = PolicyName::new("shop/nobody");
    let (now, name) = (Clock::system().now(), RunName::new("r"));
    ensure_refused!(store.load(&nobody).await, StoreError::UnknownPolicy { .. });
    ensure_refused!(
        store.record(&nobody, &loaded.version, &token, &loaded.journal).await,
        StoreError::UnknownPolicy { .. }
    );
    let wish = Wish::Resume { by: "ann".into() };
    ensure_refused!(store.wish(&nobody, &wish, now).await, StoreError::UnknownPolicy { .. });
    ensure_refused!(store.finish(&nobody, &ended_run(1)).await, StoreError::UnknownPolicy { .. });
    ensure_refused!(store.runs(&nobody, 9).await, StoreError::UnknownPolicy { .. });
    ensure_refused!(store.run(&nobody, &name).await, StoreError::UnknownPolicy { .. });
    ensure_refused!(store.append_frame(&nobody, &name, &json!(1)).await, StoreError::UnknownPolicy { .. });
    ensure_refused!(store.frames(&nobody, &name).await, StoreError::UnknownPolicy { .. });
    ensure!(store.policies().await?.len() == 1, "one of them created it");
    Ok(())
}

pub(super) async fn a_created_policy_is_listed_and_loaded_by_every_process(
    backing: &dyn Backing,
) -> anyhow::Result<()> {
    let store = backing.open().await?;
    ensure!(store.policies().await?.is_empty(), "a new store knows policies");
    let created = store.create(&policy(), &owner()).await?;
    ensure!(created.journal.state.owner == owner() && created.journal.run.is_none());
    let other = backing.open().await?;
    for view in [&store, &other] {
        let known = view.policies().await?;
        let listed = known.first().map(|k| (&k.policy, k.owner.as_ref(), &k.version));
        ensure!(
            known.len() == 1 && listed == Some((&policy(), Some(&owner()), &created.version)),
            "{known:?}"
        );
        ensure!(known.iter().all(|known| known.in_run == Some(false)), "{known:?}");
        ensure!(view.load(&policy()).await? == created);
    }
    Ok(())
}

pub(super) async fn a_policy_is_created_once(backing: &dyn Backing) -> anyhow::Result<()> {
    let stores = try_join_all((0..4).map(|_| backing.open())).await?;
    let owners: Vec<Owner> = (0..4).map(|n| Owner::new(format!("uid-{n}"))).collect();
    let name = policy();
    let asked = stores.iter().zip(&owners).map(|(store, owner)| store.create(&name, owner));
    let created: Vec<Loaded> = futures::future::join_all(asked).await.into_iter().flatten().collect();
    let [only] = created.as_slice() else { anyhow::bail!("{} of 4 created it", created.len()) };
    let Some(first) = stores.first() else { anyhow::bail!("no stores") };
    ensure!(first.load(&name).await? == *only);
    ensure_refused!(first.create(&name, &Owner::new("other")).await, StoreError::PolicyExists { .. });
    ensure!(first.load(&name).await? == *only, "the second one changed it");
    Ok(())
}

pub(super) async fn what_is_recorded_is_loaded_unchanged(backing: &dyn Backing) -> anyhow::Result<()> {
    let World { store, token, loaded } = world(backing).await?;
    let next = journal_with_run(&loaded.journal, 1);
    let version = store.record(&policy(), &loaded.version, &token, &next).await?;
    for view in [store, backing.open().await?] {
        let seen = view.load(&policy()).await?;
        ensure!(seen.journal == next, "{:#?}\nis not\n{:#?}", seen.journal, next);
        let in_run: Vec<_> = view.policies().await?.iter().map(|known| known.in_run).collect();
        ensure!(in_run == [Some(true)], "{in_run:?}");
        ensure!(seen.version == version);
    }
    Ok(())
}

pub(super) async fn a_version_never_comes_back(backing: &dyn Backing) -> anyhow::Result<()> {
    let World { store, token, mut loaded } = world(backing).await?;
    let other = PolicyName::new("shop/cart");
    let mut seen: BTreeSet<String> = [loaded.version.to_string()].into();
    for n in 0..10 {
        // The same content again is a new version too: somebody looked at the old one and may act on it.
        let version = store.record(&policy(), &loaded.version, &token, &loaded.journal).await?;
        ensure!(seen.insert(version.to_string()), "{version} came back");
        loaded.version = version;
        if n == 5 {
            store.create(&other, &Owner::new("uid-2")).await?;
        }
    }
    Ok(())
}

pub(super) async fn a_stale_version_is_refused_and_nothing_is_written(
    backing: &dyn Backing,
) -> anyhow::Result<()> {
    let World { store, token, loaded } = world(backing).await?;
    let next = journal_with_run(&loaded.journal, 1);
    let version = store.record(&policy(), &loaded.version, &token, &next).await?;
    let stale = journal_with_run(&loaded.journal, 2);
    for expected in [&loaded.version, &Version::new("no version"), &Version::new("")] {
        match store.record(&policy(), expected, &token, &stale).await {
            Err(StoreError::Conflict { found, .. }) => ensure!(found == version),
            other => anyhow::bail!("{expected}: {other:?}"),
        }
    }
    ensure!(store.load(&policy()).await? == Loaded { version, journal: next });
    Ok(())
}

pub(super) async fn eight_writers_lose_no_update(backing: &dyn Backing) -> anyhow::Result<()> {
    const EACH: u64 = 10;
    let World { store, token, .. } = world(backing).await?;
    let views = try_join_all((0..8).map(|_| backing.open())).await?;
    let writers = views.into_iter().enumerate().map(|(n, view)| {
        let token = token.clone();
        tokio::spawn(async move {
            let mut done = 0;
            while done < EACH {
                done += u64::from(count_one(&view, &token).await?);
                if n == 0 {
                    let wish = Wish::Pause { by: "ann".into(), reason: done.to_string() };
                    view.wish(&policy(), &wish, Clock::system().now()).await?;
                }
            }
            anyhow::Ok(())
        })
    });
    for writer in try_join_all(writers).await? {
        writer?;
    }
    let seq = store.load(&policy()).await?.journal.state.seq;
    ensure!(seq == Seq(8 * EACH), "{seq} of {} updates are there", 8 * EACH);
    Ok(())
}

/// Whether the update was taken; a conflict is none.
async fn count_one(view: &Arc<dyn Store>, token: &super::LeaseToken) -> anyhow::Result<bool> {
    let Loaded { version, mut journal } = view.load(&policy()).await?;
    journal.state.seq = journal.state.seq.next();
    match view.record(&policy(), &version, token, &journal).await {
        Ok(_) => Ok(true),
        Err(StoreError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn only_one_of_two_runs_opens(backing: &dyn Backing) -> anyhow::Result<()> {
    let World { store, token, loaded } = world(backing).await?;
    let other = backing.open().await?;
    let (mut mine, mut theirs) = (journal_with_run(&loaded.journal, 1), journal_with_run(&loaded.journal, 1));
    for (journal, name) in [(&mut mine, "mine"), (&mut theirs, "theirs")] {
        if let Some(active) = &mut journal.state.active_run {
            active.name = RunName::new(name);
        }
    }
    let name = policy();
    let (a, b) = tokio::join!(
        store.record(&name, &loaded.version, &token, &mine),
        other.record(&name, &loaded.version, &token, &theirs)
    );
    ensure!(a.is_ok() != b.is_ok(), "{a:?} and {b:?}");
    let opened = if a.is_ok() { mine } else { theirs };
    ensure!(store.load(&name).await?.journal == opened);
    Ok(())
}

pub(super) async fn numbers_never_go_back_and_the_owner_stays(backing: &dyn Backing) -> anyhow::Result<()> {
    let World { store, token, loaded } = world(backing).await?;
    let mut next = journal_with_run(&loaded.journal, 3);
    next.state.term = Term(5);
    let version = store.record(&policy(), &loaded.version, &token, &next).await?;
    let mut older_epoch = next.clone();
    (older_epoch.state.epoch, older_epoch.state.term) = (Epoch(2), Term(9));
    let mut older_term = next.clone();
    older_term.state.term = Term(4);
    let mut stranger = next.clone();
    stranger.state.owner = Owner::new("uid-2");
    for bad in [older_epoch, older_term, stranger] {
        ensure_refused!(store.record(&policy(), &version, &token, &bad).await, StoreError::Invalid { .. });
    }
    let mut newer = next;
    (newer.state.epoch, newer.state.term) = (Epoch(4), Term(0));
    store.record(&policy(), &version, &token, &newer).await?;
    Ok(())
}

pub(super) async fn a_wish_needs_no_lease_and_makes_the_holder_load_again(
    backing: &dyn Backing,
) -> anyhow::Result<()> {
    let World { store, token, loaded } = world(backing).await?;
    let other = backing.open().await?;
    let wish = Wish::Pause { by: "ann".into(), reason: "maintenance".into() };
    let wished = other.wish(&policy(), &wish, Clock::system().now()).await?;
    ensure!(wished.journal.state.paused.is_some() && wished.version != loaded.version);
    let next = journal_with_run(&loaded.journal, 1);
    ensure_refused!(
        store.record(&policy(), &loaded.version, &token, &next).await,
        StoreError::Conflict { .. }
    );
    ensure!(store.load(&policy()).await? == wished);
    Ok(())
}

pub(super) async fn a_refused_wish_writes_nothing(backing: &dyn Backing) -> anyhow::Result<()> {
    let store = backing.open().await?;
    let created = store.create(&policy(), &owner()).await?;
    acquire(store.as_ref(), "first", LONG).await?;
    let wish = Wish::Abort { run: RunName::new("none"), by: "ann".into(), reason: String::new() };
    ensure_refused!(store.wish(&policy(), &wish, Clock::system().now()).await, StoreError::Refused(_));
    ensure!(store.load(&policy()).await? == created);
    Ok(())
}
