//! `muster explain`: the rule that fires, the verdicts, each gate and candidate, and all that blocks.

use super::super::table::{Cell, Table, paragraph};
use super::super::words;
use super::{Look, Source, blockers, gates, gates_legend};
use crate::api::{FailingProbe, PolicyStatus};
use crate::cli::paint::Tone;
use muster_core::decision::{Candidate, Explanation};
use muster_core::health::{ProbeResult, Verdict, View};
use muster_core::ids::RegionName;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The explanation; the status adds the probes that do not pass and what people did.
pub fn render(explanation: &Explanation, status: &PolicyStatus, source: Source, look: &Look) -> String {
    let summary = &status.summary;
    let mut out = format!("{}\n", look.paint.strong(summary.name.as_str()));
    let rule = format!("  {}: ", explanation.rule);
    out.push_str(&paragraph(&rule, &explanation.message, look.width));
    if let Some(paused) = &summary.paused {
        out.push_str(&paragraph("  paused: ", &format!("{paused} (muster resume ends it)"), look.width));
    }
    if let Some(open) = &summary.needs_ack {
        out.push_str(&paragraph("  needs ack: ", &format!("{open} (muster ack gives it)"), look.width));
    }
    let _ = write!(out, "{}{}", look.title("Verdicts"), look.table(&verdicts(&explanation.verdicts)));
    if !status.failing.is_empty() {
        let _ =
            write!(out, "{}{}", look.title("Probes that do not pass"), look.table(&failing(&status.failing)));
    }
    if !explanation.gates.is_empty() {
        let title = match &summary.run {
            Some(run) => format!("Gates of {}", run.name),
            None => "Gates of a failover, if a verdict asked for one now".to_owned(),
        };
        let _ = write!(out, "{}{}", look.title(&title), look.table(&gates(&explanation.gates)));
        if let Some(legend) = gates_legend(&explanation.gates) {
            let _ = writeln!(out, "  {}", look.paint.dim(legend));
        }
    }
    if source == Source::Server {
        let _ = write!(out, "{}", look.title("Regions that could take over"));
        if explanation.candidates.is_empty() {
            out.push_str("  none is known: muster status shows what was seen of each\n");
        } else {
            out.push_str(&look.table(&candidates(&explanation.candidates)));
        }
    }
    if explanation.blocked.is_empty() {
        let _ = writeln!(out, "\nNothing blocks.");
    } else {
        let _ = write!(out, "{}{}", look.title("What blocks"), look.table(&blockers(&explanation.blocked)));
        let _ = writeln!(out, "  {}", look.paint.dim("Each name has a page under runbooks/."));
    }
    out.push_str(&source.remark(look));
    out
}

fn verdicts(verdicts: &BTreeMap<RegionName, Verdict>) -> Table {
    let mut table = Table::new(&["REGION", "VERDICT", "SAW"]).indent(2);
    for (region, verdict) in verdicts {
        let (word, tone) = words::verdict(verdict.kind);
        let each: Vec<String> =
            verdict.views.iter().map(|(vantage, view)| format!("{vantage} {}", view_word(*view))).collect();
        let saw = if each.is_empty() {
            verdict.saw.clone()
        } else {
            format!("{}: {}", verdict.saw, each.join(", "))
        };
        table.row([Cell::from(region.as_str()), Cell::new(tone, word), Cell::from(saw)]);
    }
    table
}

const fn view_word(view: View) -> &'static str {
    match view {
        View::Pass => "passes",
        View::Fail => "fails",
        View::Unknown => "unknown",
    }
}

/// How a probe's result is shown.
pub(super) const fn result_word(result: ProbeResult) -> (&'static str, Tone) {
    match result {
        ProbeResult::Pass => ("Pass", Tone::Good),
        ProbeResult::Fail => ("Fail", Tone::Bad),
        ProbeResult::Error => ("Error", Tone::Warn),
        ProbeResult::Inconclusive => ("Inconclusive", Tone::Warn),
    }
}

fn failing(probes: &[FailingProbe]) -> Table {
    let mut table = Table::new(&["REGION", "FROM", "PROBE", "RESULT", "AGE", "SAW"]).indent(2);
    for probe in probes {
        let (word, tone) = result_word(probe.result);
        table.row([
            Cell::from(probe.region.as_str()),
            Cell::from(probe.vantage.as_str()),
            Cell::from(probe.probe.as_str()),
            Cell::new(tone, word),
            Cell::from(probe.age.to_string()),
            Cell::from(&probe.detail),
        ]);
    }
    table
}

fn candidates(candidates: &[Candidate]) -> Table {
    let mut table = Table::new(&["REGION", "FIT", "SAW"]).indent(2);
    for candidate in candidates {
        let (word, tone) = if candidate.fit { ("yes", Tone::Good) } else { ("no", Tone::Bad) };
        table.row([Cell::from(candidate.region.as_str()), Cell::new(tone, word), Cell::from(&candidate.saw)]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_lagging_standby_is_explained_with_the_gate_and_what_it_saw() {
        let text = render(&sample::explanation(), &sample::status(), Source::Server, &sample::look());
        insta::assert_snapshot!(text, @r#"
        shop/checkout
          R499 Stable: east is not seen failing by a quorum: 1 of 2 vantages say so
          needs ack: checkout-12 ended; look at its report (muster ack gives it)

        Verdicts
          REGION  VERDICT  SAW
          east    Unknown  1 fail, 1 pass, 1 unknown of 3 vantages: controller fails, v1
                           unknown, v2 passes
          west    Healthy  0 fail, 2 pass, 0 unknown of 2 vantages: controller passes,
                           v1 passes

        Probes that do not pass
          REGION  FROM        PROBE        RESULT  AGE     SAW
          east    controller  place-order  Fail    700 ms  order: status == 201 is
                                                           false: status is 503

        Gates of a failover, if a verdict asked for one now
          GATE                      SAW
          JournalWritable   holds   written
          PrimaryUnhealthy  warns   east is healthy; needs: a quorum sees it fail
          EstimatedLoss     blocks  west is 42.0 s behind; needs: at most 30.0 s
          blocks: a person may waive it (--waive GATE).

        Regions that could take over
          REGION  FIT  SAW
          west    no   42.0 s behind

        What blocks
          BLOCKED BY     SAW
          EstimatedLoss  west is 42.0 s behind; needs: at most 30.0 s, or an approval
                         that waives it
          Each name has a page under runbooks/.
        "#);
    }
}
