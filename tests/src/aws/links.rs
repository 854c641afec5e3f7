//! The way to each database from outside of its subnets: packets pass as long as the network ACLs of its region let them. What
//! databases do among themselves does not come this way.
//!
//! What this module must never do: close a connection because it is cut off. Packets that are denied are dropped, and neither end
//! hears of it.

use super::cloud::ACCOUNT;
use super::items::Items;
use super::region::Region;
use anyhow::Context;
use muster_aws_fake::FakeAws;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

/// Between two looks at the network ACLs.
const LOOK: Duration = Duration::from_millis(10);

/// The ways to one item's databases.
pub(super) type Ways = BTreeMap<Region, SocketAddr>;

/// All ways of a bed.
pub(super) struct Links {
    pub(super) orders: Ways,
    pub(super) reports: Ways,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl Links {
    /// Opens a way to each database.
    pub(super) async fn open(aws: &FakeAws, items: &Items) -> anyhow::Result<Self> {
        let (mut orders, mut reports, mut tasks) = (Ways::new(), Ways::new(), Vec::new());
        for region in Region::ALL {
            let (sender, cut) = watch::channel(false);
            tasks.push(spawn(look(aws.clone(), region, sender)));
            for (databases, ways) in [(&items.orders, &mut orders), (&items.reports, &mut reports)] {
                let listener =
                    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port for a way")?;
                ways.insert(region, listener.local_addr()?);
                tasks.push(spawn(serve(listener, databases.address(region), cut.clone())));
            }
        }
        Ok(Self { orders, reports, _tasks: tasks })
    }
}

fn spawn(work: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(work))
}

async fn look(aws: FakeAws, region: Region, cut: watch::Sender<bool>) {
    loop {
        let now = aws.is_cut_off(ACCOUNT, region.aws());
        cut.send_if_modified(|known| std::mem::replace(known, now) != now);
        sleep(LOOK).await;
    }
}

async fn serve(listener: TcpListener, database: SocketAddr, cut: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            sleep(LOOK).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        connections.spawn(pass(client, database, cut.clone()));
    }
}

async fn pass(mut client: TcpStream, database: SocketAddr, mut cut: watch::Receiver<bool>) {
    if cut.wait_for(|is_cut| !*is_cut).await.is_err() {
        return;
    }
    let Ok(mut server) = TcpStream::connect(database).await else { return };
    let is_cut_off = tokio::select! {
        // Whichever end goes, the other one hears of it.
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => false,
        is_cut = cut.wait_for(|is_cut| *is_cut) => is_cut.is_ok(),
    };
    if is_cut_off {
        // Both ends are held open, and hear nothing. An error is that nobody looks any more.
        let _ = cut.wait_for(|is_cut| !*is_cut).await;
    }
}
