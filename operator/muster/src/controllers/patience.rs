//! What is asked of the API server again at once: what it did not carry out, and what may be carried out twice.
//!
//! Not between this process and a target: the lease is asked for right before such a request is sent, and a repetition
//! comes up to three seconds later, without another look at it.

use http::{Method, Request, Response, StatusCode, header};
use kube::client::Body;
use std::time::Duration;
use tokio::time::Sleep;
use tower::BoxError;
use tower::retry::Policy;

/// Before the first repetition; doubled for each further one.
const FIRST: Duration = Duration::from_millis(50);
/// However long the server asks to wait: a renewal of the lease has about two seconds.
const LONGEST: Duration = Duration::from_secs(1);
/// Repetitions of one request. The deadline of a call goes on through them.
const MOST: u32 = 3;

/// Repeats a request that was refused for the server's load (429), which carries nothing out, and a read that the server
/// failed to answer (5xx). A write that failed otherwise may have been carried out: whoever made it reads first.
#[derive(Clone, Debug, Default)]
pub(super) struct Patience {
    repeated: u32,
}

impl Patience {
    fn pause(&self, asked: Option<Duration>) -> Duration {
        let own = FIRST * 2_u32.saturating_pow(self.repeated);
        asked.map_or(own, |asked| asked.max(own)).min(LONGEST)
    }
}

fn asked_pause<B>(answer: &Response<B>) -> Option<Duration> {
    let seconds = answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn is_to_be_repeated(method: &Method, status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() && method == Method::GET
}

impl<B> Policy<Request<Body>, Response<B>, BoxError> for Patience {
    type Future = Sleep;

    fn retry(
        &mut self,
        request: &mut Request<Body>,
        result: &mut Result<Response<B>, BoxError>,
    ) -> Option<Sleep> {
        let answer = result.as_ref().ok()?;
        if self.repeated == MOST || !is_to_be_repeated(request.method(), answer.status()) {
            return None;
        }
        let pause = self.pause(asked_pause(answer));
        self.repeated += 1;
        Some(tokio::time::sleep(pause))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        let mut again = Request::new(request.body().try_clone()?);
        again.method_mut().clone_from(request.method());
        again.uri_mut().clone_from(request.uri());
        again.headers_mut().clone_from(request.headers());
        again.extensions_mut().clone_from(request.extensions());
        Some(again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repetitions(method: &Method, status: u16) -> usize {
        let mut patience = Patience::default();
        let mut request = Request::new(Body::empty());
        request.method_mut().clone_from(method);
        let answer = || Response::builder().status(status).body(()).map_err(BoxError::from);
        std::iter::from_fn(|| patience.retry(&mut request, &mut answer())).take(10).count()
    }

    #[tokio::test]
    async fn only_what_was_not_carried_out_or_may_be_twice_is_repeated() {
        for (method, status, wanted) in [
            (Method::GET, 429, 3),
            (Method::PUT, 429, 3),
            (Method::GET, 500, 3),
            (Method::GET, 504, 3),
            (Method::PUT, 500, 0),
            (Method::POST, 504, 0),
            (Method::GET, 404, 0),
            (Method::PUT, 409, 0),
            (Method::GET, 200, 0),
        ] {
            assert_eq!(repetitions(&method, status), wanted, "{method} {status}");
        }
    }

    #[test]
    fn a_pause_is_what_the_server_asks_for_within_bounds() {
        let patience = |repeated| Patience { repeated };
        assert_eq!(patience(0).pause(None), Duration::from_millis(50));
        assert_eq!(patience(2).pause(None), Duration::from_millis(200));
        assert_eq!(patience(0).pause(Some(Duration::from_secs(1))), Duration::from_secs(1));
        assert_eq!(patience(0).pause(Some(Duration::from_mins(1))), Duration::from_secs(1));
        assert_eq!(patience(1).pause(Some(Duration::ZERO)), Duration::from_millis(100));
    }
}
