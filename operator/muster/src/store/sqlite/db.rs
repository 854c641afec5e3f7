//! One connection, and the rules that every transaction keeps.

use super::errors::classify;
use super::high_water::{self, HighWater};
use super::place::Place;
use super::{reserve, schema};
use crate::store::StoreError;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// What must be on the disk before it is answered: journals, claims, history, a lease's number.
    Durable,
    /// What may be lost in a power cut, which ends every process anyway: renewals, frames. Never waits
    /// for the disk.
    Light,
    /// Reads; goes on while another process holds the write lock.
    Read,
}

/// Whether a write may use up what was set aside for a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Room {
    /// A run needs it to go on.
    Reserved,
    /// It can wait for better times.
    Ordinary,
}

/// A connection with its place.
#[derive(Debug)]
pub(super) struct Db {
    connection: Connection,
    place: Place,
    store: String,
    /// A change that the side file does not know yet.
    mark: Option<u64>,
    closing: Option<oneshot::Sender<()>>,
}

impl Db {
    /// Opens an existing file that was examined before.
    pub(super) fn open(place: &Place, role: Role) -> Result<Self, StoreError> {
        let fail = |error| classify(place, "open the journal", error);
        let connection = connect(place).map_err(fail)?;
        // WAL: a reader that hangs blocks no writer, and one sync makes a commit durable. FULL: that sync happens
        // before the commit returns.
        let synchronous = if role == Role::Light { "NORMAL" } else { "FULL" };
        connection.pragma_update(None, "synchronous", synchronous).map_err(fail)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(fail)?;
        connection.pragma_update(None, "journal_size_limit", 8 << 20).map_err(fail)?;
        connection.pragma_update(None, "query_only", role == Role::Read).map_err(fail)?;
        if let Some(pages) = place.options.max_pages {
            connection.pragma_update(None, "max_page_count", pages).map_err(fail)?;
        }
        let store = connection.query_row("select store from meta", [], |row| row.get(0)).map_err(fail)?;
        Ok(Self { connection, place: place.clone(), store, mark: None, closing: None })
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Reads a consistent view.
    pub(super) fn read<T>(
        &mut self,
        verb: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let place = &self.place;
        let tx = self.connection.transaction().map_err(|error| classify(place, verb, error))?;
        work(&tx).map_err(|fault| fault.into_store(place, verb))
    }

    /// Writes all or nothing. `work` may run twice: once more after the reserve was given up.
    pub(super) fn write<T>(
        &mut self,
        verb: &'static str,
        room: Room,
        work: impl Fn(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        match self.try_write(verb, &work) {
            Err(StoreError::Full { .. }) if room == Room::Reserved && reserve::release(&self.place) => {
                tracing::warn!(path = %self.place.dir.display(), "disk full: the room kept for a run is given up");
                self.try_write(verb, &work)
            }
            other => other,
        }
    }

    fn try_write<T>(
        &mut self,
        verb: &'static str,
        work: &impl Fn(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let place = &self.place;
        let fail = |error| classify(place, verb, error);
        place.ensure_unmoved()?;
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
        // A newer muster may have upgraded the file since it was opened.
        let found = schema::format_of(&tx).map_err(fail)?;
        if found != schema::FORMAT {
            return Err(StoreError::Newer { path: place.file.clone(), found, known: schema::FORMAT });
        }
        let done = work(&tx).map_err(|fault| fault.into_store(place, verb))?;
        tx.commit().map_err(fail)?;
        Ok(done)
    }

    /// To be told after a change of a journal was committed: the side file follows once the caller has its answer.
    pub(super) fn mark(&mut self, generation: u64) {
        self.mark = Some(generation);
    }

    /// Work that no caller waits for.
    pub(super) fn after_job(&mut self) {
        let Some(generation) = self.mark.take() else { return };
        let mark = HighWater { store: self.store.clone(), generation };
        if let Err(error) = high_water::write(&self.place.high_water(), &mark) {
            tracing::debug!(%error, "failed to note the newest change beside the journal");
        }
    }

    /// Drops `gone` together with the connection.
    pub(super) fn keep_until_closed(&mut self, gone: oneshot::Sender<()>) {
        self.closing = Some(gone);
    }
}

/// Opens the file as it is; makes none.
pub(super) fn connect(place: &Place) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&place.file, flags)?;
    connection.busy_timeout(place.options.busy)?;
    Ok(connection)
}

/// Why a transaction's work ends: the file's trouble, or a refusal.
#[derive(Debug)]
pub(super) enum Fault {
    Sql(rusqlite::Error),
    Refuse(StoreError),
}

impl Fault {
    pub(super) fn into_store(self, place: &Place, verb: &'static str) -> StoreError {
        match self {
            Self::Sql(error) => classify(place, verb, error),
            Self::Refuse(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refuse(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::store::sqlite::{Options, SqliteStore, open};

    /// What no test can see from outside, short of cutting the power.
    #[tokio::test]
    async fn what_must_last_is_synced_with_each_commit_also_in_a_restored_file() {
        let dir = tempfile::tempdir().unwrap();
        let restored = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path(), Options::default(), Clock::system()).await.unwrap();
        store.back_up(&restored.path().join("journal.db")).await.unwrap();
        for dir in [&dir, &restored] {
            let mut place = Place::new(dir.path(), Options::default(), Clock::system());
            open::prepare(&mut place).unwrap();
            for (role, expected) in [(Role::Durable, 2), (Role::Light, 1)] {
                let db = Db::open(&place, role).unwrap();
                let pragma = |name| db.connection.pragma_query_value(None, name, |row| row.get(0));
                assert_eq!(pragma("synchronous"), Ok(rusqlite::types::Value::Integer(expected)));
                assert_eq!(pragma("journal_mode"), Ok(rusqlite::types::Value::Text("wal".into())));
            }
        }
    }
}
