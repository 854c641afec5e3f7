//! Accounts, and the clients that act in them.

use super::bucket::Bucket;
use super::ec2::Ec2;
use super::memories::Memories;
use super::rds::Rds;
use super::turns::Turns;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_route53::config::retry::RetryConfig;
use aws_sdk_route53::config::{Credentials, SharedCredentialsProvider, SharedHttpClient};
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use muster_core::ids::Owner;
use muster_core::secret::Secret;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(3);
/// Of one call, however long its caller would wait.
const CALL: Duration = Duration::from_secs(20);
/// Between two reads of Route 53 that have time. Its API takes five requests a second of an account (Route 53, quotas), and runs
/// need them.
const ROUTE53_READS: Duration = Duration::from_secs(1);
/// What an assumed role's session is called in the account's trail.
const SESSION: &str = "muster";

/// As whom an account is used. Equal ones share a client.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct AwsAccess {
    /// The role to assume; `None`: the credentials that Muster runs with.
    pub role_arn: Option<String>,
    /// What the role's trust policy asks for beside it.
    pub external_id: Option<String>,
}

impl AwsAccess {
    /// The account of the role.
    fn account(&self) -> &str {
        self.role_arn.as_deref().and_then(|arn| arn.split(':').nth(4)).unwrap_or_default()
    }
}

impl fmt::Debug for AwsAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsAccess").field("role_arn", &self.role_arn).finish_non_exhaustive()
    }
}

/// Where AWS is, if it is not where the SDK looks for it.
#[derive(Clone, Debug)]
pub struct AwsPlace {
    /// The endpoint of every service.
    pub endpoint: String,
    /// An access key's id.
    pub access_key: String,
    /// Its secret.
    pub secret_key: Secret,
}

/// All accounts that policies name, by how they are used.
#[derive(Clone, Debug, Default)]
pub struct AwsAccounts {
    place: Option<AwsPlace>,
    accounts: Arc<Mutex<HashMap<AwsAccess, Arc<Account>>>>,
    memories: Memories,
}

impl AwsAccounts {
    /// Accounts of an AWS that is elsewhere: an emulator.
    pub fn at(place: AwsPlace) -> Self {
        Self { place: Some(place), ..Self::default() }
    }

    /// The account that is used like this.
    pub fn account(&self, access: &AwsAccess) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || {
            let (configs, s3) = (Mutex::default(), Mutex::default());
            let way = Arc::new(Way { access: access.clone(), place: self.place.clone(), configs, s3 });
            let route53_turns = Turns::new(ROUTE53_READS);
            Arc::new(Account {
                way,
                route53: OnceCell::new(),
                route53_turns,
                clusters: Mutex::default(),
                buckets: Mutex::default(),
                rds: Mutex::default(),
                ec2: Mutex::default(),
                memories: self.memories.clone(),
            })
        };
        Arc::clone(accounts.entry(access.clone()).or_insert_with(made))
    }

    /// Every region of an account that was called, each once.
    pub fn circuits(&self) -> Vec<Circuit> {
        let mut open = BTreeMap::new();
        for account in self.accounts.lock().unwrap_or_else(PoisonError::into_inner).values() {
            let number = account.way.access.account();
            let mut note = |region: &str, service, is_open: bool| {
                *open.entry((number.to_owned(), region.to_owned(), service)).or_default() |= is_open;
            };
            for ((region, _), bucket) in &*account.buckets.lock().unwrap_or_else(PoisonError::into_inner) {
                note(region, "s3", bucket.is_open());
            }
            for (region, rds) in &*account.rds.lock().unwrap_or_else(PoisonError::into_inner) {
                note(region, "rds", rds.is_open());
            }
            for (region, ec2) in &*account.ec2.lock().unwrap_or_else(PoisonError::into_inner) {
                note(region, "ec2", ec2.is_open());
            }
        }
        let circuit = |((account, region, service), is_open)| Circuit { account, region, service, is_open };
        open.into_iter().map(circuit).collect()
    }
}

/// Whether an account's region is asked as ever, or has not answered a few times in a row (`shared_read.rs`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Circuit {
    /// The account's number; empty for that of the credentials which Muster runs with.
    pub account: String,
    /// AWS' name of the region.
    pub region: String,
    /// The service of its API.
    pub service: &'static str,
    /// Looks do without it for a while.
    pub is_open: bool,
}

/// One account, as somebody.
pub struct Account {
    way: Arc<Way>,
    route53: OnceCell<aws_sdk_route53::Client>,
    route53_turns: Turns,
    /// Of ARC, by the URL of an endpoint.
    clusters: Mutex<HashMap<String, aws_sdk_route53recoverycluster::Client>>,
    /// By AWS' name of the region, and by their own.
    buckets: Mutex<HashMap<(String, String), Arc<Bucket>>>,
    /// By AWS' name of the region.
    rds: Mutex<HashMap<String, Arc<Rds>>>,
    /// By AWS' name of the region.
    ec2: Mutex<HashMap<String, Arc<Ec2>>>,
    /// Of all accounts: a policy may come to use another one for the same thing.
    memories: Memories,
}

/// Without its clients: they would show what they assume roles by.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("access", &self.way.access).finish_non_exhaustive()
    }
}

impl Account {
    /// What this policy's adapters remember of the thing of this `name`, whichever version of it they are of.
    pub(crate) fn memory<T: Send + 'static>(
        &self,
        owner: &Owner,
        name: String,
        new: impl FnOnce() -> T,
    ) -> Arc<Mutex<T>> {
        self.memories.of(owner, name, new)
    }

    /// A client of Route 53. Its control plane is one for all regions of a partition, and the SDK knows where.
    pub(crate) async fn route53(&self) -> &aws_sdk_route53::Client {
        let made = async { aws_sdk_route53::Client::new(&self.way.config(None).await) };
        self.route53.get_or_init(|| made).await
    }

    /// The same, found from a region of the partition: for a person who has set none.
    pub(crate) async fn route53_from(&self, region: &str) -> aws_sdk_route53::Client {
        aws_sdk_route53::Client::new(&self.way.config(Some(region)).await)
    }

    /// Waits until it is this caller's turn to read from Route 53 while nothing hangs on it.
    pub(crate) async fn route53_turn(&self) {
        self.route53_turns.take().await;
    }

    /// A client of one endpoint of a cluster of ARC. A role for it is assumed at the STS of that endpoint's region.
    pub(crate) async fn recovery_cluster(
        &self,
        region: &str,
        url: &str,
    ) -> aws_sdk_route53recoverycluster::Client {
        let made = async {
            let config = &self.way.config(Some(region)).await;
            let config =
                aws_sdk_route53recoverycluster::config::Builder::from(config).endpoint_url(url).build();
            aws_sdk_route53recoverycluster::Client::from_conf(config)
        };
        known_or_made(&self.clusters, url, made).await
    }

    /// A client of S3 in one region.
    pub(crate) async fn s3(&self, region: &str) -> aws_sdk_s3::Client {
        self.way.s3(region).await
    }

    /// One bucket in its region.
    pub(crate) fn bucket(&self, region: &str, name: &str) -> Arc<Bucket> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || Arc::new(Bucket::new(Arc::clone(&self.way), region.to_owned(), name.to_owned()));
        Arc::clone(buckets.entry((region.to_owned(), name.to_owned())).or_insert_with(made))
    }

    /// RDS in one region: its own endpoint, which needs no other region.
    pub(crate) fn rds(&self, region: &str) -> Arc<Rds> {
        let mut regions = self.rds.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || Arc::new(Rds::new(Arc::clone(&self.way), region.to_owned()));
        Arc::clone(regions.entry(region.to_owned()).or_insert_with(made))
    }

    /// EC2 in one region, as [`Self::rds`].
    pub(crate) fn ec2(&self, region: &str) -> Arc<Ec2> {
        let mut regions = self.ec2.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || Arc::new(Ec2::new(Arc::clone(&self.way), region.to_owned()));
        Arc::clone(regions.entry(region.to_owned()).or_insert_with(made))
    }
}

/// The client of this name; `made` is waited for without the lock, and dropped if another one was faster.
async fn known_or_made<C: Clone>(
    clients: &Mutex<HashMap<String, C>>,
    name: &str,
    made: impl Future<Output = C>,
) -> C {
    let known = clients.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
    if let Some(client) = known {
        return client;
    }
    let client = made.await;
    let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
    clients.entry(name.to_owned()).or_insert(client).clone()
}

/// How to come into an account.
pub(super) struct Way {
    access: AwsAccess,
    place: Option<AwsPlace>,
    /// By the region that is called; `None`: clients that find it by themselves.
    configs: Mutex<HashMap<Option<String>, Arc<OnceCell<SdkConfig>>>>,
    /// By AWS' name of the region.
    s3: Mutex<HashMap<String, aws_sdk_s3::Client>>,
}

impl Way {
    /// Leads to no account.
    #[cfg(test)]
    pub(super) fn nowhere() -> Self {
        Self { access: AwsAccess::default(), place: None, configs: Mutex::default(), s3: Mutex::default() }
    }

    /// The settings of a client: of one that calls `region`, or of one that finds its region by itself. All clients of a region
    /// share its credentials; a role is assumed at the STS of that region, so that none hangs on another one.
    pub(super) async fn config(&self, region: Option<&str>) -> SdkConfig {
        let cell = {
            let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(configs.entry(region.map(str::to_owned)).or_default())
        };
        // In a box: what the SDK's futures hold is large, and most of the time nobody waits for them.
        cell.get_or_init(|| Box::pin(self.load(region))).await.clone()
    }

    /// A client of S3 in one region.
    pub(super) async fn s3(&self, region: &str) -> aws_sdk_s3::Client {
        let made = async {
            let config = aws_sdk_s3::config::Builder::from(&self.config(Some(region)).await)
                // An emulator has no name of its own for each bucket.
                .force_path_style(self.place.is_some())
                .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
                .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
                .build();
            aws_sdk_s3::Client::from_conf(config)
        };
        known_or_made(&self.s3, region, made).await
    }

    async fn load(&self, region: Option<&str>) -> SdkConfig {
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http_client())
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder().connect_timeout(CONNECT).operation_timeout(CALL).build(),
            );
        if let Some(place) = &self.place {
            let keys = Credentials::new(
                place.access_key.clone(),
                place.secret_key.expose().to_owned(),
                None,
                None,
                "given",
            );
            loader = loader
                .endpoint_url(&place.endpoint)
                .region(Region::from_static("us-east-1"))
                .credentials_provider(keys);
        }
        if let Some(region) = region {
            loader = loader.region(Region::new(region.to_owned()));
        }
        let own = Box::pin(loader.load()).await;
        let Some(role) = &self.access.role_arn else { return own };
        let mut assumed = AssumeRoleProvider::builder(role).session_name(SESSION).configure(&own);
        if let Some(external_id) = &self.access.external_id {
            assumed = assumed.external_id(external_id);
        }
        let provider = SharedCredentialsProvider::new(Box::pin(assumed.build()).await);
        own.into_builder().credentials_provider(provider).build()
    }
}

fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}
