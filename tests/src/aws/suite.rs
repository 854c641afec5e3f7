//! All runs: undisturbed, with each trouble, with the process ended at each point, and with Muster gone afterwards; then a
//! sample of them under the operator.

use super::control::Under;
use super::effects::Effects;
use super::end::End;
use super::report::{Judged, Tally};
use super::seeded::Seed;
use super::stage::{Play, Played, Stage, Unreached, Untested, Way};
use super::troubles::{self, Trouble};
use crate::cluster::Tools;
use crate::crash::{CrashPoint, Reached};
use muster_aws_opinions::play_second_opinions;
use muster_core::journal::RunKind::{self, Failback, Failover, Switchover};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;

/// So often a busy machine may keep one run from coming to its point.
const PATIENCE: usize = 5;
/// So often in a suite.
const MOST_UNTRIED: usize = 50;
/// After so many runs that did not go through a point, the one that showed it went another way than runs do.
const MOST_UNREACHED: usize = 3;
/// Kinds in which the process is ended at each point: a failback, which takes the very same way as a switchover, leads back to
/// where the next failover begins.
const CRASHED: [RunKind; 2] = [Failback, Failover];
/// Under the operator the process is ended at one of so many points, and each trouble is met in one kind of run: what acts is
/// the same there, and what differs, the store and how a person asks, is met in each run.
const OPERATED_EVERY: usize = 5;
/// Ways of a failover beside the usual one.
const OTHER_WAYS: [Way; 2] = [Way::Detached, Way::ByAcl];
const SEEDED: &str = "seeded";
/// What others make of the fake's ways.
const OPINIONS: &str = "opinions";

/// What is played; everything unless told otherwise.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Only runs with this in their title.
    pub only: Option<String>,
    /// Only every so many points at which the process is ended, from 1.
    pub every: usize,
    /// Only under this verb.
    pub under: Option<Under>,
    /// So many beds at once, from 1, under the operator two for three of them: a run waits most of its time.
    pub beds: usize,
}

impl Choice {
    fn takes(&self, title: &str) -> bool {
        self.only.as_ref().is_none_or(|only| title.contains(only.as_str()))
    }

    /// The API server and its store take time too.
    fn beds_of(&self, under: Under) -> usize {
        match under {
            Under::Local => self.beds,
            Under::Operator => (2 * self.beds).div_ceil(3),
        }
    }

    fn is_about(&self, under: Under) -> bool {
        self.under.is_none_or(|only| only == under)
    }

    /// So many points further the process is ended again. Who names one means that one.
    fn step(&self, under: Under) -> usize {
        let names_one = self.only.as_ref().is_some_and(|only| only.contains(':'));
        match under {
            Under::Operator if !names_one => self.every.max(1) * OPERATED_EVERY,
            Under::Operator | Under::Local => self.every.max(1),
        }
    }

    fn items(&self, under: Under) -> Vec<Item> {
        let all = if self.is_about(under) { all(under) } else { Vec::new() };
        all.into_iter().filter(|item| is_wanted(item, self)).collect()
    }

    /// They are put into a bed, whatever Muster runs under in it.
    fn seeds(&self) -> Vec<Seed> {
        let all = if self.is_about(Under::Local) { &Seed::ALL[..] } else { &[] };
        all.iter().copied().filter(|seed| self.takes(&format!("{SEEDED} {}", seed.name()))).collect()
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
    under: Under,
    kind: RunKind,
    what: What,
    way: Way,
    /// So often it was not tried.
    untried: usize,
    /// So often its point was not reached.
    unreached: usize,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?} {}", prefix(self.under), self.kind, self.way.name())?;
        match &self.what {
            What::Undisturbed => f.write_str("undisturbed"),
            What::OnTheWay => f.write_str("on the way"),
            What::Trouble(trouble) => f.write_str(trouble.name),
            What::Crash(point) => write!(f, "crash {point}"),
            What::Hour => f.write_str("gone for an hour"),
        }
    }
}

/// Of the titles of runs under this verb.
const fn prefix(under: Under) -> &'static str {
    match under {
        Under::Local => "",
        Under::Operator => "operator ",
    }
}

impl Item {
    const fn of(under: Under, kind: RunKind, what: What) -> Self {
        Self { under, kind, what, way: Way::Usual, untried: 0, unreached: 0 }
    }

    /// A failover of one of the other ways.
    fn by(way: Way, under: Under, what: What) -> Self {
        Self { way, ..Self::of(under, Failover, what) }
    }

    const fn is_undisturbed(&self) -> bool {
        matches!(self.what, What::Undisturbed)
    }

    const fn play(&self) -> Play<'_> {
        let undisturbed = Play { way: self.way, ..Play::undisturbed(self.kind) };
        match &self.what {
            What::Undisturbed | What::OnTheWay => undisturbed,
            What::Trouble(trouble) => Play { trouble: Some(*trouble), ..undisturbed },
            What::Crash(point) => Play { crash: Some(point), ..undisturbed },
            What::Hour => Play { hour: true, ..undisturbed },
        }
    }

    fn judge(&self, played: &Played) -> Judged {
        let expected = Effects::of_undisturbed(self.kind).by(self.way, played.opened);
        let mut wrong = played.end.differences(&End::wanted(self.under, self.kind, self.way));
        wrong.extend(played.wrong.iter().cloned());
        if matches!(self.what, What::Undisturbed | What::OnTheWay) {
            wrong.extend(played.effects.missing(&expected));
        }
        let told = format!("; {}{}", played.effects, played.told);
        let (touches, refused) = match &self.what {
            What::Crash(_) | What::Hour => (played.was_settling(), 0),
            What::Trouble(trouble) => (trouble.touches, trouble.refused),
            What::Undisturbed | What::OnTheWay => (false, 0),
        };
        let allowed = expected.and_refusals(refused * played.opened.max(1));
        let allowed = if touches { allowed.and_a_touch() } else { allowed };
        Judged { wrong, extra: played.effects.extra(&allowed), told }
    }
}

/// The titles of all runs but those that end the process: their points are known once an undisturbed run was played.
pub fn list() -> Vec<String> {
    let of = |under| {
        let runs = all(under).into_iter().map(|item| item.to_string());
        let crashed = CRASHED.map(|kind| format!("{kind:?} ")).into_iter();
        let crashed = crashed.chain(OTHER_WAYS.map(|way| format!("{Failover:?} {}", way.name())));
        let crashed = crashed.map(|run| format!("{}{run}crash <call>:<point>", prefix(under)));
        runs.chain(crashed).collect::<Vec<_>>()
    };
    let seeds = Seed::ALL.iter().map(|seed| format!("{SEEDED} {}", seed.name()));
    Under::ALL.into_iter().flat_map(of).chain(seeds).chain([OPINIONS.to_owned()]).collect()
}

fn all(under: Under) -> Vec<Item> {
    let kinds = [Switchover, Failback, Failover];
    let mut all: Vec<Item> = kinds.iter().map(|kind| Item::of(under, *kind, What::Undisturbed)).collect();
    for (nth, trouble) in troubles::ALL.iter().enumerate() {
        // In turn, so that each kind gets its share.
        let (skip, take) = match under {
            Under::Local => (0, trouble.kinds.len()),
            Under::Operator => (nth % trouble.kinds.len().max(1), 1),
        };
        let kinds = trouble.kinds.iter().skip(skip).take(take);
        all.extend(kinds.map(|kind| Item::of(under, *kind, What::Trouble(trouble))));
    }
    all.push(Item::of(under, Failover, What::Hour));
    for way in OTHER_WAYS {
        all.push(Item::by(way, under, What::Undisturbed));
        if under == Under::Local {
            let troubles = troubles::of(way).iter();
            all.extend(troubles.map(|trouble| Item::by(way, under, What::Trouble(trouble))));
        }
    }
    all
}

/// Plays what was chosen, first under `muster local`, then under `muster operator`: in each bed one run after the other.
pub async fn run(choice: &Choice) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    if !choice.items(Under::Operator).is_empty() {
        // Rather now than after all that comes before.
        Tools::find()?;
    }
    for under in Under::ALL {
        let items = choice.items(under);
        let seeds = if under == Under::Local { choice.seeds() } else { Vec::new() };
        if items.is_empty() && seeds.is_empty() {
            continue;
        }
        if under == Under::Operator && choice.step(under) > 1 {
            announce_sample(choice.step(under));
        }
        let beds = choice.beds_of(under).min(items.len()).max(1);
        let queue = Arc::new(Queue::new(under, items, tally, choice.clone()));
        // In one thread, which lasts: a server of PostgreSQL ends with the thread that started it.
        let suites = (0..beds).map(|_| Box::pin(Suite::play_all(Arc::clone(&queue))));
        let mut suites = futures::future::try_join_all(suites).await?;
        if let Some(suite) = suites.pop().filter(|_| !seeds.is_empty()) {
            Box::pin(suite.play_seeds(&seeds)).await;
        }
        tally = queue.tally();
    }
    if choice.takes(OPINIONS) && choice.is_about(Under::Local) {
        tally.opinions = Some(Box::pin(play_second_opinions()).await);
    }
    Ok(tally)
}

#[allow(clippy::print_stderr)] // says what the lines after it are of
fn announce_sample(step: usize) {
    eprintln!(
        "under the operator: each trouble of the usual runs in one kind of them, and the process ended at one of \
         {step} of their points"
    );
}

/// A bed that comes to rest: on a busy machine not each one does in time, and what was played so far counts.
#[allow(clippy::print_stderr)] // as each run's line
async fn begin_anew(under: Under) -> anyhow::Result<Stage> {
    let mut last = None;
    for _ in 0..PATIENCE {
        match Box::pin(Stage::start(under)).await {
            Ok(stage) => return Ok(stage),
            Err(error) => {
                eprintln!("again a bed: {error:#}");
                last = Some(error);
            }
        }
    }
    Err(last.unwrap_or_else(|| anyhow::anyhow!("no bed was tried")))
}

/// Points can be chosen only after an undisturbed run has shown them.
fn is_wanted(item: &Item, choice: &Choice) -> bool {
    let asks_for_points = choice.only.as_ref().is_some_and(|only| {
        // A title under the operator is none under the other.
        let is_there = item.under == Under::Operator || !only.contains(prefix(Under::Operator));
        let named =
            |way: &Way| only.contains(way.name()) || way.own_call().is_some_and(|own| only.contains(own));
        let is_of_the_way = item.way == OTHER_WAYS.into_iter().find(named).unwrap_or(Way::Usual);
        let asks_for_one = only.contains(':') && is_of_the_way;
        is_there && (asks_for_one || (only.contains("crash") && (is_of_the_way || !only.contains(' '))))
    });
    let shows_points = item.is_undisturbed() && CRASHED.contains(&item.kind);
    choice.takes(&item.to_string()) || (asks_for_points && shows_points)
}

/// Whether the same run comes to this call again. An old primary is made anew in as many attempts as it takes: the first one
/// renames it, and the second creates the replica, unless its region has just come back. That it is fenced again is recorded
/// twice, and the second time a person's ack may be recorded before that.
fn comes_again(kind: RunKind, call: &str) -> bool {
    if call == "R310.2" {
        return false;
    }
    let attempt = ["Rejoin.", "R311."].iter().find_map(|name| call.strip_prefix(name));
    attempt.is_none_or(|nth| kind.is_planned() && matches!(nth, "1" | "2"))
}

/// The points that a run of this way has and the usual one has not.
fn special(way: Way, reached: &[Reached]) -> &[Reached] {
    let is = |name: &'static str| move |at: &Reached| at.call.starts_with(name);
    let (begin, end) = match way {
        Way::Usual => (0, reached.len()),
        Way::Detached => {
            // From the question on: the promotions come after the first one, and before the detachment.
            let end = reached.iter().rposition(is("Detach.")).map_or(0, |at| at + 1);
            let begin = reached[..end].iter().rposition(is("Promote.")).map_or(0, |at| at + 1);
            (begin, end)
        }
        Way::ByAcl => {
            let end = reached.iter().position(is("Promote.")).unwrap_or(reached.len());
            (reached.iter().position(is("Fence.")).unwrap_or(end), end)
        }
    };
    &reached[begin..end]
}

/// What all beds take their runs from.
struct Queue {
    under: Under,
    choice: Choice,
    state: Mutex<Waiting>,
    /// Something was put back, or an undisturbed run has shown its points.
    changed: Notify,
}

struct Waiting {
    tally: Tally,
    items: Vec<Item>,
    untried: usize,
    /// Undisturbed runs that are being played: points may come of them.
    showing: usize,
}

/// What a bed is given next.
enum Taken {
    Item(Item),
    /// Nothing waits, and something may come of what other beds play.
    Later,
    Nothing,
}

impl Queue {
    fn new(under: Under, items: Vec<Item>, mut tally: Tally, choice: Choice) -> Self {
        tally.fault_points += items.iter().filter(|item| !item.is_undisturbed()).count();
        let state = Mutex::new(Waiting { tally, items, untried: 0, showing: 0 });
        Self { under, choice, state, changed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tally(&self) -> Tally {
        self.state().tally
    }

    /// The next run: one that can begin where everything stands, or the way to where another one can. `None`: there is
    /// none, and there will be none.
    async fn next(&self, stage: &Stage) -> Option<Item> {
        loop {
            let changed = self.changed.notified();
            match self.take(|kind| stage.fits(kind)) {
                Taken::Item(item) => return Some(item),
                Taken::Nothing => return None,
                Taken::Later => changed.await,
            }
        }
    }

    fn take(&self, fits: impl Fn(RunKind) -> bool) -> Taken {
        let mut state = self.state();
        let Some(first) = state.items.first() else {
            return if state.showing > 0 { Taken::Later } else { Taken::Nothing };
        };
        let away = if first.kind == Failback { Switchover } else { Failback };
        let item = match state.items.iter().position(|item| fits(item.kind)) {
            Some(at) => state.items.remove(at),
            None => Item::of(self.under, away, What::OnTheWay),
        };
        state.showing += usize::from(item.is_undisturbed());
        drop(state);
        Taken::Item(item)
    }

    /// Whatever came of a run that was taken.
    fn is_done(&self, item: &Item) {
        self.state().showing -= usize::from(item.is_undisturbed());
        self.changed.notify_waiters();
    }

    /// False: that happened too often.
    #[allow(clippy::print_stderr)] // a suite's line per run
    fn put_back(&self, item: &Item, why: &[String]) -> bool {
        let mut state = self.state();
        let next = Item { untried: item.untried + 1, ..item.clone() };
        if next.untried >= PATIENCE || state.untried >= MOST_UNTRIED {
            return false;
        }
        state.untried += 1;
        if !matches!(item.what, What::OnTheWay) {
            state.items.push(next);
        }
        drop(state);
        eprintln!("again {item}: {}", why.join("; "));
        true
    }

    /// Whoever showed the point took longer than others, and so did more.
    #[allow(clippy::print_stderr)] // a suite's line per run
    fn put_back_unreached(&self, item: &Item, why: &str) {
        let mut state = self.state();
        let next = Item { unreached: item.unreached + 1, ..item.clone() };
        let is_gone = next.unreached >= MOST_UNREACHED;
        if is_gone {
            state.tally.unreached += 1;
        } else {
            state.items.push(next);
        }
        drop(state);
        eprintln!("{} {item}: {why}", if is_gone { "gone " } else { "again" });
    }

    /// There is no way to the run that waits for it.
    fn give_up_one(&self) {
        let mut state = self.state();
        if !state.items.is_empty() {
            state.items.remove(0);
        }
    }

    fn judge(&self, item: &Item, judged: &Judged, began: Instant) {
        let mut state = self.state();
        state.tally.operator_runs += usize::from(self.under == Under::Operator);
        state.tally.judge(item, judged, began.elapsed().as_millis());
    }

    /// The points that an undisturbed run went through.
    fn add_points(&self, shown: &Item, played: &Played) {
        let Item { under, kind, way, .. } = *shown;
        if !CRASHED.contains(&kind) {
            return;
        }
        let points = special(way, &played.reached).iter().filter(|reached| comes_again(kind, &reached.call));
        let points = points.map(|reached| What::Crash(reached.crash_point()));
        let items = points.map(|what| Item { way, ..Item::of(under, kind, what) });
        // Those of another way are few.
        let step = if way == Way::Usual { self.choice.step(under) } else { self.choice.every.max(1) };
        let items = items.step_by(step);
        let wanted: Vec<Item> = items.filter(|item| self.choice.takes(&item.to_string())).collect();
        let mut state = self.state();
        state.tally.fault_points += wanted.len();
        state.items.extend(wanted);
    }
}

/// All that is played in one bed.
struct Suite {
    stage: Stage,
    queue: Arc<Queue>,
}

impl Suite {
    /// Until nothing waits any more.
    async fn play_all(queue: Arc<Queue>) -> anyhow::Result<Self> {
        let stage = Box::pin(begin_anew(queue.under)).await?;
        let mut suite = Self { stage, queue };
        while let Some(item) = suite.queue.next(&suite.stage).await {
            let played = Box::pin(suite.play(&item)).await;
            suite.queue.is_done(&item);
            played?;
        }
        suite.stage.programs.stop_controller();
        Ok(suite)
    }

    async fn play_seeds(&self, seeds: &[Seed]) {
        for seed in seeds {
            let noticed = Box::pin(seed.notice(&self.stage)).await;
            self.queue.state().tally.judge_seed(seed.name(), &noticed);
        }
    }

    async fn play(&mut self, item: &Item) -> anyhow::Result<()> {
        let began = Instant::now();
        let played = Box::pin(self.stage.play(&item.play())).await;
        let is_new_bed = played.is_err();
        let judged = match played {
            Ok(played) => {
                let judged = item.judge(&played);
                if judged.wrong.is_empty() && item.is_undisturbed() {
                    self.queue.add_points(item, &played);
                }
                judged
            }
            Err(error) => {
                let unreached = error.is::<Unreached>().then(|| format!("{error:#}"));
                let wrong = vec![format!("{error:#}; {}", self.stage.last_words())];
                // What is left of that bed may be anything: begin anew.
                self.stage = Box::pin(begin_anew(self.queue.under)).await?;
                if let Some(why) = unreached {
                    self.queue.put_back_unreached(item, &why);
                    return Ok(());
                }
                if error.is::<Untested>() && self.queue.put_back(item, &wrong) {
                    return Ok(());
                }
                if matches!(item.what, What::OnTheWay) {
                    self.queue.give_up_one();
                }
                Judged { wrong, ..Judged::default() }
            }
        };
        self.queue.judge(item, &judged, began);
        if item.way == Way::Detached && !is_new_bed {
            self.stage = Box::pin(begin_anew(self.queue.under)).await?;
        }
        Ok(())
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
        for title in ["Failover rds-answer-lost", "operator Switchover rds-answer-lost"] {
            assert!(titles.contains(&title.to_owned()), "{titles:?}");
        }
    }

    #[test]
    fn attempts_to_make_an_old_primary_anew_are_no_points_of_a_run_where_nobody_knows_how_many_there_are() {
        assert!(comes_again(Switchover, "Rejoin.2") && comes_again(Failover, "Promote.1"));
        assert!(!comes_again(Switchover, "Rejoin.3") && !comes_again(Failover, "Rejoin.1"));
        assert!(comes_again(Failover, "R310.1") && !comes_again(Failover, "R310.2"));
    }

    fn chosen(only: &str, under: Option<Under>) -> Vec<String> {
        let choice = Choice { only: Some(only.to_owned()), every: 1, under, beds: 1 };
        let items = Under::ALL.into_iter().flat_map(|under| choice.items(under));
        items.map(|item| item.to_string()).collect()
    }

    #[test]
    fn who_asks_for_a_point_gets_the_run_that_shows_it() {
        let local = ["Failback undisturbed", "Failover undisturbed"];
        assert_eq!(chosen("Failover crash Promote.1:sent", Some(Under::Local)), local);
        let operated = local.map(|title| format!("operator {title}"));
        assert_eq!(chosen("operator Failover crash Promote.1:sent", None), operated);
        let detached = ["Failover detached undisturbed"];
        assert_eq!(chosen("Detach.1:sent", Some(Under::Local)), detached);
        assert_eq!(chosen("Failover detached crash Detach.1:sent", Some(Under::Local)), detached);
        let every = [&local[..], &detached, &["Failover by network ACL undisturbed"]].concat();
        assert_eq!(chosen("crash", Some(Under::Local)), every);
    }

    #[test]
    fn under_the_operator_each_trouble_is_met_in_one_kind_of_run_and_each_kind_meets_some() {
        let troubled: Vec<Item> =
            all(Under::Operator).into_iter().filter(|item| matches!(item.what, What::Trouble(_))).collect();
        assert_eq!(troubled.len(), troubles::ALL.len());
        for kind in [Switchover, Failback, Failover] {
            assert!(troubled.iter().filter(|item| item.kind == kind).count() > troubles::ALL.len() / 5);
        }
    }

    #[test]
    fn under_the_operator_points_are_a_sample_unless_one_is_named() {
        let choice =
            |only: Option<&str>| Choice { only: only.map(str::to_owned), every: 2, under: None, beds: 1 };
        assert_eq!(choice(None).step(Under::Local), 2);
        assert_eq!(choice(None).step(Under::Operator), 2 * OPERATED_EVERY);
        assert_eq!(choice(Some("operator Failover crash Flip.1:sent")).step(Under::Operator), 2);
    }
}
