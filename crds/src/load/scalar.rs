//! What a plain scalar means: YAML 1.2's core schema, and a refusal where kubectl (YAML 1.1) reads it otherwise.

/// The meaning of a plain scalar.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Scalar {
    /// `null`, `~`, nothing at all.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// Anything else.
    Text(String),
    /// Means this to kubectl, and something else to others.
    Ambiguous(&'static str),
}

/// Reads a scalar written without quotes.
pub(super) fn read_plain(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "true" | "True" | "TRUE" => return Scalar::Bool(true),
        "false" | "False" | "FALSE" => return Scalar::Bool(false),
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Scalar::Ambiguous("true"),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Scalar::Ambiguous("false"),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Scalar::Text(text.to_owned());
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        return read_decimal(text, digits);
    }
    if is_other_base(digits) || is_grouped(digits) {
        return Scalar::Ambiguous("a number");
    }
    let looks_like_float = digits.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b))
        && digits.bytes().any(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(number) if looks_like_float => Scalar::Float(number),
        _ => Scalar::Text(text.to_owned()),
    }
}

fn read_decimal(text: &str, digits: &str) -> Scalar {
    if digits.len() > 1 && digits.starts_with('0') {
        return Scalar::Ambiguous("an octal number");
    }
    match text.parse() {
        Ok(number) => Scalar::Int(number),
        Err(_) => text.parse().map_or_else(|_| Scalar::Text(text.to_owned()), Scalar::Float),
    }
}

fn is_other_base(digits: &str) -> bool {
    ["0x", "0X", "0o", "0b"].iter().any(|p| {
        digits
            .strip_prefix(p)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_hexdigit() || b == b'_'))
    })
}

fn is_grouped(digits: &str) -> bool {
    digits.contains('_') && digits.bytes().all(|b| b.is_ascii_digit() || b == b'_' || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::{Scalar, read_plain};

    #[test]
    fn plain_scalars_mean_what_both_yaml_versions_say() {
        assert_eq!(read_plain("~"), Scalar::Null);
        assert_eq!(read_plain("true"), Scalar::Bool(true));
        assert_eq!(read_plain("-5"), Scalar::Int(-5));
        assert_eq!(read_plain("0"), Scalar::Int(0));
        assert_eq!(read_plain("1.5"), Scalar::Float(1.5));
        assert_eq!(read_plain("1e3"), Scalar::Float(1000.0));
        for text in ["30s", "127.0.0.1", "2024-01-01", "12:30:00", "us-east-1", "-", ".", "5s-", "Primary"] {
            assert_eq!(read_plain(text), Scalar::Text(text.to_owned()));
        }
    }

    #[test]
    fn what_kubectl_reads_otherwise_is_ambiguous() {
        for text in ["on", "Off", "yes", "n", "010", "0x1F", "0o17", "1_000"] {
            assert!(matches!(read_plain(text), Scalar::Ambiguous(_)), "{text}");
        }
    }
}
