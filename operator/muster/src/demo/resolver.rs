//! How the demo's clients find the shop: a stub resolver that asks the world's name server and keeps an answer for
//! its TTL, as an honest client does.

use anyhow::{Context, bail};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

/// An address and how long it may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The first address.
    pub address: IpAddr,
    /// Its TTL.
    pub ttl: Duration,
}

/// Asks one server for the IPv4 address of a name.
pub async fn ask_address(server: SocketAddr, name: &str, patience: Duration) -> anyhow::Result<Answer> {
    let id = rand::random();
    let mut query = Message::new(id, MessageType::Query, OpCode::Query);
    query.add_query(Query::query(Name::from_str(&format!("{name}."))?, RecordType::A));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(server).await?;
    socket.send(&query.to_vec()?).await.context("failed to ask the name server")?;
    let mut buffer = [0; 4096];
    let received = timeout(patience, socket.recv(&mut buffer)).await;
    let count =
        received.context("the name server did not answer in time")?.context("no name server there")?;
    let answer = Message::from_vec(buffer.get(..count).unwrap_or_default()).context("not a DNS answer")?;
    if answer.metadata.id != id || answer.metadata.response_code != ResponseCode::NoError {
        bail!("the name server refused: {}", answer.metadata.response_code);
    }
    let first = answer.answers.iter().find_map(|record| match &record.data {
        RData::A(a) => Some(Answer { address: a.0.into(), ttl: Duration::from_secs(record.ttl.into()) }),
        _ => None,
    });
    first.with_context(|| format!("{name} has no address"))
}

/// Resolves one name again and again.
#[derive(Debug)]
pub struct Resolver {
    server: SocketAddr,
    name: String,
    kept: Option<(IpAddr, Instant)>,
}

impl Resolver {
    /// Of this name, at this server.
    pub fn new(server: SocketAddr, name: &str) -> Self {
        Self { server, name: name.to_owned(), kept: None }
    }

    /// The address, from memory within its TTL. When the server is silent the old one is used on, as resolvers
    /// do (RFC 8767).
    pub async fn resolve(&mut self, patience: Duration) -> anyhow::Result<IpAddr> {
        if let Some((address, until)) = self.kept
            && Instant::now() < until
        {
            return Ok(address);
        }
        match ask_address(self.server, &self.name, patience).await {
            Ok(answer) => {
                self.kept = Some((answer.address, Instant::now() + answer.ttl));
                Ok(answer.address)
            }
            Err(error) => self.kept.map(|(address, _)| address).ok_or(error),
        }
    }
}
