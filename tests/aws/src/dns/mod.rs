//! Name servers on loopback, each with one port for UDP and TCP, that can be stopped and started again.
//!
//! What this module must never do: answer after a server was stopped; know what is answered.

mod serve;

use serve::Sockets;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How a question came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// Answers a message, or says nothing.
pub(crate) type Answering = Arc<dyn Fn(&[u8], Transport) -> Option<Vec<u8>> + Send + Sync>;

struct NameServer {
    answering: Answering,
    stopped: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

/// Every name server of one fake.
pub(crate) struct NameServers {
    /// Cancelled when the fake ends; each server is stopped by a child of it.
    ended: CancellationToken,
    servers: Mutex<BTreeMap<SocketAddr, NameServer>>,
}

impl NameServers {
    pub(crate) fn new(ended: CancellationToken) -> Self {
        Self { ended, servers: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, NameServer>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a server on a free port.
    pub(crate) async fn start(&self, answering: Answering) -> io::Result<SocketAddr> {
        let sockets = Sockets::bind_anywhere().await?;
        let address = sockets.address()?;
        self.run(address, sockets, answering);
        Ok(address)
    }

    /// Starts a server at this address.
    pub(crate) async fn start_at(&self, address: SocketAddr, answering: Answering) -> io::Result<()> {
        let sockets = Sockets::bind(address).await?;
        self.run(address, sockets, answering);
        Ok(())
    }

    /// From now on nothing is answered there.
    pub(crate) fn stop(&self, address: SocketAddr) {
        if let Some(server) = self.lock().get(&address) {
            server.stopped.cancel();
        }
    }

    /// Starts a server again on its port; one that runs is stopped first.
    pub(crate) async fn restart(&self, address: SocketAddr) -> io::Result<()> {
        let (answering, tasks) = self.stop_for_restart(address)?;
        for task in tasks {
            // Its sockets are closed when it is over, however it ended.
            let _ = task.await;
        }
        let sockets = Sockets::bind(address).await?;
        self.run(address, sockets, answering);
        Ok(())
    }

    fn stop_for_restart(&self, address: SocketAddr) -> io::Result<(Answering, Vec<JoinHandle<()>>)> {
        let mut servers = self.lock();
        let unknown =
            || io::Error::new(io::ErrorKind::NotFound, "failed to find a name server with this address");
        let server = servers.get_mut(&address).ok_or_else(unknown)?;
        server.stopped.cancel();
        Ok((Arc::clone(&server.answering), std::mem::take(&mut server.tasks)))
    }

    fn run(&self, address: SocketAddr, sockets: Sockets, answering: Answering) {
        let stopped = self.ended.child_token();
        let udp = serve::serve_udp(sockets.udp, Arc::clone(&answering), stopped.clone());
        let tcp = serve::serve_tcp(sockets.tcp, Arc::clone(&answering), stopped.clone());
        let tasks = vec![tokio::spawn(udp), tokio::spawn(tcp)];
        self.lock().insert(address, NameServer { answering, stopped, tasks });
    }
}
