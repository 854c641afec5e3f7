//! Whose access key is whose.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The access keys that are known.
#[derive(Default)]
pub(crate) struct Accounts {
    /// The account of each key.
    keys: Mutex<BTreeMap<String, String>>,
}

impl Accounts {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, access_key: &str, account: &str) {
        self.lock().insert(access_key.to_owned(), account.to_owned());
    }

    /// Whose access key this is.
    pub(crate) fn of(&self, access_key: &str) -> Option<String> {
        self.lock().get(access_key).cloned()
    }
}
