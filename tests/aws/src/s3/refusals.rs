//! What the service says when it does not do as it is told.

use crate::service::Refusal;

/// A refusal by S3.
#[derive(Debug, thiserror::Error)]
pub(super) enum S3Refusal {
    #[error("The specified bucket does not exist")]
    NoSuchBucket,
    #[error("The specified key does not exist.")]
    NoSuchKey,
    #[error("Access Denied")]
    AccessDenied,
    #[error("The AWS Access Key Id you provided does not exist in our records.")]
    InvalidAccessKeyId,
    #[error("At least one of the pre-conditions you specified did not hold")]
    PreconditionFailed,
    /// The bucket is in this region.
    #[error(
        "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all \
         future requests to this endpoint."
    )]
    PermanentRedirect { region: String },
    #[error("You did not provide the number of bytes specified by the Content-Length HTTP header")]
    IncompleteBody,
    /// What this fake does not know.
    #[error("A header you provided implies functionality that is not implemented: {0}")]
    NotImplemented(String),
}

impl S3Refusal {
    fn status_and_code(&self) -> (u16, &'static str) {
        match self {
            Self::NoSuchBucket => (404, "NoSuchBucket"),
            Self::NoSuchKey => (404, "NoSuchKey"),
            Self::AccessDenied => (403, "AccessDenied"),
            Self::InvalidAccessKeyId => (403, "InvalidAccessKeyId"),
            Self::PreconditionFailed => (412, "PreconditionFailed"),
            Self::PermanentRedirect { .. } => (301, "PermanentRedirect"),
            Self::IncompleteBody => (400, "IncompleteBody"),
            Self::NotImplemented(_) => (501, "NotImplemented"),
        }
    }
}

impl From<S3Refusal> for Refusal {
    fn from(refused: S3Refusal) -> Self {
        let (status, code) = refused.status_and_code();
        let mut refusal = Self::new(status, code, refused.to_string());
        if let S3Refusal::PermanentRedirect { region } = refused {
            refusal.headers.push(("x-amz-bucket-region", region));
        }
        refusal
    }
}
