//! What every controller's process does at its start and end, wherever its policies come from.

use crate::engine::Engine;
use crate::execute::Shell;
use crate::store::LeaseKeeper;
use muster_core::ids::HolderId;
use std::io;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// At most so long effects under way are waited for before the lease is given back.
const END_OF_EFFECTS: Duration = Duration::from_secs(2);
/// At most so long passes under way are waited for.
const END_OF_PASSES: Duration = Duration::from_secs(1);

/// SIGTERM and Ctrl-C.
pub(crate) struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    /// From here on they no longer end the process by themselves.
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    /// The next of either.
    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}

/// Name, pid and a random part: no two processes are ever the same holder.
pub(crate) fn name_holder(name: Option<&str>) -> HolderId {
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.map(str::to_owned).or_else(host).unwrap_or_else(|| "muster".to_owned());
    let name = name.trim();
    HolderId::new(format!("{name}-{}-{:04x}", std::process::id(), rand::random::<u16>()))
}

/// Hands over: nothing new starts, what is under way is waited for shortly, then the lease is given back and the
/// newest series are written.
pub(crate) async fn hand_over(
    shell: &Shell,
    engine: &Engine,
    keeper: &LeaseKeeper,
    tasks: Vec<JoinHandle<()>>,
    stop: CancellationToken,
) {
    shell.lease.stop_acting();
    stop.cancel();
    engine.join(END_OF_PASSES).await;
    shell.effects.close();
    if tokio::time::timeout(END_OF_EFFECTS, shell.effects.wait()).await.is_err() {
        tracing::warn!(effects = shell.effects.len(), "effects are still under way; their successor looks");
    }
    keeper.give_back().await;
    if let Some(archive) = &shell.archive
        && let Err(error) = archive.flush().await
    {
        tracing::warn!(%error, "failed to write the newest series");
    }
    for task in tasks {
        task.abort();
    }
}
