//! The most within the last day, hour by hour.

use muster_core::time::{Millis, Tick};
use std::collections::VecDeque;

const HOUR: Millis = Millis(3_600_000);
/// The hour under way counts beside them.
const HOURS: u64 = 24;

/// The largest values of the last hours.
#[derive(Clone, Debug, Default)]
pub(super) struct DayPeak(VecDeque<(u64, u32)>);

impl DayPeak {
    /// Takes in what is seen at `at`, and answers the most of the last day.
    pub(super) fn fold(&mut self, value: u32, at: Tick) -> u32 {
        let hour = at.0 / HOUR.0;
        match self.0.back_mut() {
            Some((last, most)) if *last == hour => *most = value.max(*most),
            _ => self.0.push_back((hour, value)),
        }
        self.0.retain(|(of, _)| of + HOURS >= hour);
        self.0.iter().map(|(_, most)| *most).max().unwrap_or(value)
    }
}

#[cfg(test)]
mod tests {
    use super::{DayPeak, HOUR};
    use muster_core::time::Tick;

    #[test]
    fn a_peak_lasts_a_day_and_no_longer() {
        let mut peak = DayPeak::default();
        let at = |hours: u64| Tick(HOUR.0 * hours);
        assert_eq!((peak.fold(3, at(0)), peak.fold(9, at(1)), peak.fold(2, at(20))), (3, 9, 9));
        assert_eq!((peak.fold(2, at(25)), peak.fold(4, at(26)), peak.fold(1, at(49))), (9, 4, 4));
        assert_eq!(peak.fold(1, at(51)), 1);
        for hour in 52..500 {
            peak.fold(1, at(hour));
        }
        assert!(peak.0.len() <= 25, "{}", peak.0.len());
    }
}
