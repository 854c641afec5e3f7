//! What a case expects of an answer, and the words for what it got instead.
//!
//! The words bear no name, id or time of the run, since `differences` lists them.

use anyhow::{anyhow, bail};
use aws_sdk_route53::config::http::HttpResponse;
use aws_sdk_route53::error::{ProvideErrorMetadata, SdkError};
use std::fmt::Debug;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// So long what was asked for may take to come about.
const PATIENCE: Duration = Duration::from_secs(8);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// An answer of the SDK.
pub(crate) type Answer<T, E> = Result<T, SdkError<E, HttpResponse>>;

/// `refused: 400 InvalidChangeBatch`, or what came instead of a refusal.
fn describe<E: ProvideErrorMetadata + Debug>(error: &SdkError<E, HttpResponse>) -> String {
    let status = error.raw_response().map(|response| response.status().as_u16());
    match (status, error.code()) {
        (Some(status), Some(code)) => format!("refused: {status} {code}"),
        (Some(status @ 200..300), None) => format!("an answer that the SDK does not take: {status}"),
        (Some(status), None) => format!("refused: {status} without a code"),
        (None, _) => format!("no answer: {error:?}"),
    }
}

/// The call did as it was told.
pub(crate) fn taken<T, E: ProvideErrorMetadata + Debug>(answer: Answer<T, E>) -> anyhow::Result<T> {
    answer.map_err(|error| anyhow!("{}", describe(&error)))
}

/// The call was refused with this status and code.
pub(crate) fn refused<T, E: ProvideErrorMetadata + Debug>(
    answer: Answer<T, E>,
    expected: &str,
) -> anyhow::Result<()> {
    match answer {
        Ok(_) => bail!("taken"),
        Err(error) => {
            let found = describe(&error);
            if found == format!("refused: {expected}") { Ok(()) } else { bail!("{found}") }
        }
    }
}

/// Both are the same.
pub(crate) fn same<T: PartialEq + Debug>(what: &str, found: &T, expected: &T) -> anyhow::Result<()> {
    if found == expected { Ok(()) } else { bail!("{what}: {found:?} instead of {expected:?}") }
}

/// Waits until a look finds what it looks for; an error that lasts is what the case came to.
pub(crate) async fn comes_true(look: impl AsyncFn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Err(_) if Instant::now() < deadline => sleep(LOOK).await,
            looked => return looked,
        }
    }
}
