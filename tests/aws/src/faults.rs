//! What a test makes go wrong, and what that means for one call.

use crate::request::Scope;
use crate::service::{Operation, Refusal};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Something that goes wrong with the calls it matches.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The operation that it strikes, as `ChangeResourceRecordSets`; every one if `None`.
    pub operation: Option<String>,
    /// The region whose endpoints it strikes, as the credential scope names it; every one if `None`.
    pub region: Option<String>,
    /// The service that it strikes, as `rds`; every one if `None`.
    pub service: Option<String>,
    /// How many calls it strikes; all of them, until it is removed, if `None`.
    pub times: Option<u32>,
    /// What goes wrong.
    pub kind: FaultKind,
}

/// What goes wrong with a call.
#[derive(Clone, Debug)]
pub enum FaultKind {
    /// This error is answered, and nothing takes effect.
    Answer {
        /// HTTP status, from 100 to 999; the connection is closed for any other.
        status: u16,
        /// As `Throttling`.
        code: String,
        /// As `Rate exceeded`.
        message: String,
    },
    /// `AccessDenied` is answered in the words of a missing permission, and nothing takes effect.
    Deny,
    /// The call takes effect, and the connection is closed without an answer.
    LoseAnswer,
    /// The connection is closed without an effect.
    LoseRequest,
    /// This much time passes before the effect, which comes even if the client hangs up meanwhile.
    Delay(Duration),
    /// There is neither an effect nor an answer, and the connection stays open.
    Hang,
    /// A read answers from what was accepted so long ago; calls that change something are not struck.
    StaleReads(Duration),
}

/// Finds a fault again, to remove it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct FaultId(u64);

/// How a call ends.
pub(crate) enum Ending {
    Served,
    Refused(Refusal),
    Denied,
    AnswerLost,
    RequestLost,
    Hangs,
}

/// What happens to one call.
pub(crate) struct Plan {
    /// Passes before the effect.
    pub(crate) delay: Duration,
    /// How old the state is that a read sees.
    pub(crate) stale: Duration,
    pub(crate) ending: Ending,
}

impl Plan {
    fn add(&mut self, kind: &FaultKind) {
        match kind {
            FaultKind::Answer { status, code, message } => {
                self.ending = Ending::Refused(Refusal::new(*status, code, message.clone()));
            }
            FaultKind::Deny => self.ending = Ending::Denied,
            FaultKind::LoseAnswer => self.ending = Ending::AnswerLost,
            FaultKind::LoseRequest => self.ending = Ending::RequestLost,
            FaultKind::Hang => self.ending = Ending::Hangs,
            FaultKind::Delay(delay) => self.delay = self.delay.saturating_add(*delay),
            FaultKind::StaleReads(age) => self.stale = self.stale.max(*age),
        }
    }
}

impl Fault {
    /// Strikes every call of this operation, until it is removed.
    pub fn of(operation: &str, kind: FaultKind) -> Self {
        Self { operation: Some(operation.to_owned()), ..Self::of_everything(kind) }
    }

    /// Strikes every call, until it is removed.
    pub fn of_everything(kind: FaultKind) -> Self {
        Self { operation: None, region: None, service: None, times: None, kind }
    }

    /// The same, for the endpoints of this region alone.
    #[must_use]
    pub fn in_region(self, region: &str) -> Self {
        Self { region: Some(region.to_owned()), ..self }
    }

    /// The same, for this service alone.
    #[must_use]
    pub fn in_service(self, service: &str) -> Self {
        Self { service: Some(service.to_owned()), ..self }
    }

    /// The same, until it has struck so many calls.
    #[must_use]
    pub fn up_to(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    fn strikes(&self, operation: &Operation, scope: &Scope) -> bool {
        let is_named = self.operation.as_ref().is_none_or(|name| name == operation.name)
            && self.region.as_ref().is_none_or(|region| *region == scope.region)
            && self.service.as_ref().is_none_or(|service| *service == scope.service);
        let can_strike = !(operation.is_mutation && matches!(self.kind, FaultKind::StaleReads(_)));
        is_named && can_strike && self.times != Some(0)
    }
}

#[derive(Default)]
struct State {
    next: u64,
    faults: Vec<(FaultId, Fault)>,
    /// How many calls each has met, those that stand no more among them.
    met: BTreeMap<FaultId, usize>,
}

/// The faults that stand.
#[derive(Default)]
pub(crate) struct Faults {
    state: Mutex<State>,
}

impl Faults {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, fault: Fault) -> FaultId {
        let mut state = self.lock();
        let id = FaultId(state.next);
        state.next += 1;
        state.faults.push((id, fault));
        id
    }

    pub(crate) fn remove(&self, id: FaultId) {
        self.lock().faults.retain(|(other, _)| *other != id);
    }

    pub(crate) fn times_met(&self, id: FaultId) -> usize {
        self.lock().met.get(&id).copied().unwrap_or_default()
    }

    pub(crate) fn clear(&self) {
        self.lock().faults.clear();
    }

    /// Adds up what strikes this call, in the order in which it was asked for. The first fault that ends the call
    /// is the last that is used up by it.
    pub(crate) fn plan(&self, operation: &Operation, scope: &Scope) -> Plan {
        let mut plan = Plan { delay: Duration::ZERO, stale: Duration::ZERO, ending: Ending::Served };
        let mut state = self.lock();
        let State { faults, met, .. } = &mut *state;
        for (id, fault) in faults.iter_mut() {
            if !fault.strikes(operation, scope) {
                continue;
            }
            fault.times = fault.times.map(|times| times.saturating_sub(1));
            *met.entry(*id).or_default() += 1;
            plan.add(&fault.kind);
            if !matches!(plan.ending, Ending::Served) {
                break;
            }
        }
        faults.retain(|(_, fault)| fault.times != Some(0));
        plan
    }
}
