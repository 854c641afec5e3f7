//! Whether an observation newer than the intent shows an effect.

use crate::draft::Draft;
use crate::facts::{DataFacts, DataRole, Outcome, Witness};
use crate::ids::{ItemName, RegionName};
use crate::journal::Step;
use crate::seeded::{self, Bug};
use crate::sight::Sight;
use crate::time::{Millis, Tick};

/// From when on an observation says something of the step's newest intent: strictly after it, since a look that
/// began in the same millisecond may have begun before.
pub(super) fn since(sight: &Sight<'_>, step: &Step) -> Tick {
    step.issued.map_or(Tick(u64::MAX), |at| sight.tick_of(at).plus(Millis(1)))
}

/// The seeded fault "issued is done".
pub(super) fn answered_counts(sight: &Sight<'_>, step: &Step) -> bool {
    seeded::active(Bug::IssuedIsDone)
        && step
            .seq
            .and_then(|seq| sight.seen.outcomes.get(&seq))
            .is_some_and(|o| matches!(o.value, Outcome::Issued(_) | Outcome::AlreadyDone))
}

fn reaches(d: &Draft<'_>, step: &Step, witness: Option<&Witness>) -> bool {
    let state = &d.next.state;
    let Some(seq) = step.seq else { return false };
    witness.is_some_and(|w| w.owner == state.owner && w.epoch == state.epoch && w.seq >= seq)
}

/// The witness is raised on the writer (and, with `followers`, at every standby that answers), and the
/// application's role is let in.
pub(crate) fn witness_raised(
    d: &Draft<'_>,
    step: &Step,
    item: &ItemName,
    region: &RegionName,
    followers: bool,
) -> Option<String> {
    let facts = d.sight.data_since(item, region, since(&d.sight, step))?;
    let open = facts.role == DataRole::Writable && facts.closed.is_open();
    if !open || !reaches(d, step, facts.witness.as_ref()) {
        return None;
    }
    let streams = |f: &DataFacts| f.role == DataRole::Standby && f.streams_from(region);
    let behind = followers
        && d.sight
            .policy
            .regions
            .iter()
            .filter(|r| *r != region)
            .filter_map(|r| d.sight.data(item, r))
            .any(|f| streams(f) && !reaches(d, step, f.witness.as_ref()));
    (!behind).then(|| format!("{item} in {region} takes writes, witness raised"))
}
