//! From SQLite's codes to what may be assumed.

use super::place::Place;
use crate::store::StoreError;
use muster_core::time::Millis;
use rusqlite::ErrorCode;
use std::os::unix::fs::FileExt as _;

/// Says what a failed statement means for the file at `place`.
pub(super) fn classify(place: &Place, verb: &'static str, error: rusqlite::Error) -> StoreError {
    use ErrorCode as Code;
    let detail = error.to_string();
    match error.sqlite_error_code() {
        Some(Code::DiskFull) => StoreError::Full { verb, path: place.dir.clone() },
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => {
            let waited = Millis::from(place.options.busy);
            StoreError::Busy { verb, waited, pid: place.lock_holder() }
        }
        Some(Code::ReadOnly | Code::PermissionDenied) => {
            StoreError::ReadOnly { path: place.file.clone(), why: detail }
        }
        Some(Code::DatabaseCorrupt | Code::NotADatabase) => {
            StoreError::Corrupt { path: place.file.clone(), detail }
        }
        Some(Code::SystemIoFailure | Code::CannotOpen) => disk_trouble(place, verb, error),
        _ => StoreError::Io { verb, path: place.file.clone(), source: error.into() },
    }
}

/// SQLite knows only one errno for a full disk. A quota, or a limit on the size of a file, shows when a file beside
/// it is written as far out as its own are long.
fn disk_trouble(place: &Place, verb: &'static str, error: rusqlite::Error) -> StoreError {
    let tried = tempfile::tempfile_in(&place.dir).and_then(|file| {
        file.write_all_at(&vec![0; 64 * 1024], place.longest())?;
        file.sync_all()
    });
    match tried.map_err(|source| super::worker::io(&place.dir, verb, source)) {
        Err(known @ (StoreError::Full { .. } | StoreError::ReadOnly { .. })) => known,
        _ => StoreError::Io { verb, path: place.file.clone(), source: error.into() },
    }
}
