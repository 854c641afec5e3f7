//! Capability traits, and one module per adapter.
//!
//! A mutating verb never says "done": it says how the *call* went ([`Outcome`]), and a later observation tells
//! what it did. Each adapter's module doc has the table of its calls: what makes it idempotent, what the target
//! checks, what is not protected.
//!
//! Every verb returns by its deadline: `observe` by the one it is given, the others by [`OpCtx::not_after`].

#![forbid(unsafe_code)]

pub mod aurora;
pub mod aws;
mod ctx;
pub mod dns;
pub mod hook;
pub mod kubernetes;
pub mod network_acl;
mod owners;
pub mod postgres;
pub mod rds_replica;
pub mod rfc2136;
pub mod route53;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use ctx::{LeaseLost, OpCtx, SendGuard};
pub use owners::AdoptedOwners;

use async_trait::async_trait;
use muster_core::facts::{
    ComputeFacts, DataFacts, ErrorClass, FenceFacts, LossFacts, Outcome, Seen, TrafficFacts,
};
use muster_core::ids::RegionName;
use muster_core::time::Wall;
use std::fmt::Debug;
use std::time::Duration;

/// A replicated data store with one node per region.
#[async_trait]
pub trait DataControl: Send + Sync + Debug {
    /// In a stable world a look may take so long, because it waits for reads that it shares with other items. `None`: every
    /// look is as quick as any.
    fn shares_reads(&self) -> Option<Duration> {
        None
    }
    /// What the region's node says of itself. Unreachable, refused, too late: `Unknown` with the reason.
    async fn observe(&self, region: &RegionName, deadline: Duration) -> Seen<DataFacts>;
    /// First write on a writer: raises the witness, undoes a replicated catalogue fence, clears a synchronous list
    /// that nobody could confirm. Refused with `StaleEpoch` below the witness.
    async fn open_writer(&self, region: &RegionName, ctx: &OpCtx) -> Outcome;
    /// Refuses the application's role, ends its sessions. Proved later by [`DataControl::observe`].
    async fn fence(&self, region: &RegionName, ctx: &OpCtx) -> Outcome;
    /// Undoes [`DataControl::fence`].
    async fn unfence(&self, region: &RegionName, ctx: &OpCtx) -> Outcome;
    /// Stops a standby from confirming.
    async fn stop_receiving(&self, region: &RegionName, ctx: &OpCtx) -> Outcome;
    /// Undoes [`DataControl::stop_receiving`].
    async fn resume_receiving(&self, region: &RegionName, ctx: &OpCtx) -> Outcome;
    /// Makes a standby the writer, guarded by the replicated witness and the target's own clock.
    async fn promote(&self, region: &RegionName, ctx: &OpCtx) -> Outcome;
    /// Takes a standby out of what its engine replicates by, so that it takes writes alone. Only engines whose items may be detached
    /// are asked, and only with a person's consent.
    async fn detach(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        let _ = ctx;
        let why = format!("not by this engine: nothing is detached in {region}");
        Outcome::Failed(ErrorClass::Invalid, why)
    }
    /// Has the engine itself move the writer from one region to the other, losing nothing; it keeps one writer meanwhile.
    /// Only engines whose items hand over are asked.
    async fn switch_over(&self, from: &RegionName, to: &RegionName, ctx: &OpCtx) -> Outcome {
        let _ = ctx;
        let why = format!("this engine has no switchover of its own ({from} to {to})");
        Outcome::Failed(ErrorClass::Invalid, why)
    }
    /// Keeps what the engine saved, not before `since`, of the old primary in `region` when a failover left it. Only engines
    /// whose items save it are asked, in a run never.
    async fn keep_old_data(&self, region: &RegionName, since: Wall, ctx: &OpCtx) -> Outcome {
        let _ = (since, ctx);
        Outcome::Failed(
            ErrorClass::Invalid,
            format!("this engine saves nothing of the old primary in {region}"),
        )
    }
    /// Makes the old primary in `region` a standby of `follow`: through the user's hook, or, where the engine's control plane can
    /// only make another one in its place, step by step. Asked again it goes on from what it finds.
    async fn rejoin(&self, region: &RegionName, follow: &RegionName, ctx: &OpCtx) -> Outcome;
    /// Reads the old primary's log after the fork and counts what the new one does not have. Only before rejoin.
    async fn read_loss(
        &self,
        old: &RegionName,
        new: &RegionName,
        heartbeat_writer: &str,
        deadline: Duration,
    ) -> Seen<LossFacts>;
}

/// A public name.
#[async_trait]
pub trait TrafficControl: Send + Sync + Debug {
    /// What every authoritative server answers.
    async fn observe(&self, deadline: Duration) -> Seen<TrafficFacts>;
    /// Points the name at a region, as a compare-and-swap with the witness. Never leaves an empty answer.
    async fn flip(&self, to: &RegionName, ctx: &OpCtx) -> Outcome;
    /// Makes the name stay at the region where it points, also when all that a flip has set is gone: one step a call, until
    /// [`TrafficFacts::unsettled`] says nothing more. What has only to be waited for is no failure, but [`Outcome::Issued`] with
    /// what it is.
    async fn settle(&self, region: &RegionName, ctx: &OpCtx) -> Outcome {
        let _ = (region, ctx);
        Outcome::AlreadyDone
    }
}

/// A workload that runs in every region.
#[async_trait]
pub trait ComputeControl: Send + Sync + Debug {
    /// What the region's cluster says of it.
    async fn observe(&self, region: &RegionName, deadline: Duration) -> Seen<ComputeFacts>;
    /// Asks for at least so many replicas, as far as an autoscaler allows; never for fewer than there are.
    async fn scale(&self, region: &RegionName, replicas: u32, ctx: &OpCtx) -> Outcome;
    /// Gives it back: so many replicas, or as many as it had before it was scaled.
    async fn restore(&self, region: &RegionName, replicas: Option<u32>, ctx: &OpCtx) -> Outcome;
}

/// Something that can switch a region's writers off, and say so by a separate verb.
#[async_trait]
pub trait FenceControl: Send + Sync + Debug {
    /// What the status verb says.
    async fn status(&self, region: &RegionName, deadline: Duration) -> Seen<FenceFacts>;
    /// Switches off.
    async fn fence(&self, region: &RegionName, ctx: &OpCtx) -> Outcome;
    /// Switches on again.
    async fn unfence(&self, region: &RegionName, ctx: &OpCtx) -> Outcome;
}

/// A user's own step.
#[async_trait]
pub trait HookControl: Send + Sync + Debug {
    /// Whether it declares a `status` verb.
    fn has_status(&self) -> bool;
    /// Whether the step is done for this run, by its `status` verb.
    async fn status(&self, ctx: &OpCtx, deadline: Duration) -> Seen<bool>;
    /// Runs it.
    async fn run(&self, from: &RegionName, to: &RegionName, ctx: &OpCtx) -> Outcome;
}
