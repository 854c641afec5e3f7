//! A connection and the work on it in one task: cheaper than a task per fresh connection.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

/// Runs `work` to its end, with `connection` beside it.
pub(crate) async fn drive<C: Future, W: Future>(connection: C, work: W) -> W::Output {
    let (mut connection, mut work) = (pin!(connection), pin!(work));
    let mut open = true;
    std::future::poll_fn(|cx| {
        loop {
            if let Poll::Ready(output) = work.as_mut().poll(cx) {
                return Poll::Ready(output);
            }
            if !open || connection.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            open = false;
        }
    })
    .await
}
