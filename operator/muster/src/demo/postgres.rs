//! One PostgreSQL node per region, in streaming replication.
//!
//! A node's own settings lie *beside* its data folder: `pg_rewind` replaces files in the data folder by the new
//! primary's. A standby names all other nodes as its upstream and takes the one that is writable, so a third
//! region follows a new primary without anybody's help.

use super::addresses::{Addresses, Kind, Place};
use super::folders;
use super::processes::{Identity, Launch};
use super::template::{Programs, Template};
use anyhow::{Context, bail};
use muster_core::ids::RegionName;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::{Client, NoTls};

/// Who logs in.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// Role.
    pub user: &'a str,
    /// Its password.
    pub password: &'a str,
    /// Database.
    pub database: &'a str,
}

/// Opens a connection, or says why not within `patience`.
pub async fn connect(address: SocketAddr, login: &Login<'_>, patience: Duration) -> anyhow::Result<Client> {
    let mut config = tokio_postgres::Config::new();
    config.host(address.ip().to_string()).port(address.port());
    config.user(login.user).password(login.password).dbname(login.database).application_name("muster-demo");
    let attempt = timeout(patience, config.connect(NoTls)).await;
    let connected = attempt.with_context(|| format!("PostgreSQL at {address} did not answer in time"))?;
    let (client, connection) = connected.with_context(|| format!("failed to log in at {address}"))?;
    tokio::spawn(connection);
    Ok(client)
}

/// Opens a connection to a server that may still be starting.
pub async fn connect_patiently(
    address: SocketAddr,
    login: &Login<'_>,
    patience: Duration,
) -> anyhow::Result<Client> {
    let deadline = Instant::now() + patience;
    loop {
        match connect(address, login, Duration::from_secs(2)).await {
            Ok(client) => return Ok(client),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => sleep(Duration::from_millis(15)).await,
        }
    }
}

/// A region's database.
#[derive(Clone, Debug)]
pub struct Node {
    /// The region.
    pub region: RegionName,
    /// Its folder: settings, logs, and `data` below it.
    pub home: PathBuf,
    programs: Programs,
    owner: Option<Identity>,
}

impl Node {
    /// A node in `home`, which has its region's name in it.
    pub fn new(region: &RegionName, home: PathBuf, programs: Programs, owner: Option<Identity>) -> Self {
        Self { region: region.clone(), home, programs, owner }
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// The name of its process.
    pub fn process(region: &RegionName) -> String {
        format!("{region}/database")
    }

    /// Lays the node's files: a copy of the template and its settings.
    pub async fn lay(
        &self,
        template: &Template,
        addresses: &Addresses,
        options: NodeOptions,
    ) -> anyhow::Result<()> {
        folders::make_private(&self.home, self.owner.as_ref())?;
        template.copy_to(&self.data(), self.owner.as_ref()).await?;
        let settings = self.settings(template, addresses, options)?;
        self.write("postgresql.conf", &settings)?;
        // Only loopback, only with a password.
        self.write(
            "pg_hba.conf",
            "host all all 127.0.0.0/8 scram-sha-256\nhost replication all 127.0.0.0/8 scram-sha-256\n",
        )?;
        self.write("pg_ident.conf", "")?;
        if options.standby { self.write("data/standby.signal", "") } else { Ok(()) }
    }

    fn settings(
        &self,
        template: &Template,
        addresses: &Addresses,
        options: NodeOptions,
    ) -> anyhow::Result<String> {
        let me = Place::Region(self.region.clone());
        let own = addresses.own(&me, Kind::Database);
        let others: Vec<&RegionName> = addresses.regions().iter().filter(|r| **r != self.region).collect();
        let hosts: Vec<String> = others
            .iter()
            .map(|r| addresses.path(&me, &Place::Region((*r).clone()), Kind::Database).ip().to_string())
            .collect();
        let names: Vec<&str> = others.iter().map(|r| r.as_str()).collect();
        let mut text = String::from(SETTINGS);
        writeln!(text, "listen_addresses = '{}'\nport = {}", own.ip(), own.port())?;
        writeln!(
            text,
            "hba_file = '{0}/pg_hba.conf'\nident_file = '{0}/pg_ident.conf'",
            self.home.display()
        )?;
        writeln!(
            text,
            "primary_conninfo = 'host={} port={} user=replicator password={} application_name={} \
             target_session_attrs=read-write connect_timeout=2'",
            hosts.join(","),
            own.port(),
            template.passwords.replicator,
            self.region
        )?;
        if options.synchronous {
            writeln!(text, "synchronous_standby_names = 'FIRST 1 ({})'", names.join(", "))?;
        }
        Ok(text)
    }

    /// Replaces the data by a fresh copy of the writer at `upstream`. The server must have been stopped.
    pub(super) async fn copy_from(&self, upstream: SocketAddr, replicator: &str) -> anyhow::Result<()> {
        match std::fs::remove_dir_all(self.data()) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            removed => removed.context("failed to remove the old data")?,
        }
        let mut copy = self.command("pg_basebackup", replicator);
        copy.arg("-D").arg(self.data());
        copy.args(["-h", &upstream.ip().to_string(), "-p", &upstream.port().to_string()]);
        copy.args(["-U", "replicator", "-X", "stream", "-c", "fast", "--no-sync"]);
        super::template::run(copy, "copy the new primary").await.map(|_| ())
    }

    /// Lets the server start as a standby the next time.
    pub(super) fn make_standby(&self) -> anyhow::Result<()> {
        self.write("data/standby.signal", "")?;
        // Settings that the new primary was given at run time came over with its files.
        self.write("data/postgresql.auto.conf", "")
    }

    /// One of PostgreSQL's tools, with the replicator's password. It runs outside of the region's folder: tools are no
    /// processes of the region for the power tool.
    pub(super) fn command(&self, program: &str, replicator: &str) -> std::process::Command {
        let mut command = Identity::command(self.owner.as_ref(), &self.programs.path(program));
        command.current_dir("/").env("LC_ALL", "C").env("PGPASSWORD", replicator);
        command
    }

    fn write(&self, name: &str, content: &str) -> anyhow::Result<()> {
        let path = self.home.join(name);
        folders::write(&path, content, 0o600)?;
        folders::give(&path, self.owner.as_ref())
    }

    /// How to start it.
    pub fn launch(&self) -> Launch {
        let settings = format!("config_file={}", self.home.join("postgresql.conf").display());
        let args = ["-D".to_owned(), self.data().display().to_string(), "-c".to_owned(), settings];
        Launch {
            name: Self::process(&self.region),
            region: Some(self.region.clone()),
            program: self.programs.path("postgres"),
            args: args.into(),
            folder: self.home.clone(),
            identity: self.owner.clone(),
            log: self.home.join("postgres.log"),
            environment: Vec::new(),
        }
    }

    /// The last line that the server logged, for messages.
    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.home.join("postgres.log")).unwrap_or_default();
        log.lines().last().unwrap_or("nothing").to_owned()
    }
}

/// How a node is laid.
#[derive(Clone, Copy, Debug)]
pub struct NodeOptions {
    /// Starts as a standby.
    pub standby: bool,
    /// Commits wait for a standby.
    pub synchronous: bool,
}

/// Same for all nodes. Without autovacuum every commit in the log is somebody's write, so that the commits after
/// a fork can be compared with what clients counted. Small segments keep the copy small.
const SETTINGS: &str = "\
unix_socket_directories = ''
wal_log_hints = on
autovacuum = off
shared_buffers = 16MB
dynamic_shared_memory_type = mmap
recovery_init_sync_method = syncfs
max_connections = 100
max_wal_senders = 10
wal_keep_size = 256MB
min_wal_size = 16MB
max_wal_size = 256MB
checkpoint_timeout = 30min
wal_retrieve_retry_interval = 200ms
wal_receiver_timeout = 3s
wal_sender_timeout = 3s
wal_receiver_status_interval = 200ms
hot_standby = on
lc_messages = 'C'
log_line_prefix = '%m [%p] %q%u@%d '
jit = off
";

/// What a node says of itself, for the world's own checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// Replays another node's log.
    pub in_recovery: bool,
    /// Written (primary) or replayed (standby), in bytes.
    pub position: u64,
    /// Receives from an upstream right now.
    pub streaming: bool,
}

/// Reads a [`NodeView`].
pub async fn view(client: &Client) -> anyhow::Result<NodeView> {
    let row = client
        .query_one(
            "select pg_is_in_recovery(), (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() \
             else pg_current_wal_lsn() end - '0/0'::pg_lsn)::text, \
             exists (select from pg_stat_wal_receiver where status = 'streaming')",
            &[],
        )
        .await
        .context("failed to ask the node for its state")?;
    let position: String = row.try_get::<_, Option<String>>(1)?.unwrap_or_default();
    Ok(NodeView {
        in_recovery: row.try_get(0)?,
        position: position.parse().unwrap_or(0),
        streaming: row.try_get(2)?,
    })
}

/// Waits until a standby streams and has replayed at least `position`.
pub async fn wait_caught_up(client: &Client, position: u64, patience: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        let now = view(client).await?;
        if now.in_recovery && now.streaming && now.position >= position {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!(
                "the standby did not catch up: streaming {}, replayed {} of {position}",
                now.streaming,
                now.position
            );
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Finds PostgreSQL's programs and the user that may run them.
pub fn tools() -> anyhow::Result<(Programs, Option<Identity>)> {
    Ok((Programs::find()?, Identity::for_postgres()?))
}

/// Whether a path can be reached by the user that runs PostgreSQL.
pub async fn check_reachable(path: &Path, owner: Option<&Identity>) -> anyhow::Result<()> {
    let Some(owner) = owner else { return Ok(()) };
    let mut test = Identity::command(Some(owner), Path::new("test"));
    test.arg("-x").arg(path).current_dir("/");
    super::template::run(test, "look into the folder").await.map(|_| ()).with_context(|| {
        format!(
            "the user {} runs PostgreSQL and cannot reach {}: choose another --dir",
            owner.name,
            path.display()
        )
    })
}
