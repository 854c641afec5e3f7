//! What a cluster's database says of itself, in one round trip. Aurora has neither `pg_control_system()` nor functions of
//! positions in the log: the identity is a row that replicates, and the position is the time of the newest heartbeat.

use super::lag::Lags;
use crate::postgres::error::PgError;
use crate::postgres::link::{Link, Session};
use crate::postgres::{SETUP_VERSION, literal};
use muster_core::facts::{HeartbeatRow, Witness};
use muster_core::ids::{Epoch, Owner, Seq, Term};
use serde::Deserialize;
use tokio::time::Instant;

/// What a look is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct LookFor<'a> {
    pub(super) owner: &'a Owner,
    /// What is told of clusters that are behind.
    pub(super) lags: &'a Lags,
    /// AWS' name of the cluster's region.
    pub(super) region: &'a str,
}

/// `look.sql`'s answer.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Looked {
    setup: i64,
    pub(super) recovering: bool,
    tells_lag: bool,
    system: Option<String>,
    witness: Option<WitnessRow>,
    heartbeat: Option<BeatRow>,
    newest: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
struct WitnessRow {
    owner: String,
    epoch: u64,
    term: u64,
    seq: u64,
}

#[derive(Clone, Debug, Deserialize)]
struct BeatRow {
    writer: String,
    seq: u64,
}

impl Looked {
    /// Which data it is; [`look`] gives no answer without one.
    pub(super) fn system(&self) -> String {
        self.system.clone().unwrap_or_default()
    }

    /// When the newest heartbeat was written, in microseconds since 1970, by its writer's clock; 0: there is none.
    pub(super) fn newest_beat(&self) -> u64 {
        self.newest.unwrap_or_default()
    }

    pub(super) fn witness(&self) -> Option<Witness> {
        self.witness.as_ref().map(|row| Witness {
            owner: Owner::new(row.owner.clone()),
            epoch: Epoch(row.epoch),
            term: Term(row.term),
            seq: Seq(row.seq),
        })
    }

    pub(super) fn heartbeat(&self) -> Option<HeartbeatRow> {
        // The controller's own row before a vantage's: whoever compares knows only its times of acknowledgement.
        self.heartbeat.as_ref().map(|row| HeartbeatRow {
            writer: row.writer.clone(),
            seq: row.seq,
            acked_at: None,
        })
    }
}

/// Looks at a cluster's database, until `by`. An idle connection that turns out to be dead is replaced once.
pub(super) async fn look(link: &Link, look_for: LookFor<'_>, by: Instant) -> Result<Looked, PgError> {
    let session = link.session(by).await?;
    let was_idle = session.was_idle();
    match look_in(session, look_for).await {
        Err(error) if was_idle && error.is_stale_connection() => {
            look_in(link.fresh_session(by).await?, look_for).await
        }
        other => other,
    }
}

async fn look_in(session: Session<'_>, look_for: LookFor<'_>) -> Result<Looked, PgError> {
    let LookFor { owner, lags, region } = look_for;
    let left = session.left().as_millis().max(1);
    let look = include_str!("look.sql").replace(":owner", &literal(owner.as_str()));
    let answer = session.texts("look", &format!("set statement_timeout = {left}; {look}")).await?;
    let unreadable = |what: String| PgError::Unreadable { node: session.node().to_owned(), what };
    let setup = |what: String| PgError::Setup { node: session.node().to_owned(), what };
    let text = answer.first().ok_or_else(|| unreadable("no row".to_owned()))?;
    let looked: Looked = serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
    if looked.setup != SETUP_VERSION {
        return Err(setup(format!("version {}, {SETUP_VERSION} is needed", looked.setup)));
    }
    if looked.system.is_none() {
        return Err(setup("muster.identity is empty".to_owned()));
    }
    if !looked.tells_lag || lags.ask(&session, region).await {
        session.keep();
    }
    Ok(looked)
}

#[cfg(test)]
impl Looked {
    /// For tests of what is made of it.
    pub(super) fn of(recovering: bool, newest: u64) -> Self {
        let heartbeat = Some(BeatRow { writer: "controller".to_owned(), seq: 7 });
        let system = Some("11111111-2222-3333-4444-555555555555".to_owned());
        let witness = WitnessRow { owner: "uid-1".to_owned(), epoch: 3, term: 1, seq: 2 };
        let newest = Some(newest);
        let (setup, tells_lag, witness) = (SETUP_VERSION, false, Some(witness));
        Self { setup, recovering, tells_lag, system, witness, heartbeat, newest }
    }
}
