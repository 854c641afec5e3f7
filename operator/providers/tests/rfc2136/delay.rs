//! Paths to a server on which an update gets stuck until the test lets it through, or is answered by a liar.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Forwards queries, keeps updates.
pub(crate) struct StuckPath {
    pub(crate) address: SocketAddr,
    server: SocketAddr,
    stuck: mpsc::UnboundedReceiver<Vec<u8>>,
}

impl StuckPath {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (keep, stuck) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let keep = keep.clone();
                let on_update = move |update| {
                    let _ = keep.send(update);
                    None
                };
                tokio::spawn(forward(client, server, on_update));
            }
        });
        Self { address, server, stuck }
    }

    /// Lets one stuck update through, and returns the server's response code.
    pub(crate) async fn release(&mut self) -> u8 {
        let update = self.stuck.recv().await.expect("an update is stuck");
        let mut server = TcpStream::connect(self.server).await.expect("the server takes it");
        write(&mut server, &update).await;
        let answer = read(&mut server).await.expect("an answer");
        answer[3] & 0x0f
    }
}

/// A path on which somebody answers each update with this code, and keeps it from the server.
pub(crate) async fn lie_about_updates(server: SocketAddr, code: u8) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let lie = move |update: Vec<u8>| {
                let (response, no_records) = ([update[2] | 0x80, code], [0; 8]);
                Some([&update[..2], &response, &no_records].concat())
            };
            tokio::spawn(forward(client, server, lie));
        }
    });
    address
}

async fn forward(mut client: TcpStream, server: SocketAddr, on_update: impl Fn(Vec<u8>) -> Option<Vec<u8>>) {
    const UPDATE: u8 = 5;
    let mut server = TcpStream::connect(server).await.expect("the server takes connections");
    while let Some(message) = read(&mut client).await {
        let opcode = message[2] >> 3 & 0x0f;
        let answer = if opcode == UPDATE {
            on_update(message)
        } else {
            write(&mut server, &message).await;
            read(&mut server).await
        };
        if let Some(answer) = answer {
            write(&mut client, &answer).await;
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = stream.read_u16().await.ok()?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await.ok()?;
    Some(message)
}

async fn write(stream: &mut TcpStream, message: &[u8]) {
    let length = u16::try_from(message.len()).expect("a DNS message");
    stream.write_all(&length.to_be_bytes()).await.expect("the length is written");
    stream.write_all(message).await.expect("the message is written");
}
