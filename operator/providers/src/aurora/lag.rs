//! How far a secondary is behind, in Aurora's own words: `aurora_global_db_status()`, which every instance of a global database
//! answers for all of its clusters. It is the figure that `CloudWatch` shows as `AuroraGlobalDBRPOLag`, with the time at which it was
//! calculated, and takes neither a right nor a call of AWS' API.
//! <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora_global_db_status.html>
//!
//! What was told last stays known when nobody tells any more, and grows old: a primary that is gone takes no word back.
//!
//! What this module must never do: make a look at a database fail, or hold it up for longer than [`LONGEST`].

use crate::postgres::error::PgError;
use crate::postgres::link::Session;
use muster_core::facts::{DataFacts, DataRole, EngineLag};
use muster_core::time::Millis;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Between two questions to the same cluster.
const EVERY: Duration = Duration::from_secs(10);
/// After one that was not answered.
const AGAIN: Duration = Duration::from_mins(5);
/// Of one question.
const LONGEST: Duration = Duration::from_millis(500);
/// Two clocks of one database's storage may differ by so much. A word from the future beyond that is none.
const SKEW: i64 = 1_000;

/// What was told of the clusters of one global database.
#[derive(Debug, Default)]
pub(super) struct Lags(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// By AWS' name of the region.
    words: BTreeMap<String, Word>,
    /// When each region is asked next.
    due: BTreeMap<String, Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Word {
    behind: Millis,
    calculated: Instant,
}

/// A row of the function, with its age by the database's own clock.
#[derive(Debug, Deserialize)]
struct Row {
    region: String,
    behind: u64,
    age: i64,
}

impl Lags {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the cluster of this region if it is time to. False: the session is in the middle of something.
    pub(super) async fn ask(&self, session: &Session<'_>, region: &str) -> bool {
        let now = Instant::now();
        if self.lock().due.get(region).is_some_and(|due| now < *due) {
            return true;
        }
        let told = timeout(LONGEST.min(session.left() / 2), read(session)).await;
        let mut known = self.lock();
        let pause = if matches!(told, Ok(Ok(_))) { EVERY } else { AGAIN };
        known.due.insert(region.to_owned(), now + pause);
        match told {
            Ok(Ok(rows)) => {
                known.learn(rows, Instant::now());
                true
            }
            Ok(Err(error)) => {
                tracing::debug!(region, %error, "Aurora does not say how far its clusters are behind");
                // An answer that is an error ends the statement, and nothing else.
                !error.is_stale_connection()
            }
            Err(_) => false,
        }
    }

    /// What is known of the cluster in this region.
    pub(super) fn of(&self, region: &str) -> Option<EngineLag> {
        let word = self.lock().words.get(region).copied()?;
        let age = u64::try_from(word.calculated.elapsed().as_millis()).unwrap_or(u64::MAX);
        Some(EngineLag { behind: word.behind, age: Millis(age) })
    }
}

impl Known {
    fn learn(&mut self, rows: Vec<Row>, now: Instant) {
        for row in rows.into_iter().filter(|row| row.age >= -SKEW) {
            let age = Duration::from_millis(u64::try_from(row.age).unwrap_or_default());
            let Some(calculated) = now.checked_sub(age) else { continue };
            let is_newer = self.words.get(&row.region).is_none_or(|known| known.calculated <= calculated);
            if is_newer {
                self.words.insert(row.region, Word { behind: Millis(row.behind), calculated });
            }
        }
    }
}

async fn read(session: &Session<'_>) -> Result<Vec<Row>, PgError> {
    let texts = session.texts("ask for the lag", include_str!("lag.sql")).await?;
    let text = texts.first().map_or("[]", String::as_str);
    let unreadable = |error: serde_json::Error| PgError::Unreadable {
        node: session.node().to_owned(),
        what: error.to_string(),
    };
    serde_json::from_str(text).map_err(unreadable)
}

/// The facts of a member, with how far it is behind.
pub(super) fn add(facts: DataFacts, lag: Option<EngineLag>) -> DataFacts {
    let lag = lag.filter(|_| facts.role == DataRole::Standby);
    DataFacts { lag, ..facts }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn row(behind: u64, age: i64) -> Row {
        Row { region: "us-west-2".to_owned(), behind, age }
    }

    #[test]
    fn of_two_words_the_one_that_was_calculated_later_holds() {
        let (mut known, now) = (Known::default(), Instant::now() + SECOND * 60);
        known.learn(vec![row(400, 2_000)], now);
        known.learn(vec![row(9_000, 30_000)], now + SECOND);
        assert_eq!(known.words["us-west-2"].behind, Millis(400), "another cluster tells late");
        known.learn(vec![row(7_000, -3_000)], now + SECOND * 2);
        assert_eq!(known.words["us-west-2"].behind, Millis(400), "a word from the future");
        known.learn(vec![row(500, -300)], now + SECOND * 2);
        let word = known.words["us-west-2"];
        assert_eq!((word.behind, word.calculated), (Millis(500), now + SECOND * 2));
    }
}
