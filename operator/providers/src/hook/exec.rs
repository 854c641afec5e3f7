//! Runs a program: no shell, a clean environment, a process group of its own that ends with the call.

use super::call::CallError;
use super::config::ExecConfig;
use super::context::Context;
use super::group::Group;
use super::output::{Output, quote_last_line};
use crate::OpCtx;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout, timeout_at};

/// Where programs are found when the configuration names no `PATH`.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How long output is waited for after a program has ended; only a daemon that it left behind holds the pipe open.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// How long a killed program may take to be gone; longer only in an uninterruptible system call.
const LAST_BREATH: Duration = Duration::from_secs(1);

/// Runs an effect, and returns what the program printed.
pub(super) async fn act(
    config: &ExecConfig,
    context: &Context,
    ctx: &OpCtx,
) -> Result<(String, bool), CallError> {
    let mut command = prepare(config, context);
    let spawned = ctx.send(async { command.spawn() }).await.map_err(CallError::Lease)?;
    supervise(config, spawned, ctx.not_after).await
}

/// Asks for a status.
pub(super) async fn ask(
    config: &ExecConfig,
    context: &Context,
    until: Instant,
) -> Result<(String, bool), CallError> {
    supervise(config, prepare(config, context).spawn(), until).await
}

fn prepare(config: &ExecConfig, context: &Context) -> Command {
    let mut words = config.command.iter();
    let mut command = Command::new(words.next().map_or("", String::as_str));
    command
        .args(words)
        .env_clear()
        .env("PATH", USUAL_PATH)
        .envs(&config.env)
        .envs(context.variables())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Waits for the end, at most until the deadline; then, and when the caller goes away, everything is killed.
async fn supervise(
    config: &ExecConfig,
    spawned: io::Result<Child>,
    until: Instant,
) -> Result<(String, bool), CallError> {
    let program = || config.command.first().cloned().unwrap_or_default();
    let mut child = spawned.map_err(|source| CallError::Start { program: program(), source })?;
    let mut group = Group::of_leader(child.id().unwrap_or(0));
    let (mut out, mut err) = (Output::default(), Output::default());
    let status = timeout_at(until, wait(&mut child, &mut group, &mut out, &mut err, until)).await;
    let (printed, complained) = (out.finish(), quote_last_line(&err.finish().0));
    match status {
        Ok(Ok(status)) if status.success() => Ok(printed),
        Ok(Ok(status)) => {
            Err(CallError::Exit { program: program(), status: Exit(status), complained: said(complained) })
        }
        Ok(Err(source)) => Err(CallError::Wait { program: program(), source }),
        Err(_) => {
            group.kill_all();
            let _ = timeout(LAST_BREATH, child.wait()).await;
            Err(CallError::Killed { program: program(), complained: said(complained) })
        }
    }
}

async fn wait(
    child: &mut Child,
    group: &mut Group,
    out: &mut Output,
    err: &mut Output,
    until: Instant,
) -> io::Result<ExitStatus> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut drains = std::pin::pin!(futures::future::join(out.drain(stdout), err.drain(stderr)));
    let mut drained = false;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            _ = &mut drains, if !drained => drained = true,
        }
    };
    group.kill_leftovers();
    if !drained {
        let _ = timeout_at(until.min(Instant::now() + LAST_WORDS), drains).await;
    }
    Ok(status)
}

fn said(last_line: Option<String>) -> String {
    last_line.map_or(String::new(), |line| format!(": {line}"))
}

/// How a program ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exit(ExitStatus);

impl Exit {
    /// The exit codes that `sysexits.h` gives to calls that can never work as asked.
    pub(super) fn is_usage(self) -> bool {
        self.0.code().is_some_and(|code| (64..=78).contains(&code))
    }

    /// It came to no end of its own: nobody knows how far it was.
    pub(super) fn is_killed(self) -> bool {
        self.0.code().is_none()
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::os::unix::process::ExitStatusExt;
        match (self.0.code(), self.0.signal()) {
            (Some(code), _) => write!(f, "ended with code {code}"),
            (None, Some(signal)) => write!(f, "was killed by signal {signal}"),
            (None, None) => f.write_str("ended"),
        }
    }
}
