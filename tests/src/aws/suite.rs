//! All runs: undisturbed, with each trouble, with the process ended at each point, and with Muster gone afterwards.

use super::effects::Effects;
use super::end::End;
use super::report::{Judged, Tally};
use super::seeded::Seed;
use super::stage::{Play, Played, Stage, Untested};
use super::troubles::{self, Trouble};
use crate::crash::CrashPoint;
use muster_core::journal::RunKind::{self, Failback, Failover, Switchover};
use std::fmt;
use std::time::Instant;

/// So often in a suite a busy machine may keep a run from coming to its point.
const PATIENCE: usize = 5;
/// Kinds in which the process is ended at each point; a failback takes the very same way as a switchover.
const CRASHED: [RunKind; 2] = [Switchover, Failover];
const SEEDED: &str = "seeded";

/// What is played; everything unless told otherwise.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Only runs with this in their title.
    pub only: Option<String>,
    /// Only every so many points at which the process is ended, from 1.
    pub every: usize,
}

impl Choice {
    fn takes(&self, title: &str) -> bool {
        self.only.as_ref().is_none_or(|only| title.contains(only.as_str()))
    }
}

/// What is special about a run.
#[derive(Clone)]
enum What {
    Undisturbed,
    /// It is only made to come to where another one can begin.
    OnTheWay,
    Trouble(&'static Trouble),
    Crash(CrashPoint),
    Hour,
}

/// One run to be played.
#[derive(Clone)]
struct Item {
    kind: RunKind,
    what: What,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ", self.kind)?;
        match &self.what {
            What::Undisturbed => f.write_str("undisturbed"),
            What::OnTheWay => f.write_str("on the way"),
            What::Trouble(trouble) => f.write_str(trouble.name),
            What::Crash(point) => write!(f, "crash {point}"),
            What::Hour => f.write_str("gone for an hour"),
        }
    }
}

impl Item {
    const fn of(kind: RunKind, what: What) -> Self {
        Self { kind, what }
    }

    const fn play(&self) -> Play<'_> {
        let undisturbed = Play::undisturbed(self.kind);
        match &self.what {
            What::Undisturbed | What::OnTheWay => undisturbed,
            What::Trouble(trouble) => Play { trouble: Some(*trouble), ..undisturbed },
            What::Crash(point) => Play { crash: Some(point), ..undisturbed },
            What::Hour => Play { hour: true, ..undisturbed },
        }
    }

    fn judge(&self, played: &Played) -> Judged {
        let expected = Effects::of_undisturbed(self.kind);
        let mut wrong = played.end.differences(&End::wanted(self.kind));
        wrong.extend(played.wrong.iter().cloned());
        if matches!(self.what, What::Undisturbed | What::OnTheWay) {
            wrong.extend(played.effects.missing(&expected));
        }
        let told = format!("; {}{}", played.effects, played.told);
        Judged { wrong, extra: played.effects.extra(&expected), told }
    }
}

/// The titles of all runs but those that end the process: their points are known once an undisturbed run was played.
pub fn list() -> Vec<String> {
    let seeds = Seed::ALL.iter().map(|seed| format!("{SEEDED} {}", seed.name()));
    let crashed = CRASHED.iter().map(|kind| format!("{kind:?} crash <call>:<point>"));
    all().iter().map(ToString::to_string).chain(crashed).chain(seeds).collect()
}

fn all() -> Vec<Item> {
    let kinds = [Switchover, Failback, Failover];
    let mut all: Vec<Item> = kinds.iter().map(|kind| Item::of(*kind, What::Undisturbed)).collect();
    for trouble in troubles::ALL {
        all.extend(trouble.kinds.iter().map(|kind| Item::of(*kind, What::Trouble(trouble))));
    }
    all.push(Item::of(Failover, What::Hour));
    all
}

/// Plays what was chosen, one run after the other.
pub async fn run(choice: &Choice) -> anyhow::Result<Tally> {
    let mut suite = Suite {
        stage: Box::pin(Stage::start()).await?,
        tally: Tally::default(),
        items: all().into_iter().filter(|item| is_wanted(item, choice)).collect(),
        untried: 0,
        choice: choice.clone(),
    };
    suite.tally.fault_points =
        suite.items.iter().filter(|item| !matches!(item.what, What::Undisturbed)).count();
    while let Some(item) = suite.next_item() {
        Box::pin(suite.play(item)).await?;
    }
    Box::pin(suite.play_seeds()).await;
    Ok(suite.tally)
}

/// Points can be chosen only after an undisturbed run has shown them.
fn is_wanted(item: &Item, choice: &Choice) -> bool {
    let asks_for_points =
        choice.only.as_ref().is_some_and(|only| only.contains(':') || only.contains("crash"));
    let shows_points = matches!(item.what, What::Undisturbed) && CRASHED.contains(&item.kind);
    choice.takes(&item.to_string()) || (asks_for_points && shows_points)
}

struct Suite {
    stage: Stage,
    tally: Tally,
    items: Vec<Item>,
    untried: usize,
    choice: Choice,
}

impl Suite {
    /// The next run: one that can begin where everything stands, or the way to where another one can.
    fn next_item(&mut self) -> Option<Item> {
        let first = self.items.first()?;
        let away = if first.kind == Failback { Switchover } else { Failback };
        match self.items.iter().position(|item| self.stage.fits(item.kind)) {
            Some(at) => Some(self.items.remove(at)),
            None => Some(Item::of(away, What::OnTheWay)),
        }
    }

    async fn play(&mut self, item: Item) -> anyhow::Result<()> {
        let began = Instant::now();
        let played = Box::pin(self.stage.play(&item.play())).await;
        let judged = match played {
            Ok(played) => {
                let judged = item.judge(&played);
                if judged.wrong.is_empty() && matches!(item.what, What::Undisturbed) {
                    self.add_points(item.kind, &played);
                }
                judged
            }
            Err(error) => {
                let wrong = vec![format!("{error:#}; {}", self.stage.last_words())];
                // What is left of that bed may be anything: begin anew.
                self.stage = Box::pin(Stage::start()).await?;
                if error.is::<Untested>() && self.untried < PATIENCE {
                    self.untried += 1;
                    self.put_back(item, &wrong);
                    return Ok(());
                }
                if matches!(item.what, What::OnTheWay) && !self.items.is_empty() {
                    // There is no way to the run that waits for it.
                    self.items.remove(0);
                }
                Judged { wrong, ..Judged::default() }
            }
        };
        self.tally.judge(&item, &judged, began.elapsed().as_millis());
        Ok(())
    }

    #[allow(clippy::print_stderr)] // a suite's line per run
    fn put_back(&mut self, item: Item, why: &[String]) {
        eprintln!("again {item}: {}", why.join("; "));
        if !matches!(item.what, What::OnTheWay) {
            self.items.push(item);
        }
    }

    /// The points that an undisturbed run went through.
    fn add_points(&mut self, kind: RunKind, played: &Played) {
        if !CRASHED.contains(&kind) {
            return;
        }
        let points = played.reached.iter().map(|reached| What::Crash(reached.crash_point()));
        let items = points.map(|what| Item::of(kind, what)).step_by(self.choice.every.max(1));
        let wanted: Vec<Item> = items.filter(|item| self.choice.takes(&item.to_string())).collect();
        self.tally.fault_points += wanted.len();
        self.items.extend(wanted);
    }

    async fn play_seeds(&mut self) {
        self.stage.programs.stop_controller();
        for seed in Seed::ALL {
            if self.choice.takes(&format!("{SEEDED} {}", seed.name())) {
                let noticed = Box::pin(seed.notice(&self.stage)).await;
                self.tally.judge_seed(seed.name(), &noticed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_told_apart() {
        let mut titles = list();
        let count = titles.len();
        titles.sort_unstable();
        titles.dedup();
        assert_eq!(titles.len(), count);
        assert!(titles.contains(&"Failover rds-answer-lost".to_owned()), "{titles:?}");
    }

    #[test]
    fn who_asks_for_a_point_gets_the_run_that_shows_it() {
        let choice = Choice { only: Some("Failover crash Promote.1:sent".to_owned()), every: 1 };
        let kinds: Vec<_> = all().into_iter().filter(|item| is_wanted(item, &choice)).collect();
        assert_eq!(
            kinds.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["Switchover undisturbed", "Failover undisturbed"]
        );
    }
}
