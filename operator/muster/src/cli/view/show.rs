//! `muster show` and the report at the end of a run: timeline, steps, phases, proofs, gates, RTO and RPO.

use super::super::paint::Tone;
use super::super::table::{Cell, Table, paragraph};
use super::super::words::{self, NONE};
use super::{Facts, Look, gates, phases};
use muster_core::journal::{Run, RunClock};
use muster_core::policy::DataItem;
use muster_core::time::{Millis, Stamp};
use std::fmt::Write;

/// The whole run.
pub fn render(run: &Run, look: &Look) -> String {
    let mut out = head(run, look);
    let _ = write!(out, "{}{}", look.title("Timeline"), timeline(run, look));
    let _ = write!(out, "{}{}", look.title("Steps"), look.table(&steps(run)));
    if !run.proofs.is_empty() {
        let _ = write!(out, "{}{}", look.title("Proofs that no writes are taken"), look.table(&proofs(run)));
    }
    if !run.gates.is_empty() {
        let _ =
            write!(out, "{}{}", look.title("Gates at the newest decision"), look.table(&gates(&run.gates)));
    }
    out.push_str(&figures(run, look));
    out
}

fn head(run: &Run, look: &Look) -> String {
    let title = format!("{:?} {} of {}: {} to {}", run.kind, run.name, run.policy.name, run.from, run.to);
    let (end, tone) = run.outcome.as_ref().map_or_else(|| words::phase(run.phase), words::outcome);
    let mut facts = Facts::new();
    facts.add("state", Cell::new(tone, end));
    facts.add_some("", Some(&run.message).filter(|m| !m.is_empty()));
    facts.add("started", format!("{}: {}", words::trigger(&run.trigger), run.reason));
    facts.add_some("began", run.clock.detected.map(|at| words::moment(&at, &look.zone)));
    facts.add_some("abort", run.abort.as_ref().map(|why| Cell::new(Tone::Warn, why)));
    facts.add_some("approved", run.approval.as_ref().map(approval_words));
    for (item, said) in &run.saved {
        facts.add("old data", format!("{item}: {said}"));
    }
    facts.add("numbers", format!("epoch {}, term {}", run.epoch, run.term));
    format!("{}\n{}", look.paint.strong(&title), look.table(&facts.0))
}

fn approval_words(approval: &muster_core::journal::Approval) -> String {
    let mut out = format!("by {}, plan {}", approval.by, approval.plan_hash);
    if let Some(loss) = approval.max_loss {
        let _ = write!(out, ", loss of at most {loss}");
    }
    if !approval.waives.is_empty() {
        let waived: Vec<&str> = approval.waives.iter().map(String::as_str).collect();
        let _ = write!(out, ", waives {}", waived.join(", "));
    }
    out
}

/// The moments of a run in order of time, each with its distance from the first.
fn timeline(run: &Run, look: &Look) -> String {
    let moments = moments(&run.clock);
    let Some(first) = moments.iter().map(|(_, at)| *at).min_by_key(|at| (at.wall, at.tick)) else {
        return "  nothing has happened yet\n".to_owned();
    };
    let mut sorted = moments;
    sorted.sort_by_key(|(_, at)| at.since_or_wall(&first));
    let mut table = Table::new(&[]).indent(2);
    for (name, at) in sorted {
        let offset = format!("{:>10}", words::offset(&first, &at));
        table.row([Cell::from(words::time_of_day(&at, &look.zone)), offset.into(), name.into()]);
    }
    look.table(&table)
}

fn moments(clock: &RunClock) -> Vec<(&'static str, Stamp)> {
    let all = [
        ("first failed probe", clock.first_failure),
        ("detected", clock.detected),
        ("decided: the gates held", clock.decided),
        ("approved", clock.approved),
        ("fenced: proved to take no writes", clock.fenced),
        ("point of no return: promotion recorded", clock.pivot),
        ("promoted: seen writable", clock.promoted),
        ("replicas ready", clock.scaled),
        ("name flipped at the first server", clock.flipped),
        ("name flipped at every server", clock.authoritative),
        ("works again: first success through the public name", clock.first_success),
        ("settled: enough successes in a row", clock.settled),
    ];
    all.into_iter().filter_map(|(name, at)| at.map(|at| (name, at))).collect()
}

fn steps(run: &Run) -> Table {
    let mut table = Table::new(&["STEP", "STATE", "TOOK", "TRIES", "SAW"]).indent(2);
    for step in &run.steps {
        let (state, tone) = words::step_state(step.state);
        let took = step.started.zip(step.ended).map(|(from, to)| to.since_or_wall(&from));
        let tries = if step.attempts == 0 { NONE.to_owned() } else { step.attempts.to_string() };
        table.row([
            Cell::from(step.key.to_string()),
            Cell::new(tone, state),
            Cell::from(words::maybe(took)),
            Cell::from(tries),
            Cell::from(&step.saw),
        ]);
    }
    table
}

fn proofs(run: &Run) -> Table {
    let mut table = Table::new(&["REGION", "CLASS", "SAW"]).indent(2);
    for (region, proof) in &run.proofs {
        table.row([
            Cell::from(region.as_str()),
            Cell::from(format!("{:?}", proof.class)),
            Cell::from(&proof.saw),
        ]);
    }
    table
}

/// Phases and figures, measured next to predicted.
pub fn figures(run: &Run, look: &Look) -> String {
    let mut table = Table::new(&["PHASE", "MEASURED", "PREDICTED", ""]).indent(2);
    for phase in phases::compare(run) {
        let measured = words::maybe(phase.measured);
        let note = if phase.name == "approval" { "a person's time" } else { "" };
        table.row([
            Cell::from(phase.name),
            measured.into(),
            words::maybe(phase.predicted).into(),
            Cell::new(Tone::Dim, note),
        ]);
    }
    let rto = run.measured.rto;
    table.row([
        Cell::new(Tone::Strong, "RTO"),
        Cell::new(Tone::Strong, words::maybe(rto)),
        words::maybe(Some(run.predicted.rto)).into(),
        objective(rto, run.policy.objectives.rto),
    ]);
    format!("{}{}{}", look.title("Recovery time"), look.table(&table), loss(run, look))
}

fn objective(measured: Option<Millis>, objective: Option<Millis>) -> Cell {
    match (measured, objective) {
        (Some(m), Some(o)) if m <= o => Cell::new(Tone::Good, format!("objective {o}: met")),
        (Some(_), Some(o)) => Cell::new(Tone::Bad, format!("objective {o}: missed")),
        (None, Some(o)) => Cell::from(format!("objective {o}")),
        (_, None) => Cell::from(""),
    }
}

fn loss(run: &Run, look: &Look) -> String {
    let measured = &run.measured;
    let mut facts = Facts::new();
    facts.add("RPO", Cell::new(Tone::Strong, words::rpo(&measured.rpo)));
    let loss = measured.rpo.at_least.filter(|_| measured.rpo.r#final).or(measured.rpo.at_most);
    facts.add_some("", run.policy.objectives.rpo.map(|o| objective(loss, Some(o))));
    facts.add_some(
        "lost heartbeats",
        measured.lost_heartbeats.map(|n| format!("{n} acknowledged and not there")),
    );
    facts.add_some("in flight", measured.in_flight.map(|n| format!("{n} never acknowledged")));
    facts.add_some(
        "lost commits",
        measured.lost_commits.map(|n| format!("{n}, counted in the old primary's log")),
    );
    facts.add_some("write gap", measured.write_gap.map(|d| format!("{d} without a writable primary")));
    facts.add_some("RTO from decision", measured.rto_from_decision.map(|d| d.to_string()));
    let error = measured.rto.map(|_| format!("at most {} in each figure", measured.error_bound));
    facts.add_some("error", error);
    let mut out = format!("{}{}", look.title("Loss of writes"), look.table(&facts.0));
    if !measured.rpo.r#final && measured.rpo != muster_core::journal::Rpo::default() {
        let is_read = run.policy.data.iter().all(DataItem::reads_old_log);
        let told = if is_read {
            "Final once the old primary's log was read, before it rejoins."
        } else {
            "Never final here: nobody can read the old primary's log. The bounds are those of the heartbeats."
        };
        out.push_str(&paragraph("  ", told, look.width));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_finished_failover_reads_as_its_report() {
        let text = render(&sample::finished_run(), &sample::look());
        assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
        insta::assert_snapshot!(text, @r#"
        Failover checkout-12 of shop/checkout: east to west
          state    Succeeded
                   west serves; 1 of 1 data items promoted
          started  by a verdict: east is unhealthy: 3 fail, 0 pass, 0 unknown of 3
                   vantages
          began    2025-10-09 08:53:23 UTC
          numbers  epoch 12, term 1

        Timeline
          08:53:20.000     +0.00 s  first failed probe
          08:53:23.000     +3.00 s  detected
          08:53:23.050     +3.05 s  decided: the gates held
          08:53:23.400     +3.40 s  fenced: proved to take no writes
          08:53:23.450     +3.45 s  point of no return: promotion recorded
          08:53:24.600     +4.60 s  promoted: seen writable
          08:53:24.850     +4.85 s  name flipped at the first server
          08:53:24.900     +4.90 s  name flipped at every server
          08:53:26.200     +6.20 s  works again: first success through the public name
          08:53:28.200     +8.20 s  settled: enough successes in a row

        Steps
          STEP                 STATE    TOOK    TRIES  SAW
          RaiseWitness orders  skipped  -       -      east does not answer
          FenceOld east        done     300 ms  1      power says off for host-east
          PromoteData orders   done     1.1 s   1      writable on timeline 2
          OpenWriter orders    done     50 ms   1      witness 12.1.4
          FlipTraffic shop     done     150 ms  1      2 of 2 servers point at west
          Verify               done     3.3 s   1      3 successes in a row

        Proofs that no writes are taken
          REGION  CLASS     SAW
          east    Attested  power says off for host-east

        Gates at the newest decision
          GATE                    SAW
          JournalWritable  holds  written

        Recovery time
          PHASE         MEASURED  PREDICTED
          detection     3.0 s     3.0 s
          decision      50 ms     200 ms
          fence         350 ms    400 ms
          promotion     1.2 s     1.2 s
          traffic       300 ms    2.2 s
          verification  1.3 s     1.0 s
          RTO           6.2 s     8.0 s      objective 30.0 s: met

        Loss of writes
          RPO                at least 400 ms, at most 800 ms, not final
                             objective 5.0 s: met
          lost heartbeats    1 acknowledged and not there
          in flight          1 never acknowledged
          write gap          1.2 s without a writable primary
          RTO from decision  3.1 s
          error              at most 1.0 s in each figure
          Final once the old primary's log was read, before it rejoins.
        "#);
    }

    #[test]
    fn a_run_without_moments_says_so() {
        let mut run = sample::finished_run();
        run.clock = RunClock::default();
        assert!(render(&run, &sample::look()).contains("nothing has happened yet"));
    }
}
