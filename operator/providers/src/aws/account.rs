//! Accounts, and the clients that act in them.

use super::rds::Rds;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_route53::config::retry::RetryConfig;
use aws_sdk_route53::config::{Credentials, SharedCredentialsProvider, SharedHttpClient};
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use muster_core::secret::Secret;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(3);
/// Of one call, however long its caller would wait.
const CALL: Duration = Duration::from_secs(20);
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
}

impl AwsAccounts {
    /// Accounts of an AWS that is elsewhere: an emulator.
    pub fn at(place: AwsPlace) -> Self {
        Self { place: Some(place), accounts: Arc::default() }
    }

    /// The account that is used like this.
    pub fn account(&self, access: &AwsAccess) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || {
            let configs = Mutex::default();
            let way = Arc::new(Way { access: access.clone(), place: self.place.clone(), configs });
            Arc::new(Account { way, route53: OnceCell::new(), s3: Mutex::default(), rds: Mutex::default() })
        };
        Arc::clone(accounts.entry(access.clone()).or_insert_with(made))
    }
}

/// One account, as somebody.
pub struct Account {
    way: Arc<Way>,
    route53: OnceCell<aws_sdk_route53::Client>,
    /// By AWS' name of the region.
    s3: Mutex<HashMap<String, aws_sdk_s3::Client>>,
    /// By AWS' name of the region.
    rds: Mutex<HashMap<String, Arc<Rds>>>,
}

/// Without its clients: they would show what they assume roles by.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("access", &self.way.access).finish_non_exhaustive()
    }
}

impl Account {
    /// A client of Route 53. Its control plane is one for all regions of a partition, and the SDK knows where.
    pub(crate) async fn route53(&self) -> &aws_sdk_route53::Client {
        let made = async { aws_sdk_route53::Client::new(&self.way.config(None).await) };
        self.route53.get_or_init(|| made).await
    }

    /// A client of S3 in one region.
    pub(crate) async fn s3(&self, region: &str) -> aws_sdk_s3::Client {
        let made = self.s3.lock().unwrap_or_else(PoisonError::into_inner).get(region).cloned();
        if let Some(client) = made {
            return client;
        }
        let config = aws_sdk_s3::config::Builder::from(&self.way.config(Some(region)).await)
            // An emulator has no name of its own for each bucket.
            .force_path_style(self.way.place.is_some())
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        let client = aws_sdk_s3::Client::from_conf(config);
        let mut clients = self.s3.lock().unwrap_or_else(PoisonError::into_inner);
        clients.entry(region.to_owned()).or_insert(client).clone()
    }

    /// RDS in one region: its own endpoint, which needs no other region.
    pub(crate) fn rds(&self, region: &str) -> Arc<Rds> {
        let mut regions = self.rds.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || Arc::new(Rds::new(Arc::clone(&self.way), region.to_owned()));
        Arc::clone(regions.entry(region.to_owned()).or_insert_with(made))
    }
}

/// How to come into an account.
pub(super) struct Way {
    access: AwsAccess,
    place: Option<AwsPlace>,
    /// By the region that is called; `None`: clients that find it by themselves.
    configs: Mutex<HashMap<Option<String>, Arc<OnceCell<SdkConfig>>>>,
}

impl Way {
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
