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
mod messages;

pub use checked::Rfc2136ConfigError;
pub use config::{Rfc2136Config, TsigAlgorithm, TsigConfig};

use crate::dns::{
    AnswerError, Connection, Flip, ReadError, Registry, Signing, Verdict, WireError, observe_servers,
    read_settled,
};
use crate::{LeaseLost, OpCtx, TrafficControl};
use async_trait::async_trait;
use checked::Checked;
use hickory_proto::op::ResponseCode;
use messages::make_update;
use muster_core::facts::{ErrorClass, Outcome, Seen, TrafficFacts};
use muster_core::ids::RegionName;
use nix::time::{ClockId, clock_gettime};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout_at;

/// How often a flip that met another writer reads and judges again.
const ROUNDS: u32 = 5;
/// Seconds since 1970, for signatures.
type SigningClock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// One public name on servers that take dynamic updates.
pub struct Rfc2136 {
    checked: Checked,
    registry: Registry,
    clock: SigningClock,
}

impl Rfc2136 {
    /// Checks the configuration; talks to nobody.
    pub fn new(config: &Rfc2136Config) -> Result<Self, Rfc2136ConfigError> {
        Ok(Self {
            checked: Checked::from_config(config)?,
            registry: Registry::default(),
            clock: Arc::new(read_machine_clock),
        })
    }

    /// Signs by another clock than the machine's; for tests of what a wrong clock does.
    #[must_use]
    pub fn with_clock(self, clock: SigningClock) -> Self {
        Self { clock, ..self }
    }

    fn signing(&self) -> Signing<'_> {
        Signing { signer: &self.checked.signer, now: (self.clock)() }
    }

    async fn try_flip(
        &self,
        flip: &Flip<'_>,
        ctx: &OpCtx,
        under_way: &AtomicBool,
    ) -> Result<Outcome, FlipError> {
        let mut connection = Connection::open(self.checked.primary()).await?;
        for _ in 0..ROUNDS {
            let before = read_settled(&self.checked.name, &mut connection, || Some(self.signing())).await?;
            match self.checked.name.judge(&before, &flip.wanted) {
                Verdict::AlreadyDone => return Ok(Outcome::AlreadyDone),
                Verdict::Stale(why) => return Ok(Outcome::StaleEpoch(self.about(&why))),
                Verdict::Conflict(why) => return Ok(Outcome::Conflict(self.about(&why))),
                Verdict::Write => {}
            }
            let update = vec![make_update(&self.checked, &before, flip)];
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
        let Checked { name, signer, .. } = &self.checked;
        let (server, zone, key) = (self.checked.primary(), &name.zone, signer.signer_name());
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
        self.checked.name.about(what)
    }
}

#[async_trait]
impl TrafficControl for Rfc2136 {
    async fn observe(&self, deadline: Duration) -> Seen<TrafficFacts> {
        let checked = &self.checked;
        observe_servers(&checked.name, &checked.servers, Vec::new(), &self.registry, deadline).await
    }

    async fn flip(&self, to: &RegionName, ctx: &OpCtx) -> Outcome {
        let flip = match self.checked.name.flip_to(to, ctx) {
            Ok(flip) => flip,
            Err(refused) => return refused,
        };
        let under_way = AtomicBool::new(false);
        match timeout_at(ctx.not_after, self.try_flip(&flip, ctx, &under_way)).await {
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
        let Checked { name, servers, signer } = &self.checked;
        let mut debug = f.debug_struct("Rfc2136");
        debug.field("record", &name.record.to_ascii()).field("servers", servers);
        debug.field("key", &signer.signer_name().to_ascii()).finish_non_exhaustive()
    }
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

/// Signatures need the true time, which no policy decision reads.
fn read_machine_clock() -> u64 {
    clock_gettime(ClockId::CLOCK_REALTIME).map_or(0, |now| u64::try_from(now.tv_sec()).unwrap_or(0))
}
