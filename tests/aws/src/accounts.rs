//! Whose access key is whose, and what its holder may do.

use crate::rights::{Document, Need};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The access keys that are known.
#[derive(Default)]
pub(crate) struct Accounts {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By access key.
    holders: BTreeMap<String, Holder>,
    /// By what they are attached to. What has none may do everything.
    documents: BTreeMap<String, Arc<Document>>,
    /// What was asked for, and not allowed.
    missing: BTreeSet<String>,
}

struct Holder {
    account: String,
    /// The role's ARN, or the access key of what is no role.
    principal: String,
}

impl Accounts {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, access_key: &str, account: &str) {
        self.add_session(access_key, account, access_key);
    }

    /// A key of somebody who acts as this role.
    pub(crate) fn add_session(&self, access_key: &str, account: &str, role: &str) {
        let holder = Holder { account: account.to_owned(), principal: role.to_owned() };
        self.lock().holders.insert(access_key.to_owned(), holder);
    }

    /// Whose access key this is.
    pub(crate) fn of(&self, access_key: &str) -> Option<String> {
        self.lock().holders.get(access_key).map(|holder| holder.account.clone())
    }

    /// From now on this document says what a role, or the holder of a key, may do.
    pub(crate) fn attach(&self, principal: &str, document: Document) {
        self.lock().documents.insert(principal.to_owned(), Arc::new(document));
    }

    /// What says what the holder of this key may do, if something does.
    pub(crate) fn document_of(&self, access_key: &str) -> Option<Arc<Document>> {
        let state = self.lock();
        let holder = state.holders.get(access_key)?;
        state.documents.get(&holder.principal).map(Arc::clone)
    }

    /// The action and the resource that a document does not allow, which is noted.
    pub(crate) fn find_missing<'n>(
        &self,
        document: &Document,
        needs: &'n [Need],
    ) -> Option<(&'n str, &'n str)> {
        let (action, resource) = document.missing(needs)?;
        self.lock().missing.insert(format!("{action} on {resource}"));
        Some((action, resource))
    }

    /// What was not allowed since this was last asked, each once.
    pub(crate) fn take_missing(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().missing).into_iter().collect()
    }
}
