//! What the user's own programs and endpoints need to be called.

use muster_core::ids::{ItemName, Owner, PolicyName};
use muster_core::secret::Secret;
use std::collections::BTreeMap;
use std::fmt;

/// What is wrong with a configuration; each names the field.
#[derive(Debug, thiserror::Error)]
pub enum HookConfigError {
    /// An empty command.
    #[error("{field}: name a program, then its arguments, one item each; there is no shell")]
    NoCommand {
        /// Where it stands.
        field: &'static str,
    },
    /// No program can be given it.
    #[error("{field}: a NUL character cannot be passed to a program")]
    Nul {
        /// Where it stands.
        field: &'static str,
    },
    /// Not the name of a variable.
    #[error("{field}: `{name}` is no name of an environment variable")]
    BadVariable {
        /// Where it stands.
        field: &'static str,
        /// The name.
        name: String,
    },
    /// Not a URL that can be called. Not quoted, since it may hold a secret.
    #[error("{field}: the URL cannot be used: {reason}")]
    BadUrl {
        /// Where it stands.
        field: &'static str,
        /// Why not.
        reason: String,
    },
    /// Anybody could sign with it.
    #[error("{field}: the signing secret is empty")]
    EmptySecret {
        /// Where it stands.
        field: &'static str,
    },
    /// No certificate authority to trust, or none that can be read.
    #[error("{field}: failed to read the certificate authorities: {reason}")]
    BadCertificates {
        /// Where it stands.
        field: &'static str,
        /// Why not.
        reason: String,
    },
    /// Neither `status` nor `repeatSafe`.
    #[error("hook {name}: declare `status`, or `repeatSafe: true` if running it twice does no harm")]
    NotRepeatable {
        /// The hook.
        name: ItemName,
    },
}

/// A program, run without a shell. Local mode only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExecConfig {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// What it finds in its environment beside the `MUSTER_*` variables: `PATH` and a declared allow-list, read
    /// once by the command line. Nothing else is inherited. Without a `PATH` here, the system's usual one is set.
    pub env: BTreeMap<String, String>,
}

impl ExecConfig {
    /// What the system would refuse anyway, said early.
    pub(super) fn check(&self, field: &'static str) -> Result<(), HookConfigError> {
        let has_nul = |text: &String| text.contains('\0');
        match self.command.first() {
            None => Err(HookConfigError::NoCommand { field }),
            Some(program) if program.is_empty() => Err(HookConfigError::NoCommand { field }),
            Some(_) if self.command.iter().chain(self.env.keys()).chain(self.env.values()).any(has_nul) => {
                Err(HookConfigError::Nul { field })
            }
            Some(_) => match self.env.keys().find(|name| name.is_empty() || name.contains('=')) {
                Some(name) => Err(HookConfigError::BadVariable { field, name: name.clone() }),
                None => Ok(()),
            },
        }
    }

    /// A command with the usual `PATH` and nothing else in its environment.
    pub const fn new(command: Vec<String>) -> Self {
        Self { command, env: BTreeMap::new() }
    }
}

/// An endpoint that takes signed JSON by POST.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// `https://` or `http://`.
    pub url: String,
    /// Signs the body (HMAC-SHA256), so that the endpoint knows who calls.
    pub signing_secret: Option<Secret>,
    /// Certificate authorities in PEM to trust instead of the system's.
    pub ca_pem: Option<Vec<u8>>,
}

impl WebhookConfig {
    /// An unsigned call that trusts the system's certificate authorities.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), signing_secret: None, ca_pem: None }
    }
}

/// Without the URL: its path or query is often the secret itself.
impl fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin =
            url::Url::parse(&self.url).map_or_else(|_| "?".to_owned(), |u| u.origin().ascii_serialization());
        f.debug_struct("WebhookConfig").field("origin", &origin).finish_non_exhaustive()
    }
}

/// One of the two ways to call what the user wrote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Call {
    /// A program on this machine.
    Exec(ExecConfig),
    /// An HTTP endpoint.
    Webhook(WebhookConfig),
}

/// A way to fence: two or three calls.
#[derive(Clone, Debug)]
pub struct FenceHookConfig {
    /// The way's name in the policy.
    pub name: ItemName,
    /// The policy's UID.
    pub owner: Owner,
    /// The policy.
    pub policy: PolicyName,
    /// Switches a region's writers off.
    pub fence: Call,
    /// Says whether they are.
    pub status: Call,
    /// Switches them on again; without it an abort cannot undo this fence.
    pub unfence: Option<Call>,
}

/// A step of the user's own.
#[derive(Clone, Debug)]
pub struct HookConfig {
    /// The hook's name in the policy.
    pub name: ItemName,
    /// The policy's UID.
    pub owner: Owner,
    /// The policy.
    pub policy: PolicyName,
    /// The step.
    pub run: Call,
    /// Says whether it is done for a run.
    pub status: Option<Call>,
    /// The user declares that running it twice does no harm. One of this and `status` is needed.
    pub repeat_safe: bool,
}

/// The user's way to make an old primary a standby of the new one.
#[derive(Clone, Debug)]
pub struct RejoinHookConfig {
    /// The policy's UID.
    pub owner: Owner,
    /// The policy.
    pub policy: PolicyName,
    /// Does it; returns when the node follows.
    pub run: Call,
}
