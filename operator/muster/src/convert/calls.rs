//! Fences and hooks: ways and steps for the core, calls for the adapters.

use super::findings::Findings;
use super::requests::{Resolver, exactly_one, within};
use super::{compute, millis, network_acls};
use muster_core::ids::ItemName;
use muster_core::policy::{FenceKind, FenceWay, HookPoint, HookStep, ProofClass};
use muster_crds::policy::{self as api, RegionFailoverPolicySpec};
use muster_providers::hook::{Call, FenceHookConfig, HookConfig};
use muster_providers::network_acl::NetworkAclConfig;
use std::collections::BTreeMap;

/// All fences and hooks.
#[derive(Clone, Debug, Default)]
pub struct Hooks {
    /// Ways to fence, in the policy's order.
    pub ways: Vec<FenceWay>,
    /// Those of them that are hooks.
    pub fences: BTreeMap<ItemName, FenceHookConfig>,
    /// Those of them that scale compute items to zero.
    pub scale_fences: BTreeMap<ItemName, Vec<ItemName>>,
    /// Those of them that deny at network ACLs.
    pub network_acls: BTreeMap<ItemName, NetworkAclConfig>,
    /// The user's own steps, in the policy's order.
    pub steps: Vec<HookStep>,
    /// Their calls.
    pub hooks: BTreeMap<ItemName, HookConfig>,
}

/// Converts fences and hooks.
pub(super) fn convert(
    spec: &RegionFailoverPolicySpec,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> Hooks {
    let mut hooks = Hooks::default();
    network_acls::check_shared(spec, findings);
    for (index, fence) in spec.fence.iter().enumerate() {
        let path = format!("spec.fence[{index}]");
        check_fence(fence, &path, findings);
        hooks.ways.push(way_of(fence));
        if let Some(by_scale) = &fence.scale_to_zero {
            compute::check_fence(spec, by_scale, &format!("{path}.scaleToZero"), findings);
            let items = by_scale.compute.iter().map(|name| ItemName::new(name.as_str())).collect();
            hooks.scale_fences.insert(ItemName::new(fence.name.as_str()), items);
        }
        if let Some(by_acl) = &fence.aws {
            let name = ItemName::new(fence.name.as_str());
            let config = network_acls::convert(&name, by_acl, spec, &path, resolver, findings);
            hooks.network_acls.extend(config.map(|config| (name, config)));
        }
        if let Some(config) = fence_hook_of(fence, &path, resolver, findings) {
            hooks.fences.insert(config.name.clone(), config);
        }
    }
    for (index, hook) in spec.hooks.iter().enumerate() {
        let path = format!("spec.hooks[{index}]");
        check_hook(hook, &path, findings);
        hooks.steps.push(step_of(hook));
        if let Some(config) = hook_of(hook, &path, resolver, findings) {
            hooks.hooks.insert(config.name.clone(), config);
        }
    }
    hooks
}

fn check_fence(fence: &api::Fence, path: &str, findings: &mut Findings) {
    let kinds = [
        ("sql", fence.sql.is_some()),
        ("exec", fence.exec.is_some()),
        ("webhook", fence.webhook.is_some()),
        ("scaleToZero", fence.scale_to_zero.is_some()),
        ("aws", fence.aws.is_some()),
    ];
    let one = exactly_one(&kinds, path, "way to fence", findings);
    within(fence.timeout, ("100ms", "1h"), &format!("{path}.timeout"), findings);
    let possible = if fence.sql.is_some() { api::FenceProof::Closed } else { api::FenceProof::Attested };
    if let Some(proof) = fence.proof.filter(|proof| one && *proof != possible) {
        let message = match possible {
            api::FenceProof::Closed => "a sql fence is proved by a refused write, which is Closed",
            api::FenceProof::Attested => {
                "what a program, an endpoint, a cluster or AWS says is Attested at best"
            }
        };
        let message = format!("{proof:?} is not what this fence proves: {message}");
        findings.error(
            format!("{path}.proof"),
            message,
            format!("write proof: {possible:?}, or leave it out"),
        );
    }
    for (kind, missing) in [
        ("exec", fence.exec.as_ref().is_some_and(|e| e.status.is_none())),
        ("webhook", fence.webhook.as_ref().is_some_and(|w| w.status.is_none())),
    ] {
        if missing {
            let message =
                "without status nothing can say whether the region is off, and the fence proves nothing";
            let fix = "add status, which says {\"id\": \"...\", \"state\": \"on\"|\"off\"}";
            findings.error(format!("{path}.{kind}.status"), message, fix);
        }
    }
    for (kind, missing) in [
        ("exec", fence.exec.as_ref().is_some_and(|e| e.unfence.is_none())),
        ("webhook", fence.webhook.as_ref().is_some_and(|w| w.unfence.is_none())),
    ] {
        if missing {
            let message = "without unfence an aborted run cannot switch the region on again";
            findings.warn(
                format!("{path}.{kind}.unfence"),
                message,
                "add unfence, or be ready to do it by hand",
            );
        }
    }
}

fn way_of(fence: &api::Fence) -> FenceWay {
    let (kind, proof) = match (&fence.sql, &fence.scale_to_zero, &fence.aws) {
        (Some(sql), _, _) => (FenceKind::Data(ItemName::new(sql.data.as_str())), ProofClass::Closed),
        (None, Some(_), _) => (FenceKind::Scale, ProofClass::Attested),
        (None, None, Some(aws)) => (network_acls::kind_of(aws), ProofClass::Attested),
        (None, None, None) => (FenceKind::Hook, ProofClass::Attested),
    };
    let (timeout, attempts) = (millis(fence.timeout), fence.attempts);
    FenceWay { name: ItemName::new(fence.name.as_str()), kind, proof, timeout, attempts }
}

fn fence_hook_of(
    fence: &api::Fence,
    path: &str,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> Option<FenceHookConfig> {
    let (switch_off, status, unfence) = match (&fence.exec, &fence.webhook) {
        (Some(exec), _) => {
            let path = format!("{path}.exec");
            let mut call = |command: &api::Command| resolver.exec(command, &path, findings);
            (call(&exec.fence), exec.status.as_ref().map(&mut call), exec.unfence.as_ref().map(&mut call))
        }
        (None, Some(webhook)) => {
            let path = format!("{path}.webhook");
            let (signing, ca) = (webhook.signing_secret.as_ref(), webhook.ca_secret.as_ref());
            let secrets = resolver.webhook_secrets(signing, ca, &path, findings);
            let mut call = |url: &str, field: &str| {
                Resolver::webhook(url, &format!("{path}.{field}"), &secrets, findings)
            };
            let status = webhook.status.as_ref().map(|url| call(url, "status"));
            let unfence = webhook.unfence.as_ref().map(|url| call(url, "unfence"));
            (call(&webhook.fence, "fence"), status, unfence)
        }
        (None, None) => return None,
    };
    Some(FenceHookConfig {
        name: ItemName::new(fence.name.as_str()),
        owner: resolver.with.owner.clone(),
        policy: resolver.policy.clone(),
        fence: switch_off,
        // Its absence was found already.
        status: status?,
        unfence,
    })
}

fn check_hook(hook: &api::Hook, path: &str, findings: &mut Findings) {
    let kinds = [("exec", hook.exec.is_some()), ("webhook", hook.webhook.is_some())];
    let one = exactly_one(&kinds, path, "call", findings);
    within(hook.timeout, ("100ms", "24h"), &format!("{path}.timeout"), findings);
    let (has_status, field) = match (&hook.exec, &hook.webhook) {
        (Some(exec), _) => (exec.status.is_some(), "exec.status"),
        (None, webhook) => (webhook.as_ref().is_some_and(|w| w.status_url.is_some()), "webhook.statusUrl"),
    };
    if one && !has_status && !hook.repeat_safe {
        let message = "after a crash nothing tells whether this hook was done, and it may do harm twice";
        let fix = format!("add {field}, or say repeatSafe: true if running it twice does no harm");
        findings.error(path, message, fix);
    }
    if hook.required && hook.at != api::HookPoint::BeforeFence {
        let message = format!("a run cannot be stopped at {:?}: the data has moved by then", hook.at);
        findings.error(format!("{path}.required"), message, "use at: BeforeFence, or required: false");
    }
}

fn step_of(hook: &api::Hook) -> HookStep {
    HookStep {
        name: ItemName::new(hook.name.as_str()),
        at: match hook.at {
            api::HookPoint::BeforeFence => HookPoint::BeforeFence,
            api::HookPoint::AfterPromote => HookPoint::AfterPromote,
            api::HookPoint::AfterTraffic => HookPoint::AfterTraffic,
        },
        timeout: millis(hook.timeout),
        attempts: hook.attempts,
        required: hook.required,
    }
}

fn hook_of(
    hook: &api::Hook,
    path: &str,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> Option<HookConfig> {
    let (run, status): (Call, Option<Call>) = match (&hook.exec, &hook.webhook) {
        (Some(exec), _) => {
            let path = format!("{path}.exec");
            let mut call = |command: &api::Command| resolver.exec(command, &path, findings);
            (call(&exec.command), exec.status.as_ref().map(call))
        }
        (None, Some(webhook)) => {
            let path = format!("{path}.webhook");
            let (signing, ca) = (webhook.signing_secret.as_ref(), webhook.ca_secret.as_ref());
            let secrets = resolver.webhook_secrets(signing, ca, &path, findings);
            let mut call = |url: &str, field: &str| {
                Resolver::webhook(url, &format!("{path}.{field}"), &secrets, findings)
            };
            (call(&webhook.url, "url"), webhook.status_url.as_ref().map(|url| call(url, "statusUrl")))
        }
        (None, None) => return None,
    };
    Some(HookConfig {
        name: ItemName::new(hook.name.as_str()),
        owner: resolver.with.owner.clone(),
        policy: resolver.policy.clone(),
        run,
        status,
        repeat_safe: hook.repeat_safe,
    })
}
