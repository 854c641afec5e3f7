//! Every case on one endpoint, and what of it was expected.
//!
//! What this module must never do: pass over a difference that is listed and gone, or one that is not listed.

use crate::arrange::Arrange;
use crate::aws::Aws;
use crate::bench::Bench;
use crate::cases::{self, Case};
use crate::differences::Difference;
use anyhow::anyhow;
use futures::StreamExt;
use std::pin::pin;
use std::time::Duration;
use tokio::time::timeout;

/// Of one case, however much it arranges.
const CASE: Duration = Duration::from_mins(1);

/// What one endpoint made of the cases.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Played {
    /// Cases that hold there.
    pub(crate) agreed: usize,
    pub(crate) cases: usize,
    /// One line for each case that does not hold, and is known not to.
    pub(crate) known: Vec<String>,
    /// One line for each case that is not as the table says.
    pub(crate) wrong: Vec<String>,
}

/// Plays all cases, so many at once; each has things of its own. An error is that of a case, and no end of the suite.
pub(crate) async fn play(aws: &Aws, arrange: &dyn Arrange, known: &[Difference], at_once: usize) -> Played {
    let mut played = Played::default();
    let found = futures::stream::iter(cases::all()).map(async |case| {
        let bench = Bench::new(aws, arrange, case.name);
        let end = timeout(CASE, (case.play)(&bench)).await;
        let end = end.unwrap_or_else(|_| Err(anyhow!("no end within {} s", CASE.as_secs())));
        (case, end.err().map(|error| format!("{error:#}")))
    });
    let mut found = pin!(found.buffered(at_once));
    while let Some((case, found)) = found.next().await {
        played.judge(&case, found.as_deref(), known);
    }
    played
}

impl Played {
    fn judge(&mut self, case: &Case, found: Option<&str>, known: &[Difference]) {
        let Case { name, states, .. } = case;
        self.cases += 1;
        self.agreed += usize::from(found.is_none());
        let listed = known.iter().find(|difference| difference.case == *name);
        match (found, listed) {
            (None, None) => {}
            (Some(found), Some(listed)) if found == listed.instead => {
                self.known.push(format!("{name}: {found} ({})", listed.why));
            }
            (Some(found), Some(listed)) => {
                self.wrong.push(format!("{name}: {found}; listed as `{}`", listed.instead));
            }
            (Some(found), None) => self.wrong.push(format!("{name}: not so that {states}: {found}")),
            (None, Some(_)) => self.wrong.push(format!("{name}: it holds, and is listed as a difference")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: [Difference; 1] = [Difference { case: "a", instead: "taken", why: "a document" }];

    fn judge(name: &'static str, found: Option<&str>) -> Played {
        let mut played = Played::default();
        let case = Case { name, states: "it is so", play: |_| Box::pin(async { Ok(()) }) };
        played.judge(&case, found, &LISTED);
        played
    }

    #[test]
    fn a_difference_is_known_only_as_it_is_listed() {
        let known = judge("a", Some("taken"));
        assert_eq!((known.agreed, known.cases, known.known.len(), known.wrong.len()), (0, 1, 1, 0));
        let other = judge("a", Some("refused: 500 without a code"));
        assert_eq!(other.wrong, ["a: refused: 500 without a code; listed as `taken`"]);
        let gone = judge("a", None);
        assert_eq!(gone.wrong, ["a: it holds, and is listed as a difference"]);
        let new = judge("b", Some("taken"));
        assert_eq!(new.wrong, ["b: not so that it is so: taken"]);
        let agreed = judge("b", None);
        assert_eq!((agreed.agreed, agreed.wrong.len()), (1, 0));
    }
}
