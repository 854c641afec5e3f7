//! The buckets, their objects, and who may see them.
//!
//! What this module must never do: judge a condition against another state than the one that is then written.

use super::refusals::S3Refusal;
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

/// A bucket, in its region.
pub(super) struct Bucket {
    account: String,
    region: String,
    objects: BTreeMap<String, Object>,
    /// The keys that everybody may read.
    public: BTreeSet<String>,
}

impl Bucket {
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

    /// What a stranger sees. An absent object is denied as well: whether it exists is told only to those who may list.
    pub(super) fn public_object(&self, key: &str) -> Result<&Object, S3Refusal> {
        let object = self.objects.get(key).filter(|_| self.public.contains(key));
        object.ok_or(S3Refusal::AccessDenied)
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
}

impl Store {
    pub(super) fn create_bucket(&mut self, account: &str, name: &str, region: &str) -> Option<()> {
        if self.buckets.contains_key(name) {
            return None;
        }
        let bucket = Bucket {
            account: account.to_owned(),
            region: region.to_owned(),
            objects: BTreeMap::new(),
            public: BTreeSet::new(),
        };
        self.buckets.insert(name.to_owned(), bucket);
        Some(())
    }

    pub(super) fn allow_anonymous_read(&mut self, bucket: &str, key: &str) -> Option<()> {
        self.buckets.get_mut(bucket)?.public.insert(key.to_owned());
        Some(())
    }

    pub(super) fn bucket(&self, name: &str) -> Result<&Bucket, S3Refusal> {
        self.buckets.get(name).ok_or(S3Refusal::NoSuchBucket)
    }

    pub(super) fn bucket_mut(&mut self, name: &str) -> Result<&mut Bucket, S3Refusal> {
        self.buckets.get_mut(name).ok_or(S3Refusal::NoSuchBucket)
    }
}
