//! The sequences, several policies at once.

use super::eyes::Seen;
use super::judge;
use super::random::Random;
use super::report::{Fate, Found, Tally};
use super::spec::{Kind, Law, Spec, kinds, law};
use super::stage::{Stage, Written, this_program};
use anyhow::{Context, bail, ensure};
use futures::StreamExt;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// For what must become so; this machine may be busy.
const PATIENCE: Duration = Duration::from_mins(1);
/// The same where something is wrong already.
const IMPATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at what no watch shows.
const LOOK: Duration = Duration::from_millis(150);
/// A state that lasts so long is one that stays.
const STILL: Duration = Duration::from_secs(3);

/// What is played.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The `muster` of the stage; `None`: this program.
    pub binary: Option<PathBuf>,
    /// The same seed, the same specs.
    pub seed: u64,
    /// Specs of one policy.
    pub specs: usize,
    /// Policies at once.
    pub policies: usize,
    /// Only the sequence of this one.
    pub only: Option<usize>,
}

/// Plays everything that was chosen.
pub async fn run(choice: &Choice) -> anyhow::Result<Tally> {
    let binary = choice.binary.clone().map_or_else(this_program, Ok)?;
    let stage = Stage::start(&binary).await?;
    let played = play(&stage, choice).await;
    played
        .with_context(|| format!("seed {}; the operator's last words:\n{}", choice.seed, last_words(&stage)))
}

async fn play(stage: &Stage, choice: &Choice) -> anyhow::Result<Tally> {
    let places = AtomicUsize::new(0);
    let bystanders = Bystanders::place(stage, &places).await?;
    let chosen = (0..choice.policies).filter(|index| choice.only.is_none_or(|only| only == *index));
    let sequences = chosen.map(|index| Sequence::new(stage, &places, choice.seed, index).play(choice.specs));
    let played: Vec<_> = futures::stream::iter(sequences).buffer_unordered(choice.policies).collect().await;
    let mut tally = Tally::default();
    for one in played {
        tally.add(&one?);
    }
    bystanders.judge(stage, &mut tally);
    stage.ensure_running()?;
    let log = stage.log();
    for line in log.lines().filter(|line| line.contains("panicked")) {
        tally.wrong(&format!("the operator: {line}"));
    }
    tell(&tally);
    Ok(tally)
}

#[allow(clippy::print_stdout)] // a suite's line
fn tell(tally: &Tally) {
    println!("of {} specs {}", tally.specs(), tally.fates());
}

fn last_words(stage: &Stage) -> String {
    let log = stage.log();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

/// Two parts of an address that no other policy has.
fn new_place(places: &AtomicUsize) -> String {
    let n = places.fetch_add(1, Ordering::Relaxed);
    format!("{}.{}", 64 + n / 250, 1 + n % 250)
}

/// Policies that nobody touches: a good one, and one that was never good. Those that came to rest, with the number of
/// changes until then.
#[derive(Default)]
struct Bystanders {
    still: Vec<(&'static str, usize)>,
    wrong: Vec<String>,
}

impl Bystanders {
    async fn place(stage: &Stage, places: &AtomicUsize) -> anyhow::Result<Self> {
        let mut all = Vec::new();
        for (name, kind) in [("bystander-good", Kind::Sane), ("bystander-bad", Kind::Unusable)] {
            let spec = Spec::generate(&mut Random::new(7), kind).at(&new_place(places));
            let Written::Taken(stored) = stage.create(name, &spec).await? else { bail!("{name} is refused") };
            all.push((name, law(&stored)?));
        }
        let mut bystanders = Self::default();
        for (name, law) in all {
            let settled = |seen: &Seen| judge::accepted(seen, 1, &law);
            match stage.eyes.until(name, PATIENCE, settled).await {
                Ok(()) => bystanders.still.push((name, settle(stage, name).await?)),
                Err(error) => bystanders.wrong.push(format!("{name}: {error:#}")),
            }
        }
        Ok(bystanders)
    }

    fn judge(&self, stage: &Stage, tally: &mut Tally) {
        for wrong in &self.wrong {
            tally.wrong(wrong);
        }
        for (name, statuses) in &self.still {
            let more = stage.eyes.of(name).statuses - statuses;
            if more > 0 {
                tally.wrong(&format!("{name}, which nobody touched, has another status: {more} changes"));
            }
        }
    }
}

/// Waits until a policy's status has not changed for a while; answers how often it did.
async fn settle(stage: &Stage, name: &str) -> anyhow::Result<usize> {
    let deadline = Instant::now() + PATIENCE;
    let (mut last, mut since) = (stage.eyes.of(name).statuses, Instant::now());
    while since.elapsed() < STILL {
        ensure!(Instant::now() < deadline, "{name} does not come to rest");
        sleep(LOOK).await;
        let now = stage.eyes.of(name).statuses;
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    Ok(last)
}

/// One policy, and its specs one after the other.
struct Sequence<'s> {
    stage: &'s Stage,
    places: &'s AtomicUsize,
    random: Random,
    name: String,
    place: String,
    seed: u64,
    /// As it was stored last.
    stored: Value,
    /// The newest good one.
    good: Option<Law>,
    /// The policy from scratch of the step before.
    scratch: Option<String>,
}

impl<'s> Sequence<'s> {
    fn new(stage: &'s Stage, places: &'s AtomicUsize, seed: u64, index: usize) -> Self {
        Self {
            stage,
            places,
            random: Random::of(seed, index),
            name: format!("p-{index}"),
            place: new_place(places),
            seed,
            stored: Value::Null,
            good: None,
            scratch: None,
        }
    }

    async fn play(mut self, count: usize) -> anyhow::Result<Tally> {
        let mut tally = Tally::default();
        for (step, kind) in kinds(&mut self.random, count).into_iter().enumerate() {
            let spec = Spec::generate(&mut self.random, kind);
            let title = format!("--seed {} {} step {step}", self.seed, self.name);
            let at = spec.at(&self.place);
            let found = self.apply(step, &spec).await;
            let found = found.with_context(|| format!("{title}: {:?}: {}\n{at}", spec.kind, spec.told))?;
            tally.judge(&title, &spec, &at, &found);
            self.stage.ensure_running()?;
        }
        Ok(tally)
    }

    async fn apply(&mut self, step: usize, spec: &Spec) -> anyhow::Result<Found> {
        let at = spec.at(&self.place);
        let written = match step {
            0 => self.stage.create(&self.name, &at).await?,
            _ => self.stage.replace(&self.name, &at).await?,
        };
        let stored = match written {
            Written::Taken(stored) => *stored,
            Written::Refused(why) => {
                ensure!(spec.kind != Kind::Sane, "what the rules want is refused: {why}");
                return self.judge_untouched().await;
            }
        };
        let mut found =
            Found { transition: step > 0 && stored["spec"] != self.stored["spec"], ..Found::default() };
        let law = law(&stored)?;
        match &law {
            Law::Good(_) => found.fate = Fate::Good,
            Law::Bad { .. } if spec.kind == Kind::Sane => bail!("what the rules want is bad: {law:?}"),
            Law::Bad { .. } => found.fate = Fate::Bad,
        }
        self.stored = stored;
        if matches!(law, Law::Good(_)) {
            self.good = Some(law.clone());
        }
        let (scratch, place) =
            (format!("{}-{step}", self.name.replace('p', "from-scratch")), new_place(self.places));
        let Written::Taken(fresh) = self.stage.create(&scratch, &spec.at(&place)).await? else {
            bail!("what was taken for one policy is refused for another one");
        };
        self.judge(&law, &mut found).await?;
        self.compare(&law, (&scratch, &place, &fresh), &mut found).await?;
        self.stage.delete(&scratch).await?;
        // Its task has ended by now, and does not begin the journal anew.
        if let Some(before) = self.scratch.replace(scratch) {
            self.stage.forget(&before).await?;
        }
        Ok(found)
    }

    /// A spec that the API server refused changed nothing.
    async fn judge_untouched(&self) -> anyhow::Result<Found> {
        let mut found = Found { fate: Fate::Refused, ..Found::default() };
        let (before, now) = (&self.stored, self.stage.get(&self.name).await?);
        for field in ["/spec", "/metadata/generation"] {
            if before.pointer(field) != now.pointer(field) {
                found.wrong.push(format!("a refused spec changed {field}"));
            }
        }
        let Some(good) = &self.good else { return Ok(found) };
        if let Err(why) = self.until_in_force(&self.name, Some(good), PATIENCE).await {
            found.wrong.push(why);
        }
        Ok(found)
    }

    /// What must hold of the policy itself.
    async fn judge(&self, law: &Law, found: &mut Found) -> anyhow::Result<()> {
        let generation = self.stored["metadata"]["generation"].as_i64().context("a generation")?;
        let (eyes, name) = (&self.stage.eyes, self.name.as_str());
        if let Err(error) = eyes.until(name, PATIENCE, |seen| judge::accepted(seen, generation, law)).await {
            found.stuck = eyes.of(name).said.iter().all(|said| said.generation != generation);
            found.wrong.push(format!("{error:#}"));
        }
        found.wrong.extend(judge::said_wrongly(&eyes.of(name), generation, law));
        if let Law::Good(policy) = law {
            let speaks = |seen: &Seen| judge::speaks_of(seen, policy, generation);
            if let Err(error) = eyes.until(name, patience(found), speaks).await {
                found.wrong.push(format!("{error:#}"));
            }
        }
        if let Err(why) = self.until_in_force(name, self.good.as_ref(), patience(found)).await {
            found.wrong.push(why);
        }
        Ok(())
    }

    async fn until_in_force(&self, name: &str, good: Option<&Law>, patience: Duration) -> Result<(), String> {
        let policy = match good {
            Some(Law::Good(policy)) => Some(policy.as_ref()),
            _ => None,
        };
        let deadline = Instant::now() + patience;
        loop {
            let kept = self.stage.in_force(name).await.map_err(|error| format!("{error:#}"))?;
            let why = match judge::is_in_force(kept.as_deref(), policy) {
                Ok(()) => return Ok(()),
                Err(why) => why,
            };
            if Instant::now() >= deadline {
                return Err(format!("the journal of {name}: {why}"));
            }
            sleep(LOOK).await;
        }
    }

    /// The state reached is the one of a policy that was created with this spec.
    async fn compare(
        &self,
        law: &Law,
        (scratch, place, fresh): (&str, &str, &Value),
        found: &mut Found,
    ) -> anyhow::Result<()> {
        let eyes = &self.stage.eyes;
        let own = super::spec::law(fresh)?;
        if let Err(error) = eyes.until(scratch, patience(found), |seen| judge::accepted(seen, 1, &own)).await
        {
            found.wrong.push(format!("from scratch: {error:#}"));
            return Ok(());
        }
        found
            .wrong
            .extend(judge::said_wrongly(&eyes.of(scratch), 1, &own).map(|w| format!("from scratch: {w}")));
        let good = matches!(own, Law::Good(_)).then_some(&own);
        if let Err(why) = self.until_in_force(scratch, good, patience(found)).await {
            found.wrong.push(why);
        }
        let plain = |object: &Value, name: &str, place: &str| match law {
            Law::Good(_) => judge::plain(object, name, place),
            Law::Bad { .. } => judge::plain_refusal(object, name, place),
        };
        let same = |seen: &Seen| {
            let reached = plain(&seen.object, &self.name, &self.place);
            let from_scratch = plain(&eyes.of(scratch).object, scratch, place);
            if reached == from_scratch { Ok(()) } else { Err(judge::difference(&reached, &from_scratch)) }
        };
        if let Err(error) = eyes.until(&self.name, patience(found), same).await {
            found.wrong.push(format!("another state than from scratch: {error:#}"));
        }
        Ok(())
    }
}

/// What is wrong once costs no more time than it must.
const fn patience(found: &Found) -> Duration {
    if found.wrong.is_empty() { PATIENCE } else { IMPATIENCE }
}
