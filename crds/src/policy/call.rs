//! How your own programs and endpoints are called.

use super::request::SecretRef;
use crate::duration::Duration;
use crate::text::{Text, Url};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A program and its arguments, run without a shell.
pub type Command = Vec<Text<4096>>;

/// A program on Muster's machine. Local mode only: in a cluster it is refused.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exec {
    /// The program and its arguments; no shell. It finds `MUSTER_*` variables in its environment.
    #[schemars(length(min = 1, max = 64))]
    pub command: Command,
}

/// An endpoint that takes JSON by POST.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RejoinWebhook {
    /// Where to post.
    pub url: Url,
    /// Signs the body (HMAC-SHA256), so that the endpoint knows who calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<SecretRef>,
    /// Certificate authorities (PEM) that are trusted instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret: Option<SecretRef>,
}

/// Your way to make an old primary follow the new one: exactly one of `exec` and `webhook`.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.exec) != has(self.webhook)")
        .message("exactly one of exec and webhook is needed"),
    validation = Rule::new("duration(self.timeout) >= duration('1s') && duration(self.timeout) <= duration('24h')")
        .message("timeout must be between 1s and 24h").field_path(".timeout"),
)]
pub struct Rejoin {
    /// A program on Muster's machine. Local mode only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<Exec>,
    /// An endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<RejoinWebhook>,
    /// Of one attempt.
    #[serde(default = "one_minute")]
    pub timeout: Duration,
}

const fn one_minute() -> Duration {
    Duration::from_secs(60)
}
