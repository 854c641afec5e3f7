//! A name server whose zone is a closure.

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio_util::task::AbortOnDropHandle;

/// Stops when dropped.
pub struct NameServer {
    pub address: String,
    pub questions: Arc<AtomicUsize>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

pub enum Said {
    Records(Vec<RData>),
    Code(ResponseCode),
    /// By TCP only; UDP says that the answer is too long.
    Long(Vec<RData>),
    Nothing,
}

pub fn a(ip: &str) -> RData {
    RData::A(A(Ipv4Addr::from_str(ip).expect("an address")))
}

pub fn alias(name: &str) -> RData {
    RData::CNAME(CNAME(Name::from_ascii(name).expect("a name")))
}

pub fn txt(text: &str) -> RData {
    RData::TXT(TXT::new(vec![text.to_owned()]))
}

impl NameServer {
    pub async fn start(zone: impl Fn(&str, RecordType) -> Said + Send + Sync + 'static) -> Self {
        // The same port for both protocols.
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = tcp.local_addr().expect("bound");
        let udp = UdpSocket::bind(address).await.expect("binds");
        let questions = Arc::new(AtomicUsize::new(0));
        let (zone, count) = (Arc::new(zone), Arc::clone(&questions));
        let for_udp = Arc::clone(&zone);
        let by_udp = tokio::spawn(async move {
            let mut buffer = vec![0; 4096];
            while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
                count.fetch_add(1, Ordering::SeqCst);
                if let Some(answer) = answer(&buffer[..length], for_udp.as_ref(), false) {
                    udp.send_to(&answer, from).await.expect("sends");
                }
            }
        });
        let by_tcp = tokio::spawn(async move {
            while let Ok((mut stream, _)) = tcp.accept().await {
                let length = stream.read_u16().await.expect("a length");
                let mut question = vec![0; usize::from(length)];
                stream.read_exact(&mut question).await.expect("a question");
                if let Some(answer) = answer(&question, zone.as_ref(), true) {
                    let length = u16::try_from(answer.len()).expect("fits");
                    stream.write_u16(length).await.expect("writes");
                    stream.write_all(&answer).await.expect("writes");
                }
            }
        });
        let tasks = [AbortOnDropHandle::new(by_udp), AbortOnDropHandle::new(by_tcp)];
        Self { address: address.to_string(), questions, _tasks: tasks }
    }
}

fn answer(question: &[u8], zone: &dyn Fn(&str, RecordType) -> Said, tcp: bool) -> Option<Vec<u8>> {
    let asked = Message::from_vec(question).expect("a question");
    let query = asked.queries.first().expect("one question").clone();
    let mut message = Message::new(asked.metadata.id, MessageType::Response, OpCode::Query);
    message.add_query(query.clone());
    let records = match zone(&query.name().to_ascii(), query.query_type()) {
        Said::Nothing => return None,
        Said::Code(code) => {
            message.metadata.response_code = code;
            Vec::new()
        }
        Said::Long(_) if !tcp => {
            message.metadata.truncation = true;
            Vec::new()
        }
        Said::Records(records) | Said::Long(records) => records,
    };
    for (n, data) in records.into_iter().enumerate() {
        let ttl = 60 + u32::try_from(n).expect("few");
        message.add_answer(Record::from_rdata(query.name().clone(), ttl, data));
    }
    Some(message.to_vec().expect("an answer"))
}
