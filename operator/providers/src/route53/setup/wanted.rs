//! What a name that objects move is set up with: numbers, names and references, the same however it is made.

use super::super::health_object::MarkerPlace;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Of a health check that watches an object, in seconds: the shorter of the two that there are. It cannot be changed later.
pub const CHECK_INTERVAL_S: u32 = 10;
/// Looks in a row that make such a health check change its mind.
pub const CHECK_FAILURES: u32 = 2;
/// So long does such a health check take, in seconds, to change its mind.
pub const CHECK_NOTICE_S: u32 = CHECK_INTERVAL_S * CHECK_FAILURES;
/// What the statement of a bucket's policy is called that lets the health checkers read.
pub const READERS_SID: &str = "HealthCheckersReadTheOneObject";

/// The health check that pins names. It is disabled, so nothing is ever asked there; the API takes none without an endpoint.
pub const PIN_HOST: &str = "always-healthy.example.com";
/// Of that endpoint.
pub const PIN_PORT: u32 = 80;
/// Of that health check, in seconds: what costs nothing extra.
pub const PIN_INTERVAL_S: u32 = 30;
/// The API's own.
pub const PIN_FAILURES: u32 = 3;
/// What [`caller_reference`] makes of the health check that pins.
pub const PIN_STEM: &str = "muster-pin";

/// What a health check is asked for by: asked for twice, it is made once. `number`: from 1, and one more for each that was
/// deleted, for the API never takes the reference of a deleted one again.
pub fn caller_reference(stem: &str, number: u32) -> String {
    format!("{stem}-{number}")
}

impl MarkerPlace {
    /// Where a health check finds the bucket, in this partition of AWS.
    pub fn host(&self, partition: &str) -> String {
        let suffix = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("{}.s3.{}.{suffix}", self.bucket, self.aws_region)
    }

    /// Where it finds the object there.
    pub fn path(&self) -> String {
        format!("/{}", self.key)
    }

    /// The object, in this partition of AWS.
    pub fn object_arn(&self, partition: &str) -> String {
        format!("arn:{partition}:s3:::{}/{}", self.bucket, self.key)
    }

    /// What [`caller_reference`] makes of the health check that watches the object: the same for the same object.
    pub fn reference_stem(&self) -> String {
        let digest = Sha256::digest(format!("{}/{}", self.bucket, self.key));
        let mut stem = "muster-".to_owned();
        for byte in digest.iter().take(8) {
            // Writing to a String cannot fail.
            let _ = write!(stem, "{byte:02x}");
        }
        stem
    }
}
