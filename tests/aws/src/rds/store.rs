//! The world, what it was, what is due in it, and what was told of it.
//!
//! ```text
//! call, or a test ──► world ── after ──► schedule ── catch_up(now) ──► steps ──► world, events, happenings
//!                       └── remember ──► past ── seen(then) ──► a stale read
//! ```
//!
//! What this module must never do: apply what is not due; forget to remember what it changed; grow without bound.

use super::arn::Arn;
use super::events::{Event, Tale};
use super::settings::{RdsEffect, RdsHappening, Settings};
use super::steps::Step;
use super::world::World;
use crate::clock::Clock;
use crate::past::Past;
use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How many states can be read again; a stale read reaches no further back.
const REMEMBERED_STATES: usize = 512;
/// How many events can be asked for.
const REMEMBERED_EVENTS: usize = 4096;

/// The state of the service.
pub(super) struct Store {
    /// Asked for dates alone: what time it is, the caller says.
    clock: Arc<Clock>,
    pub(super) world: World,
    pub(super) settings: Settings,
    past: Past<World>,
    /// Steps of one instant are taken in the order in which they were asked for.
    schedule: BTreeMap<(Instant, u64), Step>,
    events: VecDeque<Event>,
    /// What nobody was told yet.
    happened: Vec<RdsHappening>,
    numbers: u64,
}

impl Store {
    pub(super) fn new(clock: Arc<Clock>) -> Self {
        let started = clock.started();
        Self {
            clock,
            world: World::default(),
            settings: Settings::default(),
            past: Past::new(started, World::default(), REMEMBERED_STATES),
            schedule: BTreeMap::new(),
            events: VecDeque::new(),
            happened: Vec::new(),
            numbers: 0,
        }
    }

    /// What the calendar shows at this instant.
    pub(super) fn date(&self, at: Instant) -> Timestamp {
        self.clock.moment(at)
    }

    fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// As `cluster-00000000000000000000000A`.
    pub(super) fn next_resource_id(&mut self, prefix: &str) -> String {
        format!("{prefix}-{:024X}", self.next_number())
    }

    /// Takes every step that is due, each at its instant. Returns the instant at which the caller goes on: two who
    /// read the clock one after the other may come here in the other order.
    pub(super) fn catch_up(&mut self, now: Instant) -> Instant {
        while let Some(((at, _), step)) = self.pop_due(now) {
            step.take(self, at);
            self.remember(at);
        }
        self.past.newest().map_or(now, |last| now.max(last))
    }

    fn pop_due(&mut self, now: Instant) -> Option<((Instant, u64), Step)> {
        let due = self.schedule.first_entry().filter(|first| first.key().0 <= now)?;
        Some(due.remove_entry())
    }

    /// Has a step taken later; never, if that is beyond all time.
    pub(super) fn after(&mut self, from: Instant, delay: Duration, step: Step) {
        if let Some(at) = from.checked_add(delay) {
            let number = self.next_number();
            self.schedule.insert((at, number), step);
        }
    }

    /// Notes what the world is from this instant on.
    pub(super) fn remember(&mut self, at: Instant) {
        self.past.remember(at, &self.world);
    }

    /// What the world was at this instant, or as far back as is remembered.
    pub(super) fn seen(&self, at: Instant) -> &World {
        self.past.seen(at).unwrap_or(&self.world)
    }

    pub(super) fn tell(&mut self, at: Instant, source: &Arn, tale: Tale) {
        self.events.push_back(Event { at, source: source.clone(), tale });
        if self.events.len() > REMEMBERED_EVENTS {
            self.events.pop_front();
        }
    }

    /// What was told by then, in order.
    pub(super) fn events_until(&self, at: Instant) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| event.at <= at)
    }

    pub(super) fn happen(&mut self, effect: RdsEffect, database: &Arn) {
        self.happened.push(RdsHappening {
            effect,
            arn: database.to_string(),
            region: database.region().to_owned(),
            identifier: database.name().to_owned(),
        });
    }

    /// What happened since somebody last took it.
    pub(super) fn take_happenings(&mut self) -> Vec<RdsHappening> {
        std::mem::take(&mut self.happened)
    }
}
