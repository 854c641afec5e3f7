//! A unit of a run, from its intent to its observation.

use crate::effect::Action;
use crate::ids::{ItemName, RegionName, Seq};
use crate::time::Stamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A step's kind, in the order of a plan.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum StepKey {
    /// Raise the witness on the writer while it is writable.
    RaiseWitness(ItemName),
    /// A user's hook.
    Hook(ItemName),
    /// Ask for the target's replicas, early: what is begun before the fence is done sooner behind it.
    ScaleCompute(ItemName),
    /// Make sure that this region takes no writes.
    FenceOld(RegionName),
    /// Planned runs: the target has everything that the fenced primary wrote.
    CatchUp(ItemName),
    /// Planned runs, where the engine does it: hand the item over to the target. The first one recorded is the point of no
    /// return.
    HandOver(ItemName),
    /// Make the target the writer. The first one recorded is the point of no return.
    PromoteData(ItemName),
    /// First write on the new primary: witness, roles, synchronous list.
    OpenWriter(ItemName),
    /// The target's replicas are ready.
    AwaitCompute(ItemName),
    /// Point the public name at the target.
    FlipTraffic(ItemName),
    /// N successes in a row through the public name.
    Verify,
}

impl StepKey {
    /// Whether an engine hands an item over in it.
    pub const fn is_hand_over(&self) -> bool {
        matches!(self, Self::HandOver(_))
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RaiseWitness(item) => write!(f, "RaiseWitness {item}"),
            Self::Hook(name) => write!(f, "Hook {name}"),
            Self::ScaleCompute(item) => write!(f, "ScaleCompute {item}"),
            Self::FenceOld(region) => write!(f, "FenceOld {region}"),
            Self::CatchUp(item) => write!(f, "CatchUp {item}"),
            Self::HandOver(item) => write!(f, "HandOver {item}"),
            Self::PromoteData(item) => write!(f, "PromoteData {item}"),
            Self::OpenWriter(item) => write!(f, "OpenWriter {item}"),
            Self::AwaitCompute(item) => write!(f, "AwaitCompute {item}"),
            Self::FlipTraffic(item) => write!(f, "FlipTraffic {item}"),
            Self::Verify => f.write_str("Verify"),
        }
    }
}

/// How far a step is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum StepState {
    /// Not begun.
    Pending,
    /// Its intent is recorded; the effect may have landed.
    Intended,
    /// Seen done, by an observation newer than the intent.
    Observed,
    /// Not needed, with the reason in `saw`.
    Skipped,
    /// Its undo is recorded.
    Undoing,
    /// Seen undone.
    Undone,
    /// Given up, with the reason in `saw`.
    Failed,
}

/// One step of a run.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Which.
    pub key: StepKey,
    /// How far.
    pub state: StepState,
    /// The recorded effect, with the exact values that it was recorded with.
    pub action: Option<Action>,
    /// Its number.
    pub seq: Option<Seq>,
    /// Attempts of the present way.
    pub attempts: u32,
    /// `FenceOld`: index of the way in use; past the last one, how many standbys could not be kept from confirming.
    pub way: usize,
    /// First intent.
    pub started: Option<Stamp>,
    /// Newest intent: only observations after it count.
    pub issued: Option<Stamp>,
    /// Seen done.
    pub ended: Option<Stamp>,
    /// `FenceOld`: ways whose fence was answered, and when: what one of them attests from then on counts, also while
    /// another one is tried.
    #[serde(default)]
    pub answered: BTreeMap<ItemName, Stamp>,
    /// `FenceOld`: every effect recorded so far that an abort has to undo, oldest first.
    pub tried: Vec<Action>,
    /// `PromoteData`: what the provider called the node that it was recorded for, if that was known.
    #[serde(default)]
    pub node: Option<String>,
    /// `HandOver`: an attempt may have been taken, and its effect may be still to come.
    #[serde(default)]
    pub may_land: bool,
    /// What was seen, for people.
    pub saw: String,
}

impl Step {
    /// A step not begun.
    pub const fn new(key: StepKey) -> Self {
        Self {
            key,
            state: StepState::Pending,
            action: None,
            seq: None,
            attempts: 0,
            way: 0,
            started: None,
            issued: None,
            ended: None,
            answered: BTreeMap::new(),
            tried: Vec::new(),
            node: None,
            may_land: false,
            saw: String::new(),
        }
    }
    /// Whether its effect is a detachment, and no longer the engine's failover.
    pub const fn is_detachment(&self) -> bool {
        matches!(self.action, Some(Action::Detach { .. }))
    }
    /// Whether nothing is left to do.
    pub const fn is_done(&self) -> bool {
        matches!(self.state, StepState::Observed | StepState::Skipped)
    }
}
