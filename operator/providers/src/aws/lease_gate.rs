//! The lease, asked once more when a request is signed and right before it leaves, and the time: credentials and the signature
//! may have taken long since the lease was asked the first time. That narrows the gap; what is on the wire, no lease holds back.

use crate::{LeaseLost, OpCtx};
use aws_sdk_rds::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_rds::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_rds::error::BoxError;
use std::fmt;

/// The deadline of the effect is over: who waits for it is told so, and nothing may leave behind their back.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the time was over before the request was sent")]
pub(super) struct TooLate;

/// For every call of AWS that changes something: `request.customize().interceptor(LeaseGate::new(ctx))`.
pub(crate) struct LeaseGate {
    ctx: OpCtx,
    leaves: Box<dyn Fn() + Send + Sync>,
}

impl LeaseGate {
    pub(crate) fn new(ctx: &OpCtx) -> Self {
        Self::noting(ctx, || {})
    }

    /// `leaves` is called right before the request may leave, and never for one that does not: there were no credentials, the
    /// time was over, the lease was lost.
    pub(crate) fn noting(ctx: &OpCtx, leaves: impl Fn() + Send + Sync + 'static) -> Self {
        Self { ctx: ctx.clone(), leaves: Box::new(leaves) }
    }
}

impl fmt::Debug for LeaseGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseGate").finish_non_exhaustive()
    }
}

impl Intercept for LeaseGate {
    fn name(&self) -> &'static str {
        "LeaseGate"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if !self.ctx.may_send() {
            return Err(LeaseLost.into());
        }
        if self.ctx.remaining().is_zero() {
            return Err(TooLate.into());
        }
        (self.leaves)();
        Ok(())
    }
}

/// For tests of what becomes of calls that do not leave, or are refused.
#[cfg(test)]
pub(crate) mod fixtures {
    use crate::OpCtx;
    use crate::aws::AwsPlace;
    use crate::testing::TestGuard;
    use muster_core::effect::{Action, Effect};
    use muster_core::ids::{Epoch, ItemName, Owner, RegionName, Seq, Term};
    use muster_core::secret::Secret;
    use muster_core::time::Millis;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Of an effect whose lease is lost after so many checks.
    pub(crate) fn ctx_that_leads_for(checks: u32) -> OpCtx {
        let effect = Effect {
            owner: Owner::new("policy-1"),
            epoch: Epoch(1),
            term: Term(1),
            seq: Seq(1),
            attempt: 1,
            action: Action::Promote { item: ItemName::new("orders"), region: RegionName::new("west") },
            timeout: Millis::from_secs(20),
        };
        let guard = Arc::new(TestGuard::default());
        guard.lose_lease_after(checks);
        OpCtx::new(effect, "run-1".to_owned(), guard)
    }

    /// An AWS that refuses everything, and counts.
    pub(crate) struct Refuser {
        endpoint: String,
        requests: Arc<AtomicU32>,
    }

    impl Refuser {
        /// `code`: of its answer; empty: it hangs up without one.
        pub(crate) async fn start(code: &'static str) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
            let requests = Arc::new(AtomicU32::new(0));
            let counter = Arc::clone(&requests);
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    let _ = stream.read(&mut [0; 16384]).await;
                    counter.fetch_add(1, Ordering::SeqCst);
                    if code.is_empty() {
                        continue;
                    }
                    let body = format!(
                        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error>\
                         <RequestId>1</RequestId></ErrorResponse>"
                    );
                    let head = "HTTP/1.1 403 Forbidden\r\ncontent-type: text/xml\r\nconnection: close\r\n";
                    let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
            Self { endpoint, requests }
        }

        pub(crate) fn place(&self) -> AwsPlace {
            let secret_key = Secret::new("secret");
            AwsPlace { endpoint: self.endpoint.clone(), access_key: "key".to_owned(), secret_key }
        }

        pub(crate) fn requests(&self) -> u32 {
            self.requests.load(Ordering::SeqCst)
        }
    }
}
