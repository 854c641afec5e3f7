//! What an instance is like, as far as somebody who makes another one in its place has to know.
//!
//! What this module must never do: know what an instance does.

use super::refusals::RdsRefusal;
use crate::query::{Form, invalid_value};
use crate::service::Refusal;
use std::collections::BTreeMap;
use url::Url;

/// The settings of an instance that the API shows, and takes for a new replica.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InstanceShape {
    /// As `db.r6g.large`.
    pub class: String,
    /// The port of its endpoint.
    pub port: u16,
    /// Whether it has a standby in another zone.
    pub multi_az: bool,
    /// Whether it can be reached from outside of its network.
    pub is_public: bool,
    /// Whether it cannot be deleted.
    pub deletion_protection: bool,
    /// The group of its subnets; `None`: it has none that is shown.
    pub subnet_group: Option<String>,
    /// The subnets of that group.
    pub subnets: Vec<String>,
    /// Its group of parameters; `None`: the engine's own.
    pub parameter_group: Option<String>,
    /// Who may reach it.
    pub security_groups: Vec<String>,
    /// The key that encrypts it; `None`: it is not encrypted.
    pub kms_key: Option<String>,
    /// The logs that are kept elsewhere, too.
    pub log_exports: Vec<String>,
    /// Of its user.
    pub tags: BTreeMap<String, String>,
}

impl Default for InstanceShape {
    fn default() -> Self {
        Self {
            class: "db.r6g.large".to_owned(),
            port: 5432,
            multi_az: false,
            is_public: false,
            deletion_protection: false,
            subnet_group: None,
            subnets: Vec::new(),
            parameter_group: None,
            security_groups: Vec::new(),
            kms_key: None,
            log_exports: Vec::new(),
            tags: BTreeMap::new(),
        }
    }
}

impl InstanceShape {
    /// Of a replica that is asked for: what is not said is as at its source, or the service's own.
    pub(super) fn of_replica(form: &Form, source: &Self) -> Result<Self, Refusal> {
        let text = |name: &str| form.get(name).map(str::to_owned);
        let port = form.number("Port")?.map_or(Ok(source.port), u16::try_from);
        Ok(Self {
            class: text("DBInstanceClass").unwrap_or_else(|| source.class.clone()),
            port: port.map_err(|_| invalid_value("Port must be between 1150 and 65535"))?,
            multi_az: form.flag("MultiAZ")?,
            is_public: form.flag("PubliclyAccessible")?,
            deletion_protection: form.flag("DeletionProtection")?,
            subnet_group: text("DBSubnetGroupName"),
            // Of another region, and of a group that nobody has arranged.
            subnets: Vec::new(),
            parameter_group: text("DBParameterGroupName"),
            security_groups: owned(&form.list("VpcSecurityGroupIds.VpcSecurityGroupId")),
            kms_key: text("KmsKeyId"),
            log_exports: owned(&form.list("EnableCloudwatchLogsExports.member")),
            tags: read_tags(form),
        })
    }
}

fn owned(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn read_tags(form: &Form) -> BTreeMap<String, String> {
    let tag = |number: u32| {
        let key = form.get(&format!("Tags.Tag.{number}.Key"))?;
        let value = form.get(&format!("Tags.Tag.{number}.Value")).unwrap_or_default();
        Some((key.to_owned(), value.to_owned()))
    };
    (1..).map_while(tag).collect()
}

/// Where a replica is asked for, and of what.
pub(super) struct Asked<'a> {
    pub(super) region: &'a str,
    pub(super) source_region: &'a str,
    pub(super) source_arn: &'a str,
}

/// Refuses what the documentation of `CreateDBInstanceReadReplica` does not allow about keys, and a request to the source's region
/// that asks for something else.
pub(super) fn check_encryption(
    form: &Form,
    asked: &Asked<'_>,
    source: &InstanceShape,
) -> Result<(), Refusal> {
    let refuse = |message: &str| Err(RdsRefusal::InvalidParameterCombination(message.to_owned()).into());
    let is_elsewhere = asked.region != asked.source_region;
    let (key, url) = (form.get("KmsKeyId"), form.get("PreSignedUrl"));
    match (&source.kms_key, key) {
        (None, Some(_)) => {
            return refuse("Cannot create an encrypted Read Replica from an unencrypted DB instance");
        }
        (Some(_), None) if is_elsewhere => {
            return refuse(
                "Cannot create a cross region encrypted Read Replica without specifying a KMS key",
            );
        }
        (Some(_), Some(_)) if is_elsewhere && url.is_none() => {
            return refuse("Cannot create a cross region encrypted Read Replica without a PreSignedUrl");
        }
        _ => {}
    }
    match url {
        Some(_) if !is_elsewhere => refuse("PreSignedUrl is for a source in another region"),
        Some(url) => check_url(url, form, asked),
        None => Ok(()),
    }
}

fn check_url(text: &str, form: &Form, asked: &Asked<'_>) -> Result<(), Refusal> {
    let refused = || invalid_value("Presigned URL could not be authenticated");
    let url = Url::parse(text).map_err(|_| refused())?;
    let said: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    let says = |name: &str, value: Option<&str>| said.get(name).map(String::as_str) == value;
    let host = format!("rds.{}.amazonaws.com", asked.source_region);
    let scope = format!("/{}/rds/aws4_request", asked.source_region);
    let holds = url.scheme() == "https"
        && url.host_str() == Some(host.as_str())
        && says("Action", Some("CreateDBInstanceReadReplica"))
        && says("DestinationRegion", Some(asked.region))
        && says("SourceDBInstanceIdentifier", Some(asked.source_arn))
        && says("KmsKeyId", form.get("KmsKeyId"))
        && said.get("X-Amz-Credential").is_some_and(|credential| credential.ends_with(&scope))
        && said.contains_key("X-Amz-Signature");
    if holds { Ok(()) } else { Err(refused()) }
}
