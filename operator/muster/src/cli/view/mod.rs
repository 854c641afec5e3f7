//! What people see, as pure text: data in, lines out. No IO, no clock; the reader's time zone is an argument.

pub mod aws;
pub mod explain;
pub mod history;
pub mod phases;
pub mod plan;
pub mod probe;
pub mod progress;
pub mod replay;
#[cfg(test)]
pub(super) mod sample;
pub mod show;
pub mod status;

use super::paint::{Paint, Tone, clean};
use super::table::{Cell, Table, paragraph};
use jiff::tz::TimeZone;
use muster_core::decision::Blocker;
use muster_core::journal::{Gate, Severity};

/// How to lay out: the reader's screen and time zone.
#[derive(Clone, Debug)]
pub struct Look {
    /// Columns.
    pub width: usize,
    /// Colours.
    pub paint: Paint,
    /// For times of day.
    pub zone: TimeZone,
}

/// Where what is shown comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// A server that acts, or looks on: it has all that was seen.
    Server,
    /// A cluster's objects, which hold what was recorded.
    Objects,
}

impl Source {
    /// What is not shown, and where it is.
    fn remark(self, look: &Look) -> String {
        match self {
            Self::Server => String::new(),
            Self::Objects => {
                let missing = "From the objects of the cluster. What was seen of each database, name and probe, the \
                               lag and the RPO of this moment are with the operator: its metrics, or its own API with \
                               --server URL.";
                format!("\n{}", look.paint.dim(&paragraph("  ", missing, look.width)))
            }
        }
    }
}

impl Look {
    /// A title above a block.
    fn title(&self, text: &str) -> String {
        format!("\n{}\n", self.paint.strong(text))
    }
    /// A table, indented below its title.
    fn table(&self, table: &Table) -> String {
        table.render(self.width, self.paint)
    }
}

/// Rows of a name and a value; rows without a value are left out.
struct Facts(Table);

impl Facts {
    fn new() -> Self {
        Self(Table::new(&[]).indent(2))
    }
    fn add(&mut self, name: &str, value: impl Into<Cell>) {
        self.0.row([Cell::new(Tone::Dim, name), value.into()]);
    }
    fn add_some<C: Into<Cell>>(&mut self, name: &str, value: Option<C>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }
}

/// What an unmet gate does, and how bad that is.
fn gate_word(gate: &Gate) -> (&'static str, Tone) {
    match (gate.ok, gate.waived, gate.severity) {
        (true, _, _) => ("holds", Tone::Good),
        (false, _, Severity::Warn) => ("warns", Tone::Warn),
        (false, true, Severity::Block) => ("waived", Tone::Warn),
        (false, false, Severity::Block) => ("blocks", Tone::Bad),
        (false, _, Severity::Law) => ("forbids", Tone::Bad),
    }
}

/// Whether a run could not go on because of this gate.
pub fn stops(gate: &Gate) -> bool {
    !gate.ok && (gate.severity == Severity::Law || gate.severity == Severity::Block && !gate.waived)
}

/// Gates, the unmet ones with what they need.
fn gates(gates: &[Gate]) -> Table {
    let mut table = Table::new(&["GATE", "", "SAW"]).indent(2);
    for gate in gates {
        let (word, tone) = gate_word(gate);
        let saw = if gate.ok { gate.saw.clone() } else { saw_and_needs(&gate.saw, &gate.needs) };
        table.row([Cell::from(&gate.name), Cell::new(tone, word), Cell::from(saw)]);
    }
    table
}

/// Whether an approval can do something about an unmet gate.
fn gates_legend(gates: &[Gate]) -> Option<&'static str> {
    let forbids = gates.iter().any(|g| !g.ok && g.severity == Severity::Law);
    let blocks = gates.iter().any(|g| stops(g) && g.severity == Severity::Block);
    match (blocks, forbids) {
        (true, true) => Some("blocks: a person may waive it (--waive GATE). forbids: nobody may."),
        (true, false) => Some("blocks: a person may waive it (--waive GATE)."),
        (false, true) => Some("forbids: nobody may waive it."),
        (false, false) => None,
    }
}

fn saw_and_needs(saw: &str, needs: &str) -> String {
    format!("{}; needs: {}", clean(saw), clean(needs))
}

/// Conditions that keep the next step from happening.
fn blockers(blocked: &[Blocker]) -> Table {
    let mut table = Table::new(&["BLOCKED BY", "SAW"]).indent(2);
    for blocker in blocked {
        let saw = saw_and_needs(&blocker.saw, &blocker.needs);
        table.row([Cell::new(Tone::Bad, &blocker.name), Cell::from(saw)]);
    }
    table
}
