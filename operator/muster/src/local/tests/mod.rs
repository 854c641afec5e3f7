//! Whole controllers on loopback, on policies whose databases do not answer: nothing ever acts.

mod files;
mod http;
mod pair;
mod vantage;

use super::run::Local;
use super::{Settings, TestArgs};
use crate::telemetry::LogArgs;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

/// A policy whose targets are closed ports.
const POLICY: &str = include_str!("checkout.yaml");

/// Folders of one machine.
struct Place {
    root: TempDir,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let place = Self { root };
        for folder in ["policies", "state", "secrets/pg", "secrets/dns", "secrets/v1"] {
            std::fs::create_dir_all(place.path(folder)).unwrap();
        }
        let secrets = [
            ("pg/muster", "pw"),
            ("pg/shop", "pw"),
            ("dns/tsig", "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"),
            ("v1/token", V1_TOKEN),
        ];
        for (secret, value) in secrets {
            std::fs::write(place.path("secrets").join(secret), value).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path("policies").join(file), text).unwrap();
    }

    fn settings(&self, name: &str) -> Settings {
        Settings {
            policies: self.path("policies"),
            secrets: Some(self.path("secrets")),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            name: Some(name.to_owned()),
            region: None,
            pass_env: Vec::new(),
            log: LogArgs::default(),
            test: TestArgs::default(),
        }
    }

    async fn start(&self, name: &str) -> Server {
        self.start_with(&self.settings(name)).await
    }

    async fn start_with(&self, settings: &Settings) -> Server {
        let stop = CancellationToken::new();
        let local = Local::start(settings, &self.path("state"), stop.clone()).await.unwrap();
        let token = std::fs::read_to_string(self.path("state/token")).unwrap().trim().to_owned();
        Server { local, stop, token }
    }
}

const V1_TOKEN: &str = "token-of-the-first-vantage";

/// A controller that runs.
struct Server {
    local: Local,
    stop: CancellationToken,
    token: String,
}

impl Server {
    async fn get(&self, path: &str) -> (u16, Value) {
        call(self.local.listen, "GET", path, Some(&self.token), "").await
    }

    async fn post(&self, path: &str, body: &str) -> (u16, Value) {
        call(self.local.listen, "POST", path, Some(&self.token), body).await
    }

    /// Polls until an answer shows what is wanted.
    async fn until(&self, path: &str, what: &str, found: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let (status, answer) = self.get(path).await;
            if status == 200 && found(&answer) {
                return answer;
            }
            assert!(tokio::time::Instant::now() < deadline, "waited too long until {what}: {answer}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn end(self) {
        self.local.end(self.stop).await;
    }
}

/// One request on one connection.
async fn call(to: SocketAddr, method: &str, path: &str, token: Option<&str>, body: &str) -> (u16, Value) {
    let token = token.map_or_else(String::new, |token| format!("authorization: Bearer {token}\r\n"));
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n{token}\r\n{body}",
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(to).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

fn has_policy(answer: &Value, name: &str) -> bool {
    answer["policies"].as_array().is_some_and(|all| all.iter().any(|p| p["name"] == name))
}

/// The policy has passes of its own.
async fn in_force(server: &Server) -> Value {
    let passes = |answer: &Value| answer["decision"]["rule"].is_string();
    server.until("/v1/policies/shop/checkout", "the policy has passes", passes).await
}
