//! What the endpoints said, for people and for a suite's last line.

use crate::arrange::{ByApi, InFake};
use crate::aws::Aws;
use crate::emulator::{Emulator, Kind};
use crate::suite::{self, Played};
use anyhow::{Context, ensure};
use muster_aws_fake::FakeAws;
use std::fmt;
use std::path::Path;

/// The fake is safe to be asked by many; what the emulators do then is not what is asked.
const AT_ONCE: usize = 16;

/// How one emulator stands to the fake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It is not installed.
    Missing,
    /// It is installed, and does not start.
    Broken,
    /// So many of the cases hold there.
    Agrees {
        /// Cases that hold.
        agreed: usize,
        /// All cases.
        cases: usize,
        /// Whether every other one is a known difference, and every known difference is one.
        as_listed: bool,
    },
}

/// The standings of both emulators: `moto=20/30 ministack=25/30`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opinions {
    /// Of moto.
    pub moto: Standing,
    /// Of ministack.
    pub ministack: Standing,
}

impl Standing {
    const fn is_good(self) -> bool {
        matches!(self, Self::Missing | Self::Agrees { as_listed: true, .. })
    }
}

impl Opinions {
    /// Whether nobody who was asked said anything that is not listed.
    pub const fn is_good(&self) -> bool {
        self.moto.is_good() && self.ministack.is_good()
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Broken => f.write_str("broken"),
            Self::Agrees { agreed, cases, .. } => write!(f, "{agreed}/{cases}"),
        }
    }
}

impl fmt::Display for Opinions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { moto, ministack } = self;
        write!(f, "moto={moto} ministack={ministack}")
    }
}

/// Plays every case on the fake, in which all of them hold: an error lists those that do not. Returns how many there are.
pub async fn play_fake() -> anyhow::Result<usize> {
    let fake = FakeAws::start().await.context("failed to start the fake")?;
    fake.set_lenient();
    let aws = Aws::at(fake.endpoint());
    let Played { cases, mut wrong, .. } = suite::play(&aws, &InFake::new(fake.clone()), &[], AT_ONCE).await;
    wrong.extend(fake.take_breaches());
    ensure!(wrong.is_empty(), "the fake is wrong, or the suite is:\n{}", wrong.join("\n"));
    Ok(cases)
}

/// Plays every case on the emulators that are installed, and prints what they do otherwise.
pub async fn play_second_opinions() -> Opinions {
    Opinions { moto: ask(Kind::Moto).await, ministack: ask(Kind::Ministack).await }
}

#[allow(clippy::print_stderr)] // a suite's lines per endpoint
async fn ask(kind: Kind) -> Standing {
    let name = kind.name();
    let python = match kind.find().await {
        Ok(python) => python,
        Err(error) => {
            eprintln!("-     opinions of {name}: not asked: {error:#}");
            return Standing::Missing;
        }
    };
    match play_emulator(kind, &python).await {
        Ok(played) => tell(name, &played),
        Err(error) => {
            eprintln!("WRONG opinions of {name}: {error:#}");
            Standing::Broken
        }
    }
}

async fn play_emulator(kind: Kind, python: &Path) -> anyhow::Result<Played> {
    let emulator = Emulator::start(kind, python).await?;
    let aws = emulator.aws();
    let played = suite::play(&aws, &ByApi::new(aws.clone()), kind.differences(), 1).await;
    emulator.stop().await;
    Ok(played)
}

#[allow(clippy::print_stderr)] // a suite's lines per endpoint
fn tell(name: &str, played: &Played) -> Standing {
    let Played { agreed, cases, known, wrong } = played;
    let verdict = if wrong.is_empty() { "ok" } else { "WRONG" };
    eprintln!("{verdict:<5} opinions of {name}: {agreed} of {cases} hold");
    for line in known {
        eprintln!("      {name} {line}");
    }
    for line in wrong {
        eprintln!("WRONG {name} {line}");
    }
    Standing::Agrees { agreed: *agreed, cases: *cases, as_listed: wrong.is_empty() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emulator_that_is_missing_is_named_so_and_one_that_changed_spoils_the_suite() {
        let agrees = |as_listed| Standing::Agrees { agreed: 2, cases: 3, as_listed };
        let of = |moto, ministack| Opinions { moto, ministack };
        assert_eq!(of(agrees(true), Standing::Missing).to_string(), "moto=2/3 ministack=missing");
        assert!(of(agrees(true), Standing::Missing).is_good());
        assert!(!of(agrees(true), agrees(false)).is_good());
        assert!(!of(agrees(false), agrees(true)).is_good());
        assert!(!of(agrees(true), Standing::Broken).is_good(), "it was there, and gave no answer");
    }
}
