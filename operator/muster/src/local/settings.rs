//! What `muster local` is told on its command line. Read once; nothing else looks at the environment.

use crate::execute::{At, Point, TestFlags};
use crate::telemetry::LogArgs;
use clap::Args;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The controller without a cluster.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  muster local --policies ./policies --secrets ./secrets
  muster local --policies /etc/muster/policies --secrets /etc/muster/secrets --region west

The folder is read again when a file changes; a file that is not valid is reported and the last good one stays
in force. The token for the other verbs is written to STATE/token. Two controllers on one STATE: one acts, the
other takes over within seconds.")]
pub struct Settings {
    /// Folder with policy files (*.yaml)
    #[arg(long, value_name = "DIR", env = "MUSTER_POLICIES", hide_env_values = true)]
    pub policies: PathBuf,
    /// Folder with secrets, a file DIR/NAME/KEY each; else from `MUSTER_SECRET_NAME_KEY`
    #[arg(long, value_name = "DIR", env = "MUSTER_SECRETS", hide_env_values = true)]
    pub secrets: Option<PathBuf>,
    /// Address of the HTTP API
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7420")]
    pub listen: SocketAddr,
    /// Name of this process in the lease; pid and a random part are added [default: the host's name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Region that this process stands in, if it stands in one of a policy's regions
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// Variable that programs of the policies find in their environment, beside PATH and `MUSTER_*`; may be repeated
    #[arg(long, value_name = "NAME")]
    pub pass_env: Vec<String>,
    /// The log.
    #[command(flatten)]
    pub log: LogArgs,
    /// For tests.
    #[command(flatten)]
    pub test: TestArgs,
}

/// Where a test ends, pauses or counts the process.
#[derive(Args, Clone, Debug, Default)]
pub struct TestArgs {
    /// End the process at a call's point (before, sent, answered, after)
    #[arg(long, value_name = "NAME.N:POINT", hide = true)]
    pub crash_at: Option<At<Point>>,
    /// Stop the process for so many milliseconds between the record and the act of a call
    #[arg(long, value_name = "CALL:MS", hide = true)]
    pub pause_at: Option<At<u64>>,
    /// Step the wall clock by so many milliseconds at a call
    #[arg(long, value_name = "CALL:MS", hide = true, allow_hyphen_values = true)]
    pub step_wall_at: Option<At<i64>>,
    /// For how many milliseconds a renewal of the lease lasts
    #[arg(long, value_name = "MS", hide = true)]
    pub lease_ms: Option<u64>,
    /// Append a JSON line per point
    #[arg(long, value_name = "FILE", hide = true)]
    pub call_log: Option<PathBuf>,
}

impl From<TestArgs> for TestFlags {
    fn from(args: TestArgs) -> Self {
        Self {
            crash_at: args.crash_at,
            pause_at: args.pause_at,
            step_wall_at: args.step_wall_at,
            call_log: args.call_log,
        }
    }
}

/// The environment of this process, as text; what is not UTF-8 cannot be a name or a secret of ours.
pub(crate) fn read_environment() -> BTreeMap<String, String> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        name.into_string().ok().zip(value.into_string().ok())
    };
    std::env::vars_os().filter_map(text).collect()
}

impl Settings {
    /// What programs of the user find: `PATH` and what was named.
    pub(super) fn program_env(&self, environment: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let passed = self.pass_env.iter().map(String::as_str).chain(["PATH"]);
        passed
            .filter_map(|name| environment.get_key_value(name))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    }
}
