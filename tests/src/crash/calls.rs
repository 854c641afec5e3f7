//! The call log of an undisturbed run, and the points in it.

use anyhow::{Context, bail};
use serde::Deserialize;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// A place at which the process ends: the call's number since the run was asked for, and the point in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CrashPoint {
    /// From 1.
    pub call: u64,
    /// `before`, `sent`, `answered` or `after`.
    pub point: String,
}

impl fmt::Display for CrashPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.call, self.point)
    }
}

impl FromStr for CrashPoint {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (call, point) = text.split_once(':').ok_or("expected <number>:<point>")?;
        let call = call.parse().map_err(|e| format!("{call:?}: {e}"))?;
        Ok(Self { call, point: point.to_owned() })
    }
}

/// One line of the log.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub(super) struct Reached {
    /// Number of the call since the process began.
    pub(super) n: u64,
    /// `record`, or the action's kind.
    pub(super) action: String,
    /// Where in it.
    pub(super) point: String,
    /// For people; of a record, the rule.
    pub(super) detail: String,
}

impl Reached {
    pub(super) fn crash_point(&self) -> CrashPoint {
        CrashPoint { call: self.n, point: self.point.clone() }
    }

    /// What it is, whichever region it is about.
    pub(super) fn kind(&self) -> String {
        if self.action == "record" { format!("record {}", self.detail) } else { self.action.clone() }
    }
}

/// Reads a log; there is none as long as nothing was called.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Reached>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).with_context(|| format!("failed to read {}", path.display())),
    };
    let lines = text.lines().map(|line| serde_json::from_str(line).with_context(|| format!("in {line}")));
    lines.collect()
}

/// Whether the numbers of a run begin at 1: what a process does before the run would shift them.
pub(super) fn check_quiet(path: &Path) -> anyhow::Result<()> {
    match read(path)?.last() {
        None => Ok(()),
        Some(last) => bail!("the controller did {} ({}) before the run was asked for", last.kind(), last.n),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_written_as_it_is_read() {
        let point: CrashPoint = "12:sent".parse().unwrap();
        assert_eq!((point.call, point.to_string()), (12, "12:sent".to_owned()));
        assert!("sent".parse::<CrashPoint>().is_err());
    }

    #[test]
    fn a_line_of_the_controllers_log_is_understood() {
        let line =
            r#"{"n":3,"action":"Promote","attempt":1,"point":"sent","detail":"promote orders in west"}"#;
        let reached: Reached = serde_json::from_str(line).unwrap();
        assert_eq!((reached.crash_point().to_string(), reached.kind()), ("3:sent".into(), "Promote".into()));
    }
}
