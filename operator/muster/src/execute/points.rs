//! Points at which a test stops, pauses or counts this process. Off unless a hidden flag turns them on.
//!
//! Calls are each record that moves the journal's steps, named by its rule, and each effect, named by its action; the
//! n-th of a name in a process is `Promote.1`, `R231.2`. Other calls beside it, as on a busy machine, do not change that
//! name. An undisturbed run with a call log lists every point; the same run with `crash_at` set to one of them ends
//! exactly there, by `abort`, as a power cut would.

use crate::clock::Clock;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::str::FromStr;
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

/// A call's name and what it takes there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct At<T> {
    /// Such as `Promote.1`.
    pub call: String,
    /// The point, the milliseconds.
    pub what: T,
}

impl<T: FromStr> FromStr for At<T>
where
    T::Err: std::fmt::Display,
{
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (call, what) = text.split_once(':').ok_or("expected <call>:<value>")?;
        let nth = call.rsplit_once('.').and_then(|(_, nth)| nth.parse::<u32>().ok());
        nth.ok_or_else(|| format!("{call:?}: expected <name>.<number>, such as Promote.1"))?;
        Ok(Self { call: call.to_owned(), what: what.parse().map_err(|e| format!("{what:?}: {e}"))? })
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
    /// So many of each action.
    calls: Mutex<BTreeMap<String, u32>>,
}

/// One named call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// Such as `Promote.1`.
    pub(super) name: String,
    /// The action's kind; of a record, its rule.
    pub(super) action: String,
    /// For people.
    pub(super) detail: String,
    /// From 1.
    pub(super) attempt: u32,
}

#[derive(Serialize)]
struct Line<'a> {
    call: &'a str,
    action: &'a str,
    attempt: u32,
    point: Point,
    detail: &'a str,
}

impl Points {
    /// Nothing is asked for.
    pub fn off(clock: Clock) -> Self {
        Self { flags: TestFlags::default(), clock, log: None, calls: Mutex::default() }
    }

    /// As the hidden flags ask.
    pub fn new(flags: TestFlags, clock: Clock) -> std::io::Result<Self> {
        let open = |path: &Path| File::options().create(true).append(true).open(path);
        let log = flags.call_log.as_deref().map(open).transpose()?.map(Mutex::new);
        Ok(Self { flags, clock, log, calls: Mutex::default() })
    }

    /// Names the next call.
    pub(super) fn name(&self, action: impl Into<String>, detail: String, attempt: u32) -> Call {
        let action = action.into();
        let nth = {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            let nth = calls.entry(action.clone()).or_default();
            *nth += 1;
            *nth
        };
        let name = format!("{action}.{nth}");
        if let Some(step) = self.flags.step_wall_at.as_ref().filter(|at| at.call == name) {
            self.clock.step_wall(step.what);
        }
        Call { name, action, detail, attempt }
    }

    /// Notes that a call is at a point; ends the process there if a test asked for it.
    pub(super) fn reach(&self, call: &Call, point: Point) {
        if let Some(log) = &self.log {
            let line = Line {
                call: &call.name,
                action: &call.action,
                attempt: call.attempt,
                point,
                detail: &call.detail,
            };
            let mut text = serde_json::to_vec(&line).unwrap_or_default();
            text.push(b'\n');
            // A test's log: a lost line shows as a missing point there.
            let _ = log.lock().unwrap_or_else(PoisonError::into_inner).write_all(&text);
        }
        if self.flags.crash_at.as_ref().is_some_and(|at| at.call == call.name && at.what == point) {
            std::process::abort();
        }
    }

    /// Between the record and the act of an effect: stops the whole process, as a paused machine would.
    pub(super) fn pause(&self, call: &Call) {
        let Some(pause) = self.flags.pause_at.as_ref().filter(|at| at.call == call.name) else { return };
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
    fn a_point_is_read_from_its_call_and_name() {
        assert_eq!("Flip.3:sent".parse(), Ok(At { call: "Flip.3".into(), what: Point::Sent }));
        assert_eq!("R231.1:60000".parse(), Ok(At { call: "R231.1".into(), what: 60_000_u64 }));
        assert!("Flip.3:later".parse::<At<Point>>().is_err_and(|e| e.contains("none of before")));
        assert!("Flip:sent".parse::<At<Point>>().is_err_and(|e| e.contains("such as Promote.1")));
        assert!("sent".parse::<At<Point>>().is_err());
    }

    #[test]
    fn the_call_log_has_a_line_per_point() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls");
        let flags = TestFlags { call_log: Some(path.clone()), ..TestFlags::default() };
        let points = Points::new(flags, Clock::system()).unwrap();
        points.name("Flip", "point shop at west".into(), 1);
        let call = points.name("Promote", "promote orders in west".into(), 2);
        points.reach(&call, Point::Before);
        points.reach(&call, Point::Sent);
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(
            lines[1].contains(r#""call":"Promote.1","action":"Promote","attempt":2,"point":"sent""#),
            "{text}"
        );
    }
}
