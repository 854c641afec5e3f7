//! The calls that set a name up, and how one fails. A person makes them, with rights of their own: they are none of
//! [`crate::aws::permissions`], which is all that Muster itself may do.

use crate::aws::CallError;
use crate::dns::NameError;
use aws_sdk_route53::config::http::HttpResponse;
use aws_sdk_route53::error::{BuildError, ProvideErrorMetadata, SdkError};
use muster_core::facts::ErrorClass;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// A call that sets a name up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "AWS' own names")]
pub enum SetupCall {
    HeadBucket,
    CreateBucket,
    GetPublicAccessBlock,
    PutPublicAccessBlock,
    GetBucketPolicy,
    PutBucketPolicy,
    ListHealthChecks,
    CreateHealthCheck,
    GetHealthCheckStatus,
    ListResourceRecordSets,
    ChangeResourceRecordSets,
}

impl SetupCall {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::HeadBucket,
        Self::CreateBucket,
        Self::GetPublicAccessBlock,
        Self::PutPublicAccessBlock,
        Self::GetBucketPolicy,
        Self::PutBucketPolicy,
        Self::ListHealthChecks,
        Self::CreateHealthCheck,
        Self::GetHealthCheckStatus,
        Self::ListResourceRecordSets,
        Self::ChangeResourceRecordSets,
    ];

    /// The right to it, as IAM names it.
    pub const fn right(self) -> &'static str {
        match self {
            Self::HeadBucket => "s3:ListBucket",
            Self::CreateBucket => "s3:CreateBucket",
            Self::GetPublicAccessBlock => "s3:GetBucketPublicAccessBlock",
            Self::PutPublicAccessBlock => "s3:PutBucketPublicAccessBlock",
            Self::GetBucketPolicy => "s3:GetBucketPolicy",
            Self::PutBucketPolicy => "s3:PutBucketPolicy",
            Self::ListHealthChecks => "route53:ListHealthChecks",
            Self::CreateHealthCheck => "route53:CreateHealthCheck",
            Self::GetHealthCheckStatus => "route53:GetHealthCheckStatus",
            Self::ListResourceRecordSets => "route53:ListResourceRecordSets",
            Self::ChangeResourceRecordSets => "route53:ChangeResourceRecordSets",
        }
    }
}

impl fmt::Display for SetupCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.right())
    }
}

/// Why a name is not set up, or not wholly. What was made before stays, and is found again.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A call failed.
    #[error("{about}: {why}")]
    Call {
        /// On what.
        about: String,
        /// What was called.
        call: SetupCall,
        /// Whether whoever calls may not.
        is_denied: bool,
        /// AWS' words, behind the right to the call.
        why: String,
    },
    /// Something is there that only a person should change.
    #[error("{what}")]
    InTheWay {
        /// What it is.
        what: String,
        /// What to do about it.
        fix: String,
    },
    /// The checkers of the new health checks have not all reported.
    #[error("after {} s the health checks are not all quiet: {what}", .waited.as_secs())]
    NotQuiet {
        /// So long were they waited for.
        waited: Duration,
        /// What each said last.
        what: String,
    },
    /// The plan's name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A request lacks a part.
    #[error("failed to make the request: {0}")]
    Build(#[from] BuildError),
}

impl SetupError {
    pub(super) fn in_the_way(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::InTheWay { what: what.into(), fix: fix.into() }
    }

    /// What to do about it; empty: the message says all.
    pub fn fix(&self) -> String {
        match self {
            Self::Call { is_denied: true, why, .. } if why.contains("BlockPublicPolicy") => {
                "Switch BlockPublicPolicy and RestrictPublicBuckets off in the block of public access of the account \
                 too. aws s3control get-public-access-block --account-id ACCOUNT shows it (aws sts \
                 get-caller-identity tells the account), put-public-access-block changes it."
                    .to_owned()
            }
            Self::Call { why, .. } if is_over_quota(why) => {
                "The account has as many health checks as its quota allows: 200, unless it was raised (aws route53 \
                 get-account-limit --type MAX_HEALTH_CHECKS_BY_OWNER). Raise it at Service Quotas (Route 53, in \
                 us-east-1), or delete some that nothing uses. Run it again then: what is there already is found again."
                    .to_owned()
            }
            Self::Call { is_denied: true, call, .. } => format!(
                "Your credentials, not Muster's, need {call}; docs/aws.md lists all rights that --apply takes. Run it \
                 again then: it goes on where it stopped."
            ),
            Self::Call { .. } => "Run it again: what is there already is found again.".to_owned(),
            Self::InTheWay { fix, .. } => fix.clone(),
            Self::NotQuiet { .. } => {
                "Run it again later: the records are made once they are. Until then nothing moved.".to_owned()
            }
            Self::Name(_) | Self::Build(_) => String::new(),
        }
    }

    /// Whether a person has to change something first.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Call { is_denied, why, .. } => *is_denied || is_over_quota(why),
            Self::InTheWay { .. } | Self::Name(_) => true,
            Self::NotQuiet { .. } | Self::Build(_) => false,
        }
    }
}

/// AWS' word where an account may have no more health checks.
fn is_over_quota(why: &str) -> bool {
    why.contains("TooManyHealthChecks")
}

/// A call that failed, with AWS' own word for it.
pub(super) struct FailedCall {
    call: SetupCall,
    error: CallError,
    /// HTTP's; 0 without an answer.
    pub(super) status: u16,
}

impl FailedCall {
    pub(super) fn new<E>(call: SetupCall, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let status = error.raw_response().map_or(0, |response| response.status().as_u16());
        Self { call, error: CallError::new(call, error), status }
    }

    pub(super) fn is(&self, code: &str) -> bool {
        self.error.code.as_deref() == Some(code)
    }

    pub(super) fn why(&self) -> &str {
        &self.error.why
    }

    /// Whether asking again may help.
    pub(super) const fn may_pass(&self) -> bool {
        !self.error.is_for_good()
    }

    /// An answer to `HEAD` has no words, so its status counts as well.
    pub(super) fn about(self, about: impl Into<String>) -> SetupError {
        let is_denied = self.error.class == ErrorClass::Denied || self.status == 403;
        SetupError::Call { about: about.into(), call: self.call, is_denied, why: self.error.why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever reads the docs gives these rights to themselves before the first run.
    #[test]
    fn the_docs_list_the_right_to_every_call() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/aws.md");
        let docs = std::fs::read_to_string(file).expect("docs/aws.md");
        let table = docs.split("### Rights of the person").nth(1).expect("its part of docs/aws.md");
        let table =
            table.split("\n## ").next().unwrap_or_default().split("\n### ").next().unwrap_or_default();
        for call in SetupCall::ALL {
            assert!(
                table.contains(&format!("`{call}`")),
                "docs/aws.md does not say that --apply takes {call}"
            );
        }
    }
}
