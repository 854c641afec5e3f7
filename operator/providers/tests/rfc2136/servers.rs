//! Real name servers on loopback, each with its own folder, free port and one key.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The key that may update `shop.example.com` and its witness, and nothing else.
pub(crate) const KEY_NAME: &str = "muster";
/// 32 octets.
pub(crate) const KEY: &str = "bXVzdGVyLXRlc3RzLW5lZWQtMzItb2N0ZXRzLWhlcmU=";
/// Another secret.
pub(crate) const OTHER_KEY: &str = "YW5vdGhlci1zZWNyZXQtb2YtMzItb2N0ZXRzLWhlcmU=";

const ZONE: &str = "$ORIGIN example.com.
$TTL 3600
@ SOA ns1 hostmaster 1 3600 600 86400 60
@ NS ns1
ns1 A 127.0.0.1
";

/// The configurations that users are told to copy are the ones that are tested.
const DOCUMENTED: &str = include_str!("../../../../docs/dns.md");

/// Which software.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Knot,
    Bind,
}

/// A running server; ends with the value.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    child: Child,
    program: &'static str,
    arguments: Vec<String>,
    folder: TempDir,
}

impl NameServer {
    /// A primary for `example.com`, empty but for SOA and NS.
    pub(crate) fn start(kind: Kind) -> Self {
        Self::start_as(kind, free_address(), &Role::Primary { secondary: None })
    }

    /// A primary and a secondary that it notifies.
    pub(crate) fn start_pair(kind: Kind) -> (Self, Self) {
        let (one, other) = (free_address(), free_address());
        let primary = Self::start_as(kind, one, &Role::Primary { secondary: Some(other) });
        let secondary = Self::start_as(kind, other, &Role::Secondary { primary: one });
        (primary, secondary)
    }

    fn start_as(kind: Kind, address: SocketAddr, role: &Role) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        std::fs::write(path.join("example.com.zone"), ZONE).expect("the zone is written");
        let (program, config, arguments) = match kind {
            Kind::Knot => ("knotd", knot_config(path, address, role), vec!["-c"]),
            Kind::Bind => ("named", bind_config(path, address, role), vec!["-g", "-n", "2", "-c"]),
        };
        std::fs::write(path.join("server.conf"), config).expect("the configuration is written");
        // Where AppArmor ties a server to its packaged folders it does so by the program's path. A process of its own
        // copies: written by this one, the file could be "busy" in a child that another test starts right now.
        let copied = Command::new("cp").arg(Path::new("/usr/sbin").join(program)).arg(path).status();
        assert!(copied.is_ok_and(|status| status.success()), "{program} is not installed in /usr/sbin");
        let arguments: Vec<_> = arguments.into_iter().map(str::to_owned).collect();
        let child = launch(path, program, &arguments);
        let server = Self { address, child, program, arguments, folder };
        server.wait_until_it_answers();
        server
    }

    /// Kills it and starts it again on what it has left on disk.
    pub(crate) fn restart_after_kill(&mut self) {
        self.kill();
        self.child = launch(self.folder.path(), self.program, &self.arguments);
        self.wait_until_it_answers();
    }

    fn wait_until_it_answers(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while crate::ask(self.address, "example.com.", hickory_proto::rr::RecordType::SOA)
            .is_none_or(|a| a.is_empty())
        {
            assert!(Instant::now() < deadline, "the server does not answer:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Updates by an independent program, as an administrator would.
    pub(crate) fn nsupdate(&self, commands: &str) {
        self.try_nsupdate(commands, true).expect("the update is taken");
    }

    /// As [`Self::nsupdate`], or what it complains about.
    pub(crate) fn try_nsupdate(&self, commands: &str, signed: bool) -> Result<(), String> {
        let script = format!(
            "server {} {}\nzone example.com\n{commands}\nsend\n",
            self.address.ip(),
            self.address.port()
        );
        let file = self.folder.path().join("nsupdate");
        std::fs::write(&file, script).expect("the script is written");
        let key = format!("hmac-sha256:{KEY_NAME}:{KEY}");
        let mut command = Command::new("nsupdate");
        if signed {
            command.args(["-y", &key]);
        }
        let out = command.arg("-v").arg(&file).output().expect("nsupdate runs");
        if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

fn launch(folder: &Path, program: &str, arguments: &[String]) -> Child {
    let log = std::fs::File::create(folder.join("log")).expect("a log file");
    Command::new(folder.join(program))
        .args(arguments)
        .arg(folder.join("server.conf"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .expect("the server starts")
}

enum Role {
    Primary { secondary: Option<SocketAddr> },
    Secondary { primary: SocketAddr },
}

/// A port that is free for UDP and TCP, below those that the system hands out by itself, and not given to another
/// test of this process. (BIND listens only on an interface's own addresses, so 127.0.0.1 it is.)
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(97);
    for _ in 0..1000 {
        let offset = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        let port = u16::try_from(12_000 + offset).expect("below 32000");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port is free for both UDP and TCP");
}

/// The first block under this heading, with the test's key and folder filled in.
fn documented(heading: &str, packaged_folder: &str, path: &Path) -> String {
    let (_, section) = DOCUMENTED.split_once(&format!("\n## {heading}\n")).expect("the section is there");
    let block = section.split("```").nth(1).expect("a block");
    let (_language, config) = block.split_once('\n').expect("lines");
    replace(&replace(config, "REPLACE-BY-THE-KEY", KEY), packaged_folder, &path.to_string_lossy())
}

fn replace(config: &str, from: &str, to: &str) -> String {
    assert!(config.contains(from), "{from} is not in\n{config}");
    config.replace(from, to)
}

fn knot_config(path: &Path, address: SocketAddr, role: &Role) -> String {
    let at = |a: &SocketAddr| format!("{}@{}", a.ip(), a.port());
    let (listen, folder) = (at(&address), path.display());
    let zone = match role {
        Role::Primary { secondary } => {
            let config = documented("Knot DNS", "/var/lib/knot", path);
            match secondary {
                None => config,
                Some(_) => replace(
                    &config,
                    "    acl: muster-updates",
                    "    acl: [muster-updates, transfer]\n    notify: other",
                ),
            }
        }
        Role::Secondary { .. } => {
            format!(
                "zone:\n  - domain: example.com\n    storage: {folder}\n    acl: transfer\n    master: other\n"
            )
        }
    };
    let other = match role {
        Role::Primary { secondary: None } => String::new(),
        Role::Primary { secondary: Some(other) } | Role::Secondary { primary: other } => format!(
            "remote:\n  - id: other\n    address: {}\nacl:\n  - id: transfer\n    address: 127.0.0.1\n    action: [transfer, notify]\n",
            at(other)
        ),
    };
    format!(
        "server:
    rundir: {folder}
    listen: {listen}
    background-workers: 1
    udp-workers: 1
    tcp-workers: 1
database:
    storage: {folder}
    journal-db-max-size: 16M
    kasp-db-max-size: 16M
    timer-db-max-size: 16M
    catalog-db-max-size: 16M
log:
  - target: stderr
    any: info
{other}{zone}"
    )
}

fn bind_config(path: &Path, address: SocketAddr, role: &Role) -> String {
    let folder = path.display();
    let (ip, port) = (address.ip(), address.port());
    let zone = match role {
        Role::Primary { secondary } => {
            let config = documented("BIND", "/var/lib/bind", path);
            match secondary {
                None => config,
                Some(to) => {
                    let to = format!(
                        "notify explicit; notify-delay 0; also-notify {{ {} port {}; }}; update-policy",
                        to.ip(),
                        to.port()
                    );
                    replace(&config, "update-policy", &to)
                }
            }
        }
        Role::Secondary { primary } => format!(
            "zone \"example.com\" {{ type secondary; file \"{folder}/secondary.zone\"; primaries {{ {} port {}; }}; }};",
            primary.ip(),
            primary.port()
        ),
    };
    format!(
        "controls {{ }};
options {{
    directory \"{folder}\"; pid-file \"{folder}/pid\"; session-keyfile \"{folder}/session.key\";
    listen-on port {port} {{ {ip}; }}; listen-on-v6 {{ none; }};
    recursion no; dnssec-validation no; notify no; serial-query-rate 1000; notify-rate 1000;
    allow-transfer {{ 127.0.0.1; }};
}};
{zone}
"
    )
}
