//! The documents that are made from the code: the table of rules and the diagram of a run.

use crate::journal::Phase;
use crate::rules::Rule;
use std::fmt::Write;

/// Every way from one phase of a run to another, with the rule that goes it. The scenario and property tests
/// fail on a way that is not listed here.
pub const TRANSITIONS: &[(Phase, Phase, Rule)] = &[
    (Phase::Pending, Phase::Executing, Rule::StepRecorded),
    (Phase::Pending, Phase::Blocked, Rule::GateUnmet),
    (Phase::Pending, Phase::AwaitingApproval, Rule::AwaitingApproval),
    (Phase::Pending, Phase::Aborted, Rule::RunAborted),
    (Phase::Blocked, Phase::Executing, Rule::StepRecorded),
    (Phase::Blocked, Phase::AwaitingApproval, Rule::AwaitingApproval),
    (Phase::Blocked, Phase::Verifying, Rule::StepAwaited),
    (Phase::Blocked, Phase::Completed, Rule::RunCompleted),
    (Phase::Blocked, Phase::Aborted, Rule::RunAborted),
    (Phase::Blocked, Phase::Failed, Rule::SourceLost),
    (Phase::Blocked, Phase::Failed, Rule::TargetLost),
    (Phase::Blocked, Phase::Failed, Rule::Overtaken),
    (Phase::AwaitingApproval, Phase::Executing, Rule::StepRecorded),
    (Phase::AwaitingApproval, Phase::Blocked, Rule::GateUnmet),
    (Phase::AwaitingApproval, Phase::Aborted, Rule::RunAborted),
    (Phase::AwaitingApproval, Phase::Failed, Rule::TargetLost),
    (Phase::Executing, Phase::Blocked, Rule::GateUnmet),
    (Phase::Executing, Phase::AwaitingApproval, Rule::AwaitingApproval),
    (Phase::Executing, Phase::Verifying, Rule::StepAwaited),
    (Phase::Executing, Phase::Completed, Rule::RunCompleted),
    (Phase::Executing, Phase::Aborted, Rule::RunAborted),
    (Phase::Executing, Phase::Failed, Rule::SourceLost),
    (Phase::Executing, Phase::Failed, Rule::TargetLost),
    (Phase::Verifying, Phase::Completed, Rule::RunCompleted),
    (Phase::Verifying, Phase::Failed, Rule::TargetLost),
    (Phase::Verifying, Phase::Failed, Rule::NotVerified),
];

/// Whether a run may go from one phase to another.
pub fn may_go(from: Phase, to: Phase) -> bool {
    from == to || TRANSITIONS.iter().any(|(a, b, _)| (*a, *b) == (from, to))
}

/// docs/rules.md as it should be.
pub fn render() -> String {
    let mut page = String::from(
        "# Rules\n\nGenerated from `operator/core/src/rules.rs` and `rulebook.rs`; do not edit.\n\n\
         The first rule that fires decides a pass. Its number stands in the status, in events and in logs.\n\n\
         | rule | name | what it says |\n|---|---|---|\n",
    );
    for rule in Rule::ALL {
        let _ = writeln!(page, "| R{} | {} | {} |", rule.number(), rule.name(), rule.summary());
    }
    page.push_str("\n## A run's phases\n\n```mermaid\nstateDiagram-v2\n    [*] --> Pending\n");
    for (from, to, rule) in TRANSITIONS {
        let _ = writeln!(page, "    {from:?} --> {to:?}: R{}", rule.number());
    }
    for last in [Phase::Completed, Phase::Failed, Phase::Aborted] {
        let _ = writeln!(page, "    {last:?} --> [*]");
    }
    page.push_str("```\n");
    page
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_rules_page_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/rules.md");
        #[allow(clippy::disallowed_methods)]
        if std::env::var("MUSTER_UPDATE_DOCS").is_ok() {
            std::fs::write(path, super::render()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == super::render(), "docs/rules.md is stale: run `make docs`");
    }
}
