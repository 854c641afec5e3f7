//! A thread that owns one connection. Callers wait for it with a deadline, so a hanging disk hangs no task.

use super::db::Db;
use crate::store::StoreError;
use muster_core::time::Millis;
use std::path::Path;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Calls that may wait for one connection; more are held back under their own deadlines.
const MAX_WAITING: usize = 64;

type Job = Box<dyn FnOnce(&mut Db) + Send>;

/// Where to send work for one connection.
#[derive(Debug)]
pub(super) struct Worker {
    jobs: mpsc::Sender<Job>,
    deadline: Duration,
}

impl Worker {
    /// Starts the thread. It ends, and closes its connection, when the last sender is gone.
    pub(super) fn start(name: &str, mut db: Db, deadline: Duration) -> Result<Self, StoreError> {
        let (jobs, mut waiting) = mpsc::channel::<Job>(MAX_WAITING);
        let dir = db.place().dir.clone();
        let body = move || {
            while let Some(job) = waiting.blocking_recv() {
                job(&mut db);
                db.after_job();
            }
        };
        let started = std::thread::Builder::new().name(format!("journal-{name}")).spawn(body);
        started.map_err(|source| io(&dir, "start a thread", source))?;
        Ok(Self { jobs, deadline })
    }

    /// Runs `work` on the connection. Work whose caller has given up before it began is never begun.
    pub(super) async fn call<T, F>(&self, verb: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |db| {
            if !answer.is_closed() {
                // Nobody listens any more: the caller was told "unknown" already.
                let _ = answer.send(work(db));
            }
        });
        let asked = async {
            self.jobs.send(job).await.map_err(|_| StoreError::Closed { verb })?;
            answered.await.map_err(|_| StoreError::Closed { verb })?
        };
        match tokio::time::timeout(self.deadline, asked).await {
            Ok(result) => result,
            Err(_) => Err(StoreError::Deadline { verb, after: Millis::from(self.deadline) }),
        }
    }

    /// Waits until the thread has closed its connection.
    pub(super) async fn close(self) {
        let Self { jobs, deadline } = self;
        let (gone, closed) = oneshot::channel::<()>();
        let last: Job = Box::new(move |db| db.keep_until_closed(gone));
        let ending = async {
            if jobs.send(last).await.is_ok() {
                drop(jobs);
                // An error is the news: the sender was dropped with the connection.
                let _ = closed.await;
            }
        };
        if tokio::time::timeout(deadline, ending).await.is_err() {
            tracing::warn!("failed to close the journal in time");
        }
    }
}

pub(super) fn io(path: &Path, verb: &'static str, source: std::io::Error) -> StoreError {
    let full = matches!(source.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG));
    if full {
        return StoreError::Full { verb, path: path.to_owned() };
    }
    if matches!(source.raw_os_error(), Some(libc::EROFS | libc::EACCES | libc::EPERM)) {
        return StoreError::ReadOnly { path: path.to_owned(), why: source.to_string() };
    }
    StoreError::Io { verb, path: path.to_owned(), source: source.into() }
}
