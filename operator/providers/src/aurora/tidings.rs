//! What Aurora tells by events of RDS while the writer moves (`USER_Events.Messages`): whether it could keep writes out of an old
//! primary, which is an event of the old region where that is reached, else of the new one (RDS-EVENT-0390 and 0391); and how far
//! it is (the category `global failover`), which is for people alone.
//!
//! Events are read only while a cluster is being left, or is not a secondary again: in a calm world never. Reading goes on
//! beside the looks, which tell what is known by then: a region that is gone must hold up nobody.
//!
//! What this module must never do: take silence, or a missing right, for a word.

use super::view::{GlobalView, Operation};
use super::{AuroraConfig, Member};
use crate::aws::{CallError, Rds};
use aws_sdk_rds::primitives::DateTimeFormat;
use aws_sdk_rds::types::Event;
use aws_types::sdk_config::SharedTimeSource;
use futures::future::join_all;
use muster_core::facts::{ErrorClass, WriteBlock};
use muster_core::ids::RegionName;
use muster_core::time::Wall;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};
use tokio::time::Instant;

/// Between the begins of two readings.
const EVERY: Duration = Duration::from_secs(5);
/// A region that has not told by then is asked anew by the next reading.
const LONGEST: Duration = Duration::from_secs(8);
/// The category of what is told of a switchover or failover itself.
const PROGRESS: &str = "global failover";
/// An operation may have begun so long before it is seen, in milliseconds, and AWS' clock may be so far behind.
const SEEN_LATE: i64 = 5 * 60_000;
/// Not seen for so long, an operation is over, and the same one seen after that is another.
const ENDED: Duration = Duration::from_secs(30);

/// What is known of the clusters of one global database.
#[derive(Debug)]
pub(super) struct Tidings(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clusters: Vec<Cluster>,
    regions: Vec<Arc<Rds>>,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Cluster {
    arn: String,
    name: String,
    aws_region: String,
    region: RegionName,
}

#[derive(Debug, Default)]
struct Known {
    began: Option<Instant>,
    reads: bool,
    /// By ARN.
    words: BTreeMap<String, WriteBlock>,
    /// The operation under way, from where to where, and since when events may be of it.
    operation: Option<(String, String, Wall)>,
    /// Since when no look has shown it. Two regions' views may differ for a while.
    unseen: Option<Instant>,
    /// The newest event of it.
    newest: Option<(Wall, String)>,
    /// Of which refusal of a region was said last: the same comes with each reading.
    complained: HashMap<String, ErrorClass>,
}

/// What is known by now.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Of the cluster that is being left or was.
    pub(super) write_block: Option<WriteBlock>,
    /// Of the operation under way.
    pub(super) progress: Option<String>,
}

impl Tidings {
    pub(super) fn new(config: &AuroraConfig, members: &BTreeMap<RegionName, Member>) -> Self {
        let cluster = |(region, member): (&RegionName, &super::AuroraMember)| Cluster {
            arn: member.arn.clone(),
            name: member.arn.rsplit(':').next().unwrap_or_default().to_owned(),
            aws_region: member.aws_region.clone(),
            region: region.clone(),
        };
        Self(Arc::new(Inner {
            clusters: config.members.iter().map(cluster).collect(),
            regions: members.values().map(|member| Arc::clone(&member.rds)).collect(),
            known: Mutex::default(),
        }))
    }

    /// What was told so far of what moves or has moved, as `global` has it. Begins to read if it is time to.
    pub(super) fn of(&self, global: &GlobalView) -> Told {
        let old = left_behind(global);
        let inner = &self.0;
        let ours = inner.clusters.iter().filter(|cluster| old.contains(&cluster.arn.as_str()));
        let arns: Vec<&str> = ours.map(|cluster| cluster.arn.as_str()).collect();
        let mut known = inner.lock();
        let progress = global.operation.as_ref().map(|operation| known.progress(operation));
        if progress.is_none() {
            known.unseen.get_or_insert_with(Instant::now);
        }
        if arns.is_empty() {
            known.words.clear();
            return Told { write_block: None, progress };
        }
        let is_due = known.began.is_none_or(|began| began.elapsed() >= EVERY);
        if is_due && !known.reads {
            (known.began, known.reads) = (Some(Instant::now()), true);
            tokio::spawn(Arc::clone(inner).read());
        }
        let words = arns.iter().filter_map(|arn| known.words.get(*arn));
        Told { write_block: words.max_by_key(|word| word.at).cloned(), progress }
    }
}

/// Clusters that lose the writer's role, or have lost it and are no secondary again. A switchover too goes on when writes could
/// not be blocked in time.
fn left_behind(global: &GlobalView) -> Vec<&str> {
    let leaves = global.operation.as_ref();
    let has_writer = !global.writers().is_empty();
    let gone = global.members.iter().filter(|m| has_writer && !m.is_writer && !m.is_connected());
    leaves.map(|operation| operation.from.as_str()).into_iter().chain(gone.map(|m| m.arn.as_str())).collect()
}

impl Known {
    /// In the words of RDS, with when it said so.
    fn progress(&mut self, operation: &Operation) -> String {
        let (from, to) = (&operation.from, &operation.to);
        if self.unseen.take().is_some_and(|since| since.elapsed() >= ENDED) {
            self.operation = None;
        }
        if self
            .operation
            .as_ref()
            .is_none_or(|(known_from, known_to, _)| (known_from, known_to) != (from, to))
        {
            let began = Wall(now().0.saturating_sub(SEEN_LATE));
            (self.operation, self.newest) = (Some((from.clone(), to.clone(), began)), None);
        }
        let newest = self.newest.as_ref().map(|(_, told)| format!("; {told}"));
        format!("{operation}{}", newest.unwrap_or_default())
    }

    /// Keeps the newest event of the operation.
    fn learn_progress(&mut self, clusters: &[Cluster], events: &[Event]) {
        let Some((_, _, began)) = &self.operation else { return };
        let told = events.iter().filter_map(|event| progress_of(clusters, event));
        let newest = told.filter(|(at, _)| at >= began).chain(self.newest.take());
        self.newest = newest.max_by_key(|(at, _)| *at);
    }
}

fn now() -> Wall {
    let since = SharedTimeSource::default().now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(self: Arc<Self>) {
        let by = Instant::now() + LONGEST;
        let told = join_all(self.regions.iter().map(|rds| rds.events(by))).await;
        let mut known = self.lock();
        known.reads = false;
        for (rds, told) in self.regions.iter().zip(told) {
            match told {
                Ok(events) => {
                    known.complained.remove(rds.region());
                    self.learn(&mut known, &events);
                }
                Err(error) => complain(&mut known, rds, &error),
            }
        }
    }

    /// Keeps the newest word on each cluster.
    fn learn(&self, known: &mut Known, events: &[Event]) {
        for cluster in &self.clusters {
            let words = events.iter().filter_map(|event| word_on(cluster, event));
            let newest = words.chain(known.words.remove(&cluster.arn)).max_by_key(|word| word.at);
            if let Some(newest) = newest {
                known.words.insert(cluster.arn.clone(), newest);
            }
        }
        known.learn_progress(&self.clusters, events);
    }
}

/// Nothing hangs on what is not told; a right that is missing shows in the log.
fn complain(known: &mut Known, rds: &Rds, error: &CallError) {
    if known.complained.insert(rds.region().to_owned(), error.class) != Some(error.class) {
        let (region, why) = (rds.region(), &error.why);
        tracing::warn!(region, why, "failed to read what RDS tells while the writer moves");
    }
}

/// What an event tells of a switchover or failover of one of these clusters, and when.
fn progress_of(clusters: &[Cluster], event: &Event) -> Option<(Wall, String)> {
    let (message, date, source) = (event.message()?, event.date()?, event.source_arn()?);
    let is_ours = clusters.iter().any(|cluster| cluster.arn == source);
    let is_progress = is_ours && event.event_categories().iter().any(|category| category == PROGRESS);
    let at = Wall(date.to_millis().ok()?);
    let told = date.fmt(DateTimeFormat::DateTime).ok().filter(|_| is_progress)?;
    Some((at, format!("RDS at {told}: {message}")))
}

/// Events bear no number: their words are what tells them apart. One that speaks of the block and not of its success is taken
/// for a failure.
fn word_on(cluster: &Cluster, event: &Event) -> Option<WriteBlock> {
    let (message, date) = (event.message()?, event.date()?);
    let is_about =
        |name: &str| message.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|word| word == name);
    let is_word =
        message.contains("block writes") && is_about(&cluster.name) && is_about(&cluster.aws_region);
    let at = Wall(date.to_millis().ok()?);
    is_word.then(|| WriteBlock {
        region: cluster.region.clone(),
        at,
        holds: message.trim_end_matches(['.', ' ']).ends_with("succeeded"),
        said: format!("RDS: {message}"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::view::{MemberView, Operation};
    use super::*;
    use aws_sdk_rds::primitives::DateTime;

    fn cluster() -> Cluster {
        Cluster {
            arn: "arn:aws:rds:us-east-1:111122223333:cluster:shop".to_owned(),
            name: "shop".to_owned(),
            aws_region: "us-east-1".to_owned(),
            region: RegionName::new("east"),
        }
    }

    fn word(message: &str) -> Option<WriteBlock> {
        word_on(&cluster(), &Event::builder().message(message).date(DateTime::from_secs(7)).build())
    }

    #[test]
    fn a_word_on_the_block_is_told_from_other_events_and_other_clusters() {
        let held = word("Attempt to block writes for DB cluster shop in Region us-east-1 succeeded.");
        let held = held.expect("a word");
        assert_eq!((held.holds, held.at, held.region.as_str()), (true, Wall(7_000), "east"));
        let broken = word("Attempt to block writes for DB cluster shop in Region us-east-1 timed out.");
        assert!(broken.is_some_and(|word| !word.holds && word.said.contains("timed out")));
        for ending in ["ended oddly", "has not succeeded yet, and goes on", "succeeded in part"] {
            let unheard =
                word(&format!("Attempt to block writes for DB cluster shop in Region us-east-1 {ending}."));
            assert!(unheard.is_some_and(|word| !word.holds), "{ending}");
        }
        for other in [
            "Attempt to block writes for DB cluster shop-2 in Region us-east-1 succeeded.",
            "Attempt to block writes for DB cluster shop in Region us-east-2 succeeded.",
            "Global failover to DB cluster shop in Region us-east-1 completed.",
        ] {
            assert_eq!(word(other), None, "{other}");
        }
    }

    fn told(source: &str, seconds: i64, category: &str, message: &str) -> Event {
        let event = Event::builder().source_arn(source).event_categories(category).message(message);
        event.date(DateTime::from_secs(seconds)).build()
    }

    #[test]
    fn the_newest_event_of_an_operation_says_how_far_it_is() {
        let ours = cluster().arn;
        let operation = |to: &str| {
            let (status, from, to) = ("switching-over".to_owned(), ours.clone(), to.to_owned());
            Operation { status, from, to, data_loss: Some(false) }
        };
        let mut known = Known::default();
        let seconds = now().0 / 1_000;
        let clusters = [cluster()];
        let events = [
            told(&ours, seconds - 4_000, PROGRESS, "Global switchover of long ago finished."),
            told(&ours, seconds + 2, PROGRESS, "Waiting for data synchronization."),
            told(&ours, seconds + 1, PROGRESS, "Global switchover started."),
            told(&ours, seconds + 3, "notification", "DB cluster stopped"),
            told("arn:aws:rds:us-east-1:111122223333:cluster:other", seconds + 4, PROGRESS, "Another one."),
        ];
        known.learn_progress(&clusters, &events);
        assert_eq!(known.newest, None, "nothing is under way");
        assert!(known.progress(&operation("west")).ends_with("to west"), "nothing was told yet");
        known.learn_progress(&clusters, &events);
        let says = known.progress(&operation("west"));
        assert!(says.contains("(switching-over)") && says.contains("; RDS at 20"), "{says}");
        assert!(says.ends_with("Z: Waiting for data synchronization."), "{says}");
        known.learn_progress(&clusters, &events[2..3]);
        assert_eq!(known.progress(&operation("west")), says, "an older one says nothing new");
        assert!(known.progress(&operation("north")).ends_with("to north"), "another operation");
    }

    fn member(arn: &str, is_writer: bool, synchronization: &str) -> MemberView {
        MemberView { arn: arn.to_owned(), is_writer, synchronization: synchronization.to_owned() }
    }

    #[test]
    fn only_a_cluster_that_is_left_or_was_is_asked_about() {
        let mut global = GlobalView {
            members: vec![member("east", true, ""), member("west", false, "connected")],
            ..GlobalView::default()
        };
        assert!(left_behind(&global).is_empty(), "a calm world");
        let (from, to) = ("east".to_owned(), "west".to_owned());
        let status = "pending".to_owned();
        global.operation = Some(Operation { status, from, to, data_loss: None });
        for data_loss in [None, Some(false), Some(true)] {
            global.operation.as_mut().expect("under way").data_loss = data_loss;
            assert_eq!(left_behind(&global), ["east"]);
        }
        global.operation = None;
        global.members = vec![member("east", false, "pending-resync"), member("west", true, "")];
        assert_eq!(left_behind(&global), ["east"]);
        global.members[1].is_writer = false;
        assert!(left_behind(&global).is_empty(), "nobody has taken over");
    }
}
