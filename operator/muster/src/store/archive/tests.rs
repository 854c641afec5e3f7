use super::*;
use std::io::Write as _;

const ALL: Range<Wall> = Wall(0)..Wall(i64::MAX);

fn limits() -> Limits {
    Limits { keep_free_bytes: 0, flush_every: Duration::from_mins(10), ..Limits::default() }
}

fn open(dir: &Path, limits: Limits) -> Archive {
    Archive::open(dir, limits, Clock::system())
}

async fn numbers(archive: &Archive, key: &str) -> Vec<i64> {
    let entries = archive.read(Kind::Probes, key, ALL, usize::MAX).await.unwrap();
    entries.iter().filter_map(|e| e.value.as_i64()).collect()
}

fn files_of(dir: &Path, kind: Kind, key: &str) -> Vec<PathBuf> {
    let folder = files::series_folder(&dir.join("archive"), kind, key);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn what_was_appended_is_read_back_in_order_and_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), limits());
    for n in 0..100 {
        archive.append(Kind::Probes, "shop/checkout/place-order", &n);
    }
    archive.append(Kind::Probes, "shop/checkout/beat", &7);
    assert_eq!(numbers(&archive, "shop/checkout/place-order").await, (0..100).collect::<Vec<_>>());
    drop(archive);
    let again = open(dir.path(), limits());
    again.append(Kind::Probes, "shop/checkout/place-order", &100);
    assert_eq!(numbers(&again, "shop/checkout/place-order").await.len(), 101);
    let newest = again.read(Kind::Probes, "shop/checkout/place-order", ALL, 2).await.unwrap();
    assert_eq!(newest.iter().map(|e| e.value.clone()).collect::<Vec<_>>(), [99, 100]);
    assert_eq!(again.trouble(), Trouble::default());
}

#[tokio::test]
async fn a_torn_last_line_loses_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), limits());
    archive.append(Kind::Probes, "k", &1);
    archive.append(Kind::Probes, "k", &2);
    archive.flush().await.unwrap();
    drop(archive);
    let path = files_of(dir.path(), Kind::Probes, "k").remove(0);
    let len = std::fs::metadata(&path).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len - 3).unwrap();
    let again = open(dir.path(), limits());
    assert_eq!(numbers(&again, "k").await, [1]);
    again.append(Kind::Probes, "k", &3);
    assert_eq!(numbers(&again, "k").await, [1, 3]);
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"\xff\xfe not a line\n{}\n").unwrap();
    again.append(Kind::Probes, "k", &4);
    assert_eq!(numbers(&again, "k").await, [1, 3, 4]);
}

#[tokio::test]
async fn a_range_reads_only_what_lies_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let archive = Archive::open(dir.path(), Limits { file_bytes: 60, ..limits() }, clock.clone());
    let start = clock.now().wall.0;
    for n in 0..20_i64 {
        archive.append(Kind::Probes, "k", &n);
        archive.flush().await.unwrap();
        clock.step_wall(1_000_000);
    }
    assert!(files_of(dir.path(), Kind::Probes, "k").len() > 5);
    let range = Wall(start + 4_500_000)..Wall(start + 7_500_000);
    let found = archive.read(Kind::Probes, "k", range, 100).await.unwrap();
    assert_eq!(found.iter().map(|e| e.value.clone()).collect::<Vec<_>>(), [5, 6, 7]);
}

#[tokio::test]
async fn keys_of_any_kind_become_files_below_the_folder_and_are_listed_as_given() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), limits());
    let keys = ["../../etc/passwd", ".", "a b/c%d", "shop", "shop/checkout", "é/ü", "x/"];
    for key in keys {
        archive.append(Kind::Evidence, key, &key);
    }
    let mut listed: Vec<String> =
        archive.list(Kind::Evidence).await.unwrap().into_iter().map(|s| s.key).collect();
    listed.sort();
    let mut given = keys.map(str::to_owned);
    given.sort();
    assert_eq!(listed, given);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "only archive/ is written to");
}

#[tokio::test]
async fn it_stays_within_its_bytes_and_probes_push_no_report_out() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), Limits { bytes: 100_000, file_bytes: 5_000, ..limits() });
    archive.append(Kind::Reports, "run-1", &"kept");
    archive.flush().await.unwrap();
    for n in 0..2_000 {
        archive.append(Kind::Probes, &format!("p{}", n % 3), &"x".repeat(100));
        if n % 50 == 0 {
            archive.flush().await.unwrap();
        }
    }
    let pruned = archive.prune().await.unwrap();
    assert!(pruned.left_bytes <= 71_000, "{pruned:?}");
    assert!(pruned.left_bytes > 40_000, "{pruned:?}");
    assert_eq!(archive.list(Kind::Probes).await.unwrap().len(), 3);
    assert_eq!(archive.read(Kind::Reports, "run-1", ALL, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_too_old_goes() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let limits = Limits { age: Millis::from_secs(3600), ..limits() };
    let archive = Archive::open(dir.path(), limits, clock.clone());
    archive.append(Kind::Peaks, "a/b", &1);
    assert_eq!(archive.prune().await.unwrap().files, 0);
    clock.step_wall(3_700_000);
    assert_eq!(archive.prune().await.unwrap().files, 1);
    assert_eq!(archive.list(Kind::Peaks).await.unwrap(), []);
}

#[tokio::test]
async fn trouble_is_told_and_ends_and_never_blocks() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("archive"), "in the way").unwrap();
    let archive = open(dir.path(), limits());
    archive.append(Kind::Probes, "k", &1);
    archive.flush().await.unwrap();
    let trouble = archive.trouble();
    assert_eq!(trouble.lost, 1);
    assert!(trouble.now.unwrap().contains("archive"));
    std::fs::remove_file(dir.path().join("archive")).unwrap();
    archive.append(Kind::Probes, "k", &2);
    assert_eq!(numbers(&archive, "k").await, [2]);
    assert_eq!(archive.trouble(), Trouble { lost: 1, now: None });
}

#[tokio::test]
async fn it_leaves_the_last_room_of_the_disk_to_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), Limits { keep_free_bytes: u64::MAX, ..limits() });
    archive.append(Kind::Probes, "k", &1);
    assert!(numbers(&archive, "k").await.is_empty());
    assert!(archive.trouble().now.unwrap().contains("kept free"));
}

#[tokio::test]
async fn more_than_the_disk_can_take_is_dropped_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path(), Limits { waiting_bytes: 0, ..limits() });
    let kept_back = "x".repeat(1000);
    for _ in 0..5_000 {
        archive.append(Kind::Probes, "k", &kept_back);
    }
    archive.append(Kind::Probes, "k", &"x".repeat(ENTRY_BYTES));
    let written = archive.read(Kind::Probes, "k", ALL, usize::MAX).await.unwrap().len() as u64;
    assert_eq!(written + archive.trouble().lost, 5_001);
    assert!(archive.trouble().lost > 0);
}
