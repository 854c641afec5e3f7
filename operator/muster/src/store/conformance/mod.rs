//! What every store must do, whatever it keeps its journals in. A new implementation calls [`check_all`] in a test.
//!
//! Made for tests; nothing else calls it.

mod fixture;
mod journals;
mod leases;
mod rest;

use super::{Acquired, LeaseToken, Loaded, Store, StoreError};
use anyhow::{Context as _, bail};
use async_trait::async_trait;
pub use fixture::{ended_run, journal_with_run};
use muster_core::ids::{HolderId, Owner, PolicyName};
use muster_core::time::Millis;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// What the bounds of the store under test are.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Ended runs kept, by policy.
    pub runs: usize,
    /// Frames kept, by run.
    pub frames: usize,
}

/// An empty place to keep journals in.
#[async_trait]
pub trait Backing: Send + Sync {
    /// Another process's view of it.
    async fn open(&self) -> anyhow::Result<Arc<dyn Store>>;
    /// Its bounds; small ones make the suite fast.
    fn bounds(&self) -> Bounds;
}

type Checked<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send + 'a>>;

/// One thing that must hold.
pub struct Case {
    /// A sentence.
    pub name: &'static str,
    check: for<'a> fn(&'a dyn Backing) -> Checked<'a>,
}

macro_rules! cases {
    ($($module:ident :: $name:ident),* $(,)?) => {
        vec![$(Case {
            name: stringify!($name),
            check: |backing| Box::pin($module::$name(backing)),
        }),*]
    };
}

/// All that must hold.
pub fn cases() -> Vec<Case> {
    cases![
        journals::an_unknown_policy_is_refused_by_every_verb,
        journals::a_created_policy_is_listed_and_loaded_by_every_process,
        journals::a_policy_is_created_once,
        journals::what_is_recorded_is_loaded_unchanged,
        journals::a_version_never_comes_back,
        journals::a_stale_version_is_refused_and_nothing_is_written,
        journals::eight_writers_lose_no_update,
        journals::only_one_of_two_runs_opens,
        journals::numbers_never_go_back_and_the_owner_stays,
        journals::a_wish_needs_no_lease_and_makes_the_holder_load_again,
        journals::a_refused_wish_writes_nothing,
        leases::one_of_eight_candidates_gets_the_lease,
        leases::a_lease_that_is_renewed_is_never_taken_over,
        leases::a_first_look_never_takes_over,
        leases::a_silent_holder_is_followed_after_its_duration,
        leases::a_lease_given_back_is_free_at_once,
        leases::the_number_grows_with_each_acquisition,
        leases::an_old_token_records_nothing,
        leases::a_token_that_ran_out_records_nothing_even_if_nobody_followed,
        leases::a_lost_lease_is_not_renewed_and_all_clones_know,
        leases::the_keeper_follows_a_keeper_that_stops,
        rest::claims_are_all_or_none,
        rest::of_two_overlapping_claims_one_wins_whole,
        rest::only_what_one_holds_is_given_up,
        rest::an_ended_run_is_in_the_history_once_recorded,
        rest::later_figures_replace_those_in_the_history,
        rest::the_history_is_bounded_and_forgets_the_oldest,
        rest::frames_keep_their_order_and_bound,
        rest::a_check_passes_where_there_is_room,
    ]
}

/// Checks every case on a backing of its own. Returns how many there are, or the first that fails.
pub async fn check_all<F, Fut, B>(fresh: F) -> anyhow::Result<usize>
where
    F: Fn() -> Fut,
    Fut: Future<Output = anyhow::Result<B>>,
    B: Backing,
{
    let cases = cases();
    for case in &cases {
        let backing = fresh().await.with_context(|| format!("{}: no backing", case.name))?;
        let checked = tokio::time::timeout(Duration::from_mins(1), (case.check)(&backing)).await;
        checked.with_context(|| format!("{}: hangs", case.name))?.with_context(|| case.name)?;
    }
    Ok(cases.len())
}

/// Longer than a pause of the machine, shorter than patience.
const LONG: Millis = Millis(30_000);

fn policy() -> PolicyName {
    PolicyName::new("shop/checkout")
}

fn owner() -> Owner {
    Owner::new("uid-1")
}

/// A store with one policy and the lease.
struct World {
    store: Arc<dyn Store>,
    token: LeaseToken,
    loaded: Loaded,
}

async fn world(backing: &dyn Backing) -> anyhow::Result<World> {
    let store = backing.open().await?;
    let loaded = store.create(&policy(), &owner()).await?;
    let token = acquire(store.as_ref(), "first", LONG).await?;
    Ok(World { store, token, loaded })
}

/// Acquires a lease that must be free.
async fn acquire(store: &dyn Store, holder: &str, duration: Millis) -> anyhow::Result<LeaseToken> {
    match store.acquire(&HolderId::new(holder), duration).await? {
        Acquired::Ours(token) => Ok(token),
        Acquired::Held { by, .. } => bail!("{by} holds the lease, {holder} should"),
    }
}

/// Asks until the lease is ours.
async fn acquire_in_time(store: &dyn Store, holder: &str, duration: Millis) -> anyhow::Result<LeaseToken> {
    let ask = async {
        loop {
            if let Acquired::Ours(token) = store.acquire(&HolderId::new(holder), duration).await? {
                return Ok::<_, StoreError>(token);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    Ok(tokio::time::timeout(Duration::from_secs(20), ask).await.context("nobody gave the lease up")??)
}

/// Fails unless `result` is refused in this way.
macro_rules! ensure_refused {
    ($result:expr, $refusal:pat) => {
        match $result {
            Err($refusal) => {}
            Err(other) => anyhow::bail!("refused otherwise: {other}"),
            Ok(_) => anyhow::bail!("not refused"),
        }
    };
}
use ensure_refused;
