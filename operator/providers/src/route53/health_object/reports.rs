//! Whether Route 53's checkers can read a marker that stands there. Muster reads it with its own rights, which say nothing of
//! theirs: where they are refused, every flip is written well and moves nothing.
//!
//! AWS gives what the checkers saw last for looking by hand and not for production, so it is asked seldom, and only told.

use super::super::listed::read_reports;
use super::Steering;
use super::config::MarkerPlace;
use crate::aws::{Action, CallError};
use std::time::Duration;
use tokio::time::timeout;

/// So long an answer is waited for that nothing hangs on.
const LONGEST_READ: Duration = Duration::from_secs(5);

/// What the checkers' words come to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Reading {
    /// They say nothing of it, or there is no object yet: then a stranger is denied as well.
    Unsaid,
    /// One of them at least can read it.
    Good,
    /// All that had an answer were refused the object; in the words of one.
    Refused(String),
}

impl Steering {
    /// Of all markers, the worst of them first.
    pub(super) async fn read_checkers(&self) -> Result<Reading, CallError> {
        let mut all = Reading::Good;
        for (region, place) in &self.objects.places {
            if self.memory().is_absent(region) {
                all = Reading::Unsaid;
                continue;
            }
            match self.read_checkers_of(place).await? {
                Reading::Refused(told) => {
                    let (id, told) = (&place.health_check, self.without_secret(&told));
                    return Ok(Reading::Refused(format!(
                        "the checkers of the health check {id} cannot read the object of region {region}, so it moves nothing: {told}"
                    )));
                }
                Reading::Unsaid => all = Reading::Unsaid,
                Reading::Good => {}
            }
        }
        Ok(all)
    }

    async fn read_checkers_of(&self, place: &MarkerPlace) -> Result<Reading, CallError> {
        let account = &self.objects.account;
        let Some(written) = self.objects.written_at(place, LONGEST_READ).await else {
            return Ok(Reading::Unsaid);
        };
        account.route53_turn().await;
        let reports = timeout(LONGEST_READ, read_reports(account, &place.health_check, written)).await;
        let reports = reports
            .unwrap_or_else(|_| Err(CallError::no_answer_in(Action::GetHealthCheckStatus, LONGEST_READ)));
        Ok(judge(&reports?))
    }
}

/// One that could not connect says nothing of whether it may read, and the words for a text that is not there are not documented.
fn judge(reports: &[String]) -> Reading {
    let with = |statuses: std::ops::Range<u16>| {
        reports.iter().find(|report| status_of(report).is_some_and(|status| statuses.contains(&status)))
    };
    match (with(200..300), with(300..500)) {
        (Some(_), _) => Reading::Good,
        (None, Some(told)) => Reading::Refused(told.clone()),
        (None, None) => Reading::Unsaid,
    }
}

/// As in `Failure: HTTP Status Code: 403. ...`
fn status_of(report: &str) -> Option<u16> {
    let (_, rest) = report.split_once("HTTP Status Code")?;
    let digits: String =
        rest.trim_start_matches([':', ' ']).chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkers_that_are_all_refused_cannot_read_the_object() {
        let told = |reports: &[&str]| judge(&reports.iter().map(ToString::to_string).collect::<Vec<_>>());
        let denied = "Failure: HTTP Status Code: 403. Resolved IP: 192.0.2.1. Forbidden";
        let moved = "Success: HTTP Status Code 301, Moved Permanently";
        let read = "Success: HTTP Status Code: 200. OK";
        let silent = "Failure: it did not answer in time.";
        let down = "Failure: HTTP Status Code: 503. Slow Down";
        assert_eq!(told(&[denied, denied]), Reading::Refused(denied.to_owned()));
        assert_eq!(told(&[silent, moved]), Reading::Refused(moved.to_owned()), "one has no answer");
        for good in [&[read][..], &[denied, read], &[silent, read]] {
            assert_eq!(told(good), Reading::Good, "{good:?}");
        }
        for unclear in [&[][..], &[silent], &[down, silent], &[""]] {
            assert_eq!(told(unclear), Reading::Unsaid, "{unclear:?}");
        }
    }
}
