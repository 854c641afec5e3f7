//! The health checks of names: found again by what they watch, or created.
//!
//! What this module must never do: change or delete a health check; show what one looks for.

use super::super::health_object::{HealthObjectConfig, MarkerPlace, judge_check, judge_pin_check};
use super::calls::{FailedCall, SetupCall, SetupError};
use super::wanted::{
    CHECK_FAILURES, CHECK_INTERVAL_S, CHECK_NOTICE_S, PIN_FAILURES, PIN_HOST, PIN_INTERVAL_S, PIN_PORT,
    PIN_STEM, caller_reference,
};
use aws_sdk_route53::Client;
use aws_sdk_route53::error::BuildError;
use aws_sdk_route53::types::{HealthCheck, HealthCheckConfig, HealthCheckType};
use muster_core::ids::RegionName;
use muster_core::secret::Secret;
use std::collections::BTreeMap;
use std::fmt;

/// How many references of deleted health checks are passed over.
const MOST_DELETED: u32 = 20;
const ALIKE: &str = "Correct it (aws route53 update-health-check), or delete it and run this again.";
const NAMED: &str =
    "Correct it (aws route53 update-health-check), or take another text for its id in the policy.";

/// A health check that was found, is right, and takes longer to notice an object than one that is made here: a flip waits for it.
/// Its text is for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlowCheck {
    /// Its id.
    pub id: String,
    /// The region whose object it watches.
    pub region: RegionName,
    /// Between two looks of a checker, in seconds.
    pub interval_s: u32,
    /// Looks in a row that make it change its mind.
    pub failures: u32,
}

impl SlowCheck {
    /// `None`: it is fast enough, or does not show its pace.
    fn of(region: &RegionName, check: &HealthCheck) -> Option<Self> {
        let config = check.health_check_config()?;
        let interval_s = u32::try_from(config.request_interval()?).ok()?;
        let failures = u32::try_from(config.failure_threshold()?).ok()?;
        let found = Self { id: check.id().to_owned(), region: region.clone(), interval_s, failures };
        (found.notice_s() > CHECK_NOTICE_S).then_some(found)
    }

    /// So long does it take to notice an object, in seconds.
    pub const fn notice_s(&self) -> u32 {
        self.interval_s.saturating_mul(self.failures)
    }
}

impl fmt::Display for SlowCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, region, interval_s, failures } = self;
        write!(
            f,
            "the health check {id}, of region {region}, looks every {interval_s} s with a failure threshold of \
             {failures}: a flip waits {} s for it, and {CHECK_NOTICE_S} s for one that is made here ({CHECK_INTERVAL_S} s, \
             {CHECK_FAILURES}). The threshold can be changed (aws route53 update-health-check --failure-threshold); the \
             interval cannot, that takes a new health check",
            self.notice_s()
        )
    }
}

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

    /// Those that are slow, of what was found for the regions of a name.
    pub(super) fn slow_among(&self, found: &BTreeMap<RegionName, Option<String>>) -> Vec<SlowCheck> {
        let listed = |id: &str| self.0.iter().find(|check| check.id() == id);
        found.iter().filter_map(|(region, id)| SlowCheck::of(region, listed(id.as_deref()?)?)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(interval_s: i32, failures: i32, expect: Option<u32>) {
        let config = HealthCheckConfig::builder()
            .r#type(HealthCheckType::HttpsStrMatch)
            .request_interval(interval_s)
            .failure_threshold(failures)
            .build()
            .expect("a configuration");
        let found = HealthCheck::builder()
            .id("of-east")
            .caller_reference("by-hand")
            .health_check_config(config)
            .health_check_version(1)
            .build()
            .expect("a health check");
        let slow = SlowCheck::of(&"east".into(), &found);
        assert_eq!(slow.as_ref().map(SlowCheck::notice_s), expect, "{interval_s} s, {failures}: {slow:?}");
    }

    #[test]
    fn a_check_is_slow_if_it_takes_longer_than_one_that_is_made_here() {
        check(10, 1, None);
        check(10, 2, None);
        check(10, 3, Some(30));
        check(30, 1, Some(30));
        check(30, 10, Some(300));
    }
}
