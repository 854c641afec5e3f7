//! What is printed, and the figures of the last line.

use super::spec::Spec;
use serde_json::Value;
use std::fmt;

/// What was found after one spec.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// What does not hold.
    pub(super) wrong: Vec<String>,
    /// `Accepted` never spoke of this generation.
    pub(super) stuck: bool,
    /// The API server took it as another spec than the one before.
    pub(super) transition: bool,
    /// What the API server and the conversion made of it.
    pub(super) fate: Fate,
}

/// What became of a spec.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Fate {
    /// The API server refused it.
    #[default]
    Refused,
    /// The API server took it, and no policy can be made of it.
    Bad,
    /// It came into force.
    Good,
}

/// The figures of a suite.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    specs: usize,
    transitions: usize,
    wrong_states: usize,
    stuck: usize,
    good: usize,
    bad: usize,
    refused: usize,
}

impl Tally {
    /// Takes one spec in, and prints it if something is wrong.
    #[allow(clippy::print_stdout)] // a suite's line per mistake
    pub(super) fn judge(&mut self, title: &str, spec: &Spec, at: &Value, found: &Found) {
        self.specs += 1;
        self.transitions += usize::from(found.transition);
        self.stuck += usize::from(found.stuck);
        match found.fate {
            Fate::Good => self.good += 1,
            Fate::Bad => self.bad += 1,
            Fate::Refused => self.refused += 1,
        }
        if !found.wrong.is_empty() || found.stuck {
            self.wrong_states += usize::from(!found.wrong.is_empty());
            let verdict = if found.stuck { "STUCK" } else { "WRONG" };
            println!("{verdict} {title}: {:?}: {} ({:?})", spec.kind, spec.told, found.fate);
            for line in &found.wrong {
                println!("      {line}");
            }
            // The others come again by their seed.
            if self.wrong_states + self.stuck < 3 {
                println!("      spec: {at}");
            }
        }
    }

    /// Notes what is wrong with the suite's world as a whole.
    #[allow(clippy::print_stdout)] // a suite's line per mistake
    pub(super) fn wrong(&mut self, what: &str) {
        self.wrong_states += 1;
        println!("WRONG {what}");
    }

    /// Adds another policy's figures.
    pub(super) const fn add(&mut self, other: &Self) {
        self.specs += other.specs;
        self.transitions += other.transitions;
        self.wrong_states += other.wrong_states;
        self.stuck += other.stuck;
        self.good += other.good;
        self.bad += other.bad;
        self.refused += other.refused;
    }

    /// Whether every state was right, and there was something of each kind to be right about.
    pub const fn is_good(&self) -> bool {
        let some = self.good > 0 && self.bad > 0 && self.refused > 0;
        self.wrong_states == 0 && self.stuck == 0 && some
    }

    /// How many specs were tried.
    pub const fn specs(&self) -> usize {
        self.specs
    }

    /// What became of them.
    pub(super) fn fates(&self) -> String {
        format!("{} came into force, {} did not, {} were refused", self.good, self.bad, self.refused)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "acto: specs={} transitions={} wrong_states={} stuck={}",
            self.specs, self.transitions, self.wrong_states, self.stuck
        )
    }
}
