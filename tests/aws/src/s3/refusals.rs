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
    /// By the bucket's block, or by that of its account.
    #[error(
        "User: arn:aws:iam::{account}:user/fake is not authorized to perform: s3:PutBucketPolicy on resource: \
         \"arn:aws:s3:::{bucket}\" because public policies are prevented by the BlockPublicPolicy setting in S3 Block \
         Public Access."
    )]
    PublicPolicyBlocked { account: String, bucket: String },
    #[error("The bucket policy does not exist")]
    NoSuchBucketPolicy,
    #[error("The public access block configuration was not found")]
    NoSuchPublicAccessBlock,
    #[error("This policy contains invalid Json")]
    MalformedPolicy,
    #[error("The XML you provided was not well-formed or did not validate against our published schema")]
    MalformedXml,
    #[error(
        "The requested bucket name is not available. The bucket namespace is shared by all users of the system. \
         Please select a different name and try again."
    )]
    BucketAlreadyExists,
    #[error("Your previous request to create the named bucket succeeded and you already own it.")]
    BucketAlreadyOwnedByYou,
    #[error(
        "The {0} location constraint is incompatible for the region specific endpoint this request was sent to."
    )]
    IllegalLocationConstraint(String),
    #[error("The specified location-constraint is not valid")]
    InvalidLocationConstraint,
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
            Self::AccessDenied | Self::PublicPolicyBlocked { .. } => (403, "AccessDenied"),
            Self::NoSuchBucketPolicy => (404, "NoSuchBucketPolicy"),
            Self::NoSuchPublicAccessBlock => (404, "NoSuchPublicAccessBlockConfiguration"),
            Self::MalformedPolicy => (400, "MalformedPolicy"),
            Self::MalformedXml => (400, "MalformedXML"),
            Self::BucketAlreadyExists => (409, "BucketAlreadyExists"),
            Self::BucketAlreadyOwnedByYou => (409, "BucketAlreadyOwnedByYou"),
            Self::IllegalLocationConstraint(_) => (400, "IllegalLocationConstraintException"),
            Self::InvalidLocationConstraint => (400, "InvalidLocationConstraint"),
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
