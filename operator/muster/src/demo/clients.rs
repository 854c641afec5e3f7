//! The clients: those outside, who come by the public name, and those inside a region, who go on in a partition.

use super::addresses::{Addresses, Kind, Place};
use super::http::{Call, send};
use super::ledger::Ledger;
use super::nameserver::RECORD;
use super::postgres::{Login, connect};
use super::resolver::Resolver;
use crate::clock::Clock;
use anyhow::{Context, bail};
use muster_core::ids::RegionName;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A group of clients at work. Dropping it stops them.
#[derive(Debug)]
pub struct Writers {
    ledger: Arc<Ledger>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

/// How many, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Clients.
    pub clients: u32,
    /// Each one's pause between two orders.
    pub pause: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { clients: 2, pause: Duration::from_millis(40) }
    }
}

impl Writers {
    /// Clients outside: each resolves the public name, connects afresh and posts an order, for ever.
    pub fn outside(addresses: &Addresses, pace: Pace) -> Self {
        let server = addresses.path(&Place::Outside, &Place::NameServer, Kind::Dns);
        let port = addresses.port(Kind::Api);
        Self::start(pace, |number, ledger| {
            place_orders(Customer { server, port, name: format!("customer-{number}") }, ledger, pace)
        })
    }

    /// Clients inside a region: each keeps a connection to the region's own database and commits orders as the
    /// role `shop`. They wait for an answer as long as it takes, as programs with default settings do.
    pub fn inside(addresses: &Addresses, region: &RegionName, password: &str, pace: Pace) -> Self {
        let address = addresses.own(&Place::Region(region.clone()), Kind::Database);
        Self::start(pace, |number, ledger| {
            let clerk = Clerk {
                address,
                region: region.to_string(),
                password: password.to_owned(),
                name: format!("{region}-clerk-{number}"),
            };
            commit_orders(clerk, ledger, pace)
        })
    }

    fn start<F>(pace: Pace, client: impl Fn(u32, Arc<Ledger>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let ledger = Arc::new(Ledger::new(Clock::system()));
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for number in 1..=pace.clients {
            let (work, stop) = (client(number, ledger.clone()), stop.clone());
            tasks.spawn(async move {
                let _ = stop.run_until_cancelled(work).await;
            });
        }
        Self { ledger, stop, tasks }
    }

    /// What they were told.
    pub const fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Stops them. What is under way stays without an answer.
    pub async fn stop(mut self) -> Arc<Ledger> {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.ledger.clone()
    }

    /// Waits until `count` more orders are acknowledged than now.
    pub async fn wait_for(&self, count: usize, patience: Duration) -> anyhow::Result<()> {
        let goal = self.ledger.acknowledged() + count;
        let reached = timeout(patience, async {
            while self.ledger.acknowledged() < goal {
                sleep(Duration::from_millis(5)).await;
            }
        });
        let done = reached.await;
        done.with_context(|| {
            let why = self.ledger.last_failure().unwrap_or_else(|| "no answer".to_owned());
            format!("orders are not acknowledged: {} of {goal} ({why})", self.ledger.acknowledged())
        })
    }
}

struct Customer {
    server: SocketAddr,
    port: u16,
    name: String,
}

async fn place_orders(who: Customer, ledger: Arc<Ledger>, pace: Pace) {
    const PATIENCE: Duration = Duration::from_secs(1);
    let mut resolver = Resolver::new(who.server, RECORD);
    loop {
        let id = Uuid::new_v4();
        let entry = ledger.send(id, &who.name);
        let ordered = async {
            let address = resolver.resolve(PATIENCE).await?;
            let order = json!({ "id": id, "item": "tea", "writer": who.name });
            let answer = send((address, who.port).into(), &Call::post("/orders", order), PATIENCE).await?;
            match (answer.status, answer.body["region"].as_str()) {
                (201, Some(region)) => anyhow::Ok(region.to_owned()),
                (status, _) => bail!("{status}: {}", answer.body["message"].as_str().unwrap_or("refused")),
            }
        };
        match ordered.await {
            Ok(region) => ledger.acknowledge(entry, &region),
            Err(error) => ledger.fail(entry, &format!("{error:#}")),
        }
        sleep(pace.pause).await;
    }
}

struct Clerk {
    address: SocketAddr,
    region: String,
    password: String,
    name: String,
}

async fn commit_orders(clerk: Clerk, ledger: Arc<Ledger>, pace: Pace) {
    const CONNECT: Duration = Duration::from_secs(2);
    let login = Login { user: "shop", password: &clerk.password, database: "shop" };
    loop {
        if let Ok(client) = connect(clerk.address, &login, CONNECT).await {
            while commit_order(&clerk, &client, &ledger).await {
                sleep(pace.pause).await;
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Whether the connection can be used on.
async fn commit_order(clerk: &Clerk, client: &Client, ledger: &Ledger) -> bool {
    let id = Uuid::new_v4();
    let entry = ledger.send(id, &clerk.name);
    let sql = "insert into orders (id, item, writer) values ($1::text::uuid, 'tea', $2)";
    match client.execute(sql, &[&id.to_string(), &clerk.name]).await {
        Ok(_) => ledger.acknowledge(entry, &clerk.region),
        Err(error) => {
            ledger.fail(
                entry,
                &error.as_db_error().map_or_else(|| error.to_string(), |e| e.message().to_owned()),
            );
        }
    }
    !client.is_closed()
}
