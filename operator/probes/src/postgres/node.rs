//! A node of a database: connecting to it, and whose fault an error is.

use crate::finding::Finding;
use crate::net::tls::Inside;
use crate::net::{Address, Lookup, Stream, TlsClient, dial};
use crate::progress::{Phase, Progress};
use crate::run::{RunCx, Side};
use crate::spec::{PgTarget, PgTls, TlsSpec};
use muster_core::health::Symptom;
use muster_core::ids::RegionName;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use tokio::net::TcpStream;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::{Client, Config, NoTls};
use tokio_util::task::AbortOnDropHandle;

/// Where and how to connect.
pub(crate) struct Node {
    address: Address,
    /// Where it is asked while it is a standby, if that is elsewhere.
    reader: Option<Address>,
    config: Config,
    tls: Option<TlsClient>,
}

/// An open connection. Dropping it closes it.
pub(crate) struct Session {
    pub(crate) client: Client,
    lost: Arc<OnceLock<Finding>>,
    /// It is by the name of readers.
    at_reader: bool,
    _connection: AbortOnDropHandle<()>,
}

impl Node {
    /// The node of `region`. The error says what is wrong with the settings.
    pub(crate) fn build(target: &PgTarget, region: &RegionName) -> Result<Self, String> {
        let of = |(host, port): &(String, u16)| Address { host: host.clone(), port: *port };
        let node = target.nodes.get(region).ok_or_else(|| format!("has no node in region {region}"))?;
        let (address, reader) = (of(node), target.readers.get(region).map(of));
        let tls = match &target.tls {
            PgTls::Disable => None,
            PgTls::Require => Some(TlsClient::unverified()?),
            PgTls::VerifyFull { ca } => {
                let spec = TlsSpec { ca: ca.clone(), ..TlsSpec::default() };
                Some(TlsClient::build(&spec, Inside::Postgres)?)
            }
        };
        let mut config = Config::new();
        config.dbname(&target.database).user(&target.user).application_name("muster-probe");
        config.ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable });
        if let Some(password) = &target.password {
            config.password(password.expose());
        }
        Ok(Self { address, reader, config, tls })
    }

    /// Whether a kept session leads where a run against this side asks.
    pub(crate) fn leads_right(&self, session: &Session, side: Side) -> bool {
        session.at_reader == self.reader_for(side).is_some()
    }

    /// Whether it is asked by another name while it is a standby.
    pub(crate) fn has_reader(&self) -> bool {
        self.reader.is_some()
    }

    fn reader_for(&self, side: Side) -> Option<&Address> {
        self.reader.as_ref().filter(|_| side == Side::Standby)
    }

    /// Connects and logs in.
    pub(crate) async fn connect(&self, cx: &RunCx<'_>) -> Result<Session, Finding> {
        let reader = self.reader_for(cx.side);
        let (at_reader, address) = (reader.is_some(), reader.unwrap_or(&self.address));
        let stream = dial(cx.names, address, Lookup::Recent, cx.progress).await?;
        let lost = Arc::new(OnceLock::new());
        let failed = |e: tokio_postgres::Error| finding_of(&e, "logging in");
        let (client, connection) = if let Some(tls) = &self.tls {
            let tls = Handshake { tls, host: &address.host, progress: cx.progress };
            let (client, connection) = self.config.connect_raw(stream, tls).await.map_err(failed)?;
            (client, keep(connection, Arc::clone(&lost)))
        } else {
            let (client, connection) = self.config.connect_raw(stream, NoTls).await.map_err(failed)?;
            (client, keep(connection, Arc::clone(&lost)))
        };
        cx.progress.enter(Phase::Answer);
        Ok(Session { client, lost, at_reader, _connection: connection })
    }
}

impl Session {
    /// What a failed statement means; a lost connection is explained by its own end.
    pub(crate) fn explain(&self, error: &tokio_postgres::Error, doing: &str) -> Finding {
        match self.lost.get() {
            Some(finding) if error.is_closed() => finding.clone(),
            _ => finding_of(error, doing),
        }
    }
}

/// Drives a connection in a task of its own, and keeps the reason of its end.
fn keep<C>(mut connection: C, lost: Arc<OnceLock<Finding>>) -> AbortOnDropHandle<()>
where
    C: Future<Output = Result<(), tokio_postgres::Error>> + Send + Unpin + 'static,
{
    AbortOnDropHandle::new(tokio::spawn(async move {
        // The reason is kept before the connection is dropped, which is what its users notice.
        if let Err(error) = (&mut connection).await {
            let _ = lost.set(finding_of(&error, "the connection was lost"));
        }
    }))
}

/// Classifies by SQLSTATE, or by the socket's error.
pub(crate) fn finding_of(error: &tokio_postgres::Error, doing: &str) -> Finding {
    let mut link: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(current) = link {
        if let Some(Refusal(finding)) = current.downcast_ref::<Refusal>() {
            return finding.clone();
        }
        link = current.source();
    }
    let Some(db) = error.as_db_error() else {
        // The library keeps the kind of its own errors to itself, but for its words.
        let words = error.to_string();
        let ours = words.starts_with("invalid configuration") || words.starts_with("authentication error");
        let otherwise = match () {
            () if error.is_closed() => Symptom::Refused,
            () if ours => Symptom::OwnSetup,
            () => Symptom::WrongAnswer,
        };
        return Finding::chain(error, otherwise, doing);
    };
    let code = db.code().code();
    Finding::new(symptom_of_state(code), format!("{doing}: {} (SQLSTATE {code})", db.message()))
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn symptom_of_state(code: &str) -> Symptom {
    match code {
        // Our password, our role, our privileges, our query: a database cannot be blamed for them.
        _ if code.starts_with("28") => Symptom::OwnSetup,
        "42501" | "42601" => Symptom::OwnSetup,
        // Too many connections: the applications' own may work well.
        "53300" => Symptom::NothingSaid,
        // Shut down, crashed, starting up.
        "57P01" | "57P02" | "57P03" => Symptom::Refused,
        _ => Symptom::WrongAnswer,
    }
}

struct Handshake<'a> {
    tls: &'a TlsClient,
    host: &'a str,
    progress: &'a Progress,
}

/// Carries our own classification through the library's errors.
#[derive(Debug)]
struct Refusal(Finding);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)
    }
}

impl StdError for Refusal {}

impl<'a> TlsConnect<TcpStream> for Handshake<'a> {
    type Stream = Stream;
    type Error = Refusal;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Refusal>> + Send + 'a>>;

    fn connect(self, stream: TcpStream) -> Self::Future {
        Box::pin(async move { self.tls.handshake(stream, self.host, self.progress).await.map_err(Refusal) })
    }
}

impl TlsStream for Stream {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}
