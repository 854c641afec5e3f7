//! The two times of this process, and nowhere else: `CLOCK_BOOTTIME` for durations, wall time for people.

use muster_core::time::{BootId, Stamp, Tick, Wall};
use nix::time::{ClockId, clock_gettime};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Reads time. Cheap to clone; clones share a step of the wall clock that a test may set.
#[derive(Clone, Debug)]
pub struct Clock {
    boot: BootId,
    wall_step_ms: Arc<AtomicI64>,
}

impl Clock {
    /// The machine's clocks.
    pub fn system() -> Self {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let digest = Sha256::digest(id.trim().as_bytes());
        let boot = digest.iter().take(8).fold(0_u64, |acc, b| acc << 8 | u64::from(*b));
        // JSON readers keep 53 bits of a number.
        Self { boot: BootId(boot >> 11), wall_step_ms: Arc::default() }
    }

    /// Steps the wall clock as seen by this process, for tests: no rule may notice.
    pub fn step_wall(&self, by_ms: i64) {
        self.wall_step_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    /// Now, by both clocks.
    pub fn now(&self) -> Stamp {
        let step = self.wall_step_ms.load(Ordering::Relaxed);
        let wall = read_ms(ClockId::CLOCK_REALTIME).saturating_add(step);
        let tick = u64::try_from(read_ms(ClockId::CLOCK_BOOTTIME)).unwrap_or(0);
        Stamp { boot: self.boot, tick: Tick(tick), wall: Wall(wall) }
    }
}

fn read_ms(clock: ClockId) -> i64 {
    clock_gettime(clock).map_or(0, |t| t.tv_sec() * 1000 + t.tv_nsec() / 1_000_000)
}
