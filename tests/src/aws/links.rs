//! The way to each database from outside of its subnets: packets pass as long as the network ACLs of its region let them. What
//! databases do among themselves does not come this way.
//!
//! What this module must never do: close a connection because it is cut off. Packets that are denied are dropped, and neither end
//! hears of it.

use super::cloud::ACCOUNT;
use super::fronts::serve_each;
use super::items::Items;
use super::region::Region;
use anyhow::Context;
use muster_aws_fake::FakeAws;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

/// Between two looks at the network ACLs, of a connection.
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
            for (databases, ways) in [(&items.orders, &mut orders), (&items.reports, &mut reports)] {
                let listener =
                    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port for a way")?;
                ways.insert(region, listener.local_addr()?);
                let (aws, database) = (aws.clone(), databases.address(region));
                let serve = async move {
                    serve_each(&listener, |client| pass(client, database, Acls { aws: aws.clone(), region }))
                        .await;
                };
                tasks.push(AbortOnDropHandle::new(tokio::spawn(serve)));
            }
        }
        Ok(Self { orders, reports, _tasks: tasks })
    }
}

/// Those of a region.
struct Acls {
    aws: FakeAws,
    region: Region,
}

impl Acls {
    async fn until_cut(&self, is_cut: bool) {
        while self.aws.is_cut_off(ACCOUNT, self.region.aws()) != is_cut {
            sleep(LOOK).await;
        }
    }
}

async fn pass(mut client: TcpStream, database: SocketAddr, acls: Acls) {
    acls.until_cut(false).await;
    let Ok(mut server) = TcpStream::connect(database).await else { return };
    tokio::select! {
        // Whichever end goes, the other one hears of it.
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        // Both ends are held open, and hear nothing.
        () = acls.until_cut(true) => acls.until_cut(false).await,
    }
}
