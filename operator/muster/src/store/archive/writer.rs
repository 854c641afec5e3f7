//! The thread that writes. Whoever appends only puts a line into its queue.

use super::files::{self, Tail};
use super::{ArchiveError, Kind, Limits, Pruned, Trouble};
use crate::clock::Clock;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Series whose newest file is remembered.
const TAILS: usize = 10_000;
const PRUNE_EVERY: Duration = Duration::from_mins(10);
/// What a queued line costs beside its text.
const LINE_OVERHEAD: usize = 128;

#[derive(Debug)]
pub(super) enum Command {
    Append(Kind, String, Vec<u8>),
    Flush(oneshot::Sender<()>),
    Prune(oneshot::Sender<Result<Pruned, ArchiveError>>),
}

/// What the callers and the thread both see.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) root: PathBuf,
    pub(super) clock: Clock,
    limits: Limits,
    queue: Sender<Command>,
    waiting: Arc<AtomicUsize>,
    lost: Arc<AtomicU64>,
    now: Arc<Mutex<Option<String>>>,
}

impl Shared {
    pub(super) fn append(&self, kind: Kind, key: &str, line: Vec<u8>) {
        let cost = line.len() + key.len() + LINE_OVERHEAD;
        if self.waiting.fetch_add(cost, Ordering::Relaxed) > self.limits.waiting_bytes {
            self.waiting.fetch_sub(cost, Ordering::Relaxed);
            return self.lose(1, "the disk is too slow".to_owned());
        }
        self.send(Command::Append(kind, key.to_owned(), line));
    }

    pub(super) fn send(&self, command: Command) {
        if self.queue.send(command).is_err() {
            self.lose(1, "the archive's thread has ended".to_owned());
        }
    }

    pub(super) fn lose(&self, entries: u64, why: String) {
        self.lost.fetch_add(entries, Ordering::Relaxed);
        set_trouble(&self.now, Some(why));
    }

    pub(super) fn trouble(&self) -> Trouble {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Trouble { lost: self.lost.load(Ordering::Relaxed), now }
    }
}

fn set_trouble(now: &Mutex<Option<String>>, why: Option<String>) {
    let mut now = now.lock().unwrap_or_else(PoisonError::into_inner);
    if let (None, Some(why)) = (now.as_ref(), why.as_ref()) {
        tracing::warn!(why, "archive: entries are lost");
    }
    *now = why;
}

type SeriesKey = (Kind, String);

/// The thread's own state.
pub(super) struct Writer {
    root: PathBuf,
    clock: Clock,
    limits: Limits,
    commands: Receiver<Command>,
    waiting: Arc<AtomicUsize>,
    lost: Arc<AtomicU64>,
    now: Arc<Mutex<Option<String>>>,
    /// Lines by series, not yet written.
    batch: BTreeMap<SeriesKey, Batch>,
    tails: BTreeMap<SeriesKey, Tail>,
    written: u64,
}

#[derive(Default)]
struct Batch {
    lines: u64,
    cost: usize,
    text: Vec<u8>,
}

impl Writer {
    pub(super) fn start(root: PathBuf, limits: Limits, clock: Clock) -> Arc<Shared> {
        let (queue, commands) = channel();
        let (waiting, lost, now) =
            <(Arc<AtomicUsize>, Arc<AtomicU64>, Arc<Mutex<Option<String>>>)>::default();
        let shared = Arc::new(Shared {
            root: root.clone(),
            clock: clock.clone(),
            limits,
            queue,
            waiting: waiting.clone(),
            lost: lost.clone(),
            now: now.clone(),
        });
        let (batch, tails) = (BTreeMap::new(), BTreeMap::new());
        let writer = Self { root, clock, limits, commands, waiting, lost, now, batch, tails, written: 0 };
        if let Err(error) = std::thread::Builder::new().name("archive".into()).spawn(move || writer.run()) {
            set_trouble(&shared.now, Some(format!("no thread: {error}")));
        }
        shared
    }

    /// Ends when the last handle is gone.
    fn run(mut self) {
        let mut flush_at = Instant::now() + self.limits.flush_every;
        let mut prune_at = Instant::now();
        loop {
            let command = self.commands.recv_timeout(flush_at.saturating_duration_since(Instant::now()));
            match command {
                Ok(Command::Append(kind, key, line)) => {
                    self.take(kind, key, &line);
                    if self.waiting.load(Ordering::Relaxed) < self.limits.waiting_bytes / 2 {
                        continue;
                    }
                    self.write_all();
                }
                Ok(Command::Flush(answer)) => {
                    self.write_all();
                    // Whoever asked may have given up.
                    let _ = answer.send(());
                }
                Ok(Command::Prune(answer)) => {
                    self.write_all();
                    prune_at = Instant::now() + PRUNE_EVERY;
                    let _ = answer.send(self.prune());
                }
                Err(RecvTimeoutError::Timeout) => self.write_all(),
                Err(RecvTimeoutError::Disconnected) => return self.write_all(),
            }
            flush_at = Instant::now() + self.limits.flush_every;
            if Instant::now() >= prune_at || self.written > self.limits.bytes / 16 {
                prune_at = Instant::now() + PRUNE_EVERY;
                if let Err(error) = self.prune() {
                    tracing::warn!(%error, "archive: failed to prune");
                }
            }
        }
    }

    fn take(&mut self, kind: Kind, key: String, line: &[u8]) {
        let cost = line.len() + key.len() + LINE_OVERHEAD;
        let batch = self.batch.entry((kind, key)).or_default();
        batch.lines += 1;
        batch.cost += cost;
        batch.text.extend_from_slice(line);
        batch.text.push(b'\n');
    }

    fn write_all(&mut self) {
        let batches = std::mem::take(&mut self.batch);
        if batches.is_empty() {
            return;
        }
        let room = files::ensure_room(&self.root, self.limits.keep_free_bytes);
        let mut trouble = None;
        for (series, batch) in batches {
            let written = match &room {
                Ok(()) => self.write(&series, &batch.text).map_err(|error| error.to_string()),
                Err(why) => Err(why.clone()),
            };
            if let Err(why) = written {
                self.tails.remove(&series);
                self.lost.fetch_add(batch.lines, Ordering::Relaxed);
                trouble = Some(why);
            }
            self.waiting.fetch_sub(batch.cost, Ordering::Relaxed);
        }
        set_trouble(&self.now, trouble);
    }

    fn write(&mut self, series: &SeriesKey, text: &[u8]) -> Result<(), ArchiveError> {
        let (kind, key) = series;
        let folder = files::series_folder(&self.root, *kind, key);
        let fits = |tail: &Tail| tail.bytes < self.limits.file_bytes;
        let tail = match self.tails.remove(series).filter(fits) {
            Some(tail) => tail,
            None => Tail::of(&folder, self.limits.file_bytes, self.clock.now().wall)?,
        };
        let tail = tail.append(text, kind.is_synced())?;
        self.written += text.len() as u64;
        if self.tails.len() >= TAILS {
            self.tails.clear();
        }
        self.tails.insert(series.clone(), tail);
        Ok(())
    }

    fn prune(&mut self) -> Result<Pruned, ArchiveError> {
        self.written = 0;
        // A pruned file must not be written on.
        self.tails.clear();
        let mut all = Pruned::default();
        for kind in Kind::ALL {
            let bytes = self.limits.bytes / 100 * kind.share_percent();
            let root = self.root.join(kind.folder());
            let pruned = files::prune(&root, bytes, self.limits.age, self.clock.now().wall)?;
            all.files += pruned.files;
            all.bytes += pruned.bytes;
            all.left_bytes += pruned.left_bytes;
        }
        Ok(all)
    }
}
