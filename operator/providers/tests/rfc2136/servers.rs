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
            Kind::Bind => ("named", bind_config(path, address, role), vec!["-g", "-n", "1", "-c"]),
        };
        std::fs::write(path.join("server.conf"), config).expect("the configuration is written");
        // Where AppArmor ties a server to its packaged folders it does so by the program's path. A process of its own
        // copies: written by this one, the file could be "busy" in a child that another test starts right now.
        let copied = Command::new("cp").arg(Path::new("/usr/sbin").join(program)).arg(path).status();
        assert!(copied.is_ok_and(|status| status.success()), "{program} is not installed in /usr/sbin");
        let log = std::fs::File::create(path.join("log")).expect("a log file");
        let child = Command::new(path.join(program))
            .args(arguments)
            .arg(path.join("server.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("the server starts");
        let server = Self { address, child, folder };
        server.wait_until_it_answers();
        server
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

fn knot_config(path: &Path, address: SocketAddr, role: &Role) -> String {
    let path = path.display();
    let at = |a: &SocketAddr| format!("{}@{}", a.ip(), a.port());
    let listen = at(&address);
    let (remote, zone) = match role {
        Role::Primary { secondary: None } => (String::new(), "    acl: [muster, transfer]\n".to_owned()),
        Role::Primary { secondary: Some(to) } => (
            format!("remote:\n  - id: other\n    address: {}\n", at(to)),
            "    acl: [muster, transfer]\n    notify: other\n".to_owned(),
        ),
        Role::Secondary { primary } => (
            format!("remote:\n  - id: other\n    address: {}\n", at(primary)),
            "    acl: notify\n    master: other\n".to_owned(),
        ),
    };
    let file = if matches!(role, Role::Primary { .. }) { "    file: example.com.zone\n" } else { "" };
    format!(
        "server:
    rundir: {path}
    listen: {listen}
    background-workers: 1
    udp-workers: 1
    tcp-workers: 1
database:
    storage: {path}
    journal-db-max-size: 16M
    kasp-db-max-size: 16M
    timer-db-max-size: 16M
    catalog-db-max-size: 16M
log:
  - target: stderr
    any: info
key:
  - id: {KEY_NAME}
    algorithm: hmac-sha256
    secret: {KEY}
{remote}acl:
  - id: muster
    key: {KEY_NAME}
    action: update
    update-owner: name
    update-owner-match: equal
    update-owner-name: [shop.example.com., _muster.shop.example.com.]
    update-type: [A, AAAA, CNAME, TXT]
  - id: transfer
    address: 127.0.0.1
    action: transfer
  - id: notify
    address: 127.0.0.1
    action: notify
zone:
  - domain: example.com
    storage: {path}
{file}{zone}"
    )
}

fn bind_config(path: &Path, address: SocketAddr, role: &Role) -> String {
    let path = path.display();
    let (ip, port) = (address.ip(), address.port());
    let zone = match role {
        Role::Primary { secondary } => {
            let notify = secondary.map_or(String::new(), |to| {
                format!("notify explicit; notify-delay 0; also-notify {{ {} port {}; }};", to.ip(), to.port())
            });
            format!(
                "type primary; file \"{path}/example.com.zone\"; {notify} allow-transfer {{ 127.0.0.1; }};
                 update-policy {{ grant {KEY_NAME} name shop.example.com. A AAAA CNAME;
                                  grant {KEY_NAME} name _muster.shop.example.com. TXT; }};"
            )
        }
        Role::Secondary { primary } => format!(
            "type secondary; file \"{path}/secondary.zone\"; primaries {{ {} port {}; }}; allow-notify {{ 127.0.0.1; }};",
            primary.ip(),
            primary.port()
        ),
    };
    format!(
        "key \"{KEY_NAME}\" {{ algorithm hmac-sha256; secret \"{KEY}\"; }};
controls {{ }};
options {{
    directory \"{path}\"; pid-file \"{path}/pid\"; session-keyfile \"{path}/session.key\";
    listen-on port {port} {{ {ip}; }}; listen-on-v6 {{ none; }};
    recursion no; dnssec-validation no; notify no; serial-query-rate 1000; notify-rate 1000;
}};
zone \"example.com\" {{ {zone} }};
"
    )
}
