//! What is wrong with a policy, in a form that names the place and the way out.

use serde::Serialize;
use std::fmt;

/// Whether the policy can be used in spite of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub enum Severity {
    /// The policy is refused.
    Error,
    /// The policy is taken; a person should look.
    Warning,
}

/// One thing that is wrong with a policy. It never holds a secret's value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Whether the policy is refused.
    pub severity: Severity,
    /// `namespace/name`, as far as it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The field, for example `spec.probes[0].timeout`; empty where the file as a whole is meant.
    pub path: String,
    /// From 1, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// What is wrong, with the value that was found.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

impl Problem {
    /// Something that makes the policy unusable.
    pub fn error(path: impl Into<String>, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            policy: None,
            path: path.into(),
            line: None,
            message: message.into(),
            fix: fix.into(),
        }
    }
    /// Something that a person should look at.
    pub fn warning(path: impl Into<String>, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(path, message, fix) }
    }
    /// With its line.
    #[must_use]
    pub fn at_line(mut self, line: u32) -> Self {
        self.line = Some(line);
        self
    }
    /// Whether the policy is refused for it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}; {}", self.message, self.fix)
    }
}
