//! The user's own programs and endpoints: fences, steps of a run, rejoin.

mod config;

pub use config::{Call, ExecConfig, FenceHookConfig, HookConfig, RejoinHookConfig, WebhookConfig};
