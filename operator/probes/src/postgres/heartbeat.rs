//! Heartbeats: a number that grows is written at the active region and read everywhere.
//!
//! | call | what makes it safe to repeat |
//! |---|---|
//! | upsert | only raises the number (`where seq < excluded.seq`); a number is used once |
//! | read | changes nothing |
//! | end a left-over session | only our own role's, by process id *and* start time |
//!
//! A write that times out is *in flight*: it may still land, and a later number never reuses it. Its server process
//! may hang on (waiting for a synchronous standby, holding the row's lock); it is ended by the next connection. It
//! is never cancelled: a cancelled wait acknowledges without the standby (safety rules, section 6).

use super::node::{Node, Session};
use crate::error::{Mistakes, SpecError};
use crate::finding::Finding;
use crate::heartbeats::HeartbeatBook;
use crate::progress::Phase;
use crate::run::{RunCx, Side};
use crate::spec::HeartbeatSpec;
use muster_core::health::Symptom;
use muster_core::ids::RegionName;
use std::sync::Arc;
use tokio_postgres::Statement;
use tokio_postgres::error::SqlState;

const WRITE: &str = "insert into muster.heartbeat as h (writer, seq) values ($1, $2) \
    on conflict (writer) do update set seq = excluded.seq, at = clock_timestamp() where h.seq < excluded.seq \
    returning h.seq";
const READ: &str = "select coalesce(max(seq), 0) from muster.heartbeat where writer = $1";
const WHO_AM_I: &str = "select pid, backend_start::text from pg_stat_activity where pid = pg_backend_pid()";
const END_LEFT_OVER: &str = "select pg_terminate_backend(pid) from pg_stat_activity \
    where pid = $1 and backend_start::text = $2 and usename = current_user";

/// The server process of a session.
#[derive(Clone, Debug)]
struct Backend {
    pid: i32,
    start: String,
}

/// An open session with its two statements.
struct Open {
    session: Session,
    backend: Backend,
    write: Statement,
    read: Statement,
}

/// A compiled heartbeat of one region.
pub(crate) struct Heartbeat {
    node: Node,
    region: RegionName,
    book: Arc<HeartbeatBook>,
    open: Option<Open>,
    /// Of a run that did not end: its statement may hang on at the server.
    left_over: Option<Backend>,
}

impl Heartbeat {
    pub(crate) fn compile(
        spec: &HeartbeatSpec,
        book: Arc<HeartbeatBook>,
        field: &str,
        region: &RegionName,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let node = Node::build(&spec.target, region).map_err(|problem| {
            SpecError::new(&format!("{field}.heartbeat.data"), format!("{} {problem}", spec.data))
        });
        let node = mistakes.take(node)?;
        Some(Self { node, region: region.clone(), book, open: None, left_over: None })
    }

    /// Writes and reads back at the primary, reads at a standby.
    pub(crate) async fn run(&mut self, cx: &RunCx<'_>) -> Result<(), Finding> {
        let kept = self.open.take().filter(|open| !open.session.client.is_closed());
        // What has become the primary is written to, and a session by its readers' name would be refused.
        let kept = kept.filter(|open| self.node.leads_right(&open.session, cx.side));
        let reused = kept.is_some();
        let mut open = match kept {
            Some(open) => open,
            None => self.connect(cx).await?,
        };
        self.left_over = Some(open.backend.clone());
        cx.progress.enter(Phase::Answer);
        let mut result = self.beat(&open, cx).await;
        if reused && result.as_ref().is_err_and(|lost| lost.symptom == Symptom::Refused) {
            drop(open);
            open = self.connect(cx).await?;
            result = self.beat(&open, cx).await;
        }
        if !open.session.client.is_closed() {
            self.left_over = None;
            self.open = Some(open);
        }
        result
    }

    /// Closes the connection.
    pub(crate) fn rest(&mut self) {
        self.open = None;
    }

    async fn connect(&mut self, cx: &RunCx<'_>) -> Result<Open, Finding> {
        let session = self.node.connect(cx).await?;
        let failed = |e: tokio_postgres::Error| explain(&session, &e, "setting up the session");
        let client = &session.client;
        if let Some(Backend { pid, start }) = &self.left_over {
            client.query(END_LEFT_OVER, &[pid, start]).await.map_err(failed)?;
        }
        let row = client.query_one(WHO_AM_I, &[]).await.map_err(failed)?;
        let pid = row.try_get(0).map_err(failed)?;
        let start: Option<String> = row.try_get(1).map_err(failed)?;
        let backend = Backend { pid, start: start.unwrap_or_default() };
        // From here on a run that is dropped, or whose connection breaks, leaves this process behind: even
        // preparing may wait for a lock.
        self.left_over = Some(backend.clone());
        let write = client.prepare(WRITE).await.map_err(failed)?;
        let read = client.prepare(READ).await.map_err(failed)?;
        Ok(Open { session, backend, write, read })
    }

    async fn beat(&self, open: &Open, cx: &RunCx<'_>) -> Result<(), Finding> {
        if cx.side == Side::Primary {
            return self.write(open, cx).await;
        }
        let began = cx.clock.now();
        let present = self.present(open).await?;
        self.book.note_present(present);
        self.book.seen_at(&self.region, present, began);
        Ok(())
    }

    async fn write(&self, open: &Open, cx: &RunCx<'_>) -> Result<(), Finding> {
        self.book.forget(&self.region);
        // The second try follows a table that is ahead of us: a restart, or another process of the same name.
        for _ in 0..2 {
            let seq = self.book.begin_write();
            let wire = i64::try_from(seq).unwrap_or(i64::MAX);
            let row = open.session.client.query_opt(&open.write, &[&self.book.writer(), &wire]).await;
            match row {
                Ok(Some(_)) => {
                    self.book.acknowledged(seq, cx.clock.now());
                    let present = self.present(open).await?;
                    if present < seq {
                        return Err(Finding::wrong(format!("wrote heartbeat {seq}, reads {present}")));
                    }
                    return Ok(());
                }
                Ok(None) => {
                    self.book.refused();
                    let present = self.present(open).await?;
                    self.book.note_present(present);
                }
                Err(error) => {
                    // A server that answers with an error says that the write had no effect; one that goes away
                    // says nothing.
                    if !open.session.client.is_closed() && error.as_db_error().is_some_and(had_no_effect) {
                        self.book.refused();
                    }
                    return Err(explain(&open.session, &error, "writing a heartbeat"));
                }
            }
        }
        Err(Finding::wrong("another writer uses our name in muster.heartbeat"))
    }

    async fn present(&self, open: &Open) -> Result<u64, Finding> {
        let row = open.session.client.query_one(&open.read, &[&self.book.writer()]).await;
        let number = row.and_then(|row| row.try_get::<_, i64>(0));
        let number = number.map_err(|e| explain(&open.session, &e, "reading heartbeats"))?;
        Ok(u64::try_from(number).unwrap_or(0))
    }
}

/// Shutting down (class 57) may strike after the commit.
fn had_no_effect(error: &tokio_postgres::error::DbError) -> bool {
    !error.code().code().starts_with("57")
}

fn explain(session: &Session, error: &tokio_postgres::Error, doing: &str) -> Finding {
    let missing = [&SqlState::UNDEFINED_TABLE, &SqlState::INVALID_SCHEMA_NAME, &SqlState::UNDEFINED_COLUMN];
    match error.code() {
        Some(code) if missing.contains(&code) => {
            Finding::own_setup("the table muster.heartbeat is missing or another; run Muster's setup SQL")
        }
        Some(code) if *code == SqlState::READ_ONLY_SQL_TRANSACTION => {
            Finding::wrong(format!("{doing}: the database takes no writes (SQLSTATE 25006)"))
        }
        _ => session.explain(error, doing),
    }
}
