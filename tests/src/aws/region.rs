//! The two regions of the bed, and the parts that they play in a run.

use muster_core::ids::RegionName;
use std::net::Ipv4Addr;

/// A region.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Region {
    /// Where everything is at first, and what is preferred.
    East,
    /// Where Muster stands, as far as AWS is concerned.
    West,
}

impl Region {
    pub(super) const ALL: [Self; 2] = [Self::East, Self::West];

    /// In the policy.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::East => "east",
            Self::West => "west",
        }
    }

    /// AWS' name of it.
    pub(super) const fn aws(self) -> &'static str {
        match self {
            Self::East => "us-east-1",
            Self::West => "us-west-2",
        }
    }

    /// Where its front listens, and where the public name points.
    pub(super) const fn front(self) -> Ipv4Addr {
        match self {
            Self::East => Ipv4Addr::new(127, 0, 1, 1),
            Self::West => Ipv4Addr::new(127, 0, 2, 1),
        }
    }

    pub(super) const fn other(self) -> Self {
        match self {
            Self::East => Self::West,
            Self::West => Self::East,
        }
    }

    pub(super) fn id(self) -> RegionName {
        self.name().into()
    }

    /// The region of this name of AWS.
    pub(super) fn by_aws(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|region| region.aws() == name)
    }
}

/// The regions of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Parts {
    /// The region that is left.
    pub(super) left: Region,
    /// The region that takes over.
    pub(super) taken: Region,
}

impl Parts {
    /// Of a run that leaves this region.
    pub(super) const fn of(left: Region) -> Self {
        Self { left, taken: left.other() }
    }

    /// By its part.
    pub(super) fn name(self, region: Region) -> &'static str {
        if region == self.left { "left" } else { "taken" }
    }

    /// By its part, if it is one of both.
    pub(super) fn name_of(self, region: &RegionName) -> String {
        let known = Region::ALL.into_iter().find(|known| known.name() == region.as_str());
        known.map_or_else(|| region.to_string(), |known| self.name(known).to_owned())
    }
}
