//! The world's own door, a socket in its folder: by it the power tool and the rejoin hook have the world start
//! processes, so that everything stays supervised. One JSON request a connection, one line each way.

use super::site::Site;
use anyhow::{Context, anyhow};
use muster_core::ids::RegionName;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

/// What may be asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Request {
    /// May the database of `region` be repaired from `follow` now? Refused while its machines are down or cut off.
    MayRepair {
        /// The region that comes back.
        region: RegionName,
        /// The region that takes writes.
        follow: RegionName,
    },
    /// Stop all that runs in a region.
    Stop {
        /// The region.
        region: RegionName,
    },
    /// Start a region's database as its files say.
    StartDatabase {
        /// The region.
        region: RegionName,
    },
    /// Start a region's order service.
    StartService {
        /// The region.
        region: RegionName,
    },
}

/// Done, or why not.
type Response = Result<(), String>;

/// The socket in a world's folder.
pub fn socket_path(dir: &Path) -> PathBuf {
    dir.join("control")
}

/// Opens the door.
pub fn open(dir: &Path) -> anyhow::Result<UnixListener> {
    let path = socket_path(dir);
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).with_context(|| format!("failed to open {}", path.display()))?;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(listener)
}

/// Answers until it is aborted.
pub(super) async fn serve(listener: UnixListener, world: Arc<Site>) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let world = world.clone();
            tokio::spawn(async move {
                let _ = timeout(Duration::from_secs(20), answer(stream, &world)).await;
            });
        }
    }
}

async fn answer(stream: UnixStream, world: &Site) -> anyhow::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read).read_line(&mut line).await?;
    let response: Response = match serde_json::from_str(&line) {
        Ok(request) => carry_out(world, request).await.map_err(|e| format!("{e:#}")),
        Err(e) => Err(format!("not a request: {e}")),
    };
    write.write_all(serde_json::to_string(&response)?.as_bytes()).await?;
    write.write_all(b"\n").await?;
    Ok(())
}

async fn carry_out(world: &Site, request: Request) -> anyhow::Result<()> {
    match request {
        Request::MayRepair { region, follow } => world.may_repair(&region, &follow),
        Request::Stop { region } => {
            world.processes.kill_region(&region);
            Ok(())
        }
        Request::StartDatabase { region } => world.start_database(&region),
        Request::StartService { region } => world.start_service(&region).await,
    }
}

/// Asks the world in `dir`.
pub async fn ask(dir: &Path, request: &Request) -> anyhow::Result<()> {
    let exchange = async {
        let stream = UnixStream::connect(socket_path(dir)).await.context("the demo's world does not run")?;
        let (read, mut write) = stream.into_split();
        write.write_all(format!("{}\n", serde_json::to_string(request)?).as_bytes()).await?;
        let mut line = String::new();
        BufReader::new(read).read_line(&mut line).await?;
        let response: Response = serde_json::from_str(&line).context("the demo's world broke off")?;
        response.map_err(|why| anyhow!(why))
    };
    timeout(Duration::from_secs(20), exchange).await.context("the demo's world did not answer in time")?
}
