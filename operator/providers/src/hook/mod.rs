//! The user's own programs and endpoints: fences, steps of a run, rejoin.
//!
//! A call is told what it is about (`MUSTER_*` variables, or a signed JSON body), gets a deadline, and says how it
//! went by its exit code or its HTTP status. Whether a region is off, or a step is done, is for its separate
//! `status` verb to say, asked again each time.
//!
//! | call | what makes it idempotent | what the target checks | what is not protected |
//! |---|---|---|---|
//! | exec `fence`, `unfence`, `run`, `rejoin` | nothing here: the program must be, by `MUSTER_KEY` and the numbers | nothing, unless the program compares `MUSTER_EPOCH` and `MUSTER_TERM` | what it asked others to do before it was killed; a daemon that left its group and its parents; a process of another user |
//! | webhook, the same verbs | nothing here: the endpoint must be, by `muster-key` | the signature, if the endpoint verifies it; no more, unless it compares the numbers | a request that arrived may act after its deadline, so the endpoint must heed `notAfterMs`; a 5xx counts as "nothing done" |
//! | `status` of either | asks only | - | a status that lies is passed on as it is |
//!
//! What this module must never do: use a shell; hand down its own environment; leave a program running after the
//! deadline or after the caller has gone; read a doubtful status as "off"; follow a redirect; show a signing secret,
//! or a URL's path.

mod answer;
mod call;
mod config;
mod context;
mod exec;
mod fence;
mod group;
mod output;
mod rejoin;
mod step;
mod webhook;

pub use config::{
    Call, ExecConfig, FenceHookConfig, HookConfig, HookConfigError, RejoinHookConfig, WebhookConfig,
};
pub use fence::FenceHook;
pub use rejoin::RejoinHook;
pub use step::Hook;
