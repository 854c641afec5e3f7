//! kubectl as a client of one cluster. It reads no settings of the person who runs the tests.

use super::certificates::Identity;
use super::folder::write_private;
use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// The longest that one call may take; a call that waits (`kubectl wait`) has its own, shorter `--timeout`.
const DEADLINE: Duration = Duration::from_mins(2);

/// How to call it.
#[derive(Clone, Debug)]
pub(super) struct Kubectl {
    pub(super) program: PathBuf,
    pub(super) kubeconfig: PathBuf,
    /// For what it caches.
    pub(super) folder: PathBuf,
}

impl Kubectl {
    /// Its standard output; an error holds all that it wrote.
    pub(super) async fn run(&self, args: &[&str], stdin: Option<&str>) -> anyhow::Result<String> {
        let call = timeout(DEADLINE, self.call(args, stdin)).await;
        let what = || format!("kubectl {}", args.join(" "));
        call.context("no end within two minutes").flatten().with_context(what)
    }

    /// Starts it, for whoever reads what it prints for a while. Dropped, it ends.
    pub(super) fn follow(&self, args: &[&str]) -> anyhow::Result<Child> {
        let mut command = self.command(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().context("failed to start kubectl")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(args).current_dir(&self.folder);
        command.env("HOME", &self.folder).env("KUBERC", "off").env_remove("KUBECONFIG");
        command.kill_on_drop(true);
        command
    }

    async fn call(&self, args: &[&str], stdin: Option<&str>) -> anyhow::Result<String> {
        let mut command = self.command(args);
        command.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("failed to start")?;
        if let (Some(text), Some(mut pipe)) = (stdin, child.stdin.take()) {
            pipe.write_all(text.as_bytes()).await.context("failed to write to it")?;
        }
        let output = child.wait_with_output().await.context("failed to wait for it")?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            bail!("{}: {}", output.status, String::from_utf8_lossy(&said).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// How a client shows who it is.
#[derive(Debug)]
pub(super) enum Credentials<'a> {
    Certificate(&'a Identity),
    Token(&'a str),
}

impl Credentials<'_> {
    fn as_user(&self) -> serde_json::Value {
        match self {
            Self::Certificate(Identity { certificate, key }) => serde_json::json!({
                "client-certificate-data": BASE64.encode(certificate),
                "client-key-data": BASE64.encode(key),
            }),
            Self::Token(token) => serde_json::json!({ "token": token }),
        }
    }
}

/// Writes a kubeconfig that holds all it needs, so that its text can also go into a Secret.
pub(super) fn write_kubeconfig(
    path: &Path,
    server: &str,
    ca_pem: &str,
    credentials: &Credentials<'_>,
) -> anyhow::Result<()> {
    let ca = BASE64.encode(ca_pem);
    // JSON is YAML, and quotes any name.
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "cluster", "cluster": {"server": server, "certificate-authority-data": ca}}],
        "users": [{"name": "user", "user": credentials.as_user()}],
        "contexts": [{"name": "context", "context": {"cluster": "cluster", "user": "user"}}],
        "current-context": "context",
    });
    let text = serde_json::to_string_pretty(&config)?;
    write_private(path, &text)
}
