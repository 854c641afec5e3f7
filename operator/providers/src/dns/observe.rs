//! What servers say of a name and its witness.

use super::data::{View, WitnessView, list_data};
use super::name::SteeredName;
use super::questions::{AnswerError, make_questions, read_view};
use super::registry::Registry;
use super::wire::{Connection, Signing, WireError};
use muster_core::facts::{Seen, TrafficFacts, Witness};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

/// How often data that does not fit its witness is read again, before it counts as drift: the questions are
/// answered one by one, and a flip may land between two of them.
const READS: u32 = 3;

/// A read that gave no view.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

/// One server's view. Read again while data and witness do not fit; `sign` is asked before each read.
pub(crate) async fn read_settled<'a>(
    name: &SteeredName,
    connection: &mut Connection,
    sign: impl Fn() -> Option<Signing<'a>> + Send,
) -> Result<View, ReadError> {
    let mut view = None;
    for _ in 0..READS {
        let answers = connection.exchange(make_questions(name), sign()).await?;
        let seen = read_view(&answers)?;
        let settled = seen.drift(name.kind()).is_none() || view.as_ref() == Some(&seen);
        view = Some(seen);
        if settled {
            break;
        }
    }
    view.ok_or(ReadError::Answer(AnswerError::OtherQuestion))
}

/// One server's view, as anybody gets it.
async fn read_server(name: &SteeredName, server: SocketAddr) -> Result<View, ReadError> {
    let mut connection = Connection::open(server).await?;
    read_settled(name, &mut connection, || None).await
}

/// What every one of `servers` says. `silent` tells of further ones that could not even be asked; they count as well.
pub(crate) async fn observe_servers(
    name: &SteeredName,
    servers: &[SocketAddr],
    mut silent: Vec<String>,
    registry: &Registry,
    deadline: Duration,
) -> Seen<TrafficFacts> {
    let asked = servers.len() + silent.len();
    let reads = servers.iter().map(|server| async move {
        match timeout(deadline, read_server(name, *server)).await {
            Ok(Ok(view)) => Ok(view),
            Ok(Err(error)) => Err(format!("{server}: {error}")),
            Err(_) => Err(format!("{server}: no answer in {} ms", deadline.as_millis())),
        }
    });
    let owned = registry.look(name, servers, deadline);
    let (reads, owned) = tokio::join!(futures::future::join_all(reads), owned);
    let mut views = Vec::new();
    for read in reads {
        match read {
            Ok(view) => views.push(view),
            Err(reason) => silent.push(reason),
        }
    }
    if views.is_empty() {
        return Seen::Unknown(name.about(&silent.join("; ")));
    }
    for reason in silent {
        tracing::debug!(record = %name.record, reason, "a name server does not answer");
    }
    let facts = make_facts(name, &views, asked);
    Seen::Known(TrafficFacts { drift: join(facts.drift, owned), ..facts })
}

/// Both reasons, where there are two.
pub(crate) fn join(first: Option<String>, second: Option<String>) -> Option<String> {
    match (first, second) {
        (Some(first), Some(second)) => Some(format!("{first}; {second}")),
        (first, second) => first.or(second),
    }
}

/// What the views of those that answered, of `servers`, come to.
fn make_facts(name: &SteeredName, views: &[View], servers: usize) -> TrafficFacts {
    let kind = name.kind();
    let agree = views.iter().map(|one| views.iter().filter(|other| *other == one).count()).max();
    let one_answer = views.windows(2).all(|pair| pair[0].data == pair[1].data);
    let points_to = views.first().filter(|_| one_answer).and_then(|view| {
        let steered = view.steered(kind);
        let only = steered.first().filter(|_| steered.len() == 1)?;
        name.region_of(only).cloned()
    });
    let witnesses = views.iter().filter_map(|view| match view.written() {
        WitnessView::Written(written) => Some(written.witness),
        WitnessView::Absent | WitnessView::Unreadable => None,
    });
    TrafficFacts {
        // What the servers answer stands there by itself, whoever is gone.
        points_to,
        agree: count(agree.unwrap_or(0)),
        servers: count(servers),
        witness: witnesses.max_by_key(Witness::order),
        drift: views.iter().find_map(|view| view.drift(kind).or_else(|| strange_data(name, view))),
        unsettled: None,
        contested: None,
    }
}

/// With a witness beside it, that one tells what was written; without, all that may stand there are the targets.
fn strange_data(name: &SteeredName, view: &View) -> Option<String> {
    let steered = view.steered(name.kind());
    let is_strange = !name.has_witness && steered.iter().any(|datum| name.region_of(datum).is_none());
    is_strange
        .then(|| format!("another writer: {} stands there, none of the regions' targets", list_data(steered)))
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
