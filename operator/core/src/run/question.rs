//! Gates that come up behind the point of no return: nothing is given up there, so a person is asked about this one thing.
//!
//! What this module must never do: take consent to another plan, or whose time is over, for an answer.

use super::{decide, detach, replaced};
use crate::draft::Draft;
use crate::gates::Intent;
use crate::journal::{Gate, Severity};
use crate::plan::plan_hash;

/// All of them: the others are not evaluated any more once a run is past its point of no return.
pub(crate) const LATE_GATES: [&str; 2] = [detach::GATE, replaced::GATE];

/// Who agreed that this plan goes on without the gate.
pub(super) fn consent(d: &mut Draft<'_>, gate: &str) -> Option<String> {
    let now = d.sight.now;
    let run = d.run();
    let hash = plan_hash(run);
    let approval = Intent::of(run, now).approval?;
    (approval.waives.contains(gate) && approval.plan_hash == hash).then(|| approval.by.clone())
}

/// Asks a person, who is shown the gate beside the others as they were at the point of no return. The phase is that of the
/// question from then on.
pub(super) fn ask(d: &mut Draft<'_>, name: &str, saw: String, needs: &str) {
    let why = format!("{name} is not met: {saw} (needs {needs})");
    let (name, needs) = (name.to_owned(), needs.to_owned());
    let gate = Gate { name, ok: false, saw, needs, severity: Severity::Block, waived: false };
    let run = d.run();
    if !run.gates.contains(&gate) {
        run.gates.retain(|known| known.name != gate.name);
        run.gates.push(gate);
    }
    decide::ask(d, &why);
}

/// What a person is asked about, if one is.
pub(super) fn open(d: &mut Draft<'_>, name: &str) -> Option<String> {
    d.run().gates.iter().find(|gate| gate.name == name && !gate.waived).map(|gate| gate.saw.clone())
}

/// Whoever is asked the next time has not agreed yet.
pub(super) fn forget_consent(d: &mut Draft<'_>, gate: &str) {
    if let Some(approval) = &mut d.run().approval {
        approval.waives.remove(gate);
    }
}

/// Somebody agreed.
pub(super) fn waive(d: &mut Draft<'_>, name: &str) {
    for gate in d.run().gates.iter_mut().filter(|gate| gate.name == name) {
        gate.waived = true;
    }
}

/// Nobody has to be asked any more.
pub(super) fn withdraw(d: &mut Draft<'_>, name: &str) {
    d.run().gates.retain(|gate| gate.name != name || gate.waived);
}
