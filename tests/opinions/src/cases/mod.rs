//! Statements about the services, each played by itself on things of its own.
//!
//! What a case must never do: know which endpoint it is played on; state what Muster does not stand on.

mod batches;
mod callers;
mod globals;
mod health;
mod listings;
mod objects;
mod readers;
mod replicas;
mod roles;
mod sets;

use crate::bench::Bench;
use futures::future::LocalBoxFuture;

/// One statement.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    /// Lower-case letters, digits and single hyphens; unique, and short enough for an identifier of RDS.
    pub(crate) name: &'static str,
    /// The statement, as a sentence.
    pub(crate) states: &'static str,
    /// Finds whether it is so. An error says what is the case instead.
    pub(crate) play: for<'a> fn(&'a Bench<'a>) -> LocalBoxFuture<'a, anyhow::Result<()>>,
}

/// `case!("name", "statement", function)`
macro_rules! case {
    ($name:literal, $states:literal, $play:ident) => {
        $crate::cases::Case { name: $name, states: $states, play: |bench| Box::pin($play(bench)) }
    };
}
use case;

/// All statements, in the order in which they are played.
pub(crate) fn all() -> Vec<Case> {
    [
        batches::CASES,
        sets::CASES,
        listings::CASES,
        health::CASES,
        objects::CASES,
        readers::CASES,
        globals::CASES,
        replicas::CASES,
        roles::CASES,
        callers::CASES,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_case_has_a_name_of_its_own_that_any_service_takes() {
        let all = all();
        let names: BTreeSet<&str> = all.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), all.len());
        for name in names {
            // An instance of RDS has 63 characters, a bucket as well, and a case adds to its name.
            assert!(name.len() <= 36, "{name}");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{name}"
            );
            assert!(!name.contains("--"), "{name}");
        }
    }
}
