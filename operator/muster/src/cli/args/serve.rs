//! Verbs that keep running: the controller and a vantage.

use clap::{Args, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The controller without a cluster.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  muster local --policies ./policies --secrets ./secrets
  muster local --policies /etc/muster/policies --secrets /etc/muster/secrets --region west

The folder is read again when a file changes; a file that is not valid is reported and the last good one stays
in force. The token for the other verbs is written to STATE/token. Two controllers on one STATE: one acts, the
other takes over within seconds.")]
pub struct LocalArgs {
    /// Folder with policy files (*.yaml)
    #[arg(long, value_name = "DIR", env = "MUSTER_POLICIES", hide_env_values = true)]
    pub policies: PathBuf,
    /// Folder with secrets, a file DIR/NAME/KEY each; else from `MUSTER_SECRET_NAME_KEY`
    #[arg(long, value_name = "DIR", env = "MUSTER_SECRETS", hide_env_values = true)]
    pub secrets: Option<PathBuf>,
    /// Address of the HTTP API
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7420")]
    pub listen: SocketAddr,
    /// Name of this process in the lease [default: host, pid and a random part]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Region that this process stands in, if it stands in one of a policy's regions
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// The log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// A vantage.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  muster vantage --name v1 --policies ./policies --secrets ./secrets \\
    --controller http://10.0.3.7:7420 --token-file ./v1.token

The vantage must stand in the policy under detection: vantages, with this name; the token is the one that its
tokenSecret names. Place it outside the regions that it judges.")]
pub struct VantageArgs {
    /// The vantage's name in the policies
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// Folder with the same policy files that the controller has
    #[arg(long, value_name = "DIR", env = "MUSTER_POLICIES", hide_env_values = true)]
    pub policies: PathBuf,
    /// Folder with the secrets that the probes need
    #[arg(long, value_name = "DIR", env = "MUSTER_SECRETS", hide_env_values = true)]
    pub secrets: Option<PathBuf>,
    /// The controller to report to
    #[arg(long, value_name = "URL")]
    pub controller: String,
    /// The log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// The log on standard error.
#[derive(Args, Debug, Clone)]
pub struct LogArgs {
    /// What to log: error, warn, info, debug, or a filter such as `muster=debug,hyper=warn`
    #[arg(long, value_name = "FILTER", default_value = "info", env = "MUSTER_LOG", hide_env_values = true)]
    pub log: String,
    /// text or json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_possible_values = true)]
    pub log_format: LogFormat,
}

/// Shape of a log line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum LogFormat {
    /// key=value
    Text,
    /// One object a line.
    Json,
}
