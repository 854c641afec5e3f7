//! A fake with one zone, and clients that speak to it without an SDK.

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use muster_aws_fake::{FakeAws, Zone};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

pub(crate) const KEY: &str = "AKIDONE";
pub(crate) const ACCOUNT: &str = "111111111111";
/// From the acceptance of a batch to its being in sync.
pub(crate) const INSYNC_AFTER: Duration = Duration::from_mins(1);
/// Longer than anything takes here, however slow its surroundings are.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer of the API.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    /// The texts of all elements with this tag.
    pub(crate) fn texts(&self, tag: &str) -> Vec<&str> {
        texts(&self.body, tag)
    }

    /// Status, error code and message.
    pub(crate) fn error(&self) -> (u16, String, String) {
        (self.status, self.texts("Code").concat(), self.texts("Message").concat())
    }
}

fn texts<'a>(xml: &'a str, tag: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let after_open = xml.split(open.as_str()).skip(1);
    after_open.filter_map(|rest| rest.split_once(close.as_str())).map(|(text, _)| text).collect()
}

/// The fake, and the zone `example.com` in it.
pub(crate) struct Stage {
    pub(crate) aws: FakeAws,
    pub(crate) zone: Zone,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        let aws = FakeAws::start().await.expect("the fake starts");
        aws.add_account(KEY, ACCOUNT);
        let zone = aws.create_zone(ACCOUNT, "example.com", INSYNC_AFTER).await.expect("name servers start");
        Self { aws, zone }
    }

    /// Where the record sets are.
    pub(crate) fn sets(&self) -> String {
        format!("/2013-04-01/hostedzone/{}/rrset", self.zone.id)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(&self.aws, KEY, "GET", path, "").await.expect("an answer")
    }

    /// Sends a batch.
    pub(crate) async fn try_change(&self, changes: &[String]) -> Result<Answer, hyper::Error> {
        send(&self.aws, KEY, "POST", &self.sets(), &batch(changes)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        send(&self.aws, KEY, "POST", path, body).await.expect("an answer")
    }

    /// Creates a health check with these elements.
    pub(crate) async fn create_check(&self, reference: &str, config: &str) -> Answer {
        self.post("/2013-04-01/healthcheck", &check_creation(reference, config)).await
    }

    pub(crate) async fn change(&self, changes: &[String]) -> Answer {
        self.try_change(changes).await.expect("an answer")
    }

    /// `PENDING` or `INSYNC`, of the change that was answered.
    pub(crate) async fn status(&self, change: &Answer) -> String {
        let path = format!("/2013-04-01{}", change.texts("Id").concat());
        self.get(&path).await.texts("Status").concat()
    }

    /// What is listed, without the apex: `shop.example.com. A 60 192.0.2.1`.
    pub(crate) async fn list(&self) -> Vec<String> {
        let answer = self.get(&self.sets()).await;
        let sets = answer.texts("ResourceRecordSet").into_iter().map(describe);
        sets.filter(|set| !set.starts_with("example.com. ")).collect()
    }

    /// The data that every name server of the zone answers.
    pub(crate) async fn data(&self, name: &str, kind: RecordType) -> Vec<String> {
        let mut answers = Vec::new();
        for server in &self.zone.servers {
            let answer = ask(*server, name, kind).await;
            answers.push(answer.answers.iter().map(|record| record.data.to_string()).collect::<Vec<_>>());
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "the name servers differ: {answers:?}");
        answers.concat()
    }
}

/// A record set, in one line.
pub(crate) fn describe(set: &str) -> String {
    ["Name", "Type", "TTL", "Value"].map(|tag| texts(set, tag)).concat().join(" ")
}

/// One change of a simple record set.
pub(crate) fn simple(action: &str, name: &str, kind: &str, values: &[&str]) -> String {
    change_with(action, name, kind, "", values)
}

/// One change, with more elements in front of the TTL.
pub(crate) fn change_with(action: &str, name: &str, kind: &str, more: &str, values: &[&str]) -> String {
    let record = |value: &&str| format!("<ResourceRecord><Value>{value}</Value></ResourceRecord>");
    let records = values.iter().map(record).collect::<Vec<_>>().concat();
    format!(
        "<Change><Action>{action}</Action><ResourceRecordSet><Name>{name}</Name><Type>{kind}</Type>{more}\
         <TTL>60</TTL><ResourceRecords>{records}</ResourceRecords></ResourceRecordSet></Change>"
    )
}

/// The body of a request.
pub(crate) fn batch(changes: &[String]) -> String {
    let changes = changes.concat();
    format!(
        "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch>\
         <Changes>{changes}</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
    )
}

/// The body of a request for a health check.
pub(crate) fn check_creation(reference: &str, config: &str) -> String {
    format!(
        "<CreateHealthCheckRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><CallerReference>\
         {reference}</CallerReference><HealthCheckConfig>{config}</HealthCheckConfig></CreateHealthCheckRequest>"
    )
}

/// The body of a request to change a health check.
pub(crate) fn check_update(changes: &str) -> String {
    format!(
        "<UpdateHealthCheckRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">{changes}\
         </UpdateHealthCheckRequest>"
    )
}

/// What the signature of an SDK would begin with.
pub(crate) fn authorization(key: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/route53/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature=00"
    )
}

/// Where the fake listens.
pub(crate) fn address(aws: &FakeAws) -> String {
    aws.endpoint().trim_start_matches("http://").to_owned()
}

/// Sends a request on a connection of its own. An error: the connection was closed without an answer.
pub(crate) async fn send(
    aws: &FakeAws,
    key: &str,
    method: &str,
    path: &str,
    body: &str,
) -> Result<Answer, hyper::Error> {
    send_signed(aws, &authorization(key), method, path, body).await
}

/// Sends a request to any service.
pub(crate) async fn send_signed(
    aws: &FakeAws,
    authorization: &str,
    method: &str,
    path: &str,
    body: &str,
) -> Result<Answer, hyper::Error> {
    let address = address(aws);
    let stream = TcpStream::connect(&address).await.expect("the fake listens");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", &address)
        .header("authorization", authorization)
        .body(Full::new(Bytes::from(body.to_owned())))
        .expect("a request");
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
}

fn question(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::query();
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(Name::from_ascii(name).expect("a name"), kind));
    message.to_vec().expect("a message is encoded")
}

/// Asks by UDP.
pub(crate) async fn ask(server: SocketAddr, name: &str, kind: RecordType) -> Message {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    socket.connect(server).await.expect("connected");
    socket.send(&question(name, kind)).await.expect("a question is sent");
    let mut buffer = vec![0_u8; 4096];
    let received = timeout(PATIENCE, socket.recv(&mut buffer)).await.expect("an answer comes in time");
    let length = received.expect("an answer comes");
    Message::from_vec(&buffer[..length]).expect("an answer is a message")
}

/// Asks by TCP, as often as it likes.
pub(crate) struct TcpAsker {
    stream: TcpStream,
}

impl TcpAsker {
    pub(crate) async fn connect(server: SocketAddr) -> io::Result<Self> {
        Ok(Self { stream: TcpStream::connect(server).await? })
    }

    pub(crate) async fn ask(&mut self, name: &str, kind: RecordType) -> io::Result<Message> {
        let question = question(name, kind);
        let length = u16::try_from(question.len()).expect("a question is short");
        self.stream.write_all(&length.to_be_bytes()).await?;
        self.stream.write_all(&question).await?;
        let length = self.stream.read_u16().await?;
        let mut answer = vec![0_u8; usize::from(length)];
        self.stream.read_exact(&mut answer).await?;
        Ok(Message::from_vec(&answer).expect("an answer is a message"))
    }
}

/// Waits for what other tasks bring about.
pub(crate) async fn wait_until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "it does not come about");
        tokio::task::yield_now().await;
    }
}
