//! The one call of Route 53 that changes records, and whether a change is at every server.
//!
//! What this module must never do: send anything without asking for the lease when it is about to leave.

use super::verb::{Sends, VerbError};
use crate::OpCtx;
use crate::aws::{Account, Action, CallError, LeaseGate};
use aws_sdk_route53::types::{ChangeBatch, ChangeStatus};

/// Sends a batch, whose turn has come; gives its id. The inner error: Route 53 compared, and refused it for this.
pub(super) async fn send_batch(
    account: &Account,
    zone_id: &str,
    batch: ChangeBatch,
    ctx: &OpCtx,
    sends: &Sends,
) -> Result<Result<Option<String>, String>, VerbError> {
    let client = account.route53().await;
    let change = client.change_resource_record_sets().hosted_zone_id(zone_id).change_batch(batch);
    let failed = |error| CallError::new(Action::ChangeResourceRecordSets, &error);
    let send = async {
        sends.leave();
        Box::pin(change.customize().interceptor(LeaseGate::new(ctx)).send()).await.map_err(failed)
    };
    match ctx.send(send).await? {
        Ok(taken) => Ok(Ok(taken.change_info().map(|change| change.id().to_owned()))),
        Err(error) => {
            sends.failed(&error);
            if error.code.as_deref() == Some("InvalidChangeBatch") {
                return Ok(Err(error.why));
            }
            Err(VerbError::After(error))
        }
    }
}

/// `None`: Route 53 does not know the change, or no longer.
pub(super) async fn change_status(account: &Account, id: &str) -> Result<Option<ChangeStatus>, CallError> {
    match Box::pin(account.route53().await.get_change().id(id).send()).await {
        Ok(got) => Ok(got.change_info().map(|info| info.status().clone())),
        Err(error) => {
            let error = CallError::new(Action::GetChange, &error);
            if error.code.as_deref() == Some("NoSuchChange") { Ok(None) } else { Err(error) }
        }
    }
}
