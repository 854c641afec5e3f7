//! Between runs: learn who takes writes, keep the witness raised, keep outcasts closed and bring them back, and
//! open the next run.

mod active;
mod compute;
mod loss;
mod old_data;
mod open;
mod outcasts;
mod settle;
mod witness;
mod write_block;

pub(crate) use active::{
    OtherWriter, forget_standbys, learn_active, other_writer, relearn_active, watch_split_brain,
};
pub(crate) use compute::{give_back, judge_compute, remember_peaks};
pub(crate) use loss::finish_loss;
pub(crate) use old_data::keep_old_data;
pub(crate) use open::{open_by_verdict, take_request};
pub(crate) use outcasts::tend_outcasts;
pub(crate) use settle::{judge_traffic, settle_traffic};
pub(crate) use witness::raise_first_witness;
pub(crate) use write_block::heed_write_block;

use crate::draft::Draft;
use crate::policy::Mode;
use crate::time::Millis;

/// How often an unmet condition is looked at again.
const LOOK_AGAIN: Millis = Millis(1_000);

/// An engine's clock and this one differ by less: AWS answers no call that is signed five minutes off.
const CLOCKS_DIFFER: Millis = Millis(5 * 60_000);

/// Whether anything may be started outside of a run: not paused, not Observe, the claims held, a lease.
fn may_act(d: &mut Draft<'_>) -> bool {
    let free = d.sight.seen.journal.foreign_claims.is_empty();
    d.next.state.paused.is_none()
        && d.sight.policy.mode != Mode::Observe
        && free
        && d.sight.seen.holder.is_some()
}
