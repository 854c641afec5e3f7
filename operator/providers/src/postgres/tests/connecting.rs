//! Connections that take longer than the look that asked for them.

use super::*;
use crate::postgres::Node;
use crate::postgres::error::PgError;
use crate::postgres::link::{Link, Login};
use crate::testing::postgres::{DATABASE, MUSTER};
use futures::future::join_all;
use muster_core::secret::Secret;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// A way to a server on which each connection is kept waiting at first.
struct SlowWay {
    at: SocketAddr,
    taken: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for SlowWay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SlowWay {
    async fn start(server: SocketAddr, wait: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let taken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&taken);
        let task = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    tokio::time::sleep(wait).await;
                    let mut server = TcpStream::connect(server).await.unwrap();
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self { at, taken, task }
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    fn link(&self) -> Link {
        let node = Node { host: self.at.ip().to_string(), port: self.at.port() };
        let password = Secret::new(MUSTER);
        Link::new(&node, DATABASE, Login { user: MUSTER, password: &password }, None, None)
    }
}

async fn slow_way(wait: Duration) -> (Pair, SlowWay) {
    let (pair, _) = pair("").await;
    let way = SlowWay::start(([127, 0, 0, 1], pair.server("east").port).into(), wait).await;
    (pair, way)
}

fn within(millis: u64) -> Instant {
    Instant::now() + Duration::from_millis(millis)
}

/// Looks as an observer does, until one look comes in time; the sessions are kept.
async fn look_until_seen(link: &Link, each: u64) -> usize {
    let deadline = Instant::now() + SECONDS * 2;
    for looks in 1.. {
        match link.session(within(each)).await {
            Ok(session) => {
                session.keep();
                return looks;
            }
            Err(PgError::Late { .. }) => assert!(Instant::now() < deadline, "{looks} looks were late"),
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("looks are counted without end")
}

#[tokio::test]
async fn a_connection_that_comes_too_late_for_its_look_serves_the_next_one() {
    let (_pair, way) = slow_way(Duration::from_millis(400)).await;
    let link = way.link();
    let looks = look_until_seen(&link, 150).await;
    assert!(looks > 1, "one look of 150 ms cannot have come in time");
    assert!(way.taken() <= 2, "{looks} looks opened {} connections", way.taken());
}

#[tokio::test]
async fn many_that_begin_at_once_all_come_through() {
    let (_pair, way) = slow_way(Duration::from_millis(100)).await;
    let links: Vec<Link> = (0..60).map(|_| way.link()).collect();
    // Four rounds of log-ins, each longer than a look.
    let looks = join_all(links.iter().map(|link| look_until_seen(link, 60))).await;
    assert!(looks.iter().any(|looks| *looks > 2), "{looks:?}");
    assert!(way.taken() <= 2 * links.len(), "{} connections for {} links", way.taken(), links.len());
}

#[tokio::test]
async fn what_was_asked_for_before_it_was_to_be_forgotten_is_not_handed_out() {
    let (_pair, way) = slow_way(Duration::from_millis(300)).await;
    let link = way.link();
    assert!(link.session(within(100)).await.is_err());
    let deadline = within(10_000);
    while way.taken() == 0 {
        assert!(Instant::now() < deadline, "nothing was opened");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    link.forget();
    let session = link.session(within(5_000)).await.unwrap();
    assert!(!session.was_idle());
    assert_eq!(way.taken(), 2, "the second one began afterwards");
}

#[tokio::test]
async fn a_server_that_refuses_is_told_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    let password = Secret::new(MUSTER);
    let node = Node { host: at.ip().to_string(), port: at.port() };
    let link = Link::new(&node, DATABASE, Login { user: MUSTER, password: &password }, None, None);
    let begun = Instant::now();
    let error = link.session(within(60_000)).await.err().expect("nobody listens");
    assert!(matches!(error, PgError::Connect { .. }), "{error}");
    assert!(begun.elapsed() < SECONDS);
}
