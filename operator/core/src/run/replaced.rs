//! Another node under the target's name behind the point of no return: somebody deleted the one that was to be promoted, and
//! restored a backup in its place, for example. It takes writes, and nobody knows what it holds.
//!
//! Where nobody says which node it is, at the first look that sees it take writes, it counts as the one that was meant: a provider
//! that is gone on the day holds up nobody.
//!
//! What this module must never do: open a node that was seen to be another without a person's consent to this very node.

use super::question;
use crate::draft::Draft;
use crate::facts::{DataFacts, DataRole};
use crate::ids::ItemName;
use crate::journal::{Phase, Step};

/// What an approval has to name.
pub(crate) const GATE: &str = "TargetReplaced";
/// What the gate needs, for people.
const NEEDS: &str = "the node that was to be promoted, or `muster approve --waive TargetReplaced`: what answers now is opened then";

/// Whether what takes writes is another node than was to be promoted, and nobody agreed to that. A person is asked then.
pub(super) fn holds_back(d: &mut Draft<'_>, step: &Step, item: &ItemName, facts: Option<&DataFacts>) -> bool {
    let asked = question::open(d, GATE);
    let Some(facts) = facts else { return false };
    let saw = match (&step.node, &facts.node, &asked) {
        _ if facts.role != DataRole::Writable => None,
        (Some(meant), Some(found), _) if meant != found => {
            Some(format!("{item} in {} is {found} now, and {meant} was to be promoted", d.run().to))
        }
        // It was another one, and nobody says that it is not any more.
        (Some(_), None, Some(saw)) => Some(saw.clone()),
        _ => None,
    };
    let Some(saw) = saw else {
        if asked.is_some() {
            question::withdraw(d, GATE);
            d.phase(Phase::Executing, format!("no other node answers for {item} any more"));
        }
        return false;
    };
    // What was agreed to before it was asked, or about another node, says nothing of this one.
    if asked.as_ref() != Some(&saw) {
        question::forget_consent(d, GATE);
    }
    let Some(by) = question::consent(d, GATE) else {
        d.block("TargetReplaced", saw.clone(), NEEDS);
        question::ask(d, GATE, saw, NEEDS);
        return true;
    };
    question::waive(d, GATE);
    question::forget_consent(d, GATE);
    d.event(true, "TargetReplaced", format!("{by} agreed to go on: {saw}"));
    d.phase(Phase::Executing, format!("{by} agreed to go on with what answers for {item}"));
    false
}
