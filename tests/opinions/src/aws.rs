//! Clients of one endpoint, by the SDK that Muster uses.
//!
//! What this module must never do: let the SDK look for an endpoint, a region or credentials by itself; speak TLS, so that
//! no client of it can reach AWS.

use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_route53::config::retry::RetryConfig;
use aws_sdk_route53::config::{Credentials, SharedCredentialsProvider, SharedHttpClient};
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_async::time::SystemTimeSource;
use std::time::Duration;

/// An access key that every endpoint is told of.
pub(crate) const ACCESS_KEY: &str = "AKIDOPINION";
/// Its secret, and everybody's.
pub(crate) const SECRET_KEY: &str = "a-secret";
/// An access key that no endpoint is told of.
const STRANGE_KEY: &str = "AKIDNOBODY";
/// Where Route 53's and the STS' calls are signed for.
const HOME: &str = "us-east-1";
/// Of one call: an emulator on this machine answers in milliseconds, but for its first answer of a service.
const CALL: Duration = Duration::from_secs(20);

/// An endpoint that stands for every service of AWS.
#[derive(Clone)]
pub(crate) struct Aws {
    endpoint: String,
    access_key: &'static str,
    http: SharedHttpClient,
}

impl Aws {
    pub(crate) fn at(endpoint: String) -> Self {
        let http = aws_smithy_http_client::Builder::new().build_http();
        Self { endpoint, access_key: ACCESS_KEY, http }
    }

    /// The same, for somebody whom it does not know.
    pub(crate) fn for_nobody(&self) -> Self {
        Self { access_key: STRANGE_KEY, ..self.clone() }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Never retries: a case tells of the first answer.
    fn anonymous_config(&self, region: &str) -> SdkConfig {
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .endpoint_url(&self.endpoint)
            .http_client(self.http.clone())
            // The way to a role's credentials has no clock by itself.
            .time_source(SystemTimeSource::new())
            .region(Region::new(region.to_owned()))
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_timeout(CALL).build())
            .build()
    }

    fn config(&self, region: &str) -> SdkConfig {
        let keys = Credentials::new(self.access_key, SECRET_KEY, None, None, "given");
        let keys = SharedCredentialsProvider::new(keys);
        self.anonymous_config(region).into_builder().credentials_provider(keys).build()
    }

    pub(crate) fn route53(&self) -> aws_sdk_route53::Client {
        aws_sdk_route53::Client::new(&self.config(HOME))
    }

    pub(crate) fn rds(&self, region: &str) -> aws_sdk_rds::Client {
        aws_sdk_rds::Client::new(&self.config(region))
    }

    pub(crate) fn s3(&self, region: &str) -> aws_sdk_s3::Client {
        aws_sdk_s3::Client::from_conf(s3_config(&self.config(region)).build())
    }

    /// Somebody who signs nothing, as the checkers of Route 53 do.
    pub(crate) fn s3_of_a_stranger(&self, region: &str) -> aws_sdk_s3::Client {
        let config = s3_config(&self.anonymous_config(region));
        aws_sdk_s3::Client::from_conf(config.allow_no_auth().build())
    }

    /// The credentials of a role, by the SDK's own way to them.
    pub(crate) async fn assume(
        &self,
        role: &str,
        external_id: Option<&str>,
        session: Duration,
    ) -> Result<Credentials, CredentialsError> {
        let provider = AssumeRoleProvider::builder(role).session_name("opinions").session_length(session);
        let mut provider = provider.configure(&self.config(HOME));
        if let Some(external_id) = external_id {
            provider = provider.external_id(external_id);
        }
        provider.build().await.provide_credentials().await
    }
}

/// As Muster sets it: without checksums that it did not ask for.
fn s3_config(config: &SdkConfig) -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::config::Builder::from(config)
        .force_path_style(true)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
}
