//! Which log-ins under way a fence may have come too late for.

use std::collections::BTreeSet;

/// What is known of one node between looks.
///
/// A log-in holds a lock from before its check of NOLOGIN until it is on the list of sessions. One that passed the
/// check before the fence is therefore in *every* sample taken since; one that is missing from any of them began later
/// and will be refused. Without this, clients that try again and again would keep a fence from ever being proved.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// The numbers that the fence stood under, and who has been arriving in all samples since. `None`: not seen closed.
    since: Option<(String, BTreeSet<i64>)>,
}

impl Arrivals {
    /// The node was seen open.
    pub(super) fn forget(&mut self) {
        self.since = None;
    }

    /// Takes a sample, and returns how many of it may have passed the check before the fence.
    ///
    /// The caller guarantees that all logins were seen closed before the sample was taken, that `witness` was read with
    /// it, and that samples come in the order in which they were taken.
    pub(super) fn sample(&mut self, witness: String, arriving: BTreeSet<i64>) -> u32 {
        let left = match self.since.take() {
            Some((seen, before)) if seen == witness => before.intersection(&arriving).copied().collect(),
            _ => arriving,
        };
        let count = u32::try_from(left.len()).unwrap_or(u32::MAX);
        self.since = Some((witness, left));
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(arrivals: &mut Arrivals, witness: &str, pids: &[i64]) -> u32 {
        arrivals.sample(witness.to_owned(), pids.iter().copied().collect())
    }

    #[test]
    fn only_who_was_there_in_all_samples_counts() {
        let mut arrivals = Arrivals::default();
        assert_eq!(sample(&mut arrivals, "1", &[1, 2, 3]), 3);
        assert_eq!(sample(&mut arrivals, "1", &[2, 3, 4]), 2);
        assert_eq!(sample(&mut arrivals, "1", &[4, 5]), 0);
        assert_eq!(
            sample(&mut arrivals, "1", &[2, 4]),
            0,
            "it ended in between: another process, or none of ours"
        );
    }

    #[test]
    fn another_fence_and_an_open_login_begin_anew() {
        let mut arrivals = Arrivals::default();
        assert_eq!(sample(&mut arrivals, "1", &[]), 0);
        assert_eq!(sample(&mut arrivals, "2", &[4]), 1);
        assert_eq!(sample(&mut arrivals, "2", &[]), 0);
        arrivals.forget();
        assert_eq!(sample(&mut arrivals, "2", &[4]), 1);
    }
}
