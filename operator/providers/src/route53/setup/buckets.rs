//! Buckets whose one object the health checkers may read.
//!
//! What this module must never do: take a statement out of a bucket's policy, or let anybody do more than read these objects.

use super::calls::{FailedCall, SetupCall, SetupError};
use super::wanted::READERS_SID;
use super::{NameSetup, Step};
use crate::aws::{Account, Action};
use aws_sdk_s3::types::{
    BucketLocationConstraint, CreateBucketConfiguration, PublicAccessBlockConfiguration,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::sleep;

/// To give a bucket its policy.
const ATTEMPTS: u32 = 8;

/// A bucket that is needed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bucket {
    pub(super) name: String,
    pub(super) region: String,
    /// The ARNs of the objects that everybody may read.
    pub(super) objects: Vec<String>,
}

/// Each bucket once: names may share one.
pub(super) fn buckets_of(names: &[NameSetup]) -> Vec<Bucket> {
    let mut buckets: BTreeMap<&str, Bucket> = BTreeMap::new();
    for name in names {
        for place in name.markers.values() {
            let bucket = buckets.entry(&place.bucket).or_insert_with(|| Bucket {
                name: place.bucket.clone(),
                region: place.aws_region.clone(),
                objects: Vec::new(),
            });
            let object = place.object_arn(&name.partition);
            if !bucket.objects.contains(&object) {
                bucket.objects.push(object);
            }
        }
    }
    buckets.into_values().collect()
}

impl Bucket {
    fn about(&self) -> String {
        format!("bucket {}", self.name)
    }

    /// What it lacks.
    pub(super) async fn look(&self, account: &Account) -> Result<Vec<Step>, SetupError> {
        if !self.is_there(account).await? {
            return Ok(vec![
                Step::CreateBucket(self.clone()),
                Step::OpenBucket(self.clone()),
                Step::LetCheckersRead(self.clone()),
            ]);
        }
        let mut steps = Vec::new();
        let policy = self.policy(account).await?;
        if self.block_to_open(account).await?.is_some() {
            self.refuse_other_readers(policy.as_deref())?;
            steps.push(Step::OpenBucket(self.clone()));
        }
        if self.allow_reading(policy.as_deref())?.is_some() {
            steps.push(Step::LetCheckersRead(self.clone()));
        }
        Ok(steps)
    }

    /// What a block keeps from strangers today must not be opened to them on the way.
    fn refuse_other_readers(&self, policy: Option<&str>) -> Result<(), SetupError> {
        let document: Value = policy.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let statements = match &document["Statement"] {
            Value::Array(several) => several.as_slice(),
            one => std::slice::from_ref(one),
        };
        let is_other = |statement: &&Value| {
            statement["Effect"] == "Allow" && is_everybody(statement) && statement["Sid"] != READERS_SID
        };
        if !statements.iter().any(|statement| is_other(&statement)) {
            return Ok(());
        }
        let what = format!(
            "the policy of the bucket {} lets everybody in elsewhere too, which its block of public access prevents",
            self.name
        );
        Err(SetupError::in_the_way(
            what,
            "Use a bucket that holds nothing else, or take that statement away.",
        ))
    }

    async fn is_there(&self, account: &Account) -> Result<bool, SetupError> {
        let head = account.s3(&self.region).await.head_bucket().bucket(&self.name);
        let Err(error) = Box::pin(head.send()).await else { return Ok(true) };
        let failed = FailedCall::new(SetupCall::HeadBucket, &error);
        match failed.status {
            404 => Ok(false),
            301 => Err(SetupError::in_the_way(
                format!("the bucket {} is not in {}", self.name, self.region),
                "Correct bucketRegion in the policy, or use another bucket.",
            )),
            403 => Err(SetupError::Call {
                about: self.about(),
                call: SetupCall::HeadBucket,
                is_denied: true,
                why: format!("{}: refused; or the bucket is another account's", SetupCall::HeadBucket),
            }),
            _ => Err(failed.about(self.about())),
        }
    }

    /// What keeps policies from being public; `None`: nothing does.
    async fn block_to_open(
        &self,
        account: &Account,
    ) -> Result<Option<PublicAccessBlockConfiguration>, SetupError> {
        let get = account.s3(&self.region).await.get_public_access_block().bucket(&self.name);
        match Box::pin(get.send()).await {
            Ok(got) => Ok(got.public_access_block_configuration.filter(is_closed)),
            Err(error) => {
                let failed = FailedCall::new(SetupCall::GetPublicAccessBlock, &error);
                if failed.is("NoSuchPublicAccessBlockConfiguration") {
                    Ok(None)
                } else {
                    Err(failed.about(self.about()))
                }
            }
        }
    }

    async fn policy(&self, account: &Account) -> Result<Option<String>, SetupError> {
        let get = account.s3(&self.region).await.get_bucket_policy().bucket(&self.name);
        match Box::pin(get.send()).await {
            Ok(got) => Ok(got.policy),
            Err(error) => {
                let failed = FailedCall::new(SetupCall::GetBucketPolicy, &error);
                if failed.is("NoSuchBucketPolicy") { Ok(None) } else { Err(failed.about(self.about())) }
            }
        }
    }

    /// The policy with what it lacks; `None`: nothing. A condition that a person put on reading stays.
    fn allow_reading(&self, current: Option<&str>) -> Result<Option<Value>, SetupError> {
        let strange = || {
            let what = format!("the policy of the bucket {} is none that can be added to", self.name);
            SetupError::in_the_way(what, "Let everybody read the object by hand, or use another bucket.")
        };
        let empty = || json!({"Version": "2012-10-17", "Statement": []});
        let mut document: Value =
            current.map_or_else(|| Ok(empty()), serde_json::from_str).map_err(|_| strange())?;
        let statements = document.get_mut("Statement").ok_or_else(strange)?;
        if statements.is_object() {
            *statements = json!([statements.take()]);
        }
        let statements = statements.as_array_mut().ok_or_else(strange)?;
        let is_lacking = |object: &&String| !statements.iter().any(|statement| lets_read(statement, object));
        let lacking: Vec<String> = self.objects.iter().filter(is_lacking).cloned().collect();
        if lacking.is_empty() {
            return Ok(None);
        }
        let own = statements.iter_mut().find(|statement| statement["Sid"] == READERS_SID);
        match own {
            Some(own) => {
                let mut resources = words(&own["Resource"]);
                resources.extend(lacking);
                own["Resource"] = json!(resources);
            }
            None => statements.push(readers(&lacking)),
        }
        Ok(Some(document))
    }
}

fn readers(objects: &[String]) -> Value {
    let resource = if let [one] = objects { json!(one) } else { json!(objects) };
    json!({
        "Sid": READERS_SID,
        "Effect": "Allow",
        "Principal": "*",
        "Action": Action::GetObject.name(),
        "Resource": resource,
    })
}

fn lets_read(statement: &Value, object: &str) -> bool {
    statement["Effect"] == "Allow"
        && is_everybody(statement)
        && words(&statement["Action"]).iter().any(|action| action == Action::GetObject.name())
        && words(&statement["Resource"]).iter().any(|resource| resource == object)
}

fn is_everybody(statement: &Value) -> bool {
    statement["Principal"] == "*" || statement["Principal"] == json!({"AWS": "*"})
}

/// One or several.
fn words(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn is_closed(block: &PublicAccessBlockConfiguration) -> bool {
    block.block_public_policy() == Some(true) || block.restrict_public_buckets() == Some(true)
}

/// What it says of access lists stays.
fn opened(block: &PublicAccessBlockConfiguration) -> PublicAccessBlockConfiguration {
    let mut block = block.clone();
    block.block_public_policy = Some(false);
    block.restrict_public_buckets = Some(false);
    block
}

impl Bucket {
    pub(super) async fn create(&self, account: &Account) -> Result<(), SetupError> {
        let mut create = account.s3(&self.region).await.create_bucket().bucket(&self.name);
        // Of this one region S3 takes no constraint.
        if self.region != "us-east-1" {
            let place = BucketLocationConstraint::from(self.region.as_str());
            let place = CreateBucketConfiguration::builder().location_constraint(place).build();
            create = create.create_bucket_configuration(place);
        }
        let Err(error) = Box::pin(create.send()).await else { return Ok(()) };
        let failed = FailedCall::new(SetupCall::CreateBucket, &error);
        if failed.is("BucketAlreadyOwnedByYou") {
            return Ok(());
        }
        if failed.is("BucketAlreadyExists") {
            let what = format!("the name {} is taken by another account's bucket", self.name);
            return Err(SetupError::in_the_way(what, "Choose another bucket in the policy."));
        }
        Err(failed.about(self.about()))
    }

    /// Reads anew what it opens: a person may have taken their time to agree.
    pub(super) async fn open(&self, account: &Account) -> Result<(), SetupError> {
        let Some(block) = self.block_to_open(account).await? else { return Ok(()) };
        let put = account.s3(&self.region).await.put_public_access_block().bucket(&self.name);
        let put = put.public_access_block_configuration(opened(&block));
        let failed = |error| FailedCall::new(SetupCall::PutPublicAccessBlock, &error).about(self.about());
        Box::pin(put.send()).await.map(|_| ()).map_err(failed)
    }

    /// Reads anew what it adds to, for the same reason. A block that was just opened is not known everywhere at once: what it
    /// refuses is tried again, `poll` apart.
    pub(super) async fn let_read(&self, account: &Account, poll: Duration) -> Result<(), SetupError> {
        let current = self.policy(account).await?;
        let Some(policy) = self.allow_reading(current.as_deref())?.map(|policy| policy.to_string()) else {
            return Ok(());
        };
        let client = account.s3(&self.region).await;
        let mut attempt = 1;
        loop {
            let put = client.put_bucket_policy().bucket(&self.name).policy(&policy);
            let Err(error) = Box::pin(put.send()).await else { return Ok(()) };
            let failed = FailedCall::new(SetupCall::PutBucketPolicy, &error);
            if attempt == ATTEMPTS || !failed.why().contains("BlockPublicPolicy") {
                return Err(failed.about(self.about()));
            }
            attempt += 1;
            sleep(poll).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &str = "arn:aws:s3:::markers/shop";

    fn bucket() -> Bucket {
        let objects = vec![OBJECT.to_owned(), "arn:aws:s3:::markers/cart".to_owned()];
        Bucket { name: "markers".to_owned(), region: "us-west-2".to_owned(), objects }
    }

    fn added(current: Option<&str>) -> Option<Value> {
        bucket().allow_reading(current).expect("a policy that can be added to")
    }

    #[test]
    fn what_a_policy_says_already_stays_and_nothing_is_said_twice() {
        let made = added(None).expect("none is there");
        assert_eq!(made["Statement"][0]["Resource"], json!(bucket().objects));
        assert_eq!(added(Some(&made.to_string())), None);
        let other = json!({"Version": "2012-10-17", "Statement": {"Sid": "Tls", "Effect": "Deny"}});
        let both = added(Some(&other.to_string())).expect("it lacks both");
        assert_eq!(both["Statement"][0]["Sid"], "Tls");
        assert_eq!(both["Statement"][1], made["Statement"][0]);
        assert_eq!(added(Some(&both.to_string())), None);
    }

    #[test]
    fn a_condition_on_reading_is_a_person_s_own_matter() {
        let mut own = readers(&[OBJECT.to_owned()]);
        own["Condition"] = json!({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}});
        let document = json!({"Version": "2012-10-17", "Statement": [own]});
        let more = added(Some(&document.to_string())).expect("it lacks one object");
        assert_eq!(more["Statement"][0]["Condition"], document["Statement"][0]["Condition"]);
        assert_eq!(more["Statement"][0]["Resource"], json!(bucket().objects));
        assert_eq!(more["Statement"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn what_a_block_keeps_from_strangers_is_not_opened_to_them() {
        let with = |statement: Value| json!({"Statement": [statement]}).to_string();
        let all = json!({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:*"});
        assert!(bucket().refuse_other_readers(Some(&with(all))).is_err());
        let own = json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}});
        for harmless in [with(own), with(readers(&[OBJECT.to_owned()])), "no JSON".to_owned()] {
            assert!(bucket().refuse_other_readers(Some(&harmless)).is_ok(), "{harmless}");
        }
        assert!(bucket().refuse_other_readers(None).is_ok());
    }

    #[test]
    fn a_policy_that_is_none_is_left_alone() {
        for strange in ["[]", "{}", "no JSON", r#"{"Statement": 1}"#] {
            assert!(bucket().allow_reading(Some(strange)).is_err(), "{strange}");
        }
    }
}
