//! The policy's rejoin hook: makes an old primary a standby of the new one. It is never started writable.
//!
//! Order matters, and each step has its reason:
//! 1. stop what still runs there;
//! 2. count the commits that only the old log has, and keep the number: `pg_rewind` replaces that log;
//! 3. CHECKPOINT on the new primary: without it `pg_rewind` says "no rewind required" and the node never catches up;
//! 4. `pg_rewind`; if it cannot, a fresh `pg_basebackup`;
//! 5. `standby.signal`, start, and wait until the replayed position has caught up, not only for `streaming`.
//!
//! It may be repeated at any point. Prints `{"lostCommits": n, "lostHeartbeats": n, "spanMs": n}`.

use super::addresses::{Kind, Place};
use super::control::{Request, ask};
use super::folders;
use super::old_log::{self, OwnFiles};
use super::postgres::{Login, Node, connect, connect_patiently, view, wait_caught_up};
use super::processes::Identity;
use super::site::WorldFile;
use super::template::run as run_command;
use anyhow::{Context, bail};
use muster_core::ids::RegionName;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio_postgres::Client;

/// How the hook is called.
#[derive(clap::Args, Debug)]
pub struct RejoinArgs {
    /// The world's folder
    #[arg(long)]
    world: PathBuf,
    /// The region whose old primary comes back
    #[arg(long, env = "MUSTER_REGION")]
    region: String,
    /// The region that takes writes
    #[arg(long, env = "MUSTER_FOLLOW")]
    follow: String,
}

/// What the hook works with.
struct Rejoin {
    dir: PathBuf,
    world: WorldFile,
    region: RegionName,
    follow: RegionName,
    home: PathBuf,
    owner: Option<Identity>,
}

/// Rejoins.
#[allow(clippy::print_stdout, clippy::print_stderr)] // the hook's answer, and its story for the log
pub async fn run(args: RejoinArgs) -> anyhow::Result<()> {
    let world = WorldFile::read(&args.world)?;
    let region = RegionName::new(args.region);
    let home = world.homes.get(&region).with_context(|| format!("there is no region {region}"))?.clone();
    let follow = RegionName::new(args.follow);
    let rejoin = Rejoin { dir: args.world, world, region, follow, home, owner: Identity::for_postgres()? };
    match rejoin.carry_out().await? {
        Some(loss) => println!("{}", serde_json::to_string(&loss)?),
        None => {
            eprintln!("the old log could not be read to its end: the number of lost commits stays unknown");
        }
    }
    Ok(())
}

impl Rejoin {
    async fn carry_out(&self) -> anyhow::Result<Option<Loss>> {
        let _alone = self.wait_alone()?;
        let (region, follow) = (self.region.clone(), self.follow.clone());
        ask(&self.dir, &Request::MayRepair { region, follow }).await?;
        let upstream = self.address_of_new_primary();
        let login = self.superuser();
        let primary = connect(upstream, &login, Duration::from_secs(3)).await?;
        if view(&primary).await?.in_recovery {
            bail!("{} is not writable: there is nothing to follow", self.follow);
        }
        if let Some(lost) = self.follows_already(&primary).await {
            self.start_service().await?;
            return Ok(lost);
        }
        ask(&self.dir, &Request::Stop { region: self.region.clone() }).await?;
        primary.batch_execute("checkpoint").await.context("failed to checkpoint the new primary")?;
        let history = History::read(&primary).await?;
        let lost = self.count_loss(&history, &primary).await?;
        self.rewind(upstream).await?;
        self.node().make_standby()?;
        ask(&self.dir, &Request::StartDatabase { region: self.region.clone() }).await?;
        self.catch_up(&primary).await?;
        self.protect_again(&primary).await?;
        self.start_service().await?;
        Ok(lost)
    }

    /// One call at a time: an earlier one outlives a controller that was killed.
    fn wait_alone(&self) -> anyhow::Result<std::fs::File> {
        let file = std::fs::File::create(self.home.join("rejoin.lock")).context("failed to make the lock")?;
        file.lock().context("failed to wait for an earlier call")?;
        Ok(file)
    }

    fn superuser(&self) -> Login<'_> {
        Login { user: "postgres", password: &self.world.passwords.superuser, database: "shop" }
    }

    fn own_address(&self) -> SocketAddr {
        self.world.addresses.own(&Place::Region(self.region.clone()), Kind::Database)
    }

    fn address_of_new_primary(&self) -> SocketAddr {
        let (me, there) = (Place::Region(self.region.clone()), Place::Region(self.follow.clone()));
        self.world.addresses.path(&me, &there, Kind::Database)
    }

    fn write(&self, name: &str, content: &str) -> anyhow::Result<()> {
        folders::write(&self.home.join(name), content, 0o600)?;
        folders::give(&self.home.join(name), self.owner.as_ref())
    }

    /// An earlier attempt got as far as this: `Some` with what it had counted.
    async fn follows_already(&self, primary: &Client) -> Option<Option<Loss>> {
        let client = connect(self.own_address(), &self.superuser(), Duration::from_secs(1)).await.ok()?;
        // A session on a primary is in the way of seeing it closed, and this one follows nobody.
        view(&client).await.ok().filter(|node| node.in_recovery)?;
        let goal = view(primary).await.ok()?.position;
        wait_caught_up(&client, goal, Duration::from_secs(1)).await.ok()?;
        let history = History::read(primary).await.ok()?;
        Some(self.counted_before(&history))
    }

    async fn catch_up(&self, primary: &Client) -> anyhow::Result<()> {
        let patience = Duration::from_secs(15);
        let client = connect_patiently(self.own_address(), &self.superuser(), patience).await;
        let client = client
            .with_context(|| format!("PostgreSQL in {} said: {}", self.region, self.node().last_words()))?;
        let goal = view(primary).await?.position;
        wait_caught_up(&client, goal, patience).await
    }

    /// Commits wait for a standby again, where that is the setting in the node's file.
    async fn protect_again(&self, primary: &Client) -> anyhow::Result<()> {
        primary.batch_execute("alter system reset synchronous_standby_names").await?;
        primary
            .batch_execute("select pg_reload_conf()")
            .await
            .context("failed to restore synchronous replication")
    }

    async fn start_service(&self) -> anyhow::Result<()> {
        ask(&self.dir, &Request::StartService { region: self.region.clone() }).await
    }

    fn node(&self) -> Node {
        Node::new(&self.region, self.home.clone(), self.world.programs.clone(), self.owner.clone())
    }

    fn command(&self, program: &str) -> Command {
        self.node().command(program, &self.world.passwords.replicator)
    }

    async fn rewind(&self, upstream: SocketAddr) -> anyhow::Result<()> {
        let data = self.home.join("data");
        let (host, port) = (upstream.ip(), upstream.port());
        let source = format!("host={host} port={port} user=replicator dbname=postgres connect_timeout=3");
        let mut rewind = self.command("pg_rewind");
        rewind.arg("-D").arg(&data).arg("--source-server").arg(&source).arg("--no-sync");
        rewind.arg(option("--config-file=", &self.home.join("postgresql.conf")));
        let Err(refused) = run_command(rewind, "rewind the old primary").await else { return Ok(()) };
        // An earlier rewind that was killed half-way leaves files that no rewind mends.
        let copied = self.node().copy_from(upstream, &self.world.passwords.replicator).await;
        copied.with_context(|| format!("{refused:#}, and then"))
    }

    fn note_path(&self) -> PathBuf {
        self.home.join("lost-commits.json")
    }

    fn counted_before(&self, history: &History) -> Option<Loss> {
        let text = std::fs::read_to_string(self.note_path()).ok()?;
        let (timeline, loss): (u32, Loss) = serde_json::from_str(&text).ok()?;
        (timeline == history.timeline).then_some(loss)
    }

    /// Counts once per new timeline: after the rewind the old log is gone.
    async fn count_loss(&self, history: &History, primary: &Client) -> anyhow::Result<Option<Loss>> {
        if let Some(loss) = self.counted_before(history) {
            return Ok(Some(loss));
        }
        let log = self.home.join("data/pg_wal");
        let old = newest_timeline(&log)?;
        if old == history.timeline {
            return Ok(Some(Loss::default()));
        }
        // With a whole promotion of its own behind the fork, the old log has parts on several timelines.
        let Some((_, fork)) = history.fork(old, &log).filter(|(shared, _)| *shared == old) else {
            return Ok(None);
        };
        let mut dump = self.command("pg_waldump");
        dump.arg("-p").arg(&log).args(["-t", &old.to_string(), "-s", &fork]);
        let sql = "select pg_relation_filenode('muster.heartbeat'), \
                   (extract(epoch from pg_last_xact_replay_timestamp()) * 1000)::bigint, \
                   (select coalesce(array_agg(pg_relation_filenode(oid)) filter (where relkind in ('r', 'i', 't')), '{}') \
                    from pg_class where relnamespace = 'muster'::regnamespace)";
        let row = primary.query_one(sql, &[]).await.context("failed to ask the new primary what it has")?;
        let (heartbeats, all): (u32, Vec<Option<u32>>) = (row.try_get(0)?, row.try_get(2)?);
        let others = all.into_iter().flatten().filter(|file| *file != heartbeats).collect();
        let Some(left) = old_log::read(dump, &OwnFiles { heartbeats, others }).await? else {
            return Ok(None);
        };
        let kept: Option<i64> = row.try_get(1)?;
        let span = kept.zip(left.newest_ms).and_then(|(kept, newest)| u64::try_from(newest - kept).ok());
        let loss = Loss { lost_commits: left.commits, lost_heartbeats: left.beats, span_ms: span };
        self.write("lost-commits.json", &serde_json::to_string(&(history.timeline, loss))?)?;
        Ok(Some(loss))
    }
}

/// What the hook prints, as the adapter reads it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Loss {
    lost_commits: u64,
    lost_heartbeats: u64,
    /// Between the newest commit that the new primary has and the newest that was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    span_ms: Option<u64>,
}

fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(path);
    option
}

/// Where a primary's timeline left the older ones.
struct History {
    timeline: u32,
    lines: Vec<(u32, String)>,
}

impl History {
    /// Right after a checkpoint the control file knows the present timeline.
    async fn read(primary: &Client) -> anyhow::Result<Self> {
        let row = primary.query_one("select timeline_id from pg_control_checkpoint()", &[]).await?;
        let timeline = u32::try_from(row.try_get::<_, i32>(0)?).context("a negative timeline")?;
        if timeline == 1 {
            return Ok(Self { timeline, lines: Vec::new() });
        }
        let path = format!("pg_wal/{timeline:08X}.history");
        let row = primary.query_one("select pg_read_file($1)", &[&path]).await;
        let text: String = row.context("failed to read the new primary's history")?.try_get(0)?;
        Ok(Self { timeline, lines: parse_history(&text) })
    }

    /// The newest timeline that both nodes went through, and where the new primary left it.
    fn fork(&self, old: u32, log: &Path) -> Option<(u32, String)> {
        let text = std::fs::read_to_string(log.join(format!("{old:08X}.history"))).unwrap_or_default();
        let olds: Vec<u32> = parse_history(&text).into_iter().map(|(t, _)| t).chain([old]).collect();
        self.lines.iter().rev().find(|(t, _)| olds.contains(t)).cloned()
    }
}

fn parse_history(text: &str) -> Vec<(u32, String)> {
    let parse = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.parse().ok()?, words.next()?.to_owned()))
    };
    text.lines().filter_map(parse).collect()
}

/// The newest timeline that a log has segments of.
fn newest_timeline(log: &Path) -> anyhow::Result<u32> {
    let names = std::fs::read_dir(log).with_context(|| format!("failed to read {}", log.display()))?;
    let names = names.flatten().filter_map(|e| e.file_name().into_string().ok());
    let segments = names.filter(|n| n.len() == 24 && n.bytes().all(|b| b.is_ascii_hexdigit()));
    let timelines = segments.filter_map(|n| n.get(..8).and_then(|t| u32::from_str_radix(t, 16).ok()));
    timelines.max().context("the old primary has no log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fork_is_where_the_new_primary_left_the_newest_timeline_that_both_know() {
        let text = "1\t0/300\tno recovery target specified\n2\t0/500\tno recovery target specified\n";
        let history = History { timeline: 3, lines: parse_history(text) };
        let log = tempfile::tempdir().unwrap();
        assert_eq!(history.fork(2, log.path()), Some((2, "0/500".to_owned())));
        assert_eq!(history.fork(1, log.path()), Some((1, "0/300".to_owned())));
        assert_eq!(history.fork(7, log.path()), None);
        std::fs::write(log.path().join("00000007.history"), "1\t0/300\tx\n").unwrap();
        assert_eq!(history.fork(7, log.path()), Some((1, "0/300".to_owned())));
    }
}
