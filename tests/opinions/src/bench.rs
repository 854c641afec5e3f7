//! Where a case is played: an endpoint, what arranges it, and names that no other case has.

use crate::arrange::Arrange;
use crate::aws::Aws;

/// The region that the writer is in at first.
pub(crate) const EAST: &str = "us-east-1";
/// The other one.
pub(crate) const WEST: &str = "us-west-2";

/// An endpoint for one case.
pub(crate) struct Bench<'a> {
    pub(crate) aws: &'a Aws,
    pub(crate) arrange: &'a dyn Arrange,
    case: &'static str,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(aws: &'a Aws, arrange: &'a dyn Arrange, case: &'static str) -> Self {
        Self { aws, arrange, case }
    }

    /// A name of the case's own: letters, digits and single hyphens.
    pub(crate) fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.case)
    }

    /// A zone of the case's own, by its id.
    pub(crate) async fn zone(&self) -> anyhow::Result<Zone> {
        let name = format!("{}.example.com", self.case);
        Ok(Zone { id: self.arrange.zone(&name).await?, name })
    }

    /// A bucket of the case's own in `WEST`.
    pub(crate) async fn bucket(&self) -> anyhow::Result<String> {
        let name = self.name("bucket");
        self.arrange.bucket(&name, WEST).await?;
        Ok(name)
    }
}

/// A hosted zone.
pub(crate) struct Zone {
    pub(crate) id: String,
    /// Without its last dot.
    pub(crate) name: String,
}

impl Zone {
    /// A name in it, absolute.
    pub(crate) fn at(&self, label: &str) -> String {
        format!("{label}.{}.", self.name)
    }
}
