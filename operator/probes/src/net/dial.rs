//! TCP connections: fresh, raced over a name's addresses (RFC 8305), classified by whose fault a failure is.

use super::lookup::{Lookup, SystemNames};
use crate::finding::Finding;
use crate::progress::{Phase, Progress};
use futures::stream::{FuturesUnordered, StreamExt};
use muster_core::health::Symptom;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;
use tokio::net::TcpStream;

/// RFC 8305, section 5: the next address is tried after this long without an answer.
const STAGGER: Duration = Duration::from_millis(250);
/// Addresses tried of one name.
const MAX_ADDRESSES: usize = 4;

/// `host:port`, the host a name or an address.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Address {
    /// Reads `name:port`, `1.2.3.4:port` or `[::1]:port`; the port may be left out if there is a usual one.
    pub(crate) fn parse(text: &str, usual_port: Option<u16>) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no address; write host:port");
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or_else(wrong)?;
                host.parse::<Ipv6Addr>().map_err(|_| wrong())?;
                (host, after.strip_prefix(':'))
            }
            None => match text.rsplit_once(':') {
                Some((host, _)) if host.contains(':') => return Err(wrong()),
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            Some(port) => port.parse::<u16>().ok().filter(|p| *p > 0).ok_or_else(wrong)?,
            None => usual_port.ok_or_else(wrong)?,
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '/' || c == '@') {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

/// Connects to the first address that answers.
pub(crate) async fn dial(
    names: &SystemNames,
    address: &Address,
    lookup: Lookup,
    progress: &Progress,
) -> Result<TcpStream, Finding> {
    progress.enter(Phase::Lookup);
    let ips = names.resolve(&address.host, lookup).await?;
    progress.enter(Phase::Connect);
    let stream = match &ips[..] {
        [only] => connect(SocketAddr::new(*only, address.port)).await?,
        several => race(several, address.port).await?,
    };
    // Small requests must not wait for an acknowledgement (Nagle).
    stream.set_nodelay(true).map_err(|e| Finding::io(&e, "setting up the connection"))?;
    progress.enter(Phase::Answer);
    Ok(stream)
}

async fn race(ips: &[IpAddr], port: u16) -> Result<TcpStream, Finding> {
    let mut waiting = ips.iter().take(MAX_ADDRESSES).map(|ip| SocketAddr::new(*ip, port));
    let mut attempts = FuturesUnordered::new();
    attempts.extend(waiting.next().map(connect));
    let mut worst: Option<Finding> = None;
    loop {
        let next = if waiting.len() > 0 {
            tokio::time::timeout(STAGGER, attempts.next()).await.ok()
        } else {
            Some(attempts.next().await)
        };
        match next {
            Some(Some(Ok(stream))) => return Ok(stream),
            Some(Some(Err(finding))) => {
                worst = Some(more_telling(worst.take(), finding));
                attempts.extend(waiting.next().map(connect));
            }
            Some(None) => {
                return Err(worst.unwrap_or_else(|| Finding::new(Symptom::Resolver, "there is no address")));
            }
            None => attempts.extend(waiting.next().map(connect)),
        }
    }
}

/// A target that refused says more than an address family that we have no route for.
fn more_telling(old: Option<Finding>, new: Finding) -> Finding {
    const fn weight(symptom: Symptom) -> u8 {
        match symptom {
            Symptom::Refused => 3,
            Symptom::Timeout | Symptom::NoRoute => 2,
            _ => 1,
        }
    }
    match old {
        Some(old) if weight(old.symptom) >= weight(new.symptom) => old,
        _ => new,
    }
}

async fn connect(to: SocketAddr) -> Result<TcpStream, Finding> {
    TcpStream::connect(to).await.map_err(|error| {
        let finding = Finding::io(&error, &format!("connecting to {to}"));
        if finding.symptom == Symptom::NoRoute && has_no_local_route(to) {
            return Finding::own_setup(format!("connecting to {to}: this machine has no route there"));
        }
        finding
    })
}

/// Connecting a datagram socket sends nothing and asks the routing table alone.
fn has_no_local_route(to: SocketAddr) -> bool {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let unreachable = |e: &io::Error| {
        matches!(e.kind(), io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable)
    };
    UdpSocket::bind((any, 0)).and_then(|socket| socket.connect(to)).is_err_and(|e| unreachable(&e))
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn addresses_are_read_and_mistakes_refused() {
        let read = |text: &str, port| Address::parse(text, port).map(|a| a.to_string());
        assert_eq!(read("db.example:5432", None).as_deref(), Ok("db.example:5432"));
        assert_eq!(read("[::1]:53", None).as_deref(), Ok("[::1]:53"));
        assert_eq!(read("192.0.2.1", Some(53)).as_deref(), Ok("192.0.2.1:53"));
        for wrong in ["db.example", "db:0", "db:x", "::1:53", "[::1", ":80", "http://x/:80", "a b:80"] {
            assert!(read(wrong, None).is_err(), "{wrong}");
        }
    }
}
