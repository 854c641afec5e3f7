//! The store of an operator, against a real API server.

use anyhow::Context as _;
use async_trait::async_trait;
use kube::api::{DeleteParams, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use muster::clock::Clock;
use muster::store::conformance::{Backing, Bounds, check_all};
use muster::store::kubernetes::{KubernetesStore, ObjectName, Options};
use muster::store::{Acquired, Store, StoreError, StoreErrorClass};
use muster_core::ids::{HolderId, Owner, PolicyName};
use muster_core::time::Millis;
use muster_crds::{FailoverJournal, FailoverRun, schema};
use muster_tests::cluster::{self, Cluster};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

struct Fresh {
    client: Client,
    lease: ObjectName,
}

const RUNS: usize = 5;
const FRAMES: usize = 7;

impl Fresh {
    fn store(&self) -> KubernetesStore {
        let options = Options { runs_kept: RUNS, frames_per_run: FRAMES, ..Options::new(self.lease.clone()) };
        KubernetesStore::new(self.client.clone(), options, Clock::system())
    }
}

#[async_trait]
impl Backing for Fresh {
    async fn open(&self) -> anyhow::Result<Arc<dyn Store>> {
        Ok(Arc::new(self.store()))
    }
    fn bounds(&self) -> Bounds {
        Bounds { runs: RUNS, frames: FRAMES }
    }
}

async fn client(cluster: &Cluster) -> anyhow::Result<Client> {
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig())?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

/// A cluster with Muster's kinds and the namespaces of these tests.
async fn start(name: &str) -> anyhow::Result<(Cluster, Client)> {
    let cluster = Cluster::start(name, cluster::Options::default()).await?;
    for definition in schema::definitions() {
        cluster.kubectl_apply(&definition.yaml()).await?;
    }
    for namespace in ["shop", "muster"] {
        cluster.kubectl(&["create", "namespace", namespace]).await?;
    }
    cluster.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"]).await?;
    let client = client(&cluster).await?;
    Ok((cluster, client))
}

static LEASES: AtomicU32 = AtomicU32::new(0);

/// Without journals and runs, under a lease of its own.
async fn fresh(client: &Client) -> anyhow::Result<Fresh> {
    let (all, now) = (ListParams::default(), DeleteParams::default());
    Api::<FailoverJournal>::namespaced(client.clone(), "shop").delete_collection(&now, &all).await?;
    Api::<FailoverRun>::namespaced(client.clone(), "shop").delete_collection(&now, &all).await?;
    let name = format!("muster-{}", LEASES.fetch_add(1, Ordering::Relaxed));
    Ok(Fresh { client: client.clone(), lease: ObjectName { namespace: "muster".into(), name } })
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_what_every_store_must_do() -> anyhow::Result<()> {
    let (_cluster, client) = start("conformance").await?;
    let checked = check_all(|| fresh(&client)).await?;
    assert!(checked > 25, "{checked} cases");
    Ok(())
}

fn policy() -> PolicyName {
    PolicyName::new("shop/checkout")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_api_server_is_unknown_for_writes_and_busy_for_reads() -> anyhow::Result<()> {
    let (cluster, client) = start("gone").await?;
    let backing = fresh(&client).await?;
    let store = backing.store();
    let loaded = store.create(&policy(), &Owner::new("uid-1")).await?;
    let Acquired::Ours(token) = store.acquire(&HolderId::new("one"), Millis(60_000)).await? else {
        anyhow::bail!("the lease is free");
    };
    cluster.stop_api_server().await;
    let read = store.load(&policy()).await.expect_err("nobody answers");
    assert_eq!(read.class(), StoreErrorClass::Busy, "{read}");
    let written = store.renew(&token).await.expect_err("nobody answers");
    assert_eq!(written.class(), StoreErrorClass::Unknown, "{written}");
    cluster.start_api_server().await?;
    store.renew(&token).await?;
    store.record(&policy(), &loaded.version, &token, &loaded.journal).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_installation_keeps_away_until_the_first_ones_lease_is_gone() -> anyhow::Result<()> {
    let (cluster, client) = start("second").await?;
    let (first, second) = (fresh(&client).await?, fresh(&client).await?);
    let (one, two) = (first.store(), second.store());
    let loaded = one.create(&policy(), &Owner::new("uid-1")).await?;
    let mut tokens = Vec::new();
    for store in [&one, &two] {
        let Acquired::Ours(token) = store.acquire(&HolderId::new("it"), Millis(60_000)).await? else {
            anyhow::bail!("each has a lease of its own");
        };
        tokens.push(token);
    }
    let version = one.record(&policy(), &loaded.version, &tokens[0], &loaded.journal).await?;
    let refused = two
        .record(&policy(), &version, &tokens[1], &loaded.journal)
        .await
        .expect_err("it is the first one's");
    assert!(matches!(&refused, StoreError::OtherInstallation { .. }), "{refused}");
    cluster.kubectl(&["delete", "lease", &first.lease.name, "-n", "muster"]).await?;
    let version = two.record(&policy(), &version, &tokens[1], &loaded.journal).await?;
    let refused =
        one.record(&policy(), &version, &tokens[0], &loaded.journal).await.expect_err("its lease is gone");
    assert_eq!(refused.class(), StoreErrorClass::LeaseLost, "{refused}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_named() -> anyhow::Result<()> {
    let (cluster, client) = start("denied").await?;
    let backing = fresh(&client).await?;
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig_for("nobody", &[])?)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    let poor = Fresh { client: Client::try_from(config)?, lease: backing.lease.clone() }.store();
    let error = poor.load(&policy()).await.expect_err("it may nothing");
    assert_eq!(error.class(), StoreErrorClass::Broken);
    let told = error.to_string();
    assert!(told.contains("failoverjournals") && told.contains("get"), "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_definitions_it_says_so() -> anyhow::Result<()> {
    let cluster = Cluster::start("bare", cluster::Options::default()).await?;
    let lease = ObjectName { namespace: "default".into(), name: "muster".into() };
    let store = Fresh { client: client(&cluster).await?, lease }.store();
    let error = store.load(&policy()).await.context("none").expect_err("there is no such kind");
    assert!(format!("{error:#}").contains("CustomResourceDefinitions"), "{error:#}");
    Ok(())
}
