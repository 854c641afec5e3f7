//! Whether external-dns takes a name for its own. It keeps that in TXT records (its TXT registry): at the name, and for each kind
//! of record at `a-NAME`, `aaaa-NAME` and `cname-NAME`. With each of its rounds it writes its own target back, whoever wrote there
//! since. Where somebody gave the registry a prefix, a suffix or encryption, or keeps it elsewhere, nothing is found.
//!
//! What this module must never do: hold up a look longer than the servers themselves may.

use super::name::SteeredName;
use super::questions::{self, read_view};
use super::wire::Connection;
use futures::future::select_ok;
use hickory_proto::op::Message;
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{Name, RData, RecordType};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Between two looks.
const EVERY: Duration = Duration::from_mins(10);
/// Until it is looked again where something was found, or nobody answered.
const AGAIN: Duration = Duration::from_mins(1);
/// What a record of the registry says of itself.
const HERITAGE: &[u8] = b"heritage=external-dns";
/// What is put before a name for each kind of record.
const KINDS: [&str; 3] = ["a-", "aaaa-", "cname-"];

/// What is known of one name.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    due: Option<Instant>,
    /// Where a record of the registry stands.
    found: Option<Name>,
}

impl Registry {
    /// Looks, if it is time to, at whichever server answers first. What is known then, for people.
    pub(super) async fn look(
        &self,
        name: &SteeredName,
        servers: &[SocketAddr],
        deadline: Duration,
    ) -> Option<String> {
        if self.begins(Instant::now()) && !servers.is_empty() {
            let asks = servers.iter().map(|server| Box::pin(ask(name, *server, deadline)));
            if let Ok((found, _)) = select_ok(asks).await {
                let mut known = self.lock();
                known.due = Some(Instant::now() + if found.is_some() { AGAIN } else { EVERY });
                known.found = found;
            }
        }
        let known = self.lock();
        known.found.as_ref().map(|at| {
            format!("external-dns takes the name for its own, by a TXT record at {at}; docs/aws.md says how to take it away")
        })
    }

    /// Whether it is time to; nobody else begins then.
    fn begins(&self, now: Instant) -> bool {
        let mut known = self.lock();
        let is_due = known.due.is_none_or(|due| now >= due);
        if is_due {
            known.due = Some(now + AGAIN);
        }
        is_due
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where one server has a record of the registry. An error: it gave no answer.
async fn ask(name: &SteeredName, server: SocketAddr, deadline: Duration) -> Result<Option<Name>, ()> {
    let exchange = async {
        let mut connection = Connection::open(server).await?;
        connection.exchange(texts_of(name), None).await
    };
    let answers = timeout(deadline, exchange).await.map_err(|_| ())?.map_err(|_| ())?;
    // A server that does not know the zone has nothing to say of it.
    read_view(&answers).map_err(|_| ())?;
    Ok(answers.iter().find_map(owned_at))
}

fn texts_of(name: &SteeredName) -> Vec<Message> {
    let of_kind = |kind: &&str| Name::from_ascii(format!("{kind}{}", name.record.to_ascii())).ok();
    // That of the zone's own name would be in another zone.
    let of_kinds = KINDS.iter().filter_map(of_kind).filter(|at| name.zone.zone_of(at));
    let all = [name.record.clone()].into_iter().chain(of_kinds);
    all.map(|at| questions::ask(at, RecordType::TXT)).collect()
}

/// The name in question, if what stands there is of the registry.
fn owned_at(answer: &Message) -> Option<Name> {
    let at = answer.queries.first()?.name();
    let is_heritage = |txt: &TXT| {
        let text: Vec<u8> = txt.txt_data.iter().flat_map(|string| string.iter().copied()).collect();
        text.windows(HERITAGE.len()).any(|part| part == HERITAGE)
    };
    let own = answer.answers.iter().filter(|record| record.name == *at);
    own.filter_map(|record| match &record.data {
        RData::TXT(txt) => Some(txt),
        _ => None,
    })
    .any(is_heritage)
    .then(|| at.clone())
}

#[cfg(test)]
mod tests {
    use super::super::{NameConfig, Target};
    use super::*;
    use crate::AdoptedOwners;
    use hickory_proto::rr::Record;

    fn name(record: &str) -> SteeredName {
        let target = |address: [u8; 4]| Target::A(address.into());
        let targets = [("east", target([127, 0, 1, 1])), ("west", target([127, 0, 2, 1]))];
        SteeredName::from_config(&NameConfig {
            owner: "uid-1".into(),
            zone: "example.com".to_owned(),
            record: record.to_owned(),
            ttl: Duration::from_mins(1),
            targets: targets.into_iter().map(|(region, target)| (region.into(), target)).collect(),
            adopted: AdoptedOwners::default(),
        })
        .expect("a name")
    }

    #[test]
    fn it_is_looked_for_at_the_name_and_at_that_of_each_kind_within_the_zone() {
        let asked = |record: &str| -> Vec<String> {
            texts_of(&name(record)).iter().map(|asked| asked.queries[0].name().to_ascii()).collect()
        };
        let own =
            ["shop.example.com.", "a-shop.example.com.", "aaaa-shop.example.com.", "cname-shop.example.com."];
        assert_eq!(asked("shop.example.com"), own);
        assert_eq!(asked("example.com"), ["example.com."]);
        let long = "a".repeat(63);
        assert_eq!(asked(&format!("{long}.example.com")).len(), 1, "no room before it");
    }

    #[test]
    fn a_record_of_the_registry_is_told_from_other_texts_and_from_other_names() {
        let [question, ..] = &texts_of(&name("shop.example.com"))[..] else { panic!("no question") };
        let at = question.queries[0].name().clone();
        let answer = |at: &Name, strings: &[&str]| {
            let txt = TXT::new(strings.iter().map(ToString::to_string).collect());
            let mut answer = question.clone();
            answer.answers.push(Record::from_rdata(at.clone(), 60, RData::TXT(txt)));
            owned_at(&answer)
        };
        let own = "heritage=external-dns,external-dns/owner=default,external-dns/resource=service/shop/web";
        assert_eq!(answer(&at, &[own]), Some(at.clone()));
        assert_eq!(answer(&at, &["heritage=exter", "nal-dns"]), Some(at.clone()), "one text in two strings");
        assert_eq!(answer(&at, &["v=spf1 -all"]), None);
        let other = Name::from_ascii("other.example.com.").expect("a name");
        assert_eq!(answer(&other, &[own]), None, "where a CNAME leads");
    }
}
