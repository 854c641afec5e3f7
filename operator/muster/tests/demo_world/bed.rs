//! What the tests of the demo's world share.

use muster::demo::{World, WorldSpec};
use muster_core::ids::RegionName;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(crate) fn east() -> RegionName {
    "east".into()
}

pub(crate) fn west() -> RegionName {
    "west".into()
}

/// A folder for one world, and ways to start it.
pub(crate) struct Bed {
    folder: tempfile::TempDir,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("muster-").tempdir().unwrap();
        // As root the databases run as another user, who has to pass through.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        Self { folder }
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("world")
    }

    fn cache(user: u32) -> PathBuf {
        std::env::temp_dir().join(format!("muster-demo-cache-{user}"))
    }

    pub(crate) async fn world(&self) -> World {
        self.try_world(|_| {}).await.unwrap()
    }

    pub(crate) async fn try_world(&self, change: impl FnOnce(&mut WorldSpec)) -> anyhow::Result<World> {
        let mut spec = WorldSpec {
            dir: Some(self.dir()),
            cache: Some(Self::cache(nix::unistd::geteuid().as_raw())),
            binary: Some(env!("CARGO_BIN_EXE_muster").into()),
            controller: false,
            ..WorldSpec::default()
        };
        change(&mut spec);
        World::start(spec).await
    }

    /// The program, with this bed's folders.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        command.args(args).arg("--dir").arg(self.dir());
        command.arg("--cache").arg(Self::cache(nix::unistd::geteuid().as_raw())).stdout(Stdio::piped());
        command
    }

    /// The same as an ordinary user: `nobody` when this is root, else this user.
    pub(crate) fn command_as_nobody(&self, args: &[&str]) -> Command {
        if !nix::unistd::geteuid().is_root() {
            return self.command(args);
        }
        // A copy, because nobody may not be able to reach the build's folder.
        let program = self.folder.path().join("muster");
        std::fs::copy(env!("CARGO_BIN_EXE_muster"), &program).unwrap();
        let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
        let (user, group) = (nobody.uid.as_raw(), nobody.gid.as_raw());
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".into()]);
        command.arg(program).args(args).arg("--dir").arg(self.dir()).arg("--cache").arg(Self::cache(user));
        command.current_dir("/");
        command
    }

    /// Command lines and folders of every process that belongs to this bed's world.
    pub(crate) fn processes(&self) -> Vec<String> {
        let dir = self.dir();
        let mut found = Vec::new();
        for pid in muster::demo::process_table::all_pids() {
            let cmdline = muster::demo::process_table::cmdline(pid);
            let folder = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
            if folder.starts_with(&dir) || cmdline.contains(&dir.display().to_string()) {
                found.push(format!("{pid} {cmdline} in {}", folder.display()));
            }
        }
        found
    }
}

pub(crate) fn power_command(world: &World, region: &RegionName, verb: &str) -> Command {
    let mut command = Command::new(world.dir().join("bin/power"));
    command.arg(verb).env("MUSTER_REGION", region.as_str());
    command
}

pub(crate) fn power(world: &World, region: &RegionName, verb: &str) -> Result<String, String> {
    run(&mut power_command(world, region, verb))
}

/// The number of lost commits that the hook read from the old log.
pub(crate) fn rejoin(world: &World, region: &RegionName, follow: &RegionName) -> Result<usize, String> {
    let mut hook = Command::new(world.dir().join("bin/rejoin"));
    let said = run(hook.env("MUSTER_REGION", region.as_str()).env("MUSTER_FOLLOW", follow.as_str()))?;
    let json: serde_json::Value = serde_json::from_str(&said).map_err(|e| format!("{e}: {said}"))?;
    json["lostCommits"].as_u64().and_then(|n| usize::try_from(n).ok()).ok_or(said)
}

fn run(command: &mut Command) -> Result<String, String> {
    let out = command.output().unwrap();
    if out.status.success() {
        Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&out.stderr).into_owned())
    }
}

/// Reads a child's output up to this line.
pub(crate) fn wait_for_line(child: &mut Child, wanted: &str) {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = Vec::new();
    for line in lines {
        let line = line.unwrap();
        if line == wanted {
            return;
        }
        seen.push(line);
    }
    panic!("ended without saying {wanted}: {seen:?}");
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    for _ in 0..400 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("not within 10 s: {what}");
}

/// Waits until no commit is under way: what was sent before has landed.
pub(crate) async fn settle(world: &World, region: &RegionName) {
    let admin = world.admin(region).await.unwrap();
    let busy = "select count(*) from pg_stat_activity where usename = 'shop' and state <> 'idle'";
    until("no order is under way", async || admin.query_one(busy, &[]).await.unwrap().get::<_, i64>(0) == 0)
        .await;
}

/// Makes a standby the primary, as a person would by hand.
pub(crate) async fn promote(world: &World, region: &RegionName) {
    let admin = world.admin(region).await.unwrap();
    admin.batch_execute("select pg_promote(wait => false)").await.unwrap();
    until("it is promoted", async || {
        !admin.query_one("select pg_is_in_recovery()", &[]).await.unwrap().get::<_, bool>(0)
    })
    .await;
    admin.batch_execute("alter system set synchronous_standby_names = ''").await.unwrap();
    admin.batch_execute("select pg_reload_conf()").await.unwrap();
}

/// Points the public name at a region with `nsupdate` or its twin of Knot, as a person would by hand.
pub(crate) fn flip(world: &World, to: &RegionName) {
    use muster::demo::addresses::{Kind, Place};
    use std::io::Write;
    let server = world.addresses().path(&Place::Controller, &Place::NameServer, Kind::Dns);
    let key = std::fs::read_to_string(world.secrets().join("dns/tsig")).unwrap();
    let script = format!(
        "server {} {}\nzone example.test.\nupdate delete shop.example.test. A\n\
         update add shop.example.test. 1 A {}\nsend\n",
        server.ip(),
        server.port(),
        world.front(to).ip()
    );
    let key = format!("hmac-sha256:muster:{key}");
    let start = |tool| Command::new(tool).args(["-y", &key]).stdin(Stdio::piped()).spawn();
    let mut tool = start("nsupdate").or_else(|_| start("knsupdate")).unwrap();
    tool.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(tool.wait().unwrap().success());
}
