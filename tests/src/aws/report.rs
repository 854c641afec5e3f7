//! What is printed, and the figures of the last line.

use muster_aws_opinions::Opinions;
use std::fmt;

/// Aurora, a read replica of RDS, and the name that an object moves.
const ADAPTERS: usize = 3;

/// What a played run was found to be.
#[derive(Default)]
pub(super) struct Judged {
    /// What ended otherwise, or that it did not end at all.
    pub(super) wrong: Vec<String>,
    /// What took effect too often.
    pub(super) extra: Vec<String>,
    /// What a reader of the line should know beside that.
    pub(super) told: String,
}

/// The figures of the whole suite.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    pub(super) fault_points: usize,
    runs: usize,
    /// Those among them with the policy in an API server.
    pub(super) operator_runs: usize,
    /// Points that only the run which showed them went through.
    pub(super) unreached: usize,
    wrong_ends: usize,
    extra_mutations: usize,
    found: usize,
    seeds: usize,
    /// Of others on the fake; `None`: they were not asked for.
    pub(super) opinions: Option<Opinions>,
}

impl Tally {
    /// Counts one run, and prints its line.
    #[allow(clippy::print_stderr)] // a suite's line per run
    pub(super) fn judge(&mut self, title: &dyn fmt::Display, judged: &Judged, milliseconds: u128) {
        let Judged { wrong, extra, told } = judged;
        self.runs += 1;
        self.wrong_ends += usize::from(!wrong.is_empty());
        self.extra_mutations += extra.len();
        let verdict = if wrong.is_empty() && extra.is_empty() { "ok" } else { "WRONG" };
        eprintln!("{verdict:<5} {title} ({milliseconds} ms){told}");
        for line in wrong.iter().chain(extra) {
            eprintln!("      {line}");
        }
    }

    /// Counts a bug that was put into the bed, and says by what it was noticed.
    #[allow(clippy::print_stderr)] // a suite's line per bug
    pub(super) fn judge_seed(&mut self, name: &str, noticed: &anyhow::Result<Vec<String>>) {
        self.seeds += 1;
        match noticed {
            Ok(noticed) if noticed.is_empty() => eprintln!("WRONG seeded {name}: NOT FOUND"),
            Ok(noticed) => {
                self.found += 1;
                eprintln!("ok    seeded {name}: {}", noticed.join("; "));
            }
            Err(error) => eprintln!("WRONG seeded {name}: {error:#}"),
        }
    }

    /// Whether everything that was chosen was played, ended well, every bug was found, and no opinion is news.
    pub fn is_good(&self) -> bool {
        let Self {
            fault_points, runs, unreached, wrong_ends, extra_mutations, found, seeds, opinions, ..
        } = *self;
        // A few come and go with how long things take; many would mean that points are not what they are taken for.
        let is_steady = unreached * 20 <= fault_points;
        let is_something = runs + seeds > 0 || opinions.is_some();
        let is_shared = opinions.is_none_or(|opinions| opinions.is_good());
        is_something && is_steady && wrong_ends == 0 && extra_mutations == 0 && found == seeds && is_shared
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault_points, runs, operator_runs, unreached, .. } = self;
        let Self { wrong_ends, extra_mutations, found, seeds, opinions, .. } = self;
        write!(
            f,
            "aws: adapters={ADAPTERS} fault_points={fault_points} runs={runs} wrong_ends={wrong_ends} \
             extra_mutations={extra_mutations} seeded_bugs={found}/{seeds}"
        )?;
        opinions.iter().try_for_each(|opinions| write!(f, " {opinions}"))?;
        write!(f, " operator_runs={operator_runs} unreached={unreached}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_aws_opinions::Standing;

    #[test]
    fn a_bug_that_is_not_found_spoils_the_suite() {
        let mut tally = Tally::default();
        assert!(!tally.is_good(), "nothing was played");
        tally.judge(&"a run", &Judged::default(), 1);
        tally.judge_seed("one", &Ok(vec!["seen".to_owned()]));
        assert!(tally.is_good());
        tally.judge_seed("another", &Ok(Vec::new()));
        assert!(!tally.is_good());
        let last = "aws: adapters=3 fault_points=0 runs=1 wrong_ends=0 extra_mutations=0 seeded_bugs=1/2";
        assert_eq!(tally.to_string(), format!("{last} operator_runs=0 unreached=0"));
        assert!(Tally { found: 2, fault_points: 20, unreached: 1, ..tally }.is_good());
        assert!(
            !Tally { found: 2, fault_points: 20, unreached: 2, ..tally }.is_good(),
            "points came and went"
        );
        tally.opinions = Some(Opinions { moto: Standing::Missing, ministack: Standing::Missing });
        assert_eq!(
            tally.to_string(),
            format!("{last} moto=missing ministack=missing operator_runs=0 unreached=0")
        );
    }
}
