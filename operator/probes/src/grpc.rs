//! The gRPC health protocol (`grpc.health.v1.Health/Check`) over HTTP/2. The two messages are a field each, so they
//! are read and written here by hand.

use crate::error::{Mistakes, SpecError};
use crate::finding::Finding;
use crate::net::tls::Inside;
use crate::net::{Address, Lookup, Stream, TlsClient, dial, drive};
use crate::progress::Phase;
use crate::run::RunCx;
use crate::spec::{GrpcSpec, RegionVars};
use crate::template::Template;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use muster_core::health::Symptom;

/// A health answer is a few bytes; more is something else.
const MAX_ANSWER: usize = 16 * 1024;

/// A compiled gRPC probe.
pub(crate) struct Grpc {
    address: Address,
    uri: Uri,
    message: Bytes,
    tls: Option<TlsClient>,
}

impl Grpc {
    pub(crate) fn compile(
        spec: &GrpcSpec,
        field: &str,
        region: &RegionVars,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let at = |part: &str| format!("{field}.grpc.{part}");
        let address = mistakes.take(compile_address(&spec.address, &at("address"), region, None));
        let tls = spec.tls.as_ref().map(|tls| TlsClient::build(tls, Inside::Http2)).transpose();
        let tls = mistakes.take(tls.map_err(|problem| SpecError::new(&at("tls"), problem)));
        let (address, tls) = (address?, tls?);
        let uri = Uri::builder()
            .scheme(if tls.is_some() { "https" } else { "http" })
            .authority(address.to_string())
            .path_and_query("/grpc.health.v1.Health/Check")
            .build()
            .map_err(|e| SpecError::new(&at("address"), format!("cannot be addressed: {e}")));
        Some(Self { uri: mistakes.take(uri)?, address, message: request_message(&spec.service), tls })
    }

    pub(crate) async fn run(&self, cx: &RunCx<'_>) -> Result<(), Finding> {
        let stream = dial(cx.names, &self.address, Lookup::Recent, cx.progress).await?;
        let stream = match &self.tls {
            Some(tls) => tls.handshake(stream, &self.address.host, cx.progress).await?,
            None => Stream::Plain(stream),
        };
        let lost = |e: hyper::Error| Finding::chain(&e, symptom_of(&e), "speaking HTTP/2");
        let (mut sender, connection) =
            http2::handshake::<_, _, Full<Bytes>>(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .map_err(lost)?;
        let work = async move {
            let response = sender.send_request(self.request()).await.map_err(lost)?;
            cx.progress.enter(Phase::Body);
            judge(response).await
        };
        drive(connection, work).await
    }

    fn request(&self) -> http::Request<Full<Bytes>> {
        let mut request = http::Request::new(Full::new(self.message.clone()));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/grpc"));
        headers.insert(http::header::TE, http::HeaderValue::from_static("trailers"));
        request
    }
}

/// Compiles a `host:port` template.
pub(crate) fn compile_address(
    source: &str,
    field: &str,
    region: &RegionVars,
    usual_port: Option<u16>,
) -> Result<Address, SpecError> {
    let template =
        Template::compile(source, Some(region), &[]).map_err(|e| SpecError::template(field, source, e))?;
    Address::parse(template.fixed().unwrap_or_default(), usual_port)
        .map_err(|problem| SpecError::new(field, problem))
}

fn symptom_of(error: &hyper::Error) -> Symptom {
    if error.is_parse() { Symptom::WrongAnswer } else { Symptom::Refused }
}

async fn judge(response: http::Response<Incoming>) -> Result<(), Finding> {
    let (head, mut body) = response.into_parts();
    match head.status.as_u16() {
        200 => {}
        429 => {
            return Err(Finding::new(Symptom::NothingSaid, "HTTP status 429: the target asks to slow down"));
        }
        other => return Err(Finding::wrong(format!("HTTP status {other}, so this is no gRPC server"))),
    }
    let (mut message, mut trailers) = (BytesMut::new(), HeaderMap::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Finding::chain(&e, symptom_of(&e), "reading the answer"))?;
        match frame.into_data() {
            Ok(data) if message.len() + data.len() > MAX_ANSWER => {
                return Err(Finding::wrong("the answer is too large for a health answer"));
            }
            Ok(data) => message.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    // Without a message the status may stand in the head ("trailers only").
    let status = trailers.get("grpc-status").or_else(|| head.headers.get("grpc-status"));
    let status = status.and_then(|s| s.to_str().ok()).and_then(|s| s.parse::<u32>().ok());
    match status {
        Some(0) => judge_health(&message),
        Some(8) => Err(Finding::new(Symptom::NothingSaid, "gRPC status RESOURCE_EXHAUSTED")),
        Some(code) => Err(Finding::wrong(format!("gRPC status {}", words_of_status(code)))),
        None => Err(Finding::wrong("the answer has no gRPC status")),
    }
}

fn judge_health(message: &[u8]) -> Result<(), Finding> {
    match read_health(message) {
        Some(1) => Ok(()),
        Some(0) => Err(Finding::wrong("health status UNKNOWN")),
        Some(2) => Err(Finding::wrong("health status NOT_SERVING")),
        Some(3) => Err(Finding::wrong("health status SERVICE_UNKNOWN")),
        Some(other) => Err(Finding::wrong(format!("health status {other}"))),
        None => Err(Finding::wrong("the answer is no health answer")),
    }
}

/// <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>
fn words_of_status(code: u32) -> String {
    match code {
        4 => "DEADLINE_EXCEEDED".to_owned(),
        5 => "NOT_FOUND: the server does not know this service".to_owned(),
        7 => "PERMISSION_DENIED".to_owned(),
        12 => "UNIMPLEMENTED: the server has no health service".to_owned(),
        13 => "INTERNAL".to_owned(),
        14 => "UNAVAILABLE".to_owned(),
        16 => "UNAUTHENTICATED".to_owned(),
        other => other.to_string(),
    }
}

/// `HealthCheckRequest { string service = 1; }` in gRPC's frame: not compressed, length, message.
fn request_message(service: &str) -> Bytes {
    let mut field = BytesMut::new();
    if !service.is_empty() {
        field.put_u8(1 << 3 | 2);
        put_varint(&mut field, service.len() as u64);
        field.put_slice(service.as_bytes());
    }
    let mut message = BytesMut::with_capacity(5 + field.len());
    message.put_u8(0);
    message.put_u32(u32::try_from(field.len()).unwrap_or(u32::MAX));
    message.put_slice(&field);
    message.freeze()
}

fn put_varint(out: &mut BytesMut, mut n: u64) {
    while n >= 0x80 {
        out.put_u8((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.put_u8((n & 0x7f) as u8);
}

/// `HealthCheckResponse { ServingStatus status = 1; }`; absent means 0. Unknown fields are passed over.
fn read_health(frame: &[u8]) -> Option<u64> {
    let (head, rest) = frame.split_at_checked(5)?;
    let length = usize::try_from(u32::from_be_bytes(head[1..5].try_into().ok()?)).ok()?;
    if head[0] != 0 || rest.len() != length {
        return None;
    }
    let (mut rest, mut status) = (rest, 0);
    while !rest.is_empty() {
        let key = take_varint(&mut rest)?;
        match key & 7 {
            0 => {
                let value = take_varint(&mut rest)?;
                status = if key >> 3 == 1 { value } else { status };
            }
            1 => rest = rest.get(8..)?,
            2 => {
                let length = usize::try_from(take_varint(&mut rest)?).ok()?;
                rest = rest.get(length..)?;
            }
            5 => rest = rest.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{read_health, request_message};

    #[test]
    fn messages_are_as_protobuf_has_them() {
        assert_eq!(&request_message("")[..], &[0, 0, 0, 0, 0]);
        assert_eq!(&request_message("a.B")[..], &[0, 0, 0, 0, 5, 10, 3, b'a', b'.', b'B']);
        assert_eq!(request_message(&"x".repeat(300))[5..8], [10, 0xac, 2]);
        assert_eq!(read_health(&[0, 0, 0, 0, 2, 8, 1]), Some(1));
        assert_eq!(read_health(&[0, 0, 0, 0, 0]), Some(0));
        assert_eq!(read_health(&[0, 0, 0, 0, 5, 18, 1, 7, 8, 2]), Some(2));
        for broken in [&[0, 0, 0, 0, 2, 8][..], &[0, 0, 0], &[1, 0, 0, 0, 2, 8, 1], &[0, 0, 0, 0, 2, 8, 0x81]]
        {
            assert_eq!(read_health(broken), None, "{broken:?}");
        }
    }
}
