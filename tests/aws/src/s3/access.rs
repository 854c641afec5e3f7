//! Who may read a bucket beside its owner: its policy, and what keeps it from being public.
//!
//! What this module must never do: take a statement that it would not go by for one that lets strangers in.

use super::refusals::S3Refusal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// As it is sent and given back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "AWS' own four switches")]
pub(super) struct PublicAccessBlock {
    pub(super) block_public_acls: bool,
    pub(super) ignore_public_acls: bool,
    /// A policy that lets everybody in is refused.
    pub(super) block_public_policy: bool,
    /// One that is there lets nobody in.
    pub(super) restrict_public_buckets: bool,
}

impl PublicAccessBlock {
    /// Of a bucket that the API creates.
    pub(super) const ALL: Self = Self {
        block_public_acls: true,
        ignore_public_acls: true,
        block_public_policy: true,
        restrict_public_buckets: true,
    };

    pub(super) fn read(body: &[u8]) -> Result<Self, S3Refusal> {
        let text = std::str::from_utf8(body).map_err(|_| S3Refusal::MalformedXml)?;
        quick_xml::de::from_str(text).map_err(|_| S3Refusal::MalformedXml)
    }
}

/// A bucket's policy.
pub(super) struct BucketPolicy {
    /// As it was sent.
    pub(super) text: String,
    /// The ARNs that everybody may read.
    readable: BTreeSet<String>,
}

impl BucketPolicy {
    pub(super) fn read(body: &[u8]) -> Result<Self, S3Refusal> {
        let document: Value = serde_json::from_slice(body).map_err(|_| S3Refusal::MalformedPolicy)?;
        let statements = document.get("Statement").and_then(Value::as_array);
        let statements = statements.ok_or(S3Refusal::MalformedPolicy)?;
        let readable = statements.iter().filter(|statement| lets_everybody_read(statement));
        let readable = readable.flat_map(|statement| words(statement.get("Resource"))).collect();
        let text = String::from_utf8(body.to_vec()).map_err(|_| S3Refusal::MalformedPolicy)?;
        Ok(Self { text, readable })
    }

    /// Whether anybody is let in that the account does not know.
    pub(super) fn is_public(&self) -> bool {
        !self.readable.is_empty()
    }

    pub(super) fn lets_read(&self, bucket: &str, key: &str) -> bool {
        self.readable.contains(&format!("arn:aws:s3:::{bucket}/{key}"))
    }
}

/// One with a condition is not gone by.
fn lets_everybody_read(statement: &Value) -> bool {
    statement.get("Effect").is_some_and(|effect| effect == "Allow")
        && statement.get("Principal").is_some_and(|principal| principal == "*")
        && statement.get("Condition").is_none()
        && words(statement.get("Action")).iter().any(|action| action == "s3:GetObject")
}

/// One or several.
fn words(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}
