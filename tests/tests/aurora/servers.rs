//! The data plane: what happens to the fake's clusters happens to real servers.

use crate::stage::{EAST, EAST_AWS, WEST};
use muster_aws_fake::{RdsEffect, RdsHappening};
use muster_providers::testing::postgres::{Pair, Server};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::sync::mpsc::UnboundedReceiver;

/// The servers, which the test and the mirror share.
pub(crate) type Servers = Arc<Mutex<Pair>>;

/// Does to the servers what happens to the clusters of their regions, as long as the fake is there. A demoted server
/// stops in order, with all that it wrote at the other one, and follows that one once it is promoted.
pub(crate) async fn mirror(servers: Servers, mut happenings: UnboundedReceiver<RdsHappening>) {
    let mut demoted = None;
    while let Some(happening) = happenings.recv().await {
        let mut pair = servers.lock().await;
        let (here, there) = if happening.region == EAST_AWS { (EAST, WEST) } else { (WEST, EAST) };
        match happening.effect {
            RdsEffect::Demoted => {
                let server = pair.server_mut(here);
                // One that was killed has writes that nobody else has, and stays away.
                demoted = server.postmaster().is_some().then_some(here);
                server.stop();
            }
            RdsEffect::Promoted => {
                let promoted = pair.server(here);
                promoted.value("select pg_promote()").await.expect("a standby is promoted");
                promoted.until("select pg_is_in_recovery()", "f").await.expect("it takes writes");
                let source = promoted.port;
                if demoted.take() == Some(there) {
                    let server = pair.server_mut(there);
                    follow(server, source).expect("its settings are written");
                    server.start().await.expect("the old primary starts as a standby");
                }
            }
            _ => {}
        }
    }
}

/// Makes a stopped server a standby of the one on this port.
fn follow(server: &Server, source: u16) -> io::Result<()> {
    let (data, region) = (&server.data, &server.region);
    let mut settings = OpenOptions::new().append(true).open(data.join("postgresql.auto.conf"))?;
    let source = format!("host=127.0.0.1 port={source} user=postgres application_name={region}");
    writeln!(settings, "primary_conninfo = '{source}'")?;
    fs::write(data.join("standby.signal"), "")
}
