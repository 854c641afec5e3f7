//! Collects what is wrong, so that a person sees all of it at once.

use muster_crds::Problem;

/// Problems in the order in which they were found.
#[derive(Default, Debug)]
pub(super) struct Findings(Vec<Problem>);

impl Findings {
    /// The policy cannot be used.
    pub(super) fn error(
        &mut self,
        path: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(Problem::error(path, message, fix));
    }
    /// A person should look.
    pub(super) fn warn(
        &mut self,
        path: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(Problem::warning(path, message, fix));
    }
    pub(super) fn has_errors(&self) -> bool {
        self.0.iter().any(Problem::is_error)
    }
    /// Errors first.
    pub(super) fn into_sorted(mut self) -> Vec<Problem> {
        self.0.sort_by_key(|p| p.severity);
        self.0
    }
    fn add(&mut self, problem: Problem) {
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }
}

/// `a, b and c`, for messages.
pub(super) fn words<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let items: Vec<&str> = items.into_iter().collect();
    match items.split_last() {
        None => "none".to_owned(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// What to do about a name that is not one of `known`.
pub(super) fn one_of<'a>(known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match known.as_slice() {
        [] => "there is none: add one, or leave this out".to_owned(),
        known => format!("use one of: {}", known.join(", ")),
    }
}
