//! The sockets of one name server, and the loops that serve them until it is stopped.

use super::{Answering, Transport};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How often a port that is free for TCP may turn out to be taken for UDP.
const ATTEMPTS: usize = 16;
/// No question is larger.
const LARGEST_QUESTION: usize = 4096;

/// One port, for both transports.
pub(super) struct Sockets {
    pub(super) udp: UdpSocket,
    pub(super) tcp: TcpListener,
}

impl Sockets {
    pub(super) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let tcp = TcpListener::bind(address).await?;
        let udp = UdpSocket::bind(tcp.local_addr()?).await?;
        Ok(Self { udp, tcp })
    }

    pub(super) async fn bind_anywhere() -> io::Result<Self> {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut bound = Self::bind(any_port).await;
        for _ in 1..ATTEMPTS {
            if bound.is_ok() {
                break;
            }
            bound = Self::bind(any_port).await;
        }
        bound
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// Answers datagrams.
pub(super) async fn serve_udp(socket: UdpSocket, answering: Answering, stopped: CancellationToken) {
    let mut buffer = vec![0_u8; LARGEST_QUESTION];
    loop {
        let received = tokio::select! {
            biased;
            () = stopped.cancelled() => return,
            received = socket.recv_from(&mut buffer) => received,
        };
        // It may have been stopped while the datagram was being received.
        if stopped.is_cancelled() {
            return;
        }
        let Ok((length, client)) = received else { continue };
        let question = buffer.get(..length).unwrap_or_default();
        if let Some(answer) = answering(question, Transport::Udp) {
            // A client that is gone needs no answer.
            let _ = socket.send_to(&answer, client).await;
        }
    }
}

/// Answers connections, each with as many questions as it likes.
pub(super) async fn serve_tcp(listener: TcpListener, answering: Answering, stopped: CancellationToken) {
    let mut clients = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        while clients.try_join_next().is_some() {}
        if let Ok((stream, _)) = accepted {
            clients.spawn(serve_client(stream, Arc::clone(&answering), stopped.clone()));
        }
    }
    clients.shutdown().await;
}

async fn serve_client(mut stream: TcpStream, answering: Answering, stopped: CancellationToken) {
    loop {
        let question = tokio::select! {
            biased;
            () = stopped.cancelled() => return,
            question = read_question(&mut stream) => question,
        };
        let Ok(question) = question else { return };
        if stopped.is_cancelled() {
            return;
        }
        let Some(answer) = answering(&question, Transport::Tcp) else { return };
        if write_answer(&mut stream, &answer).await.is_err() {
            return;
        }
    }
}

/// Reads the length and the message (RFC 1035, 4.2.2).
async fn read_question(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut question = vec![0_u8; usize::from(length)];
    stream.read_exact(&mut question).await?;
    Ok(question)
}

async fn write_answer(stream: &mut TcpStream, answer: &[u8]) -> io::Result<()> {
    let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
    let mut message = length.to_be_bytes().to_vec();
    message.extend_from_slice(answer);
    stream.write_all(&message).await
}
