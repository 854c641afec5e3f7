//! Looks at databases beside which a control plane stands: it tells what they cannot, and never holds up what they say.

use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

/// In a stable world a look waits so long for a read that it shares: what RDS says changes rarely, and its API is limited
/// for the whole account. Twice this and a second is how old a fact may get, which must speak for now until then.
pub(crate) const SHARED: Duration = Duration::from_secs(4);
/// Before a look's end what RDS has not said by then is done without, so that the look comes in time.
const SPARE: Duration = Duration::from_millis(250);

/// What RDS says, for a look that ends at `by`.
pub(crate) async fn in_time<T>(
    by: Instant,
    read: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    let read = tokio::time::timeout_at(by - SPARE, read).await;
    read.unwrap_or_else(|_| Err("no answer in time".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_silent_is_done_without_before_the_look_ends() {
        let by = Instant::now() + Duration::from_secs(1);
        let silent = in_time(by, std::future::pending::<Result<(), String>>()).await;
        assert_eq!(silent, Err("no answer in time".to_owned()));
        assert!(Instant::now() < by);
        assert_eq!(in_time(by, async { Ok(1) }).await, Ok(1));
    }
}
