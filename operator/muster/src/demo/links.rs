//! The network between places: each path is a small TCP (or UDP) relay in this process, with a state.
//!
//! A cut is a black hole, as when a network drops packets: what is under way stops, and a new connection hangs in
//! the handshake, because the listener's queue is kept full ([`Plug`]). After healing both go on.

use super::addresses::{Addresses, Kind, Place};
use anyhow::Context;
use socket2::SockRef;
use std::collections::HashSet;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

/// What a link does with traffic.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LinkState {
    /// Passes it.
    #[default]
    Open,
    /// Passes it late, by this much in each direction.
    Delayed(Duration),
    /// Drops it: clients run into their time-outs.
    Cut,
    /// What `from` sends is dropped, what `to` sends arrives. New connections hang.
    CutForward,
    /// What `from` sends arrives, the answers are dropped. New connections hang.
    CutBack,
    /// Refuses new connections and breaks off open ones.
    Refused,
}

/// A direction of one connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Forward,
    Back,
}

impl LinkState {
    const fn passes(self, way: Way) -> bool {
        match self {
            Self::Open | Self::Delayed(_) => true,
            Self::Cut | Self::Refused => false,
            Self::CutForward => matches!(way, Way::Back),
            Self::CutBack => matches!(way, Way::Forward),
        }
    }
    const fn delay(self) -> Duration {
        match self {
            Self::Delayed(by) => by,
            _ => Duration::ZERO,
        }
    }
    /// Whether new connections come through.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Delayed(_))
    }
}

/// One path.
#[derive(Debug)]
pub struct Link {
    /// Who uses it.
    pub from: Place,
    /// Whom it reaches.
    pub to: Place,
    /// What it reaches there.
    pub kind: Kind,
    state: watch::Sender<LinkState>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// All paths of a world.
#[derive(Debug, Default)]
pub struct Links {
    all: Vec<Link>,
}

impl Links {
    /// Opens a path and starts to relay. A name server's path relays UDP as well.
    pub fn open(&mut self, addresses: &Addresses, from: Place, to: Place, kind: Kind) -> anyhow::Result<()> {
        let listen = addresses.path(&from, &to, kind);
        let target = addresses.own(&to, kind);
        let (state, watched) = watch::channel(LinkState::Open);
        let listener =
            bind(listen).with_context(|| format!("failed to open the path {from} -> {to} at {listen}"))?;
        let mut tasks = vec![tokio::spawn(relay_connections(listener, listen, target, watched.clone()))];
        if kind == Kind::Dns {
            let socket = std::net::UdpSocket::bind(listen)?;
            socket.set_nonblocking(true)?;
            let socket = tokio::net::UdpSocket::from_std(socket)?;
            tasks.push(tokio::spawn(super::wire::relay_datagrams(socket, target, watched)));
        }
        self.all.push(Link { from, to, kind, state, tasks });
        Ok(())
    }

    /// Puts every path that `choose` names into a state, and says how many those were.
    pub fn set(&self, state: LinkState, choose: impl Fn(&Link) -> bool) -> usize {
        let chosen: Vec<&Link> = self.all.iter().filter(|l| choose(l)).collect();
        for link in &chosen {
            link.state.send_replace(state);
        }
        chosen.len()
    }

    /// The state of a path.
    pub fn state(&self, from: &Place, to: &Place, kind: Kind) -> Option<LinkState> {
        let link = self.all.iter().find(|l| l.from == *from && l.to == *to && l.kind == kind);
        link.map(|l| *l.state.borrow())
    }
}

impl Link {
    /// Whether one end of it is this place.
    pub fn touches(&self, place: &Place) -> bool {
        self.from == *place || self.to == *place
    }
}

/// Whether a datagram may pass, and how late. For the UDP relay.
pub(super) fn datagram_delay(state: LinkState, forward: bool) -> Option<Duration> {
    let way = if forward { Way::Forward } else { Way::Back };
    state.passes(way).then(|| state.delay())
}

fn bind(listen: SocketAddr) -> io::Result<TcpListener> {
    let listener = StdListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

async fn relay_connections(
    listener: TcpListener,
    listen: SocketAddr,
    target: SocketAddr,
    mut state: watch::Receiver<LinkState>,
) {
    let mut connections = JoinSet::new();
    let mut listener = Some(listener);
    loop {
        let now = *state.borrow_and_update();
        if now == LinkState::Refused {
            listener = None;
            if state.changed().await.is_err() {
                return;
            }
            continue;
        }
        // Taken back after a refusal; somebody else's port by now would be retried at the next change.
        let Some(open) = listener.take().or_else(|| bind(listen).ok()) else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let plug = if now.is_open() { None } else { Some(Plug::insert(&open, listen).await) };
        tokio::select! {
            changed = state.changed() => {
                if changed.is_err() { return; }
                for client in release(plug, &open) {
                    connections.spawn(relay(client, target, state.clone()));
                }
            }
            accepted = open.accept(), if plug.is_none() => {
                if let Ok((client, _)) = accepted {
                    connections.spawn(relay(client, target, state.clone()));
                }
            }
        }
        while connections.try_join_next().is_some() {}
        listener = Some(open);
    }
}

/// Keeps a listener's queue full, so that the kernel drops the handshakes of others.
struct Plug {
    fillers: Vec<TcpStream>,
}

impl Plug {
    async fn insert(listener: &TcpListener, listen: SocketAddr) -> Self {
        let mut fillers = Vec::new();
        let _ = SockRef::from(listener).listen(0);
        // The queue is full as soon as a connection hangs. Two fit on Linux.
        while let Ok(Ok(filler)) = timeout(Duration::from_millis(30), TcpStream::connect(listen)).await {
            fillers.push(filler);
        }
        Self { fillers }
    }
}

/// Empties the queue again. What others had got into it is handed on.
fn release(plug: Option<Plug>, listener: &TcpListener) -> Vec<TcpStream> {
    let Some(plug) = plug else { return Vec::new() };
    let own: HashSet<SocketAddr> = plug.fillers.iter().filter_map(|f| f.local_addr().ok()).collect();
    let mut others = Vec::new();
    let socket = SockRef::from(listener);
    while let Ok((client, peer)) = socket.accept() {
        let client: std::net::TcpStream = client.into();
        if peer.as_socket().is_some_and(|p| own.contains(&p)) || client.set_nonblocking(true).is_err() {
            continue;
        }
        others.extend(TcpStream::from_std(client));
    }
    let _ = socket.listen(1024);
    others
}

/// Relays one connection until both ends are done, or one breaks.
async fn relay(client: TcpStream, target: SocketAddr, state: watch::Receiver<LinkState>) {
    let Ok(Ok(server)) = timeout(Duration::from_secs(5), TcpStream::connect(target)).await else {
        // Nobody listens there: the client must see a reset, not an orderly end.
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let reset = (SockRef::from(&client).try_clone(), SockRef::from(&server).try_clone());
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let forward = pump(client_read, server_write, Way::Forward, state.clone());
    let back = pump(server_read, client_write, Way::Back, state.clone());
    let refused = wait_for(state, |s| s == LinkState::Refused);
    let orderly = tokio::select! {
        ends = async { tokio::try_join!(forward, back) } => ends.is_ok(),
        () = refused => false,
    };
    if !orderly {
        for socket in [reset.0, reset.1].into_iter().flatten() {
            let _ = socket.set_linger(Some(Duration::ZERO));
        }
    }
}

/// Moves bytes one way. Ends well at the end of the stream, with an error when an end breaks.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    way: Way,
    state: watch::Receiver<LinkState>,
) -> io::Result<()> {
    let (queue, mut queued) = mpsc::channel::<(Instant, Vec<u8>)>(256);
    let mut seen = state.clone();
    let read = async move {
        loop {
            wait_for(seen.clone(), |s| s.passes(way)).await;
            let mut buffer = vec![0; 16 * 1024];
            let count = tokio::select! {
                count = from.read(&mut buffer) => count?,
                changed = seen.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return Ok::<(), io::Error>(()),
                },
            };
            buffer.truncate(count);
            let due = Instant::now() + seen.borrow().delay();
            // An empty chunk is the end of the stream: it travels like everything else.
            if queue.send((due, buffer)).await.is_err() || count == 0 {
                return Ok(());
            }
        }
    };
    let write = async move {
        while let Some((due, chunk)) = queued.recv().await {
            sleep_until(due).await;
            wait_for(state.clone(), |s| s.passes(way)).await;
            if chunk.is_empty() {
                return to.shutdown().await;
            }
            to.write_all(&chunk).await?;
        }
        Ok(())
    };
    tokio::try_join!(read, write).map(|_| ())
}

/// Waits until the link is in such a state; for ever once the link is gone.
async fn wait_for(mut state: watch::Receiver<LinkState>, is_met: impl Fn(LinkState) -> bool) {
    if state.wait_for(|s| is_met(*s)).await.is_err() {
        std::future::pending::<()>().await;
    }
}
