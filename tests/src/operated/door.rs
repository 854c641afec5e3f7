//! A world's power tool and rejoin hook as endpoints: each call runs the very program, with its words in the
//! environment as `muster local` gives them.

use anyhow::Context;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// The programs of a policy, by the first word of the path.
#[derive(Debug)]
struct Programs {
    power: String,
    rejoin: String,
}

/// Answers until dropped.
#[derive(Debug)]
pub(crate) struct Door {
    pub(super) address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

impl Door {
    /// Opens it for the programs that `policy` names.
    pub(crate) async fn open(policy: &Value) -> anyhow::Result<Self> {
        let fences = policy["spec"]["fence"].as_array().into_iter().flatten();
        let mut named = fences.filter_map(|fence| fence["exec"]["fence"][0].as_str());
        let power = named.next().unwrap_or_default();
        let rejoin = policy["spec"]["data"][0]["postgres"]["rejoin"]["exec"]["command"][0].as_str();
        let programs =
            Arc::new(Programs { power: power.to_owned(), rejoin: rejoin.unwrap_or_default().to_owned() });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let programs = Arc::clone(&programs);
                let service = service_fn(move |request| answer(request, Arc::clone(&programs)));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Ok(Self { address, _task: AbortOnDropHandle::new(task) })
    }
}

async fn answer(
    request: Request<Incoming>,
    programs: Arc<Programs>,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let path = request.uri().path().to_owned();
    let (status, body) = match call(&path, request, &programs).await {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}").into_bytes()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    Ok(response)
}

async fn call(path: &str, request: Request<Incoming>, programs: &Programs) -> anyhow::Result<Vec<u8>> {
    let (tool, verb) = path.trim_start_matches('/').split_once('/').context("a tool and a verb")?;
    let program = if tool == "power" { &programs.power } else { &programs.rejoin };
    let body: Value = serde_json::from_slice(&request.into_body().collect().await?.to_bytes())?;
    let mut command = tokio::process::Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).env("MUSTER_VERB", verb);
    if tool == "power" {
        command.arg(verb);
    }
    let words = [
        ("MUSTER_REGION", "region"),
        ("MUSTER_FOLLOW", "follow"),
        ("MUSTER_FOLLOW_ADDRESS", "followAddress"),
        ("MUSTER_RUN", "run"),
        ("MUSTER_KEY", "key"),
    ];
    for (variable, field) in words {
        if let Some(value) = body[field].as_str() {
            command.env(variable, value);
        }
    }
    // It goes on when its caller is gone, as an endpoint elsewhere would.
    let child = command.spawn().with_context(|| format!("{program} does not start"))?;
    let output = tokio::spawn(child.wait_with_output()).await??;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}
