//! What the adapter needs to know of one data item.

use crate::{AdoptedOwners, OpCtx};
use async_trait::async_trait;
use muster_core::facts::Outcome;
use muster_core::ids::{ItemName, Owner, RegionName};
use muster_core::secret::Secret;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

/// One PostgreSQL data item of a policy.
#[derive(Clone, Debug)]
pub struct PostgresConfig {
    /// The item's name.
    pub item: ItemName,
    /// The policy's UID.
    pub owner: Owner,
    /// The application's database; Muster's schema is in it.
    pub database: String,
    /// Muster's own role.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// The role that is fenced, and whose refused write proves it.
    pub application: Application,
    /// For every connection.
    pub tls: TlsMode,
    /// One node per region.
    pub nodes: BTreeMap<RegionName, Node>,
    /// Makes an old primary a standby; without it nobody rejoins.
    pub rejoin: Option<Arc<dyn RejoinRunner>>,
    /// Foreign owners whose witness may be replaced.
    pub adopted: AdoptedOwners,
}

/// The application's own role.
#[derive(Clone, Debug)]
pub struct Application {
    /// Its name. The setup SQL was given the same one.
    pub user: String,
    /// Its password; a log in with it must be refused, for the right reason.
    pub password: Secret,
}

/// Where a node listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// A name or an address. The server itself: a pooler in between hides sessions.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Encryption of connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// None.
    #[default]
    Disable,
    /// Encrypted, the server's certificate is not checked (as libpq's `require`).
    Require,
    /// Encrypted, chain and name are checked.
    VerifyFull {
        /// PEM certificates that sign servers; `None`: the system's.
        ca_pem: Option<Vec<u8>>,
    },
}

/// What a run of the rejoin hook left.
#[derive(Clone, Debug)]
pub struct RejoinRun {
    /// How the call went.
    pub outcome: Outcome,
    /// What it printed (or answered), bounded. A line `{"lostCommits": 3}` is taken as the loss that it read from the
    /// old log, see [`crate::postgres`].
    pub stdout: String,
}

/// Runs the user's rejoin hook, by exec or webhook. Calls [`OpCtx::send`] around the start itself, ends by
/// [`OpCtx::not_after`].
#[async_trait]
pub trait RejoinRunner: Send + Sync + Debug {
    /// Makes the node in `region` a standby of the one in `follow`. `ctx.effect.action` is the `Rejoin` action.
    /// `upstream` is `host:port` of the node to follow, for `MUSTER_FOLLOW_ADDRESS`.
    async fn run(&self, region: &RegionName, follow: &RegionName, upstream: &str, ctx: &OpCtx) -> RejoinRun;
}
