//! The authoritative name server of `example.test`: Knot's knotd, or BIND's named where there is no Knot.
//! Takes updates of `shop.example.test` and names below it, signed with the key `muster`, and no others.

use super::folders;
use super::processes::Launch;
use super::resolver::ask_address;
use anyhow::{Context, bail};
use base64::Engine;
use rand::RngCore;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The zone.
pub const ZONE: &str = "example.test";
/// The public name of the shop.
pub const RECORD: &str = "shop.example.test";
/// The key's name.
pub const KEY_NAME: &str = "muster";
/// The name of its process.
pub const PROCESS: &str = "name server";
/// How long resolvers may keep the address, in seconds. The smallest that DNS has beside none.
pub const TTL_SECONDS: u32 = 1;

/// Which program serves names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Server {
    /// Knot DNS, knotd.
    Knot,
    /// BIND, named.
    Bind,
}

/// The zone's server, laid out in a folder.
#[derive(Clone, Debug)]
pub struct NameServer {
    folder: PathBuf,
    listen: SocketAddr,
    server: Server,
    program: PathBuf,
    /// The update key, base64.
    pub key: String,
}

impl NameServer {
    /// Writes settings and zone; the public name points at `front`. Without a wish the first program that is
    /// installed serves.
    pub fn lay(
        folder: PathBuf,
        listen: SocketAddr,
        front: Ipv4Addr,
        wish: Option<Server>,
    ) -> anyhow::Result<Self> {
        let (server, program) = find(wish)?;
        for part in ["", "run", "zones", "db"] {
            folders::make_private(&folder.join(part), None)?;
        }
        let mut secret = [0_u8; 32];
        rand::rng().fill_bytes(&mut secret);
        let key = base64::engine::general_purpose::STANDARD.encode(secret);
        let this = Self { folder, listen, server, program, key };
        folders::write(&this.settings_path(), &this.settings(), 0o600)?;
        folders::write(&this.folder.join("zones/example.test.zone"), &zone(listen, front), 0o600)?;
        Ok(this)
    }

    fn settings_path(&self) -> PathBuf {
        self.folder.join("server.conf")
    }

    fn settings(&self) -> String {
        let text = match self.server {
            Server::Knot => include_str!("conf/knot.conf"),
            Server::Bind => include_str!("conf/named.conf"),
        };
        text.replace("{folder}", &self.folder.display().to_string())
            .replace("{address}", &self.listen.ip().to_string())
            .replace("{port}", &self.listen.port().to_string())
            .replace("{key}", &self.key)
    }

    /// How to start it.
    pub fn launch(&self) -> Launch {
        let settings = self.settings_path().display().to_string();
        let args = match self.server {
            Server::Knot => vec!["-c".to_owned(), settings],
            Server::Bind => vec!["-g".to_owned(), "-n".to_owned(), "1".to_owned(), "-c".to_owned(), settings],
        };
        Launch {
            name: PROCESS.to_owned(),
            region: None,
            program: self.program.clone(),
            args,
            folder: self.folder.clone(),
            identity: None,
            log: self.folder.join("server.log"),
            environment: Vec::new(),
        }
    }

    /// Waits until it answers.
    pub async fn wait_ready(&self, patience: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            if ask_address(self.listen, RECORD, Duration::from_millis(300)).await.is_ok() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let log = std::fs::read_to_string(self.folder.join("server.log")).unwrap_or_default();
                bail!(
                    "the name server does not answer; it said: {}",
                    log.lines().last().unwrap_or("nothing")
                );
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
}

fn find(wish: Option<Server>) -> anyhow::Result<(Server, PathBuf)> {
    let folders = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"];
    let candidates = [(Server::Knot, "knotd"), (Server::Bind, "named")];
    let mut all =
        candidates.iter().flat_map(|(server, name)| folders.map(|f| (*server, Path::new(f).join(name))));
    all.find(|(server, program)| wish.is_none_or(|w| w == *server) && program.exists())
        .context("no name server was found (on Debian and Ubuntu: apt-get install knot, or bind9)")
}

fn zone(listen: SocketAddr, front: Ipv4Addr) -> String {
    format!(
        "{ZONE}. 60 SOA ns.{ZONE}. hostmaster.{ZONE}. 1 60 60 600 1\n\
         {ZONE}. 60 NS ns.{ZONE}.\n\
         ns.{ZONE}. 60 A {}\n\
         {RECORD}. {TTL_SECONDS} A {front}\n",
        listen.ip()
    )
}
