//! Values as people read them: durations, moments, bounds, dashes for what is not known. Pure.

use jiff::tz::TimeZone;
use muster_core::health::VerdictKind;
use muster_core::journal::{OutcomeKind, Phase, Rpo, StepState, Trigger};
use muster_core::time::{Millis, Stamp};

use super::paint::Tone;

/// What stands where nothing is known.
pub const NONE: &str = "-";

/// A duration, or a dash.
pub fn maybe(d: Option<Millis>) -> String {
    d.map_or_else(|| NONE.to_owned(), |d| d.to_string())
}

/// Date and time in the reader's zone, with the zone.
pub fn moment(at: &Stamp, zone: &TimeZone) -> String {
    zoned(at, zone).map_or_else(|| NONE.to_owned(), |z| z.strftime("%Y-%m-%d %H:%M:%S %Z").to_string())
}

/// Date and time to the minute, in the reader's zone.
pub fn minute(at: &Stamp, zone: &TimeZone) -> String {
    zoned(at, zone).map_or_else(|| NONE.to_owned(), |z| z.strftime("%m-%d %H:%M").to_string())
}

/// Time of day with milliseconds, in the reader's zone.
pub fn time_of_day(at: &Stamp, zone: &TimeZone) -> String {
    zoned(at, zone).map_or_else(|| NONE.to_owned(), |z| z.strftime("%H:%M:%S%.3f").to_string())
}

fn zoned(at: &Stamp, zone: &TimeZone) -> Option<jiff::Zoned> {
    jiff::Timestamp::from_millisecond(at.wall.0).ok().map(|t| t.to_zoned(zone.clone()))
}

/// Time since a run began, as a column: `+12.34 s`.
pub fn offset(from: &Stamp, at: &Stamp) -> String {
    let ms = at.since_or_wall(from).0;
    format!("+{}.{:02} s", ms / 1000, ms % 1000 / 10)
}

/// A recovery point between its bounds.
pub fn rpo(rpo: &Rpo) -> String {
    match (rpo.at_least, rpo.at_most, rpo.r#final) {
        (Some(least), _, true) => format!("{least}, final"),
        (None, Some(most), true) => format!("at most {most}, final"),
        (None, None, true) => "none, final".to_owned(),
        (Some(least), Some(most), false) => format!("at least {least}, at most {most}, not final"),
        (Some(least), None, false) => format!("at least {least}, no upper bound yet, not final"),
        (None, Some(most), false) => format!("at most {most}, not final"),
        (None, None, false) => NONE.to_owned(),
    }
}

/// A recovery point in a narrow column: the larger bound, with `<=` while it is only a bound.
pub fn short_rpo(rpo: &Rpo) -> String {
    match (rpo.at_least, rpo.at_most) {
        (Some(least), _) if rpo.r#final => least.to_string(),
        (None, None) if rpo.r#final => "none".to_owned(),
        (_, Some(most)) => format!("<= {most}"),
        (Some(least), None) => format!(">= {least}"),
        (None, None) => NONE.to_owned(),
    }
}

/// Who started a run.
pub fn trigger(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Person(name) => format!("by {name}"),
        Trigger::Verdict => "by a verdict".to_owned(),
        Trigger::TargetLost(run) => format!("after {run} lost its target"),
    }
}

/// How a run ended.
pub const fn outcome(kind: &OutcomeKind) -> (&'static str, Tone) {
    match kind {
        OutcomeKind::Succeeded => ("Succeeded", Tone::Good),
        OutcomeKind::Aborted => ("Aborted", Tone::Warn),
        OutcomeKind::TargetLost => ("TargetLost", Tone::Bad),
        OutcomeKind::Failed => ("Failed", Tone::Bad),
    }
}

/// How a step's state is shown.
pub const fn step_state(state: StepState) -> (&'static str, Tone) {
    match state {
        StepState::Pending => ("pending", Tone::Dim),
        StepState::Intended => ("under way", Tone::Warn),
        StepState::Observed => ("done", Tone::Good),
        StepState::Skipped => ("skipped", Tone::Dim),
        StepState::Undoing => ("undoing", Tone::Warn),
        StepState::Undone => ("undone", Tone::Warn),
        StepState::Failed => ("failed", Tone::Bad),
    }
}

/// How a phase is shown.
pub const fn phase(phase: Phase) -> (&'static str, Tone) {
    match phase {
        Phase::Pending => ("Pending", Tone::Plain),
        Phase::Blocked => ("Blocked", Tone::Bad),
        Phase::AwaitingApproval => ("AwaitingApproval", Tone::Warn),
        Phase::Executing => ("Executing", Tone::Warn),
        Phase::Verifying => ("Verifying", Tone::Warn),
        Phase::Completed => ("Completed", Tone::Good),
        Phase::Failed => ("Failed", Tone::Bad),
        Phase::Aborted => ("Aborted", Tone::Warn),
    }
}

/// How a verdict is shown.
pub const fn verdict(kind: VerdictKind) -> (&'static str, Tone) {
    match kind {
        VerdictKind::Healthy => ("Healthy", Tone::Good),
        VerdictKind::Unhealthy => ("Unhealthy", Tone::Bad),
        VerdictKind::Unknown => ("Unknown", Tone::Warn),
    }
}

/// A number with its noun: `1 policy`, `2 policies`.
pub fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// A duration as policies and flags write it: `500ms`, `30s`, `2m`, `1h`.
pub fn parse_duration(text: &str) -> Result<Millis, String> {
    const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, ms)| *ms);
    let value = number.parse::<u64>().ok().zip(unit).and_then(|(n, ms)| n.checked_mul(ms));
    value.map(Millis).ok_or_else(|| "write a number and a unit, as in 500ms, 30s, 2m or 1h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_policies_write_them() {
        assert_eq!(parse_duration("500ms"), Ok(Millis(500)));
        assert_eq!(parse_duration("2m"), Ok(Millis(120_000)));
        for wrong in ["", "5", "s", "-1s", "1.5s", "99999999999999999999h", "18446744073709551615h"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_loss_is_shown_with_its_bounds_until_it_is_final() {
        let bounds = |least, most, r#final| rpo(&Rpo { at_least: least, at_most: most, r#final });
        assert_eq!(
            bounds(Some(Millis(400)), Some(Millis(800)), false),
            "at least 400 ms, at most 800 ms, not final"
        );
        assert_eq!(bounds(Some(Millis(400)), None, false), "at least 400 ms, no upper bound yet, not final");
        assert_eq!(bounds(Some(Millis(0)), Some(Millis(0)), true), "0 ms, final");
        assert_eq!(bounds(None, None, false), "-");
    }
}
