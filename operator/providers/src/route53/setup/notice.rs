//! Whether the checkers of new health checks have looked. An inverted one is unhealthy until they have, and a record that it
//! is attached to would send the name to the other region.
//!
//! What this module must never do: go by a checker that has looked less often than the threshold.

use super::calls::{FailedCall, SetupCall, SetupError};
use super::{Pace, Tell};
use aws_sdk_route53::Client;
use aws_sdk_route53::types::HealthCheckObservation;
use std::collections::BTreeMap;
use tokio::time::{Instant, sleep};

/// A health check that is waited for.
pub(super) struct Awaited {
    /// For people.
    pub(super) about: String,
    pub(super) id: String,
    seen: Seen,
}

impl Awaited {
    /// `failures`: looks in a row that make it change its mind.
    pub(super) fn new(about: String, failures: u32, id: String) -> Self {
        Self { about, id, seen: Seen::new(failures) }
    }
}

/// Waits until every checker of each has seen often enough that the object is not on.
pub(super) async fn wait(
    client: &Client,
    mut checks: Vec<Awaited>,
    pace: Pace,
    tell: Tell<'_>,
) -> Result<(), SetupError> {
    let began = Instant::now();
    let mut told = String::new();
    loop {
        for check in &mut checks {
            check.look(client).await?;
        }
        let loud = || checks.iter().filter(|check| !check.seen.is_quiet());
        if loud().next().is_none() {
            return Ok(());
        }
        let what = loud().map(|check| format!("{}: {}", check.about, check.seen.tell()));
        let what = what.collect::<Vec<_>>().join("; ");
        if began.elapsed() >= pace.patience {
            return Err(SetupError::NotQuiet { waited: pace.patience, what });
        }
        if told != what {
            tell(&format!("waiting for the checkers: {what}"));
            told = what;
        }
        sleep(pace.poll).await;
    }
}

impl Awaited {
    /// A question that got lost is asked again with the next look.
    async fn look(&mut self, client: &Client) -> Result<(), SetupError> {
        let get = client.get_health_check_status().health_check_id(&self.id);
        match Box::pin(get.send()).await {
            Ok(got) => {
                self.seen.note(got.health_check_observations());
                Ok(())
            }
            Err(error) => {
                let failed = FailedCall::new(SetupCall::GetHealthCheckStatus, &error);
                if !failed.may_pass() {
                    return Err(failed.about(&self.about));
                }
                self.seen.trouble = Some(failed.why().to_owned());
                Ok(())
            }
        }
    }
}

/// What the checkers of one health check said.
struct Seen {
    /// How often in a row each has to see that the object is not on.
    failures: u32,
    /// By the checker's address.
    checkers: BTreeMap<String, Checker>,
    /// One was not there at the look before.
    is_growing: bool,
    /// Why the last question was not answered.
    trouble: Option<String>,
}

#[derive(Default)]
struct Checker {
    /// When it looked last.
    at: Option<(i64, u32)>,
    /// How often in a row it saw that the object is not on.
    off: u32,
    is_on: bool,
}

impl Seen {
    const fn new(failures: u32) -> Self {
        Self { failures, checkers: BTreeMap::new(), is_growing: false, trouble: None }
    }

    fn note(&mut self, observations: &[HealthCheckObservation]) {
        self.trouble = None;
        self.is_growing = false;
        for observation in observations {
            let address = observation.ip_address().unwrap_or_default().to_owned();
            let Some(report) = observation.status_report() else { continue };
            self.is_growing |= !self.checkers.contains_key(&address);
            let at = report.checked_time().map(|time| (time.secs(), time.subsec_nanos()));
            self.checkers.entry(address).or_default().note(at, report.status().unwrap_or_default());
        }
    }

    fn is_quiet(&self) -> bool {
        let mut checkers = self.checkers.values();
        !self.checkers.is_empty()
            && !self.is_growing
            && self.trouble.is_none()
            && checkers.all(|checker| checker.off >= self.failures)
    }

    fn tell(&self) -> String {
        if let Some(trouble) = &self.trouble {
            return trouble.clone();
        }
        let on = self.checkers.values().filter(|checker| checker.is_on).count();
        if on > 0 {
            return format!(
                "{on} of {} checkers see the object on; switch it off first",
                self.checkers.len()
            );
        }
        let often = self.checkers.values().filter(|checker| checker.off >= self.failures).count();
        format!("{} checkers have looked, {often} of them often enough", self.checkers.len())
    }
}

impl Checker {
    /// A report that is known already is no further look.
    fn note(&mut self, at: Option<(i64, u32)>, status: &str) {
        if status.is_empty() || at.is_none() || self.at == at {
            return;
        }
        self.at = at;
        self.is_on = is_on(status);
        self.off = if self.is_on { 0 } else { self.off.saturating_add(1) };
    }
}

/// A checker that reads the text says `Success: HTTP Status Code: 200`. One that is denied the object says 403, whatever word
/// stands before it.
fn is_on(status: &str) -> bool {
    status.starts_with("Success") && status.contains("200")
}

#[cfg(test)]
mod tests {
    use super::super::wanted::CHECK_FAILURES;
    use super::*;
    use aws_sdk_route53::primitives::DateTime;
    use aws_sdk_route53::types::StatusReport;

    fn saw(checker: &str, at: i64, status: &str) -> HealthCheckObservation {
        let report = StatusReport::builder().checked_time(DateTime::from_secs(at)).status(status).build();
        HealthCheckObservation::builder().ip_address(checker).status_report(report).build()
    }

    const OFF: &str = "Failure: HTTP Status Code: 403. Forbidden";
    const ON: &str = "Success: HTTP Status Code: 200. OK";

    #[test]
    fn every_checker_must_have_looked_as_often_as_the_threshold_says() {
        let mut seen = Seen::new(CHECK_FAILURES);
        assert!(!seen.is_quiet(), "nobody has looked");
        seen.note(&[saw("a", 1, OFF), saw("b", 1, OFF)]);
        seen.note(&[saw("a", 2, OFF), saw("b", 1, OFF)]);
        assert!(!seen.is_quiet(), "the second one looked once");
        assert_eq!(seen.tell(), "2 checkers have looked, 1 of them often enough");
        seen.note(&[saw("a", 2, OFF), saw("b", 2, OFF), saw("c", 2, OFF)]);
        seen.note(&[saw("a", 2, OFF), saw("b", 2, OFF), saw("c", 2, OFF)]);
        assert!(!seen.is_quiet(), "a third one came");
        seen.note(&[saw("c", 3, OFF)]);
        assert!(seen.is_quiet());
    }

    #[test]
    fn a_check_that_goes_by_more_failures_is_waited_for_longer() {
        let mut seen = Seen::new(3);
        for at in 1..3 {
            seen.note(&[saw("a", at, OFF)]);
        }
        assert!(!seen.is_quiet(), "it has changed its mind after the third look alone");
        seen.note(&[saw("a", 3, OFF)]);
        assert!(seen.is_quiet());
    }

    #[test]
    fn an_object_that_is_on_keeps_it_from_being_quiet() {
        let mut seen = Seen::new(CHECK_FAILURES);
        seen.note(&[saw("a", 1, OFF), saw("b", 1, ON)]);
        seen.note(&[saw("a", 2, OFF), saw("b", 2, ON)]);
        assert!(!seen.is_quiet() && seen.tell().contains("1 of 2 checkers see the object on"));
        seen.note(&[saw("b", 3, OFF)]);
        seen.note(&[saw("b", 4, OFF)]);
        assert!(seen.is_quiet());
    }
}
