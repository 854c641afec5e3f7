//! Amazon Resource Names of the service, and where they are.

use std::fmt;

/// `arn`, `aws`, `rds`, a region, an account, a kind, and a name that may bear colons.
const PARTS: usize = 7;
const REGION: usize = 3;
const ACCOUNT: usize = 4;
const NAME: usize = 6;

/// What a name is one of.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    GlobalCluster,
    Cluster,
    Instance,
    ClusterSnapshot,
}

/// A region of an account: what one endpoint shows to one caller.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) region: &'a str,
    pub(super) account: &'a str,
}

/// `arn:aws:rds:us-east-1:111111111111:cluster:shop`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Arn(String);

impl Arn {
    pub(super) fn new(kind: Kind, place: Place<'_>, name: &str) -> Self {
        let Place { region, account } = place;
        let (region, kind) = match kind {
            Kind::GlobalCluster => ("", "global-cluster"),
            Kind::Cluster => (region, "cluster"),
            Kind::Instance => (region, "db"),
            Kind::ClusterSnapshot => (region, "cluster-snapshot"),
        };
        // The service stores identifiers in lower case, and compares them so.
        Self(format!("arn:aws:rds:{region}:{account}:{kind}:{}", name.to_lowercase()))
    }

    /// Takes an ARN as it is, and a name for one of the place.
    pub(super) fn named(kind: Kind, place: Place<'_>, text: &str) -> Self {
        if text.starts_with("arn:") { Self(text.to_owned()) } else { Self::new(kind, place, text) }
    }

    pub(super) fn given(text: &str) -> Self {
        Self(text.to_owned())
    }

    fn part(&self, number: usize) -> &str {
        self.0.splitn(PARTS, ':').nth(number).unwrap_or_default()
    }

    pub(super) fn region(&self) -> &str {
        self.part(REGION)
    }

    pub(super) fn account(&self) -> &str {
        self.part(ACCOUNT)
    }

    pub(super) fn name(&self) -> &str {
        self.part(NAME)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn place(&self) -> Place<'_> {
        Place { region: self.region(), account: self.account() }
    }

    /// Whether an endpoint shows what it names.
    pub(super) fn is_at(&self, place: Place<'_>) -> bool {
        self.region() == place.region && self.account() == place.account
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
