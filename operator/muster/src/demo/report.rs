//! What the demo found, as text: the controller's figures beside what the clients counted.

use super::ledger::{Account, Ledger};
use crate::cli::view::{Look, show};
use muster_core::journal::Run;
use muster_core::time::Stamp;
use std::fmt::Write;

/// What one run meant for the clients.
#[derive(Debug)]
pub struct ClientsView<'a> {
    /// Who they are, for example `customers`.
    pub who: &'a str,
    /// What they were told.
    pub ledger: &'a Ledger,
    /// Compared with the new primary.
    pub account: Account,
    /// When the run's outage could begin.
    pub since: Stamp,
}

/// A run's figures, and the clients' side of it.
pub fn render(title: &str, run: &Run, clients: &[ClientsView<'_>], look: &Look) -> String {
    let mut out = format!("\n{}\n", look.paint.strong(title));
    out.push_str(&show::figures(run, look));
    let _ = writeln!(out, "\n{}", look.paint.strong("What the clients counted"));
    for view in clients {
        write_clients(&mut out, view);
    }
    let lost: usize = clients.iter().map(|c| c.account.lost.len()).sum();
    let _ = writeln!(out, "  {}", verdict(run, lost));
    out
}

fn write_clients(out: &mut String, view: &ClientsView<'_>) {
    let regions = view.ledger.by_region();
    let regions: Vec<String> = regions.iter().map(|(region, count)| format!("{region} {count}")).collect();
    let account = &view.account;
    let _ = writeln!(
        out,
        "  {:<10} {} orders acknowledged ({})",
        view.who,
        account.acknowledged,
        regions.join(", ")
    );
    if let Some(gap) = view.ledger.longest_gap(view.since) {
        let _ = writeln!(out, "  {:<10} longest time without an acknowledged order: {}", "", gap.length());
    }
    let _ = writeln!(out, "  {:<10} acknowledged and then lost: {}", "", account.lost.len());
    if account.unanswered_present > 0 {
        let _ =
            writeln!(out, "  {:<10} placed although no answer came back: {}", "", account.unanswered_present);
    }
}

/// The exact count beside what the controller says. The old log also has what nobody was told of (orders under
/// way), so it may say more, never less.
fn verdict(run: &Run, lost: usize) -> String {
    if run.kind.is_planned() {
        return if lost == 0 {
            "A planned move: nothing was lost.".to_owned()
        } else {
            format!("A planned move LOST {lost} orders.")
        };
    }
    match (run.measured.lost_commits, run.measured.rpo.r#final) {
        (Some(commits), _) if commits >= lost as u64 => {
            format!(
                "The old primary's log had {commits} commits of clients that were left behind, {lost} of them acknowledged orders."
            )
        }
        (Some(commits), _) => {
            format!("CONTRADICTION: {lost} orders were lost, and the report says {commits} commits.")
        }
        (None, true) => format!("The report says that nothing was lost; the clients lost {lost}."),
        (None, false) => format!("The old log was not read; the clients lost {lost} acknowledged orders."),
    }
}

/// Whether report and clients contradict each other.
pub fn contradicts(run: &Run, lost: usize) -> bool {
    match (run.measured.lost_commits, run.measured.rpo.r#final) {
        (Some(commits), _) => commits < lost as u64,
        (None, said_final) => said_final && lost > 0,
    }
}
