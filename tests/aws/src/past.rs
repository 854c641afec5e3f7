//! What a service was before, for reads that go back in time.

use std::collections::VecDeque;
use tokio::time::Instant;

/// The states of a world, each from an instant on; never empty, and in order.
pub(crate) struct Past<W> {
    states: VecDeque<(Instant, W)>,
    /// So many are remembered; a stale read reaches no further back.
    most: usize,
}

impl<W: Clone> Past<W> {
    /// Begins with `world`.
    pub(crate) fn new(started: Instant, world: W, most: usize) -> Self {
        Self { states: VecDeque::from([(started, world)]), most }
    }

    /// Notes what the world is from this instant on.
    pub(crate) fn remember(&mut self, at: Instant, world: &W) {
        if self.newest() == Some(at) {
            self.states.pop_back();
        }
        self.states.push_back((at, world.clone()));
        if self.states.len() > self.most {
            self.states.pop_front();
        }
    }

    /// Since when it is what it is now.
    pub(crate) fn newest(&self) -> Option<Instant> {
        self.states.back().map(|(since, _)| *since)
    }

    /// What the world was at this instant, or as far back as is remembered.
    pub(crate) fn seen(&self, at: Instant) -> Option<&W> {
        let known = self.states.iter().rev().find(|(since, _)| *since <= at);
        known.or(self.states.front()).map(|(_, world)| world)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_read_goes_back_as_far_as_is_remembered_and_of_one_instant_the_last_counts() {
        let started = Instant::now();
        let at = |seconds| started + Duration::from_secs(seconds);
        let mut past = Past::new(started, 0, 3);
        for (seconds, world) in [(1, 1), (1, 2), (2, 3)] {
            past.remember(at(seconds), &world);
        }
        assert_eq!([0, 1, 2, 9].map(|seconds| past.seen(at(seconds)).copied()), [0, 2, 3, 3].map(Some));
        past.remember(at(3), &4);
        assert_eq!(past.seen(started), Some(&2), "the oldest that is left");
        assert_eq!(past.newest(), Some(at(3)));
    }
}
