//! The UDP half of a link: relays datagrams to a name server and the answers back.

use super::links::{LinkState, datagram_delay};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// Largest datagram of DNS.
const LARGEST: usize = 64 * 1024;
/// A client's socket is forgotten when no answer came for this long.
const IDLE: Duration = Duration::from_secs(10);
/// Clients at a time; the table is emptied of finished ones before it grows beyond.
const CLIENTS: usize = 1024;

/// Relays until it is aborted.
pub(super) async fn relay_datagrams(
    socket: UdpSocket,
    target: SocketAddr,
    state: watch::Receiver<LinkState>,
) {
    let socket = Arc::new(socket);
    let mut answers = JoinSet::new();
    let mut clients: HashMap<SocketAddr, (Arc<UdpSocket>, AbortHandle)> = HashMap::new();
    let mut buffer = vec![0; LARGEST];
    loop {
        let Ok((count, client)) = socket.recv_from(&mut buffer).await else { continue };
        let Some(delay) = datagram_delay(*state.borrow(), true) else { continue };
        while answers.try_join_next().is_some() {}
        clients.retain(|_, (_, task)| !task.is_finished());
        if clients.len() >= CLIENTS {
            continue;
        }
        let upstream = match clients.entry(client) {
            Entry::Occupied(known) => known.get().0.clone(),
            Entry::Vacant(new) => {
                let Ok(upstream) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await else { continue };
                let upstream = Arc::new(upstream);
                let back = relay_answers(upstream.clone(), socket.clone(), client, state.clone());
                new.insert((upstream.clone(), answers.spawn(back)));
                upstream
            }
        };
        let datagram = buffer.get(..count).unwrap_or_default().to_vec();
        answers.spawn(async move {
            tokio::time::sleep(delay).await;
            let _ = upstream.send_to(&datagram, target).await;
        });
    }
}

async fn relay_answers(
    upstream: Arc<UdpSocket>,
    socket: Arc<UdpSocket>,
    client: SocketAddr,
    state: watch::Receiver<LinkState>,
) {
    let mut buffer = vec![0; LARGEST];
    while let Ok(Ok(count)) = tokio::time::timeout(IDLE, upstream.recv(&mut buffer)).await {
        let Some(delay) = datagram_delay(*state.borrow(), false) else { continue };
        tokio::time::sleep(delay).await;
        let _ = socket.send_to(buffer.get(..count).unwrap_or_default(), client).await;
    }
}
