//! The text of a marker: what a health check looks for, and who wrote it.
//!
//! ```text
//! muster-on-SECRET                                    or: muster-off
//! {"epoch":3,"owner":"UID","region":"west","seq":7,"term":0}
//! ```
//!
//! No text ever comes twice from different effects, since each has a number of its own: a write that stands on an older text
//! finds another one.

use super::config::HealthObjectConfig;
use muster_core::facts::Witness;
use muster_core::ids::{Epoch, Owner, RegionName, Seq, Term};
use muster_core::secret::Secret;
use serde::{Deserialize, Serialize};

/// The first line begins so where traffic belongs to the region.
const ON: &str = HealthObjectConfig::ON;
/// The first line where it does not.
const OFF: &str = "muster-off";

/// What a marker tells the health check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Signal {
    /// Traffic belongs to this region.
    On,
    /// It does not.
    Off,
}

/// A marker that Muster wrote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Marker {
    pub(super) signal: Signal,
    /// What was written is what the health check looks for; not so after the secret was changed.
    pub(super) is_current: bool,
    pub(super) witness: Witness,
}

impl Marker {
    /// Whether nothing would change by writing this.
    pub(super) fn is_exactly(&self, signal: Signal, witness: &Witness) -> bool {
        self.signal == signal && self.is_current && self.witness == *witness
    }
}

/// Why a text is no marker. Says nothing of its content, which may hold a secret.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum MarkerError {
    #[error("it is not one that Muster wrote")]
    Strange,
    #[error("it was written for region {0}")]
    OtherRegion(RegionName),
}

/// The second line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    owner: Owner,
    epoch: Epoch,
    term: Term,
    seq: Seq,
    region: RegionName,
}

pub(super) fn write_marker(
    region: &RegionName,
    signal: Signal,
    witness: &Witness,
    secret: &Secret,
) -> String {
    let Witness { owner, epoch, term, seq } = witness.clone();
    let line = Line { owner, epoch, term, seq, region: region.clone() };
    let first = match signal {
        Signal::On => format!("{ON}{}", secret.expose()),
        Signal::Off => OFF.to_owned(),
    };
    format!("{first}\n{}\n", serde_json::json!(line))
}

/// Reads the marker of `region`.
pub(super) fn parse_marker(text: &str, region: &RegionName, secret: &Secret) -> Result<Marker, MarkerError> {
    let (first, rest) = text.split_once('\n').ok_or(MarkerError::Strange)?;
    let (signal, is_current) = match first.strip_prefix(ON) {
        Some("") => return Err(MarkerError::Strange),
        Some(found) => (Signal::On, found == secret.expose()),
        None if first == OFF => (Signal::Off, true),
        None => return Err(MarkerError::Strange),
    };
    let line: Line = serde_json::from_str(rest).map_err(|_| MarkerError::Strange)?;
    if line.owner.as_str().is_empty() {
        return Err(MarkerError::Strange);
    }
    if line.region != *region {
        return Err(MarkerError::OtherRegion(line.region));
    }
    let Line { owner, epoch, term, seq, .. } = line;
    Ok(Marker { signal, is_current, witness: Witness { owner, epoch, term, seq } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret::new("0123456789abcdefXYZ")
    }

    fn witness() -> Witness {
        Witness { owner: "uid-1".into(), epoch: Epoch(3), term: Term(1), seq: Seq(7) }
    }

    fn read(text: &str) -> Result<Marker, MarkerError> {
        parse_marker(text, &"west".into(), &secret())
    }

    #[test]
    fn a_marker_reads_back_as_it_was_written() {
        for signal in [Signal::On, Signal::Off] {
            let text = write_marker(&"west".into(), signal, &witness(), &secret());
            let marker = read(&text).expect("a marker");
            assert!(marker.is_exactly(signal, &witness()), "{marker:?}");
        }
    }

    #[test]
    fn only_a_marker_that_is_on_holds_what_the_health_check_looks_for() {
        let sought = format!("muster-on-{}", secret().expose());
        let write = |signal| write_marker(&"west".into(), signal, &witness(), &secret());
        assert!(write(Signal::On).starts_with(&sought));
        assert!(
            !write(Signal::Off).contains("muster-on-") && !write(Signal::Off).contains(secret().expose())
        );
    }

    #[test]
    fn a_marker_by_another_secret_is_on_and_not_current() {
        let text = write_marker(&"west".into(), Signal::On, &witness(), &Secret::new("anotherSecret0000"));
        let marker = read(&text).expect("a marker");
        assert_eq!((marker.signal, marker.is_current), (Signal::On, false));
        assert!(!marker.is_exactly(Signal::On, &witness()));
    }

    #[test]
    fn nonsense_is_refused_and_not_shown() {
        let good = r#"{"owner":"o","epoch":1,"term":0,"seq":1,"region":"west"}"#;
        assert!(read(&format!("muster-off\n{good}\n")).is_ok());
        assert!(read(&format!("muster-off\n{good}")).is_ok());
        for text in [
            String::new(),
            "muster-off".to_owned(),
            "muster-off\n".to_owned(),
            format!("muster-on-\n{good}\n"),
            format!("muster-offline\n{good}\n"),
            format!("Muster-off\n{good}\n"),
            format!("<html>\n{good}\n"),
            format!("muster-off\n{good}\n{good}\n"),
            format!("muster-off\n{}\n", good.replace("\"o\"", "\"\"")),
            format!("muster-off\n{}\n", good.replace(":1", ":-1")),
            format!("muster-off\n{}\n", good.replace("seq", "more")),
            format!("muster-off\n{}\n", good.replace("\"epoch\"", "\"x\":1,\"epoch\"")),
        ] {
            assert_eq!(read(&text), Err(MarkerError::Strange), "{text}");
        }
    }

    #[test]
    fn a_marker_of_another_region_is_refused() {
        let text = write_marker(&"east".into(), Signal::Off, &witness(), &secret());
        assert_eq!(read(&text), Err(MarkerError::OtherRegion("east".into())));
    }
}
