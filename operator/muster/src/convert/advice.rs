//! What is allowed and probably not meant.

use super::findings::Findings;
use muster_core::journal::RunKind;
use muster_core::policy::{Aggregate, Policy};
use muster_core::predict::predict;
use muster_crds::policy::{self as api, AcceptedProof, RegionFailoverPolicySpec};

/// Finds what a person should look at.
pub(super) fn advise(spec: &RegionFailoverPolicySpec, policy: &Policy, findings: &mut Findings) {
    advise_detection(spec, policy, findings);
    advise_objectives(spec, policy, findings);
    advise_proofs(spec, findings);
    advise_loss(spec, findings);
    advise_clusters(spec, findings);
    advise_workloads(spec, findings);
    advise_traffic(spec, findings);
    advise_replicas(spec, findings);
    advise_network_acls(spec, findings);
    for (index, item) in spec.data.iter().enumerate() {
        if item.postgres.as_ref().is_some_and(|p| p.rejoin.is_none()) {
            let message = "without rejoin an old primary stays out until you make it a standby by hand";
            findings.warn(
                format!("spec.data[{index}].postgres.rejoin"),
                message,
                "add rejoin with your own program or endpoint",
            );
        }
    }
}

/// RDS fences nobody, and a planned run loses nothing: it needs the proof that only the database itself can give.
fn advise_replicas(spec: &RegionFailoverPolicySpec, findings: &mut Findings) {
    for (index, item) in spec.data.iter().enumerate().filter(|(_, item)| item.rds_replica.is_some()) {
        let names_it = |fence: &api::Fence| fence.sql.as_ref().is_some_and(|sql| sql.data == item.name);
        if !spec.fence.iter().any(names_it) {
            let message =
                "no sql fence names it, so no switchover could prove that its primary takes no writes";
            let fix = format!("add a fence with sql: {{data: {}}}", item.name);
            findings.warn(format!("spec.data[{index}].rdsReplica"), message, fix);
        }
    }
}

/// Each entry of a network ACL is a call of its own, after one read and before another.
const ACL_CALLS: muster_crds::Duration = muster_crds::Duration::from_secs(10);

/// What an outcast that takes writes again is fenced by first has to be what a person can take off without hiding it.
fn advise_network_acls(spec: &RegionFailoverPolicySpec, findings: &mut Findings) {
    let by_sql = |fence: &api::Fence| fence.sql.is_some();
    for (index, fence) in spec.fence.iter().enumerate().filter(|(_, fence)| fence.aws.is_some()) {
        if fence.timeout.as_millis() < ACL_CALLS.as_millis() {
            let message = "each entry of an ACL is a call of its own, and the next way is tried before the last is made";
            findings.warn(format!("spec.fence[{index}].timeout"), message, "use 10s");
        }
        if spec.fence.iter().skip(index).any(by_sql) {
            let message =
                "it is tried before a sql fence, which nothing reaches any more once the network denies";
            findings.warn(format!("spec.fence[{index}].aws"), message, "put the sql fences before it");
        }
    }
}

fn advise_clusters(spec: &RegionFailoverPolicySpec, findings: &mut Findings) {
    if spec.compute.is_empty() && spec.regions.iter().any(|region| region.cluster.is_some()) {
        let message = "clusters are given, and nothing is scaled in them";
        findings.warn(
            "spec.compute",
            message,
            "add the workloads that the application needs, or leave the clusters out",
        );
    }
}

fn advise_traffic(spec: &RegionFailoverPolicySpec, findings: &mut Findings) {
    for (index, item) in spec.traffic.iter().enumerate() {
        if item.route53.as_ref().is_some_and(|zone| zone.flip.record.is_some()) {
            let message = "the API of Route 53 stands in us-east-1 and may fail together with a region there";
            let fix = "use flip.healthObject or flip.routingControl, or keep a second way to move clients, and rehearse a flip";
            findings.warn(format!("spec.traffic[{index}].route53.flip.record"), message, fix);
        }
        let controls = item.route53.as_ref().and_then(|zone| zone.flip.routing_control.as_ref());
        if let Some(few) = controls.map(|controls| controls.endpoints.len()).filter(|count| *count < 5) {
            let message = format!(
                "{few} of the cluster's five endpoints are given, and AWS takes each away for maintenance"
            );
            let fix = "give all five, as `aws route53-recovery-control-config describe-cluster` shows them";
            findings.warn(
                format!("spec.traffic[{index}].route53.flip.routingControl.endpoints"),
                message,
                fix,
            );
        }
        let objects = item.route53.as_ref().and_then(|zone| zone.flip.health_object.as_ref());
        if objects.is_some_and(|objects| objects.pin_health_check_id.is_none()) {
            let message = "without it a name beside a silent region is held by its object alone: it goes back to a region that was left if that object or its bucket cannot be reached";
            let fix = "give the id of a health check that is disabled and not inverted, one for all names: `muster aws plan-dns` shows it";
            let path = format!("spec.traffic[{index}].route53.flip.healthObject.pinHealthCheckId");
            findings.warn(path, message, fix);
        }
    }
}

/// Pods have half a minute to end, and a fence is proved when the last one is gone.
const LAST_POD: muster_crds::Duration = muster_crds::Duration::from_secs(45);

fn advise_workloads(spec: &RegionFailoverPolicySpec, findings: &mut Findings) {
    for (index, fence) in spec.fence.iter().enumerate().filter(|(_, fence)| fence.scale_to_zero.is_some()) {
        let tried = fence.timeout.as_millis().saturating_mul(u64::from(fence.attempts));
        if tried < LAST_POD.as_millis() {
            let message = "pods have 30s to end by default, and the next way is tried before that";
            findings.warn(format!("spec.fence[{index}].timeout"), message, "use 30s, with 2 attempts");
        }
    }
    let at_standby = |probe: &api::Probe| probe.side != api::Side::Primary && probe.sql.is_some();
    let pilot = |item: &api::Compute| item.scale.as_ref().and_then(|s| s.standby_replicas) == Some(0);
    if let Some(index) = spec.compute.iter().position(pilot)
        && !spec.probes.iter().any(at_standby)
    {
        let message =
            "a standby without pods passes no request, and a region where no probe passes cannot take over";
        let fix = "add a sql probe with side: Standby, and keep probes of the pods to side: Primary";
        findings.warn(format!("spec.compute[{index}].scale.standbyReplicas"), message, fix);
    }
}

fn advise_detection(spec: &RegionFailoverPolicySpec, policy: &Policy, findings: &mut Findings) {
    if spec.detection.anchors.len() == 1 {
        let message = "with a single anchor, its own outage makes every silence undecidable";
        findings.warn("spec.detection.anchors", message, "add a second one that fails independently");
    }
    let counts = |name: &muster_core::ids::ProbeName| match &policy.detection.aggregate {
        Aggregate::AnyOf(names) => names.contains(name),
        Aggregate::AtLeast(_) => true,
    };
    let min_outage = policy.detection.trip.min;
    if let Some(slow) = policy.probes.iter().filter(|p| counts(&p.name)).find(|p| p.every > min_outage) {
        let message = format!(
            "{} is shorter than the {} between two runs of probe {}",
            spec.detection.trip.min_outage, slow.every, slow.name
        );
        findings.warn("spec.detection.trip.minOutage", message, "raise minOutage, or probe more often");
    }
}

fn advise_objectives(spec: &RegionFailoverPolicySpec, policy: &Policy, findings: &mut Findings) {
    let predicted = predict(policy, RunKind::Failover).rto;
    if let Some(rto) = policy.objectives.rto.filter(|rto| *rto < predicted) {
        let message =
            format!("the policy's own numbers predict an RTO of {predicted}, above the objective of {rto}");
        let fix = "lower detection.trip (failures, minOutage), every, timeout or ttl, or raise the objective";
        findings.warn("spec.objectives.rto", message, fix);
    }
    if let Some(item) = without_heartbeat(spec).filter(|_| policy.objectives.rpo.is_some()) {
        let message =
            format!("nothing measures the RPO of the data item `{item}`: no probe is its heartbeat");
        findings.warn(
            "spec.objectives.rpo",
            message,
            format!("add a probe with heartbeat: {{data: {item}}}"),
        );
    }
}

fn advise_proofs(spec: &RegionFailoverPolicySpec, findings: &mut Findings) {
    let accepts = |proof| spec.safety.accept.contains(&proof);
    for (index, fence) in spec.fence.iter().enumerate() {
        if fence.sql.is_none() && !accepts(AcceptedProof::Attested) {
            let message =
                "its proof is Attested, which safety.accept does not take: it asks a person each time";
            findings.warn(
                format!("spec.fence[{index}].proof"),
                message,
                "add Attested to safety.accept if its status can be trusted",
            );
        }
    }
    if !spec.fence.is_empty() && spec.fence.iter().all(|fence| fence.scale_to_zero.is_some()) {
        let message =
            "workloads at zero fence no database that answers and takes writes: then a person is asked";
        findings.warn(
            "spec.fence",
            message,
            "add a sql fence before it, or one that switches the region off",
        );
    }
    let declares = |p: &api::Postgres| {
        p.no_ack.as_ref().is_some_and(|d| d.clients_never_lower_commit && d.list_is_not_edited)
    };
    let all_declare = spec.data.iter().all(|item| item.postgres.as_ref().is_some_and(declares));
    if accepts(AcceptedProof::NoAck) && !all_declare {
        let message =
            "NoAck is accepted, and not every data item declares what it rests on: it can never hold";
        let fix =
            "set noAck.clientsNeverLowerCommit and noAck.listIsNotEdited at each data item, if they are true";
        findings.warn("spec.safety.accept", message, fix);
    }
}

fn advise_loss(spec: &RegionFailoverPolicySpec, findings: &mut Findings) {
    let silent = without_heartbeat(spec);
    let without_fence = spec.safety.without_fence.as_ref();
    let limits = [
        ("spec.safety.maxEstimatedLoss", spec.safety.max_estimated_loss),
        ("spec.safety.withoutFence.maxLoss", without_fence.map(|w| w.max_loss)),
    ];
    for (path, limit) in limits {
        if let Some(item) = silent.filter(|_| limit.is_some()) {
            let message = format!(
                "the loss of `{item}` is unknown without a heartbeat, so this limit is never met and a person is asked"
            );
            findings.warn(path, message, format!("add a probe with heartbeat: {{data: {item}}}"));
        }
    }
    let most = spec.safety.max_estimated_loss;
    if let (Some(most), Some(without)) = (most, without_fence)
        && without.max_loss > most
    {
        let message =
            format!("{} is above safety.maxEstimatedLoss ({most}), which holds too", without.max_loss);
        findings.warn("spec.safety.withoutFence.maxLoss", message, "use the same or a lower limit");
    }
    if let (Some(most), Some(without)) = (most, without_fence)
        && without.after >= most
    {
        let message = format!(
            "it takes effect after {}, and by then the loss may be above safety.maxEstimatedLoss ({most}): a person is asked",
            without.after
        );
        findings.warn(
            "spec.safety.withoutFence.after",
            message,
            "use a shorter time, or a higher maxEstimatedLoss",
        );
    }
    if spec.mode == api::Mode::Automatic && most.is_none() {
        let message = "nothing limits what an automatic failover may lose";
        findings.warn("spec.safety.maxEstimatedLoss", message, "set it, for example 30s");
    }
    if without_fence.is_some_and(|w| w.after == muster_crds::Duration::from_millis(0))
        && !spec.fence.is_empty()
    {
        let message = "with 0s no fence is ever tried";
        findings.warn(
            "spec.safety.withoutFence.after",
            message,
            "leave the fences some time, for example 30s",
        );
    }
}

/// A data item whose loss nothing measures.
fn without_heartbeat(spec: &RegionFailoverPolicySpec) -> Option<&str> {
    let beats =
        |name: &str| spec.probes.iter().filter_map(|p| p.heartbeat.as_ref()).any(|h| h.data.as_str() == name);
    spec.data.iter().map(|d| d.name.as_str()).find(|name| !beats(name))
}
