//! Measurements and what is said of them.

use std::time::Duration;

/// Measurements of one kind, in one unit.
#[derive(Clone, Debug, Default)]
pub struct Series(Vec<f64>);

impl Series {
    /// Adds one.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// Adds one, in milliseconds.
    pub fn push_ms(&mut self, took: Duration) {
        self.push(took.as_secs_f64() * 1e3);
    }

    /// Adds one, in microseconds.
    pub fn push_us(&mut self, took: Duration) {
        self.push(took.as_secs_f64() * 1e6);
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The largest.
    pub fn max(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::max)
    }

    /// The smallest measurement that `percent` of all do not exceed (nearest rank); not a number if there are none.
    pub fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::Series;

    #[test]
    fn a_percentile_is_the_smallest_that_so_many_do_not_exceed() {
        let series = Series((1..=200).rev().map(f64::from).collect());
        let found = [1, 50, 99, 100].map(|percent| series.percentile(percent));
        assert_eq!(found.map(|value| value.to_string()), ["2", "100", "198", "200"]);
        assert!(Series::default().percentile(50).is_nan());
    }
}
