//! Objects that many policies watch in one bucket: one list tells whether any of them has changed.
//!
//! A list costs as much as twelve reads of an object (S3, prices), so it is asked for where it takes the place of more. It tells
//! versions, not contents: what has changed is read by whoever watches it.
//!
//! What this module must never do: call an object absent that the list was not asked for; serve an effect, which reads the object
//! itself.

use super::account::Way;
use super::pages::read_pages_up_to;
use super::shared_read::SharedRead;
use super::{Action, CallError};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

const LIST: Action = Action::ListBucket;
/// One page of a list costs as much as so many reads of an object.
const READS_PER_PAGE: usize = 12;
/// A list serves whoever comes within this time: half of a minute makes all who watch once a minute watch together.
const SERVES: Duration = Duration::from_secs(30);
/// More pages take longer than a list is waited for.
const MOST_PAGES: usize = 4;
/// So long is a list waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Until a list is tried again that was not allowed, or told of too many objects that nobody watches.
const USELESS_FOR: Duration = Duration::from_mins(10);
/// Until one is tried again that had no answer.
const SILENT_FOR: Duration = Duration::from_mins(1);

/// One bucket, as somebody.
pub(crate) struct Bucket {
    shared: Arc<Shared>,
    /// `None`: it has too many pages.
    list: SharedRead<Option<Arc<Versions>>>,
}

struct Shared {
    way: Arc<Way>,
    region: String,
    name: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Keys, and how many watch each.
    watched: BTreeMap<String, usize>,
    last: Option<Arc<Versions>>,
    /// No list before that: the last one was of no use.
    not_before: Option<Instant>,
}

/// What a list told.
#[derive(Debug)]
struct Versions {
    began: Instant,
    prefix: String,
    /// `ETag`s, by key.
    etags: BTreeMap<String, String>,
}

/// What is known of one object without reading it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Glance {
    /// When that was asked for; its `ETag`, or `None`: it is not there.
    Seen(Instant, Option<String>),
    /// Nothing: the object has to be read.
    Nothing,
}

/// Keeps an object among those that are watched.
pub(crate) struct Watched {
    bucket: Arc<Bucket>,
    key: String,
}

impl Bucket {
    /// Connects to nothing yet.
    pub(super) fn new(way: Arc<Way>, region: String, name: String) -> Self {
        let shared = Arc::new(Shared::new(way, region, name));
        let of_list = Arc::clone(&shared);
        let list = SharedRead::new(move || {
            let shared = Arc::clone(&of_list);
            Box::pin(async move { shared.list().await })
        });
        Self { shared, list }
    }

    /// From now on this object is among those that lists are asked for.
    pub(crate) fn watch(self: Arc<Self>, key: &str) -> Watched {
        *self.shared.lock().watched.entry(key.to_owned()).or_default() += 1;
        Watched { bucket: self, key: key.to_owned() }
    }
}

impl Watched {
    /// What a list tells of it that is newer than `since`. No list is asked for where reads are cheaper.
    pub(crate) async fn glance(&self, since: Instant) -> Glance {
        let (shared, now) = (&self.bucket.shared, Instant::now());
        if let Some(versions) = shared.newer_than(since, now) {
            return versions.tell(&self.key);
        }
        if !shared.is_list_of_use(now) {
            return Glance::Nothing;
        }
        let listed = self.bucket.list.read(now + PATIENCE).await;
        let (why, pause) = match listed.as_deref() {
            Ok(Some(versions)) => return versions.tell(&self.key),
            Ok(None) => ("too many other objects stand beside those that are watched", USELESS_FOR),
            Err(error) if error.is_for_good() => (error.why.as_str(), USELESS_FOR),
            Err(error) => (error.why.as_str(), SILENT_FOR),
        };
        if shared.lock().not_before.replace(now + pause).is_none() {
            tracing::info!(bucket = shared.name, why, "objects are not listed, but read one by one");
        }
        Glance::Nothing
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut state = self.bucket.shared.lock();
        if let Some(count) = state.watched.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                state.watched.remove(&self.key);
            }
        }
    }
}

impl Shared {
    fn new(way: Arc<Way>, region: String, name: String) -> Self {
        Self { way, region, name, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn newer_than(&self, since: Instant, now: Instant) -> Option<Arc<Versions>> {
        let last = self.lock().last.clone()?;
        let serves = last.began > since && now.saturating_duration_since(last.began) < SERVES;
        serves.then_some(last)
    }

    fn is_list_of_use(&self, now: Instant) -> bool {
        let state = self.lock();
        state.not_before.is_none_or(|until| now >= until) && state.pages() > 0
    }

    async fn list(&self) -> Result<Option<Arc<Versions>>, CallError> {
        let began = Instant::now();
        let (prefix, pages) = {
            let state = self.lock();
            (state.common_folder().to_owned(), state.pages())
        };
        let client = &self.way.s3(&self.region).await;
        let read = |token: Option<String>| {
            let list = client.list_objects_v2().bucket(&self.name).prefix(&prefix);
            let list = list.set_continuation_token(token);
            async move {
                let page = Box::pin(list.send()).await.map_err(|error| CallError::new(LIST, &error))?;
                let next = page.next_continuation_token().map(str::to_owned);
                let version = |object: &aws_sdk_s3::types::Object| {
                    Some((object.key()?.to_owned(), object.e_tag()?.to_owned()))
                };
                Ok((page.contents().iter().filter_map(version).collect::<Vec<_>>(), next))
            }
        };
        let Some(listed) = read_pages_up_to(pages, read).await? else { return Ok(None) };
        let versions = Arc::new(Versions { began, prefix, etags: listed.into_iter().collect() });
        let mut state = self.lock();
        (state.last, state.not_before) = (Some(Arc::clone(&versions)), None);
        Ok(Some(versions))
    }
}

impl State {
    /// So many pages of a list cost no more than a read of each object.
    fn pages(&self) -> usize {
        (self.watched.len() / READS_PER_PAGE).min(MOST_PAGES)
    }

    /// What all keys begin with, up to a slash; they stand in order, so the first and the last decide.
    fn common_folder(&self) -> &str {
        let (Some((first, _)), Some((last, _))) =
            (self.watched.first_key_value(), self.watched.last_key_value())
        else {
            return "";
        };
        let common = first.bytes().zip(last.bytes()).take_while(|(one, other)| one == other).count();
        let folder = first.as_bytes()[..common].iter().rposition(|octet| *octet == b'/');
        folder.map_or("", |at| &first[..=at])
    }
}

impl Versions {
    fn tell(&self, key: &str) -> Glance {
        if key.starts_with(&self.prefix) {
            Glance::Seen(self.began, self.etags.get(key).cloned())
        } else {
            Glance::Nothing
        }
    }
}

/// Without its client.
impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = &self.bucket.shared;
        f.debug_struct("Watched")
            .field("bucket", &shared.name)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watching(keys: &[&str]) -> State {
        State { watched: keys.iter().map(|key| ((*key).to_owned(), 1)).collect(), ..State::default() }
    }

    #[test]
    fn what_all_keys_begin_with_ends_at_a_slash() {
        let folder = |keys: &[&str]| watching(keys).common_folder().to_owned();
        assert_eq!(folder(&["muster/shop", "muster/shop-2", "muster/stock"]), "muster/");
        assert_eq!(folder(&["muster/a/x", "muster/a/y"]), "muster/a/");
        assert_eq!(folder(&["muster/shop"]), "muster/");
        assert_eq!(folder(&["muster/ä", "muster/å"]), "muster/", "a letter of two octets is not cut");
        assert_eq!(folder(&["one", "two"]), "");
        assert_eq!(folder(&[]), "");
    }

    #[test]
    fn a_list_is_asked_for_where_it_costs_less_than_the_reads() {
        let keys: Vec<String> = (0..100).map(|n| format!("muster/{n}")).collect();
        let pages = |n: usize| watching(&keys[..n].iter().map(String::as_str).collect::<Vec<_>>()).pages();
        assert_eq!((pages(11), pages(12), pages(30), pages(100)), (0, 1, 2, MOST_PAGES));
    }

    /// Those who began at other times share one list a minute soon: each is due a minute after the begin of what it saw.
    #[tokio::test(start_paused = true)]
    async fn who_watches_once_a_minute_ends_up_watching_together() {
        let way = Arc::new(Way::nowhere());
        let shared = Shared::new(way, "us-west-2".to_owned(), "bucket".to_owned());
        let began = Instant::now();
        let mut seen = [0, 20, 40].map(|later| began + Duration::from_secs(later));
        let mut lists = Vec::new();
        for second in 41..600 {
            let now = began + Duration::from_secs(second);
            for seen in &mut seen {
                if now.saturating_duration_since(*seen) < Duration::from_mins(1) {
                    continue;
                }
                *seen = shared.newer_than(*seen, now).map_or_else(
                    || {
                        let (prefix, etags) = (String::new(), BTreeMap::new());
                        shared.lock().last = Some(Arc::new(Versions { began: now, prefix, etags }));
                        lists.push(second);
                        now
                    },
                    |versions| versions.began,
                );
            }
        }
        assert!(lists.len() <= 11, "{lists:?}");
    }

    #[test]
    fn an_object_that_was_not_asked_for_is_not_absent() {
        let began = Instant::now();
        let etags = BTreeMap::from([("muster/a".to_owned(), "1".to_owned())]);
        let versions = Versions { began, prefix: "muster/".to_owned(), etags };
        assert_eq!(versions.tell("muster/a"), Glance::Seen(began, Some("1".to_owned())));
        assert_eq!(versions.tell("muster/b"), Glance::Seen(began, None));
        assert_eq!(versions.tell("other/c"), Glance::Nothing);
    }
}
