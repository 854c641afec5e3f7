//! One checker: asks again and again, without a word to the others.

use super::HealthChecks;
use super::probe::Probe;
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Asks until the health check is deleted or the fake ends.
pub(super) async fn ask_on(checks: Arc<HealthChecks>, id: String, number: usize, deleted: CancellationToken) {
    let mut pace = checks.pace.subscribe();
    let source = source_of(number);
    while let Some(config) = checks.config(&id) {
        if !config.is_disabled() {
            let probe = Probe::of(&config, &id);
            let asked = deleted.run_until_cancelled(probe.ask(&checks.network, source));
            let Some(heard) = asked.await else { return };
            checks.note(&id, number, heard);
        }
        let set = *pace.borrow_and_update();
        tokio::select! {
            biased;
            () = deleted.cancelled() => return,
            () = tokio::time::sleep(set.unwrap_or(config.interval())) => {}
            // A new pace holds from now on, and not only after the old one.
            _ = pace.changed() => {}
        }
    }
}

/// Each checker has an address, as the real ones do: 127.53.0.1 is that of the first.
pub(super) fn source_of(number: usize) -> Ipv4Addr {
    let [high, low] = u16::try_from(number + 1).unwrap_or(u16::MAX).to_be_bytes();
    Ipv4Addr::new(127, 53, high, low)
}
