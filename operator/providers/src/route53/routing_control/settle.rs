//! States that are not as they were asked for, between runs: set once more, where that moves no traffic but back to where a late
//! request of this process took it from.

use super::super::verb::VerbError;
use super::memory::Refused;
use super::states::States;
use super::{Steering, Switching};
use muster_core::facts::Outcome;
use muster_core::ids::RegionName;
use tokio::time::Instant;

impl Steering {
    pub(super) async fn try_settle(&self, switching: Switching<'_>) -> Result<Outcome, VerbError> {
        let Switching { to, witness, .. } = switching;
        let judged = self.memory().judge(to, witness, Instant::now());
        match judged {
            Ok(()) => {}
            Err(Refused::Stale(why)) => return Ok(Outcome::StaleEpoch(self.about(&why))),
            Err(Refused::Waits(why)) => return Ok(Outcome::Issued(Some(self.about(&why)))),
        }
        let outcome = self.switch(switching, |states| self.decline(states, to)).await?;
        let late = self.memory().late_elsewhere(to, Instant::now());
        Ok(match (outcome, late) {
            // What has only to be waited for is no failure.
            (Outcome::AlreadyDone, Some(why)) => Outcome::Issued(Some(self.about(&why))),
            (outcome, _) => outcome,
        })
    }

    /// Another region alone is on: the name points there, and that is for a run or a person to change.
    fn decline(&self, states: &States, to: &RegionName) -> Option<Outcome> {
        let other = states.only_on().filter(|on| *on != to)?;
        if self.memory().may_have_landed(other, Instant::now()) {
            return None;
        }
        let why = format!(
            "the routing control of region {other} alone is on: the name points there, and settling moves nothing"
        );
        Some(Outcome::Conflict(self.about(&why)))
    }
}
