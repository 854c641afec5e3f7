//! The first write of the witness, before it is ever needed.

use super::may_act;
use crate::draft::Draft;
use crate::effect::Action;
use crate::facts::DataRole;
use crate::ids::Epoch;
use crate::journal::{Step, StepKey};
use crate::retry::{self, Next};
use crate::rules::Rule;
use crate::run::witness_raised;

/// The witness stands on the active region's writer before it is ever needed: a promotion is guarded by the row
/// that replicated. True while it is being raised.
pub(crate) fn raise_first_witness(d: &mut Draft<'_>) -> bool {
    let Some(active) = d.next.state.active_region.clone() else { return false };
    let missing = d.sight.policy.data.iter().find(|item| {
        d.sight.data(&item.name, &active).is_some_and(|facts| {
            facts.role == DataRole::Writable
                && facts.witness.as_ref().is_none_or(|w| w.owner != d.next.state.owner)
        })
    });
    let working = d.next.state.work.clone();
    if let Some(mut step) = working {
        let Some(Action::OpenWriter { item, region }) = step.action.clone() else { return false };
        if region != active || witness_raised(d, &step, &item, &region, false).is_some() {
            d.next.state.work = None;
            d.fire(Rule::WitnessRaised, format!("the witness stands in {region}"));
            return true;
        }
        if may_act(d) {
            match retry::judge(&d.sight, &step) {
                Next::Wait(pause, why) => {
                    d.fire(Rule::StepAwaited, why);
                    d.wake_in(pause);
                }
                Next::Superseded(why) => d.fire(Rule::Superseded, why),
                Next::Repeat(why) => {
                    d.fire(Rule::StepRepeated, why);
                    d.repeat(&mut step);
                    d.next.state.work = Some(step);
                }
            }
        }
        // A silent writer must not keep a verdict from opening a run.
        return d.sight.data(&item, &region).is_some();
    }
    let Some(item) = missing.filter(|_| may_act(d)) else { return false };
    d.next.state.epoch = d.next.state.epoch.max(Epoch(1));
    let mut step = Step::new(StepKey::RaiseWitness(item.name.clone()));
    let action = Action::OpenWriter { item: item.name.clone(), region: active };
    d.fire(Rule::WitnessRaised, action.to_string());
    d.intend(&mut step, action);
    d.next.state.work = Some(step);
    true
}
