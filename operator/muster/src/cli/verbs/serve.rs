//! Verbs that keep running: the controller and a vantage.

use super::super::args::{LocalArgs, OperatorArgs, VantageArgs};
use super::super::context::Context;
use super::super::exit::{Done, Failure};

/// Runs the controller until it is asked to end.
pub(super) async fn local(cx: &Context, args: LocalArgs) -> Done {
    crate::local::run(args, cx.state()).await.map_err(|error| Failure::failed(error.to_string()))
}

/// Runs the operator until it is asked to end.
pub(super) async fn operator(args: OperatorArgs) -> Done {
    crate::controllers::run(args).await.map_err(|error| Failure::failed(error.to_string()))
}

/// Runs a vantage until it is asked to end.
pub(super) async fn vantage(cx: &Context, args: VantageArgs) -> Done {
    let token = cx.token_file();
    crate::vantage::run(args, token).await.map_err(|error| Failure::failed(error.to_string()))
}
