//! A request with its redirects.

use super::exchange::{Answer, Connections, exchange};
use super::plan::{HttpPlan, Prepared};
use crate::finding::Finding;
use crate::net::Lookup;
use crate::run::RunCx;
use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, LOCATION};
use std::sync::Arc;
use tokio::time::Instant;

/// Sends `request` and follows at most as many redirects as the plan allows. Secrets stay with the first origin.
pub(crate) async fn fetch(
    plan: &HttpPlan,
    mut request: Prepared,
    lookup: Lookup,
    connections: &mut Connections,
    cx: &RunCx<'_>,
) -> Result<Answer, Finding> {
    let began = Instant::now();
    let first = Arc::clone(&request.target);
    let mut followed = 0;
    loop {
        let with_secrets = request.target.origin == first.origin;
        let answer = exchange(plan, &request, with_secrets, lookup, connections, cx).await?;
        let redirect = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
        let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let Some(location) = location.filter(|_| redirect && plan.follow > 0) else {
            return Ok(Answer { latency: began.elapsed(), ..answer });
        };
        if followed == plan.follow {
            return Err(Finding::wrong(format!("more than {followed} redirects")));
        }
        followed += 1;
        let target = request.target.follow(location);
        let target =
            target.map_err(|problem| Finding::wrong(format!("the redirect's location {problem}")))?;
        request.target = Arc::new(target);
        if request.target.origin != first.origin {
            // What was saved may be a token of the first origin.
            request.headers.retain_insensitive();
        }
        redirect_method(&mut request, answer.status);
    }
}

/// RFC 9110, section 15.4: 303 asks for a GET; 301 and 302 turn a POST into one by old custom.
fn redirect_method(request: &mut Prepared, status: u16) {
    let becomes_get = status == 303 || (matches!(status, 301 | 302) && request.method == Method::POST);
    if becomes_get && request.method != Method::GET {
        request.method = Method::GET;
        request.body = Bytes::new();
        request.headers.remove(CONTENT_TYPE);
    }
}

trait RetainInsensitive {
    fn retain_insensitive(&mut self);
}

impl RetainInsensitive for http::HeaderMap {
    fn retain_insensitive(&mut self) {
        let sensitive: Vec<_> =
            self.iter().filter(|(_, value)| value.is_sensitive()).map(|(name, _)| name.clone()).collect();
        for name in sensitive {
            self.remove(name);
        }
    }
}
