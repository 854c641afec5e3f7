//! libpq connection strings, as far as a standby's `primary_conninfo` needs.

use std::collections::BTreeMap;

/// Appended to a standby's `primary_conninfo`: libpq takes the last value of a keyword, and no server listens there.
/// The text before it stays where it was, with its secrets, readable for the same few roles as before.
const STOPPED_WORDS: &str = " host='/muster-stopped' hostaddr=''";
/// The same for the URI form.
const STOPPED_QUERY: &str = "host=%2Fmuster-stopped&hostaddr=";

/// Keywords and values of a `keyword = value` string or of a URI. What cannot be read is left out: this is for
/// display and for the standby's name, never for a decision.
pub(super) fn parse(text: &str) -> BTreeMap<String, String> {
    if is_uri(text) { parse_uri(text) } else { parse_words(text) }
}

/// Adds the mark that keeps a standby from connecting. `None`: it is there already.
pub(super) fn stopped(text: &str) -> Option<String> {
    if running(text).is_some() {
        return None;
    }
    Some(match (is_uri(text), text.contains('?')) {
        (false, _) => format!("{text}{STOPPED_WORDS}"),
        (true, false) => format!("{text}?{STOPPED_QUERY}"),
        (true, true) => format!("{text}&{STOPPED_QUERY}"),
    })
}

/// Takes the mark away again. `None`: there is none.
pub(super) fn running(text: &str) -> Option<&str> {
    text.strip_suffix(STOPPED_WORDS)
        .or_else(|| text.strip_suffix(STOPPED_QUERY).map(|rest| rest.trim_end_matches(['?', '&'])))
}

fn is_uri(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

fn parse_uri(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let Ok(url) = url::Url::parse(text) else { return found };
    if let Some(host) = url.host_str() {
        found.insert("host".to_owned(), host.to_owned());
    }
    if let Some(port) = url.port() {
        found.insert("port".to_owned(), port.to_string());
    }
    found.extend(url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())));
    found
}

/// As libpq's `conninfo_parse`: values are bare (up to white space) or in single quotes; a backslash takes the next
/// character as it is.
fn parse_words(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text.trim_start();
    while let Some((key, after)) = rest.split_once('=') {
        let (value, left) = take_value(after.trim_start());
        found.insert(key.trim().to_owned(), value);
        rest = left.trim_start();
    }
    found
}

fn take_value(text: &str) -> (String, &str) {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return (value, &text[at + 1..]),
            c if !quoted && c.is_whitespace() => return (value, &text[at..]),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_standby_keeps_its_old_text_and_connects_nowhere() {
        for text in [
            "host=10.0.0.1 port=5433 application_name=west password='a b'",
            "postgresql://u:p@db:5433/x",
            "postgresql://u:p@db/x?application_name=west",
            "",
        ] {
            let marked = stopped(text).unwrap();
            assert_eq!(running(&marked), Some(text));
            assert_eq!(parse(&marked)["host"], "/muster-stopped", "{marked}");
            assert_eq!(stopped(&marked), None, "the mark is set once");
            assert_eq!(running(text), None);
        }
    }

    #[test]
    fn values_are_read_as_libpq_reads_them() {
        let words = parse(r"host = db  application_name=we x='a\'b c' port=5433 y=d\ e");
        assert_eq!(words["host"], "db");
        assert_eq!(words["x"], "a'b c");
        assert_eq!(words["y"], "d e");
        let uri = parse("postgres://u:secret@db:5433/x?application_name=west");
        assert_eq!((uri["host"].as_str(), uri["port"].as_str()), ("db", "5433"));
        assert_eq!(uri["application_name"], "west");
        assert!(!format!("{uri:?}").contains("secret"));
    }
}
