//! A person's consent to one plan: shown, asked for, and bound to the plan's hash, its gates and its loss.

use super::super::args::ConsentArgs;
use super::super::client::Client;
use super::super::context::Context;
use super::super::exit::{Code, Done, Failure};
use super::super::view::plan::unmet;
use crate::api::Consent;
use muster_core::decision::PlanPreview;
use muster_core::journal::{Gate, Severity};
use muster_core::time::Millis;
use std::collections::BTreeSet;

/// The gate that `max_loss` answers.
const LOSS_GATE: &str = "EstimatedLoss";
/// The gate whose waiver takes the target out of what its engine replicates by.
const ENGINE_GATE: &str = "EngineFailover";
/// The gate whose waiver opens another database than was to be promoted.
const NODE_GATE: &str = "TargetReplaced";
/// The gate whose waiver lets the old primary go on.
const FENCE_GATE: &str = "Fenced";

/// Asks the person, or checks what the command line gave. The plan was shown already to whom it asks.
pub(super) fn obtain(
    cx: &Context,
    client: &Client,
    plan: &PlanPreview,
    args: &ConsentArgs,
    what: &str,
) -> Done<Consent> {
    check_hash(plan, args.plan.as_deref())?;
    let max_loss = accepted_loss(plan, args.max_loss)?;
    let mut waives: BTreeSet<String> = args.waive.iter().cloned().collect();
    // A cluster's objects hold no loss of this moment: a limit that was named is for the operator to hold.
    let limited = client.is_cluster() && args.max_loss.is_some();
    let open = open_gates(plan, &waives, max_loss, limited)?;
    if args.yes {
        return match open.as_slice() {
            [] => Ok(consent(plan, args, max_loss, waives)),
            open => Err(not_waived(open)),
        };
    }
    if !cx.screen.can_ask {
        let fix = format!("Look at the plan with `muster plan`, then give --yes --plan {}.", plan.plan_hash);
        return Err(Failure::usage("there is no terminal to ask for consent").fix(fix));
    }
    for gate in open {
        let question = format!("{} does not hold ({}). Go on all the same?", gate.name, gate.saw);
        if !cx.screen.ask(&question)? {
            return Err(not_waived(&[gate]));
        }
        waives.insert(gate.name.clone());
    }
    if cx.screen.ask(&question(plan, max_loss, &waives, what))? {
        return Ok(consent(plan, args, max_loss, waives));
    }
    Err(Failure::new(Code::Refused, "you said no; nothing was changed"))
}

fn consent(
    plan: &PlanPreview,
    args: &ConsentArgs,
    max_loss: Option<Millis>,
    waives: BTreeSet<String>,
) -> Consent {
    Consent { plan_hash: plan.plan_hash.clone(), max_loss, waives, valid_for: args.valid_for }
}

/// The hash may be given by its first eight digits or more.
fn check_hash(plan: &PlanPreview, given: Option<&str>) -> Done {
    const SHORTEST: usize = 8;
    let Some(given) = given else { return Ok(()) };
    if given.len() >= SHORTEST && plan.plan_hash.starts_with(given) {
        return Ok(());
    }
    Err(Failure::new(Code::Refused, format!("the plan is now {}, not {given}", plan.plan_hash))
        .fix("Look at it again with `muster plan`, and agree to that one."))
}

/// What loss the person accepts: what was said, or what was shown; a growing loss needs a limit.
fn accepted_loss(plan: &PlanPreview, given: Option<Millis>) -> Done<Option<Millis>> {
    let limit = plan.run.policy.safety.max_estimated_loss;
    match (given, plan.estimated_loss) {
        (Some(given), _) => Ok(Some(given)),
        (None, None) => Ok(None),
        // Within the policy's own limit: that one goes on holding.
        (None, Some(shown)) if limit.is_some_and(|limit| shown <= limit) => Ok(None),
        (None, Some(shown)) if !plan.loss_is_growing => Ok(Some(shown)),
        (None, Some(shown)) => {
            let minutes = shown.0.saturating_mul(2).div_ceil(60_000).max(1);
            let fix = format!("Say how much you accept at most, such as --max-loss {minutes}m.");
            Err(Failure::new(Code::Refused, format!("the loss is {shown} now and grows")).fix(fix))
        }
    }
}

/// Gates that still stop, with this much loss accepted and these waived. `limited`: the loss is held to by whoever
/// knows it.
fn open_gates<'a>(
    plan: &'a PlanPreview,
    waives: &BTreeSet<String>,
    max_loss: Option<Millis>,
    limited: bool,
) -> Done<Vec<&'a Gate>> {
    let stopping = unmet(&plan.gates);
    if let Some(law) = stopping.iter().find(|g| g.severity == Severity::Law) {
        let what = format!("{} does not hold, and nobody may waive it: {}", law.name, law.saw);
        return Err(Failure::new(Code::Refused, what).fix(format!("It needs: {}.", law.needs)));
    }
    let loss_covered =
        limited || plan.estimated_loss.zip(max_loss).is_some_and(|(shown, most)| shown <= most);
    let answered = |gate: &Gate| waives.contains(&gate.name) || gate.name == LOSS_GATE && loss_covered;
    Ok(stopping.into_iter().filter(|g| !answered(g)).collect())
}

fn not_waived(open: &[&Gate]) -> Failure {
    let names: Vec<&str> = open.iter().map(|g| g.name.as_str()).collect();
    let saw: Vec<String> = open.iter().map(|g| format!("{} ({})", g.name, g.saw)).collect();
    Failure::new(Code::Refused, format!("the plan has gates that do not hold: {}", saw.join(", ")))
        .fix(format!("Go on all the same with --waive {}.", names.join(",")))
}

fn question(plan: &PlanPreview, max_loss: Option<Millis>, waives: &BTreeSet<String>, what: &str) -> String {
    let most = max_loss.or(plan.run.policy.safety.max_estimated_loss);
    let most = most.filter(|_| !waives.contains(LOSS_GATE));
    let loss = match (most, plan.loss_is_growing) {
        (Some(most), true) => format!(" and accept a loss of writes, which grows, of at most {most}"),
        (Some(most), false) => format!(" and accept a loss of writes of at most {most}"),
        (None, true) => " and accept a loss of writes, which grows, without a limit".to_owned(),
        (None, false) => " and accept a loss of writes without a limit".to_owned(),
    };
    let loss = if plan.run.kind.is_planned() { String::new() } else { loss };
    let fence = if waives.contains(FENCE_GATE) {
        "; what the old primary still takes afterwards is lost too"
    } else {
        ""
    };
    let engine = if waives.contains(ENGINE_GATE) {
        "; the target is detached for good, and nothing follows it until you build that again"
    } else {
        ""
    };
    let node = if waives.contains(NODE_GATE) {
        "; what answers under the target's name is opened with what it holds"
    } else {
        ""
    };
    format!("{what}: {} to {}{loss}{fence}{engine}{node}?", plan.run.from, plan.run.to)
}

#[cfg(test)]
mod tests {
    use super::super::super::view::sample;
    use super::*;

    #[test]
    fn consent_to_another_plan_than_the_one_shown_is_refused() {
        let plan = sample::plan();
        assert_eq!(check_hash(&plan, Some("3f9c0a1b")), Ok(()));
        assert_eq!(check_hash(&plan, Some(&plan.plan_hash)), Ok(()));
        for other in ["3f9c", "deadbeef", ""] {
            let failure = check_hash(&plan, Some(other)).unwrap_err();
            assert_eq!(failure.code, Code::Refused);
            assert!(failure.what.contains(&plan.plan_hash), "{failure}");
        }
    }

    #[test]
    fn a_growing_loss_above_the_policys_limit_needs_a_number() {
        let mut plan = sample::plan();
        let failure = accepted_loss(&plan, None).unwrap_err();
        assert!(failure.fix.contains("--max-loss 2m"), "{failure}");
        assert_eq!(accepted_loss(&plan, Some(Millis(60_000))), Ok(Some(Millis(60_000))));
        plan.loss_is_growing = false;
        assert_eq!(accepted_loss(&plan, None), Ok(Some(Millis(42_000))));
        plan.estimated_loss = Some(Millis(1000));
        assert_eq!(accepted_loss(&plan, None), Ok(None), "the policy's own limit goes on holding");
    }

    #[test]
    fn a_gate_that_nobody_may_waive_ends_it_at_once() {
        let mut plan = sample::plan();
        plan.gates[0].ok = false;
        let waives = BTreeSet::from(["JournalWritable".to_owned()]);
        let failure = open_gates(&plan, &waives, None, false).unwrap_err();
        assert!(
            failure.what.starts_with("JournalWritable does not hold, and nobody may waive it"),
            "{failure}"
        );
    }

    #[test]
    fn an_accepted_loss_or_a_waiver_answers_the_gate() {
        let plan = sample::plan();
        let none = BTreeSet::new();
        assert_eq!(open_gates(&plan, &none, None, false).unwrap().len(), 1);
        assert_eq!(open_gates(&plan, &none, Some(Millis(41_000)), false).unwrap().len(), 1);
        assert!(open_gates(&plan, &none, Some(Millis(42_000)), false).unwrap().is_empty());
        assert!(open_gates(&plan, &BTreeSet::from([LOSS_GATE.to_owned()]), None, false).unwrap().is_empty());
        assert!(open_gates(&plan, &none, None, true).unwrap().is_empty(), "the operator holds the limit");
    }

    #[test]
    fn the_question_says_what_is_accepted() {
        let text = question(&sample::plan(), Some(Millis(60_000)), &BTreeSet::new(), "Start this failover");
        assert_eq!(
            text,
            "Start this failover: east to west and accept a loss of writes, which grows, of at most 60.0 s?"
        );
    }

    #[test]
    fn a_waived_fence_says_that_the_loss_goes_on() {
        let text = question(&sample::plan(), Some(Millis(60_000)), &waived(FENCE_GATE), "Approve checkout-4");
        assert!(
            text.ends_with("at most 60.0 s; what the old primary still takes afterwards is lost too?"),
            "{text}"
        );
    }

    #[test]
    fn a_waived_engine_says_that_the_target_is_detached() {
        let text =
            question(&sample::plan(), Some(Millis(60_000)), &waived(ENGINE_GATE), "Approve checkout-4");
        assert!(
            text.ends_with("detached for good, and nothing follows it until you build that again?"),
            "{text}"
        );
    }

    fn waived(gate: &str) -> BTreeSet<String> {
        BTreeSet::from([gate.to_owned()])
    }

    #[test]
    fn a_waived_loss_is_asked_about_as_one_without_a_limit() {
        let mut plan = sample::plan();
        plan.loss_is_growing = false;
        let text = question(&plan, None, &waived(LOSS_GATE), "Approve checkout-4");
        assert_eq!(text, "Approve checkout-4: east to west and accept a loss of writes without a limit?");
        plan.run.kind = muster_core::journal::RunKind::Switchover;
        assert_eq!(
            question(&plan, None, &BTreeSet::new(), "Approve checkout-4"),
            "Approve checkout-4: east to west?"
        );
    }
}
