//! The health checks of names: found again by what they watch, or created.
//!
//! What this module must never do: change or delete a health check; show what one looks for.

use super::super::health_object::{HealthObjectConfig, MarkerPlace, judge_check, judge_pin_check};
use super::calls::{FailedCall, SetupCall, SetupError};
use super::wanted::{
    CHECK_FAILURES, CHECK_INTERVAL_S, PIN_FAILURES, PIN_HOST, PIN_INTERVAL_S, PIN_PORT, PIN_STEM,
    caller_reference,
};
use aws_sdk_route53::Client;
use aws_sdk_route53::error::BuildError;
use aws_sdk_route53::types::{HealthCheck, HealthCheckConfig, HealthCheckType};
use muster_core::ids::RegionName;
use muster_core::secret::Secret;

/// How many references of deleted health checks are passed over.
const MOST_DELETED: u32 = 20;
const ALIKE: &str = "Correct it (aws route53 update-health-check), or delete it and run this again.";
const NAMED: &str =
    "Correct it (aws route53 update-health-check), or take another text for its id in the policy.";

/// All health checks of the account.
pub(super) struct Checks(Vec<HealthCheck>);

impl Checks {
    pub(super) async fn list(client: &Client) -> Result<Self, SetupError> {
        let mut all = Vec::new();
        let mut marker = None;
        loop {
            let list = client.list_health_checks().set_marker(marker.take());
            let failed = |error| FailedCall::new(SetupCall::ListHealthChecks, &error).about("health checks");
            let page = Box::pin(list.send()).await.map_err(failed)?;
            all.extend(page.health_checks().iter().cloned());
            match page.next_marker() {
                Some(next) if page.is_truncated() => marker = Some(next.to_owned()),
                _ => return Ok(Self(all)),
            }
        }
    }

    /// The one that watches a region's object: the policy's, else the one that was made for it, else any. An error if one of the
    /// first two is wrong.
    pub(super) fn find(
        &self,
        region: &RegionName,
        place: &MarkerPlace,
        secret: &Secret,
    ) -> Result<Option<String>, SetupError> {
        let judge = |config: &HealthCheckConfig| judge_check(config, place, secret);
        let about = format!("of region {region}");
        if let Some(id) = self.find_own(Some(&place.health_check), &place.reference_stem(), &about, judge)? {
            return Ok(Some(id));
        }
        let fits = |check: &&HealthCheck| check.health_check_config().is_some_and(|c| judge(c).is_none());
        Ok(self.0.iter().filter(fits).map(|check| check.id().to_owned()).min())
    }

    /// The one that pins names: the policy's, else the one that was made for it.
    pub(super) fn find_pin(&self, named: Option<&str>) -> Result<Option<String>, SetupError> {
        let judge = |config: &HealthCheckConfig| judge_pin_check(config).map(str::to_owned);
        self.find_own(named, PIN_STEM, "which pins names", judge)
    }

    fn find_own(
        &self,
        named: Option<&str>,
        stem: &str,
        about: &str,
        judge: impl Fn(&HealthCheckConfig) -> Option<String>,
    ) -> Result<Option<String>, SetupError> {
        let own = |check: &&HealthCheck| {
            let number = check.caller_reference().strip_prefix(stem).and_then(|rest| rest.strip_prefix('-'));
            number.is_some_and(|number| number.parse::<u32>().is_ok())
        };
        let named = self.0.iter().find(|check| Some(check.id()) == named).map(|check| (check, NAMED));
        let Some((check, fix)) = named.or_else(|| self.0.iter().find(own).map(|check| (check, ALIKE))) else {
            return Ok(None);
        };
        let id = check.id();
        match check.health_check_config().map_or(Some("shows no settings".to_owned()), judge) {
            None => Ok(Some(id.to_owned())),
            Some(why) => Err(SetupError::in_the_way(format!("the health check {id}, {about}, {why}"), fix)),
        }
    }
}

/// Inverted: well as long as the object is not on.
pub(super) fn watching(
    place: &MarkerPlace,
    partition: &str,
    secret: &Secret,
) -> Result<HealthCheckConfig, BuildError> {
    HealthCheckConfig::builder()
        .r#type(HealthCheckType::HttpsStrMatch)
        .inverted(true)
        .enable_sni(true)
        .port(443)
        .fully_qualified_domain_name(place.host(partition))
        .resource_path(place.path())
        .search_string(format!("{}{}", HealthObjectConfig::ON, secret.expose()))
        .request_interval(as_i32(CHECK_INTERVAL_S))
        .failure_threshold(as_i32(CHECK_FAILURES))
        .build()
}

/// Disabled: always well.
pub(super) fn pinning() -> Result<HealthCheckConfig, BuildError> {
    HealthCheckConfig::builder()
        .r#type(HealthCheckType::Http)
        .disabled(true)
        .inverted(false)
        .port(as_i32(PIN_PORT))
        .fully_qualified_domain_name(PIN_HOST)
        .request_interval(as_i32(PIN_INTERVAL_S))
        .failure_threshold(as_i32(PIN_FAILURES))
        .build()
}

fn as_i32(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Creates one, or is given the one that a request that got lost has created. The references of deleted ones are passed over.
pub(super) async fn create(
    client: &Client,
    stem: &str,
    config: &HealthCheckConfig,
    about: &str,
) -> Result<String, SetupError> {
    let mut number = 1;
    loop {
        let create = client.create_health_check().caller_reference(caller_reference(stem, number));
        match Box::pin(create.health_check_config(config.clone()).send()).await {
            Ok(created) => {
                return created.health_check().map(|check| check.id().to_owned()).ok_or_else(|| {
                    SetupError::in_the_way(format!("{about}: AWS told no id"), "Run it again.")
                });
            }
            Err(error) => {
                let failed = FailedCall::new(SetupCall::CreateHealthCheck, &error);
                if !failed.is("HealthCheckAlreadyExists") || number == MOST_DELETED {
                    return Err(failed.about(about));
                }
                number += 1;
            }
        }
    }
}
