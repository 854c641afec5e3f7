//! `/metrics` in the format of `OpenMetrics`: what each policy's newest pass says, read from memory at each scrape.
//!
//! Label values are names of policies, regions and items, and words of bounded sets; never what a person or a target
//! wrote. Nothing is asked of anybody for it.

use super::{Api, look};
use crate::api::FileProblem;
use crate::engine::Shown;
use crate::engine::status;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use muster_core::facts::EngineLag;
use muster_core::ids::{ItemName, PolicyName, RegionName};
use muster_core::journal::{Journal, Run};
use muster_core::time::Millis;
use muster_providers::aws::Circuit;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// What a scraper is told that it gets.
const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;
type Number = Gauge<f64, AtomicU64>;

/// Gauges of one name.
#[derive(Clone, Default)]
struct Numbers(Family<Labels, Number>);

impl Numbers {
    fn register(registry: &mut Registry, name: &str, help: &str) -> Self {
        let numbers = Self::default();
        registry.register(name, help, numbers.0.clone());
        numbers
    }

    fn in_seconds(registry: &mut Registry, name: &str, help: &str) -> Self {
        let numbers = Self::default();
        registry.register_with_unit(name, help, Unit::Seconds, numbers.0.clone());
        numbers
    }

    fn set<const N: usize>(&self, labels: [(&'static str, String); N], value: f64) {
        self.0.get_or_create(&labels.into()).set(value);
    }

    fn add<const N: usize>(&self, labels: [(&'static str, String); N], value: f64) {
        self.0.get_or_create(&labels.into()).inc_by(value);
    }
}

/// How far standbys are behind by their engines' own words.
struct EngineLags {
    behind: Numbers,
    age: Numbers,
}

impl EngineLags {
    fn register(registry: &mut Registry) -> Self {
        let behind = "How far a standby was behind when its engine last said so.";
        let age = "How old that word of the engine is.";
        Self {
            behind: Numbers::in_seconds(registry, "data_engine_lag", behind),
            age: Numbers::in_seconds(registry, "data_engine_lag_age", age),
        }
    }

    fn tell(&self, policy: &PolicyName, lags: Vec<(ItemName, RegionName, EngineLag)>) {
        for (item, region, lag) in lags {
            let [policy, item, region] = [policy.to_string(), item.to_string(), region.to_string()];
            let labels = [("policy", policy), ("item", item), ("region", region)];
            self.behind.set(labels.clone(), seconds(lag.behind));
            self.age.set(labels, seconds(lag.age));
        }
    }
}

/// Everything that is told of policies.
struct Gauges {
    in_force: Numbers,
    problem: Numbers,
    mode: Numbers,
    active_region: Numbers,
    may_be_writable: Numbers,
    verdict: Numbers,
    rule: Numbers,
    pass_failing: Numbers,
    blocked: Numbers,
    condition: Numbers,
    run: Numbers,
    last_rto: Numbers,
    last_loss: Numbers,
    live_loss: Numbers,
    engine_lag: EngineLags,
    circuit: Numbers,
}

impl Gauges {
    fn register(registry: &mut Registry) -> Self {
        Self {
            in_force: Numbers::register(registry, "policies_in_force", "Policies that run here."),
            problem: Numbers::register(
                registry,
                "policy_problem",
                "Policies that are not in force as written, by why: Unreadable, Invalid, DuplicateName and the like.",
            ),
            mode: Numbers::register(
                registry,
                "policy_mode",
                "How far Muster goes by itself, 1 for the mode.",
            ),
            active_region: Numbers::register(
                registry,
                "policy_active_region",
                "1 for the region that takes writes.",
            ),
            may_be_writable: Numbers::register(
                registry,
                "policy_may_be_writable",
                "1 for each region that may take writes, as far as the journal knows.",
            ),
            verdict: Numbers::register(
                registry,
                "policy_region_verdict",
                "1 for the verdict on a region: Healthy, Unhealthy or Unknown.",
            ),
            rule: Numbers::register(registry, "policy_rule", "1 for the rule that decided the newest pass."),
            pass_failing: Numbers::register(
                registry,
                "policy_pass_failing",
                "1 while passes fail: nothing is decided and nothing is done; the other figures are of the last good one.",
            ),
            blocked: Numbers::register(
                registry,
                "policy_blocked",
                "1 for each condition that keeps the next step back.",
            ),
            condition: Numbers::register(
                registry,
                "policy_condition",
                "Whether a condition holds, with the reason that it gives.",
            ),
            run: Numbers::register(registry, "policy_run_active", "1 for the run under way, with its phase."),
            last_rto: Numbers::in_seconds(
                registry,
                "policy_last_run_rto",
                "Measured in the newest run that ended.",
            ),
            last_loss: Numbers::in_seconds(
                registry,
                "policy_last_run_loss_at_most",
                "Upper bound of the writes lost in the newest run that ended.",
            ),
            live_loss: Numbers::in_seconds(
                registry,
                "policy_live_loss",
                "What would be lost if the active region were gone now.",
            ),
            engine_lag: EngineLags::register(registry),
            circuit: Numbers::register(
                registry,
                "aws_circuit_open",
                "1 while an API of AWS does not answer in an account's region, and looks do without it.",
            ),
        }
    }

    fn tell(&self, shown: &Shown) {
        let summary = status::summarize(shown);
        let policy = || ("policy", summary.name.to_string());
        self.mode.set([policy(), ("mode", format!("{:?}", summary.mode))], 1.0);
        if let Some(region) = &summary.active_region {
            self.active_region.set([policy(), ("region", region.to_string())], 1.0);
        }
        for (region, verdict) in &summary.verdicts {
            let labels = [policy(), ("region", region.to_string()), ("verdict", format!("{verdict:?}"))];
            self.verdict.set(labels, 1.0);
        }
        if let Some(rule) = summary.rule {
            let number = rule.number().to_string();
            self.rule.set([policy(), ("rule", rule.name().to_owned()), ("number", number)], 1.0);
        }
        if let Some(loss) = summary.live_rpo {
            self.live_loss.set([policy()], seconds(loss));
        }
        let latest = shown.handle.latest.borrow().clone();
        let Some(latest) = latest else { return };
        self.pass_failing.set([policy()], f64::from(u8::from(latest.failing().is_some())));
        for blocker in &latest.blocked {
            self.blocked.set([policy(), ("name", blocker.name.clone())], 1.0);
        }
        if let Some(journal) = &latest.journal {
            self.tell_journal(journal, &policy);
        }
    }

    fn tell_journal(&self, journal: &Journal, policy: &dyn Fn() -> (&'static str, String)) {
        for region in &journal.state.may_be_writable {
            self.may_be_writable.set([policy(), ("region", region.to_string())], 1.0);
        }
        for (kind, condition) in &journal.state.conditions {
            let labels = [policy(), ("type", kind.clone()), ("reason", condition.reason.clone())];
            self.condition.set(labels, f64::from(u8::from(condition.ok)));
        }
        match &journal.run {
            Some(run) if run.phase.is_final() => self.tell_ended(run, policy),
            Some(run) => {
                let kind = ("kind", format!("{:?}", run.kind));
                self.run.set([policy(), kind, ("phase", format!("{:?}", run.phase))], 1.0);
            }
            None => {}
        }
    }

    fn tell_ended(&self, run: &Run, policy: &dyn Fn() -> (&'static str, String)) {
        let kind = || ("kind", format!("{:?}", run.kind));
        if let Some(rto) = run.measured.rto {
            self.last_rto.set([policy(), kind()], seconds(rto));
        }
        if let Some(loss) = run.measured.rpo.at_most {
            self.last_loss.set([policy(), kind()], seconds(loss));
        }
    }

    fn tell_circuit(&self, circuit: &Circuit) {
        let labels = [
            ("account", circuit.account.clone()),
            ("region", circuit.region.clone()),
            ("service", circuit.service.to_owned()),
        ];
        self.circuit.set(labels, f64::from(u8::from(circuit.is_open)));
    }

    fn tell_problem(&self, problem: &FileProblem) {
        let policy = problem.policy.as_ref().map_or_else(|| problem.file.clone(), ToString::to_string);
        self.problem.add([("policy", policy), ("reason", problem.reason.clone())], 1.0);
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of less than 285 years are exact")]
fn seconds(long: Millis) -> f64 {
    long.0 as f64 / 1e3
}

fn gather(api: &Api) -> Registry {
    let mut registry = Registry::with_prefix("muster");
    let build = Numbers::register(&mut registry, "build_info", "1 for the version that runs.");
    build.set([("version", env!("CARGO_PKG_VERSION").to_owned())], 1.0);
    let lease = Numbers::register(&mut registry, "lease_held", "Whether this process acts.");
    lease.set([], f64::from(u8::from(api.shell.lease.is_held())));
    let gauges = Gauges::register(&mut registry);
    let all = api.engine.all();
    #[expect(clippy::cast_precision_loss, reason = "a count of policies is exact")]
    gauges.in_force.set([], all.len() as f64);
    // One that stands by knows the journal too, and told twice a sum would be twice the truth.
    for shown in all.iter().filter(|_| api.shell.lease.is_held()) {
        gauges.tell(shown);
        let lags = status::engine_lags(&look::seen(api, shown), api.shell.clock.now());
        gauges.engine_lag.tell(&shown.handle.name, lags);
    }
    for circuit in &api.engine.circuits() {
        gauges.tell_circuit(circuit);
    }
    for problem in &api.engine.problems() {
        gauges.tell_problem(problem);
    }
    registry
}

/// Answers a scraper. A process that does not act has no passes of its own, and tells of its lease and of problems.
pub(super) async fn scrape(State(api): State<Arc<Api>>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &gather(&api)) {
        Ok(()) => ([(CONTENT_TYPE, FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
