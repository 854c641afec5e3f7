//! Whether a region's health check watches its marker as it must.

use super::super::listed::read_check;
use super::super::verb::VerbError;
use super::Steering;
use super::config::MarkerPlace;
use aws_sdk_route53::types::{HealthCheckConfig, HealthCheckType};
use muster_core::ids::RegionName;
use muster_core::secret::Secret;
use std::time::Duration;

/// Ten times 30 s, the most that a health check can be set to, and one question more.
pub(super) const LONGEST_NOTICE: Duration = Duration::from_secs(330);

impl Steering {
    /// What is wrong with the health check of any region, for people.
    pub(super) async fn find_wrong_check(&self) -> Result<Option<String>, VerbError> {
        for (region, place) in &self.objects.places {
            if let Some(why) = self.judge_check_of(region, place).await? {
                return Ok(Some(why));
            }
        }
        self.judge_pin().await
    }

    /// Why the check that pins the name may not be attached, for people. One that could become unhealthy would give the name to
    /// the region that it was taken from.
    pub(super) async fn judge_pin(&self) -> Result<Option<String>, VerbError> {
        let Some(id) = &self.objects.pin_check else { return Ok(None) };
        let read = read_check(&self.objects.account, id).await?;
        let wrong = read.as_ref().map_or(Some("does not exist"), judge_pin_check);
        Ok(wrong.map(|wrong| format!("the health check {id}, which pins the name, {wrong}")))
    }

    /// What is wrong with the health check of this region, for people.
    pub(super) async fn judge_check_of(
        &self,
        region: &RegionName,
        place: &MarkerPlace,
    ) -> Result<Option<String>, VerbError> {
        let wrong = match read_check(&self.objects.account, &place.health_check).await? {
            Some(config) => judge_check(&config, place, &self.objects.secret),
            None => Some("does not exist".to_owned()),
        };
        let id = &place.health_check;
        Ok(wrong.map(|why| format!("the health check {id}, of region {region}, {why}")))
    }

    /// So long does it take until every checker of this region's health check knows what stands in the marker now.
    pub(super) async fn notice_of(&self, place: &MarkerPlace) -> Duration {
        let read = read_check(&self.objects.account, &place.health_check).await.ok().flatten();
        read.and_then(|config| notice(&config)).unwrap_or(LONGEST_NOTICE)
    }
}

/// What is wrong with a health check that is to pin names.
pub(in crate::route53) fn judge_pin_check(config: &HealthCheckConfig) -> Option<&'static str> {
    match (config.inverted(), config.disabled()) {
        (Some(true), _) => Some("is inverted"),
        (_, Some(true)) => None,
        _ => Some("is not disabled"),
    }
}

/// One question more than the threshold: the first of them may have been asked before.
fn notice(config: &HealthCheckConfig) -> Option<Duration> {
    let interval = u64::try_from(config.request_interval()?).ok()?;
    let threshold = u64::try_from(config.failure_threshold()?).ok()?;
    Some(Duration::from_secs(interval.saturating_mul(threshold.saturating_add(1))).min(LONGEST_NOTICE))
}

/// What is wrong with it, without what it looks for: that is a secret.
pub(in crate::route53) fn judge_check(
    config: &HealthCheckConfig,
    place: &MarkerPlace,
    secret: &Secret,
) -> Option<String> {
    let kind = config.r#type();
    if !matches!(kind, HealthCheckType::HttpsStrMatch | HealthCheckType::HttpStrMatch) {
        return Some(format!("is of type {kind}; it must be HTTPS_STR_MATCH"));
    }
    if config.inverted() != Some(true) {
        return Some("is not inverted; a marker that is gone would move the name".to_owned());
    }
    if config.disabled() == Some(true) {
        return Some("is disabled: it is healthy whatever the marker says".to_owned());
    }
    let host = config.fully_qualified_domain_name().unwrap_or_default();
    if !is_bucket_host(host, &place.bucket) {
        return Some(format!("watches the host `{host}`; it must be that of the bucket {}", place.bucket));
    }
    let path = config.resource_path().unwrap_or_default();
    if is_plain(&place.key) && path.trim_start_matches('/') != place.key {
        return Some(format!("watches `{path}`; it must be /{}", place.key));
    }
    let sought = format!("muster-on-{}", secret.expose());
    (config.search_string() != Some(sought.as_str()))
        .then(|| "looks for another text than `muster-on-` and the secret".to_owned())
}

/// S3 has several names for a bucket: with and without its region, with both address families.
fn is_bucket_host(host: &str, bucket: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let rest = host.strip_prefix(bucket).and_then(|rest| rest.strip_prefix(".s3"));
    rest.is_some_and(|rest| rest.ends_with(".amazonaws.com") || rest.ends_with(".amazonaws.com.cn"))
}

/// Written in a path as it is.
fn is_plain(key: &str) -> bool {
    key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdefXYZ";

    fn place() -> MarkerPlace {
        MarkerPlace {
            bucket: "marker-west".to_owned(),
            key: "muster/shop".to_owned(),
            aws_region: "us-west-2".to_owned(),
            health_check: "watches-west".to_owned(),
        }
    }

    fn good() -> HealthCheckConfig {
        HealthCheckConfig::builder()
            .r#type(HealthCheckType::HttpsStrMatch)
            .fully_qualified_domain_name("marker-west.s3.us-west-2.amazonaws.com")
            .resource_path("/muster/shop")
            .search_string(format!("muster-on-{SECRET}"))
            .inverted(true)
            .build()
            .expect("a configuration")
    }

    fn check(change: impl Fn(&mut HealthCheckConfig), expect: Option<&str>) {
        let mut config = good();
        change(&mut config);
        let wrong = judge_check(&config, &place(), &Secret::new(SECRET));
        match (&wrong, expect) {
            (None, None) => {}
            (Some(why), Some(part)) => assert!(why.contains(part) && !why.contains(SECRET), "{why}"),
            _ => panic!("{wrong:?}, not {expect:?}"),
        }
    }

    #[test]
    fn a_health_check_that_would_not_move_the_name_is_told() {
        check(|_| {}, None);
        check(|config| config.r#type = HealthCheckType::Https, Some("HTTPS_STR_MATCH"));
        check(|config| config.inverted = Some(false), Some("not inverted"));
        check(|config| config.disabled = Some(true), Some("disabled"));
        check(
            |config| config.fully_qualified_domain_name = Some("marker-east.s3.amazonaws.com".to_owned()),
            Some("bucket marker-west"),
        );
        check(|config| config.resource_path = Some("/muster/other".to_owned()), Some("/muster/shop"));
        check(|config| config.search_string = Some("muster-on-another".to_owned()), Some("another text"));
    }

    #[test]
    fn a_bucket_has_several_names() {
        for host in ["marker-west.s3.amazonaws.com", "Marker-West.s3.dualstack.us-west-2.amazonaws.com."] {
            check(|config| config.fully_qualified_domain_name = Some(host.to_owned()), None);
        }
        assert!(!is_bucket_host("marker-west.s3.example.com", "marker-west"));
    }
}
