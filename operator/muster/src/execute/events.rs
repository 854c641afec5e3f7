//! Recent events of this process, bounded, for `muster status -w` and for logs.

use crate::api::{EventPage, EventRecord};
use muster_core::decision::Event;
use muster_core::ids::{PolicyName, RunName};
use muster_core::time::Stamp;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Kept events, all policies together.
const KEPT: usize = 2000;
/// At most so many on one page.
const PAGE: usize = 500;

/// A bounded ring of events; the oldest are dropped first.
#[derive(Debug)]
pub struct EventRing {
    events: Mutex<VecDeque<EventRecord>>,
    newest: watch::Sender<u64>,
}

impl Default for EventRing {
    fn default() -> Self {
        Self { events: Mutex::default(), newest: watch::Sender::new(0) }
    }
}

impl EventRing {
    fn lock(&self) -> MutexGuard<'_, VecDeque<EventRecord>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes one event, also to the log.
    pub fn publish(&self, policy: &PolicyName, run: Option<&RunName>, event: &Event, at: Stamp) {
        let run_name = run.map_or("", RunName::as_str);
        let (reason, message) = (event.reason.as_str(), event.message.as_str());
        if event.warning {
            tracing::warn!(%policy, run = run_name, reason, message, "event");
        } else {
            tracing::info!(%policy, run = run_name, reason, message, "event");
        }
        let mut events = self.lock();
        let id = *self.newest.borrow() + 1;
        events.push_back(EventRecord {
            id,
            at,
            policy: policy.clone(),
            run: run.cloned(),
            warning: event.warning,
            reason: event.reason.clone(),
            message: event.message.clone(),
        });
        while events.len() > KEPT {
            events.pop_front();
        }
        self.newest.send_replace(id);
    }

    /// Events after `since`, of one policy or of all.
    pub fn page(&self, since: u64, policy: Option<&PolicyName>) -> EventPage {
        let events = self.lock();
        let newest = *self.newest.borrow();
        let wanted = |e: &&EventRecord| e.id > since && policy.is_none_or(|p| e.policy == *p);
        let events: Vec<EventRecord> = events.iter().filter(wanted).take(PAGE).cloned().collect();
        let next = if events.len() == PAGE { events.last().map_or(newest, |e| e.id) } else { newest };
        // A reader from before a restart asks with a number from the future: start it anew.
        EventPage { events, next }
    }

    /// As [`Self::page`]; without any, waits at most `wait` for one.
    pub async fn wait(&self, since: u64, policy: Option<&PolicyName>, wait: Duration) -> EventPage {
        let mut newest = self.newest.subscribe();
        let until = tokio::time::Instant::now() + wait;
        loop {
            newest.borrow_and_update();
            let page = self.page(since, policy);
            if !page.events.is_empty() || page.next < since {
                return page;
            }
            if !matches!(tokio::time::timeout_at(until, newest.changed()).await, Ok(Ok(()))) {
                return page;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(ring: &EventRing, policy: &str, reason: &str) {
        let event = Event { warning: false, reason: reason.into(), message: String::new() };
        ring.publish(&policy.into(), None, &event, Stamp::default());
    }

    #[test]
    fn a_page_has_only_what_is_newer_and_of_the_policy() {
        let ring = EventRing::default();
        for (policy, reason) in [("a/a", "One"), ("b/b", "Two"), ("a/a", "Three")] {
            publish(&ring, policy, reason);
        }
        let page = ring.page(1, Some(&"a/a".into()));
        assert_eq!(page.events.iter().map(|e| e.reason.as_str()).collect::<Vec<_>>(), ["Three"]);
        assert_eq!(page.next, 3);
    }

    #[test]
    fn the_ring_is_bounded() {
        let ring = EventRing::default();
        for _ in 0..KEPT + 10 {
            publish(&ring, "a/a", "Many");
        }
        assert_eq!(ring.lock().len(), KEPT);
        assert_eq!(ring.page(0, None).events.len(), PAGE);
    }

    #[tokio::test]
    async fn a_waiting_reader_gets_the_event_when_it_happens() {
        let ring = std::sync::Arc::new(EventRing::default());
        let reader = {
            let ring = std::sync::Arc::clone(&ring);
            tokio::spawn(async move { ring.wait(0, None, Duration::from_secs(10)).await })
        };
        tokio::task::yield_now().await;
        publish(&ring, "a/a", "Now");
        assert_eq!(reader.await.unwrap().events.len(), 1);
    }
}
