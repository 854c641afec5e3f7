//! Names to addresses. The system's resolver cannot be interrupted, so a look-up that hangs is shared by all that
//! wait for the same name: at most one is under way per name, and no probe holds a thread for long.

use super::name_server::{self, Question};
use crate::finding::Finding;
use muster_core::health::Symptom;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// A system answer is used again for so long, where a fresh one is not the point.
const KEEP: Duration = Duration::from_secs(5);
/// Names kept at most; redirects may bring up any number.
const MAX_NAMES: usize = 1024;

/// How a name is resolved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lookup {
    /// The system's way, an answer of the last seconds will do.
    Recent,
    /// The system's way, now.
    Fresh,
    /// By this name server, now.
    Server(SocketAddr),
}

type Answer = Result<Arc<[IpAddr]>, String>;

enum Entry {
    Known(Arc<[IpAddr]>, Instant),
    UnderWay(watch::Receiver<Option<Answer>>),
}

/// Look-ups through the system, shared by all probes of a runner.
#[derive(Default)]
pub(crate) struct SystemNames(Mutex<HashMap<String, Entry>>);

impl SystemNames {
    /// Addresses of `host`, at least one.
    pub(crate) async fn resolve(&self, host: &str, lookup: Lookup) -> Result<Arc<[IpAddr]>, Finding> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(Arc::new([ip]));
        }
        let answer = match lookup {
            Lookup::Server(server) => resolve_at(server, host).await?,
            Lookup::Recent | Lookup::Fresh => {
                self.by_system(host, lookup == Lookup::Recent).await.map_err(|problem| {
                    Finding::new(Symptom::Resolver, format!("{host} was not resolved: {problem}"))
                })?
            }
        };
        if answer.is_empty() {
            return Err(Finding::new(Symptom::Resolver, format!("{host} has no address")));
        }
        Ok(answer)
    }

    async fn by_system(&self, host: &str, recent: bool) -> Answer {
        let mut under_way = match self.find_or_start(host, recent) {
            Ok(known) => return Ok(known),
            Err(receiver) => receiver,
        };
        let answer = match under_way.wait_for(Option::is_some).await {
            Ok(answer) => answer.clone().unwrap_or_else(|| Err("no answer".to_owned())),
            Err(_) => Err("the look-up was broken off".to_owned()),
        };
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &answer {
            Ok(addresses) => {
                names.insert(host.to_owned(), Entry::Known(Arc::clone(addresses), Instant::now() + KEEP));
            }
            Err(_) => drop(names.remove(host)),
        }
        answer
    }

    fn find_or_start(
        &self,
        host: &str,
        recent: bool,
    ) -> Result<Arc<[IpAddr]>, watch::Receiver<Option<Answer>>> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match names.get(host) {
            Some(Entry::Known(addresses, until)) if recent && Instant::now() < *until => {
                return Ok(Arc::clone(addresses));
            }
            // A finished one that nobody has taken over yet (its waiters timed out) is too old for a fresh answer.
            Some(Entry::UnderWay(receiver))
                if receiver.borrow().is_none() && receiver.has_changed().is_ok() =>
            {
                return Err(receiver.clone());
            }
            _ => {}
        }
        if names.len() >= MAX_NAMES {
            names.retain(|_, entry| matches!(entry, Entry::UnderWay(_)));
        }
        let (sender, receiver) = watch::channel(None);
        names.insert(host.to_owned(), Entry::UnderWay(receiver.clone()));
        let host = host.to_owned();
        tokio::task::spawn_blocking(move || {
            #[expect(clippy::disallowed_methods, reason = "on a thread for calls that block")]
            let answer = (host.as_str(), 0).to_socket_addrs();
            let answer = answer.map(|all| all.map(|a| a.ip()).collect()).map_err(|e| e.to_string());
            sender.send_replace(Some(answer));
        });
        Err(receiver)
    }
}

/// Both kinds of addresses from one server; follows aliases that the server does not follow itself.
async fn resolve_at(server: SocketAddr, host: &str) -> Result<Arc<[IpAddr]>, Finding> {
    const MAX_ALIASES: usize = 4;
    let mut name = host.to_owned();
    for _ in 0..=MAX_ALIASES {
        let v4 = Question::new(&name, "A").map_err(|problem| Finding::new(Symptom::Resolver, problem))?;
        let v6 = Question::new(&name, "AAAA").map_err(|problem| Finding::new(Symptom::Resolver, problem))?;
        let (v4, v6) =
            futures::future::join(name_server::ask(server, &v4), name_server::ask(server, &v6)).await;
        let as_resolver = |finding: Finding| Finding::new(Symptom::Resolver, finding.detail);
        let (v4, v6) = (v4.map_err(as_resolver)?, v6.map_err(as_resolver)?);
        let addresses: Arc<[IpAddr]> = v4.addresses().chain(v6.addresses()).collect();
        if !addresses.is_empty() {
            return Ok(addresses);
        }
        let Some(alias) = v4.alias() else {
            let detail = format!("{server} has no address for {name}: {}", v4.rcode);
            return Err(Finding::new(Symptom::Resolver, detail));
        };
        name = alias;
    }
    Err(Finding::new(Symptom::Resolver, format!("{host} leads through too many aliases")))
}
