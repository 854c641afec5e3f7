//! A PostgreSQL primary and its standbys, ready for Muster: schema, roles, an `orders` table of the application.

use crate::postgres::{Application, Node, PostgresConfig, TlsMode, managed_fence_setup_sql, setup_sql};
use muster_core::ids::{ItemName, Owner, RegionName};
use muster_core::secret::Secret;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};
use std::fmt::Display;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// Where Debian and Ubuntu put the server's programs.
const BIN: &str = "/usr/lib/postgresql/15/bin";
/// Starting and stopping take less than this, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// Muster's role and the application's; each has its name as its password.
pub const MUSTER: &str = "muster";
/// See [`MUSTER`].
pub const APPLICATION: &str = "shop";
/// The application's database.
pub const DATABASE: &str = "shop";
/// A provider's master user, who is no superuser; see [`MUSTER`].
const MASTER: &str = "master";

/// One server.
#[derive(Debug)]
pub struct Server {
    /// Its region.
    pub region: RegionName,
    /// On 127.0.0.1.
    pub port: u16,
    /// Its data folder.
    pub data: PathBuf,
    child: Option<Child>,
}

/// A primary and its standbys.
#[derive(Debug)]
pub struct Pair {
    servers: Vec<Server>,
    // Dropped last, after the servers.
    folder: TempDir,
}

impl Pair {
    /// Starts a primary in the first region and a standby in each other one. `settings` go to every server's
    /// configuration.
    pub async fn start(regions: &[&str], settings: &str) -> io::Result<Self> {
        Self::start_set_up(regions, settings, false).await
    }

    /// The same as a provider has it: all is set up by a master user who is no superuser, with what RDS for PostgreSQL is
    /// documented to give to its own.
    pub async fn start_managed(regions: &[&str], settings: &str) -> io::Result<Self> {
        Self::start_set_up(regions, settings, true).await
    }

    async fn start_set_up(regions: &[&str], settings: &str, is_managed: bool) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("muster-pg-").tempdir()?;
        let mut pair = Self { servers: Vec::new(), folder };
        hand_over(pair.folder.path())?;
        for region in regions {
            let data = pair.folder.path().join(region);
            pair.servers.push(Server { region: (*region).into(), port: free_port()?, data, child: None });
        }
        let first = pair.servers.first_mut().ok_or_else(|| other("a pair needs a region"))?;
        first.make(settings)?;
        first.start().await?;
        if is_managed {
            first.prepare_managed_database().await?;
        } else {
            first.prepare_database().await?;
        }
        let source = first.port;
        for standby in &mut pair.servers[1..] {
            standby.copy_from(source)?;
            standby.start().await?;
        }
        pair.caught_up().await?;
        Ok(pair)
    }

    /// The server of a region.
    ///
    /// # Panics
    /// When the pair has no such region.
    pub fn server(&self, region: &str) -> &Server {
        let found = self.servers.iter().find(|s| s.region.as_str() == region);
        found.expect("a region that the pair was started with")
    }

    /// The same, to stop and start it.
    ///
    /// # Panics
    /// When the pair has no such region.
    pub fn server_mut(&mut self, region: &str) -> &mut Server {
        let found = self.servers.iter_mut().find(|s| s.region.as_str() == region);
        found.expect("a region that the pair was started with")
    }

    /// What the adapter needs to be told.
    pub fn config(&self, owner: &str) -> PostgresConfig {
        let node = |s: &Server| (s.region.clone(), Node { host: "127.0.0.1".into(), port: s.port });
        PostgresConfig {
            item: ItemName::new("orders"),
            owner: Owner::new(owner),
            database: DATABASE.into(),
            user: MUSTER.into(),
            password: Secret::new(MUSTER),
            application: Application { user: APPLICATION.into(), password: Secret::new(APPLICATION) },
            tls: TlsMode::Disable,
            nodes: self.servers.iter().map(node).collect(),
            rejoin: None,
            adopted: crate::AdoptedOwners::default(),
        }
    }

    /// Changes a setting of every server, while it runs.
    pub async fn set(&self, name: &str, value: &str) -> io::Result<()> {
        for server in &self.servers {
            server.sql_in("postgres", &format!("alter system set {name} = '{value}'")).await?;
            server.sql_in("postgres", "select pg_reload_conf()").await?;
            server.until(&format!("show {name}"), value).await?;
        }
        Ok(())
    }

    /// Waits until the standbys have replayed what the first server wrote so far.
    pub async fn caught_up(&self) -> io::Result<()> {
        let written = self.servers[0].value("select pg_current_wal_flush_lsn()").await?;
        for standby in &self.servers[1..] {
            let reached = format!("select pg_last_wal_replay_lsn() >= '{written}'::pg_lsn");
            standby.until(&reached, "t").await?;
        }
        Ok(())
    }
}

impl Server {
    fn make(&self, settings: &str) -> io::Result<()> {
        run(program("initdb").arg("-D").arg(&self.data).args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "--no-sync",
            "--data-checksums",
        ]))?;
        let conf = self.data.join("postgresql.conf");
        let text = fs::read_to_string(&conf)?;
        // The log of a few seconds is kept, so that a standby and pg_rewind find what they need without a slot. The
        // tests kill servers, not the machine: nothing needs to reach the disk. A standby that looks for its source
        // again hears of a promotion only after this interval.
        fs::write(
            conf,
            format!(
                "{text}\nwal_keep_size = 256MB\nunix_socket_directories = ''\nfsync = off\n\
                 wal_retrieve_retry_interval = 200ms\n{settings}\n"
            ),
        )?;
        let hba = "host all postgres 127.0.0.1/32 trust\nhost replication postgres 127.0.0.1/32 trust\n\
                   host all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(self.data.join("pg_hba.conf"), hba)
    }

    fn copy_from(&self, source: u16) -> io::Result<()> {
        let source = format!("host=127.0.0.1 port={source} user=postgres application_name={}", self.region);
        run(program("pg_basebackup").arg("-D").arg(&self.data).args([
            "-c",
            "fast",
            "-R",
            "--no-sync",
            "-d",
            &source,
        ]))
    }

    async fn prepare_database(&self) -> io::Result<()> {
        for role in [MUSTER, APPLICATION] {
            self.sql_in("postgres", &format!("create role {role} login password '{role}'")).await?;
        }
        self.sql_in("postgres", &format!("create database {DATABASE} owner postgres")).await?;
        for sql in [tables(), setup_sql(MUSTER, APPLICATION)] {
            self.sql(&sql).await?;
        }
        Ok(())
    }

    async fn prepare_managed_database(&self) -> io::Result<()> {
        let master = format!("create role {MASTER} login createrole createdb password '{MASTER}'");
        let grants = format!("grant pg_monitor, pg_signal_backend to {MASTER}");
        for sql in [master, grants, format!("create database {DATABASE} owner {MASTER}")] {
            self.sql_in("postgres", &sql).await?;
        }
        let roles = [MUSTER, APPLICATION].map(|role| format!("create role {role} login password '{role}';"));
        for sql in [roles.concat(), tables(), managed_fence_setup_sql(MUSTER, APPLICATION)] {
            self.sql_as((MASTER, MASTER), DATABASE, &sql).await?;
        }
        Ok(())
    }

    /// Starts it, and waits until it answers.
    pub async fn start(&mut self) -> io::Result<()> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log())?;
        let mut command = program("postgres");
        command.arg("-D").arg(&self.data).arg("-p").arg(self.port.to_string());
        command.args(["-c", "listen_addresses=127.0.0.1"]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn()?);
        self.until("select 1", "1").await
    }

    /// Its log file.
    pub fn log(&self) -> PathBuf {
        self.data.with_extension("log")
    }

    /// A superuser's session, in the application's database.
    pub async fn superuser(&self) -> io::Result<Client> {
        self.connect("postgres", "", DATABASE).await
    }

    /// A session of the application's role.
    pub async fn application(&self) -> io::Result<Client> {
        self.connect(APPLICATION, APPLICATION, DATABASE).await
    }

    /// A session.
    pub async fn connect(&self, user: &str, password: &str, database: &str) -> io::Result<Client> {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user(user).password(password).dbname(database);
        config.connect_timeout(PATIENCE);
        let (client, connection) = config.connect(NoTls).await.map_err(other)?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Runs statements as the superuser in a session of their own; the first column of each row.
    pub async fn sql(&self, sql: &str) -> io::Result<Vec<String>> {
        self.sql_in(DATABASE, sql).await
    }

    async fn sql_in(&self, database: &str, sql: &str) -> io::Result<Vec<String>> {
        self.sql_as(("postgres", ""), database, sql).await
    }

    async fn sql_as(
        &self,
        (user, password): (&str, &str),
        database: &str,
        sql: &str,
    ) -> io::Result<Vec<String>> {
        let client = self.connect(user, password, database).await?;
        let messages = client.simple_query(sql).await.map_err(|e| {
            other(e.as_db_error().map_or_else(|| e.to_string(), |db| format!("{}: {sql}", db.message())))
        })?;
        Ok(messages.iter().filter_map(first_column).collect())
    }

    /// The first value of a query.
    pub async fn value(&self, sql: &str) -> io::Result<String> {
        self.sql_in("postgres", sql).await?.into_iter().next().ok_or_else(|| other("no row"))
    }

    /// Polls a query, with a deadline.
    pub async fn until(&self, sql: &str, wanted: &str) -> io::Result<()> {
        let begun = Instant::now();
        loop {
            let seen = match tokio::time::timeout(PATIENCE, self.value(sql)).await {
                Ok(Ok(value)) if value == wanted => return Ok(()),
                Ok(other) => format!("{other:?}"),
                Err(_) => "nothing".to_owned(),
            };
            if begun.elapsed() > PATIENCE {
                return Err(other(format!("{}: {sql} gave {seen}, not {wanted}", self.region)));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGKILL to all of its processes: what a power cut looks like.
    pub fn kill(&mut self) {
        self.signal_all(Signal::SIGKILL);
        self.reap();
    }

    /// SIGSTOP to all of its processes: connections stay, answers do not come.
    pub fn freeze(&self) {
        // The postmaster first: it starts no more of them.
        self.signal_all(Signal::SIGSTOP);
        self.signal_all(Signal::SIGSTOP);
    }

    /// SIGCONT to all of its processes.
    pub fn thaw(&self) {
        self.signal_all(Signal::SIGCONT);
    }

    /// An orderly stop that ends sessions.
    pub fn stop(&mut self) {
        self.signal_postmaster(Signal::SIGINT);
        self.reap();
    }

    /// The postmaster's process, if its pid file is about this folder.
    pub fn postmaster(&self) -> Option<i32> {
        let text = fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        let pid: i32 = text.lines().next()?.trim().parse().ok()?;
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        command.contains(self.data.to_str()?).then_some(pid)
    }

    fn signal_postmaster(&self, signal: Signal) {
        if let Some(pid) = self.postmaster() {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    fn signal_all(&self, signal: Signal) {
        let Some(postmaster) = self.postmaster() else { return };
        for pid in std::iter::once(postmaster).chain(children(postmaster)) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    fn reap(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.thaw();
        self.signal_all(Signal::SIGKILL);
        self.reap();
    }
}

/// What the application has in its database.
fn tables() -> String {
    format!(
        "create table orders (id bigserial primary key, item text); create table notes (item text); \
         grant all on orders, orders_id_seq, notes to {APPLICATION}"
    )
}

/// Direct children, from /proc; PostgreSQL's are all direct ones.
fn children(parent: i32) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let parent_of = |pid: i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<i32>().ok()
    };
    pids.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

/// A program of PostgreSQL, as a user that it accepts, killed when the thread that started it ends.
pub fn program(name: &str) -> Command {
    let mut command = Command::new("setpriv");
    if nix::unistd::geteuid().is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    }
    command.args(["--pdeathsig", "KILL", "--"]).arg(Path::new(BIN).join(name)).current_dir("/");
    command
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(other(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))))
}

/// PostgreSQL refuses root, and its user must own its folders.
fn hand_over(folder: &Path) -> io::Result<()> {
    if nix::unistd::geteuid().is_root() {
        let user = User::from_name("postgres")?.ok_or_else(|| other("there is no user postgres"))?;
        std::os::unix::fs::chown(folder, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
    }
    Ok(())
}

/// A port that nobody listens on, and that this process gives to nobody else: a standby takes its own only once its data is
/// copied. It lies below those that outgoing connections get.
fn free_port() -> io::Result<u16> {
    const FIRST: u16 = 15_000;
    const COUNT: u32 = 17_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Other processes begin elsewhere.
    let begin = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let number = begin.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = FIRST + u16::try_from(number).map_err(other)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(other("no port is free"))
}

fn first_column(message: &SimpleQueryMessage) -> Option<String> {
    match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(ToOwned::to_owned),
        _ => None,
    }
}

fn other(error: impl Display) -> io::Error {
    io::Error::other(error.to_string())
}
