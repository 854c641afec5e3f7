//! What reached the fake, in order of arrival.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One request that reached the fake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// As the credential scope names it: `route53`. Empty if the request names none.
    pub service: String,
    /// `ListResourceRecordSets`; `Unknown` for a request that no operation reads.
    pub operation: String,
    /// Whose access key it bears. Empty for an unknown one.
    pub account: String,
    /// The region of the credential scope.
    pub region: String,
    /// Whether the operation changes anything when it succeeds.
    pub is_mutation: bool,
    /// HTTP status of the answer; 0 while there is none, and for good if it was lost.
    pub status: u16,
    /// The error code that was answered, `NoSuchHostedZone`; also where the answer was lost.
    pub code: Option<String>,
    /// A fault refused it, and not the service.
    pub is_struck: bool,
    /// The service did what was asked, whoever learned of it: also where the answer was lost.
    pub is_done: bool,
}

/// Finds a call again when its answer is known.
#[derive(Clone, Copy)]
pub(crate) struct CallNumber(u64);

#[derive(Default)]
struct State {
    next: u64,
    calls: BTreeMap<u64, Call>,
}

/// Every call since the last time it was cleared.
#[derive(Default)]
pub(crate) struct CallLog {
    state: Mutex<State>,
}

impl CallLog {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn arrive(&self, call: Call) -> CallNumber {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.calls.insert(number, call);
        CallNumber(number)
    }

    /// A call that was cleared meanwhile stays forgotten.
    fn note(&self, number: CallNumber, what: impl FnOnce(&mut Call)) {
        if let Some(call) = self.lock().calls.get_mut(&number.0) {
            what(call);
        }
    }

    /// Notes the answer.
    pub(crate) fn answered(&self, number: CallNumber, status: u16, code: Option<String>) {
        self.note(number, |call| (call.status, call.code) = (status, code));
    }

    /// Notes that the service did it.
    pub(crate) fn done(&self, number: CallNumber) {
        self.note(number, |call| call.is_done = true);
    }

    /// Notes that a fault refuses it.
    pub(crate) fn struck(&self, number: CallNumber) {
        self.note(number, |call| call.is_struck = true);
    }

    pub(crate) fn list(&self) -> Vec<Call> {
        self.lock().calls.values().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        self.lock().calls.clear();
    }
}
