//! Waiting for what must come.

use anyhow::bail;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Patience with anything that must come.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// Waits until `look` is content; its last error says what is missing.
pub async fn until<F: Future<Output = anyhow::Result<()>>>(
    what: &str,
    look: impl Fn() -> F,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= deadline => {
                bail!("{what}: not within {} s: {error:#}", PATIENCE.as_secs())
            }
            Err(_) => sleep(LOOK).await,
        }
    }
}
