//! The figures of a run: printed as they come, once more as `key=value` in the last line, and held against the goals.
#![allow(clippy::print_stdout)]

use super::series::Series;
use std::fmt::Write;

/// A goal that was not reached.
#[derive(Clone, PartialEq, Debug)]
struct Missed {
    key: String,
    value: f64,
    at_most: f64,
}

/// All figures so far.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    entries: Vec<(String, f64)>,
    missed: Vec<Missed>,
}

impl Figures {
    /// One figure; `says` is what it is, in words.
    pub fn set(&mut self, key: &str, value: f64, says: &str) {
        println!("  {key:<28} {:>9}   {says}", show(value));
        self.entries.push((key.to_owned(), value));
    }

    /// The median and the 99th percentile, as `key_p50` and `key_p99`; the key ends with the unit.
    pub fn spread(&mut self, key: &str, series: &Series, says: &str) {
        let (p50, p99) = (series.percentile(50), series.percentile(99));
        println!("  {key:<28} p50 {:>9}  p99 {:>9}   {says} (n={})", show(p50), show(p99), series.len());
        self.entries.extend([(format!("{key}_p50"), p50), (format!("{key}_p99"), p99)]);
    }

    /// Holds a figure against its goal. What is not a number has missed it.
    pub fn expect_at_most(&mut self, key: &str, at_most: f64) {
        let Some((_, value)) = self.entries.iter().find(|(name, _)| name == key) else { return };
        if value.is_nan() || *value > at_most {
            self.missed.push(Missed { key: key.to_owned(), value: *value, at_most });
        }
    }

    /// A line for each missed goal.
    pub fn missed(&self) -> impl Iterator<Item = String> {
        let say =
            |m: &Missed| format!("missed: {} is {}, the goal is {}", m.key, show(m.value), show(m.at_most));
        self.missed.iter().map(say)
    }

    /// The last line.
    pub fn line(&self) -> String {
        let mut line = "bench:".to_owned();
        for (key, value) in &self.entries {
            // Writing to a String cannot fail.
            let _ = write!(line, " {key}={}", show(*value));
        }
        line
    }
}

/// Three digits or more, never a fraction that nobody measured.
fn show(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::Figures;

    #[test]
    fn a_goal_is_missed_by_more_and_by_no_number() {
        let mut figures = Figures::default();
        for (key, value) in [("good", 0.5), ("more", 0.51), ("none", f64::NAN)] {
            figures.set(key, value, "a test");
            figures.expect_at_most(key, 0.5);
        }
        figures.expect_at_most("not_measured", 0.5);
        let missed: Vec<String> = figures.missed().collect();
        assert_eq!(
            missed,
            ["missed: more is 0.510, the goal is 0.500", "missed: none is NaN, the goal is 0.500"]
        );
        assert_eq!(figures.line(), "bench: good=0.500 more=0.510 none=NaN");
    }
}
