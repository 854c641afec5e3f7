//! Connections to one node: a few kept open, reopened on any failure, never waited for beyond a deadline.

use super::arrivals::Arrivals;
use super::config::Node;
use super::error::PgError;
use muster_core::secret::Secret;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};
use tokio::time::Instant;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Kept open per node: one for observing, one for an effect beside it.
const KEPT_OPEN: usize = 2;
/// A statement that still runs then on the server ends by itself.
const LONGEST_STATEMENT: Duration = Duration::from_mins(10);

/// A parameter with its type, so that a statement needs one round trip.
pub(crate) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// As whom to log in.
#[derive(Clone, Copy)]
pub(crate) struct Login<'a> {
    pub(crate) user: &'a str,
    pub(crate) password: &'a Secret,
}

/// How to reach one node, as Muster's role and, where the application is fenced, as the application's.
pub(crate) struct Link {
    /// `host:port`, for messages.
    pub(crate) name: String,
    muster: Config,
    application: Option<Config>,
    tls: Option<MakeRustlsConnect>,
    idle: Mutex<Vec<Client>>,
    arrivals: AsyncMutex<Arrivals>,
}

impl Link {
    pub(crate) fn new(
        node: &Node,
        database: &str,
        muster: Login<'_>,
        application: Option<Login<'_>>,
        tls: Option<MakeRustlsConnect>,
    ) -> Self {
        let ssl = if tls.is_some() { SslMode::Require } else { SslMode::Disable };
        let muster = settings(node, database, muster, ssl);
        let application = application.map(|login| settings(node, database, login, ssl));
        let name = format!("{}:{}", node.host, node.port);
        Self { name, muster, application, tls, idle: Mutex::default(), arrivals: AsyncMutex::default() }
    }

    /// A session of Muster's role, until `by`. An idle one may turn out to be dead; [`Session::was_idle`] tells.
    pub(crate) async fn session(&self, by: Instant) -> Result<Session<'_>, PgError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle.filter(|client| !client.is_closed()) {
            Some(client) => Ok(Session { link: self, client, by, was_idle: true }),
            None => self.fresh_session(by).await,
        }
    }

    /// Closes what is kept open: the next session is on a new connection.
    pub(crate) fn forget(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// A session on a new connection.
    pub(crate) async fn fresh_session(&self, by: Instant) -> Result<Session<'_>, PgError> {
        let client = self.connect(&self.muster, by).await?;
        let session = Session { link: self, client, by, was_idle: false };
        // Muster's own few writes wait for no standby: a new primary whose synchronous list nobody can confirm must
        // not hang its own repair.
        session
            .run(
                "prepare a session",
                "set synchronous_commit = local; set timezone = 'UTC'; set datestyle = 'ISO'; \
                 set search_path = pg_catalog",
            )
            .await?;
        Ok(session)
    }

    /// Logs in as the application, anew each time. `None`: this link knows none.
    pub(super) async fn connect_application(&self, by: Instant) -> Option<Result<Client, PgError>> {
        let application = self.application.as_ref()?;
        Some(self.connect(application, by).await)
    }

    async fn connect(&self, config: &Config, by: Instant) -> Result<Client, PgError> {
        let limit = by.saturating_duration_since(Instant::now());
        let late = || PgError::Late { node: self.name.clone(), verb: "connect", limit };
        let failed = |source| PgError::Connect { node: self.name.clone(), source };
        let mut config = config.clone();
        // The kernel gives up with us, and not after its own quarter of an hour.
        config.tcp_user_timeout(limit.clamp(Duration::from_secs(1), Duration::from_secs(10)));
        match &self.tls {
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
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("name", &self.name).finish_non_exhaustive()
    }
}

fn settings(node: &Node, database: &str, login: Login<'_>, ssl: SslMode) -> Config {
    let mut config = Config::new();
    config
        .host(&node.host)
        .port(node.port)
        .dbname(database)
        .user(login.user)
        .password(login.password.expose())
        .application_name("muster")
        .ssl_mode(ssl)
        .keepalives(true)
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(3))
        .keepalives_retries(3);
    config
}

/// One connection in use. Dropped it closes; [`Session::keep`] puts it back.
pub(crate) struct Session<'a> {
    link: &'a Link,
    client: Client,
    by: Instant,
    was_idle: bool,
}

impl Session<'_> {
    /// Whether the connection had been waiting since an earlier use.
    pub(crate) fn was_idle(&self) -> bool {
        self.was_idle
    }

    /// `host:port`.
    pub(crate) fn node(&self) -> &str {
        &self.link.name
    }

    /// Puts the connection back; only after every answer was read.
    pub(crate) fn keep(self) {
        let mut idle = self.link.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT_OPEN && !self.client.is_closed() {
            idle.push(self.client);
        }
    }

    /// Sets the server's own limits to the time left: what we no longer wait for ends there too.
    pub(crate) async fn limit(&self) -> Result<(), PgError> {
        let left = self.left().min(LONGEST_STATEMENT).as_millis().max(1);
        self.run("set limits", &format!("set statement_timeout = {left}; set lock_timeout = {left}")).await
    }

    /// Statements without an answer of interest.
    pub(crate) async fn run(&self, verb: &'static str, sql: &str) -> Result<(), PgError> {
        self.within(verb, self.client.batch_execute(sql)).await
    }

    /// Statements of one text column; the first row of each.
    pub(crate) async fn texts(&self, verb: &'static str, sql: &str) -> Result<Vec<String>, PgError> {
        let messages = self.within(verb, self.client.simple_query(sql)).await?;
        let texts = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(ToOwned::to_owned),
            _ => None,
        });
        Ok(texts.collect())
    }

    /// One statement whose answer is one row with one text.
    pub(crate) async fn text(
        &self,
        verb: &'static str,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Option<String>, PgError> {
        let rows = self.within(verb, self.client.query_typed(sql, params)).await?;
        match rows.first() {
            Some(row) => row.try_get(0).map_err(|source| PgError::query(&self.link.name, verb, source)),
            None => Ok(None),
        }
    }

    /// The time left for this session.
    pub(crate) fn left(&self) -> Duration {
        self.by.saturating_duration_since(Instant::now())
    }

    /// Who is logging in to this node, for the next one who looks at its sessions.
    pub(super) async fn arrivals(&self) -> Result<MutexGuard<'_, Arrivals>, PgError> {
        self.within("look at sessions", async { Ok(self.link.arrivals.lock().await) }).await
    }

    async fn within<T>(
        &self,
        verb: &'static str,
        call: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, PgError> {
        let limit = self.left();
        match tokio::time::timeout_at(self.by, call).await {
            Ok(answer) => answer.map_err(|source| PgError::query(&self.link.name, verb, source)),
            Err(_) => Err(PgError::Late { node: self.link.name.clone(), verb, limit }),
        }
    }
}
