//! Connections to one node: a few kept open, reopened on any failure, never waited for beyond a deadline.

use super::arrivals::Arrivals;
use super::config::Node;
use super::error::PgError;
use super::opening::{self, Opener};
use muster_core::secret::Secret;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};
use tokio::time::Instant;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

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
    opener: Arc<Opener>,
    application: Option<Config>,
    tls: Option<MakeRustlsConnect>,
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
        let opener = Arc::new(Opener::new(&name, muster, tls.clone()));
        Self { name, opener, application, tls, arrivals: AsyncMutex::default() }
    }

    /// A session of Muster's role, until `by`. An idle one may turn out to be dead; [`Session::was_idle`] tells.
    pub(crate) async fn session(&self, by: Instant) -> Result<Session<'_>, PgError> {
        match self.opener.idle() {
            Some(client) => Ok(Session { link: self, client, by, was_idle: true }),
            None => self.fresh_session(by).await,
        }
    }

    /// Closes what is kept open: the next session is on a new connection.
    pub(crate) fn forget(&self) {
        self.opener.forget();
    }

    /// A session on a new connection.
    pub(crate) async fn fresh_session(&self, by: Instant) -> Result<Session<'_>, PgError> {
        let client = self.opener.open(by).await?;
        Ok(Session { link: self, client, by, was_idle: false })
    }

    /// Logs in as the application, anew each time. `None`: this link knows none.
    pub(super) async fn connect_application(&self, by: Instant) -> Option<Result<Client, PgError>> {
        let application = self.application.as_ref()?;
        let limit = by.saturating_duration_since(Instant::now());
        let mut config = application.clone();
        config.tcp_user_timeout(limit.clamp(Duration::from_secs(1), Duration::from_secs(10)));
        Some(Box::pin(opening::connect(&self.name, &config, self.tls.as_ref(), limit)).await)
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
        self.link.opener.keep(self.client);
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
