//! The prepared database: made once with initdb and the setup SQL, kept in the cache, copied for each region.
//! A copy takes a tenth of a second, and all copies have one system identifier, so they can replicate at once.

use super::folders;
use super::postgres::{Login, connect};
use super::processes::Identity;
use super::scram;
use anyhow::{Context, bail};
use rand::Rng;
use rand::distr::Alphanumeric;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// Run as superuser in the database `postgres`; the rest in the database `shop`.
const ROLES_SQL: &str = include_str!("sql/roles.sql");

/// The application's table, and Muster's own part as its users are told to make it.
fn shop_sql() -> String {
    include_str!("sql/shop.sql").to_owned() + &muster_providers::postgres::setup_sql("muster", "shop")
}

/// PostgreSQL's programs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Programs {
    folder: PathBuf,
    version: String,
}

impl Programs {
    /// The newest PostgreSQL on this machine.
    pub fn find() -> anyhow::Result<Self> {
        let packaged = |root: &str, below: &str| {
            let versions = std::fs::read_dir(root).into_iter().flatten().flatten();
            versions.map(|v| v.path().join(below)).collect::<Vec<_>>()
        };
        let mut folders = packaged("/usr/lib/postgresql", "bin");
        folders.extend(["/usr/bin", "/usr/local/bin", "/usr/local/pgsql/bin"].map(PathBuf::from));
        let usable =
            folders.into_iter().filter(|f| f.join("initdb").exists() && f.join("pg_rewind").exists());
        let known = usable.filter_map(|folder| version(&folder).map(|version| Self { folder, version }));
        known.max_by_key(Self::major).filter(|p| p.major() >= 15).context(
            "PostgreSQL 15 or newer with initdb and pg_rewind was not found (on Debian and Ubuntu: apt-get install postgresql)",
        )
    }

    fn major(&self) -> u32 {
        self.version.split('.').next().and_then(|v| v.parse().ok()).unwrap_or(0)
    }

    /// The path of one program.
    pub fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }
}

fn version(folder: &Path) -> Option<String> {
    let out = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8(out.stdout).ok()?;
    text.split_whitespace().nth(2).map(str::to_owned)
}

/// Passwords of the prepared database's roles.
#[derive(Clone, Serialize, Deserialize)]
pub struct Passwords {
    /// The superuser `postgres`.
    pub superuser: String,
    /// `replicator`: replication, and what `pg_rewind` needs.
    pub replicator: String,
    /// `muster`: Muster's own role.
    pub muster: String,
    /// `shop`: the application's role.
    pub shop: String,
}

impl Passwords {
    fn draw() -> Self {
        let word = || rand::rng().sample_iter(Alphanumeric).take(24).map(char::from).collect();
        Self { superuser: word(), replicator: word(), muster: word(), shop: word() }
    }
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[passwords]")
    }
}

/// The prepared database, on disk.
#[derive(Clone, Debug)]
pub struct Template {
    folder: PathBuf,
    /// Its roles' passwords.
    pub passwords: Passwords,
}

impl Template {
    /// Takes it from the cache, or makes it (about 3 s).
    pub async fn ensure(cache: &Path, programs: &Programs, owner: Option<&Identity>) -> anyhow::Result<Self> {
        folders::make(cache)?;
        let digest = Sha256::digest(ROLES_SQL.to_owned() + &shop_sql());
        let key = digest.iter().take(4).fold(0_u32, |key, byte| key << 8 | u32::from(*byte));
        let folder = cache.join(format!("postgres-{}-{key:08x}", programs.version));
        let lock =
            File::create(cache.join("lock")).context("failed to lock the cache of prepared databases")?;
        // Two demos that start at once: the second one waits for the first one's work.
        let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
        if !folder.join("passwords.json").exists() {
            make(&folder, programs, owner).await.context("failed to prepare the database")?;
        }
        drop(lock);
        let text = std::fs::read_to_string(folder.join("passwords.json"))?;
        let passwords =
            serde_json::from_str(&text).context("failed to read the prepared database's passwords")?;
        Ok(Self { folder, passwords })
    }

    /// Copies the data folder.
    pub async fn copy_to(&self, data: &Path, owner: Option<&Identity>) -> anyhow::Result<()> {
        let mut copy = Identity::command(owner, Path::new("cp"));
        copy.args(["-a", "--reflink=auto"]).arg(self.folder.join("data")).arg(data).current_dir("/");
        run(copy, "copy the prepared database").await.map(|_| ())
    }
}

/// Runs a command to its end; an error shows the last lines of its output.
pub async fn run(mut command: Command, verb: &str) -> anyhow::Result<Output> {
    command.stdin(Stdio::null());
    let out = tokio::task::spawn_blocking(move || command.output()).await?;
    let out = out.with_context(|| format!("failed to {verb}"))?;
    if out.status.success() {
        return Ok(out);
    }
    let said = String::from_utf8_lossy(&out.stderr);
    let last: Vec<&str> = said.lines().rev().take(4).collect();
    bail!("failed to {verb}: {}: {}", out.status, last.into_iter().rev().collect::<Vec<_>>().join("; "))
}

async fn make(folder: &Path, programs: &Programs, owner: Option<&Identity>) -> anyhow::Result<()> {
    let _ = std::fs::remove_dir_all(folder);
    folders::make_private(folder, owner)?;
    let passwords = Passwords::draw();
    let (data, file) = (folder.join("data"), folder.join("superuser"));
    folders::write(&file, &passwords.superuser, 0o600)?;
    folders::give(&file, owner)?;
    let mut initdb = Identity::command(owner, &programs.path("initdb"));
    initdb.arg("-D").arg(&data).arg(format!("--pwfile={}", file.display())).current_dir("/");
    initdb.args([
        "-U",
        "postgres",
        "-A",
        "scram-sha-256",
        "-N",
        "-E",
        "UTF8",
        "--locale=C",
        "--wal-segsize=4",
    ]);
    run(initdb, "create a database with initdb").await?;
    std::fs::remove_file(&file)?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let mut server = Server(start(programs, &data, port, owner)?);
    let set_up = set_up(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), &passwords).await;
    // SIGINT: a clean end with a checkpoint, so that the copies start without recovery.
    server.stop().await?;
    set_up.with_context(|| server_log(folder))?;
    folders::write(&folder.join("passwords.json"), &serde_json::to_string(&passwords)?, 0o600)
}

fn server_log(folder: &Path) -> String {
    let log = std::fs::read_to_string(folder.join("data/setup.log")).unwrap_or_default();
    format!("failed to run the setup SQL; PostgreSQL said: {}", log.lines().last().unwrap_or("nothing"))
}

struct Server(Child);

impl Server {
    async fn stop(&mut self) -> anyhow::Result<()> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id())?);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT);
        for _ in 0..1000 {
            if self.0.try_wait()?.is_some() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("the prepared database did not stop within 10 s")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(programs: &Programs, data: &Path, port: u16, owner: Option<&Identity>) -> anyhow::Result<Child> {
    let log = File::create(data.with_file_name("setup.log"))?;
    let mut command = Identity::command(owner, &programs.path("postgres"));
    command.arg("-D").arg(data).args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k", "", "-F"]);
    command.args(["-c", "autovacuum=off", "-c", "wal_log_hints=on", "-c", "dynamic_shared_memory_type=mmap"]);
    command.current_dir("/").process_group(0).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().context("failed to start PostgreSQL")
}

async fn set_up(address: SocketAddr, passwords: &Passwords) -> anyhow::Result<()> {
    let login = |database| Login { user: "postgres", password: &passwords.superuser, database };
    let admin =
        super::postgres::connect_patiently(address, &login("postgres"), Duration::from_secs(20)).await?;
    let stored = |password: &str| scram::verifier(password, rand::random());
    let roles = ROLES_SQL
        .replace("{superuser}", &stored(&passwords.superuser))
        .replace("{replicator}", &stored(&passwords.replicator))
        .replace("{muster}", &stored(&passwords.muster))
        .replace("{shop}", &stored(&passwords.shop));
    admin.batch_execute(&roles).await.context("failed to create the roles")?;
    admin.batch_execute("create database shop owner shop").await.context("failed to create the database")?;
    let shop = connect(address, &login("shop"), Duration::from_secs(5)).await?;
    shop.batch_execute(&shop_sql()).await.context("failed to create the tables")
}
