//! Markers in their buckets: read, and written only over the very version that was read.

use super::super::verb::{Sends, VerbError};
use super::config::{HealthObjectConfig, MarkerPlace};
use super::judge::{Goal, Standing};
use super::marker::{parse_marker, write_marker};
use crate::OpCtx;
use crate::aws::{Account, Action, CallError, Glance, LeaseGate, Watched};
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use muster_core::ids::RegionName;
use muster_core::secret::Secret;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// A marker is far shorter; more is not even read.
const LONGEST: i64 = 4096;
const GET: Action = Action::GetObject;
const PUT: Action = Action::PutObject;

/// The markers of one name.
pub(super) struct Objects {
    pub(super) places: BTreeMap<RegionName, MarkerPlace>,
    pub(super) secret: Secret,
    pub(super) pin_check: Option<String>,
    pub(super) account: Arc<Account>,
    watched: BTreeMap<RegionName, Watched>,
}

/// What the buckets answered: the markers, and why others could not be read.
pub(super) type Answers = BTreeMap<RegionName, Result<Standing, CallError>>;

/// How a write ended that S3 answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Put {
    /// It stands there.
    Taken,
    /// Another version stood there; nothing was changed.
    Lost,
}

impl Objects {
    /// Talks to nobody yet.
    pub(super) fn new(config: &HealthObjectConfig, account: Arc<Account>) -> Self {
        let watch = |place: &MarkerPlace| account.bucket(&place.aws_region, &place.bucket).watch(&place.key);
        let watched = config.markers.iter().map(|(region, place)| (region.clone(), watch(place))).collect();
        let (places, secret) = (config.markers.clone(), config.secret.clone());
        Self { places, secret, pin_check: config.pin_check.clone(), account, watched }
    }

    /// What a list that many share tells of one marker; it is newer than `since`.
    pub(super) async fn glance(&self, region: &RegionName, since: Instant) -> Glance {
        match self.watched.get(region) {
            Some(watched) => watched.glance(since).await,
            None => Glance::Nothing,
        }
    }

    /// Reads every marker at once, and waits so long for each; for that of `needed` without an end of its own.
    pub(super) async fn read_all(&self, patience: Duration, needed: &RegionName) -> Answers {
        let reads = self.places.iter().map(|(region, place)| async move {
            let answer = if needed == region {
                self.read(region, place).await
            } else {
                self.read_within(region, patience).await
            };
            (region.clone(), answer)
        });
        futures::future::join_all(reads).await.into_iter().collect()
    }

    /// Reads one marker, and waits so long for it.
    pub(super) async fn read_within(
        &self,
        region: &RegionName,
        patience: Duration,
    ) -> Result<Standing, CallError> {
        let Some(place) = self.places.get(region) else {
            return Err(CallError::unanswered(GET, "the region has no marker"));
        };
        let standing = timeout(patience, self.read(region, place)).await;
        standing.unwrap_or_else(|_| Err(CallError::no_answer_in(GET, patience)))
    }

    /// When what stands there was written, in seconds since 1970 by AWS' clock; `None`: nothing does, or nobody says.
    pub(super) async fn written_at(&self, place: &MarkerPlace, patience: Duration) -> Option<i64> {
        let client = self.account.s3(&place.aws_region).await;
        let get = client.get_object().bucket(&place.bucket).key(&place.key);
        let got = timeout(patience, Box::pin(get.send())).await.ok()?.ok()?;
        got.last_modified().map(DateTime::secs)
    }

    async fn read(&self, region: &RegionName, place: &MarkerPlace) -> Result<Standing, CallError> {
        let client = self.account.s3(&place.aws_region).await;
        let get = client.get_object().bucket(&place.bucket).key(&place.key);
        let got = match Box::pin(get.send()).await {
            Ok(got) => got,
            Err(error) => {
                let error = CallError::new(GET, &error);
                return match error.code.as_deref() {
                    Some("NoSuchKey") => Ok(Standing::Absent),
                    Some("AccessDenied") => Err(explain_denial(error)),
                    _ => Err(error),
                };
            }
        };
        if got.content_length().is_some_and(|octets| octets > LONGEST) {
            return Ok(Standing::Unreadable("it is far too long".to_owned()));
        }
        let Some(etag) = got.e_tag().map(str::to_owned) else {
            return Err(CallError::unanswered(GET, "the answer names no version"));
        };
        let body = got.body.collect().await.map_err(|error| CallError::unanswered(GET, error))?.into_bytes();
        let Ok(text) = std::str::from_utf8(&body) else {
            return Ok(Standing::Unreadable("it is not a text".to_owned()));
        };
        Ok(match parse_marker(text, region, &self.secret) {
            Ok(marker) => Standing::Written { marker, etag },
            Err(error) => Standing::Unreadable(error.to_string()),
        })
    }

    /// Writes a region's marker as the goal has it, if exactly `before` still stands there.
    pub(super) async fn write(
        &self,
        region: &RegionName,
        before: &Standing,
        goal: &Goal<'_>,
        ctx: &OpCtx,
        sends: &Sends,
    ) -> Result<Put, VerbError> {
        let Some(place) = self.places.get(region) else { return Ok(Put::Lost) };
        let text = write_marker(region, goal.signal(region), goal.witness, &self.secret);
        let client = self.account.s3(&place.aws_region).await;
        let put = client.put_object().bucket(&place.bucket).key(&place.key);
        let put = put.content_type("text/plain; charset=utf-8").body(ByteStream::from(text.into_bytes()));
        let put = match before {
            Standing::Absent => put.if_none_match("*"),
            Standing::Written { etag, .. } => put.if_match(etag),
            Standing::Unreadable(_) => return Ok(Put::Lost),
        };
        let request = Box::pin(put.customize().interceptor(LeaseGate::new(ctx)).send());
        let send = async {
            sends.leave();
            request.await.map_err(|error| CallError::new(PUT, &error))
        };
        let Err(error) = ctx.send(send).await? else { return Ok(Put::Taken) };
        sends.failed(&error);
        if is_lost(&error) {
            tracing::debug!(%region, why = error.why, "another writer was faster");
            return Ok(Put::Lost);
        }
        Err(VerbError::After(error))
    }
}

/// S3 compared, and another version stands there, or none, or one that is just being written.
fn is_lost(error: &CallError) -> bool {
    matches!(error.code.as_deref(), Some("PreconditionFailed" | "ConditionalRequestConflict" | "NoSuchKey"))
}

/// S3 does not tell those who may not list a bucket that an object is missing.
fn explain_denial(error: CallError) -> CallError {
    let needed = Action::ListBucket;
    let hint = format!("an object that is not there is told only to those who have {needed} too");
    CallError { why: format!("{} ({hint})", error.why), ..error }
}
