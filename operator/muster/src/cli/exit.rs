//! Exit codes, and the one error type of the command line: what failed, and what to do about it.

use std::fmt;
use std::process::ExitCode;

/// What a script may tell apart. The numbers are part of the interface and stand in `--help`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    /// Something failed that has no code of its own; also a run that did not succeed, a policy that is not
    /// valid, a replay that differs.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Muster or RBAC refused, or a gate blocks.
    Refused = 3,
    /// No such policy, run or region.
    NotFound = 4,
    /// The server does not answer, or does not know this token or these credentials.
    Unreachable = 5,
    /// `--timeout` passed while the run went on.
    StillRunning = 6,
    /// Ctrl-C ended the watching; the run goes on.
    Interrupted = 130,
}

impl Code {
    /// Number and meaning of each code, 0 among them, for `--help` and docs/cli.md.
    pub const TABLE: &'static [(u8, &'static str)] = &[
        (0, "done"),
        (1, "failed: a run that did not succeed, a policy that is not valid, a replay that differs"),
        (2, "the command line is wrong"),
        (3, "refused by Muster or by RBAC, or blocked by a gate"),
        (4, "no such policy, run or region"),
        (5, "the server does not answer, or does not accept the token or the credentials"),
        (6, "--timeout passed and the run still goes on"),
        (130, "stopped by Ctrl-C; a run that was watched goes on"),
    ];
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// Why a command ended otherwise than it was asked to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// For scripts.
    pub code: Code,
    /// What failed, with values, in one sentence.
    pub what: String,
    /// What the person can do; empty when `what` says it.
    pub fix: String,
}

/// What a verb returns.
pub type Done<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure without advice.
    pub fn new(code: Code, what: impl Into<String>) -> Self {
        Self { code, what: what.into(), fix: String::new() }
    }
    /// The same with advice.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }
    /// The command line is wrong.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Code::Usage, what)
    }
    /// Something failed that has no code of its own.
    pub fn failed(what: impl Into<String>) -> Self {
        Self::new(Code::Failed, what)
    }
    /// All was said already; only the code is left to give.
    pub const fn said(code: Code) -> Self {
        Self { code, what: String::new(), fix: String::new() }
    }
    /// A file that cannot be read.
    pub fn reading(path: &std::path::Path, error: &std::io::Error) -> Self {
        let code = if error.kind() == std::io::ErrorKind::NotFound { Code::NotFound } else { Code::Failed };
        Self::new(code, format!("cannot read {}: {error}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if self.fix.is_empty() { Ok(()) } else { write!(f, "\n{}", self.fix) }
    }
}

impl std::error::Error for Failure {}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::failed(format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_in_the_table() {
        let codes = [
            Code::Failed,
            Code::Usage,
            Code::Refused,
            Code::NotFound,
            Code::Unreachable,
            Code::StillRunning,
            Code::Interrupted,
        ];
        let known: Vec<u8> = Code::TABLE.iter().map(|(n, _)| *n).filter(|n| *n != 0).collect();
        assert_eq!(known, codes.map(|c| c as u8));
    }
}
