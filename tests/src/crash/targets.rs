//! Effects, counted at the targets.

use super::tools;
use anyhow::{Context, bail};
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use muster::demo::World;
use muster::demo::addresses::{Kind, Place};
use muster::demo::nameserver::{RECORD, ZONE};
use muster::demo::resolver::ask_address;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

const ANSWER: Duration = Duration::from_secs(2);
/// Between two looks at the name: shorter than any two updates that wait for each other.
const LOOK: Duration = Duration::from_millis(20);

/// What changed at the targets, in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Effects {
    /// New timelines, from the databases' own logs.
    pub(crate) promotions: usize,
    /// Starts of a database, from its own log: one for each time that a node was rebuilt.
    pub(crate) starts: usize,
    /// Machines that ran were switched off.
    pub(crate) switched_off: usize,
    /// Machines that were off were switched on.
    pub(crate) switched_on: usize,
    /// The name came to point elsewhere.
    pub(crate) moves: usize,
    /// Runs that were opened.
    pub(crate) runs: usize,
}

/// What was done once more and changed nothing that anybody sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Harmless {
    /// Calls of a tool that found its work done.
    pub(crate) calls: usize,
    /// Updates of the zone; the witness beside the name is renewed by each holder.
    pub(crate) zone_updates: usize,
}

impl Effects {
    const NAMES: [&str; 6] = ["promotions", "database starts", "power off", "power on", "name moves", "runs"];

    const fn numbers(&self) -> [usize; 6] {
        [self.promotions, self.starts, self.switched_off, self.switched_on, self.moves, self.runs]
    }

    /// Those that happened more often than in `undisturbed`.
    pub(crate) fn repeated(&self, undisturbed: &Self) -> Vec<String> {
        self.compare(undisturbed, |now, then| now > then)
    }

    /// Those that happened less often than in `undisturbed`.
    pub(crate) fn missing(&self, undisturbed: &Self) -> Vec<String> {
        self.compare(undisturbed, |now, then| now < then)
    }

    fn compare(&self, undisturbed: &Self, differs: impl Fn(usize, usize) -> bool) -> Vec<String> {
        let pairs = self.numbers().into_iter().zip(undisturbed.numbers());
        let named = Self::NAMES.into_iter().zip(pairs);
        let told = named.filter(|(_, (now, then))| differs(*now, *then));
        told.map(|(name, (now, then))| format!("{name}: {now} instead of {then}")).collect()
    }
}

impl fmt::Display for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::NAMES.into_iter().zip(self.numbers()).filter(|(_, n)| *n > 0);
        let told: Vec<String> = named.map(|(name, n)| format!("{name} {n}")).collect();
        f.write_str(&told.join(", "))
    }
}

/// Counters that only grow, and the watch over the name.
pub(crate) struct Meter {
    begin: Counters,
    moves: Arc<AtomicUsize>,
    watch: JoinHandle<()>,
}

#[derive(Clone, Copy)]
struct Counters {
    promotions: usize,
    starts: usize,
    serial: u32,
    asked: tools::Asked,
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl Meter {
    /// Counts from now on.
    pub(crate) async fn start(world: &World) -> anyhow::Result<Self> {
        let names = names(world);
        let begin = Counters::read(world).await?;
        let first = ask_address(names, RECORD, ANSWER).await?.address;
        let moves = Arc::new(AtomicUsize::new(0));
        let watch = tokio::spawn(watch(names, first, Arc::clone(&moves)));
        Ok(Self { begin, moves, watch })
    }

    /// What happened since; `runs` is for the caller to say.
    pub(crate) async fn read(&self, world: &World, runs: usize) -> anyhow::Result<(Effects, Harmless)> {
        let now = Counters::read(world).await?;
        let begin = &self.begin;
        let tool = |of: fn(&tools::Asked) -> usize| of(&now.asked) - of(&begin.asked);
        let effects = Effects {
            promotions: now.promotions - begin.promotions,
            starts: now.starts - begin.starts,
            switched_off: tool(|a| a.switched_off),
            switched_on: tool(|a| a.switched_on),
            moves: self.moves.load(Ordering::Relaxed),
            runs,
        };
        let updates = usize::try_from(now.serial.wrapping_sub(begin.serial))?;
        let harmless = Harmless {
            calls: tool(|a| a.found_done) + tool(|a| a.rejoins).saturating_sub(effects.starts),
            zone_updates: updates,
        };
        Ok((effects, harmless))
    }
}

impl Counters {
    async fn read(world: &World) -> anyhow::Result<Self> {
        let logs: Vec<String> = world
            .regions()
            .iter()
            .map(|r| std::fs::read_to_string(world.dir().join(r.as_str()).join("postgres.log")))
            .collect::<Result<_, _>>()
            .context("failed to read a database's log")?;
        let count = |what: &str| logs.iter().map(|log| log.matches(what).count()).sum();
        Ok(Self {
            promotions: count("selected new timeline ID"),
            starts: count("starting PostgreSQL"),
            serial: ask_serial(names(world)).await?,
            asked: tools::asked(world.dir()),
        })
    }
}

fn names(world: &World) -> SocketAddr {
    world.addresses().own(&Place::NameServer, Kind::Dns)
}

async fn watch(names: SocketAddr, mut last: IpAddr, moves: Arc<AtomicUsize>) {
    loop {
        if let Ok(answer) = ask_address(names, RECORD, ANSWER).await
            && answer.address != last
        {
            last = answer.address;
            moves.fetch_add(1, Ordering::Relaxed);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The zone's serial: it grows by one with each update that changes data, and with no other.
async fn ask_serial(server: SocketAddr) -> anyhow::Result<u32> {
    let mut query = Message::new(7, MessageType::Query, OpCode::Query);
    query.add_query(Query::query(Name::from_str(&format!("{ZONE}."))?, RecordType::SOA));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(server).await?;
    socket.send(&query.to_vec()?).await?;
    let mut buffer = [0; 4096];
    let count =
        tokio::time::timeout(ANSWER, socket.recv(&mut buffer)).await.context("no answer in time")??;
    let answer = Message::from_vec(buffer.get(..count).unwrap_or_default())?;
    let serial = answer.answers.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(soa.serial),
        _ => None,
    });
    match serial {
        Some(serial) => Ok(serial),
        None => bail!("the name server has no SOA of {ZONE}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_repeated_and_less_is_missing() {
        let then = Effects { promotions: 1, moves: 1, ..Effects::default() };
        let now = Effects { promotions: 2, moves: 0, ..Effects::default() };
        assert_eq!(now.repeated(&then), ["promotions: 2 instead of 1"]);
        assert_eq!(now.missing(&then), ["name moves: 0 instead of 1"]);
        assert_eq!(then.to_string(), "promotions 1, name moves 1");
    }
}
