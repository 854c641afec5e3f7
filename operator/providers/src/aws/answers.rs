//! Whether the S3 of a region answers, as the calls of its client went. Many names read objects of their own there, so no shared
//! read could tell.
//!
//! What this module must never do: hold a call back, or count one that never left.

use super::shared_read::{OPENS_AFTER, UNUSED};
use aws_sdk_s3::config::interceptors::{BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Who goes away sooner than that has not waited for an answer.
const WAITED: Duration = Duration::from_secs(1);

/// What became of the newest calls.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    /// Calls in a row without an answer.
    unanswered: u32,
    /// When the last of them ended.
    last: Option<Instant>,
}

impl Answers {
    /// Whether a few calls in a row had none, the last of them not long ago.
    pub(super) fn are_missing(&self) -> bool {
        let counted = self.lock();
        counted.unanswered >= OPENS_AFTER && counted.last.is_some_and(|at| at.elapsed() < UNUSED)
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, is_answered: bool) {
        let mut counted = self.lock();
        if is_answered {
            *counted = Counted::default();
        } else {
            let unanswered = counted.unanswered.saturating_add(1);
            *counted = Counted { unanswered, last: Some(Instant::now()) };
        }
    }
}

/// Counts the calls of a client, each as it ends.
#[derive(Debug)]
pub(super) struct CountAnswers(pub(super) Arc<Answers>);

/// A call that has left. It goes with the call, also when whoever made it stops waiting.
#[derive(Debug)]
struct UnderWay {
    answers: Arc<Answers>,
    since: Instant,
    has_ended: bool,
}

impl Storable for UnderWay {
    type Storer = StoreReplace<Self>;
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.has_ended && self.since.elapsed() >= WAITED {
            self.answers.note(false);
        }
    }
}

impl Intercept for CountAnswers {
    fn name(&self) -> &'static str {
        "CountAnswers"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let under_way = UnderWay { answers: Arc::clone(&self.0), since: Instant::now(), has_ended: false };
        settings.interceptor_state().store_put(under_way);
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(under_way) = settings.get_mut_from_interceptor_state::<UnderWay>() else { return Ok(()) };
        under_way.has_ended = true;
        let is_silent = matches!(
            context.output_or_error(),
            Some(Err(error)) if error.is_timeout_error() || error.is_connector_error()
        );
        let status = context.response().map(|response| response.status().as_u16());
        match status {
            _ if is_silent => self.0.note(false),
            Some(status) => self.0.note(status < 500),
            // Held back right before it would have left: the lease was lost, or the time was over.
            None => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_few_calls_in_a_row_without_an_answer_count_until_one_is_answered_or_nobody_calls() {
        let answers = Answers::default();
        for _ in 0..OPENS_AFTER {
            assert!(!answers.are_missing());
            answers.note(false);
        }
        assert!(answers.are_missing());
        answers.note(true);
        assert!(!answers.are_missing());
        (0..OPENS_AFTER).for_each(|_| answers.note(false));
        tokio::time::sleep(UNUSED).await;
        assert!(!answers.are_missing());
    }

    #[tokio::test(start_paused = true)]
    async fn who_stops_waiting_had_no_answer_unless_it_waited_for_none() {
        let answers = Arc::new(Answers::default());
        let call = || UnderWay { answers: Arc::clone(&answers), since: Instant::now(), has_ended: false };
        for _ in 0..OPENS_AFTER {
            drop(call());
        }
        assert!(!answers.are_missing());
        for _ in 0..OPENS_AFTER {
            let gone = call();
            tokio::time::sleep(WAITED).await;
            drop(gone);
        }
        assert!(answers.are_missing());
    }
}
