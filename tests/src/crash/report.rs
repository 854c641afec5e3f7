//! What is printed, and the figures of the last line.

use super::calls::CrashPoint;
use super::stage::Played;
use super::targets::Harmless;
use muster_core::journal::RunKind;
use std::collections::BTreeSet;
use std::fmt;

/// The figures of a whole suite.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    kinds: BTreeSet<String>,
    points: usize,
    runs: usize,
    wrong_ends: usize,
    repeated_effects: usize,
}

impl Tally {
    /// Notes the points that an undisturbed run showed.
    pub(super) fn found(&mut self, kind: RunKind, points: usize) {
        self.kinds.insert(format!("{kind:?}"));
        self.points += points;
    }

    /// Judges one crashed run, and prints its line.
    #[allow(clippy::print_stdout)] // a suite's line per run
    pub(super) fn judge(
        &mut self,
        name: &RunTitle,
        played: anyhow::Result<Played>,
        undisturbed: &Played,
        seconds: f64,
    ) {
        self.runs += 1;
        let (mut wrong, mut repeated, mut told) = (Vec::new(), Vec::new(), String::new());
        match played {
            Err(error) => wrong.push(format!("{error:#}")),
            Ok(now) => {
                wrong = now.end.differences(&undisturbed.end);
                wrong.extend(now.effects.missing(&undisturbed.effects));
                repeated = now.effects.repeated(&undisturbed.effects);
                told = tell_harmless(&now.harmless, &undisturbed.harmless);
            }
        }
        self.wrong_ends += usize::from(!wrong.is_empty());
        self.repeated_effects += repeated.len();
        let verdict = if wrong.is_empty() && repeated.is_empty() { "ok" } else { "WRONG" };
        println!("{verdict:<5} {name} ({seconds:.1} s){told}");
        for line in wrong.iter().chain(&repeated) {
            println!("      {line}");
        }
    }

    /// Whether every point was played, and each run ended as the undisturbed one.
    pub fn is_good(&self) -> bool {
        self.runs == self.points && self.points > 0 && self.wrong_ends == 0 && self.repeated_effects == 0
    }

    /// Adds another world's figures.
    pub(super) fn add(&mut self, other: Self) {
        self.kinds.extend(other.kinds);
        self.points += other.points;
        self.runs += other.runs;
        self.wrong_ends += other.wrong_ends;
        self.repeated_effects += other.repeated_effects;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "crash: kinds={} points={} runs={} wrong_ends={} repeated_effects={}",
            self.kinds.len(),
            self.points,
            self.runs,
            self.wrong_ends,
            self.repeated_effects
        )
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
