//! STATE/journal.high-water: the newest change that ever reached stable storage, kept outside the database, so
//! that a database restored from a backup is noticed. A lower bound: losing it, or its newest entry, is harmless.
//!
//! Two slots of one sector each are written in turn. A torn write spoils one, and its sum says so.

use super::schema::short_hash;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

const SLOT: u64 = 512;

/// What the side file says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct HighWater {
    /// Of which journal.
    pub(super) store: String,
    /// Its newest change.
    pub(super) generation: u64,
}

/// The larger of the two slots that are whole. `None`: no file, or nothing of worth in it.
pub(super) fn read(path: &Path) -> Option<HighWater> {
    let file = File::open(path).ok()?;
    (0..2).filter_map(|slot| read_slot(&file, slot)).max_by_key(|mark| mark.generation)
}

fn read_slot(file: &File, slot: u64) -> Option<HighWater> {
    let mut bytes = Vec::new();
    let mut chunk = [0_u8; 512];
    let got = file.read_at(&mut chunk, slot * SLOT).ok()?;
    bytes.extend(chunk.iter().take(got).copied().take_while(|b| *b != b'\n'));
    let text = String::from_utf8(bytes).ok()?;
    let (body, sum) = text.rsplit_once(' ')?;
    let (generation, store) = body.split_once(' ')?;
    (sum == sum_of(body))
        .then(|| generation.parse().ok())
        .flatten()
        .map(|generation| HighWater { store: store.to_owned(), generation })
}

/// Writes the mark and waits until it has reached the disk.
pub(super) fn write(path: &Path, mark: &HighWater) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let body = format!("{} {}", mark.generation, mark.store);
    let mut line = format!("{body} {}\n", sum_of(&body)).into_bytes();
    line.resize(usize::try_from(SLOT).unwrap_or(512), b' ');
    file.write_all_at(&line, (mark.generation % 2) * SLOT)?;
    file.sync_data()
}

fn sum_of(body: &str) -> String {
    short_hash(&[body.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(generation: u64) -> HighWater {
        HighWater { store: "a".into(), generation }
    }

    #[test]
    fn a_torn_mark_falls_back_to_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mark");
        assert_eq!(read(&path), None);
        for generation in 1..=6 {
            write(&path, &mark(generation)).unwrap();
            assert_eq!(read(&path), Some(mark(generation)));
        }
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(b"7 a", 0).unwrap();
        assert_eq!(read(&path), Some(mark(5)));
    }

    #[test]
    fn garbage_is_no_mark() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mark");
        for garbage in ["", "\n", "12 a 0000000000000000\n", "x"] {
            std::fs::write(&path, garbage).unwrap();
            assert_eq!(read(&path), None, "{garbage:?}");
        }
    }
}
