//! What is printed, and the figures of the last line.

use super::calls::CrashPoint;
use super::stage::Played;
use super::targets::Harmless;
use crate::figures::{Figures, Judged};
use muster_core::journal::RunKind;
use std::collections::BTreeSet;
use std::fmt;

/// The figures of a whole suite.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    kinds: BTreeSet<String>,
    figures: Figures,
}

impl Tally {
    /// Notes the points that an undisturbed run showed.
    pub(super) fn found(&mut self, kind: RunKind, points: usize) {
        self.kinds.insert(format!("{kind:?}"));
        self.figures.points += points;
    }

    /// Judges one crashed run, and prints its line.
    pub(super) fn judge(
        &mut self,
        name: &RunTitle,
        played: anyhow::Result<Played>,
        undisturbed: &Played,
        seconds: f64,
    ) {
        let judged = match played {
            Err(error) => Judged { wrong: vec![format!("{error:#}")], ..Judged::default() },
            Ok(now) => {
                let mut wrong = now.end.differences(&undisturbed.end);
                wrong.extend(now.effects.missing(&undisturbed.effects));
                let repeated = now.effects.repeated(&undisturbed.effects);
                Judged { wrong, repeated, told: tell_harmless(&now.harmless, &undisturbed.harmless) }
            }
        };
        self.figures.judge(name, &judged, seconds);
    }

    /// Whether every point was played, and each run ended as the undisturbed one.
    pub const fn is_good(&self) -> bool {
        self.figures.is_good()
    }

    /// Adds another world's figures.
    pub(super) fn add(&mut self, other: Self) {
        self.kinds.extend(other.kinds);
        self.figures.add(other.figures);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "crash: kinds={} {}", self.kinds.len(), self.figures)
    }
}

fn tell_harmless(now: &Harmless, then: &Harmless) -> String {
    let more = [
        ("tool calls that changed nothing", now.calls.saturating_sub(then.calls)),
        ("renewals of the name's witness", now.zone_updates.saturating_sub(then.zone_updates)),
    ];
    let told = more.into_iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("; harmless: {n} {what}"));
    told.collect()
}

/// Which run a line is about.
#[derive(Clone, Debug)]
pub(super) struct RunTitle {
    pub(super) kind: RunKind,
    pub(super) point: CrashPoint,
    /// What the call there does.
    pub(super) call: String,
}

impl fmt::Display for RunTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = format!("{:?}", self.kind);
        write!(f, "{kind:<10} {:<20} {}", self.point.to_string(), self.call)
    }
}
