//! The call log of an undisturbed run, and the points in it.

use anyhow::{Context, bail};
use serde::Deserialize;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// A place at which the process ends: the call's name, of those since the run was asked for, and the point in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CrashPoint {
    /// Such as `Promote.1`.
    pub call: String,
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
        let (call, point) = text.split_once(':').ok_or("expected <call>:<point>, such as Promote.1:sent")?;
        Ok(Self { call: call.to_owned(), point: point.to_owned() })
    }
}

/// One line of the log.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub(crate) struct Reached {
    /// The action's kind or the record's rule, and which one of this name since the process began.
    pub(crate) call: String,
    /// Where in it.
    pub(crate) point: String,
    /// For people.
    pub(crate) detail: String,
}

impl Reached {
    pub(crate) fn crash_point(&self) -> CrashPoint {
        CrashPoint { call: self.call.clone(), point: self.point.clone() }
    }
}

/// Reads a log; there is none as long as nothing was called.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Reached>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).with_context(|| format!("failed to read {}", path.display())),
    };
    let lines = text.lines().map(|line| serde_json::from_str(line).with_context(|| format!("in {line}")));
    lines.collect()
}

/// Whether the names of a run begin at 1: what a process does before the run would shift them.
pub(crate) fn check_quiet(path: &Path) -> anyhow::Result<()> {
    match read(path)?.last() {
        None => Ok(()),
        Some(last) => {
            bail!("the controller did {} ({}) before the run was asked for", last.call, last.detail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_written_as_it_is_read() {
        let point: CrashPoint = "Flip.2:sent".parse().unwrap();
        assert_eq!((point.call.as_str(), point.to_string()), ("Flip.2", "Flip.2:sent".to_owned()));
        assert!("sent".parse::<CrashPoint>().is_err());
    }

    #[test]
    fn a_line_of_the_controllers_log_is_understood() {
        let line = r#"{"call":"Promote.1","action":"Promote","attempt":1,"point":"sent","detail":"promote orders in west"}"#;
        let reached: Reached = serde_json::from_str(line).unwrap();
        assert_eq!(reached.crash_point().to_string(), "Promote.1:sent");
    }
}
