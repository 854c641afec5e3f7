//! RDS in one region of an account: its client, and reads that all policies share.

use super::account::Way;
use super::pages::read_pages;
use super::presign::{NewReplica, presign};
use super::shared_read::SharedRead;
use super::{Action, CallError};
use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbCluster, DbClusterSnapshot, DbInstance, Event, GlobalCluster};
use aws_types::sdk_config::SharedTimeSource;
use std::fmt;
use std::sync::Arc;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// Of one answer; the most that the API gives.
const PAGE: i32 = 100;
/// How far back events are read: a process that starts after a failover still learns what came of it.
const EVENT_MINUTES: i32 = 180;

/// RDS in one region, as somebody.
pub(crate) struct Rds {
    region: String,
    client: Arc<LazyClient>,
    global_clusters: SharedRead<Vec<GlobalCluster>>,
    clusters: SharedRead<Vec<DbCluster>>,
    instances: SharedRead<Vec<DbInstance>>,
    events: SharedRead<Vec<Event>>,
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
        let [of_global_clusters, of_clusters, of_instances, of_events] =
            [(); 4].map(|()| Arc::clone(&client));
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
            events: SharedRead::new(move || {
                let client = Arc::clone(&of_events);
                Box::pin(async move { list_events(client.get().await).await })
            }),
        }
    }

    /// AWS' name of the region.
    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    /// Whether one of its lists has not answered a few times in a row: looks do without it for a while.
    pub(super) fn is_open(&self) -> bool {
        self.global_clusters.is_open()
            || self.clusters.is_open()
            || self.instances.is_open()
            || self.events.is_open()
    }

    /// For calls that change something.
    pub(crate) async fn client(&self) -> &Client {
        self.client.get().await
    }

    /// A request to this region, signed as whoever is steered here: that a replica of one of its instances may be made elsewhere.
    /// Asks nobody.
    pub(crate) async fn presign_replica(&self, of: NewReplica<'_>) -> Result<String, CallError> {
        let config = self.client.way.config(Some(&self.region)).await;
        let now = config.time_source().unwrap_or_else(SharedTimeSource::default).now();
        presign(of, &self.region, config.credentials_provider(), now).await
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

    /// What the region told in the last three hours of all that it has, newer than this question.
    pub(crate) async fn events(&self, by: Instant) -> Result<Arc<Vec<Event>>, CallError> {
        self.events.read(by).await
    }

    /// The snapshots of one cluster, those of the system and those of people: read for this question alone.
    pub(crate) async fn cluster_snapshots(&self, cluster: &str) -> Result<Vec<DbClusterSnapshot>, CallError> {
        const CALL: Action = Action::DescribeDbClusterSnapshots;
        let client = self.client.get().await;
        read_pages(CALL, |marker| async move {
            let list = client.describe_db_cluster_snapshots().db_cluster_identifier(cluster);
            let list = list.max_records(PAGE).set_marker(marker);
            let page = Box::pin(list.send()).await.map_err(|error| CallError::new(CALL, &error))?;
            Ok((page.db_cluster_snapshots.unwrap_or_default(), page.marker))
        })
        .await
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
    read_pages(CALL, |marker| async move {
        let list = client.describe_global_clusters().max_records(PAGE).set_marker(marker);
        let page = Box::pin(list.send()).await.map_err(|error| CallError::new(CALL, &error))?;
        Ok((page.global_clusters.unwrap_or_default(), page.marker))
    })
    .await
}

async fn list_clusters(client: &Client) -> Result<Vec<DbCluster>, CallError> {
    const CALL: Action = Action::DescribeDbClusters;
    read_pages(CALL, |marker| async move {
        let list = client.describe_db_clusters().max_records(PAGE).set_marker(marker);
        let page = Box::pin(list.send()).await.map_err(|error| CallError::new(CALL, &error))?;
        Ok((page.db_clusters.unwrap_or_default(), page.marker))
    })
    .await
}

async fn list_instances(client: &Client) -> Result<Vec<DbInstance>, CallError> {
    const CALL: Action = Action::DescribeDbInstances;
    read_pages(CALL, |marker| async move {
        let list = client.describe_db_instances().max_records(PAGE).set_marker(marker);
        let page = Box::pin(list.send()).await.map_err(|error| CallError::new(CALL, &error))?;
        Ok((page.db_instances.unwrap_or_default(), page.marker))
    })
    .await
}

async fn list_events(client: &Client) -> Result<Vec<Event>, CallError> {
    const CALL: Action = Action::DescribeEvents;
    read_pages(CALL, |marker| async move {
        let list = client.describe_events().duration(EVENT_MINUTES).max_records(PAGE).set_marker(marker);
        let page = Box::pin(list.send()).await.map_err(|error| CallError::new(CALL, &error))?;
        Ok((page.events.unwrap_or_default(), page.marker))
    })
    .await
}
