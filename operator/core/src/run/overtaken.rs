//! Another hand made a third region the writer while a run was past its point of no return.
//!
//! A target that checks nothing takes the run's promotion all the same, and undoes what was done there, with a loss. So nothing is
//! sent, or sent again, beside a region that is seen to take writes; if it stays so, the run ends and a person is asked. One that
//! was seen to and has fallen silent may do so still: it holds the run back until it is seen closed, or a person says `ack`.
//!
//! What this module must never do: take the region that is left for such a hand; end the run for a region that Muster itself cast
//! out, and which it fences again.

use super::end;
use crate::draft::Draft;
use crate::ids::RegionName;
use crate::journal::Phase;
use crate::proof;
use crate::rules::Rule;
use crate::standing::second_writers;
use crate::time::{Millis, Tick};

/// How often it is looked at again.
const LOOK_AGAIN: Millis = Millis(500);
/// Seen for so long, it is no passing view.
const STANDS: Millis = Millis(30_000);
/// How the run's message ends meanwhile.
const HELD: &str = "is not promoted beside it";

/// A region that the run neither leaves nor makes the writer.
enum Third {
    Writes(RegionName),
    MayWrite(RegionName),
}

fn third_writer(d: &Draft<'_>) -> Option<Third> {
    let run = d.next.run.as_ref()?;
    let is_third = |region: &RegionName| *region != run.from && *region != run.to;
    if let Some(region) = second_writers(d).into_iter().find(is_third) {
        return Some(Third::Writes(region));
    }
    let state = &d.next.state;
    // Whoever was seen to write is in the set, and the split brain asks for an ack.
    let may_write = |region: &&RegionName| {
        is_third(region)
            && !state.outcasts.contains_key(*region)
            && proof::judge(&d.sight, region, Tick(0)).is_none()
    };
    let found = state.may_be_writable.iter().find(may_write).filter(|_| state.needs_ack.is_some());
    found.cloned().map(Third::MayWrite)
}

/// Keeps the run's next effect back. True if there is such a region; the run may have ended then.
pub(super) fn holds_back(d: &mut Draft<'_>) -> bool {
    let to = d.run().to.clone();
    let Some(third) = third_writer(d) else {
        if d.run().message.ends_with(HELD) {
            d.phase(Phase::Executing, format!("no region beside {to} takes writes any more"));
        }
        return false;
    };
    let (saw, needs) = match &third {
        Third::Writes(other) => {
            let needs = format!("no region beside {to} takes writes, or the run ends");
            (format!("{other} takes writes, and {to} {HELD}"), needs)
        }
        Third::MayWrite(other) => {
            let needs = format!("{other} is seen to take no writes, or `muster ack`");
            (format!("{other} took writes and is silent, and {to} {HELD}"), needs)
        }
    };
    d.block("SoleWriter", saw.clone(), needs);
    let now = d.sight.now;
    let run = d.run();
    if run.message != saw {
        run.phase_since = now;
    }
    d.phase(Phase::Blocked, saw.clone());
    let since = d.run().phase_since;
    if let Third::Writes(other) = third
        && !d.next.state.outcasts.contains_key(&other)
        && d.sight.waited(since) >= STANDS
    {
        end::overtaken(d, &other);
        return true;
    }
    d.fire(Rule::GateUnmet, saw);
    d.wake_in(LOOK_AGAIN);
    true
}
