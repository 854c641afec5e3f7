//! How many writes a failover lost: read from the old primary's log, behind the point where the new one left it.

use super::PostgresData;
use super::error::PgError;
use super::link::Session;
use super::setup::literal;
use super::wal::{fork_of, parse_position, show_position};
use muster_core::facts::{DataFacts, DataRole, LossFacts};
use muster_core::ids::{Position, RegionName};
use muster_core::time::Millis;
use serde::Deserialize;
use std::sync::PoisonError;
use tokio::time::Instant;

/// A loss that a rejoin hook read from a log that no server could show; true as long as the new primary is still on
/// the timeline that it was on then.
#[derive(Clone, Debug)]
pub(super) struct ReportedLoss {
    pub(super) new: RegionName,
    pub(super) timeline: u64,
    pub(super) loss: LossFacts,
}

/// What the old primary's log holds behind the fork.
#[derive(Debug, Deserialize)]
struct Counted {
    commits: u64,
    beats: u64,
    newest: Option<String>,
}

/// The new primary's side of the fork.
#[derive(Debug, Deserialize)]
struct NewSide {
    history: Option<String>,
    /// Commit time of the newest transaction that it replayed before it was promoted, as the old primary's clock had
    /// it. Forgotten at a restart.
    kept: Option<String>,
}

const NEW_SIDE: &str = "select json_build_object('history', muster.history(), \
                        'kept', pg_last_xact_replay_timestamp()::text)::text";

impl PostgresData {
    pub(super) async fn do_read_loss(
        &self,
        old: &RegionName,
        new: &RegionName,
        by: Instant,
    ) -> Result<LossFacts, String> {
        let told = |error: PgError| error.to_string();
        let (old_facts, new_facts) = futures::join!(self.look(old, by), self.look(new, by));
        let new_facts = new_facts.map_err(told)?;
        if new_facts.role != DataRole::Writable {
            return Err(format!("{new} is no primary: nothing has parted yet"));
        }
        match old_facts {
            Ok(old_facts) if old_facts.role == DataRole::Writable => {
                self.count(old, &old_facts, new, &new_facts, by).await
            }
            Ok(_) => self.reported(old, new, new_facts.timeline).ok_or_else(|| {
                format!("{old} is a standby: what its log had behind the fork is gone or was not read")
            }),
            Err(error) => self.reported(old, new, new_facts.timeline).ok_or_else(|| told(error)),
        }
    }

    fn reported(&self, old: &RegionName, new: &RegionName, timeline: u64) -> Option<LossFacts> {
        let reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let of_old = reported.get(old).filter(|r| r.new == *new && r.timeline == timeline)?;
        Some(of_old.loss.clone())
    }

    pub(super) async fn count(
        &self,
        old: &RegionName,
        old_facts: &DataFacts,
        new: &RegionName,
        new_facts: &DataFacts,
        by: Instant,
    ) -> Result<LossFacts, String> {
        let told = |error: PgError| error.to_string();
        if old_facts.system != new_facts.system {
            return Err(format!("{old} and {new} are not copies of each other"));
        }
        if old_facts.timeline >= new_facts.timeline {
            return Err(format!(
                "{old} is on timeline {}, {new} on {}",
                old_facts.timeline, new_facts.timeline
            ));
        }
        if !old_facts.closed.is_closed() {
            return Err(format!("{old} is not closed: its log may still grow"));
        }
        let (old_link, new_link) = (self.link(old).map_err(told)?, self.link(new).map_err(told)?);
        let new_session = new_link.fresh_session(by).await.map_err(told)?;
        let side: NewSide = json(new_session.text("read the fork", NEW_SIDE, &[]).await.map_err(told)?)?;
        let fork = side.history.as_deref().and_then(|history| fork_of(history, old_facts.timeline));
        let fork = fork.ok_or_else(|| {
            format!("{new}'s history does not come from {old}'s timeline {}", old_facts.timeline)
        })?;
        let session = old_link.fresh_session(by).await.map_err(told)?;
        session.limit().await.map_err(told)?;
        let counted = count_behind(&session, fork).await?;
        let span = match (&counted.newest, &side.kept) {
            (None, _) => Some(Millis(0)),
            (Some(lost), Some(kept)) => Some(span(&session, kept, lost).await?),
            (Some(_), None) => None,
        };
        Ok(LossFacts { commits_after_fork: counted.commits, heartbeats_after_fork: counted.beats, span })
    }
}

async fn count_behind(session: &Session<'_>, fork: Position) -> Result<Counted, String> {
    let told = |error: PgError| error.to_string();
    let end = session.text("read the end of the log", "select pg_current_wal_flush_lsn()::text", &[]);
    let end = end.await.map_err(told)?.as_deref().and_then(parse_position);
    let end = end.ok_or("the end of the log cannot be read")?;
    if end <= fork {
        return Ok(Counted { commits: 0, beats: 0, newest: None });
    }
    let bind = |at| format!("{}::pg_lsn", literal(&show_position(at)));
    // The planner cannot know how many records a function gives, and a wrong guess would take hours.
    session.run("plan", "set enable_nestloop = off").await.map_err(told)?;
    let sql = include_str!("lost_commits.sql").replace(":from", &bind(fork)).replace(":to", &bind(end));
    json(session.text("read the log behind the fork", &sql, &[]).await.map_err(told)?)
}

async fn span(session: &Session<'_>, kept: &str, lost: &str) -> Result<Millis, String> {
    let sql = format!(
        "select greatest(0, extract(epoch from {}::timestamptz - {}::timestamptz) * 1000)::int8::text",
        literal(lost),
        literal(kept)
    );
    let answer = session.text("subtract times", &sql, &[]).await.map_err(|error| error.to_string())?;
    Ok(Millis(answer.unwrap_or_default().parse().unwrap_or_default()))
}

fn json<T: serde::de::DeserializeOwned>(text: Option<String>) -> Result<T, String> {
    serde_json::from_str(&text.unwrap_or_default()).map_err(|error| format!("unreadable answer: {error}"))
}

/// The last line `{"lostCommits": n, "lostHeartbeats": n, "spanMs": n}` that a hook printed; the last two may be
/// missing.
pub(super) fn reported_by_hook(stdout: &str) -> Option<LossFacts> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Line {
        lost_commits: u64,
        #[serde(default)]
        lost_heartbeats: u64,
        #[serde(default)]
        span_ms: Option<u64>,
    }
    let line: Line = stdout.lines().rev().find_map(|line| serde_json::from_str(line.trim()).ok())?;
    Some(LossFacts {
        commits_after_fork: line.lost_commits,
        heartbeats_after_fork: line.lost_heartbeats,
        span: line.span_ms.map(Millis),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hooks_last_line_of_json_is_its_loss() {
        let loss = reported_by_hook(
            "rewinding\n{\"lostCommits\": 1}\n{\"lostCommits\": 7, \"spanMs\": 900}\ndone\n",
        );
        let expected = LossFacts { commits_after_fork: 7, heartbeats_after_fork: 0, span: Some(Millis(900)) };
        assert_eq!(loss, Some(expected));
        assert_eq!(reported_by_hook("nothing\n{\"lost\": 1}\n"), None);
    }
}
