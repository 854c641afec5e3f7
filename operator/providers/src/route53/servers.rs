//! The zone's authoritative servers, asked each by itself.

use super::config::ServerName;
use crate::dns::{SteeredName, observe_servers};
use muster_core::facts::{Seen, TrafficFacts};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// What every server answers for the name; no call of the API.
pub(super) async fn observe(
    name: &SteeredName,
    servers: &[ServerName],
    deadline: Duration,
) -> Seen<TrafficFacts> {
    let began = Instant::now();
    // Half of it: a name that is never resolved leaves time to ask the other servers.
    let (addresses, silent) = resolve(servers, deadline / 2).await;
    let left = deadline.saturating_sub(began.elapsed());
    observe_servers(name, &addresses, silent, left).await
}

/// Addresses of the servers, and why some have none.
async fn resolve(servers: &[ServerName], deadline: Duration) -> (Vec<SocketAddr>, Vec<String>) {
    let looked = servers.iter().map(|server| async move {
        match timeout(deadline, server.resolve()).await {
            Ok(found) => found,
            Err(_) => Err(format!("{server}: its name has no address in {} ms", deadline.as_millis())),
        }
    });
    let (mut addresses, mut silent) = (Vec::new(), Vec::new());
    for found in futures::future::join_all(looked).await {
        match found {
            Ok(address) => addresses.push(address),
            Err(why) => silent.push(why),
        }
    }
    (addresses, silent)
}
