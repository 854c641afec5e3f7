//! Another hand made a third region the writer while a run was past its point of no return.
//!
//! A target that checks nothing takes the run's promotion all the same, and undoes what was done there, with a loss. So nothing is
//! sent, or sent again, beside a region that is seen to take writes; if it stays so, the run ends and a person is asked. What was
//! promoted already is not opened beside it, and the run waits: its target is the engine's writer. One that was seen to take writes
//! and has fallen silent may do so still: it holds the run back until it is seen closed, or a person says `ack`.
//!
//! What this module must never do: take the region that is left for such a hand; end the run for a region that Muster itself cast
//! out, and which it fences again.

use super::end;
use crate::draft::Draft;
use crate::journal::Phase;
use crate::rules::Rule;
use crate::standing::{OtherWriter, other_writer};
use crate::time::Millis;

/// How often it is looked at again.
const LOOK_AGAIN: Millis = Millis(500);
/// Seen for so long, it is no passing view.
const STANDS: Millis = Millis(30_000);
/// How the run's message ends meanwhile.
const HELD: &str = "is not made the writer beside it";

/// A region that the run neither leaves nor makes the writer.
fn third_writer(d: &Draft<'_>) -> Option<OtherWriter> {
    let run = d.next.run.as_ref()?;
    other_writer(d, |region| *region != run.from && *region != run.to)
}

/// Keeps a promotion back. True if there is such a region; the run may have ended then.
pub(super) fn holds_back(d: &mut Draft<'_>) -> bool {
    let Some(other) = holds(d) else { return false };
    let since = d.run().phase_since;
    if let OtherWriter::Writes(other) = other
        && !d.next.state.outcasts.contains_key(&other)
        && d.sight.waited(since) >= STANDS
    {
        end::overtaken(d, &other);
    } else {
        wait(d);
    }
    true
}

/// Keeps what was promoted closed. True if there is such a region.
pub(super) fn keeps_closed(d: &mut Draft<'_>) -> bool {
    let is_held = holds(d).is_some();
    if is_held {
        wait(d);
    }
    is_held
}

/// Says why the run waits, if there is such a region.
fn holds(d: &mut Draft<'_>) -> Option<OtherWriter> {
    let to = d.run().to.clone();
    let Some(third) = third_writer(d) else {
        if d.run().message.ends_with(HELD) {
            d.phase(Phase::Executing, format!("no region beside {to} takes writes any more"));
        }
        return None;
    };
    let saw = format!("{}, and {to} {HELD}", third.saw());
    // Also after an ack that was given while it writes: that says nothing of what it does once it is silent.
    d.next.state.needs_ack.get_or_insert_with(|| saw.clone());
    d.block("SoleWriter", saw.clone(), third.needs());
    let now = d.sight.now;
    let run = d.run();
    if run.message != saw {
        run.phase_since = now;
    }
    d.phase(Phase::Blocked, saw);
    Some(third)
}

fn wait(d: &mut Draft<'_>) {
    let saw = d.run().message.clone();
    d.fire(Rule::GateUnmet, saw);
    d.wake_in(LOOK_AGAIN);
}
