//! `muster probe`: what each probe said when it was run once.

use super::super::table::{Cell, Table};
use super::super::words;
use super::Look;
use super::explain::result_word;
use crate::api::ProbeReport;
use muster_core::health::ProbeResult;
use std::fmt::Write;

/// The results as a table, and what they add up to.
pub fn render(report: &ProbeReport, look: &Look) -> String {
    let mut table = Table::new(&["PROBE", "REGION", "RESULT", "TOOK", "SAW"]);
    for once in &report.results {
        let (word, tone) = result_word(once.result);
        table.row([
            Cell::from(once.probe.as_str()),
            Cell::from(once.region.as_ref().map_or(words::NONE, |r| r.as_str())),
            Cell::new(tone, word),
            Cell::from(once.took.to_string()),
            Cell::from(&once.detail),
        ]);
    }
    let mut out = look.table(&table);
    let with = |want: ProbeResult| report.results.iter().filter(|r| r.result == want).count();
    let _ = writeln!(
        out,
        "\n{} pass, {} fail, {} errors of the observer, {} inconclusive",
        with(ProbeResult::Pass),
        with(ProbeResult::Fail),
        with(ProbeResult::Error),
        with(ProbeResult::Inconclusive)
    );
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_failing_expectation_is_shown_with_its_value() {
        insta::assert_snapshot!(render(&sample::probe_report(), &sample::look()), @r#"
        PROBE        REGION  RESULT  TOOK   SAW
        place-order  east    Fail    12 ms  order: status == 201 is false: status is 503
        public       -       Pass    3 ms

        1 pass, 1 fail, 0 errors of the observer, 0 inconclusive
        "#);
    }
}
