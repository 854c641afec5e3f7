//! What counts as a sign of life, and a keeper whose renewals hang.

use super::*;
use crate::store::{Known, Loaded, Need, Version};
use async_trait::async_trait;
use muster_core::ids::{ClaimKey, Owner, PolicyName, RunName};
use muster_core::journal::{Journal, Run};
use muster_core::time::Stamp;
use muster_core::wish::Wish;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn an_old_answer_is_no_sign_of_life() {
    let sight = LeaseSight::default();
    assert_eq!(sight.unchanged_for(1, Tick(100)), Millis(0));
    assert_eq!(sight.unchanged_for(2, Tick(200)), Millis(0), "a change");
    assert_eq!(sight.unchanged_for(1, Tick(300)), Millis(100), "read from a server that lags behind");
    assert_eq!(sight.unchanged_for(2, Tick(400)), Millis(200));
    assert_eq!(sight.unchanged_for(3, Tick(500)), Millis(0), "another change");
}

#[test]
fn after_two_renewals_that_hang_a_fifth_of_the_duration_is_left() {
    for settings in [LeaseSettings::default(), LeaseSettings::in_a_cluster(), LeaseSettings::lasting(1_500)] {
        let whole = settings.duration.0;
        assert!(settings.renew_within().0 * 4 <= whole, "{settings:?}");
        let hung = settings.renew_within().plus(settings.retry_after());
        let third = settings.renew_every.plus(hung.times(2));
        assert!(third.0 * 5 <= whole * 4, "the third begins after {third} of {settings:?}");
    }
}

#[tokio::test]
async fn two_renewals_that_hang_do_not_lose_the_lease() {
    let store = Arc::new(Deaf::new(2));
    let mut renewed = store.renewed.subscribe();
    let keeper = LeaseKeeper::start(
        Arc::clone(&store) as Arc<dyn Store>,
        HolderId::new("one"),
        LeaseSettings::default(),
    );
    let waited =
        tokio::time::timeout(Duration::from_secs(20), renewed.wait_for(|renewals| *renewals > 0)).await;
    assert!(waited.is_ok_and(|seen| seen.is_ok()), "never renewed");
    let token = keeper.token().expect("it is held");
    assert_eq!(token.number(), 1, "acquired once");
    keeper.stop().await;
    assert!(!token.is_live(), "given back");
}

/// Its first renewals are never answered.
struct Deaf {
    clock: Clock,
    unanswered: u64,
    asked: AtomicU64,
    acquired: AtomicU64,
    renewed: watch::Sender<u32>,
}

impl Deaf {
    fn new(unanswered: u64) -> Self {
        let (asked, acquired) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { clock: Clock::system(), unanswered, asked, acquired, renewed: watch::Sender::new(0) }
    }
}

fn no_journals<T>() -> Result<T, StoreError> {
    Err(StoreError::Closed { verb: "keep more than a lease" })
}

#[async_trait]
impl Store for Deaf {
    async fn acquire(&self, holder: &HolderId, duration: Millis) -> Result<Acquired, StoreError> {
        let began = self.clock.now().tick;
        let number = self.acquired.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(Acquired::Ours(LeaseToken::new(holder.clone(), number, duration, began, self.clock.clone())))
    }

    async fn renew(&self, lease: &LeaseToken) -> Result<(), StoreError> {
        let began = self.clock.now().tick;
        if self.asked.fetch_add(1, Ordering::SeqCst) < self.unanswered {
            std::future::pending::<()>().await;
        }
        lease.prolong(began);
        self.renewed.send_modify(|renewals| *renewals += 1);
        Ok(())
    }

    async fn release(&self, lease: &LeaseToken) -> Result<(), StoreError> {
        lease.void();
        Ok(())
    }

    async fn policies(&self) -> Result<Vec<Known>, StoreError> {
        no_journals()
    }

    async fn load(&self, _: &PolicyName) -> Result<Loaded, StoreError> {
        no_journals()
    }

    async fn create(&self, _: &PolicyName, _: &Owner) -> Result<Loaded, StoreError> {
        no_journals()
    }

    async fn record(
        &self,
        _: &PolicyName,
        _: &Version,
        _: &LeaseToken,
        _: &Journal,
    ) -> Result<Version, StoreError> {
        no_journals()
    }

    async fn wish(&self, _: &PolicyName, _: &Wish, _: Stamp) -> Result<Loaded, StoreError> {
        no_journals()
    }

    async fn claim(
        &self,
        _: &Owner,
        _: &BTreeSet<ClaimKey>,
    ) -> Result<BTreeMap<ClaimKey, Owner>, StoreError> {
        no_journals()
    }

    async fn release_claims(&self, _: &Owner, _: &BTreeSet<ClaimKey>) -> Result<(), StoreError> {
        no_journals()
    }

    async fn claims(&self) -> Result<BTreeMap<ClaimKey, Owner>, StoreError> {
        no_journals()
    }

    async fn finish(&self, _: &PolicyName, _: &Run) -> Result<(), StoreError> {
        no_journals()
    }

    async fn runs(&self, _: &PolicyName, _: usize) -> Result<Vec<Run>, StoreError> {
        no_journals()
    }

    async fn run(&self, _: &PolicyName, _: &RunName) -> Result<Option<Run>, StoreError> {
        no_journals()
    }

    async fn append_frame(&self, _: &PolicyName, _: &RunName, _: &Value) -> Result<(), StoreError> {
        no_journals()
    }

    async fn frames(&self, _: &PolicyName, _: &RunName) -> Result<Vec<Value>, StoreError> {
        no_journals()
    }

    async fn check(&self, _: Need) -> Result<(), StoreError> {
        no_journals()
    }
}
