//! Two times: [`Tick`] for durations, freshness, hysteresis and leases; [`Wall`] for display only.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A duration in whole milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// Whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1000)
    }
    /// As the standard library's duration.
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
    /// The sum, at most the largest value.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
    /// `n` times as long, at most the largest value.
    #[must_use]
    pub const fn times(self, n: u64) -> Self {
        Self(self.0.saturating_mul(n))
    }
}

impl From<std::time::Duration> for Millis {
    fn from(d: std::time::Duration) -> Self {
        Self(u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ms if ms < 1000 => write!(f, "{ms} ms"),
            ms if ms < 120_000 => write!(f, "{}.{} s", ms / 1000, ms % 1000 / 100),
            ms if ms < 7_200_000 => write!(f, "{} min {} s", ms / 60_000, ms % 60_000 / 1000),
            ms => write!(f, "{} h {} min", ms / 3_600_000, ms % 3_600_000 / 60_000),
        }
    }
}

impl fmt::Debug for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Milliseconds on a clock that also runs in suspend (`CLOCK_BOOTTIME`). Compares only within one boot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tick(pub u64);

impl Tick {
    /// How long ago `earlier` was. `None` when it lies in the future: an age that cannot be true is unknown.
    pub fn since(self, earlier: Self) -> Option<Millis> {
        self.0.checked_sub(earlier.0).map(Millis)
    }
    /// This tick, later by `d`.
    #[must_use]
    pub const fn plus(self, d: Millis) -> Self {
        Self(self.0.saturating_add(d.0))
    }
    /// This tick, earlier by `d`, at least zero.
    #[must_use]
    pub const fn minus(self, d: Millis) -> Self {
        Self(self.0.saturating_sub(d.0))
    }
}

/// Which boot of which machine a tick belongs to (a hash of the kernel's boot id).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(pub u64);

/// Milliseconds since 1970, UTC. For display and calendars; no safety rule reads it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wall(pub i64);

/// A moment as the journal keeps it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
pub struct Stamp {
    /// The boot that `tick` belongs to.
    pub boot: BootId,
    /// For durations, within one boot.
    pub tick: Tick,
    /// For people.
    pub wall: Wall,
}

impl Stamp {
    /// How long ago `earlier` was, by tick. `None` over a reboot or another machine, or if it lies ahead.
    pub fn since(&self, earlier: &Self) -> Option<Millis> {
        (self.boot == earlier.boot).then(|| self.tick.since(earlier.tick)).flatten()
    }
    /// As [`Self::since`], and over a reboot by wall time, which is right only within the clocks' error.
    pub fn since_or_wall(&self, earlier: &Self) -> Millis {
        self.since(earlier)
            .unwrap_or_else(|| Millis(u64::try_from(self.wall.0 - earlier.wall.0).unwrap_or(0)))
    }
    /// This moment, later by `d`.
    #[must_use]
    pub fn plus(&self, d: Millis) -> Self {
        Self {
            boot: self.boot,
            tick: self.tick.plus(d),
            wall: Wall(self.wall.0.saturating_add_unsigned(d.0)),
        }
    }
    /// This moment, earlier by `d`.
    #[must_use]
    pub fn minus(&self, d: Millis) -> Self {
        Self {
            boot: self.boot,
            tick: self.tick.minus(d),
            wall: Wall(self.wall.0.saturating_sub_unsigned(d.0)),
        }
    }
}
