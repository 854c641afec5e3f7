//! `synchronous_standby_names`: who must confirm before a commit is acknowledged.

use muster_core::facts::SyncView;
use std::collections::BTreeMap;

/// The list as PostgreSQL's grammar has it (`syncrep_gram.y`): `FIRST n (..)`, `ANY n (..)`, `n (..)` or a plain list
/// of which one must confirm.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StandbyList {
    pub(super) needed: u32,
    pub(super) names: Vec<String>,
}

/// Reads the setting. `None`: not in the grammar (the server would have refused it too).
pub(super) fn parse_list(setting: &str) -> Option<StandbyList> {
    let words = words(setting)?;
    if words.is_empty() {
        return Some(StandbyList { needed: 0, names: Vec::new() });
    }
    let Some(open) = words.iter().position(|w| *w == Word::Sign('(')) else {
        return Some(StandbyList { needed: 1, names: names(&words)? });
    };
    let number = match &words[..open] {
        [Word::Bare(n)] => n,
        [Word::Bare(method), Word::Bare(n)]
            if method.eq_ignore_ascii_case("first") || method.eq_ignore_ascii_case("any") =>
        {
            n
        }
        _ => return None,
    };
    let (Some(Word::Sign(')')), inner) = (words.last(), words.get(open + 1..words.len() - 1)?) else {
        return None;
    };
    Some(StandbyList { needed: number.parse().ok()?, names: names(inner)? })
}

/// What a writer declares. `level`: its `synchronous_commit`; `connected`: names of the standbys that stream from it.
pub(super) fn view(
    setting: &str,
    level: &str,
    fsync: bool,
    overrides: u64,
    connected: &[String],
) -> SyncView {
    let list = parse_list(setting);
    // A list that cannot be read promises nothing: no level holds.
    let level_holds = list.is_some() && fsync && overrides == 0 && matches!(level, "on" | "remote_apply");
    let StandbyList { needed, names } = list.unwrap_or(StandbyList { needed: 0, names: Vec::new() });
    let mut count: BTreeMap<String, u32> = BTreeMap::new();
    for name in connected.iter().map(|n| n.to_ascii_lowercase()) {
        *count.entry(name).or_default() += 1;
    }
    let twice = |name: &String| count.get(&name.to_ascii_lowercase()).is_some_and(|n| *n > 1);
    let listed_twice =
        names.iter().enumerate().any(|(i, n)| names[..i].iter().any(|m| m.eq_ignore_ascii_case(n)));
    SyncView { needed, level_holds, names_unique: !listed_twice && !names.iter().any(twice), listed: names }
}

#[derive(Debug, PartialEq, Eq)]
enum Word {
    Bare(String),
    Quoted(String),
    Sign(char),
}

fn words(setting: &str) -> Option<Vec<Word>> {
    let mut found = Vec::new();
    let mut chars = setting.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {}
            '(' | ')' | ',' => found.push(Word::Sign(c)),
            '"' => {
                let mut name = String::new();
                loop {
                    match chars.next()? {
                        '"' if chars.peek() == Some(&'"') => name.extend(chars.next()),
                        '"' => break,
                        other => name.push(other),
                    }
                }
                found.push(Word::Quoted(name));
            }
            c => {
                let mut name = String::from(c);
                while let Some(next) =
                    chars.next_if(|n| !n.is_whitespace() && !matches!(n, '(' | ')' | ',' | '"'))
                {
                    name.push(next);
                }
                found.push(Word::Bare(name));
            }
        }
    }
    Some(found)
}

/// Names between commas.
fn names(words: &[Word]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for (i, word) in words.iter().enumerate() {
        match (i % 2, word) {
            (0, Word::Bare(name) | Word::Quoted(name)) => names.push(name.clone()),
            (1, Word::Sign(',')) => {}
            _ => return None,
        }
    }
    (words.len() % 2 == 1).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(setting: &str, needed: u32, names: &[&str]) {
        let names = names.iter().map(ToString::to_string).collect();
        assert_eq!(parse_list(setting), Some(StandbyList { needed, names }), "{setting}");
    }

    #[test]
    fn every_form_of_the_list_is_read() {
        check("", 0, &[]);
        check("  ", 0, &[]);
        check("west", 1, &["west"]);
        check("west, \"north\"\"x\" ,*", 1, &["west", "north\"x", "*"]);
        check("FIRST 2 (a, b, c)", 2, &["a", "b", "c"]);
        check("any 1(a,b)", 1, &["a", "b"]);
        check("2 (a, b)", 2, &["a", "b"]);
        check("\"first\", any", 1, &["first", "any"]);
    }

    #[test]
    fn what_is_not_in_the_grammar_is_unknown_and_holds_nothing() {
        for setting in ["first (a)", "a b", "2 (a", "any 1 (a,)", "\"a", "some 1 (a)", ",", "()"] {
            assert_eq!(parse_list(setting), None, "{setting}");
            assert!(!view(setting, "on", true, 0, &[]).level_holds);
        }
    }

    #[test]
    fn only_a_level_that_waits_for_the_standbys_disk_holds() {
        for (level, fsync, overrides, holds) in [
            ("on", true, 0, true),
            ("remote_apply", true, 0, true),
            ("remote_write", true, 0, false),
            ("local", true, 0, false),
            ("off", true, 0, false),
            ("on", false, 0, false),
            ("on", true, 1, false),
        ] {
            assert_eq!(
                view("west", level, fsync, overrides, &[]).level_holds,
                holds,
                "{level} {fsync} {overrides}"
            );
        }
    }

    #[test]
    fn a_name_that_two_standbys_share_is_not_unique() {
        let twice = ["west".to_owned(), "West".to_owned()];
        assert!(!view("west", "on", true, 0, &twice).names_unique);
        assert!(view("east", "on", true, 0, &twice).names_unique);
        assert!(!view("east, EAST", "on", true, 0, &[]).names_unique);
    }
}
