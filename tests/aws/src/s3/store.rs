//! The buckets, their objects, and who may see them.
//!
//! What this module must never do: judge a condition against another state than the one that is then written.

use super::access::{BucketPolicy, PublicAccessBlock};
use super::refusals::S3Refusal;
use super::routes::Listing;
use hyper::body::Bytes;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What stands under a key.
pub(super) struct Object {
    /// With its quotation marks.
    pub(super) etag: String,
    pub(super) content_type: String,
    pub(super) modified: Timestamp,
    pub(super) body: Bytes,
}

/// What a write finds under its key, or it is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Condition {
    Always,
    /// `If-None-Match: *`.
    Absent,
    /// `If-Match: *`.
    Present,
    /// `If-Match`, with the quotation marks.
    Unchanged(String),
}

/// An object that is to be written.
pub(super) struct Write {
    pub(super) condition: Condition,
    pub(super) object: Object,
}

/// A part of a list.
pub(super) struct Page<'a> {
    pub(super) objects: Vec<(&'a str, &'a Object)>,
    pub(super) is_truncated: bool,
}

/// A bucket, in its region.
pub(super) struct Bucket {
    name: String,
    account: String,
    region: String,
    objects: BTreeMap<String, Object>,
    /// The keys that everybody may read.
    public: BTreeSet<String>,
    policy: Option<BucketPolicy>,
    /// `None`: a person removed it.
    block: Option<PublicAccessBlock>,
}

impl Bucket {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn region(&self) -> &str {
        &self.region
    }

    pub(super) fn region_header(&self) -> (&'static str, String) {
        ("x-amz-bucket-region", self.region.clone())
    }

    pub(super) fn admit_region(&self, region: &str) -> Result<(), S3Refusal> {
        if region == self.region {
            Ok(())
        } else {
            Err(S3Refusal::PermanentRedirect { region: self.region.clone() })
        }
    }

    /// The caller owns the bucket, and expects nobody else to.
    pub(super) fn admit_owner(&self, account: &str, expected: Option<&str>) -> Result<(), S3Refusal> {
        let is_expected = expected.is_none_or(|owner| owner == self.account);
        if account == self.account && is_expected { Ok(()) } else { Err(S3Refusal::AccessDenied) }
    }

    pub(super) fn object(&self, key: &str) -> Result<&Object, S3Refusal> {
        self.objects.get(key).ok_or(S3Refusal::NoSuchKey)
    }

    /// In the order of their keys' octets, as S3 lists them.
    pub(super) fn list(&self, listing: &Listing) -> Page<'_> {
        let after = listing.after.as_deref();
        let of_them = |(key, _): &(&String, &Object)| {
            key.starts_with(&listing.prefix) && after.is_none_or(|after| key.as_str() > after)
        };
        let mut objects: Vec<(&str, &Object)> =
            self.objects.iter().filter(of_them).map(|(key, object)| (key.as_str(), object)).collect();
        let is_truncated = objects.len() > listing.limit;
        objects.truncate(listing.limit);
        Page { objects, is_truncated }
    }

    /// What a stranger sees. An absent object is denied as well: whether it exists is told only to those who may list.
    pub(super) fn public_object(&self, key: &str) -> Result<&Object, S3Refusal> {
        let object = self.objects.get(key).filter(|_| self.public.contains(key) || self.is_let_read(key));
        object.ok_or(S3Refusal::AccessDenied)
    }

    fn is_let_read(&self, key: &str) -> bool {
        let is_restricted = self.block.is_some_and(|block| block.restrict_public_buckets);
        !is_restricted && self.policy.as_ref().is_some_and(|policy| policy.lets_read(&self.name, key))
    }

    pub(super) fn policy(&self) -> Result<&str, S3Refusal> {
        self.policy.as_ref().map(|policy| policy.text.as_str()).ok_or(S3Refusal::NoSuchBucketPolicy)
    }

    pub(super) fn block(&self) -> Result<PublicAccessBlock, S3Refusal> {
        self.block.ok_or(S3Refusal::NoSuchPublicAccessBlock)
    }

    pub(super) fn set_block(&mut self, block: PublicAccessBlock) {
        self.block = Some(block);
    }

    /// `account_blocks`: whether its account lets no policy be public.
    pub(super) fn set_policy(&mut self, policy: BucketPolicy, account_blocks: bool) -> Result<(), S3Refusal> {
        let is_blocked = account_blocks || self.block.is_some_and(|block| block.block_public_policy);
        if is_blocked && policy.is_public() {
            let (account, bucket) = (self.account.clone(), self.name.clone());
            return Err(S3Refusal::PublicPolicyBlocked { account, bucket });
        }
        self.policy = Some(policy);
        Ok(())
    }

    /// Writes if the condition holds, and returns the new `ETag`.
    pub(super) fn put(&mut self, key: &str, write: Write) -> Result<String, S3Refusal> {
        self.judge(key, &write.condition)?;
        let etag = write.object.etag.clone();
        self.objects.insert(key.to_owned(), write.object);
        Ok(etag)
    }

    /// Removes what stands there, if anything does and the condition holds.
    pub(super) fn delete(&mut self, key: &str, condition: &Condition) -> Result<(), S3Refusal> {
        self.judge(key, condition)?;
        self.objects.remove(key);
        Ok(())
    }

    fn judge(&self, key: &str, condition: &Condition) -> Result<(), S3Refusal> {
        match (condition, self.objects.get(key)) {
            (Condition::Always, _) | (Condition::Absent, None) | (Condition::Present, Some(_)) => Ok(()),
            (Condition::Present | Condition::Unchanged(_), None) => Err(S3Refusal::NoSuchKey),
            (Condition::Unchanged(etag), Some(object)) if *etag == object.etag => Ok(()),
            (Condition::Absent | Condition::Unchanged(_), Some(_)) => Err(S3Refusal::PreconditionFailed),
        }
    }
}

/// The state of the service.
#[derive(Default)]
pub(super) struct Store {
    /// By name, of which there is one in all the world.
    buckets: BTreeMap<String, Bucket>,
    /// The accounts that let no policy be public.
    blocking: BTreeSet<String>,
}

impl Store {
    pub(super) fn create_bucket(&mut self, account: &str, name: &str, region: &str) -> Option<()> {
        if self.buckets.contains_key(name) {
            return None;
        }
        let bucket = Bucket {
            name: name.to_owned(),
            account: account.to_owned(),
            region: region.to_owned(),
            objects: BTreeMap::new(),
            public: BTreeSet::new(),
            policy: None,
            block: None,
        };
        self.buckets.insert(name.to_owned(), bucket);
        Some(())
    }

    /// As the API does: nothing of it is public.
    pub(super) fn create_private_bucket(
        &mut self,
        account: &str,
        name: &str,
        region: &str,
    ) -> Result<(), S3Refusal> {
        match self.buckets.get(name) {
            None => {
                self.create_bucket(account, name, region);
                self.bucket_mut(name)?.set_block(PublicAccessBlock::ALL);
                Ok(())
            }
            Some(known) if known.account != account => Err(S3Refusal::BucketAlreadyExists),
            // Of this one region a repetition is no error.
            Some(known) if known.region == "us-east-1" && region == "us-east-1" => Ok(()),
            Some(_) => Err(S3Refusal::BucketAlreadyOwnedByYou),
        }
    }

    pub(super) fn block_public_policies(&mut self, account: &str) {
        self.blocking.insert(account.to_owned());
    }

    pub(super) fn blocks_public_policies(&self, account: &str) -> bool {
        self.blocking.contains(account)
    }

    pub(super) fn allow_anonymous_read(&mut self, bucket: &str, key: &str) -> Option<()> {
        self.buckets.get_mut(bucket)?.public.insert(key.to_owned());
        Some(())
    }

    pub(super) fn deny_anonymous_read(&mut self, bucket: &str, key: &str) -> Option<()> {
        self.buckets.get_mut(bucket)?.public.remove(key);
        Some(())
    }

    pub(super) fn bucket(&self, name: &str) -> Result<&Bucket, S3Refusal> {
        self.buckets.get(name).ok_or(S3Refusal::NoSuchBucket)
    }

    pub(super) fn bucket_mut(&mut self, name: &str) -> Result<&mut Bucket, S3Refusal> {
        self.buckets.get_mut(name).ok_or(S3Refusal::NoSuchBucket)
    }
}
