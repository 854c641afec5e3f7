//! What a case finds: arranged behind the API's back in the fake, and through the API elsewhere.
//!
//! What an `Arrange` must never do: arrange what a case states.

mod api;
mod fake;
mod iam;

pub(crate) use api::ByApi;
pub(crate) use fake::InFake;

use async_trait::async_trait;

/// A global database with a writer in `EAST` and a reader in `WEST`, each with one instance.
pub(crate) struct GlobalDatabase {
    pub(crate) name: String,
    /// The ARN of the cluster in `EAST`.
    pub(crate) east: String,
    /// The ARN of the cluster in `WEST`.
    pub(crate) west: String,
}

/// Brings about what the services show by themselves, or what only other services make.
#[async_trait(?Send)]
pub(crate) trait Arrange {
    /// Creates a public hosted zone, and returns its id.
    async fn zone(&self, name: &str) -> anyhow::Result<String>;

    /// Creates an empty bucket.
    async fn bucket(&self, name: &str, region: &str) -> anyhow::Result<()>;

    /// Lets everybody read what stands, or will, under this key.
    async fn publish(&self, bucket: &str, key: &str, region: &str) -> anyhow::Result<()>;

    /// Creates a global database that is available.
    async fn global_database(&self, name: &str) -> anyhow::Result<GlobalDatabase>;

    /// Creates an instance of PostgreSQL that has backups, and returns its ARN.
    async fn instance(&self, region: &str, name: &str) -> anyhow::Result<String>;

    /// Creates a role that the caller may assume, with this external id if one is named, and returns its ARN.
    async fn role(&self, name: &str, external_id: Option<&str>) -> anyhow::Result<String>;
}
