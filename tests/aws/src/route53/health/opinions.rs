//! What the checkers of one health check think, and what is made of it.

/// The endpoint is healthy if a larger share of the checkers says so. The service says that this may change.
const SHARE_PERCENT: usize = 18;

/// What one checker thinks.
#[derive(Clone, Copy)]
pub(super) struct Opinion {
    is_healthy: bool,
    /// How many answers in a row spoke against it.
    against: u32,
}

impl Opinion {
    /// An endpoint is healthy until enough is known of it.
    pub(super) const FIRST: Self = Self { is_healthy: true, against: 0 };

    /// Changes when so many answers in a row speak against it.
    pub(super) fn note(&mut self, was_answered: bool, threshold: u32) {
        if was_answered == self.is_healthy {
            self.against = 0;
            return;
        }
        self.against += 1;
        if self.against >= threshold {
            *self = Self { is_healthy: was_answered, against: 0 };
        }
    }
}

/// What the checkers think together.
pub(super) fn are_healthy(opinions: &[Opinion]) -> bool {
    let healthy = opinions.iter().filter(|opinion| opinion.is_healthy).count();
    healthy * 100 > SHARE_PERCENT * opinions.len()
}

#[cfg(test)]
mod tests {
    use super::{Opinion, are_healthy};

    #[test]
    fn an_opinion_changes_when_enough_answers_in_a_row_speak_against_it() {
        let mut opinion = Opinion::FIRST;
        let mut seen = Vec::new();
        for was_answered in [false, false, true, false, false, false, true, true, false, true, true, true] {
            opinion.note(was_answered, 3);
            seen.push(opinion.is_healthy);
        }
        let expected = [true, true, true, true, true, false, false, false, false, false, false, true];
        assert_eq!(seen, expected);
    }

    #[test]
    fn more_than_18_percent_are_enough() {
        let of = |healthy: usize, all: usize| {
            let one = |number: usize| Opinion { is_healthy: number < healthy, against: 0 };
            are_healthy(&(0..all).map(one).collect::<Vec<_>>())
        };
        for (healthy, all, expected) in [
            (1, 6, false),
            (2, 6, true),
            (0, 1, false),
            (1, 1, true),
            (9, 50, false),
            (10, 50, true),
            (1, 5, true),
        ] {
            assert_eq!(of(healthy, all), expected, "{healthy} of {all}");
        }
    }
}
