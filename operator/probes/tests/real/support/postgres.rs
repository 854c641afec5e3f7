//! PostgreSQL servers of the test's own, in a temporary folder, ended when dropped. As root they run as `postgres`,
//! because PostgreSQL refuses root.

use muster_core::secret::Secret;
use muster_probes::{PgTarget, PgTls};
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

const BIN: &str = "/usr/lib/postgresql/15/bin";
const PASSWORD: &str = "owl-and-otter";
/// What Muster's setup makes, as far as heartbeats go.
const SETUP: &str = "create role muster login password 'owl-and-otter'; create database shop; ";
const SCHEMA: &str = "create schema muster; \
    create table muster.heartbeat (writer text primary key, seq bigint not null, \
        at timestamptz not null default clock_timestamp()); \
    grant usage on schema muster to muster; grant select, insert, update on muster.heartbeat to muster";

pub struct Postgres {
    pub port: u16,
    home: TempDir,
    /// Only where the test asked for TLS.
    tls: bool,
}

impl Postgres {
    /// A primary with the database `shop`, the role `muster` and the table of heartbeats.
    pub async fn primary() -> Self {
        Self::start(None).await
    }

    /// The same with a server certificate and key (PEM).
    pub async fn with_tls(cert: &str, key: &str) -> Self {
        Self::start(Some((cert, key))).await
    }

    async fn start(tls: Option<(&str, &str)>) -> Self {
        let server = Self { port: free_port(), home: home(), tls: tls.is_some() };
        let password = server.path("password");
        write_owned(&password, PASSWORD);
        run(&[
            "initdb",
            "-D",
            text(&server.data()),
            "-U",
            "postgres",
            "-A",
            "scram-sha-256",
            "--no-sync",
            "--pwfile",
            text(&password),
        ]);
        if let Some((cert, key)) = tls {
            write_owned(&server.data().join("server.crt"), cert);
            write_owned(&server.data().join("server.key"), key);
        }
        server.up();
        let admin = server.connect("postgres").await;
        for statement in SETUP.split_inclusive(';') {
            admin.batch_execute(statement).await.expect("sets up");
        }
        server.admin().await.batch_execute(SCHEMA).await.expect("makes the schema");
        server
    }

    /// A streaming standby of this one.
    pub fn standby(&self) -> Self {
        let standby = Self { port: free_port(), home: home(), tls: false };
        let from = format!("host=127.0.0.1 port={} user=postgres password={PASSWORD}", self.port);
        run(&["pg_basebackup", "-D", text(&standby.data()), "-d", &from, "-R", "-c", "fast", "--no-sync"]);
        standby.up();
        standby
    }

    /// Starts it, at first or again.
    pub fn up(&self) {
        let (port, home) = (self.port, text(self.home.path()).to_owned());
        let ssl = if self.tls { "on" } else { "off" };
        let options = format!(
            "-p {port} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off -c shared_buffers=16MB -c ssl={ssl} \
             -c max_wal_senders=4 -c hot_standby=on"
        );
        let log = self.path("log");
        run(&["pg_ctl", "start", "-w", "-s", "-D", text(&self.data()), "-l", text(&log), "-o", &options]);
    }

    pub fn down(&self) {
        run(&["pg_ctl", "stop", "-s", "-m", "immediate", "-D", text(&self.data())]);
    }

    pub async fn admin(&self) -> Client {
        self.connect("shop").await
    }

    async fn connect(&self, database: &str) -> Client {
        let to =
            format!("host=127.0.0.1 port={} user=postgres password={PASSWORD} dbname={database}", self.port);
        let (client, connection) = tokio_postgres::connect(&to, NoTls).await.expect("connects");
        tokio::spawn(connection);
        client
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.data();
        let _ = command(&["pg_ctl", "stop", "-s", "-m", "immediate", "-D", text(&data)]).status();
    }
}

/// As Muster's role, with a node per region.
pub fn target(nodes: &[(&str, u16)]) -> PgTarget {
    PgTarget {
        database: "shop".to_owned(),
        user: "muster".to_owned(),
        password: Some(Secret::new(PASSWORD)),
        tls: PgTls::Disable,
        nodes: nodes
            .iter()
            .map(|(region, port)| ((*region).into(), ("127.0.0.1".to_owned(), *port)))
            .collect(),
        readers: BTreeMap::new(),
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    listener.local_addr().expect("bound").port()
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").expect("this process").uid() == 0
}

fn owner() -> Option<u32> {
    let id = || Command::new("id").args(["-u", "postgres"]).output().expect("id runs").stdout;
    is_root().then(|| String::from_utf8(id()).expect("a number").trim().parse().expect("the user postgres"))
}

fn home() -> TempDir {
    let home = tempfile::Builder::new().prefix("muster-pg-").tempdir().expect("a folder");
    if let Some(owner) = owner() {
        chown(home.path(), Some(owner), None).expect("hands over");
    }
    home
}

fn write_owned(path: &Path, content: &str) {
    std::fs::write(path, content).expect("writes");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("closes");
    if let Some(owner) = owner() {
        chown(path, Some(owner), None).expect("hands over");
    }
}

fn command(words: &[&str]) -> Command {
    let program = format!("{BIN}/{}", words[0]);
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", &program]);
        command
    } else {
        Command::new(program)
    };
    command.args(&words[1..]).current_dir("/").env("LC_ALL", "C");
    command
}

fn run(words: &[&str]) {
    // Not `output`: the server that pg_ctl leaves behind would keep the pipes open.
    let errors = tempfile::tempfile().expect("a file");
    let status = command(words)
        .stdout(std::process::Stdio::null())
        .stderr(errors.try_clone().expect("a handle"))
        .status()
        .expect("starts");
    assert!(status.success(), "{} failed: {}", words[0], read_all(errors));
}

fn read_all(mut file: std::fs::File) -> String {
    use std::io::{Read, Seek};
    let mut text = String::new();
    file.rewind().expect("rewinds");
    file.read_to_string(&mut text).expect("reads");
    text
}
