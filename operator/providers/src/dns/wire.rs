//! DNS messages over one TCP connection, signed and verified.
//!
//! TCP for all of it: nobody off the path can forge an answer, nothing is sent twice by a retransmission, and no
//! answer is cut short. (RFC 7766: every server must offer it.)

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::tsig::TsigError;
use hickory_proto::rr::{TSigVerifier, TSigner};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Why a server's answer cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("failed to connect to {server}: {source}")]
    Connect { server: SocketAddr, source: io::Error },
    #[error("failed to exchange messages with {server}: {source}")]
    Exchange { server: SocketAddr, source: io::Error },
    #[error("failed to encode the request for {server}: {reason}")]
    Encode { server: SocketAddr, reason: String },
    #[error("failed to read the answer of {server}: {reason}")]
    Garbled { server: SocketAddr, reason: String },
    #[error("{server} says that it does not know key {key}, or that the key may not do this (BADKEY)")]
    BadKey { server: SocketAddr, key: String },
    #[error("{server} holds another secret for key {key} (BADSIG)")]
    BadSig { server: SocketAddr, key: String },
    #[error("{server} refuses the signature by key {key}: its clock is {skew} ours (BADTIME)")]
    BadTime { server: SocketAddr, key: String, skew: Skew },
    #[error("{server} refuses the signature by key {key}: {code}")]
    BadSignature { server: SocketAddr, key: String, code: String },
    #[error("{server} answered {code} without a valid signature by key {key}")]
    Unverified { server: SocketAddr, key: String, code: ResponseCode },
}

impl WireError {
    /// The server looked at the key and refused; nothing was done.
    pub(crate) const fn is_denied(&self) -> bool {
        match self {
            Self::BadKey { .. } | Self::BadSig { .. } | Self::BadTime { .. } | Self::BadSignature { .. } => {
                true
            }
            // Servers that refuse before they look at the key do not sign.
            Self::Unverified { code, .. } => matches!(code, ResponseCode::Refused | ResponseCode::NotAuth),
            _ => false,
        }
    }
}

/// How far two clocks are apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Skew(i64);

impl std::fmt::Display for Skew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = if self.0 < 0 { "behind" } else { "ahead of" };
        write!(f, "{} s {side}", self.0.unsigned_abs())
    }
}

/// A signer and the time that it signs with.
#[derive(Clone, Copy)]
pub(crate) struct Signing<'a> {
    pub(crate) signer: &'a TSigner,
    /// Seconds since 1970.
    pub(crate) now: u64,
}

/// One connection to one server.
pub(crate) struct Connection {
    server: SocketAddr,
    stream: TcpStream,
}

/// A request on its way.
struct Pending {
    at: usize,
    verifier: Option<TSigVerifier>,
}

impl Connection {
    pub(crate) async fn open(server: SocketAddr) -> Result<Self, WireError> {
        let connect = async {
            let stream = TcpStream::connect(server).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        match connect.await {
            Ok(stream) => Ok(Self { server, stream }),
            Err(source) => Err(WireError::Connect { server, source }),
        }
    }

    /// Sends all requests at once and returns the answers in the order of the requests.
    pub(crate) async fn exchange(
        &mut self,
        mut requests: Vec<Message>,
        signing: Option<Signing<'_>>,
    ) -> Result<Vec<Message>, WireError> {
        let server = self.server;
        let mut out = Vec::new();
        let mut pending = BTreeMap::new();
        let first_id = requests.first().map_or(0, |request| request.metadata.id);
        for (at, request) in (0_u16..).zip(&mut requests) {
            request.metadata.id = first_id.wrapping_add(at);
            let verifier = encode(request, signing, &mut out)
                .map_err(|reason| WireError::Encode { server, reason: reason.to_string() })?;
            pending.insert(request.metadata.id, Pending { at: usize::from(at), verifier });
        }
        self.stream.write_all(&out).await.map_err(|source| WireError::Exchange { server, source })?;
        let mut answers = BTreeMap::new();
        while !pending.is_empty() {
            let bytes = self.read_one().await.map_err(|source| WireError::Exchange { server, source })?;
            let garbled = |reason: &dyn ToString| WireError::Garbled { server, reason: reason.to_string() };
            let answer = Message::from_vec(&bytes).map_err(|e| garbled(&e))?;
            if answer.metadata.message_type != MessageType::Response {
                return Err(garbled(&"it is a request"));
            }
            let of =
                pending.remove(&answer.metadata.id).ok_or_else(|| garbled(&"it answers nothing asked"))?;
            if let (Some(verifier), Some(signing)) = (of.verifier, signing) {
                verify(server, &bytes, &answer, verifier, signing)?;
            }
            answers.insert(of.at, answer);
        }
        Ok(answers.into_values().collect())
    }

    async fn read_one(&mut self) -> io::Result<Vec<u8>> {
        let length = self.stream.read_u16().await?;
        let mut bytes = vec![0; usize::from(length)];
        self.stream.read_exact(&mut bytes).await?;
        Ok(bytes)
    }
}

fn encode(
    request: &mut Message,
    signing: Option<Signing<'_>>,
    out: &mut Vec<u8>,
) -> Result<Option<TSigVerifier>, hickory_proto::ProtoError> {
    let verifier = match signing {
        Some(Signing { signer, now }) => request.finalize(signer, now)?,
        None => None,
    };
    let bytes = request.to_vec()?;
    let length = u16::try_from(bytes.len()).map_err(|_| "longer than 65535 octets")?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&bytes);
    Ok(verifier)
}

/// The errors that a server reports inside the signature record come first: two of them are unsigned by design
/// (RFC 8945, 5.3.2), and "bad signature" would be said of the wrong side.
fn verify(
    server: SocketAddr,
    bytes: &[u8],
    answer: &Message,
    mut verifier: TSigVerifier,
    signing: Signing<'_>,
) -> Result<(), WireError> {
    let key = signing.signer.signer_name().to_ascii();
    let reported = answer.signature.as_deref().and_then(|tsig| tsig.data.error);
    match reported {
        Some(TsigError::BadKey) => Err(WireError::BadKey { server, key }),
        Some(TsigError::BadSig) => Err(WireError::BadSig { server, key }),
        Some(TsigError::BadTime) => {
            let theirs = answer.signature.as_deref().map_or(signing.now, |t| server_time(&t.data.other));
            let skew = Skew(theirs.cast_signed().saturating_sub(signing.now.cast_signed()));
            Err(WireError::BadTime { server, key, skew })
        }
        Some(other) => Err(WireError::BadSignature { server, key, code: format!("{other:?}") }),
        None => match verifier.verify(bytes) {
            Ok(_) => Ok(()),
            Err(_) => Err(WireError::Unverified { server, key, code: answer.metadata.response_code }),
        },
    }
}

/// 48 bits, big-endian (RFC 8945, 5.2.3).
fn server_time(other: &[u8]) -> u64 {
    other.iter().take(6).fold(0, |time, byte| time << 8 | u64::from(*byte))
}
