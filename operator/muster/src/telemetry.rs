//! The log of processes that keep running: one line an event on standard error, `key=value` or JSON.

use clap::{Args, ValueEnum};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// The log on standard error.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// What to log: error, warn, info, debug, or a filter such as `muster=debug,hyper=warn`
    #[arg(long, value_name = "FILTER", default_value = "info", env = "MUSTER_LOG", hide_env_values = true)]
    pub log: String,
    /// text or json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_possible_values = true)]
    pub log_format: LogFormat,
}

impl Default for LogArgs {
    fn default() -> Self {
        Self { log: "info".to_owned(), log_format: LogFormat::Text }
    }
}

/// Shape of a log line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum LogFormat {
    /// key=value
    Text,
    /// One object a line.
    Json,
}

/// A filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the log filter {filter:?}: {source}")]
pub struct FilterError {
    filter: String,
    source: tracing_subscriber::filter::ParseError,
}

/// Sets the process's log up; a log that is set up already stays.
pub fn start(log: &LogArgs) -> Result<(), FilterError> {
    // The client of the API server tells each failed call as an error of its own; callers tell what it means.
    let words =
        if log.log.contains("kube") { log.log.clone() } else { format!("{},kube_client=off", log.log) };
    let filter =
        EnvFilter::try_new(&words).map_err(|source| FilterError { filter: log.log.clone(), source })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match log.log_format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if started.is_err() {
        tracing::debug!("the log was set up before");
    }
    Ok(())
}
