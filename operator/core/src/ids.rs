//! Identifiers as newtypes, so that two strings never stand side by side as arguments.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps a name that was validated at the border.
            pub fn new(name: impl Into<String>) -> Self {
                Self(name.into())
            }
            /// The bare text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(name.to_owned())
            }
        }
    };
}

name!(
    /// `namespace/name` of a policy; unique in one store.
    PolicyName
);
name!(
    /// The policy's UID: the owner that every effect carries.
    Owner
);
name!(
    /// A failure domain that can serve the application.
    RegionName
);
name!(
    /// A probe of a policy.
    ProbeName
);
name!(
    /// A place that probes run from. Replicas of one Deployment are one vantage.
    VantageName
);
name!(
    /// A data, traffic, fence or hook item of a policy.
    ItemName
);
name!(
    /// The name of a run. Names carry no safety; the epoch does.
    RunName
);
name!(
    /// A process that may hold the lease: host, pid and a random part.
    HolderId
);
name!(
    /// A thing that two policies must not both steer, for example `dns/example.com/shop/A`.
    ClaimKey
);

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The number after this one.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

number!(
    /// The number of the run that owns the policy's regions. Only grows.
    Epoch
);
number!(
    /// Its holder's number within a run: +1 at each take-over by another process and at each abort.
    Term
);
number!(
    /// One per recorded effect within an epoch.
    Seq
);
number!(
    /// A position in a write-ahead log, in bytes; compares only on one timeline.
    Position
);
