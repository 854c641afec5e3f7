//! Your own steps within a run.

use super::call::Command;
use super::request::SecretRef;
use crate::duration::Duration;
use crate::text::{Name, Url};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A step of your own: exactly one of `exec` and `webhook`.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.exec) != has(self.webhook)")
        .message("exactly one of exec and webhook is needed"),
    validation = Rule::new("self.repeatSafe || (has(self.exec) && has(self.exec.status)) || (has(self.webhook) && has(self.webhook.statusUrl))")
        .message("nothing tells whether this hook is done after a crash: give status (exec) or statusUrl (webhook), or say repeatSafe: true").field_path(".repeatSafe"),
    validation = Rule::new("duration(self.timeout) >= duration('100ms') && duration(self.timeout) <= duration('24h')")
        .message("timeout must be between 100ms and 24h").field_path(".timeout"),
    validation = Rule::new("!self.required || self.at == 'BeforeFence'")
        .message("required stops a run, which is possible only before the point of no return: use at: BeforeFence").field_path(".required"),
)]
pub struct Hook {
    /// Its name.
    pub name: Name,
    /// When it runs.
    pub at: HookPoint,
    /// A program on Muster's machine. Local mode only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<HookExec>,
    /// An endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<HookWebhook>,
    /// Of one attempt; a program is killed then, with everything that it started.
    #[serde(default = "half_a_minute")]
    pub timeout: Duration,
    /// At most.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 10))]
    pub attempts: u32,
    /// A failure stops the run (only before the point of no return). Else it is reported and passed.
    #[serde(default)]
    pub required: bool,
    /// You declare that running it twice does no harm. One of this and a status is needed.
    #[serde(default)]
    pub repeat_safe: bool,
}

const fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}
const fn two() -> u32 {
    2
}

/// When a hook runs.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug)]
pub enum HookPoint {
    /// Before the old primary is fenced.
    BeforeFence,
    /// After the data was promoted, before traffic moves.
    AfterPromote,
    /// After traffic moved.
    AfterTraffic,
}

/// A program on Muster's machine. Local mode only: in a cluster it is refused.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HookExec {
    /// The program and its arguments; no shell. It finds `MUSTER_*` variables in its environment.
    #[schemars(length(min = 1, max = 64))]
    pub command: Command,
    /// Says whether the step is done for a run: prints `{"done": true|false}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub status: Option<Command>,
}

/// An endpoint that takes JSON by POST.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HookWebhook {
    /// Where to post.
    pub url: Url,
    /// Says whether the step is done for a run: answers `{"done": true|false}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_url: Option<Url>,
    /// Signs the body (HMAC-SHA256), so that the endpoint knows who calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<SecretRef>,
    /// Certificate authorities (PEM) that are trusted instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret: Option<SecretRef>,
}
