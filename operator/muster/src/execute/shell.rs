//! What all policies of a process share.

use super::events::EventRing;
use super::last_word::LastWord;
use super::lease::LeaseView;
use super::observers::Paces;
use super::points::Points;
use crate::clock::Clock;
use crate::store::{Archive, Need, Store};
use muster_core::facts::Seen;
use muster_core::ids::HolderId;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// Between two tries whether the journal takes a record.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// Whether the journal would take records, as last tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalRoom {
    /// A run may begin.
    pub new_run: Seen<()>,
    /// A run under way may go on.
    pub under_way: Seen<()>,
}

/// Store, lease, clock and logs of this process.
pub struct Shell {
    /// Where journals live.
    pub store: Arc<dyn Store>,
    /// Whether this process acts.
    pub lease: Arc<LeaseView>,
    /// This process.
    pub holder: HolderId,
    /// Both times.
    pub clock: Clock,
    /// Recent events.
    pub events: EventRing,
    /// For tests.
    pub points: Arc<Points>,
    /// How often to look.
    pub paces: Paces,
    /// Whether the journal takes records.
    pub room: watch::Sender<JournalRoom>,
    /// Pictures for people; losing them loses no safety.
    pub archive: Option<Arc<Archive>>,
    /// Asked before a point of no return, where people's words reach the journal by a way of their own.
    pub last_word: Option<Arc<dyn LastWord>>,
    /// Effects under way, for a clean end.
    pub effects: TaskTracker,
}

impl fmt::Debug for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shell").field("holder", &self.holder).finish_non_exhaustive()
    }
}

impl Shell {
    /// A shell whose journal was not tried yet.
    pub fn new(
        store: Arc<dyn Store>,
        lease: Arc<LeaseView>,
        holder: HolderId,
        clock: Clock,
        points: Points,
        paces: Paces,
    ) -> Self {
        let untried = || Seen::Unknown("not tried yet".to_owned());
        Self {
            store,
            lease,
            holder,
            clock,
            events: EventRing::default(),
            points: Arc::new(points),
            paces,
            room: watch::Sender::new(JournalRoom { new_run: untried(), under_way: untried() }),
            archive: None,
            last_word: None,
            effects: TaskTracker::new(),
        }
    }

    /// Tries again and again whether the journal takes records. Runs until dropped.
    pub async fn keep_checking(&self) {
        loop {
            self.check_room().await;
            tokio::time::sleep(CHECK_EVERY).await;
        }
    }

    /// Tries once.
    pub async fn check_room(&self) {
        let tried = |result: Result<(), crate::store::StoreError>| match result {
            Ok(()) => Seen::Known(()),
            Err(error) => Seen::Unknown(error.to_string()),
        };
        let new_run = tried(self.store.check(Need::NewRun).await);
        let under_way = match &new_run {
            Seen::Known(()) => Seen::Known(()),
            Seen::Unknown(_) => tried(self.store.check(Need::RunUnderWay).await),
        };
        self.room.send_replace(JournalRoom { new_run, under_way });
    }
}
