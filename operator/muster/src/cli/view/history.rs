//! `muster history`: a run a line, newest first.

use super::super::table::{Cell, Table};
use super::super::words;
use super::Look;
use crate::api::RunSummary;
use crate::cli::paint::Tone;

/// The runs as a table.
pub fn render(runs: &[RunSummary], look: &Look) -> String {
    if runs.is_empty() {
        return "No run yet. `muster plan` shows what one would do.\n".to_owned();
    }
    let mut table = Table::new(&["RUN", "KIND", "FROM", "TO", "STARTED", "RTO", "RPO", "END"]);
    for run in runs {
        let (end, tone) = ending(run);
        table.row([
            Cell::from(run.name.as_str()),
            Cell::from(format!("{:?}", run.kind)),
            Cell::from(run.from.as_str()),
            Cell::from(run.to.as_str()),
            Cell::from(
                run.started.map_or_else(|| words::NONE.to_owned(), |at| words::minute(&at, &look.zone)),
            ),
            Cell::from(words::maybe(run.measured.rto)),
            Cell::from(words::short_rpo(&run.measured.rpo)),
            Cell::new(tone, end),
        ]);
    }
    look.table(&table)
}

fn ending(run: &RunSummary) -> (&'static str, Tone) {
    run.outcome.as_ref().map_or_else(|| words::phase(run.phase), words::outcome)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn runs_stand_one_to_a_line_with_their_figures() {
        let run = sample::run_summary();
        insta::assert_snapshot!(render(&[run], &sample::look()), @r#"
        RUN          KIND      FROM  TO    STARTED      RTO    RPO        END
        checkout-12  Failover  east  west  10-09 08:53  6.2 s  <= 800 ms  Succeeded
        "#);
    }

    #[test]
    fn an_empty_history_says_what_to_do() {
        assert!(render(&[], &sample::look()).contains("muster plan"));
    }
}
