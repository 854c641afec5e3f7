//! What people ask for: `FailoverRun` objects that they create, approve and abort, and annotations of a policy. Each
//! becomes a wish, taken in under the journal's version; what became of it stands in the run's status.
//!
//! ```text
//! created  --Pending written, then the wish-->  requested  --claimed-->  the journal's run (told by `tell`)
//!                                                   |--refused, or nobody knows any more-->  Failed, outcome Refused
//! ```
//! A request is marked as seen before it is wished for: after a restart in between it is refused, never started late. A
//! wish without an answer is made again by the same process: by the run's name it is the same wish.
//!
//! - `runs`: which objects are looked at, and when. `request`: one that no journal knows. `consent`: approval and abort.
//! - `policies`: annotations. `told`: what stands in an object's status. `memory`: what was asked and answered.

mod consent;
mod memory;
mod policies;
mod request;
mod runs;
mod told;

pub(crate) use policies::{ACK, ADOPT, PAUSED};
pub(super) use policies::{ack_token, said};

use super::view::{Key, View};
use crate::engine::Engine;
use crate::execute::Shell;
use crate::store::{KubernetesStore, Store, StoreError};
use kube::Client;
use memory::Memory;
use muster_core::ids::PolicyName;
use muster_core::wish::{Refusal, Wish};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio_util::task::AbortOnDropHandle;

/// At the latest so often everything is looked at again.
const RESYNC: Duration = Duration::from_secs(2);

/// After a change, for those that come with it.
const SETTLE: Duration = Duration::from_millis(20);

/// Runs, and policies, that are looked at at once: each look is several calls in a row.
const AT_ONCE: usize = 16;

/// What is under way, by object: each once at a time, and all of it ends with the map.
type UnderWay = BTreeMap<Key, AbortOnDropHandle<()>>;

/// Turns what people write into wishes.
pub(super) struct Requests {
    shell: Arc<Shell>,
    engine: Arc<Engine>,
    store: Arc<KubernetesStore>,
    client: Client,
    view: View,
    memory: Mutex<Memory>,
    run_turns: Semaphore,
    policy_turns: Semaphore,
}

impl Requests {
    pub(super) fn new(
        shell: Arc<Shell>,
        engine: Arc<Engine>,
        store: Arc<KubernetesStore>,
        client: Client,
        view: View,
    ) -> Self {
        let (run_turns, policy_turns) = (Semaphore::new(AT_ONCE), Semaphore::new(AT_ONCE));
        Self { shell, engine, store, client, view, memory: Mutex::default(), run_turns, policy_turns }
    }

    /// Runs until dropped. Only the process that acts takes anything in.
    pub(super) async fn follow(self) {
        let requests = Arc::new(self);
        tokio::join!(requests.follow_runs(), requests.follow_policies());
    }

    /// Looks at everything with each change, and at the latest each [`RESYNC`], while this process acts; until no change
    /// will come any more.
    async fn keep_looking(&self, mut changes: watch::Receiver<u64>, mut look: impl FnMut() + Send) {
        loop {
            changes.borrow_and_update();
            if self.shell.lease.is_held() {
                look();
            }
            tokio::select! {
                () = tokio::time::sleep(RESYNC) => {}
                alive = changes.changed() => if alive.is_err() { return },
            }
            // Changes come in crowds, each round is over everything.
            tokio::time::sleep(SETTLE).await;
        }
    }

    /// Never held over an `await`: all looks share it.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The outer error: nothing is known of it.
    async fn wish(&self, policy: &PolicyName, wish: &Wish) -> Result<Result<(), Refusal>, String> {
        match self.store.wish(policy, wish, self.shell.clock.now()).await {
            Ok(_) => {
                if let Some(shown) = self.engine.find(policy) {
                    shown.handle.board.wake();
                }
                Ok(Ok(()))
            }
            Err(StoreError::Refused(refusal)) => Ok(Err(refusal)),
            Err(error) => Err(error.to_string()),
        }
    }
}
