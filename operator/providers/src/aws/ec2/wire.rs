//! Calls of EC2's Query protocol by what the SDK's own clients are made of: its orchestrator signs, connects, keeps the
//! deadlines and runs the interceptors; what is sent and what an answer says is written here.
//!
//! What this module must never do: repeat a call; send one that is not signed.

use super::super::{Action, CallError};
use aws_config::SdkConfig;
use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_sdk_rds::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_sdk_rds::config::http::{HttpRequest, HttpResponse};
use aws_sdk_rds::config::{FrozenLayer, Intercept, Layer, RuntimeComponentsBuilder};
use aws_sdk_rds::error::{BoxError, ErrorMetadata, ProvideErrorMetadata};
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{
    AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver,
};
use aws_smithy_runtime_api::client::identity::SharedIdentityResolver;
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_types::SigningName;
use aws_types::region::SigningRegion;
use serde::Deserialize;
use std::fmt;
use url::form_urlencoded;

/// Of the API.
const VERSION: &str = "2016-11-15";
const FORM: &str = "application/x-www-form-urlencoded";
const AGENT: &str = concat!("muster/", env!("CARGO_PKG_VERSION"));

/// The parameters of a call, in order.
pub(super) type Fields = Vec<(&'static str, String)>;

/// EC2 in one region, as somebody.
pub(super) struct Wire {
    config: SdkConfig,
    endpoint: String,
    signing: FrozenLayer,
    components: RuntimeComponentsBuilder,
}

/// Why there is no way to call it.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("failed to find EC2's endpoint: the region is not known")]
    UnknownRegion,
    #[error("failed to find EC2's endpoint in {region}: {source}")]
    NoEndpoint {
        region: String,
        #[source]
        source: BoxError,
    },
    #[error("failed to find any credentials to sign with")]
    MissingCredentials,
}

impl Wire {
    /// Connects to nothing yet.
    pub(super) async fn new(config: SdkConfig) -> Result<Self, WireError> {
        let region = config.region().cloned().ok_or(WireError::UnknownRegion)?;
        let endpoint = match config.endpoint_url() {
            Some(given) => given.to_owned(),
            None => endpoint_of(region.as_ref(), &config).await?,
        };
        let credentials = config.credentials_provider().ok_or(WireError::MissingCredentials)?;
        let mut signing = Layer::new("SigningOfEc2");
        signing.store_put(AuthSchemeOptionResolverParams::new(()));
        signing.store_put(SigV4OperationSigningConfig::default());
        signing.store_put(SigningName::from_static("ec2"));
        signing.store_put(SigningRegion::from(region));
        let components = RuntimeComponentsBuilder::new("SigningOfEc2")
            .with_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()))
            .with_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(
                StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]),
            )))
            .with_identity_cache(config.identity_cache())
            .with_identity_resolver(SCHEME_ID, SharedIdentityResolver::new(credentials))
            .with_http_client(config.http_client())
            .with_sleep_impl(config.sleep_impl())
            .with_time_source(config.time_source());
        Ok(Self { config, endpoint, signing: signing.freeze(), components })
    }

    /// Makes one call, and returns the body of its answer. `gate` is asked right before it leaves.
    pub(super) async fn call(
        &self,
        action: Action,
        fields: Fields,
        gate: Option<impl Intercept + 'static>,
    ) -> Result<Vec<u8>, CallError> {
        let signing = StaticRuntimePlugin::new()
            .with_config(self.signing.clone())
            .with_runtime_components(self.components.clone());
        let name = action.operation();
        let mut operation = Operation::builder()
            .service_name("EC2")
            .operation_name(name)
            .endpoint_url(&self.endpoint)
            .no_retry()
            .runtime_plugin(signing)
            .serializer(move |fields: Fields| Ok(request_of(name, &fields)))
            .deserializer(read_answer);
        if let Some(version) = self.config.behavior_version() {
            operation = operation.behavior_version(version);
        }
        if let Some(timeouts) = self.config.timeout_config() {
            operation = operation.timeout_config(timeouts.clone());
        }
        if let Some(gate) = gate {
            operation = operation.interceptor(gate);
        }
        let answer = Box::pin(operation.build().invoke(fields)).await;
        answer.map_err(|error| CallError::new(action, &error))
    }
}

/// EC2's endpoints are called as those of RDS, whose client brings AWS' table of partitions along.
async fn endpoint_of(region: &str, config: &SdkConfig) -> Result<String, WireError> {
    let failed = |source| WireError::NoEndpoint { region: region.to_owned(), source };
    let params = Params::builder()
        .region(region.to_owned())
        .use_fips(config.use_fips().unwrap_or_default())
        .use_dual_stack(config.use_dual_stack().unwrap_or_default())
        .build()
        .map_err(|error| failed(error.into()))?;
    let resolver = DefaultResolver::new();
    let endpoint = ResolveEndpoint::resolve_endpoint(&resolver, &params).await.map_err(failed)?;
    Ok(endpoint.url().replacen("://rds", "://ec2", 1))
}

fn request_of(name: &str, fields: &Fields) -> HttpRequest {
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("Action", name)
        .append_pair("Version", VERSION)
        .extend_pairs(fields)
        .finish();
    let mut request = HttpRequest::new(SdkBody::from(body));
    // A method and headers that are written here are none that could be refused.
    let _ = request.set_method("POST");
    let _ = request.set_uri("/");
    request.headers_mut().insert("content-type", FORM);
    request.headers_mut().insert("user-agent", AGENT);
    request
}

fn read_answer(response: &HttpResponse) -> Result<Vec<u8>, OrchestratorError<Refusal>> {
    let body = response.body().bytes().unwrap_or_default();
    if response.status().is_success() {
        return Ok(body.to_vec());
    }
    Err(OrchestratorError::operation(Refusal::read(body)))
}

/// `<Response><Errors><Error><Code/><Message/></Error></Errors></Response>`
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct ErrorAnswer {
    errors: Errors,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Errors {
    error: Vec<ErrorElement>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct ErrorElement {
    code: Option<String>,
    message: Option<String>,
}

/// An answer that is an error.
#[derive(Debug)]
pub(super) struct Refusal(ErrorMetadata);

impl Refusal {
    fn read(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let answer: ErrorAnswer = quick_xml::de::from_str(&text).unwrap_or_default();
        let first = answer.errors.error.into_iter().next().unwrap_or_default();
        let mut meta = ErrorMetadata::builder();
        if let Some(code) = first.code {
            meta = meta.code(code);
        }
        if let Some(message) = first.message {
            meta = meta.message(message);
        }
        Self(meta.build())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to be taken by EC2: {}", self.0)
    }
}

impl std::error::Error for Refusal {}

impl ProvideErrorMetadata for Refusal {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_config::Region;

    async fn endpoint(region: &str, fips: bool) -> String {
        let config = SdkConfig::builder().region(Region::new(region.to_owned())).use_fips(fips).build();
        endpoint_of(region, &config).await.expect("a region of AWS")
    }

    #[tokio::test]
    async fn each_region_is_called_at_its_own_endpoint() {
        assert_eq!(endpoint("us-east-1", false).await, "https://ec2.us-east-1.amazonaws.com");
        assert_eq!(endpoint("us-east-1", true).await, "https://ec2-fips.us-east-1.amazonaws.com");
        assert_eq!(endpoint("cn-north-1", false).await, "https://ec2.cn-north-1.amazonaws.com.cn");
        assert_eq!(endpoint("us-gov-west-1", false).await, "https://ec2.us-gov-west-1.amazonaws.com");
    }

    #[test]
    fn an_error_is_read_by_its_code_and_what_is_none_says_nothing() {
        let body = b"<?xml version=\"1.0\"?><Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>slow \
                     &amp; steady</Message></Error></Errors><RequestID>1</RequestID></Response>";
        let refusal = Refusal::read(body);
        assert_eq!(
            (refusal.code(), refusal.message()),
            (Some("RequestLimitExceeded"), Some("slow & steady"))
        );
        for nothing in [&b""[..], b"<html>gateway</html>", b"<Response><Errors/></Response>", b"\xff"] {
            assert_eq!(Refusal::read(nothing).code(), None);
        }
    }

    #[test]
    fn a_call_is_a_form() {
        let request = request_of("DeleteNetworkAclEntry", &vec![("NetworkAclId", "acl-0 a".to_owned())]);
        let body = request.body().bytes().map(String::from_utf8_lossy);
        let expected = "Action=DeleteNetworkAclEntry&Version=2016-11-15&NetworkAclId=acl-0+a";
        assert_eq!(body.as_deref(), Some(expected));
        assert_eq!((request.method(), request.headers().get("content-type")), ("POST", Some(FORM)));
    }
}
