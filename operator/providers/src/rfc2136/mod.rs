//! Traffic by dynamic DNS updates (RFC 2136), signed by TSIG (RFC 8945).
//!
//! Beside the name, at `_muster.<name>`, stands a TXT record: the *witness*. It keeps who wrote last (owner, epoch,
//! term, seq) and what was written. A flip is one update that lands only if the witness *and* the data are exactly
//! those that were read, and that swaps both together; the server does the comparing.
//!
//! ```text
//! flip:     read data + witness ──► judge ──► UPDATE [if exactly these] ──► verified answer
//!              ▲                                    │ NXRRSET, YXRRSET: somebody was faster
//!              └────────────────────────────────────┘
//! observe:  read data + witness at every server, in parallel
//! ```
//!
//! | call | what makes it idempotent | what the target checks | what is not protected |
//! |---|---|---|---|
//! | `flip` | the witness names this very effect: read first, then `AlreadyDone`; sent twice, the second meets another witness | the key's signature; that witness and data are exactly those that were read, so an older effect that lands late is refused, also after an undo (seq grows) | an update stuck on its way may land for 300 s (TSIG's fudge) if nothing newer has landed; a holder of the key who ignores the witness |
//! | `observe` | reads only | - | answers are not signed: who sits on the path to a server can forge one (off the path it cannot, TCP) |
//!
//! What this module must never do: leave the name without an answer (one update deletes and adds, and RFC 2136, 3.7
//! has the server show it all at once); write over another owner's witness or over data that is no region's; call
//! something done because the server said NOERROR; show the key.
//!
//! Resolvers keep the old answer for the TTL; no update changes that.

mod checked;
mod config;
mod data;
mod decide;
mod messages;
mod wire;

pub use checked::Rfc2136ConfigError;
pub use config::{Rfc2136Config, Target, TsigAlgorithm, TsigConfig};

use crate::{LeaseLost, OpCtx, TrafficControl};
use async_trait::async_trait;
use checked::Checked;
use data::{Datum, View, WitnessView, Written};
use decide::{FlipRules, Verdict, decide_flip};
use hickory_proto::op::ResponseCode;
use messages::{AnswerError, make_questions, make_update, read_view};
use muster_core::facts::{ErrorClass, Outcome, Seen, TrafficFacts, Witness};
use muster_core::ids::RegionName;
use nix::time::{ClockId, clock_gettime};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{timeout, timeout_at};
use wire::{Connection, Signing, WireError};

/// How often a flip that met another writer reads and judges again.
const ROUNDS: u32 = 5;
/// How often data that does not fit its witness is read again, before it counts as drift: the questions are
/// answered one by one, and a flip may land between two of them.
const READS: u32 = 3;

/// Seconds since 1970, for signatures.
type SigningClock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// One public name on servers that take dynamic updates.
pub struct Rfc2136 {
    checked: Checked,
    clock: SigningClock,
}

impl Rfc2136 {
    /// Checks the configuration; talks to nobody.
    pub fn new(config: &Rfc2136Config) -> Result<Self, Rfc2136ConfigError> {
        Ok(Self { checked: Checked::from_config(config)?, clock: Arc::new(read_machine_clock) })
    }

    /// Signs by another clock than the machine's; for tests of what a wrong clock does.
    #[must_use]
    pub fn with_clock(self, clock: SigningClock) -> Self {
        Self { clock, ..self }
    }

    fn signing(&self) -> Signing<'_> {
        Signing { signer: &self.checked.signer, now: (self.clock)() }
    }

    /// One server's view. Read again while data and witness do not fit.
    async fn read_settled(&self, connection: &mut Connection, signed: bool) -> Result<View, ReadError> {
        let mut view = None;
        for _ in 0..READS {
            let signing = signed.then(|| self.signing());
            let answers = connection.exchange(make_questions(&self.checked), signing).await?;
            let seen = read_view(&answers)?;
            let settled = seen.drift(self.checked.kind()).is_none() || view.as_ref() == Some(&seen);
            view = Some(seen);
            if settled {
                break;
            }
        }
        view.ok_or(ReadError::Answer(AnswerError::OtherQuestion))
    }

    async fn read_server(&self, server: SocketAddr) -> Result<View, ReadError> {
        let mut connection = Connection::open(server).await?;
        self.read_settled(&mut connection, false).await
    }

    async fn try_flip(
        &self,
        target: &Datum,
        wanted: &Written,
        ctx: &OpCtx,
        under_way: &AtomicBool,
    ) -> Result<Outcome, FlipError> {
        let mut connection = Connection::open(self.checked.primary()).await?;
        let adopt = self.checked.adopted.get();
        for _ in 0..ROUNDS {
            let before = self.read_settled(&mut connection, true).await?;
            let targets: Vec<_> = self.checked.targets.values().collect();
            let rules = FlipRules { wanted, targets: &targets, adopt: &adopt };
            match decide_flip(&before, self.checked.kind(), &rules) {
                Verdict::AlreadyDone => return Ok(Outcome::AlreadyDone),
                Verdict::Stale(why) => return Ok(Outcome::StaleEpoch(self.about(&why))),
                Verdict::Conflict(why) => return Ok(Outcome::Conflict(self.about(&why))),
                Verdict::Write => {}
            }
            let update = vec![make_update(&self.checked, &before, target, wanted)];
            let signing = self.signing();
            let send = async {
                under_way.store(true, Ordering::Relaxed);
                connection.exchange(update, Some(signing)).await
            };
            let answers = ctx.send(send).await?.map_err(FlipError::AfterSend)?;
            under_way.store(false, Ordering::Relaxed);
            match answers.first().map_or(ResponseCode::ServFail, |answer| answer.metadata.response_code) {
                ResponseCode::NoError => return Ok(Outcome::Issued(None)),
                ResponseCode::NXRRSet
                | ResponseCode::YXRRSet
                | ResponseCode::NXDomain
                | ResponseCode::YXDomain => {}
                code => return Ok(self.refused(code)),
            }
        }
        Ok(Outcome::Failed(ErrorClass::Transient, self.about("another writer was faster each time")))
    }

    fn refused(&self, code: ResponseCode) -> Outcome {
        let Checked { zone, signer, .. } = &self.checked;
        let (server, key) = (self.checked.primary(), signer.signer_name());
        let (class, why) = match code {
            ResponseCode::Refused => (ErrorClass::Denied, format!("key {key} may not change this name")),
            ResponseCode::NotAuth | ResponseCode::NotZone => (
                ErrorClass::Denied,
                format!("it is not the primary of zone {zone}, or key {key} may not update it"),
            ),
            ResponseCode::ServFail => (ErrorClass::Transient, "it failed to store the update".to_owned()),
            _ => (ErrorClass::Invalid, "it does not take this update".to_owned()),
        };
        Outcome::Failed(class, self.about(&format!("{server} answered {code}: {why}")))
    }

    fn about(&self, what: &str) -> String {
        format!("{}: {what}", self.checked.record)
    }

    fn make_facts(&self, views: &[View]) -> TrafficFacts {
        let kind = self.checked.kind();
        let agree = views.iter().map(|one| views.iter().filter(|other| *other == one).count()).max();
        let one_answer = views.windows(2).all(|pair| pair[0].data == pair[1].data);
        let points_to = views.first().filter(|_| one_answer).and_then(|view| {
            let steered = view.steered(kind);
            let only = steered.first().filter(|_| steered.len() == 1)?;
            self.checked.region_of(only).cloned()
        });
        let witnesses = views.iter().filter_map(|view| match view.written() {
            WitnessView::Written(written) => Some(written.witness),
            WitnessView::Absent | WitnessView::Unreadable => None,
        });
        TrafficFacts {
            points_to,
            agree: count(agree.unwrap_or(0)),
            servers: count(self.checked.servers.len()),
            witness: witnesses.max_by_key(Witness::order),
            drift: views.iter().find_map(|view| view.drift(kind)),
        }
    }
}

#[async_trait]
impl TrafficControl for Rfc2136 {
    async fn observe(&self, deadline: Duration) -> Seen<TrafficFacts> {
        let reads = self.checked.servers.iter().map(|server| async move {
            match timeout(deadline, self.read_server(*server)).await {
                Ok(Ok(view)) => Ok(view),
                Ok(Err(error)) => Err(format!("{server}: {error}")),
                Err(_) => Err(format!("{server}: no answer in {} ms", deadline.as_millis())),
            }
        });
        let mut views = Vec::new();
        let mut silent = Vec::new();
        for read in futures::future::join_all(reads).await {
            match read {
                Ok(view) => views.push(view),
                Err(reason) => silent.push(reason),
            }
        }
        if views.is_empty() {
            return Seen::Unknown(self.about(&silent.join("; ")));
        }
        for reason in silent {
            tracing::debug!(record = %self.checked.record, reason, "a name server does not answer");
        }
        Seen::Known(self.make_facts(&views))
    }

    async fn flip(&self, to: &RegionName, ctx: &OpCtx) -> Outcome {
        let Some(target) = self.checked.targets.get(to) else {
            return Outcome::Failed(ErrorClass::Invalid, self.about(&format!("region {to} has no target")));
        };
        let effect = &ctx.effect;
        if effect.owner != self.checked.owner {
            let why = format!("the effect is of {}, the record of {}", effect.owner, self.checked.owner);
            return Outcome::Failed(ErrorClass::Invalid, self.about(&why));
        }
        let owner = effect.owner.clone();
        let witness = Witness { owner, epoch: effect.epoch, term: effect.term, seq: effect.seq };
        let wanted = Written::new(witness, target);
        let under_way = AtomicBool::new(false);
        match timeout_at(ctx.not_after, self.try_flip(target, &wanted, ctx, &under_way)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Outcome::Failed(error.class(), self.about(&error.to_string())),
            Err(_) => {
                let class = if under_way.load(Ordering::Relaxed) {
                    ErrorClass::UnknownOutcome
                } else {
                    ErrorClass::Transient
                };
                let why = format!("no answer of {} by the deadline", self.checked.primary());
                Outcome::Failed(class, self.about(&why))
            }
        }
    }
}

impl fmt::Debug for Rfc2136 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Checked { record, servers, signer, .. } = &self.checked;
        let mut debug = f.debug_struct("Rfc2136");
        debug.field("record", &record.to_ascii()).field("servers", servers);
        debug.field("key", &signer.signer_name().to_ascii()).finish_non_exhaustive()
    }
}

/// A read that gave no view.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

/// A flip that gave no outcome of its own.
#[derive(Debug, thiserror::Error)]
enum FlipError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Lease(#[from] LeaseLost),
    #[error(transparent)]
    AfterSend(WireError),
}

impl From<WireError> for FlipError {
    fn from(error: WireError) -> Self {
        Self::Read(ReadError::Wire(error))
    }
}

impl FlipError {
    /// Until the update is sent nothing can have happened; after it only the server's own "no" says so.
    fn class(&self) -> ErrorClass {
        match self {
            Self::Read(ReadError::Wire(error)) | Self::AfterSend(error) if error.is_denied() => {
                ErrorClass::Denied
            }
            Self::Read(ReadError::Answer(AnswerError::Code { code, .. }))
                if *code == ResponseCode::Refused =>
            {
                ErrorClass::Denied
            }
            Self::AfterSend(WireError::Encode { .. }) => ErrorClass::Invalid,
            Self::AfterSend(_) => ErrorClass::UnknownOutcome,
            Self::Read(_) | Self::Lease(_) => ErrorClass::Transient,
        }
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Signatures need the true time, which no policy decision reads.
fn read_machine_clock() -> u64 {
    clock_gettime(ClockId::CLOCK_REALTIME).map_or(0, |now| u64::try_from(now.tv_sec()).unwrap_or(0))
}
