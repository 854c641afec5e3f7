//! Durations as people write them: `500ms`, `30s`, `2m`, `1h`, `1h30m`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A duration in whole milliseconds, written with units. Go's and CEL's `duration()` read every text that this
/// type reads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration {
    millis: u64,
}

/// The text is not a duration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "not a duration: write whole numbers with units h, m, s, ms in this order, for example 500ms, 30s, 1h30m"
)]
pub struct NotADuration;

impl Duration {
    /// What a duration looks like, for schemas. (An empty text is excluded by its length.)
    pub const PATTERN: &str = "^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?([0-9]{1,6}ms)?$";
    /// The longest text.
    pub const MAX_LENGTH: usize = 29;
    const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

    /// Whole milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self { millis }
    }
    /// Whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self { millis: secs * 1000 }
    }
    /// Whole milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.millis
    }
    /// As the standard library's duration.
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.millis)
    }
}

impl FromStr for Duration {
    type Err = NotADuration;

    fn from_str(text: &str) -> Result<Self, NotADuration> {
        let mut rest = text;
        let mut units = Self::UNITS.iter();
        let mut millis = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let number: u64 = (digits <= 6).then(|| number.parse().ok()).flatten().ok_or(NotADuration)?;
            let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, tail) = tail.split_at(letters);
            let (_, factor) = units.find(|(name, _)| *name == unit).ok_or(NotADuration)?;
            millis += number * factor;
            rest = tail;
        }
        if text.is_empty() { Err(NotADuration) } else { Ok(Self { millis }) }
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.millis == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.millis;
        for (unit, factor) in Self::UNITS {
            if rest >= factor {
                write!(f, "{}{unit}", rest / factor)?;
                rest %= factor;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "minLength": 2, "maxLength": Self::MAX_LENGTH, "pattern": Self::PATTERN,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Duration;

    fn reads(text: &str) -> Option<u64> {
        text.parse::<Duration>().ok().map(Duration::as_millis)
    }

    #[test]
    fn units_and_their_order_are_read() {
        assert_eq!(reads("500ms"), Some(500));
        assert_eq!(reads("30s"), Some(30_000));
        assert_eq!(reads("2m"), Some(120_000));
        assert_eq!(reads("1h30m"), Some(5_400_000));
        assert_eq!(reads("1h1m1s1ms"), Some(3_661_001));
        assert_eq!(reads("0s"), Some(0));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "5", "s", "5 s", "1.5s", "-5s", "5d", "5S", "1s1s", "1s1m", "1234567s", "½s", "5sm"]
        {
            assert_eq!(reads(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_printed_reads_back() {
        for millis in [0, 1, 999, 1000, 1500, 60_000, 90_000, 3_600_000, 3_661_001, 999_999_000] {
            let printed = Duration::from_millis(millis).to_string();
            assert_eq!(reads(&printed), Some(millis), "{printed}");
        }
    }
}
