//! The order service: what the demo's users want to reach. A real HTTP service beside its region's own PostgreSQL,
//! as the role `shop`.
//!
//! `POST /orders`, `GET /orders/{id}`, `DELETE /orders/{id}`, `GET /healthz` (the process answers) and
//! `GET /healthz/deep` (an order can be written, read back and removed). On a read-only node writes are refused
//! with 503; a database that hangs gives 503 within a second.

use super::postgres::{Login, connect};
use anyhow::Context;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_postgres::Client;
use uuid::Uuid;

/// A request's time at the database, below the second that the service promises.
const PATIENCE: Duration = Duration::from_millis(800);
/// Idle connections that are kept.
const POOL: usize = 8;

/// How the service is started.
#[derive(clap::Args, Debug)]
pub struct ServiceArgs {
    /// The region that it stands in
    #[arg(long)]
    region: String,
    /// Where to listen
    #[arg(long)]
    listen: SocketAddr,
    /// The region's own PostgreSQL
    #[arg(long)]
    database: SocketAddr,
    /// File with the password of the role shop
    #[arg(long)]
    password_file: PathBuf,
    /// Others listen at the same address too
    #[arg(long)]
    shared: bool,
}

/// Serves until the process ends.
pub async fn serve(args: ServiceArgs) -> anyhow::Result<()> {
    let password = std::fs::read_to_string(&args.password_file)
        .with_context(|| format!("failed to read {}", args.password_file.display()))?;
    let database =
        Database { address: args.database, password: password.trim().to_owned(), idle: Mutex::default() };
    let shop = Arc::new(Shop { region: args.region, database });
    let listener = listen(args.listen, args.shared);
    let listener = listener.with_context(|| format!("failed to listen on {}", args.listen))?;
    axum::serve(listener, router(shop)).await.context("failed to serve orders")
}

fn listen(address: SocketAddr, shared: bool) -> std::io::Result<tokio::net::TcpListener> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(shared)?;
    socket.bind(address)?;
    socket.listen(1024)
}

struct Shop {
    region: String,
    database: Database,
}

fn router(shop: Arc<Shop>) -> Router {
    Router::new()
        .route("/orders", post(place))
        .route("/orders/{id}", get(read).delete(remove))
        .route("/healthz", get(health))
        .route("/healthz/deep", get(deep_health))
        .with_state(shop)
}

/// A few connections to one PostgreSQL. One that failed or was given up in mid-request is not used again.
struct Database {
    address: SocketAddr,
    password: String,
    idle: Mutex<Vec<Client>>,
}

impl Database {
    async fn take(&self) -> anyhow::Result<Client> {
        let kept = {
            let mut idle = self.idle.lock().await;
            idle.retain(|c| !c.is_closed());
            idle.pop()
        };
        match kept {
            Some(client) => Ok(client),
            None => {
                connect(
                    self.address,
                    &Login { user: "shop", password: &self.password, database: "shop" },
                    PATIENCE,
                )
                .await
            }
        }
    }

    /// Runs `work` on a connection, in time.
    async fn with<T, F: Future<Output = Result<T, tokio_postgres::Error>>>(
        &self,
        work: impl FnOnce(Arc<Client>) -> F,
    ) -> Result<T, Trouble> {
        let attempt = async {
            let client = Arc::new(self.take().await.map_err(|e| Trouble::Unreachable(format!("{e:#}")))?);
            let done = work(client.clone()).await.map_err(|e| Trouble::from(&e))?;
            let mut idle = self.idle.lock().await;
            if let Some(client) = Arc::into_inner(client).filter(|_| idle.len() < POOL) {
                idle.push(client);
            }
            Ok(done)
        };
        tokio::time::timeout(PATIENCE, attempt).await.unwrap_or(Err(Trouble::Late))
    }
}

/// Why the database did not do it.
enum Trouble {
    Unreachable(String),
    ReadOnly,
    Refused(String),
    Late,
}

impl From<&tokio_postgres::Error> for Trouble {
    fn from(error: &tokio_postgres::Error) -> Self {
        let code = error.code().cloned();
        match code {
            Some(tokio_postgres::error::SqlState::READ_ONLY_SQL_TRANSACTION) => Self::ReadOnly,
            Some(_) => Self::Refused(
                error.as_db_error().map_or_else(|| error.to_string(), |e| e.message().to_owned()),
            ),
            None => Self::Unreachable(error.to_string()),
        }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let (reason, message) = match self {
            Self::Unreachable(why) => ("unreachable", why),
            Self::ReadOnly => {
                ("readOnly", "this region's database is a standby and takes no orders".to_owned())
            }
            Self::Refused(why) => ("refused", why),
            Self::Late => ("late", format!("the database did not answer within {} ms", PATIENCE.as_millis())),
        };
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "error": reason, "message": message })))
            .into_response()
    }
}

#[derive(Deserialize)]
struct NewOrder {
    /// The client's own id makes a repetition of an unanswered order recognizable.
    id: Option<Uuid>,
    item: String,
    #[serde(default)]
    writer: String,
}

async fn place(State(shop): State<Arc<Shop>>, Json(order): Json<NewOrder>) -> Result<Response, Trouble> {
    let id = order.id.unwrap_or_else(Uuid::new_v4);
    shop.database
        .with(async |client: Arc<Client>| insert(&client, id, &order.item, &order.writer).await)
        .await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id, "region": shop.region }))).into_response())
}

async fn insert(client: &Client, id: Uuid, item: &str, writer: &str) -> Result<(), tokio_postgres::Error> {
    let sql = "insert into orders (id, item, writer) values ($1::text::uuid, $2, $3)";
    client.execute(sql, &[&id.to_string(), &item, &writer]).await.map(|_| ())
}

async fn select(client: &Client, id: Uuid) -> Result<Option<(String, String)>, tokio_postgres::Error> {
    let row = client
        .query_opt("select item, state from orders where id = $1::text::uuid", &[&id.to_string()])
        .await?;
    row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}

async fn delete(client: &Client, id: Uuid) -> Result<u64, tokio_postgres::Error> {
    client.execute("delete from orders where id = $1::text::uuid", &[&id.to_string()]).await
}

async fn read(State(shop): State<Arc<Shop>>, Path(id): Path<Uuid>) -> Result<Response, Trouble> {
    let found = shop.database.with(async |client: Arc<Client>| select(&client, id).await).await?;
    Ok(match found {
        Some((item, state)) => {
            Json(json!({ "id": id, "item": item, "state": state, "region": shop.region })).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    })
}

async fn remove(State(shop): State<Arc<Shop>>, Path(id): Path<Uuid>) -> Result<Response, Trouble> {
    let count = shop.database.with(async |client: Arc<Client>| delete(&client, id).await).await?;
    Ok(if count == 1 { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }.into_response())
}

async fn health(State(shop): State<Arc<Shop>>) -> Response {
    Json(json!({ "ok": true, "region": shop.region })).into_response()
}

async fn deep_health(State(shop): State<Arc<Shop>>) -> Result<Response, Trouble> {
    let id = Uuid::new_v4();
    let work = async |client: Arc<Client>| {
        insert(&client, id, "health check", "healthz").await?;
        let found = select(&client, id).await?;
        delete(&client, id).await?;
        Ok(found.is_some())
    };
    let ok = shop.database.with(work).await?;
    let status = if ok { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
    Ok((status, Json(json!({ "ok": ok, "region": shop.region }))).into_response())
}
