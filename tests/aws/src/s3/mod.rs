//! S3, API version 2006-03-01: objects, conditional writes, and readers without an account.
//!
//! ```text
//! signed ──► region of the scope = the bucket's? ──► account = the bucket's? ──► store
//! unsigned GET, HEAD, and the checkers of Route 53 ──► key made public? ──────────┘
//! ```
//!
//! Buckets are addressed by path, as an SDK does when its endpoint is an IP address. Reads are strongly consistent, so
//! that a fault of stale reads does not touch them. There are no versions of objects.
//!
//! What this module must never do: let one of two conditional writers overwrite the other; accept a header or a
//! parameter that would change what the real service does.

mod access;
mod address;
mod chunked;
mod messages;
mod refusals;
mod routes;
mod store;
mod write;

pub(crate) use address::S3Address;

use crate::clock::Clock;
use crate::request::ApiRequest;
use crate::rights::Need;
use crate::service::{Operation, Refusal, Reply, Service, Turn};
use access::{BucketPolicy, PublicAccessBlock};
use hyper::body::Bytes;
use refusals::S3Refusal;
use routes::{Action, Route};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::{Bucket, Object, Store};

/// The buckets of every account.
pub(crate) struct S3 {
    clock: Arc<Clock>,
    store: Mutex<Store>,
}

impl S3 {
    pub(crate) fn new(clock: Arc<Clock>) -> Self {
        Self { clock, store: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates an empty bucket. `None`: the name is taken.
    pub(crate) fn create_bucket(&self, account: &str, name: &str, region: &str) -> Option<()> {
        self.lock().create_bucket(account, name, region)
    }

    /// From now on everybody may read what stands under this key. `None`: there is no such bucket.
    pub(crate) fn allow_anonymous_read(&self, bucket: &str, key: &str) -> Option<()> {
        self.lock().allow_anonymous_read(bucket, key)
    }

    /// From now on strangers may not. `None`: there is no such bucket.
    pub(crate) fn deny_anonymous_read(&self, bucket: &str, key: &str) -> Option<()> {
        self.lock().deny_anonymous_read(bucket, key)
    }

    /// From now on no policy of this account's buckets may be public, whatever the buckets' own block says.
    pub(crate) fn block_public_policies(&self, account: &str) {
        self.lock().block_public_policies(account);
    }

    /// What a client gets that signs nothing: the status and the body.
    pub(crate) fn read_anonymously(&self, address: &S3Address) -> (u16, Bytes) {
        let store = self.lock();
        let read = store.bucket(&address.bucket).and_then(|bucket| {
            bucket.admit_region(&address.region)?;
            bucket.public_object(&address.key)
        });
        match read {
            Ok(object) => (200, object.body.clone()),
            Err(refused) => {
                let refusal = Refusal::from(refused);
                (refusal.status, Bytes::from(messages::write_error(&refusal, "checker")))
            }
        }
    }

    fn answer(&self, route: &Route, request: &ApiRequest, turn: &Turn<'_>) -> Result<Reply, S3Refusal> {
        let mut store = self.lock();
        if matches!(route.action, Action::CreateBucket) {
            return create(&mut store, &route.bucket, request, turn);
        }
        let account_blocks = store.blocks_public_policies(turn.account);
        let bucket = store.bucket_mut(&route.bucket)?;
        if request.is_anonymous() {
            return answer_stranger(route, bucket, request);
        }
        // A bucket says where it is to whoever asks, wherever they ask.
        if !matches!(route.action, Action::GetBucketLocation) {
            bucket.admit_region(&request.scope.region)?;
        }
        bucket.admit_owner(turn.account, request.header("x-amz-expected-bucket-owner"))?;
        match &route.action {
            Action::CreateBucket => Err(S3Refusal::BucketAlreadyExists),
            Action::GetBucketPolicy => Ok(json(bucket.policy()?)),
            Action::PutBucketPolicy => {
                write::refuse_unknown_headers(request)?;
                bucket.set_policy(BucketPolicy::read(&write::read_body(request)?)?, account_blocks)?;
                Ok(Reply::without_body(204, Vec::new()))
            }
            Action::GetPublicAccessBlock => Ok(Reply::ok(messages::write_block(bucket.block()?))),
            Action::PutPublicAccessBlock => {
                write::refuse_unknown_headers(request)?;
                bucket.set_block(PublicAccessBlock::read(&write::read_body(request)?)?);
                Ok(Reply::without_body(200, Vec::new()))
            }
            Action::HeadBucket => Ok(Reply::without_body(200, vec![bucket.region_header()])),
            Action::GetBucketLocation => Ok(Reply::ok(messages::write_location(bucket.region()))),
            Action::ListObjects(listing) => {
                Ok(Reply::ok(messages::write_list(bucket.name(), listing, &bucket.list(listing))))
            }
            Action::GetObject(key) | Action::HeadObject(key) => {
                refuse_unknown_headers(request)?;
                let object = bucket.object(key);
                Ok(show(object.map_err(|refusal| hide_absence(refusal, &route.bucket, turn))?))
            }
            Action::PutObject(key) => {
                let modified = self.clock.date(turn.now);
                let etag = bucket.put(key, write::read(request)?.into_write(modified))?;
                Ok(Reply::without_body(200, vec![("etag", etag)]))
            }
            Action::DeleteObject(key) => {
                bucket.delete(key, &write::read_deletion(request)?)?;
                Ok(Reply::without_body(204, Vec::new()))
            }
        }
    }
}

fn create(store: &mut Store, name: &str, request: &ApiRequest, turn: &Turn<'_>) -> Result<Reply, S3Refusal> {
    if request.is_anonymous() {
        return Err(S3Refusal::AccessDenied);
    }
    write::refuse_unknown_headers(request)?;
    let region = messages::read_new_bucket(&write::read_body(request)?, &request.scope.region)?;
    store.create_private_bucket(turn.account, name, &region)?;
    Ok(Reply::without_body(200, vec![("location", format!("/{name}"))]))
}

fn json(text: &str) -> Reply {
    let headers = vec![("content-type", "application/json".to_owned())];
    Reply { status: 200, headers, body: Bytes::from(text.to_owned()) }
}

fn answer_stranger(route: &Route, bucket: &Bucket, request: &ApiRequest) -> Result<Reply, S3Refusal> {
    match &route.action {
        Action::GetObject(key) | Action::HeadObject(key) => {
            refuse_unknown_headers(request)?;
            Ok(show(bucket.public_object(key)?))
        }
        _ => Err(S3Refusal::AccessDenied),
    }
}

/// Parts of objects, and reads under a condition.
fn refuse_unknown_headers(request: &ApiRequest) -> Result<(), S3Refusal> {
    let unknown = [
        "range",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
        "x-amz-request-payer",
    ];
    let found = unknown.into_iter().find(|name| request.header(name).is_some());
    found.map_or(Ok(()), |name| Err(S3Refusal::NotImplemented(name.to_owned())))
}

fn need_of(route: &Route) -> Option<Need> {
    let (action, key) = match &route.action {
        Action::GetObject(key) | Action::HeadObject(key) => ("s3:GetObject", key),
        Action::PutObject(key) => ("s3:PutObject", key),
        Action::DeleteObject(key) => ("s3:DeleteObject", key),
        Action::ListObjects(_) => return Some(need_to_list(&route.bucket)),
        _ => return None,
    };
    Some(Need::new(action, vec![format!("arn:aws:s3:::{}/{key}", route.bucket)]))
}

fn need_to_list(bucket: &str) -> Need {
    Need::new("s3:ListBucket", vec![format!("arn:aws:s3:::{bucket}")])
}

/// Who may not list a bucket is not told that an object is not there. No list was asked for, so it is not noted as missing.
fn hide_absence(refusal: S3Refusal, bucket: &str, turn: &Turn<'_>) -> S3Refusal {
    let may_not_list = turn.document.is_some_and(|of| of.missing(&[need_to_list(bucket)]).is_some());
    if may_not_list && matches!(refusal, S3Refusal::NoSuchKey) { S3Refusal::AccessDenied } else { refusal }
}

/// The length follows from the body, also where only the head is sent.
fn show(object: &Object) -> Reply {
    let modified = object.modified.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let headers = vec![
        ("etag", object.etag.clone()),
        ("content-type", object.content_type.clone()),
        ("last-modified", modified),
        ("accept-ranges", "bytes".to_owned()),
    ];
    Reply { status: 200, headers, body: object.body.clone() }
}

impl Service for S3 {
    fn operation(&self, request: &ApiRequest) -> Option<Operation> {
        Route::read(request).map(|route| route.operation())
    }

    fn carry_out(&self, request: &ApiRequest, turn: &Turn<'_>) -> Result<Reply, Refusal> {
        let route = Route::read(request).ok_or_else(|| S3Refusal::NotImplemented("operation".to_owned()))?;
        Ok(self.answer(&route, request, turn)?)
    }

    fn needs(&self, request: &ApiRequest, _account: &str) -> Vec<Need> {
        Route::read(request).as_ref().and_then(need_of).into_iter().collect()
    }

    fn admit_stranger(&self, request: &ApiRequest) -> Result<(), Refusal> {
        if request.is_anonymous() { Ok(()) } else { Err(S3Refusal::InvalidAccessKeyId.into()) }
    }

    fn refuse(&self, refusal: &Refusal, request_id: &str) -> Reply {
        let mut headers = vec![("content-type", "application/xml".to_owned())];
        headers.extend(refusal.headers.iter().cloned());
        let body = Bytes::from(messages::write_error(refusal, request_id));
        Reply { status: refusal.status, headers, body }
    }
}
