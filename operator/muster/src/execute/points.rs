//! Points at which a test stops, pauses or counts this process. Off unless a hidden flag turns them on.
//!
//! Calls are numbered from 1 in the order of their records: each record that moves the journal's steps, and each
//! effect. An undisturbed run with a call log lists every point; the same run with `crash_at` set to one of them
//! ends exactly there, by `abort`, as a power cut would.

use crate::clock::Clock;
use serde::Serialize;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A place in a recorded call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Point {
    /// Nothing was done yet.
    Before,
    /// The effect's request has left this process.
    Sent,
    /// The effect's answer has arrived.
    Answered,
    /// The record is durable.
    After,
}

impl FromStr for Point {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "before" => Ok(Self::Before),
            "sent" => Ok(Self::Sent),
            "answered" => Ok(Self::Answered),
            "after" => Ok(Self::After),
            other => Err(format!("{other:?} is none of before, sent, answered, after")),
        }
    }
}

/// A call's number and what it takes there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct At<T> {
    /// Number of the call, from 1.
    pub call: u64,
    /// The point, the milliseconds.
    pub what: T,
}

impl<T: FromStr> FromStr for At<T>
where
    T::Err: std::fmt::Display,
{
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (call, what) = text.split_once(':').ok_or("expected <number>:<value>")?;
        let call = call.parse().map_err(|e| format!("{call:?}: {e}"))?;
        Ok(Self { call, what: what.parse().map_err(|e| format!("{what:?}: {e}"))? })
    }
}

/// What the hidden flags ask for.
#[derive(Clone, Debug, Default)]
pub struct TestFlags {
    /// End the process at this point.
    pub crash_at: Option<At<Point>>,
    /// Stop the whole process for so many milliseconds between the record and the act of this effect.
    pub pause_at: Option<At<u64>>,
    /// Step the wall clock by so many milliseconds at this call.
    pub step_wall_at: Option<At<i64>>,
    /// Append one JSON line per point here.
    pub call_log: Option<std::path::PathBuf>,
}

/// The points of this process.
#[derive(Debug)]
pub struct Points {
    flags: TestFlags,
    clock: Clock,
    log: Option<Mutex<File>>,
    calls: AtomicU64,
}

/// One numbered call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// From 1.
    pub(super) number: u64,
    /// `record`, or the action's kind.
    pub(super) action: &'static str,
    /// For people.
    pub(super) detail: String,
    /// From 1.
    pub(super) attempt: u32,
}

#[derive(Serialize)]
struct Line<'a> {
    n: u64,
    action: &'a str,
    attempt: u32,
    point: Point,
    detail: &'a str,
}

impl Points {
    /// Nothing is asked for.
    pub fn off(clock: Clock) -> Self {
        Self { flags: TestFlags::default(), clock, log: None, calls: AtomicU64::new(0) }
    }

    /// As the hidden flags ask.
    pub fn new(flags: TestFlags, clock: Clock) -> std::io::Result<Self> {
        let open = |path: &Path| File::options().create(true).append(true).open(path);
        let log = flags.call_log.as_deref().map(open).transpose()?.map(Mutex::new);
        Ok(Self { flags, clock, log, calls: AtomicU64::new(0) })
    }

    /// Numbers the next call.
    pub(super) fn number(&self, action: &'static str, detail: String, attempt: u32) -> Call {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(step) = self.flags.step_wall_at.filter(|at| at.call == number) {
            self.clock.step_wall(step.what);
        }
        Call { number, action, detail, attempt }
    }

    /// Notes that a call is at a point; ends the process there if a test asked for it.
    pub(super) fn reach(&self, call: &Call, point: Point) {
        if let Some(log) = &self.log {
            let line = Line {
                n: call.number,
                action: call.action,
                attempt: call.attempt,
                point,
                detail: &call.detail,
            };
            let mut text = serde_json::to_vec(&line).unwrap_or_default();
            text.push(b'\n');
            // A test's log: a lost line shows as a missing point there.
            let _ = log.lock().unwrap_or_else(PoisonError::into_inner).write_all(&text);
        }
        if self.flags.crash_at == Some(At { call: call.number, what: point }) {
            std::process::abort();
        }
    }

    /// Between the record and the act of an effect: stops the whole process, as a paused machine would.
    pub(super) fn pause(&self, call: &Call) {
        let Some(pause) = self.flags.pause_at.filter(|at| at.call == call.number) else { return };
        if let Err(error) = stop_self(Duration::from_millis(pause.what)) {
            tracing::error!(%error, "failed to pause for a test");
        }
    }
}

fn stop_self(long: Duration) -> std::io::Result<()> {
    let script = format!("sleep {}; kill -CONT {}", long.as_secs_f64(), std::process::id());
    std::process::Command::new("sh").arg("-c").arg(script).spawn()?;
    nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_read_from_its_number_and_name() {
        assert_eq!("3:sent".parse(), Ok(At { call: 3, what: Point::Sent }));
        assert_eq!("3:60000".parse(), Ok(At { call: 3, what: 60_000_u64 }));
        assert!("3:later".parse::<At<Point>>().is_err_and(|e| e.contains("none of before")));
        assert!("sent".parse::<At<Point>>().is_err());
    }

    #[test]
    fn the_call_log_has_a_line_per_point() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls");
        let flags = TestFlags { call_log: Some(path.clone()), ..TestFlags::default() };
        let points = Points::new(flags, Clock::system()).unwrap();
        let call = points.number("Promote", "promote orders in west".into(), 2);
        points.reach(&call, Point::Before);
        points.reach(&call, Point::Sent);
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[1].contains(r#""n":1,"action":"Promote","attempt":2,"point":"sent""#), "{text}");
    }
}
