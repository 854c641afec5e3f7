//! Looks of which nothing hangs: at the records before the day, and for how long Route 53 takes to bring a change to every server.
//!
//! What this module must never do: have anybody wait.

use super::super::change::change_status;
use super::super::verb::VerbError;
use super::memory::Change;
use super::{Reader, Steering};
use crate::aws::{Action, CallError, LONGEST_LOOK};
use crate::dns::View;
use aws_sdk_route53::types::ChangeStatus;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

impl Steering {
    /// Begins a look at the records that is due. Nobody waits for it.
    pub(super) async fn look_at_setup(self: &Arc<Self>) {
        let is_due = self.memory().needs_setup(Instant::now());
        if is_due {
            let steering = Arc::clone(self);
            self.setup_look.wait(async move { steering.read_setup().await }, Duration::ZERO).await;
        }
    }

    async fn read_setup(&self) {
        let began = Instant::now();
        let is_due = self.memory().needs_setup(began);
        if !is_due {
            // Another look has ended since this one was asked for.
            return;
        }
        match self.find_wrong_setup().await {
            Ok((wrong, late)) => {
                self.note_setup(wrong, began);
                self.memory().take_late(late);
            }
            // On the day a flip would be refused as well.
            Err(VerbError::Before(error)) if error.is_for_good() => {
                self.note_setup(Some(format!("the records cannot be listed: {}", error.why)), began);
            }
            Err(error) => {
                let why = self.name.about(&error.to_string());
                tracing::debug!(why, "the records cannot be listed");
                self.memory().miss_setup(Instant::now());
            }
        }
    }

    /// Why every flip would be refused as the records are, and why one would be seen late, for people.
    async fn find_wrong_setup(&self) -> Result<(Option<String>, Option<String>), VerbError> {
        let mut records = self.read(Reader::Look).await?;
        if records.is_empty() {
            // Whatever the zone is, records stand at its own name.
            records.take(self.list(Reader::Look, &self.name.zone, None).await?);
        }
        if !records.are_in(&self.name.zone) {
            let (id, zone) = (&self.zone_id, &self.name.zone);
            let wrong = format!("hosted zone {id} has no records of {zone}: it is another zone's id");
            return Ok((Some(wrong), None));
        }
        Ok((self.wrong_in(&records.view(&self.name)), records.kept_too_long(&self.name)))
    }

    /// Why every flip of this name would be refused, as its records were viewed, for people.
    pub(super) fn wrong_in(&self, view: &Result<View, String>) -> Option<String> {
        match view {
            Ok(view) => self.name.refusal(view),
            Err(why) => Some(why.clone()),
        }
    }

    /// What a look found that began then, or a flip.
    pub(super) fn note_setup(&self, wrong: Option<String>, began: Instant) {
        let mut memory = self.memory();
        if let Some(why) = wrong.as_deref().filter(|why| memory.wrong() != Some(*why)) {
            tracing::warn!(record = %self.name.record, why, "a flip would be refused");
        }
        memory.take_setup(wrong, began);
    }

    /// Begins to ask for the last change, if that is due. Nobody waits for it.
    pub(super) async fn look_at_change(self: &Arc<Self>) {
        let due = self.memory().change_due(Instant::now());
        if let Some(change) = due {
            let steering = Arc::clone(self);
            self.change_look.wait(async move { steering.read_change(&change).await }, Duration::ZERO).await;
        }
    }

    async fn read_change(&self, change: &Change) {
        let due = self.memory().change_due(Instant::now());
        if due.as_ref() != Some(change) {
            return;
        }
        let (record, id) = (&self.name.record, change.id.as_str());
        match self.look_up_change(id).await {
            Ok(Some(ChangeStatus::Insync)) => {
                let took_ms = change.taken.elapsed().as_millis();
                tracing::info!(%record, change = id, took_ms, "every server of Route 53 has the change");
                self.memory().forget_change(id);
            }
            Ok(None) => {
                tracing::info!(%record, change = id, "Route 53 does not know the change any more");
                self.memory().forget_change(id);
            }
            Err(error) if error.is_for_good() => {
                tracing::info!(%record, why = error.why, "whether every server has the change is not told");
                self.memory().forget_change(id);
            }
            Ok(Some(_)) | Err(_) => {
                if self.memory().miss_change(id, Instant::now()) {
                    tracing::warn!(%record, change = id, "not every server is known to have the change");
                }
            }
        }
    }

    async fn look_up_change(&self, change: &str) -> Result<Option<ChangeStatus>, CallError> {
        self.account.route53_turn().await;
        let status = timeout(LONGEST_LOOK, change_status(&self.account, change)).await;
        status.unwrap_or_else(|_| Err(CallError::no_answer_in(Action::GetChange, LONGEST_LOOK)))
    }
}
