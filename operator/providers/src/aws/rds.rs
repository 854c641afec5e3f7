//! RDS in one region of an account: its client, and reads that all policies share.

use super::account::Way;
use super::shared_read::SharedRead;
use super::{Action, CallError};
use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbCluster, DbInstance, GlobalCluster};
use muster_core::facts::ErrorClass;
use std::fmt;
use std::sync::Arc;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// Of one answer; the most that the API gives.
const PAGE: i32 = 100;
/// Of one list: an account has 40 clusters and 40 instances a region unless its quota was raised.
const PAGES: u32 = 20;

/// RDS in one region, as somebody.
pub(crate) struct Rds {
    region: String,
    client: Arc<LazyClient>,
    global_clusters: SharedRead<Vec<GlobalCluster>>,
    clusters: SharedRead<Vec<DbCluster>>,
    instances: SharedRead<Vec<DbInstance>>,
}

/// Made at the first call.
struct LazyClient {
    way: Arc<Way>,
    region: String,
    made: OnceCell<Client>,
}

impl LazyClient {
    async fn get(&self) -> &Client {
        let made = async { Client::new(&self.way.config(Some(&self.region)).await) };
        self.made.get_or_init(|| made).await
    }
}

impl Rds {
    /// Connects to nothing yet.
    pub(super) fn new(way: Arc<Way>, region: String) -> Self {
        let client = Arc::new(LazyClient { way, region: region.clone(), made: OnceCell::new() });
        let [of_global_clusters, of_clusters, of_instances] = [(); 3].map(|()| Arc::clone(&client));
        Self {
            region,
            client,
            global_clusters: SharedRead::new(move || {
                let client = Arc::clone(&of_global_clusters);
                Box::pin(async move { list_global_clusters(client.get().await).await })
            }),
            clusters: SharedRead::new(move || {
                let client = Arc::clone(&of_clusters);
                Box::pin(async move { list_clusters(client.get().await).await })
            }),
            instances: SharedRead::new(move || {
                let client = Arc::clone(&of_instances);
                Box::pin(async move { list_instances(client.get().await).await })
            }),
        }
    }

    /// AWS' name of the region.
    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    /// For calls that change something.
    pub(crate) async fn client(&self) -> &Client {
        self.client.get().await
    }

    /// The region's view of all global clusters, newer than this question.
    pub(crate) async fn global_clusters(&self, by: Instant) -> Result<Arc<Vec<GlobalCluster>>, CallError> {
        self.global_clusters.read(by).await
    }

    /// All clusters in the region, newer than this question.
    pub(crate) async fn clusters(&self, by: Instant) -> Result<Arc<Vec<DbCluster>>, CallError> {
        self.clusters.read(by).await
    }

    /// All instances in the region, newer than this question.
    pub(crate) async fn instances(&self, by: Instant) -> Result<Arc<Vec<DbInstance>>, CallError> {
        self.instances.read(by).await
    }

    /// As [`Self::instances`] without waiting for the regular pace.
    pub(crate) async fn instances_at_once(&self, by: Instant) -> Result<Arc<Vec<DbInstance>>, CallError> {
        self.instances.read_at_once(by).await
    }

    /// As [`Self::global_clusters`] without waiting for the regular pace.
    pub(crate) async fn global_clusters_at_once(
        &self,
        by: Instant,
    ) -> Result<Arc<Vec<GlobalCluster>>, CallError> {
        self.global_clusters.read_at_once(by).await
    }

    /// As [`Self::clusters`] without waiting for the regular pace.
    pub(crate) async fn clusters_at_once(&self, by: Instant) -> Result<Arc<Vec<DbCluster>>, CallError> {
        self.clusters.read_at_once(by).await
    }
}

/// Without its clients: they would show what they assume roles by.
impl fmt::Debug for Rds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rds").field("region", &self.region).finish_non_exhaustive()
    }
}

async fn list_global_clusters(client: &Client) -> Result<Vec<GlobalCluster>, CallError> {
    const CALL: Action = Action::DescribeGlobalClusters;
    let (mut all, mut marker) = (Vec::new(), None);
    for _ in 0..PAGES {
        let list = client.describe_global_clusters().max_records(PAGE).set_marker(marker.take());
        let page = Box::pin(list.send()).await.map_err(|error| CallError::new(CALL, &error))?;
        all.extend(page.global_clusters.unwrap_or_default());
        marker = page.marker.filter(|marker| !marker.is_empty());
        if marker.is_none() {
            return Ok(all);
        }
    }
    Err(endless(CALL))
}

async fn list_clusters(client: &Client) -> Result<Vec<DbCluster>, CallError> {
    const CALL: Action = Action::DescribeDbClusters;
    let (mut all, mut marker) = (Vec::new(), None);
    for _ in 0..PAGES {
        let list = client.describe_db_clusters().max_records(PAGE).set_marker(marker.take());
        let page = Box::pin(list.send()).await.map_err(|error| CallError::new(CALL, &error))?;
        all.extend(page.db_clusters.unwrap_or_default());
        marker = page.marker.filter(|marker| !marker.is_empty());
        if marker.is_none() {
            return Ok(all);
        }
    }
    Err(endless(CALL))
}

async fn list_instances(client: &Client) -> Result<Vec<DbInstance>, CallError> {
    const CALL: Action = Action::DescribeDbInstances;
    let (mut all, mut marker) = (Vec::new(), None);
    for _ in 0..PAGES {
        let list = client.describe_db_instances().max_records(PAGE).set_marker(marker.take());
        let page = Box::pin(list.send()).await.map_err(|error| CallError::new(CALL, &error))?;
        all.extend(page.db_instances.unwrap_or_default());
        marker = page.marker.filter(|marker| !marker.is_empty());
        if marker.is_none() {
            return Ok(all);
        }
    }
    Err(endless(CALL))
}

fn endless(call: Action) -> CallError {
    let why = format!("{call}: more than {PAGES} pages");
    CallError { code: None, class: ErrorClass::Transient, why }
}
