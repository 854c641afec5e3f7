//! The figures of suites that play a run at each point and compare its end with an undisturbed one's.

use std::fmt;

/// What a played run was found to be.
#[derive(Default)]
pub(crate) struct Judged {
    /// What ended otherwise, or that it did not end at all.
    pub(crate) wrong: Vec<String>,
    /// Effects that happened more often.
    pub(crate) repeated: Vec<String>,
    /// What a reader of the line should know beside that.
    pub(crate) told: String,
}

/// The figures of the last line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) points: usize,
    runs: usize,
    wrong_ends: usize,
    repeated_effects: usize,
}

impl Figures {
    /// Counts one run, and prints its line.
    #[allow(clippy::print_stdout)] // a suite's line per run
    pub(crate) fn judge(&mut self, name: &dyn fmt::Display, judged: &Judged, seconds: f64) {
        let Judged { wrong, repeated, told } = judged;
        self.runs += 1;
        self.wrong_ends += usize::from(!wrong.is_empty());
        self.repeated_effects += repeated.len();
        let verdict = if wrong.is_empty() && repeated.is_empty() { "ok" } else { "WRONG" };
        println!("{verdict:<5} {name} ({seconds:.1} s){told}");
        for line in wrong.iter().chain(repeated) {
            println!("      {line}");
        }
    }

    /// Whether every point was played, and each run ended as the undisturbed one.
    pub(crate) const fn is_good(&self) -> bool {
        self.points > 0 && self.runs == self.points && self.wrong_ends == 0 && self.repeated_effects == 0
    }

    /// Adds another world's figures.
    pub(crate) const fn add(&mut self, other: Self) {
        self.points += other.points;
        self.runs += other.runs;
        self.wrong_ends += other.wrong_ends;
        self.repeated_effects += other.repeated_effects;
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { points, runs, wrong_ends, repeated_effects } = self;
        write!(f, "points={points} runs={runs} wrong_ends={wrong_ends} repeated_effects={repeated_effects}")
    }
}
