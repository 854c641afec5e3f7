//! What a node says of itself, in one round trip; and, where its application is fenced, what speaks for that.

use super::conninfo;
use super::error::PgError;
use super::link::{Link, Session};
use super::setup::{SETUP_VERSION, literal};
use super::sync;
use super::wal::{WalShape, parse_position, record_end};
use muster_core::facts::{ClosedView, DataFacts, DataRole, HeartbeatRow, PositionUnit, Witness};
use muster_core::ids::{Epoch, Owner, Position, Seq, Term};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;

/// The answer of `look.sql` and of `look_managed.sql`.
#[derive(Debug, Deserialize)]
struct Looked {
    setup: i64,
    recovering: bool,
    system: String,
    timeline: u64,
    xmax: Option<String>,
    insert: Option<String>,
    received: Option<String>,
    replayed: Option<String>,
    block: u64,
    segment: u64,
    receiver: Option<Receiver>,
    conninfo: Option<String>,
    cluster: String,
    witness: Option<WitnessRow>,
    heartbeat: Option<BeatRow>,
    list: String,
    level: String,
    fsync: bool,
    overrides: u64,
    standbys: Vec<String>,
    application_closed: bool,
}

#[derive(Debug, Deserialize)]
struct Receiver {
    status: Option<String>,
    host: Option<String>,
    port: Option<u32>,
}

#[derive(Clone, Debug, Deserialize)]
struct WitnessRow {
    owner: String,
    epoch: u64,
    term: u64,
    seq: u64,
}

#[derive(Debug, Deserialize)]
struct BeatRow {
    writer: String,
    seq: u64,
}

/// The first statement of `closed.sql`.
#[derive(Debug, Deserialize)]
struct Locks {
    closed: bool,
    witness: String,
    pids: BTreeSet<i64>,
    writing: u32,
}

/// The second statement of `closed.sql`.
#[derive(Debug, Deserialize)]
struct Backends {
    pids: BTreeSet<i64>,
    #[serde(rename = "sessions")]
    could_write: u32,
    apply_workers: u32,
    prepared: u32,
    open_roles: u32,
    listed: bool,
    xmax: String,
    insert: String,
}

/// Who runs a server, and so what Muster's role may ask it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunBy {
    /// Its user, who is a superuser there.
    Oneself,
    /// A provider, who lets nobody see the server's files, its control file and where its standbys come from. Which data it has
    /// is a row that replicates, and its list of synchronous standbys is not Muster's matter.
    Provider,
}

/// Whom to look for.
#[derive(Clone, Copy)]
pub(crate) struct LookFor<'a> {
    pub(crate) owner: &'a Owner,
    pub(crate) application: &'a str,
    pub(crate) run_by: RunBy,
}

impl LookFor<'_> {
    fn sql(&self) -> String {
        self.bind(match self.run_by {
            RunBy::Oneself => include_str!("look.sql"),
            RunBy::Provider => include_str!("look_managed.sql"),
        })
    }

    fn bind(&self, sql: &str) -> String {
        sql.replace(":owner", &literal(self.owner.as_str()))
            .replace(":application", &literal(self.application))
    }
}

/// Looks at a node, until `by`. An idle connection that turns out to be dead is replaced once.
pub(crate) async fn look(link: &Link, look_for: &LookFor<'_>, by: Instant) -> Result<DataFacts, PgError> {
    let session = link.session(by).await?;
    let was_idle = session.was_idle();
    match look_in(link, session, look_for, by).await {
        Err(error) if was_idle && error.is_stale_connection() => {
            look_in(link, link.fresh_session(by).await?, look_for, by).await
        }
        other => other,
    }
}

async fn look_in(
    link: &Link,
    session: Session<'_>,
    look_for: &LookFor<'_>,
    by: Instant,
) -> Result<DataFacts, PgError> {
    let left = session.left().as_millis().max(1);
    let sql = format!("set statement_timeout = {left}; {}", look_for.sql());
    let answer = session.texts("look", &sql).await?;
    let looked: Looked = read(&session, answer.first())?;
    if looked.setup != SETUP_VERSION {
        let what = format!("version {}, {SETUP_VERSION} is needed", looked.setup);
        return Err(PgError::Setup { node: session.node().to_owned(), what });
    }
    if looked.system.is_empty() {
        let what = "muster.identity is empty".to_owned();
        return Err(PgError::Setup { node: session.node().to_owned(), what });
    }
    let mut facts = facts(&looked).ok_or_else(|| unreadable(&session, "positions"))?;
    if looked.recovering || !looked.application_closed {
        session.arrivals().await?.forget();
    } else {
        let refused = application_write(link, by).await;
        // Held until the sample is taken: it must be the next one.
        let mut arrivals = session.arrivals().await?;
        let answer = session.texts("look at sessions", &look_for.bind(include_str!("closed.sql"))).await?;
        let locks: Locks = read(&session, answer.first())?;
        let sessions: Backends = read(&session, answer.get(1))?;
        let shape = shape(&looked);
        let insert = parse_position(&sessions.insert).ok_or_else(|| unreadable(&session, "positions"))?;
        facts.position = record_end(insert, shape);
        facts.replayed = facts.position;
        facts.closed = closed_view(refused, &looked, &locks, &sessions);
        // Holds a lock, and is not on the list of sessions read after it.
        let arriving = locks.pids.difference(&sessions.pids).copied().collect::<BTreeSet<i64>>();
        facts.closed.arriving = u32::try_from(arriving.len()).unwrap_or(u32::MAX);
        if locks.closed {
            facts.closed.arriving = arrivals.sample(locks.witness, arriving);
        } else {
            arrivals.forget();
        }
    }
    session.keep();
    Ok(facts)
}

fn read<T: DeserializeOwned>(session: &Session<'_>, text: Option<&String>) -> Result<T, PgError> {
    let text = text.ok_or_else(|| unreadable(session, "no row"))?;
    serde_json::from_str(text).map_err(|error| unreadable(session, &error.to_string()))
}

fn unreadable(session: &Session<'_>, what: &str) -> PgError {
    PgError::Unreadable { node: session.node().to_owned(), what: what.to_owned() }
}

fn shape(looked: &Looked) -> WalShape {
    WalShape { block: looked.block.max(1), segment: looked.segment.max(1) }
}

fn facts(looked: &Looked) -> Option<DataFacts> {
    let at = |text: &Option<String>| text.as_deref().and_then(parse_position);
    let words = conninfo::parse(looked.conninfo.as_deref().unwrap_or_default());
    let (role, position, replayed) = if looked.recovering {
        let replayed = at(&looked.replayed)?;
        // A receiver that has just started says the beginning of its segment.
        (DataRole::Standby, at(&looked.received).unwrap_or(replayed).max(replayed), replayed)
    } else {
        let position: Position = record_end(at(&looked.insert)?, shape(looked));
        (DataRole::Writable, position, position)
    };
    let streaming = looked.receiver.as_ref().is_some_and(|r| r.status.as_deref() == Some("streaming"));
    let own_name = [words.get("application_name").cloned(), Some(looked.cluster.clone())];
    let sync_name = own_name.into_iter().flatten().find(|name| !name.is_empty());
    Some(DataFacts {
        role,
        system: looked.system.clone(),
        timeline: looked.timeline,
        unit: PositionUnit::Bytes,
        position,
        replayed,
        streaming: looked.recovering && streaming,
        upstream: looked.recovering.then(|| upstream(looked)).flatten(),
        witness: looked.witness.clone().map(Witness::from),
        closed: ClosedView::default(),
        sync: if looked.recovering {
            muster_core::facts::SyncView::default()
        } else {
            sync::view(&looked.list, &looked.level, looked.fsync, looked.overrides, &looked.standbys)
        },
        // `walreceiver` is what the server itself falls back to.
        sync_name: looked.recovering.then(|| sync_name.unwrap_or_else(|| "walreceiver".to_owned())),
        // The controller's own row before a vantage's: whoever compares knows only its times of acknowledgement.
        heartbeat: looked.heartbeat.as_ref().map(|row| HeartbeatRow {
            writer: row.writer.clone(),
            seq: row.seq,
            acked_at: None,
        }),
        unfit: None,
        unready: None,
        lag: None,
        alone: None,
        node: None,
        progress: None,
        follows: None,
        write_block: None,
        saved: Vec::new(),
        unproven: None,
    })
}

/// Where the log comes from, or would come from once that node is back. `None`: it was stopped, and no receiver is left.
fn upstream(looked: &Looked) -> Option<String> {
    if let Some(Receiver { host: Some(host), port: Some(port), .. }) = &looked.receiver {
        return Some(format!("{host}:{port}"));
    }
    let source = looked.conninfo.as_deref().filter(|source| conninfo::running(source).is_none())?;
    let words = conninfo::parse(source);
    let host = words.get("host").or_else(|| words.get("hostaddr")).filter(|host| !host.is_empty())?;
    Some(format!("{host}:{}", words.get("port").map_or("5432", String::as_str)))
}

/// See the module doc of [`crate::postgres`] for what makes these sound.
fn closed_view(refused: Option<bool>, looked: &Looked, locks: &Locks, sessions: &Backends) -> ClosedView {
    let all_closed = sessions.listed && sessions.open_roles == 0;
    ClosedView {
        role_closed: looked.application_closed,
        app_write_refused: refused.filter(|refused| !*refused || all_closed),
        sessions: sessions.could_write,
        arriving: 0,
        prepared: sessions.prepared,
        apply_workers: sessions.apply_workers,
        position_still: locks.writing == 0 && looked.xmax.as_deref() == Some(sessions.xmax.as_str()),
    }
}

/// Tries a write as the application's role. `Some(true)` only if the log in was refused with the code that a closed
/// role gets; a wrong password, a full server or silence say nothing.
async fn application_write(link: &Link, by: Instant) -> Option<bool> {
    match link.connect_application(by).await? {
        Ok(client) => {
            let written = client.batch_execute("update muster.app_write set at = clock_timestamp()");
            let written = tokio::time::timeout_at(by, written).await.ok()?;
            written.is_ok().then_some(false)
        }
        Err(PgError::Connect { source, .. }) => {
            (source.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)).then_some(true)
        }
        Err(_) => None,
    }
}

/// Only the newest witness, on a session in use.
pub(super) async fn witness(
    session: &Session<'_>,
    look_for: &LookFor<'_>,
) -> Result<Option<Witness>, PgError> {
    let sql = look_for.bind(
        "select json_build_object('owner', w.owner, 'epoch', w.epoch, 'term', w.term, 'seq', w.seq)
         from muster.witness w order by w.epoch desc, w.owner = :owner, w.term desc, w.seq desc limit 1",
    );
    let answer = session.texts("read the witness", &sql).await?;
    answer.first().map(|text| read::<WitnessRow>(session, Some(text)).map(Witness::from)).transpose()
}

impl From<WitnessRow> for Witness {
    fn from(row: WitnessRow) -> Self {
        Self {
            owner: Owner::new(row.owner),
            epoch: Epoch(row.epoch),
            term: Term(row.term),
            seq: Seq(row.seq),
        }
    }
}
