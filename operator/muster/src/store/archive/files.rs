//! The archive's files: names, tails, reading, pruning.

use super::{ArchiveError, Entry, Kind, Pruned, Series};
use muster_core::time::{Millis, Wall};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs::{DirBuilder, DirEntry, File, Metadata, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

const SUFFIX: &str = ".jsonl";
/// Words in a key; deeper ones are another program's folders.
const MAX_DEPTH: usize = 16;

/// The folder of a series; every word of the key is one folder below the kind's.
pub(super) fn series_folder(root: &Path, kind: Kind, key: &str) -> PathBuf {
    key.split('/').take(MAX_DEPTH).fold(root.join(kind.folder()), |path, word| path.join(encode(word)))
}

/// A word as a file name: what is not plain becomes `%` and two hexadecimal digits.
fn encode(word: &str) -> String {
    let plain = |i: usize, b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-' || (b == b'.' && i > 0);
    let mut name = String::new();
    for (i, byte) in word.bytes().enumerate() {
        if plain(i, byte) {
            name.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(name, "%{byte:02X}");
        }
    }
    if name.is_empty() { "%".to_owned() } else { name }
}

fn decode(name: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
        match byte {
            b'%' => {
                if let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) {
                    bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                }
            }
            plain => bytes.push(plain),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The file that a series is written to.
#[derive(Debug)]
pub(super) struct Tail {
    path: PathBuf,
    /// Its size; a torn last line was ended already.
    pub(super) bytes: u64,
    torn: bool,
}

impl Tail {
    /// The newest file of a series, or the name of the next one if that is full.
    pub(super) fn of(folder: &Path, full: u64, now: Wall) -> Result<Self, ArchiveError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|source| failed("make", folder, source))?;
        let newest = segments(folder)?.pop();
        let start = newest.as_ref().map_or(now.0, |(start, ..)| now.0.max(start + 1));
        if let Some((_, path, meta)) = newest.filter(|(_, _, meta)| meta.len() < full) {
            let torn = is_torn(&path, meta.len()).map_err(|source| failed("read", &path, source))?;
            return Ok(Self { path, bytes: meta.len(), torn });
        }
        Ok(Self { path: folder.join(format!("{start:019}{SUFFIX}")), bytes: 0, torn: false })
    }

    /// Adds whole lines in one write, so that two processes never mix theirs.
    pub(super) fn append(self, text: &[u8], sync: bool) -> Result<Self, ArchiveError> {
        let write = || -> io::Result<u64> {
            let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
            if self.torn {
                file.write_all(&[b"\n", text].concat())?;
            } else {
                file.write_all(text)?;
            }
            if sync {
                file.sync_data()?;
            }
            Ok(file.metadata()?.len())
        };
        let bytes = write().map_err(|source| failed("write", &self.path, source))?;
        Ok(Self { bytes, torn: false, ..self })
    }
}

fn is_torn(path: &Path, len: u64) -> io::Result<bool> {
    let Some(last) = len.checked_sub(1) else { return Ok(false) };
    let mut byte = [0];
    File::open(path)?.read_exact_at(&mut byte, last)?;
    Ok(byte != *b"\n")
}

/// The files of a series, oldest first, with the wall time that each begins at.
fn segments(folder: &Path) -> Result<Vec<(i64, PathBuf, Metadata)>, ArchiveError> {
    let mut found = Vec::new();
    for entry in entries(folder)? {
        let name = entry.file_name();
        let start = name.to_str().and_then(|n| n.strip_suffix(SUFFIX)).and_then(|n| n.parse().ok());
        // One that vanishes meanwhile was pruned.
        if let (Some(start), Ok(meta)) = (start, entry.metadata())
            && meta.is_file()
        {
            found.push((start, entry.path(), meta));
        }
    }
    found.sort_by_key(|(start, ..)| *start);
    Ok(found)
}

/// No folder, no entries.
fn entries(folder: &Path) -> Result<Vec<DirEntry>, ArchiveError> {
    match std::fs::read_dir(folder).and_then(Iterator::collect) {
        Ok(entries) => Ok(entries),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(failed("list", folder, source)),
    }
}

/// The newest `limit` entries of `range`, oldest first.
pub(super) fn read(folder: &Path, range: Range<Wall>, limit: usize) -> Result<Vec<Entry>, ArchiveError> {
    let files = segments(folder)?;
    let ends = files.iter().skip(1).map(|(start, ..)| *start).chain([i64::MAX]);
    let mut newest = VecDeque::new();
    for ((start, path, _), end) in files.iter().zip(ends) {
        if end <= range.start.0 || *start >= range.end.0 {
            continue;
        }
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened.map_err(|source| failed("read", path, source))?,
        };
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(|source| failed("read", path, source))?;
            // Torn by a crash, or not ours.
            let Ok(entry) = serde_json::from_slice::<Entry>(&line) else { continue };
            if range.contains(&entry.at) {
                newest.push_back(entry);
            }
            if newest.len() > limit {
                newest.pop_front();
            }
        }
    }
    Ok(newest.into())
}

/// All series below a kind's folder.
pub(super) fn list(root: &Path) -> Result<Vec<Series>, ArchiveError> {
    let mut found = Vec::new();
    visit(root, &mut Vec::new(), &mut |words, files| {
        let bytes = files.iter().map(|(_, _, meta)| meta.len()).sum();
        let newest = files.iter().map(|(_, _, meta)| changed_ms(meta)).max().unwrap_or(0);
        found.push(Series { key: words.join("/"), bytes, newest: Wall(newest) });
    })?;
    found.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(found)
}

type Visitor<'a> = &'a mut dyn FnMut(&[String], &[(i64, PathBuf, Metadata)]);

fn visit(folder: &Path, words: &mut Vec<String>, each: Visitor<'_>) -> Result<(), ArchiveError> {
    let files = segments(folder)?;
    if !files.is_empty() {
        each(words, &files);
    }
    if words.len() >= MAX_DEPTH {
        return Ok(());
    }
    for entry in entries(folder)? {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            words.push(decode(&entry.file_name().to_string_lossy()));
            visit(&entry.path(), words, each)?;
            words.pop();
        }
    }
    Ok(())
}

/// Removes files that are too old, then the oldest until at most `bytes` are left, then empty folders.
pub(super) fn prune(root: &Path, bytes: u64, age: Millis, now: Wall) -> Result<Pruned, ArchiveError> {
    let mut files = Vec::new();
    visit(root, &mut Vec::new(), &mut |_, segments| {
        files.extend(segments.iter().map(|(_, path, meta)| (changed_ms(meta), meta.len(), path.clone())));
    })?;
    files.sort();
    let mut pruned = Pruned { left_bytes: files.iter().map(|(_, len, _)| len).sum(), ..Pruned::default() };
    let oldest_kept = now.0.saturating_sub_unsigned(age.0);
    for (changed, len, path) in files {
        if changed >= oldest_kept && pruned.left_bytes <= bytes {
            break;
        }
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &path, error));
            }
            _ => {}
        }
        pruned.files += 1;
        pruned.bytes += len;
        pruned.left_bytes -= len;
        remove_empty_folders(path.parent(), root);
    }
    Ok(pruned)
}

fn remove_empty_folders(mut folder: Option<&Path>, root: &Path) {
    while let Some(path) = folder.filter(|path| *path != root) {
        // Fails for one that is in use, which is right.
        if std::fs::remove_dir(path).is_err() {
            return;
        }
        folder = path.parent();
    }
}

/// Whether the disk has more room than must stay free for the journal; the text is for people.
pub(super) fn ensure_room(root: &Path, keep_free: u64) -> Result<(), String> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(root);
    made.map_err(|error| format!("failed to make {}: {error}", root.display()))?;
    let disk = nix::sys::statvfs::statvfs(root)
        .map_err(|error| format!("failed to ask how full the disk of {} is: {error}", root.display()))?;
    let free = disk.blocks_available().saturating_mul(disk.fragment_size());
    if free >= keep_free {
        return Ok(());
    }
    Err(format!("{} MiB are free in {}, {} MiB are kept free", free >> 20, root.display(), keep_free >> 20))
}

fn changed_ms(meta: &Metadata) -> i64 {
    meta.mtime().saturating_mul(1000).saturating_add(meta.mtime_nsec() / 1_000_000)
}

fn failed(verb: &'static str, path: &Path, source: io::Error) -> ArchiveError {
    ArchiveError::Io { verb, path: path.to_owned(), source }
}
