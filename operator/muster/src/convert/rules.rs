//! Rules across the parts of a policy: references, thresholds, quorum, and what each mode needs.

use super::findings::{Findings, one_of, words};
use super::millis;
use muster_core::policy::{Aggregate, Detection, Threshold};
use muster_crds::policy::{self as api, Mode, RegionFailoverPolicySpec, Side};
use muster_crds::text::Name;

/// The vantage that the controller's own probes are.
pub(super) const CONTROLLER: &str = "controller";

/// Checks everything that speaks of more than one part.
pub(super) fn check(spec: &RegionFailoverPolicySpec, findings: &mut Findings) {
    check_vantages(spec, findings);
    check_data_references(spec, findings);
    check_sql_fences(spec, findings);
    check_thresholds(&spec.detection, findings);
    check_aggregate(spec, findings);
    check_quorum(spec, findings);
    check_standby_probe(spec, findings);
    if spec.mode == Mode::Automatic {
        check_automatic(spec, findings);
    }
}

/// For the core.
pub(super) fn detection_of(spec: &RegionFailoverPolicySpec) -> Detection {
    let detection = &spec.detection;
    let aggregate = match (&detection.aggregate.require, detection.aggregate.at_least) {
        (Some(names), _) => Aggregate::AnyOf(names.iter().map(|n| n.as_str().into()).collect()),
        (None, at_least) => Aggregate::AtLeast(at_least.unwrap_or(1)),
    };
    Detection {
        trip: Threshold { count: detection.trip.failures, min: millis(detection.trip.min_outage) },
        reset: Threshold { count: detection.reset.successes, min: millis(detection.reset.min_healthy) },
        aggregate,
        quorum: detection.quorum.vantages,
        anchors: u32::try_from(detection.anchors.len()).unwrap_or(u32::MAX),
    }
}

/// Finds whether an engine names each region once, and no other.
pub(super) fn check_regions<'a>(
    spec: &RegionFailoverPolicySpec,
    named: &(impl Iterator<Item = &'a Name> + Clone),
    path: &str,
    what: &str,
    findings: &mut Findings,
) {
    for (index, region) in named.clone().enumerate() {
        check_region(spec, region, &format!("{path}[{index}].region"), findings);
    }
    let missing: Vec<&str> = spec
        .regions
        .iter()
        .map(|r| r.name.as_str())
        .filter(|r| !named.clone().any(|n| n.as_str() == *r))
        .collect();
    if !missing.is_empty() {
        let message = format!("has no {what} for {}", words(missing.iter().copied()));
        findings.error(path, message, format!("add an item with region: {}", missing[0]));
    }
}

fn check_region(spec: &RegionFailoverPolicySpec, region: &Name, path: &str, findings: &mut Findings) {
    if !spec.regions.iter().any(|r| r.name == *region) {
        let message = format!("there is no region `{region}` in spec.regions");
        findings.error(path, message, one_of(spec.regions.iter().map(|r| r.name.as_str())));
    }
}

fn check_vantages(spec: &RegionFailoverPolicySpec, findings: &mut Findings) {
    for (index, vantage) in spec.vantages.iter().enumerate() {
        if vantage.name.as_str() == CONTROLLER {
            let message = "`controller` stands for the controller's own probes";
            findings.error(format!("spec.vantages[{index}].name"), message, "choose another name");
        }
        if let Some(region) = &vantage.region {
            check_region(spec, region, &format!("spec.vantages[{index}].region"), findings);
        }
    }
}

fn check_data_references(spec: &RegionFailoverPolicySpec, findings: &mut Findings) {
    let probes = spec.probes.iter().enumerate().flat_map(|(index, probe)| {
        let sql = probe.sql.as_ref().map(|s| (&s.data, format!("spec.probes[{index}].sql.data")));
        let beat =
            probe.heartbeat.as_ref().map(|h| (&h.data, format!("spec.probes[{index}].heartbeat.data")));
        [sql, beat].into_iter().flatten()
    });
    let fences = spec.fence.iter().enumerate().filter_map(|(index, fence)| {
        fence.sql.as_ref().map(|s| (&s.data, format!("spec.fence[{index}].sql.data")))
    });
    for (data, path) in probes.chain(fences) {
        if !spec.data.iter().any(|d| d.name == *data) {
            let message = format!("there is no data item `{data}` in spec.data");
            findings.error(path, message, one_of(spec.data.iter().map(|d| d.name.as_str())));
        }
    }
}

/// A sql fence ends sessions and proves a refused write, which takes a server of one's own, or one whose master user is known to
/// be let do that.
fn check_sql_fences(spec: &RegionFailoverPolicySpec, findings: &mut Findings) {
    let is_aurora = |name: &Name| spec.data.iter().any(|d| d.name == *name && d.aurora_global.is_some());
    for (index, fence) in spec.fence.iter().enumerate() {
        let Some(sql) = fence.sql.as_ref().filter(|sql| is_aurora(&sql.data)) else { continue };
        let message = format!(
            "`{}` is an auroraGlobal: nobody is a superuser there, so a sql fence could prove nothing",
            sql.data
        );
        let fix = "use a fence by aws, webhook, exec or scaleToZero; a switchover needs none for this item";
        findings.error(format!("spec.fence[{index}].sql.data"), message, fix);
    }
}

fn check_thresholds(detection: &api::Detection, findings: &mut Findings) {
    let (trip, reset) = (&detection.trip, &detection.reset);
    if reset.successes < trip.failures {
        let message = format!(
            "a region would recover more quickly than it fails: {} successes, {} failures",
            reset.successes, trip.failures
        );
        let fix = format!("use {} or more, as detection.trip.failures says", trip.failures);
        findings.error("spec.detection.reset.successes", message, fix);
    }
    if reset.min_healthy < trip.min_outage {
        let message = format!(
            "a region would recover more quickly than it fails: {} healthy, {} of outage",
            reset.min_healthy, trip.min_outage
        );
        let fix = format!("use {} or more, as detection.trip.minOutage says", trip.min_outage);
        findings.error("spec.detection.reset.minHealthy", message, fix);
    }
}

fn check_aggregate(spec: &RegionFailoverPolicySpec, findings: &mut Findings) {
    let path = "spec.detection.aggregate";
    let aggregate = &spec.detection.aggregate;
    let at_primary: Vec<&str> =
        spec.probes.iter().filter(|p| p.side != Side::Standby).map(|p| p.name.as_str()).collect();
    match (&aggregate.require, aggregate.at_least) {
        (Some(_), Some(_)) => findings.error(path, "has both require and atLeast", "keep one of them"),
        (None, None) => findings.error(path, "has neither require nor atLeast", "add one of them"),
        (Some(names), None) => {
            for (index, name) in names.iter().enumerate() {
                check_required(spec, name, &format!("{path}.require[{index}]"), &at_primary, findings);
            }
        }
        (None, Some(at_least)) => {
            // One of none is what a policy without probes says by default.
            if at_least > 1 && at_least as usize > at_primary.len() && !spec.probes.is_empty() {
                let message = format!(
                    "{at_least} probes are needed, and {} run against the primary: it could never be unhealthy",
                    at_primary.len()
                );
                findings.error(
                    format!("{path}.atLeast"),
                    message,
                    "lower it, or add probes with side Primary or Both",
                );
            }
        }
    }
}

fn check_required(
    spec: &RegionFailoverPolicySpec,
    name: &Name,
    path: &str,
    at_primary: &[&str],
    findings: &mut Findings,
) {
    match spec.probes.iter().find(|p| p.name == *name) {
        None => {
            let message = format!("there is no probe `{name}` in spec.probes");
            findings.error(path, message, one_of(at_primary.iter().copied()));
        }
        Some(probe) if probe.side == Side::Standby => {
            let message =
                format!("the probe `{name}` runs only against standbys, and says nothing of the primary");
            findings.error(path, message, "give it side Primary or Both, or take it out here");
        }
        Some(_) => {}
    }
}

/// A quorum that can never be reached: no verdict ever starts a run. Without Automatic a person still can.
fn check_quorum(spec: &RegionFailoverPolicySpec, findings: &mut Findings) {
    let path = "spec.detection.quorum.vantages";
    let wanted = spec.detection.quorum.vantages as usize;
    let all = spec.vantages.len() + 1;
    let mut find = |message: String, fix: &str| match spec.mode {
        Mode::Automatic => findings.error(path, message, fix),
        Mode::Approve | Mode::Observe => findings.warn(path, message, fix),
    };
    if wanted > all {
        let message = format!(
            "{wanted} must agree, and there are {all} with the controller itself: no region is ever unhealthy"
        );
        return find(message, "add vantages to spec.vantages, or lower the quorum");
    }
    for region in &spec.regions {
        let inside = spec.vantages.iter().filter(|v| v.region.as_ref() == Some(&region.name)).count();
        if all - inside < wanted {
            let message = format!(
                "{wanted} outside a region must agree, and outside {} there are {}: it is never unhealthy",
                region.name,
                all - inside
            );
            find(message, "add a vantage that stands elsewhere, or lower the quorum");
        }
    }
}

/// A candidate needs a probe that passes there.
fn check_standby_probe(spec: &RegionFailoverPolicySpec, findings: &mut Findings) {
    if spec.mode == Mode::Observe || spec.probes.iter().any(|p| p.side != Side::Primary) {
        return;
    }
    let message = "no probe runs against a standby, so no region could ever take over";
    findings.error("spec.probes", message, "give a probe that only reads side: Both, for example http");
}

fn check_automatic(spec: &RegionFailoverPolicySpec, findings: &mut Findings) {
    let path = "spec.mode";
    let mut needs = |holds: bool, message: &str, fix: &str| {
        if !holds {
            findings.error(
                path,
                format!("Automatic needs {message}"),
                format!("{fix}, or use mode: Approve"),
            );
        }
    };
    let at_primary = spec.probes.iter().any(|p| p.side != Side::Standby);
    needs(at_primary, "a probe of the primary", "add one to spec.probes with side Primary or Both");
    needs(
        spec.detection.quorum.vantages >= 2,
        "two vantages that agree, and the quorum is 1",
        "set detection.quorum.vantages to 2 or more",
    );
    let anchors = !spec.detection.anchors.is_empty();
    needs(anchors, "an anchor, to tell a dead region from a dead line of our own", "add detection.anchors");
    let public = spec.public_probe.is_some();
    needs(public, "the public name's probe, to tell when users are served again", "add spec.publicProbe");
    if spec.safety.without_fence.is_some() {
        return;
    }
    needs(
        !spec.fence.is_empty(),
        "a way to make sure that the old primary takes no writes",
        "add spec.fence, or consent ahead of time by safety.withoutFence",
    );
    let attested = spec.safety.accept.contains(&api::AcceptedProof::Attested);
    let usable = spec.fence.iter().any(|f| f.sql.is_some() || attested);
    needs(
        usable || spec.fence.is_empty(),
        "a proof that it accepts, and every fence here proves Attested",
        "add Attested to safety.accept, add a sql fence, or set safety.withoutFence",
    );
}
