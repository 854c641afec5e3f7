//! Sockets: look-ups, connections, TLS, questions to name servers.

pub(crate) mod dial;
pub(crate) mod drive;
pub(crate) mod lookup;
pub(crate) mod name_server;
pub(crate) mod stream;
pub(crate) mod tls;

pub(crate) use dial::{Address, dial};
pub(crate) use drive::drive;
pub(crate) use lookup::{Lookup, SystemNames};
pub(crate) use stream::Stream;
pub(crate) use tls::TlsClient;
