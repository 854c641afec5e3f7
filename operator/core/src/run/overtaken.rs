//! Another hand made a third region the writer while a run was past its point of no return.
//!
//! A target that checks nothing takes the run's promotion all the same, and undoes what was done there, with a loss. So nothing is
//! sent, or sent again, beside a region that is seen to take writes; if it stays so, the run ends and a person is asked.
//!
//! What this module must never do: take the region that is left for such a hand, or one that is silent.

use super::end;
use crate::draft::Draft;
use crate::ids::RegionName;
use crate::journal::Phase;
use crate::rules::Rule;
use crate::standing::second_writers;
use crate::time::Millis;

/// How often it is looked at again.
const LOOK_AGAIN: Millis = Millis(500);
/// Seen for so long, it is no passing view.
const STANDS: Millis = Millis(30_000);
/// How the run's message ends meanwhile.
const HELD: &str = "is not promoted beside it";

/// The region, if it is neither the one that the run leaves nor the one that it makes the writer.
fn third_writer(d: &Draft<'_>) -> Option<RegionName> {
    let run = d.next.run.as_ref()?;
    second_writers(d).into_iter().find(|region| *region != run.from && *region != run.to)
}

/// Keeps the run's next effect back. True if there is such a region; the run may have ended then.
pub(super) fn holds_back(d: &mut Draft<'_>) -> bool {
    let to = d.run().to.clone();
    let Some(other) = third_writer(d) else {
        if d.run().message.ends_with(HELD) {
            d.phase(Phase::Executing, format!("no region beside {to} takes writes any more"));
        }
        return false;
    };
    let saw = format!("{other} takes writes, and {to} {HELD}");
    d.block("SoleWriter", saw.clone(), format!("no region beside {to} takes writes, or the run ends"));
    let now = d.sight.now;
    let run = d.run();
    if run.message != saw {
        run.phase_since = now;
    }
    d.phase(Phase::Blocked, saw.clone());
    let since = d.run().phase_since;
    if d.sight.waited(since) >= STANDS {
        end::overtaken(d, &other);
        return true;
    }
    d.fire(Rule::GateUnmet, saw);
    d.wake_in(LOOK_AGAIN);
    true
}
