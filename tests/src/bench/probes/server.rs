//! The probed server: reads one request, answers 200, closes.
#![allow(clippy::print_stdout)]

use super::super::process::Process;
use anyhow::Context;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

/// The role `server`: says its address, then serves until it is killed.
pub(crate) fn serve() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (mut stream, _) = listener.accept().await?;
            tokio::spawn(async move {
                let mut request = [0; 4096];
                if stream.read(&mut request).await.is_ok_and(|n| n > 0) {
                    // A prober that went away meanwhile counts that itself.
                    let _ = stream.write_all(ANSWER).await;
                }
            });
        }
    })
}

/// The server's process.
pub(crate) struct Server {
    pub(crate) address: String,
    _process: Process,
}

impl Server {
    pub(crate) fn start(me: &Path) -> anyhow::Result<Self> {
        let mut process = Process::start(Command::new(me).args(["role", "server"]).stdout(Stdio::piped()))?;
        let stdout = process.child().stdout.take().context("the server has an output")?;
        let mut address = String::new();
        BufReader::new(stdout).read_line(&mut address).context("failed to read the server's address")?;
        Ok(Self { address: address.trim().to_owned(), _process: process })
    }
}
