//! `muster status`: all policies on a line each, or one in full.

use super::super::paint::Tone;
use super::super::table::{Cell, Table};
use super::super::words::{self, NONE};
use super::{Facts, Look, Source, blockers};
use crate::api::{
    FactsBrief, FileProblem, PolicyList, PolicyStatus, PolicySummary, Role, RunSummary, TrafficBrief,
};
use muster_core::facts::{ComputeFacts, DataRole, PowerState};
use muster_core::health::VerdictKind;
use muster_core::ids::RegionName;
use std::fmt::Write;

/// All policies, and the files that were not taken.
pub fn render_list(list: &PolicyList, source: Source, look: &Look) -> String {
    let mut out = String::new();
    if list.policies.is_empty() {
        out.push_str(match source {
            Source::Server => "No policy is in force. Put one into the server's --policies folder;\n",
            Source::Objects => {
                "No policy is here. `kubectl apply` one, or look elsewhere with -n NAMESPACE;\n"
            }
        });
        out.push_str("`muster validate FILE` says what is wrong with one.\n");
    } else {
        let mut table = Table::new(&["POLICY", "MODE", "ACTIVE", "RPO NOW", "STATE"]);
        for policy in &list.policies {
            let (state, tone) = state(policy);
            table.row([
                Cell::from(policy.name.as_str()),
                Cell::from(format!("{:?}", policy.mode)),
                Cell::from(name_or_dash(policy.active_region.as_ref())),
                Cell::from(words::maybe(policy.live_rpo)),
                Cell::new(tone, state),
            ]);
        }
        out.push_str(&look.table(&table));
    }
    out.push_str(&file_problems(&list.file_problems, look));
    out
}

/// What a person should know first, in a few words.
fn state(policy: &PolicySummary) -> (String, Tone) {
    if let Some(run) = &policy.run {
        let (phase, tone) = words::phase(run.phase);
        let step = run.step.as_deref().map(|s| format!(", {s}")).unwrap_or_default();
        return (format!("{:?} to {}: {phase}{step}", run.kind, run.to), tone);
    }
    if let Some(open) = &policy.needs_ack {
        return (format!("waits for ack: {open}"), Tone::Warn);
    }
    if let Some(paused) = &policy.paused {
        return (format!("paused: {paused}"), Tone::Warn);
    }
    let unwell: Vec<String> = policy
        .verdicts
        .iter()
        .filter(|(_, kind)| **kind != VerdictKind::Healthy)
        .map(|(region, kind)| format!("{region} {}", words::verdict(*kind).0))
        .collect();
    match (unwell.is_empty(), policy.rule) {
        (false, _) => (unwell.join(", "), Tone::Bad),
        (true, Some(_)) if !policy.verdicts.is_empty() => ("well".to_owned(), Tone::Good),
        (true, Some(rule)) => (format!("{rule}: {}", policy.message), Tone::Plain),
        (true, None) => (format!("no pass yet: {}", policy.message), Tone::Warn),
    }
}

fn name_or_dash(region: Option<&RegionName>) -> &str {
    region.map_or(NONE, RegionName::as_str)
}

fn file_problems(problems: &[FileProblem], look: &Look) -> String {
    if problems.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["FILE", "WHY", "SAW"]).indent(2);
    for problem in problems {
        let kept = if problem.last_good_in_force { " (the last good version stays in force)" } else { "" };
        table.row([
            Cell::from(&problem.file),
            Cell::new(Tone::Bad, &problem.reason),
            Cell::from(format!("{}{kept}", problem.message)),
        ]);
    }
    format!("{}{}", look.title("Policy files that are not in force as written"), look.table(&table))
}

/// One policy in full.
pub fn render(status: &PolicyStatus, source: Source, look: &Look) -> String {
    let mut out = format!("{}\n", look.paint.strong(status.summary.name.as_str()));
    out.push_str(&look.table(&head(status, source).0));
    if let Some(blocked) = status.decision.as_ref().map(|d| &d.blocked).filter(|b| !b.is_empty()) {
        let _ = write!(
            out,
            "{}{}",
            look.title("Blocked (muster explain says more)"),
            look.table(&blockers(blocked))
        );
    }
    out.push_str(&unmet(status, look));
    let _ = write!(out, "{}{}", look.title("Regions"), look.table(&regions(status)));
    out.push_str(&seen(&status.facts, look));
    out.push_str(&file_problems(&status.file_problems, look));
    out.push_str(&source.remark(look));
    out
}

fn head(status: &PolicyStatus, source: Source) -> Facts {
    let summary = &status.summary;
    let mut facts = Facts::new();
    facts.add("mode", format!("{:?}", summary.mode));
    facts.add("active region", name_or_dash(summary.active_region.as_ref()));
    facts.add(
        "run",
        summary.run.as_ref().map_or_else(|| Cell::from("none under way"), |run| run_line(run, status)),
    );
    facts.add_some("why", summary.run.as_ref().map(|run| &run.message).filter(|m| !m.is_empty()));
    if source == Source::Server {
        facts.add("RPO now", with_objective(summary.live_rpo, status.policy.objectives.rpo));
    }
    facts.add_some("last run", last_run(status));
    facts.add_some("paused", summary.paused.as_ref().map(|p| Cell::new(Tone::Warn, p)));
    facts.add_some("needs ack", summary.needs_ack.as_ref().map(|p| Cell::new(Tone::Warn, p)));
    match &status.decision {
        Some(decision) => facts.add("rule", format!("{}: {}", decision.rule, decision.message)),
        None => facts.add("rule", format!("no pass yet: {}", summary.message)),
    }
    if status.role == Role::Standby {
        let holder = status.lease_holder.as_ref().map_or("nobody", |h| h.as_str());
        facts.add("server", format!("this one only looks; the lease is held by {holder}"));
    }
    facts
}

fn run_line(run: &RunSummary, status: &PolicyStatus) -> Cell {
    let (phase, tone) = words::phase(run.phase);
    let step = run.step.as_deref().map(|s| format!(", {s}")).unwrap_or_default();
    let since = status.at.since_or_wall(&run.phase_since);
    Cell::new(
        tone,
        format!("{} {:?} {} to {}: {phase} for {since}{step}", run.name, run.kind, run.from, run.to),
    )
}

fn with_objective(
    seen: Option<muster_core::time::Millis>,
    objective: Option<muster_core::time::Millis>,
) -> Cell {
    let objective_text = objective.map(|o| format!(" (objective {o})")).unwrap_or_default();
    let tone = match (seen, objective) {
        (Some(seen), Some(objective)) if seen > objective => Tone::Bad,
        (None, _) => Tone::Warn,
        _ => Tone::Plain,
    };
    let seen = seen.map_or_else(|| "not known".to_owned(), |s| s.to_string());
    Cell::new(tone, format!("{seen}{objective_text}"))
}

fn last_run(status: &PolicyStatus) -> Option<Cell> {
    let run = status.journal.run.as_ref().filter(|run| run.phase.is_final())?;
    let (end, tone) = run.outcome.as_ref().map_or_else(|| words::phase(run.phase), words::outcome);
    let objective = run.policy.objectives.rto.map(|o| format!(" (objective {o})")).unwrap_or_default();
    Some(Cell::new(
        tone,
        format!(
            "{} {:?} to {}: {end}, RTO {}{objective}, RPO {}",
            run.name,
            run.kind,
            run.to,
            words::maybe(run.measured.rto),
            words::rpo(&run.measured.rpo)
        ),
    ))
}

fn regions(status: &PolicyStatus) -> Table {
    let mut table = Table::new(&["REGION", "", "VERDICT", "SAW"]).indent(2);
    for region in &status.policy.regions {
        let active = status.summary.active_region.as_ref() == Some(region);
        let verdict = status.verdicts.get(region);
        let (word, tone) = verdict.map_or((NONE, Tone::Dim), |v| words::verdict(v.kind));
        let outcast = status.journal.state.outcasts.get(region);
        let back =
            outcast.map(|o| format!("; fenced by {}, not back: {}", o.run, o.message)).unwrap_or_default();
        let saw = verdict.map_or("not judged yet", |v| v.saw.as_str());
        let back = if saw.is_empty() { back.trim_start_matches("; ") } else { &back };
        table.row([
            Cell::from(region.as_str()),
            Cell::new(Tone::Strong, if active { "active" } else { "" }),
            Cell::new(tone, word),
            Cell::from(format!("{saw}{back}")),
        ]);
    }
    table
}

/// Conditions that do not hold. What waits for an ack stands in the head already.
fn unmet(status: &PolicyStatus, look: &Look) -> String {
    let mut table = Table::new(&["CONDITION", "REASON", "SAW"]).indent(2);
    for (kind, condition) in &status.journal.state.conditions {
        if !condition.ok && kind != "Acknowledged" {
            let reason = Cell::new(Tone::Bad, &condition.reason);
            table.row([Cell::from(kind), reason, Cell::from(&condition.message)]);
        }
    }
    if table.is_empty() {
        return String::new();
    }
    format!("{}{}", look.title("Conditions that do not hold (runbooks/REASON.md)"), look.table(&table))
}

fn compute_words(seen: &ComputeFacts) -> (String, Tone) {
    let mut text = format!("{} of {} ready, {} at most today", seen.ready, seen.wanted, seen.recent);
    if let Some(autoscaler) = seen.autoscaler {
        let _ = write!(text, "; autoscaler {} to {}", autoscaler.min, autoscaler.max);
    }
    if let Some(before) = seen.before {
        let _ = write!(text, "; scaled by Muster from {before}");
    }
    if let Some(keeper) = &seen.keeper {
        let _ = write!(text, "; {keeper} sets it back");
    }
    let short = seen.ready < seen.wanted || seen.keeper.is_some();
    (text, if short { Tone::Warn } else { Tone::Plain })
}

fn seen(facts: &FactsBrief, look: &Look) -> String {
    let mut table = Table::new(&["ITEM", "WHERE", "AGE", "SEEN"]).indent(2);
    for node in &facts.data {
        let (text, tone) = node.unknown.as_ref().map_or_else(|| data_words(node), |why| unknown(why));
        let place =
            [Cell::from(node.item.as_str()), node.region.as_str().into(), node.age.to_string().into()];
        table.row(place.into_iter().chain([Cell::new(tone, text)]));
    }
    for workload in &facts.compute {
        let (text, tone) = match (&workload.seen, &workload.unknown) {
            (Some(seen), _) => compute_words(seen),
            (None, why) => unknown(why.as_deref().unwrap_or("not looked at yet")),
        };
        let place = [
            Cell::from(workload.item.as_str()),
            workload.region.as_str().into(),
            workload.age.to_string().into(),
        ];
        table.row(place.into_iter().chain([Cell::new(tone, text)]));
    }
    for fence in &facts.fences {
        let (text, tone) = match (fence.state.as_ref(), &fence.unknown) {
            (Some(PowerState::On), _) => (format!("{} on", name(fence.id.as_ref())), Tone::Plain),
            (Some(PowerState::Off), _) => (format!("{} off", name(fence.id.as_ref())), Tone::Warn),
            (None, why) => unknown(why.as_deref().unwrap_or("not asked yet")),
        };
        let place =
            [Cell::from(fence.way.as_str()), fence.region.as_str().into(), fence.age.to_string().into()];
        table.row(place.into_iter().chain([Cell::new(tone, text)]));
    }
    for record in &facts.traffic {
        let (text, tone) = record.unknown.as_ref().map_or_else(|| traffic_words(record), |why| unknown(why));
        table.row([
            Cell::from(record.item.as_str()),
            NONE.into(),
            record.age.to_string().into(),
            Cell::new(tone, text),
        ]);
    }
    if let Some(public) = &facts.public {
        let text = format!("{} successes in a row; {}", public.successes, public.last);
        table.row([Cell::from("public name"), NONE.into(), public.age.to_string().into(), text.into()]);
    }
    if table.is_empty() { String::new() } else { format!("{}{}", look.title("Seen"), look.table(&table)) }
}

fn traffic_words(record: &TrafficBrief) -> (String, Tone) {
    let points = record.points_to.as_ref().map_or("no region of ours", |r| r.as_str());
    let mut text = format!("points at {points}; {} of {} servers agree", record.agree, record.servers);
    if let Some(by) = &record.unsettled {
        let _ = write!(text, "; kept there by {by} alone");
    }
    if let Some(contested) = &record.contested {
        let _ = write!(text, "; contested: {contested}");
    }
    if let Some(drift) = &record.drift {
        let _ = write!(text, "; drift: {drift}");
    }
    let tone = match (&record.drift, &record.contested) {
        (Some(_), _) => Tone::Bad,
        (None, Some(_)) => Tone::Warn,
        (None, None) => Tone::Plain,
    };
    (text, tone)
}

fn data_words(node: &crate::api::DataBrief) -> (String, Tone) {
    let (text, tone) = role_words(node);
    match (&node.unfit, &node.unready) {
        (Some(why), _) => (format!("{text}; unfit: {why}"), Tone::Bad),
        (None, Some(why)) => (format!("{text}; no switchover now: {why}"), Tone::Warn),
        (None, None) => (text, tone),
    }
}

fn role_words(node: &crate::api::DataBrief) -> (String, Tone) {
    let timeline = node.timeline.map(|t| format!(", timeline {t}")).unwrap_or_default();
    let lag = match (node.lag_bytes, node.engine_lag) {
        (Some(bytes), _) => format!(", {bytes} bytes behind"),
        (None, Some(lag)) => format!(", {lag}"),
        (None, None) => String::new(),
    };
    match node.role {
        Some(DataRole::Writable) if node.closed => {
            (format!("writable, closed to the application{timeline}"), Tone::Warn)
        }
        Some(DataRole::Writable) => (format!("takes writes{timeline}"), Tone::Plain),
        Some(DataRole::Standby) if node.streaming => {
            (format!("standby, streams{lag}{timeline}"), Tone::Plain)
        }
        Some(DataRole::Standby) => (format!("standby, does not stream{lag}{timeline}"), Tone::Bad),
        None => unknown("not seen yet"),
    }
}

fn name(id: Option<&String>) -> &str {
    id.map_or("writers", String::as_str)
}

fn unknown(why: &str) -> (String, Tone) {
    (format!("unknown: {why}"), Tone::Warn)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use muster_core::journal::Condition;
    use std::collections::BTreeMap;

    #[test]
    fn one_policy_fits_a_narrow_screen_with_all_that_matters() {
        let text = render(&sample::status(), Source::Server, &sample::look());
        assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
        insta::assert_snapshot!(text, @r#"
        shop/checkout
          mode           Automatic
          active region  west
          run            none under way
          RPO now        400 ms (objective 5.0 s)
          last run       checkout-12 Failover to west: Succeeded, RTO 6.2 s (objective
                         30.0 s), RPO at least 400 ms, at most 800 ms, not final
          needs ack      checkout-12 ended; look at its report
          rule           R499 Stable: nothing to do

        Blocked (muster explain says more)
          BLOCKED BY     SAW
          EstimatedLoss  west is 42.0 s behind; needs: at most 30.0 s, or an approval
                         that waives it

        Regions
          REGION          VERDICT  SAW
          east            Unknown  1 fail, 1 pass, 1 unknown of 3 vantages
          west    active  Healthy  0 fail, 2 pass, 0 unknown of 2 vantages

        Seen
          ITEM         WHERE  AGE     SEEN
          orders       east   300 ms  unknown: connection refused by 127.0.1.2:5432
          orders       west   300 ms  takes writes, timeline 2
          shop         -      300 ms  points at west; 2 of 2 servers agree
          public name  -      400 ms  12 successes in a row; 200 in 3 ms
        "#);
    }

    #[test]
    fn a_name_says_where_it_points_and_what_is_wrong_with_it() {
        let mut record = sample::status().facts.traffic.remove(0);
        let points = "points at west; 2 of 2 servers agree";
        assert_eq!(traffic_words(&record), (points.to_owned(), Tone::Plain));
        record.unsettled = Some("the marker of region west".to_owned());
        let kept = format!("{points}; kept there by the marker of region west alone");
        assert_eq!(traffic_words(&record), (kept.clone(), Tone::Plain));
        record.contested = Some("the marker of region east may still be on".to_owned());
        let contested = format!("{kept}; contested: the marker of region east may still be on");
        assert_eq!(traffic_words(&record), (contested.clone(), Tone::Warn));
        record.drift = Some("the health check h-1, of region east, is disabled".to_owned());
        let drift = format!("{contested}; drift: the health check h-1, of region east, is disabled");
        assert_eq!(traffic_words(&record), (drift, Tone::Bad));
    }

    #[test]
    fn what_contests_a_name_stands_in_the_answer_and_one_without_it_is_read() {
        let mut record = sample::status().facts.traffic.remove(0);
        record.contested = Some("the marker of region east may still be on".to_owned());
        let mut answer = serde_json::to_value(&record).unwrap();
        assert_eq!(answer["contested"], "the marker of region east may still be on");
        answer.as_object_mut().unwrap().remove("contested");
        let read: TrafficBrief = serde_json::from_value(answer).unwrap();
        assert_eq!(read, TrafficBrief { contested: None, ..record });
    }

    #[test]
    fn conditions_that_do_not_hold_are_shown_with_their_reasons() {
        let mut status = sample::status();
        let condition = |ok, reason: &str, message: &str| Condition {
            ok,
            reason: reason.to_owned(),
            message: message.to_owned(),
            since: sample::at(0),
        };
        status.journal.state.conditions = BTreeMap::from([
            ("Acknowledged".to_owned(), condition(false, "NeedsAck", "look at its report")),
            ("Replicating".to_owned(), condition(true, "Replicating", "every standby streams")),
            ("TrafficReady".to_owned(), condition(false, "TrafficDrift", "shop: no routing control is on")),
        ]);
        let text = unmet(&status, &sample::look());
        let rows: Vec<&str> = text.lines().skip(2).collect();
        let told = "  TrafficReady  TrafficDrift  shop: no routing control is on";
        assert_eq!(rows, ["  CONDITION     REASON        SAW", told]);
    }

    #[test]
    fn many_policies_stand_one_to_a_line() {
        insta::assert_snapshot!(render_list(&sample::policy_list(), Source::Server, &sample::look()), @r#"
        POLICY         MODE       ACTIVE  RPO NOW  STATE
        shop/checkout  Automatic  west    400 ms   waits for ack: checkout-12 ended;
                                                   look at its report
        shop/search    Automatic  west    400 ms   Failover to west: Executing,
                                                   PromoteData orders
        shop/well      Automatic  west    400 ms   well

        Policy files that are not in force as written
          FILE       WHY      SAW
          cart.yaml  Invalid  spec.probes[0].timeout: 6s is longer than every: 5s; make
                              it shorter (the last good version stays in force)
        "#);
    }

    #[test]
    fn no_policy_says_how_to_give_one() {
        let list = PolicyList { policies: Vec::new(), file_problems: Vec::new() };
        assert!(render_list(&list, Source::Server, &sample::look()).contains("muster validate FILE"));
        assert!(render_list(&list, Source::Objects, &sample::look()).contains("-n NAMESPACE"));
    }
}
