//! The embedded store: SQLite, one file in the state folder, for one machine.
//!
//! Why it survives a power cut: WAL mode with `synchronous=FULL` syncs the log before a commit returns, and a torn
//! log ends at its last whole commit. WAL, not a rollback journal: a reader that hangs or is frozen blocks no
//! writer, and a commit is one sync instead of four. Renewals of the lease and frames go through a
//! connection that does not sync; the next record syncs them too.
//!
//! What the file checks by itself: each journal carries a sum (SQLite keeps none of its pages), the newest change
//! is also noted beside it ([`high_water`]), and a file that was replaced under a running process is refused.
//!
//! What is not protected: a process that is frozen in the midst of a commit (well under a millisecond for a
//! renewal, a few for a record) keeps the write lock. Nobody acts then; the other process says whose it is.
//! Two machines must not share the file over a network file system.

mod claims;
mod db;
mod errors;
mod high_water;
mod history;
mod journal;
mod lease;
mod open;
mod place;
mod reserve;
mod schema;
#[cfg(test)]
mod tests;
mod worker;

use super::lease::LeaseSight;
use super::{Acquired, Known, LeaseToken, Loaded, Need, Store, StoreError, Version};
use crate::clock::Clock;
use async_trait::async_trait;
use db::{Db, Role, Room};
use lease::LeaseRow;
use muster_core::ids::{ClaimKey, HolderId, Owner, PolicyName, RunName};
use muster_core::journal::{Journal, Run};
use muster_core::time::{Millis, Stamp, Tick};
use muster_core::wish::Wish;
use place::Place;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use worker::Worker;

/// A check is not repeated within this time: many policies ask, and a stable world causes no writes.
const CHECK_LASTS: Millis = Millis(1_000);
/// Opening may copy and upgrade a file.
const OPEN_DEADLINE: Duration = Duration::from_mins(1);

/// Deadlines and bounds. The defaults suit `muster local`.
#[derive(Clone, Debug)]
pub struct Options {
    /// Of one verb, with its wait for the thread.
    pub deadline: Duration,
    /// How long another process may hold the write lock.
    pub busy: Duration,
    /// Room on the disk that is set aside for a run.
    pub reserve_bytes: u64,
    /// Largest journal or archived run.
    pub journal_bytes: usize,
    /// Ended runs kept, by policy.
    pub runs_kept: u64,
    /// Runs whose frames are kept, by policy.
    pub framed_runs: u64,
    /// Frames kept, by run.
    pub frames_per_run: u64,
    /// Bytes of frames kept, by run.
    pub frame_bytes_per_run: usize,
    /// Largest report.
    pub report_bytes: usize,
    /// Largest size of the database, in pages of 4 KiB; `None`: as the disk allows.
    pub max_pages: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(5),
            busy: Duration::from_secs(2),
            reserve_bytes: 8 << 20,
            journal_bytes: 1 << 20,
            runs_kept: 200,
            framed_runs: 16,
            frames_per_run: 1_000,
            frame_bytes_per_run: 8 << 20,
            report_bytes: 256 << 10,
            max_pages: None,
        }
    }
}

/// The journal in STATE/journal.db.
#[derive(Debug)]
pub struct SqliteStore {
    place: Place,
    durable: Worker,
    light: Worker,
    read: Worker,
    sight: LeaseSight<LeaseRow>,
    checked: Mutex<BTreeMap<bool, Tick>>,
}

impl SqliteStore {
    /// Opens the journal in the folder `state`, or begins one if there was none.
    ///
    /// A damaged, foreign or newer file is refused and left as it is; an older one is copied, then upgraded; a
    /// restored one is opened with every policy asking for an `ack`.
    pub async fn open(state: &Path, options: Options, clock: Clock) -> Result<Self, StoreError> {
        const VERB: &str = "open the journal";
        let mut place = Place::new(state, options, clock);
        let opening = tokio::task::spawn_blocking(move || {
            open::prepare(&mut place)?;
            let open = |name, role| Worker::start(name, Db::open(&place, role)?, place.options.deadline);
            let (durable, light, read) =
                (open("durable", Role::Durable)?, open("light", Role::Light)?, open("read", Role::Read)?);
            place.ensure_unmoved()?;
            let (sight, checked) = (LeaseSight::default(), Mutex::default());
            Ok(Self { place, durable, light, read, sight, checked })
        });
        match tokio::time::timeout(OPEN_DEADLINE, opening).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(_)) => Err(StoreError::Closed { verb: VERB }),
            Err(_) => Err(StoreError::Deadline { verb: VERB, after: Millis::from(OPEN_DEADLINE) }),
        }
    }

    /// Closes the file. Dropping the store does so too, a little later.
    pub async fn close(self) {
        self.light.close().await;
        self.read.close().await;
        self.durable.close().await;
    }

    /// Writes a whole, consistent copy of the journal to `to`, which must not exist. For backups while it is used.
    pub async fn back_up(&self, to: &Path) -> Result<(), StoreError> {
        const VERB: &str = "back the journal up";
        let (place, to) = (self.place.clone(), to.to_owned());
        // On a connection of its own: a long copy delays no verb.
        let copying = tokio::task::spawn_blocking(move || {
            let connection = db::connect(&place).map_err(|error| errors::classify(&place, VERB, error))?;
            open::copy_into(&place, &connection, &to)
        });
        match tokio::time::timeout(OPEN_DEADLINE, copying).await {
            Ok(Ok(copied)) => copied,
            Ok(Err(_)) => Err(StoreError::Closed { verb: VERB }),
            Err(_) => Err(StoreError::Deadline { verb: VERB, after: Millis::from(OPEN_DEADLINE) }),
        }
    }

    async fn look_at_lease(&self) -> Result<(LeaseRow, Millis), StoreError> {
        const VERB: &str = "look at the lease";
        let row = self.read.call(VERB, |db| db.read(VERB, lease::read)).await?;
        let now = self.place.clock.now().tick;
        let unchanged = self.sight.unchanged_for(row.clone(), now);
        Ok((row, unchanged))
    }

    fn was_checked(&self, need: Need, now: Tick) -> bool {
        if need == Need::NewRun && !reserve::is_whole(&self.place) {
            return false;
        }
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let at = checked.get(&(need == Need::NewRun));
        at.is_some_and(|at| now.since(*at).is_some_and(|age| age < CHECK_LASTS))
    }

    fn note_checked(&self, need: Need, passed: bool) {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if passed {
            checked.insert(need == Need::NewRun, self.place.clock.now().tick);
        } else {
            checked.clear();
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn policies(&self) -> Result<Vec<Known>, StoreError> {
        const VERB: &str = "list the policies";
        self.read.call(VERB, |db| db.read(VERB, journal::list)).await
    }

    async fn load(&self, policy: &PolicyName) -> Result<Loaded, StoreError> {
        const VERB: &str = "load a journal";
        let (place, policy) = (self.place.clone(), policy.clone());
        self.read.call(VERB, move |db| db.read(VERB, |tx| journal::load(tx, &place, &policy))).await
    }

    async fn create(&self, policy: &PolicyName, owner: &Owner) -> Result<Loaded, StoreError> {
        const VERB: &str = "create a policy";
        let (place, policy, owner) = (self.place.clone(), policy.clone(), owner.clone());
        let work = move |db: &mut Db| {
            let (loaded, mark) =
                db.write(VERB, Room::Ordinary, |tx| journal::create(tx, &place, &policy, &owner))?;
            db.mark(mark);
            Ok(loaded)
        };
        self.durable.call(VERB, work).await
    }

    async fn record(
        &self,
        policy: &PolicyName,
        expected: &Version,
        lease: &LeaseToken,
        next: &Journal,
    ) -> Result<Version, StoreError> {
        const VERB: &str = "record a journal";
        let new = journal::Record {
            policy: policy.clone(),
            expected: expected.clone(),
            lease: lease.clone(),
            body: journal::to_body(&self.place, next)?,
            next: next.clone(),
        };
        let place = self.place.clone();
        let work = move |db: &mut Db| {
            let (version, mark) = db.write(VERB, Room::Reserved, |tx| journal::record(tx, &place, &new))?;
            db.mark(mark);
            Ok(version)
        };
        let recorded = self.durable.call(VERB, work).await;
        match &recorded {
            Ok(_) | Err(StoreError::Conflict { .. } | StoreError::Invalid { .. }) => {}
            Err(StoreError::LeaseLost { .. }) => lease.void(),
            Err(_) => self.note_checked(Need::RunUnderWay, false),
        }
        recorded
    }

    async fn wish(&self, policy: &PolicyName, wish: &Wish, now: Stamp) -> Result<Loaded, StoreError> {
        const VERB: &str = "take a wish in";
        let (place, policy, wish) = (self.place.clone(), policy.clone(), wish.clone());
        let work = move |db: &mut Db| {
            let (loaded, mark) =
                db.write(VERB, Room::Reserved, |tx| journal::wish(tx, &place, &policy, &wish, now))?;
            if let Some(mark) = mark {
                db.mark(mark);
            }
            Ok(loaded)
        };
        self.durable.call(VERB, work).await
    }

    async fn claim(
        &self,
        owner: &Owner,
        keys: &BTreeSet<ClaimKey>,
    ) -> Result<BTreeMap<ClaimKey, Owner>, StoreError> {
        const VERB: &str = "claim";
        let (own, wanted) = (owner.clone(), keys.clone());
        let standing =
            self.read.call(VERB, move |db| db.read(VERB, |tx| claims::look(tx, &own, &wanted))).await?;
        if !standing.foreign.is_empty() || standing.free.is_empty() {
            return Ok(standing.foreign);
        }
        let (owner, keys) = (owner.clone(), keys.clone());
        let work = move |db: &mut Db| db.write(VERB, Room::Ordinary, |tx| claims::take(tx, &owner, &keys));
        self.durable.call(VERB, work).await
    }

    async fn release_claims(&self, owner: &Owner, keys: &BTreeSet<ClaimKey>) -> Result<(), StoreError> {
        const VERB: &str = "give claims up";
        let (owner, keys) = (owner.clone(), keys.clone());
        let work = move |db: &mut Db| db.write(VERB, Room::Ordinary, |tx| claims::give_up(tx, &owner, &keys));
        self.durable.call(VERB, work).await
    }

    async fn claims(&self) -> Result<BTreeMap<ClaimKey, Owner>, StoreError> {
        const VERB: &str = "list the claims";
        self.read.call(VERB, |db| db.read(VERB, claims::all)).await
    }

    async fn claims_of(&self, owner: &Owner) -> Result<BTreeSet<ClaimKey>, StoreError> {
        const VERB: &str = "list a policy's claims";
        let owner = owner.clone();
        self.read.call(VERB, move |db| db.read(VERB, |tx| claims::of(tx, &owner))).await
    }

    async fn acquire(&self, holder: &HolderId, duration: Millis) -> Result<Acquired, StoreError> {
        const VERB: &str = "acquire the lease";
        lease::ensure_sane(duration)?;
        let (seen, unchanged_for) = self.look_at_lease().await?;
        if let Some(by) = seen.in_the_way(holder, unchanged_for) {
            return Ok(Acquired::Held { by, unchanged_for });
        }
        let began = self.place.clock.now().tick;
        let candidate = holder.clone();
        let work = move |db: &mut Db| {
            db.write(VERB, Room::Reserved, |tx| lease::take(tx, &seen, &candidate, duration))
        };
        if let Some(number) = self.durable.call(VERB, work).await? {
            let clock = self.place.clock.clone();
            return Ok(Acquired::Ours(LeaseToken::new(holder.clone(), number, duration, began, clock)));
        }
        let (now, unchanged_for) = self.look_at_lease().await?;
        let by = now.holder.unwrap_or_else(|| HolderId::new("nobody"));
        Ok(Acquired::Held { by, unchanged_for })
    }

    async fn renew(&self, lease: &LeaseToken) -> Result<(), StoreError> {
        const VERB: &str = "renew the lease";
        let began = self.place.clock.now().tick;
        let token = lease.clone();
        let work = move |db: &mut Db| db.write(VERB, Room::Reserved, |tx| lease::renew(tx, &token));
        let renewed = self.light.call(VERB, work).await;
        match &renewed {
            Ok(()) => lease.prolong(began),
            Err(StoreError::LeaseLost { .. } | StoreError::Moved { .. }) => lease.void(),
            Err(_) => {}
        }
        renewed
    }

    async fn release(&self, lease: &LeaseToken) -> Result<(), StoreError> {
        const VERB: &str = "give the lease back";
        lease.void();
        let token = lease.clone();
        let work = move |db: &mut Db| db.write(VERB, Room::Ordinary, |tx| lease::give_back(tx, &token));
        self.light.call(VERB, work).await
    }

    async fn finish(&self, policy: &PolicyName, run: &Run) -> Result<(), StoreError> {
        const VERB: &str = "keep an ended run";
        let (place, policy, run) = (self.place.clone(), policy.clone(), run.clone());
        let work = move |db: &mut Db| {
            db.write(VERB, Room::Ordinary, |tx| history::finish(tx, &place, &policy, &run))
        };
        self.durable.call(VERB, work).await
    }

    async fn runs(&self, policy: &PolicyName, limit: usize) -> Result<Vec<Run>, StoreError> {
        const VERB: &str = "list the ended runs";
        let policy = policy.clone();
        self.read.call(VERB, move |db| db.read(VERB, |tx| history::newest(tx, &policy, limit))).await
    }

    async fn run(&self, policy: &PolicyName, name: &RunName) -> Result<Option<Run>, StoreError> {
        const VERB: &str = "read an ended run";
        let (policy, name) = (policy.clone(), name.clone());
        self.read.call(VERB, move |db| db.read(VERB, |tx| history::named(tx, &policy, &name))).await
    }

    async fn append_frame(
        &self,
        policy: &PolicyName,
        run: &RunName,
        frame: &Value,
    ) -> Result<(), StoreError> {
        const VERB: &str = "keep a frame";
        let body = journal::bounded_json("frame", frame, self.place.options.frame_bytes_per_run)?;
        let (place, policy, run) = (self.place.clone(), policy.clone(), run.clone());
        let work = move |db: &mut Db| {
            db.write(VERB, Room::Ordinary, |tx| history::append_frame(tx, &place, &policy, &run, &body))
        };
        self.light.call(VERB, work).await
    }

    async fn frames(&self, policy: &PolicyName, run: &RunName) -> Result<Vec<Value>, StoreError> {
        const VERB: &str = "read the frames";
        let (policy, run) = (policy.clone(), run.clone());
        self.read.call(VERB, move |db| db.read(VERB, |tx| history::frames(tx, &policy, &run))).await
    }

    async fn check(&self, need: Need) -> Result<(), StoreError> {
        const VERB: &str = "try a write";
        if self.was_checked(need, self.place.clock.now().tick) {
            return Ok(());
        }
        let work = move |db: &mut Db| {
            let room = if need == Need::NewRun { Room::Ordinary } else { Room::Reserved };
            let restored: Option<String> = db.write(VERB, room, |tx| {
                Ok(tx.query_row("update meta set pulse = pulse + 1 returning restored", [], |r| r.get(0))?)
            })?;
            if let Some(why) = restored {
                return Err(StoreError::RolledBack { why });
            }
            if need == Need::NewRun { reserve::ensure(db.place()) } else { Ok(()) }
        };
        let tried = self.durable.call(VERB, work).await;
        self.note_checked(need, tried.is_ok());
        tried
    }
}
