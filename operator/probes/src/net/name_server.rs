//! One question to one name server, from a fresh socket: UDP, sent a second time if it stays silent, TCP when the
//! answer was cut off (RFC 1035, section 4.2; RFC 7766).

use crate::finding::Finding;
use hickory_proto::op::{Edns, Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use muster_core::health::Symptom;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// A lost datagram is no dead server: the question is repeated after this long.
const REPEAT_AFTER: Duration = Duration::from_millis(400);
/// The largest UDP answer that crosses common paths in one piece (DNS flag day 2020).
const MAX_UDP_PAYLOAD: u16 = 1232;

/// A checked question.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    name: Name,
    record_type: RecordType,
}

/// What a server said.
#[derive(Clone, Debug)]
pub(crate) struct NameAnswer {
    /// As `NOERROR`.
    pub(crate) rcode: String,
    /// Data of the asked type, as in a zone file.
    pub(crate) data: Vec<String>,
    /// The smallest of them, in seconds.
    pub(crate) ttl: Option<u32>,
    records: Vec<RData>,
}

impl Question {
    /// The error says what is wrong with the name or the type.
    pub(crate) fn new(name: &str, record_type: &str) -> Result<Self, String> {
        let mut parsed = Name::from_utf8(name).map_err(|_| format!("{name:?} is no domain name"))?;
        parsed.set_fqdn(true);
        let record_type = RecordType::from_str(&record_type.to_ascii_uppercase())
            .map_err(|_| format!("{record_type:?} is no record type; use A, AAAA, CNAME, TXT, ..."))?;
        Ok(Self { name: parsed, record_type })
    }

    fn message(&self) -> Message {
        let mut message = Message::query();
        message.metadata.id = rand::random();
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(self.name.clone(), self.record_type));
        let mut edns = Edns::new();
        edns.set_max_payload(MAX_UDP_PAYLOAD);
        message.set_edns(edns);
        message
    }

    fn is_answered_by(&self, asked: &Message, answer: &Message) -> bool {
        answer.metadata.message_type == MessageType::Response
            && answer.metadata.id == asked.metadata.id
            && answer
                .queries
                .first()
                .is_none_or(|q| q.name() == &self.name && q.query_type() == self.record_type)
    }
}

impl NameAnswer {
    fn new(question: &Question, message: Message) -> Self {
        let of_type = message.answers.iter().filter(|r| r.record_type() == question.record_type);
        let (data, ttls): (Vec<String>, Vec<u32>) = of_type.map(|r| (text_of(&r.data), r.ttl)).unzip();
        Self {
            rcode: words_of_rcode(message.metadata.response_code),
            data,
            ttl: ttls.into_iter().min(),
            records: message.answers.into_iter().map(|r| r.data).collect(),
        }
    }

    /// All addresses in the answer, at the end of aliases too.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.records.iter().filter_map(|data| match data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
            _ => None,
        })
    }

    /// Where the last alias points.
    pub(crate) fn alias(&self) -> Option<String> {
        self.records.iter().rev().find_map(|data| match data {
            RData::CNAME(alias) => Some(alias.0.to_utf8()),
            _ => None,
        })
    }
}

/// TXT as its text, the rest as in a zone file, names without the last dot.
fn text_of(data: &RData) -> String {
    match data {
        RData::TXT(txt) => {
            let whole: Vec<u8> = txt.txt_data.iter().flat_map(|part| part.iter().copied()).collect();
            String::from_utf8_lossy(&whole).into_owned()
        }
        RData::CNAME(_) | RData::NS(_) | RData::PTR(_) => data.to_string().trim_end_matches('.').to_owned(),
        other => other.to_string(),
    }
}

/// The mnemonics of the IANA registry.
fn words_of_rcode(code: ResponseCode) -> String {
    match code {
        ResponseCode::NoError => "NOERROR".to_owned(),
        ResponseCode::FormErr => "FORMERR".to_owned(),
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        ResponseCode::NXDomain => "NXDOMAIN".to_owned(),
        ResponseCode::NotImp => "NOTIMP".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        other => format!("RCODE{}", u16::from(other)),
    }
}

/// Asks, without a deadline of its own.
pub(crate) async fn ask(server: SocketAddr, question: &Question) -> Result<NameAnswer, Finding> {
    let asked = question.message();
    let wire = asked.to_vec().map_err(|e| Finding::own_setup(format!("the question cannot be sent: {e}")))?;
    let answer = ask_udp(server, question, &asked, &wire).await?;
    let answer =
        if answer.metadata.truncation { ask_tcp(server, question, &asked, &wire).await? } else { answer };
    Ok(NameAnswer::new(question, answer))
}

async fn ask_udp(
    server: SocketAddr,
    question: &Question,
    asked: &Message,
    wire: &[u8],
) -> Result<Message, Finding> {
    let doing = || format!("asking {server}");
    let failed = |e: std::io::Error| Finding::io(&e, &doing());
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await.map_err(failed)?;
    socket.connect(server).await.map_err(failed)?;
    socket.send(wire).await.map_err(failed)?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    let mut again = true;
    loop {
        let waiting = socket.recv(&mut buffer);
        let received = if again {
            let Ok(received) = tokio::time::timeout(REPEAT_AFTER, waiting).await else {
                again = false;
                socket.send(wire).await.map_err(failed)?;
                continue;
            };
            received
        } else {
            waiting.await
        };
        let length = received.map_err(failed)?;
        match Message::from_vec(&buffer[..length]) {
            // Not ours: late or forged. Keep waiting.
            Ok(answer) if !question.is_answered_by(asked, &answer) => {}
            Ok(answer) => return Ok(answer),
            Err(_) => return Err(Finding::wrong(format!("{server} sent something that is no DNS answer"))),
        }
    }
}

async fn ask_tcp(
    server: SocketAddr,
    question: &Question,
    asked: &Message,
    wire: &[u8],
) -> Result<Message, Finding> {
    let failed = |e: std::io::Error| Finding::io(&e, &format!("asking {server} by TCP"));
    let mut stream = TcpStream::connect(server).await.map_err(failed)?;
    let length =
        u16::try_from(wire.len()).map_err(|_| Finding::new(Symptom::OwnSetup, "the question is too long"))?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(wire);
    stream.write_all(&framed).await.map_err(failed)?;
    let length = stream.read_u16().await.map_err(failed)?;
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await.map_err(failed)?;
    match Message::from_vec(&buffer) {
        Ok(answer) if question.is_answered_by(asked, &answer) => Ok(answer),
        _ => Err(Finding::wrong(format!("{server} sent something that is no answer to the question"))),
    }
}
