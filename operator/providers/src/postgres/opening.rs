//! Connections are opened in tasks of their own. One that comes too late for the look that asked for it serves the next look:
//! if it ended with that look, many policies that start at once would all log in, all be late, and all begin again, for ever.
//!
//! - To one server so many log in at a time, in the order in which they came; a server that hangs holds up itself alone.
//! - A log-in is asked for by whoever needs a session, and nobody else: no task outlives its connection.
//!
//! What this module must never do: open a connection that nobody asked for; hand out one that was asked for before
//! [`Opener::forget`].

use super::error::PgError;
use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::io;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Kept open per node: one for observing, one for an effect beside it.
const KEPT_OPEN: usize = 2;
/// Connections of one link that are opened at a time.
const AT_ONCE: usize = 2;
/// Log-ins to one server at a time.
const PER_SERVER: usize = 16;
/// Until the server's machine has answered. One that is lost on its way is soon tried anew.
const REACH: Duration = Duration::from_secs(2);
/// Until the session stands.
const LOG_IN: Duration = Duration::from_secs(10);

/// What each session begins with. Muster's own few writes wait for no standby: a new primary whose synchronous list nobody can
/// confirm must not hang its own repair.
const PREPARE: &str = "set synchronous_commit = local; set timezone = 'UTC'; set datestyle = 'ISO'; \
                       set search_path = pg_catalog";

/// Opens the connections of one link.
pub(super) struct Opener {
    /// `host:port`.
    name: String,
    config: Config,
    tls: Option<MakeRustlsConnect>,
    turns: Arc<Semaphore>,
    state: Mutex<State>,
}

type Opened = Result<Client, PgError>;

#[derive(Default)]
struct State {
    idle: Vec<Client>,
    waiting: VecDeque<oneshot::Sender<Opened>>,
    /// Tasks that open one.
    opening: usize,
    /// Counts [`Opener::forget`].
    generation: u64,
}

/// Turns to log in, by server, as long as a link to it is there.
static TURNS: LazyLock<Mutex<HashMap<String, Weak<Semaphore>>>> = LazyLock::new(Mutex::default);

fn turns_of(server: &str) -> Arc<Semaphore> {
    let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = turns.get(server).and_then(Weak::upgrade) {
        return known;
    }
    turns.retain(|_, of| of.strong_count() > 0);
    let made = Arc::new(Semaphore::new(PER_SERVER));
    turns.insert(server.to_owned(), Arc::downgrade(&made));
    made
}

impl Opener {
    pub(super) fn new(name: &str, mut config: Config, tls: Option<MakeRustlsConnect>) -> Self {
        config.connect_timeout(REACH);
        // The kernel gives up with us, and not after its own quarter of an hour.
        config.tcp_user_timeout(LOG_IN);
        Self { name: name.to_owned(), config, tls, turns: turns_of(name), state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that was kept, if there is one.
    pub(super) fn idle(&self) -> Option<Client> {
        let kept = self.lock().idle.pop();
        kept.filter(|client| !client.is_closed())
    }

    /// Keeps a connection for later, unless there are enough.
    pub(super) fn keep(&self, client: Client) {
        self.lock().keep(client);
    }

    /// Closes what is kept and what is being opened: the next connection is one that begins from now on.
    pub(super) fn forget(&self) {
        let mut state = self.lock();
        state.idle.clear();
        state.generation += 1;
    }

    /// A new connection, at `by` at the latest.
    pub(super) async fn open(self: &Arc<Self>, by: Instant) -> Opened {
        let limit = by.saturating_duration_since(Instant::now());
        let late = || PgError::Late { node: self.name.clone(), verb: "connect", limit };
        loop {
            match tokio::time::timeout_at(by, self.join()).await {
                // Whoever has more time than one try takes is served by another one.
                Ok(Ok(Err(error))) if is_unreached(&error) => {}
                Ok(Ok(opened)) => return opened,
                Ok(Err(_)) | Err(_) => return Err(late()),
            }
        }
    }

    fn join(self: &Arc<Self>) -> oneshot::Receiver<Opened> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        state.waiting.retain(|waiter| !waiter.is_closed());
        state.waiting.push_back(sender);
        if state.opening < AT_ONCE.min(state.waiting.len()) {
            state.opening += 1;
            tokio::spawn(Arc::clone(self).serve());
        }
        receiver
    }

    /// Opens one connection after the other, as long as somebody waits whom no other task serves.
    async fn serve(self: Arc<Self>) {
        loop {
            let generation = self.lock().generation;
            let opened = self.log_in().await;
            let mut state = self.lock();
            if generation == state.generation {
                state.hand_out(opened);
            }
            state.waiting.retain(|waiter| !waiter.is_closed());
            if state.waiting.len() < state.opening {
                state.opening -= 1;
                return;
            }
        }
    }

    async fn log_in(&self) -> Opened {
        // Never closed.
        let _turn = self.turns.acquire().await;
        let client = connect(&self.name, &self.config, self.tls.as_ref(), LOG_IN).await?;
        match tokio::time::timeout(LOG_IN, client.batch_execute(PREPARE)).await {
            Ok(Ok(())) => Ok(client),
            Ok(Err(source)) => Err(PgError::query(&self.name, "prepare a session", source)),
            Err(_) => {
                Err(PgError::Late { node: self.name.clone(), verb: "prepare a session", limit: LOG_IN })
            }
        }
    }
}

impl State {
    /// To the one who has waited longest; kept, if all have gone away.
    fn hand_out(&mut self, mut opened: Opened) {
        while let Some(waiter) = self.waiting.pop_front() {
            match waiter.send(opened) {
                Ok(()) => return,
                Err(back) => opened = back,
            }
        }
        if let Ok(client) = opened {
            self.keep(client);
        }
    }

    fn keep(&mut self, client: Client) {
        if self.idle.len() < KEPT_OPEN && !client.is_closed() {
            self.idle.push(client);
        }
    }
}

/// One connection, within `limit`.
pub(super) async fn connect(
    name: &str,
    config: &Config,
    tls: Option<&MakeRustlsConnect>,
    limit: Duration,
) -> Opened {
    let late = || PgError::Late { node: name.to_owned(), verb: "connect", limit };
    let failed = |source| PgError::Connect { node: name.to_owned(), source };
    match tls {
        None => {
            let connected = tokio::time::timeout(limit, config.connect(NoTls)).await;
            let (client, connection) = connected.map_err(|_| late())?.map_err(failed)?;
            tokio::spawn(connection);
            Ok(client)
        }
        Some(tls) => {
            let connected = tokio::time::timeout(limit, config.connect(tls.clone())).await;
            let (client, connection) = connected.map_err(|_| late())?.map_err(failed)?;
            tokio::spawn(connection);
            Ok(client)
        }
    }
}

/// Nothing came back within [`REACH`] or [`LOG_IN`].
fn is_unreached(error: &PgError) -> bool {
    match error {
        PgError::Late { .. } => true,
        PgError::Connect { source, .. } => source
            .source()
            .and_then(|cause| cause.downcast_ref::<io::Error>())
            .is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut),
        _ => false,
    }
}
