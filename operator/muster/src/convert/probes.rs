//! Probes: what the core judges by, and what a vantage runs.

use super::data::DataConfig;
use super::findings::{Findings, words};
use super::millis;
use super::requests::{Resolver, exactly_one, within};
use muster_core::ids::{ItemName, RegionName};
use muster_core::policy::{On, ProbePlan, PublicProbe};
use muster_core::secret::Secret;
use muster_crds::policy::{self as api, RegionFailoverPolicySpec, Side};
use muster_crds::text::{Template, Text};
use muster_probes::{
    AnchorSpec, DnsSpec, GrpcSpec, HeartbeatSpec, HttpMethod, HttpSpec, ProbeKind, ProbeSpec, ProbingSpec,
    PublicSpec, RegionVars, SqlSpec, StepSpec, TcpSpec,
};
use std::collections::BTreeMap;

/// All probes: the core's plans, the public probe's numbers, and what a vantage runs.
pub(super) fn convert(
    spec: &RegionFailoverPolicySpec,
    data: &BTreeMap<ItemName, DataConfig>,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> (Vec<ProbePlan>, Option<PublicProbe>, ProbingSpec) {
    let mut plans = Vec::new();
    let mut probing = ProbingSpec { regions: regions_of(spec), ..ProbingSpec::default() };
    check_heartbeats(spec, findings);
    for (index, probe) in spec.probes.iter().enumerate() {
        let path = format!("spec.probes[{index}]");
        check_probe(probe, &path, findings);
        let plan = plan_of(probe);
        if let Some(kind) = kind_of(probe, data, &path, resolver, findings) {
            let (name, on) = (plan.name.clone(), plan.on);
            let (every, timeout) = (probe.every.to_std(), probe.timeout.to_std());
            probing.probes.push(ProbeSpec { name, on, every, timeout, kind });
        }
        plans.push(plan);
    }
    let public = spec.public_probe.as_ref();
    probing.public = public.map(|p| public_of(p, resolver, findings));
    probing.anchors = anchors_of(spec, findings);
    let public = public.map(|p| PublicProbe {
        every: millis(p.every),
        timeout: millis(p.timeout),
        successes: p.successes,
    });
    (plans, public, probing)
}

fn regions_of(spec: &RegionFailoverPolicySpec) -> Vec<RegionVars> {
    let texts = |values: &BTreeMap<String, Text<4096>>| {
        values.iter().map(|(key, value)| (key.clone(), value.to_string())).collect()
    };
    spec.regions
        .iter()
        .map(|r| RegionVars { name: RegionName::new(r.name.as_str()), values: texts(&r.values) })
        .collect()
}

fn plan_of(probe: &api::Probe) -> ProbePlan {
    ProbePlan {
        name: probe.name.as_str().into(),
        on: match probe.side {
            Side::Primary => On::Primary,
            Side::Standby => On::Standby,
            Side::Both => On::Both,
        },
        every: millis(probe.every),
        timeout: millis(probe.timeout),
    }
}

fn check_times(
    every: muster_crds::Duration,
    timeout: muster_crds::Duration,
    path: &str,
    findings: &mut Findings,
) {
    within(every, ("100ms", "1h"), &format!("{path}.every"), findings);
    within(timeout, ("10ms", "1h"), &format!("{path}.timeout"), findings);
    if timeout > every {
        let message = format!("{timeout} is longer than the {every} between two runs");
        findings.error(format!("{path}.timeout"), message, format!("use {every} or less, or raise every"));
    }
}

fn check_probe(probe: &api::Probe, path: &str, findings: &mut Findings) {
    let kinds = [
        ("suite", probe.suite.is_some()),
        ("http", probe.http.is_some()),
        ("tcp", probe.tcp.is_some()),
        ("grpc", probe.grpc.is_some()),
        ("dns", probe.dns.is_some()),
        ("sql", probe.sql.is_some()),
        ("heartbeat", probe.heartbeat.is_some()),
    ];
    exactly_one(&kinds, path, "probe", findings);
    check_times(probe.every, probe.timeout, path, findings);
    if probe.heartbeat.is_some() && probe.side != Side::Primary {
        let message = format!(
            "a heartbeat cannot be told to run at {:?}: it writes at the primary and reads at each standby by itself",
            probe.side
        );
        findings.error(format!("{path}.side"), message, "leave side out");
    }
}

/// The loss is counted by one writer for each data item.
fn check_heartbeats(spec: &RegionFailoverPolicySpec, findings: &mut Findings) {
    let mut first = BTreeMap::new();
    for (index, probe) in spec.probes.iter().enumerate() {
        let Some(beat) = &probe.heartbeat else { continue };
        if let Some(other) = first.insert(&beat.data, &probe.name) {
            let message = format!("the probe `{other}` is a heartbeat of `{}` already", beat.data);
            findings.error(
                format!("spec.probes[{index}].heartbeat.data"),
                message,
                "keep one heartbeat for each data item",
            );
        }
    }
}

fn kind_of(
    probe: &api::Probe,
    data: &BTreeMap<ItemName, DataConfig>,
    path: &str,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> Option<ProbeKind> {
    let target = |name: &str| data.get(&ItemName::new(name)).map(|d| d.probed.clone());
    if let Some(steps) = &probe.suite {
        let mut convert = |(index, step): (usize, &api::SuiteStep)| {
            step_of(step, &format!("{path}.suite[{index}]"), resolver, findings)
        };
        // All steps are looked at; one without a request leaves nothing to run.
        let steps: Vec<Option<StepSpec>> = steps.iter().enumerate().map(&mut convert).collect();
        return steps.into_iter().collect::<Option<_>>().map(ProbeKind::Suite);
    }
    if let Some(http) = &probe.http {
        return Some(ProbeKind::Http(http_of(http, &format!("{path}.http"), resolver, findings)));
    }
    if let Some(tcp) = &probe.tcp {
        return Some(ProbeKind::Tcp(TcpSpec { address: tcp.address.to_string() }));
    }
    if let Some(grpc) = &probe.grpc {
        let tls_path = format!("{path}.grpc.tls");
        return Some(ProbeKind::Grpc(GrpcSpec {
            address: grpc.address.to_string(),
            service: grpc.service.as_ref().map(ToString::to_string).unwrap_or_default(),
            tls: grpc.tls.as_ref().map(|tls| resolver.tls(tls, &tls_path, findings)),
        }));
    }
    if let Some(dns) = &probe.dns {
        return Some(ProbeKind::Dns(DnsSpec {
            server: dns.server.to_string(),
            name: dns.name.to_string(),
            record_type: format!("{:?}", dns.record_type).to_uppercase(),
            expect: texts(&dns.expect),
        }));
    }
    if let Some(sql) = &probe.sql {
        return target(&sql.data).map(|target| {
            let (data, query) = (ItemName::new(sql.data.as_str()), sql.query.to_string());
            ProbeKind::Sql(SqlSpec { data, target, query, expect: texts(&sql.expect) })
        });
    }
    let beat = probe.heartbeat.as_ref()?;
    let target = target(&beat.data)?;
    Some(ProbeKind::Heartbeat(HeartbeatSpec { data: ItemName::new(beat.data.as_str()), target }))
}

fn texts<const MAX: u32>(items: &[Text<MAX>]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn headers_of(headers: &BTreeMap<String, Text<4096>>) -> BTreeMap<String, String> {
    headers.iter().map(|(name, value)| (name.clone(), value.to_string())).collect()
}

fn secret_headers_of(
    headers: &[api::SecretHeader],
    path: &str,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> Vec<(String, Secret)> {
    let mut resolve = |(index, header): (usize, &api::SecretHeader)| {
        let path = format!("{path}.secretHeaders[{index}].secret");
        (header.name.to_string(), resolver.secret(&header.secret, &path, findings))
    };
    headers.iter().enumerate().map(&mut resolve).collect()
}

fn http_of(http: &api::HttpProbe, path: &str, resolver: &Resolver<'_>, findings: &mut Findings) -> HttpSpec {
    let tls = http.tls.as_ref().map(|tls| resolver.tls(tls, &format!("{path}.tls"), findings));
    HttpSpec {
        method: HttpMethod::Get,
        url: http.get.to_string(),
        headers: headers_of(&http.headers),
        secret_headers: secret_headers_of(&http.secret_headers, path, resolver, findings),
        body: None,
        expect: texts(&http.expect),
        follow_redirects: http.follow_redirects,
        fresh_connection: http.fresh_connection,
        tls: tls.unwrap_or_default(),
    }
}

fn step_of(
    step: &api::SuiteStep,
    path: &str,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> Option<StepSpec> {
    let (method, url) = request_of(step, path, findings)?;
    if method == HttpMethod::Get && step.body.is_some() {
        findings.error(format!("{path}.body"), "a get request has no body", "use post, or leave body out");
    }
    let tls = step.tls.as_ref().map(|tls| resolver.tls(tls, &format!("{path}.tls"), findings));
    Some(StepSpec {
        name: step.name.to_string(),
        http: HttpSpec {
            method,
            url,
            headers: headers_of(&step.headers),
            secret_headers: secret_headers_of(&step.secret_headers, path, resolver, findings),
            body: step.body.as_ref().map(ToString::to_string),
            expect: texts(&step.expect),
            follow_redirects: step.follow_redirects,
            fresh_connection: false,
            tls: tls.unwrap_or_default(),
        },
        save: step.save.iter().map(|(name, value)| (name.clone(), value.to_string())).collect(),
        always: step.always,
    })
}

fn request_of(step: &api::SuiteStep, path: &str, findings: &mut Findings) -> Option<(HttpMethod, String)> {
    let requests: [(&str, HttpMethod, Option<&Template>); 5] = [
        ("get", HttpMethod::Get, step.get.as_ref()),
        ("post", HttpMethod::Post, step.post.as_ref()),
        ("put", HttpMethod::Put, step.put.as_ref()),
        ("patch", HttpMethod::Patch, step.patch.as_ref()),
        ("delete", HttpMethod::Delete, step.delete.as_ref()),
    ];
    let given: Vec<_> =
        requests.iter().filter_map(|(name, method, url)| Some((name, method, (*url)?))).collect();
    match given.as_slice() {
        [(_, method, url)] => return Some((**method, url.to_string())),
        [] => findings.error(path, "has no request", "add exactly one of: get, post, put, patch, delete"),
        given => {
            let message = format!("has several requests: {}", words(given.iter().map(|(name, _, _)| **name)));
            findings.error(path, message, "keep one and put the others into steps of their own");
        }
    }
    None
}

fn public_of(public: &api::PublicProbe, resolver: &Resolver<'_>, findings: &mut Findings) -> PublicSpec {
    let path = "spec.publicProbe";
    check_times(public.every, public.timeout, path, findings);
    let http = &public.http;
    let tls = http.tls.as_ref().map(|tls| resolver.tls(tls, &format!("{path}.http.tls"), findings));
    PublicSpec {
        every: public.every.to_std(),
        timeout: public.timeout.to_std(),
        http: HttpSpec {
            method: HttpMethod::Get,
            url: http.get.to_string(),
            headers: headers_of(&http.headers),
            secret_headers: Vec::new(),
            body: None,
            expect: texts(&http.expect),
            follow_redirects: http.follow_redirects,
            fresh_connection: true,
            tls: tls.unwrap_or_default(),
        },
        resolver: public.resolver.as_ref().map(ToString::to_string),
    }
}

fn anchors_of(spec: &RegionFailoverPolicySpec, findings: &mut Findings) -> Vec<AnchorSpec> {
    let mut parse = |(index, url): (usize, &muster_crds::text::Url)| {
        let anchor = AnchorSpec::parse(url);
        if anchor.is_none() {
            let message = format!("`{url}` is neither an http://, https:// nor tcp:// URL");
            let fix = "write it like https://one.example.net or tcp://192.0.2.1:443";
            findings.error(format!("spec.detection.anchors[{index}]"), message, fix);
        }
        anchor
    };
    // All or none, so that an index means the same here and in the policy.
    let anchors: Vec<_> = spec.detection.anchors.iter().enumerate().map(&mut parse).collect();
    anchors.into_iter().collect::<Option<_>>().unwrap_or_default()
}
