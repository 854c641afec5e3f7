//! The application: one small front a region, on the same port of two loopback addresses, and the two anchors.
//!
//! A front writes to its own region's database only, and refuses everything while the fence has switched it off.

use super::region::Region;
use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use muster::demo::postgres::{Login, connect};
use muster_providers::testing::postgres::{APPLICATION, DATABASE};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::ready;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;
use tokio_util::task::AbortOnDropHandle;

/// Of one request, sooner than a probe gives up.
const WITHIN: Duration = Duration::from_millis(500);
/// After an address that could not be listened on.
const REST: Duration = Duration::from_millis(50);
/// How often two addresses are looked for that have the same port free.
const DRAWS: u32 = 50;
/// Anchors stand outside of both regions.
const ANCHORS: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 9, 1), Ipv4Addr::new(127, 0, 9, 2)];

/// What stands before a region's database.
struct Front {
    database: SocketAddr,
    /// The fence's file: it is there while the region is switched off.
    off: PathBuf,
    session: Mutex<Option<Arc<Client>>>,
}

/// The fronts of both regions, and the anchors.
pub(super) struct Fronts {
    /// Of both.
    pub(super) port: u16,
    /// The first speaks HTTP, the second only takes connections.
    pub(super) anchors: [SocketAddr; 2],
    up: BTreeMap<Region, watch::Sender<bool>>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl Fronts {
    /// Starts both in front of these databases; `off_file` names a region's file of the fence.
    pub(super) async fn start(
        database: impl Fn(Region) -> SocketAddr,
        off_file: impl Fn(Region) -> PathBuf,
    ) -> anyhow::Result<Self> {
        let port = choose_port()?;
        let (mut up, mut tasks) = (BTreeMap::new(), Vec::new());
        for region in Region::ALL {
            let (sender, receiver) = watch::channel(true);
            let front =
                Front { database: database(region), off: off_file(region), session: Mutex::default() };
            let address = SocketAddr::from((region.front(), port));
            tasks.push(AbortOnDropHandle::new(tokio::spawn(serve(Arc::new(front), address, receiver))));
            up.insert(region, sender);
        }
        let [http, tcp] = ANCHORS;
        let (http, tcp) = (TcpListener::bind((http, 0)).await?, TcpListener::bind((tcp, 0)).await?);
        let anchors = [http.local_addr()?, tcp.local_addr()?];
        tasks.push(AbortOnDropHandle::new(tokio::spawn(serve_anchor(http))));
        tasks.push(AbortOnDropHandle::new(tokio::spawn(take_connections(tcp))));
        Ok(Self { port, anchors, up, _tasks: tasks })
    }

    /// Takes a region's front away, or brings it back.
    pub(super) fn set_up(&self, region: Region, is_up: bool) {
        if let Some(up) = self.up.get(&region) {
            up.send_replace(is_up);
        }
    }
}

fn choose_port() -> anyhow::Result<u16> {
    for _ in 0..DRAWS {
        let east = std::net::TcpListener::bind((Region::East.front(), 0)).context("no port for a front")?;
        let port = east.local_addr()?.port();
        if std::net::TcpListener::bind((Region::West.front(), port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free at both fronts' addresses")
}

/// Waits until the region is up, or is not; false: nobody decides that any more.
async fn until(up: &mut watch::Receiver<bool>, wanted: bool) -> bool {
    up.wait_for(|is_up| *is_up == wanted).await.is_ok()
}

/// Listens while the region is up. Its connections end with it.
async fn serve(front: Arc<Front>, address: SocketAddr, mut up: watch::Receiver<bool>) {
    while until(&mut up, true).await {
        let Ok(listener) = TcpListener::bind(address).await else {
            sleep(REST).await;
            continue;
        };
        tokio::select! {
            () = serve_each(&listener, |stream| serve_connection(Arc::clone(&front), stream)) => {}
            _ = until(&mut up, false) => {}
        }
    }
}

/// Serves each connection in a task of its own, until dropped; they end with it.
pub(super) async fn serve_each<S>(listener: &TcpListener, serve: impl Fn(TcpStream) -> S)
where
    S: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(REST).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        connections.spawn(serve(stream));
    }
}

async fn serve_connection(front: Arc<Front>, stream: TcpStream) {
    let service = service_fn(move |request| answer(Arc::clone(&front), request));
    // A client that hangs up is no trouble of the front's.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(front: Arc<Front>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let _ = body.collect().await;
    let served = timeout(WITHIN, front.answer(head.method.as_str(), head.uri.path())).await;
    let refused = |why: String| (StatusCode::SERVICE_UNAVAILABLE, json!({ "error": why }));
    let (status, body) = match served {
        Ok(Ok(answered)) => answered,
        Ok(Err(error)) => {
            front.forget_session().await;
            refused(format!("{error:#}"))
        }
        Err(_) => {
            front.forget_session().await;
            refused("the database is silent".to_owned())
        }
    };
    Ok(response(status, &body))
}

fn response(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

impl Front {
    async fn answer(&self, method: &str, path: &str) -> anyhow::Result<(StatusCode, Value)> {
        if self.off.exists() {
            return Ok((StatusCode::SERVICE_UNAVAILABLE, json!({ "error": "switched off" })));
        }
        let database = self.session().await?;
        let order = path.strip_prefix("/orders/").and_then(|id| id.parse::<i64>().ok());
        let known = (StatusCode::OK, json!({ "state": "placed" }));
        match (method, path, order) {
            ("GET", "/healthz", _) => {
                database.simple_query("select 1").await?;
                Ok((StatusCode::OK, json!({ "state": "up" })))
            }
            ("GET", "/healthz/deep", _) => {
                database.execute("insert into notes (item) values ('deep')", &[]).await?;
                database.execute("delete from notes where item = 'deep'", &[]).await?;
                Ok((StatusCode::OK, json!({ "state": "writes" })))
            }
            ("POST", "/orders", _) => {
                let insert = "insert into orders (item) values ('probe') returning id";
                let id: i64 = database.query_one(insert, &[]).await?.try_get(0)?;
                Ok((StatusCode::CREATED, json!({ "id": id.to_string(), "state": "placed" })))
            }
            ("GET", _, Some(id)) => {
                let found = database.query_opt("select id from orders where id = $1", &[&id]).await?;
                Ok(found.map_or((StatusCode::NOT_FOUND, json!({})), |_| known))
            }
            ("DELETE", _, Some(id)) => {
                database.execute("delete from orders where id = $1", &[&id]).await?;
                Ok(known)
            }
            _ => Ok((StatusCode::NOT_FOUND, json!({}))),
        }
    }

    /// The application's own session, kept from one request to the next.
    async fn session(&self) -> anyhow::Result<Arc<Client>> {
        let mut kept = self.session.lock().await;
        if let Some(client) = kept.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        let login = Login { user: APPLICATION, password: APPLICATION, database: DATABASE };
        let client = Arc::new(connect(self.database, &login, WITHIN).await?);
        *kept = Some(Arc::clone(&client));
        drop(kept);
        Ok(client)
    }

    async fn forget_session(&self) {
        *self.session.lock().await = None;
    }
}

async fn serve_anchor(listener: TcpListener) {
    let answer = |stream| async {
        let here = service_fn(|_: Request<Incoming>| {
            ready(Ok::<_, Infallible>(response(StatusCode::OK, &json!({ "state": "here" }))))
        });
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), here).await;
    };
    serve_each(&listener, answer).await;
}

async fn take_connections(listener: TcpListener) {
    loop {
        if listener.accept().await.is_err() {
            sleep(REST).await;
        }
    }
}
