//! Claims, history, frames, the check.

use super::{
    Backing, Owner, StoreError, World, ended_run, ensure_refused, journal_with_run, owner, policy, world,
};
use crate::store::Need;
use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use muster_core::ids::{ClaimKey, Epoch, RunName};
use muster_core::journal::Journal;
use serde_json::json;
use std::collections::BTreeSet;

fn keys(names: &[&str]) -> BTreeSet<ClaimKey> {
    names.iter().map(|name| ClaimKey::new(*name)).collect()
}

pub(super) async fn claims_are_all_or_none(backing: &dyn Backing) -> anyhow::Result<()> {
    let store = backing.open().await?;
    let (a, b) = (Owner::new("a"), Owner::new("b"));
    ensure!(store.claim(&a, &keys(&["dns/x", "pg/1"])).await?.is_empty());
    let foreign = store.claim(&b, &keys(&["dns/y", "pg/1", "pg/2"])).await?;
    ensure!(foreign == [(ClaimKey::new("pg/1"), a.clone())].into(), "{foreign:?}");
    let held = store.claims().await?;
    ensure!(held.len() == 2 && held.values().all(|by| *by == a), "{held:?}");
    ensure!(store.claim(&a, &keys(&["dns/x", "pg/1"])).await?.is_empty(), "one's own are no hindrance");
    ensure!(store.claim(&a, &keys(&[])).await?.is_empty());
    Ok(())
}

pub(super) async fn of_two_overlapping_claims_one_wins_whole(backing: &dyn Backing) -> anyhow::Result<()> {
    let views = try_join_all((0..4).map(|_| backing.open())).await?;
    for round in 0..10 {
        let asked = views.iter().enumerate().map(|(n, view)| {
            let wanted = keys(&[&format!("{round}/shared"), &format!("{round}/own-{n}")]);
            async move { view.claim(&Owner::new(format!("o{n}")), &wanted).await }
        });
        let winners = try_join_all(asked).await?.iter().filter(|foreign| foreign.is_empty()).count();
        ensure!(winners == 1, "{winners} of 4 hold what only one may");
    }
    let held = views.first().context("no view")?.claims().await?;
    ensure!(held.len() == 20, "{} keys are held, 20 were won", held.len());
    Ok(())
}

pub(super) async fn only_what_one_holds_is_given_up(backing: &dyn Backing) -> anyhow::Result<()> {
    let store = backing.open().await?;
    let (a, b) = (Owner::new("a"), Owner::new("b"));
    store.claim(&a, &keys(&["1", "2"])).await?;
    store.release_claims(&b, &keys(&["1", "2"])).await?;
    ensure!(store.claims().await?.len() == 2);
    store.release_claims(&a, &keys(&["2", "3"])).await?;
    ensure!(store.claims().await? == [(ClaimKey::new("1"), a.clone())].into());
    ensure!(store.claim(&b, &keys(&["2", "3"])).await?.is_empty());
    ensure!(store.claims_of(&a).await? == keys(&["1"]) && store.claims_of(&b).await? == keys(&["2", "3"]));
    ensure!(store.claims_of(&Owner::new("c")).await?.is_empty());
    Ok(())
}

fn ending(journal: &Journal, epoch: u64) -> Journal {
    let mut next = journal_with_run(journal, epoch);
    next.state.active_run = None;
    next.run = Some(ended_run(epoch));
    next
}

pub(super) async fn an_ended_run_is_in_the_history_once_recorded(
    backing: &dyn Backing,
) -> anyhow::Result<()> {
    let World { store, token, loaded } = world(backing).await?;
    let open = journal_with_run(&loaded.journal, 1);
    let version = store.record(&policy(), &loaded.version, &token, &open).await?;
    ensure!(store.runs(&policy(), 9).await?.is_empty(), "it has not ended");
    let ended = ending(&loaded.journal, 1);
    let version = store.record(&policy(), &version, &token, &ended).await?;
    ensure!(store.runs(&policy(), 9).await? == [ended_run(1)]);
    let mut next = ended.clone();
    next.state.epoch = Epoch(2);
    store.record(&policy(), &version, &token, &next).await?;
    ensure!(store.runs(&policy(), 9).await? == [ended_run(1)], "kept twice");
    let name = ended_run(1).name;
    ensure!(store.run(&policy(), &name).await? == Some(ended_run(1)));
    ensure!(store.run(&policy(), &RunName::new("none")).await?.is_none());
    Ok(())
}

pub(super) async fn later_figures_replace_those_in_the_history(backing: &dyn Backing) -> anyhow::Result<()> {
    let World { store, .. } = world(backing).await?;
    let mut run = ended_run(1);
    store.finish(&policy(), &run).await?;
    store.finish(&policy(), &ended_run(2)).await?;
    run.measured.rpo.r#final = true;
    run.measured.lost_commits = Some(31);
    store.finish(&policy(), &run).await?;
    ensure!(store.runs(&policy(), 9).await? == [ended_run(2), run.clone()]);
    ensure!(store.runs(&policy(), 1).await? == [ended_run(2)]);
    let under_way = journal_with_run(&store.load(&policy()).await?.journal, 3).run.context("it has one")?;
    ensure_refused!(store.finish(&policy(), &under_way).await, StoreError::Invalid { .. });
    Ok(())
}

pub(super) async fn the_history_is_bounded_and_forgets_the_oldest(
    backing: &dyn Backing,
) -> anyhow::Result<()> {
    let World { store, .. } = world(backing).await?;
    let other = "shop/cart".into();
    store.create(&other, &owner()).await?;
    store.finish(&other, &ended_run(1)).await?;
    let bound = backing.bounds().runs;
    for epoch in 1..=bound as u64 + 3 {
        store.finish(&policy(), &ended_run(epoch)).await?;
    }
    let epochs: Vec<u64> = store.runs(&policy(), usize::MAX).await?.iter().map(|r| r.epoch.0).collect();
    let newest: Vec<u64> = (4..=bound as u64 + 3).rev().collect();
    ensure!(epochs == newest, "{epochs:?}");
    ensure!(store.runs(&other, 9).await?.len() == 1, "another policy's went too");
    Ok(())
}

pub(super) async fn frames_keep_their_order_and_bound(backing: &dyn Backing) -> anyhow::Result<()> {
    let World { store, .. } = world(backing).await?;
    let (one, two) = (RunName::new("one"), RunName::new("two"));
    let bound = backing.bounds().frames;
    ensure!(store.frames(&policy(), &one).await?.is_empty());
    store.append_frame(&policy(), &two, &json!("apart")).await?;
    for n in 0..bound + 3 {
        store.append_frame(&policy(), &one, &json!({ "n": n })).await?;
    }
    let expected: Vec<_> = (3..bound + 3).map(|n| json!({ "n": n })).collect();
    ensure!(store.frames(&policy(), &one).await? == expected);
    ensure!(store.frames(&policy(), &two).await? == [json!("apart")]);
    Ok(())
}

pub(super) async fn a_check_passes_where_there_is_room(backing: &dyn Backing) -> anyhow::Result<()> {
    let World { store, loaded, .. } = world(backing).await?;
    for need in [Need::NewRun, Need::RunUnderWay, Need::NewRun] {
        store.check(need).await?;
    }
    ensure!(store.load(&policy()).await? == loaded, "a check must not move a version");
    Ok(())
}
