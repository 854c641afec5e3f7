//! A request for another region's RDS that goes along, signed, in the one that creates a replica: with it RDS asks the region of
//! the source, as whom the source is steered. AWS' documents want it for encrypted instances, and for all in the partitions
//! `aws-cn` and `aws-us-gov`. The SDKs of other languages make it by themselves from a `SourceRegion`; this one does not.

use super::{Action, CallError};
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_rds::config::SharedCredentialsProvider;
use aws_sdk_rds::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use muster_core::facts::ErrorClass;
use std::fmt::Display;
use std::time::{Duration, SystemTime};
use url::Url;

/// RDS uses it while it takes the call. No longer than a signed call itself is valid.
const VALID: Duration = Duration::from_mins(15);
/// Of the API.
const VERSION: &str = "2014-10-31";

/// The replica that is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewReplica<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// AWS' name of the region that it is created in.
    pub(crate) region: &'a str,
    /// The ARN of what it replicates from.
    pub(crate) source: &'a str,
    /// The key of its own region that encrypts it; `None`: it is not encrypted.
    pub(crate) kms_key: Option<&'a str>,
}

/// The address, for RDS of `region`.
pub(super) async fn presign(
    of: NewReplica<'_>,
    region: &str,
    credentials: Option<SharedCredentialsProvider>,
    now: SystemTime,
) -> Result<String, CallError> {
    let provider = credentials.ok_or_else(|| unsigned("there are no credentials"))?;
    let credentials = provider.provide_credentials().await.map_err(unsigned)?;
    let params = Params::builder().region(region).build().map_err(unsigned)?;
    let endpoint = DefaultResolver::new().resolve_endpoint(&params).await.map_err(unsigned)?;
    let mut url = Url::parse(endpoint.url()).map_err(unsigned)?;
    url.query_pairs_mut().extend_pairs(parameters(of));
    let mut settings = SigningSettings::default();
    settings.expires_in = Some(VALID);
    settings.signature_location = SignatureLocation::QueryParams;
    let identity = credentials.into();
    let signing = v4::SigningParams::builder().identity(&identity).region(region).name("rds");
    let signing = signing.time(now).settings(settings).build().map_err(unsigned)?.into();
    let request = SignableRequest::new("GET", url.as_str(), std::iter::empty(), SignableBody::empty());
    let (signed, _) = sign(request.map_err(unsigned)?, &signing).map_err(unsigned)?.into_parts();
    let signature: Vec<(&str, &str)> =
        signed.params().iter().map(|(name, value)| (*name, value.as_ref())).collect();
    url.query_pairs_mut().extend_pairs(signature);
    Ok(url.into())
}

fn parameters(of: NewReplica<'_>) -> Vec<(&'static str, &str)> {
    let operation = Action::CreateDbInstanceReadReplica.operation();
    let mut all = vec![
        ("Action", operation),
        ("Version", VERSION),
        ("DBInstanceIdentifier", of.name),
        ("DestinationRegion", of.region),
        ("SourceDBInstanceIdentifier", of.source),
    ];
    all.extend(of.kms_key.map(|key| ("KmsKeyId", key)));
    all
}

/// Nothing has left.
fn unsigned(why: impl Display) -> CallError {
    let action = Action::CreateDbInstanceReadReplica;
    CallError {
        code: None,
        class: ErrorClass::Transient,
        why: format!("{action}: failed to sign it for the source's region: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_rds::config::Credentials;
    use std::collections::BTreeMap;

    const SOURCE: &str = "arn:aws:rds:us-west-2:111122223333:db:orders-west";
    const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1";

    async fn signed(region: &str, kms_key: Option<&str>) -> Url {
        let keys = Credentials::new("AKIDEXAMPLE", "secret", Some("token/+=".to_owned()), None, "given");
        let of = NewReplica { name: "orders-east", region: "us-east-1", source: SOURCE, kms_key };
        let url =
            presign(of, region, Some(SharedCredentialsProvider::new(keys)), SystemTime::UNIX_EPOCH).await;
        Url::parse(&url.expect("it is signed")).expect("an address")
    }

    #[tokio::test]
    async fn the_regions_own_endpoint_is_asked_and_everything_is_signed() {
        let url = signed("us-west-2", Some(KEY)).await;
        assert_eq!((url.scheme(), url.host_str()), ("https", Some("rds.us-west-2.amazonaws.com")));
        let said: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        for (name, value) in [
            ("Action", "CreateDBInstanceReadReplica"),
            ("DestinationRegion", "us-east-1"),
            ("SourceDBInstanceIdentifier", SOURCE),
            ("DBInstanceIdentifier", "orders-east"),
            ("KmsKeyId", KEY),
            ("X-Amz-Expires", "900"),
            ("X-Amz-SignedHeaders", "host"),
            ("X-Amz-Credential", "AKIDEXAMPLE/19700101/us-west-2/rds/aws4_request"),
            ("X-Amz-Security-Token", "token/+="),
        ] {
            assert_eq!(said.get(name).map(String::as_str), Some(value), "{url}");
        }
        assert_eq!(said["X-Amz-Signature"].len(), 64);
    }

    #[tokio::test]
    async fn each_partition_has_its_own_endpoint_and_a_replica_may_be_plain() {
        let url = signed("cn-north-1", None).await;
        assert_eq!(url.host_str(), Some("rds.cn-north-1.amazonaws.com.cn"));
        assert!(url.query_pairs().all(|(name, _)| name != "KmsKeyId"));
    }

    #[tokio::test]
    async fn without_credentials_nothing_is_signed() {
        let of = NewReplica { name: "a", region: "us-east-1", source: SOURCE, kms_key: None };
        let refused = presign(of, "us-west-2", None, SystemTime::UNIX_EPOCH).await;
        assert!(refused.is_err_and(|error| error.class == ErrorClass::Transient));
    }
}
