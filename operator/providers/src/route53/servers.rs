//! The zone's authoritative servers, asked each by itself.

use super::config::ServerName;
use crate::dns::{Registry, SteeredName, observe_servers};
use muster_core::facts::{Seen, TrafficFacts};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// So long a resolver is waited for where an address is known.
const BESIDE: Duration = Duration::from_millis(500);

/// Those of one name, and what was found of them before.
#[derive(Debug)]
pub(super) struct Servers {
    all: Vec<Server>,
    registry: Registry,
}

#[derive(Debug)]
struct Server {
    name: ServerName,
    /// Its address as it was found last: the resolver may be gone with a region, and addresses of Route 53's servers stay.
    known: Mutex<Option<SocketAddr>>,
}

impl Servers {
    pub(super) fn new(names: &[ServerName]) -> Self {
        let server = |name: &ServerName| Server { name: name.clone(), known: Mutex::default() };
        Self { all: names.iter().map(server).collect(), registry: Registry::default() }
    }

    /// What every server answers for the name; no call of the API.
    pub(super) async fn observe(&self, name: &SteeredName, deadline: Duration) -> Seen<TrafficFacts> {
        let began = Instant::now();
        // Half of it: a name that is never resolved leaves time to ask the other servers.
        let (addresses, silent) = self.resolve(deadline / 2).await;
        let left = deadline.saturating_sub(began.elapsed());
        observe_servers(name, &addresses, silent, &self.registry, left).await
    }

    /// Addresses of the servers, and why some have none.
    async fn resolve(&self, deadline: Duration) -> (Vec<SocketAddr>, Vec<String>) {
        let looked = self.all.iter().map(|server| server.resolve(deadline));
        let (mut addresses, mut silent) = (Vec::new(), Vec::new());
        for found in futures::future::join_all(looked).await {
            match found {
                Ok(address) => addresses.push(address),
                Err(why) => silent.push(why),
            }
        }
        (addresses, silent)
    }
}

impl Server {
    fn lock(&self) -> MutexGuard<'_, Option<SocketAddr>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn resolve(&self, deadline: Duration) -> Result<SocketAddr, String> {
        let known = *self.lock();
        let patience = if known.is_some() { deadline.min(BESIDE) } else { deadline };
        let found = match timeout(patience, self.name.resolve()).await {
            Ok(found) => found,
            Err(_) => Err(format!("{}: its name has no address in {} ms", self.name, patience.as_millis())),
        };
        match (found, known) {
            (Ok(address), _) => {
                *self.lock() = Some(address);
                Ok(address)
            }
            (Err(why), Some(address)) => {
                tracing::debug!(%address, why, "a name server is asked at the address that it had before");
                Ok(address)
            }
            (Err(why), None) => Err(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_is_not_found_any_more_keeps_its_address() {
        let name = ServerName::parse("a-name-that-no-resolver-has.invalid").expect("a name");
        let servers = Servers::new(&[name]);
        let (addresses, silent) = servers.resolve(BESIDE).await;
        assert_eq!((addresses.len(), silent.len()), (0, 1), "{silent:?}");
        let before: SocketAddr = "127.0.0.1:53".parse().expect("an address");
        *servers.all[0].known.lock().expect("sound") = Some(before);
        assert_eq!(servers.resolve(BESIDE).await, (vec![before], Vec::new()));
        let found = Servers::new(&[ServerName::parse("127.0.0.1:5353").expect("an address")]);
        found.resolve(Duration::from_secs(10)).await;
        assert_eq!(*found.all[0].known.lock().expect("sound"), "127.0.0.1:5353".parse().ok());
    }
}
