//! What is wrong with a policy's probes, with the place where it stands.

use crate::expr::ExprError;
use crate::template::TemplateError;
use std::fmt;

/// One mistake: `probes[place-order].suite[1].expect[0]: column 9: there is no variable stats here; ...`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SpecError {
    /// As in the policy, from `probes`, `publicProbe` or `detection` on.
    pub field: String,
    /// The text that is wrong, where it is an expression or a template.
    pub source: Option<String>,
    /// 1-based, in characters, where it is known.
    pub column: Option<usize>,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl SpecError {
    pub(crate) fn new(field: &str, problem: impl Into<String>) -> Self {
        Self { field: field.to_owned(), source: None, column: None, problem: problem.into() }
    }

    pub(crate) fn expression(field: &str, source: &str, error: ExprError) -> Self {
        Self {
            field: field.to_owned(),
            source: Some(source.to_owned()),
            column: error.column,
            problem: error.problem,
        }
    }

    pub(crate) fn template(field: &str, source: &str, error: TemplateError) -> Self {
        Self {
            field: field.to_owned(),
            source: Some(source.to_owned()),
            column: Some(error.column),
            problem: error.problem,
        }
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.field)?;
        if let Some(source) = &self.source {
            let plain = |c: char| if c.is_control() { ' ' } else { c };
            write!(f, "`{}` ", source.chars().take(200).map(plain).collect::<String>())?;
        }
        if let Some(column) = self.column {
            write!(f, "column {column}: ")?;
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for SpecError {}

/// Collects mistakes, so that a person sees all of them at once.
#[derive(Default)]
pub(crate) struct Mistakes(Vec<SpecError>);

impl Mistakes {
    pub(crate) fn add(&mut self, error: SpecError) {
        // The same field is compiled once per region.
        if !self.0.contains(&error) {
            self.0.push(error);
        }
    }

    /// The value, or its error kept.
    pub(crate) fn take<T>(&mut self, result: Result<T, SpecError>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    pub(crate) fn into_vec(self) -> Vec<SpecError> {
        self.0
    }
}
