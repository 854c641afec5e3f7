//! Hooks and fences against real processes and a real HTTP server.

#![expect(clippy::panic, reason = "what helps a test fails as the test does")]

mod endpoint;
mod exec;
mod processes;
mod webhook;

use muster_core::effect::{Action, Effect};
use muster_core::facts::{ErrorClass, Outcome};
use muster_core::ids::{Epoch, RegionName, Seq, Term};
use muster_core::time::Millis;
use muster_providers::hook::{
    Call, FenceHook, FenceHookConfig, Hook, HookConfig, RejoinHook, RejoinHookConfig,
};
use muster_providers::{OpCtx, SendGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A lease, and how often something left under it.
#[derive(Debug)]
struct Lease {
    held: bool,
    sent: AtomicU32,
}

impl Lease {
    fn new(held: bool) -> Arc<Self> {
        Arc::new(Self { held, sent: AtomicU32::new(0) })
    }
    fn sent(&self) -> u32 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl SendGuard for Lease {
    fn may_send(&self) -> bool {
        self.held
    }
    fn sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }
}

const TIMEOUT: Duration = Duration::from_secs(10);

fn effect(action: Action, timeout: Duration) -> Effect {
    let (owner, timeout) = ("uid-1".into(), Millis::from(timeout));
    Effect { owner, epoch: Epoch(3), term: Term(1), seq: Seq(7), attempt: 1, action, timeout }
}

fn ctx_under(lease: &Arc<Lease>, action: Action, timeout: Duration) -> OpCtx {
    OpCtx::new(effect(action, timeout), "checkout-3".to_owned(), Arc::clone(lease) as Arc<dyn SendGuard>)
}

fn fence_ctx(timeout: Duration) -> OpCtx {
    ctx_under(&Lease::new(true), Action::Fence { way: "power".into(), region: east() }, timeout)
}

fn hook_ctx(timeout: Duration) -> OpCtx {
    ctx_under(&Lease::new(true), Action::Hook { name: "warm".into(), from: east(), to: west() }, timeout)
}

fn rejoin_ctx(timeout: Duration) -> OpCtx {
    let action = Action::Rejoin { item: "orders".into(), region: east(), follow: west() };
    ctx_under(&Lease::new(true), action, timeout)
}

fn east() -> RegionName {
    "east".into()
}

fn west() -> RegionName {
    "west".into()
}

fn fence(fence: Call, status: Call, unfence: Option<Call>) -> FenceHook {
    let (name, owner, policy) = ("power".into(), "uid-1".into(), "shop/checkout".into());
    FenceHook::new(&FenceHookConfig { name, owner, policy, fence, status, unfence }).expect("it holds")
}

fn step(run: Call, status: Option<Call>) -> Hook {
    let (name, owner, policy) = ("warm".into(), "uid-1".into(), "shop/checkout".into());
    Hook::new(&HookConfig { name, owner, policy, run, status, repeat_safe: true }).expect("it holds")
}

fn rejoin(run: Call) -> RejoinHook {
    let (owner, policy) = ("uid-1".into(), "shop/checkout".into());
    RejoinHook::new(&RejoinHookConfig { owner, policy, run }).expect("it holds")
}

/// The class and the message of a failure.
fn failure(outcome: &Outcome) -> (ErrorClass, &str) {
    match outcome {
        Outcome::Failed(class, why) => (*class, why),
        Outcome::Conflict(why) => (ErrorClass::Conflict, why),
        other => panic!("no failure: {other:?}"),
    }
}

const ISSUED: Outcome = Outcome::Issued(None);
