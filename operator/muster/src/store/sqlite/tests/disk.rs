//! Full disks, and folders that cannot be written.

use super::child::Process;
use super::{Options, acquire, count, few, load, open_with, policy};
use crate::store::conformance::journal_with_run;
use crate::store::{Loaded, Need, Store, StoreError, StoreErrorClass};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// A file system of this size at `dir`, unmounted when dropped. `None` if this user may not mount.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn tmpfs(dir: &'a Path, size: &str) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(dir);
        let mounted = Mounted::run(&mut mount);
        mounted.then_some(Self(dir))
    }

    fn run(command: &mut Command) -> bool {
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        Mounted::run(Command::new("umount").arg("-l").arg(self.0));
    }
}

/// Makes a folder unwritable, also for root, until the guard is dropped. `None` if this cannot be had here.
pub(super) fn read_only(dir: &Path) -> Option<impl Sized + '_> {
    if nix::unistd::geteuid().is_root() {
        let bind = Mounted::run(Command::new("mount").arg("--bind").args([dir, dir]));
        let guard = bind.then_some(Mounted(dir))?;
        let locked = Mounted::run(Command::new("mount").args(["-o", "remount,bind,ro"]).arg(dir));
        return locked.then_some((Some(guard), None));
    }
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o500)).ok()?;
    Some((None, Some(Unlock(dir))))
}

struct Unlock<'a>(&'a Path);

impl Drop for Unlock<'_> {
    fn drop(&mut self) {
        // The folder is removed next; if that fails, it stays in the folder for temporary files.
        let _ = std::fs::set_permissions(self.0, std::fs::Permissions::from_mode(0o700));
    }
}

fn fill(path: &Path) {
    let mut junk = File::create(path).unwrap();
    while junk.write_all(&[7; 4096]).is_ok() {}
}

#[tokio::test]
async fn a_database_at_its_largest_size_is_full_and_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { max_pages: Some(40), ..few() };
    let store = open_with(dir.path(), options).await.unwrap();
    let mut loaded = load(&store).await;
    let token = acquire(&store, "first").await;
    loaded.journal.state.paused = Some("x".repeat(200_000));
    let error = store.record(&policy(), &loaded.version, &token, &loaded.journal).await.unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert!(error.to_string().contains(dir.path().to_str().unwrap()), "{error}");
    assert_eq!(store.load(&policy()).await.unwrap().version, loaded.version);
    assert_eq!(count(&store, &token).await.unwrap(), 1, "what fits is still taken");
}

/// Any user: a limit on the size of files is met like a full disk, with another errno.
#[tokio::test]
async fn a_limit_on_the_size_of_files_is_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 200; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap());
    let child = Process::start_under(limited, "limited", dir.path());
    let said = child.end();
    let refused = said.iter().find(|line| line.starts_with("refused")).expect("it was refused");
    assert!(refused.contains("Full"), "{refused}");
    let acknowledged = said.iter().filter(|line| line.starts_with("acknowledged")).count();
    assert!(acknowledged > 3, "{said:?}");
    assert!(said.contains(&format!("loaded {acknowledged}")), "{said:?}");
}

#[tokio::test]
async fn on_a_full_disk_no_run_begins_and_one_under_way_records_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let Some(_mounted) = Mounted::tmpfs(dir.path(), "24m") else { return };
    let options = Options { reserve_bytes: 8 << 20, ..few() };
    let store = open_with(dir.path(), options).await.unwrap();
    let loaded = load(&store).await;
    let token = acquire(&store, "first").await;
    store.check(Need::NewRun).await.unwrap();
    let junk = dir.path().join("junk");
    fill(&junk);

    // Fifty records of a large journal: more than a run takes.
    let mut journal = journal_with_run(&loaded.journal, 1);
    journal.state.paused = Some("x".repeat(60_000));
    let mut version = loaded.version;
    for n in 0..50 {
        version =
            store.record(&policy(), &version, &token, &journal).await.unwrap_or_else(|e| panic!("{n}: {e}"));
        store.renew(&token).await.unwrap();
    }
    store.check(Need::RunUnderWay).await.unwrap();
    let error = store.check(Need::NewRun).await.unwrap_err();
    assert!(matches!(error, StoreError::NoReserve { .. }), "{error}");

    std::fs::remove_file(&junk).unwrap();
    store.check(Need::NewRun).await.unwrap();
    assert_eq!(store.load(&policy()).await.unwrap().version, version);
}

#[tokio::test]
async fn when_the_reserve_is_used_up_too_records_are_refused_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let Some(_mounted) = Mounted::tmpfs(dir.path(), "4m") else { return };
    let options = Options { reserve_bytes: 64 << 10, ..few() };
    let store = open_with(dir.path(), options.clone()).await.unwrap();
    let mut loaded = load(&store).await;
    let token = acquire(&store, "first").await;
    store.check(Need::NewRun).await.unwrap();
    let junk = dir.path().join("junk");
    fill(&junk);
    let error = loop {
        let mut next = loaded.journal.clone();
        next.state.seq = next.state.seq.next();
        next.state.paused = Some("x".repeat(90_000));
        match store.record(&policy(), &loaded.version, &token, &next).await {
            Ok(version) => loaded = Loaded { version, journal: next },
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    let refused = store.check(Need::NewRun).await.unwrap_err();
    assert_eq!(refused.class(), StoreErrorClass::Full, "{refused}");
    assert_eq!(store.load(&policy()).await.unwrap(), loaded);
    store.close().await;

    // Begun anew on the full disk: what is there is there, and says what is missing.
    let store = open_with(dir.path(), options).await.unwrap();
    assert_eq!(store.load(&policy()).await.unwrap(), loaded);
    std::fs::remove_file(&junk).unwrap();
    let token = acquire(&store, "first").await;
    store.record(&policy(), &loaded.version, &token, &loaded.journal).await.unwrap();
}
