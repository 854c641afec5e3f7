//! The anchors: two tiny listeners that stand for targets on the wide internet. When they answer, an observer
//! knows that its own network works.

use super::addresses::{Addresses, Kind, Place};
use anyhow::Context;
use axum::{Router, routing::get};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Starts both: the first speaks HTTP, the second only takes connections.
pub(super) fn start(addresses: &Addresses) -> anyhow::Result<[JoinHandle<()>; 2]> {
    let bind = |number| {
        let listener = std::net::TcpListener::bind(addresses.own(&Place::Anchor(number), Kind::Anchor));
        let listener = listener.context("failed to start an anchor")?;
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener).context("failed to start an anchor")
    };
    let (http, tcp) = (bind(1)?, bind(2)?);
    let web = Router::new().route("/", get(async || "here\n"));
    Ok([
        tokio::spawn(async move {
            let _ = axum::serve(http, web).await;
        }),
        tokio::spawn(async move {
            while let Ok((connection, _)) = tcp.accept().await {
                drop(connection);
            }
        }),
    ])
}
