//! The numbered ladder of rules. The table in docs/rules.md is generated from here.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal,)+) => {
        /// A rule of the ladder.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum Rule {
            $($(#[doc = $doc])+ $name = $number,)+
        }
        impl Rule {
            /// All rules, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];
            /// Its stable number.
            pub const fn number(self) -> u16 {
                self as u16
            }
            /// Its `PascalCase` name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }
            /// What it says, in a sentence.
            pub const fn summary(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc,)+).trim_ascii(),)+ }
            }
        }
    };
}

rules! {
    /// A target carries another policy's mark: nothing is done until a person adopts it.
    ForeignOwner = 100,
    /// A target has seen newer numbers than the journal: nothing is done until a person says ack.
    JournalBehindTargets = 101,
    /// No single region is seen to take writes.
    ActiveRegionUnknown = 110,
    /// Exactly one region is seen to take writes; from now on it is the active one.
    ActiveRegionLearned = 111,
    /// This process holds no lease and only watches.
    NoLease = 200,
    /// The run of another process is taken over, with a new term.
    TookOver = 201,
    /// Paused, or in mode Observe: no new effect, nothing undone, the claim is kept.
    HeldStill = 202,
    /// The region recovered before the point of no return: what was begun is undone.
    RegionRecovered = 210,
    /// The time of the consent is over: the waiting run ends.
    ApprovalExpired = 211,
    /// An abort before the point of no return takes its own term.
    AbortBegun = 212,
    /// Recorded effects are undone, newest first, and seen undone.
    Undoing = 213,
    /// Everything is undone; the run ended.
    RunAborted = 214,
    /// The source of a planned run is seen to fail, before anything was fenced or before its engine handed anything over: the
    /// run ends, and a failover may begin.
    SourceLost = 215,
    /// The target is no longer fit before the point of no return: the run goes to another region.
    Retargeted = 216,
    /// A gate is not met: the step is not recorded.
    GateUnmet = 220,
    /// A person's consent is needed.
    AwaitingApproval = 221,
    /// A proof was not seen again in the pass that would promote: back to the fence.
    ProofLost = 222,
    /// The intent of a step is recorded; its effect follows.
    StepRecorded = 230,
    /// An observation newer than the intent shows the step done.
    StepObserved = 231,
    /// A recorded step is not seen done yet.
    StepAwaited = 232,
    /// The same effect is sent again.
    StepRepeated = 233,
    /// A step is passed over, with the reason.
    StepSkipped = 234,
    /// A step failed before the point of no return: the run is undone.
    StepFailed = 235,
    /// A target knows a newer holder: this process does not go on.
    Superseded = 236,
    /// The target is attested off after the point of no return: the run ends, the next one goes elsewhere.
    TargetLost = 240,
    /// Another hand made a third region the writer after the point of no return: nothing is promoted beside it, the run ends, a
    /// person is asked.
    Overtaken = 241,
    /// Every step was seen done.
    RunCompleted = 250,
    /// Data and traffic moved, but the public name did not come to work: the run ends, a person is asked.
    NotVerified = 251,
    /// The old primary's log was read: the loss is final.
    LossCounted = 300,
    /// A fenced region takes writes again: it is fenced again.
    FencedAgain = 310,
    /// A fenced region is made a standby of the active one.
    RejoinBegun = 311,
    /// The rejoin is not seen done yet.
    RejoinAwaited = 312,
    /// A fenced region follows the active one again.
    Rejoined = 313,
    /// The witness is raised on the active region's writer, before it is ever needed.
    WitnessRaised = 320,
    /// A workload that Muster scaled is given back, in a region that stands by again.
    GivenBack = 325,
    /// A public name is made to stay at the active region by itself.
    TrafficSettled = 326,
    /// A person's request opens a run.
    RequestTaken = 330,
    /// A person's request cannot be a run.
    RequestRefused = 331,
    /// The active region is unhealthy, but the policy only observes or is paused.
    WouldFailOver = 340,
    /// The active region is unhealthy, and no region could take over.
    NoCandidate = 341,
    /// The verdict on the active region opens a failover.
    VerdictOpens = 342,
    /// Too little is known of the active region to say anything.
    NoVerdict = 400,
    /// Nothing to do: the active region is healthy.
    Stable = 499,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "R{} {}", self.number(), self.name())
    }
}
