//! What the shell is asked to do: one recorded intent each, with the numbers that a target compares.

use crate::ids::{Epoch, ItemName, Owner, RegionName, Seq, Term};
use crate::time::{Millis, Wall};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A change in the world. Each has an adapter, and each adapter's module says what its target checks.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Action {
    /// Raise the witness on the region that takes writes. On a new primary also undo what a catalogue fence
    /// replicated to it, and clear a synchronous list that nobody could confirm.
    OpenWriter {
        /// Data item.
        item: ItemName,
        /// Its writable region.
        region: RegionName,
    },
    /// Make sure that a region takes no writes, one way.
    Fence {
        /// The way.
        way: ItemName,
        /// The region.
        region: RegionName,
    },
    /// Undo [`Action::Fence`]; only before the point of no return.
    Unfence {
        /// The way.
        way: ItemName,
        /// The region.
        region: RegionName,
    },
    /// Stop a standby from confirming, so that a synchronous writer can acknowledge nothing more.
    StopReceiving {
        /// Data item.
        item: ItemName,
        /// The standby's region.
        region: RegionName,
    },
    /// Undo [`Action::StopReceiving`].
    ResumeReceiving {
        /// Data item.
        item: ItemName,
        /// The standby's region.
        region: RegionName,
    },
    /// Make a standby the writer. Its record is the point of no return.
    Promote {
        /// Data item.
        item: ItemName,
        /// The standby's region.
        region: RegionName,
    },
    /// Take a standby out of what its engine replicates by, so that it takes writes alone. Only with a person's consent, and only to
    /// the target that a recorded [`Action::Promote`] names.
    Detach {
        /// Data item.
        item: ItemName,
        /// The standby's region.
        region: RegionName,
    },
    /// Have the engine itself hand an item over; it keeps one writer throughout. Its record is the point of no return, too.
    SwitchOver {
        /// Data item.
        item: ItemName,
        /// The region that takes writes.
        from: RegionName,
        /// The standby's region.
        to: RegionName,
    },
    /// Make an old primary follow the new one: by the user's hook (its log is read and counted first), or made anew.
    Rejoin {
        /// Data item.
        item: ItemName,
        /// The old primary's region.
        region: RegionName,
        /// The region that takes writes.
        follow: RegionName,
    },
    /// Copy what the engine saved of an old primary that a failover left, before it expires. Changes nothing that anybody reads.
    KeepOldData {
        /// Data item.
        item: ItemName,
        /// The old primary's region.
        region: RegionName,
        /// What was saved before is another failover's.
        since: Wall,
    },
    /// Ask for so many replicas of a workload, if it has fewer.
    Scale {
        /// Compute item.
        item: ItemName,
        /// Its region.
        region: RegionName,
        /// At least so many.
        replicas: u32,
    },
    /// Give a workload back: the replicas of a standby, and its autoscaler's own minimum.
    Restore {
        /// Compute item.
        item: ItemName,
        /// Its region.
        region: RegionName,
        /// So many; `None`: as many as it had before Muster scaled it.
        replicas: Option<u32>,
    },
    /// Point a public name at a region.
    Flip {
        /// Traffic item.
        item: ItemName,
        /// To where.
        to: RegionName,
    },
    /// Make a public name stay at a region by itself: also when all that was set on the day is gone.
    Settle {
        /// Traffic item.
        item: ItemName,
        /// Where it points.
        region: RegionName,
    },
    /// A user's own step.
    Hook {
        /// The hook.
        name: ItemName,
        /// Region that is left.
        from: RegionName,
        /// Region that takes over.
        to: RegionName,
    },
}

impl Action {
    /// A short stable name, for logs, events and metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::OpenWriter { .. } => "OpenWriter",
            Self::Fence { .. } => "Fence",
            Self::Unfence { .. } => "Unfence",
            Self::StopReceiving { .. } => "StopReceiving",
            Self::ResumeReceiving { .. } => "ResumeReceiving",
            Self::Promote { .. } => "Promote",
            Self::Detach { .. } => "Detach",
            Self::SwitchOver { .. } => "SwitchOver",
            Self::Rejoin { .. } => "Rejoin",
            Self::KeepOldData { .. } => "KeepOldData",
            Self::Scale { .. } => "Scale",
            Self::Restore { .. } => "Restore",
            Self::Flip { .. } => "Flip",
            Self::Settle { .. } => "Settle",
            Self::Hook { .. } => "Hook",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenWriter { item, region } => write!(f, "open {item} in {region} for writes"),
            Self::Fence { way, region } => write!(f, "fence {region} by {way}"),
            Self::Unfence { way, region } => write!(f, "undo the fence of {region} by {way}"),
            Self::StopReceiving { item, region } => write!(f, "stop {item} in {region} from confirming"),
            Self::ResumeReceiving { item, region } => write!(f, "let {item} in {region} receive again"),
            Self::Promote { item, region } => write!(f, "promote {item} in {region}"),
            Self::Detach { item, region } => write!(f, "detach {item} in {region}, to take writes alone"),
            Self::SwitchOver { item, from, to } => write!(f, "switch {item} over from {from} to {to}"),
            Self::Rejoin { item, region, follow } => {
                write!(f, "rejoin {item} in {region} as a standby of {follow}")
            }
            Self::KeepOldData { item, region, .. } => write!(f, "keep what was saved of {item} in {region}"),
            Self::Scale { item, region, replicas } => {
                write!(f, "scale {item} in {region} to {replicas}")
            }
            Self::Restore { item, region, replicas: Some(n) } => {
                write!(f, "scale {item} in {region} back to {n}")
            }
            Self::Restore { item, region, replicas: None } => {
                write!(f, "scale {item} in {region} back to what it was")
            }
            Self::Flip { item, to } => write!(f, "point {item} at {to}"),
            Self::Settle { item, region } => write!(f, "make {item} stay at {region} by itself"),
            Self::Hook { name, from, to } => write!(f, "run hook {name} ({from} to {to})"),
        }
    }
}

/// An effect to carry out, once its intent is recorded.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Effect {
    /// The policy's UID.
    pub owner: Owner,
    /// The run's number.
    pub epoch: Epoch,
    /// The holder's number.
    pub term: Term,
    /// This effect's number; a repetition of the same effect keeps it.
    pub seq: Seq,
    /// From 1.
    pub attempt: u32,
    /// What to do.
    pub action: Action,
    /// The attempt's deadline; after it the shell cancels, kills, and lets an observation tell.
    pub timeout: Millis,
}
