//! All patterns, all points.

use super::proxy::{Failure, Rule};
use super::stage::{Played, Stage};
use crate::figures::{Figures, Judged};
use anyhow::Context;
use std::fmt;
use std::time::{Duration, Instant};

/// A way to disturb.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Pattern {
    /// Killed between a write and its answer.
    Intermediate,
    /// Older versions are read.
    Stale,
    /// Events are lost.
    Unobserved,
    /// Requests fail.
    Failing,
}

/// What is played; everything unless told otherwise.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Only this pattern.
    pub pattern: Option<Pattern>,
    /// Only every so many points of a pattern, for a short form.
    pub every: usize,
}

/// Kinds whose reads or events are disturbed, by a part of their path.
const KINDS: [&str; 4] = ["/failoverjournals", "/failoverruns", "/regionfailoverpolicies", "/configmaps"];
/// Kinds that are watched.
const WATCHED: [&str; 2] = ["/failoverruns", "/regionfailoverpolicies"];

/// The figures of the suite.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    patterns: usize,
    figures: Figures,
}

impl Tally {
    /// Whether every point was played, and each run ended as the undisturbed one.
    pub const fn is_good(&self) -> bool {
        self.figures.is_good()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sieve: patterns={} {}", self.patterns, self.figures)
    }
}

fn points(pattern: Pattern, undisturbed: &Played) -> Vec<(String, Rule)> {
    let writes = undisturbed.writes.len();
    match pattern {
        Pattern::Intermediate => (1..=writes)
            .map(|n| {
                let write = undisturbed.writes.get(n - 1).cloned().unwrap_or_default();
                (format!("killed after write {n} ({write})"), Rule { hold_write: Some(n), ..Rule::default() })
            })
            .collect(),
        Pattern::Stale => {
            let alone = KINDS.map(|kind| (None, kind));
            // The time travel: killed, and what is read after the restart is older than what was read before.
            let after_restart = [writes / 4, writes / 2, writes * 3 / 4].map(|n| (Some(n.max(1)), "/"));
            let rule = |(hold_write, kind): (Option<usize>, &str)| {
                let killed = hold_write.map_or_else(String::new, |n| format!(", killed after write {n}"));
                let rule = Rule { hold_write, stale: Some(kind.to_owned()), ..Rule::default() };
                (format!("stale reads of {kind}{killed}"), rule)
            };
            alone.into_iter().chain([(None, "/")]).chain(after_restart).map(rule).collect()
        }
        Pattern::Unobserved => WATCHED
            .into_iter()
            .chain(["/"])
            .map(|kind| {
                (format!("lost events of {kind}"), Rule { lose: Some(kind.to_owned()), ..Rule::default() })
            })
            .collect(),
        Pattern::Failing => [
            ("429, not carried out", Failure::Busy),
            ("500, carried out", Failure::Broken),
            ("an answer after 1 s", Failure::Slow(Duration::from_secs(1))),
            ("no answer before the deadline, carried out", Failure::Slow(Duration::from_secs(8))),
        ]
        .into_iter()
        .map(|(what, failure)| {
            (format!("every third request: {what}"), Rule { fail: Some(failure), ..Rule::default() })
        })
        .collect(),
    }
}

/// Plays what was chosen, one failover after the other.
#[allow(clippy::print_stdout)] // a suite's line per run
pub async fn run(choice: &Choice) -> anyhow::Result<Tally> {
    let mut stage = Stage::start().await?;
    let undisturbed = stage.play(&Rule::default()).await;
    let undisturbed = undisturbed
        .with_context(|| format!("the undisturbed run; the log's end:\n{}", stage.last_words()))?;
    println!("base  {} writes; {}; {}", undisturbed.writes.len(), undisturbed.effects, undisturbed.end);
    let mut tally = Tally::default();
    for pattern in [Pattern::Intermediate, Pattern::Stale, Pattern::Unobserved, Pattern::Failing] {
        if choice.pattern.is_some_and(|only| only != pattern) {
            continue;
        }
        tally.patterns += 1;
        for (name, rule) in points(pattern, &undisturbed).into_iter().step_by(choice.every.max(1)) {
            tally.figures.points += 1;
            let began = Instant::now();
            let played = stage.play(&rule).await;
            let broken = played.is_err();
            let words = if broken { stage.last_words() } else { String::new() };
            let judged = judge(played, &undisturbed, &words);
            tally.figures.judge(&name, &judged, began.elapsed().as_secs_f64());
            if broken {
                // What is left of that world may be anything: begin anew.
                let fresh = Stage::start().await?;
                std::mem::replace(&mut stage, fresh).stop().await?;
            }
        }
    }
    stage.stop().await?;
    Ok(tally)
}

fn judge(played: anyhow::Result<Played>, undisturbed: &Played, words: &str) -> Judged {
    let now = match played {
        Ok(now) => now,
        Err(error) => {
            return Judged {
                wrong: vec![format!("{error:#}; the log's end:\n{words}")],
                ..Judged::default()
            };
        }
    };
    let mut wrong = now.end.differences(&undisturbed.end);
    wrong.extend(now.effects.missing(&undisturbed.effects));
    let told = match (now.killed, now.disturbed) {
        (true, 0) => String::new(),
        (false, 0) => "; not felt: the run was over before".to_owned(),
        (_, n) => format!("; {n} disturbed"),
    };
    Judged { wrong, repeated: now.effects.repeated(&undisturbed.effects), told }
}
