//! CEL expressions: compiled and checked once, evaluated at each run within a time bound.
//!
//! Stricter than the interpreter alone, because an expectation that quietly compares nothing would turn a mistake
//! in a policy into a failed region, or hide one: unknown names and functions, wrong argument counts and
//! comparisons that can never hold are refused when compiling ([`check`]); selecting a field of something that is
//! not a map is an error, not `false`; numbers compare across int and double ([`rewrite`]).

mod check;
mod functions;
mod json;
mod rewrite;
mod shared;
mod show;

pub(crate) use check::Kind;
pub(crate) use json::from_json;
pub(crate) use show::show;

use cel::common::ast::IdedExpr;
use cel::objects::Value;
use cel::parser::Parser;
use cel::{Context, ExecutionError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest expression in bytes.
const MAX_SOURCE: usize = 4096;
/// An evaluation ends after this long, at the next step of whatever macro it is in.
const MAX_EVALUATION: Duration = Duration::from_millis(100);

/// What is wrong with an expression, without the place where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ExprError {
    /// 1-based, in characters.
    pub(crate) column: Option<usize>,
    pub(crate) problem: String,
}

/// Names that an expression may use, with their kinds.
pub(crate) type Names = &'static [(&'static str, Kind)];

/// A compiled expression. Equal ones share their tree.
#[derive(Clone, Debug)]
pub(crate) struct Expr(Arc<Compiled>);

#[derive(Debug)]
pub(crate) struct Compiled {
    source: String,
    tree: IdedExpr,
    names: Vec<String>,
    kind: Kind,
}

/// How an expectation went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Held {
    /// True.
    Yes,
    /// False; the values that it looked at, for people.
    No(String),
    /// It could not be evaluated on this answer; why.
    Broken(String),
}

/// The variables of one evaluation.
pub(crate) struct Vars(Context<'static>);

impl Vars {
    pub(crate) fn new() -> Self {
        Self(functions::root().new_inner_scope())
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.add_variable_from_value(name, value.into());
    }
}

impl Expr {
    /// Compiles an expectation: it must be able to give true or false.
    pub(crate) fn expectation(source: &str, names: Names) -> Result<Self, ExprError> {
        let expr = Self::value(source, names)?;
        match expr.0.kind {
            Kind::Bool | Kind::Any => Ok(expr),
            other => Err(ExprError {
                column: None,
                problem: format!("gives {other}, but an expectation must be true or false"),
            }),
        }
    }

    /// Compiles an expression of any kind.
    pub(crate) fn value(source: &str, names: Names) -> Result<Self, ExprError> {
        shared::find_or(source, names, || Self::compile(source, names)).map(Self)
    }

    fn compile(source: &str, names: Names) -> Result<Compiled, ExprError> {
        if source.len() > MAX_SOURCE {
            return Err(ExprError { column: None, problem: format!("longer than {MAX_SOURCE} bytes") });
        }
        let mut tree = parse(source)?;
        let kind = check::infer(&tree, names).map_err(|refused| refused.locate(source))?;
        let mut used: Vec<String> = tree.references().variables().into_iter().map(str::to_owned).collect();
        used.retain(|name| names.iter().any(|(known, _)| known == name));
        rewrite::make_strict(&mut tree);
        Ok(Compiled { source: source.to_owned(), tree, names: used, kind })
    }

    /// As written in the policy.
    pub(crate) fn source(&self) -> &str {
        &self.0.source
    }

    /// Whether it looks at this variable.
    pub(crate) fn uses(&self, name: &str) -> bool {
        self.0.names.iter().any(|n| n == name)
    }

    /// Evaluates an expectation.
    pub(crate) fn holds(&self, vars: &mut Vars) -> Held {
        match evaluate(&self.0.tree, vars) {
            Ok(Value::Bool(true)) => Held::Yes,
            Ok(Value::Bool(false)) => Held::No(show::explain(&self.0.tree, &vars.0)),
            Ok(other) => Held::Broken(format!("gave {}, not true or false", show(&other))),
            Err(error) => Held::Broken(error),
        }
    }

    /// Evaluates to a value.
    pub(crate) fn get(&self, vars: &mut Vars) -> Result<Value, String> {
        evaluate(&self.0.tree, vars)
    }
}

fn parse(source: &str) -> Result<IdedExpr, ExprError> {
    // The generated parser has asserts of its own; a strange text must not end the process.
    let parsed = catch_unwind(AssertUnwindSafe(|| Parser::default().parse(source)))
        .map_err(|_| ExprError { column: None, problem: "cannot be parsed".to_owned() })?;
    parsed.map_err(|errors| {
        let first = errors.errors.first();
        let column = first.and_then(|e| usize::try_from(e.pos.1).ok()).filter(|c| *c > 0);
        let problem = first.map_or_else(|| "cannot be parsed".to_owned(), |e| one_line(&e.msg));
        ExprError { column, problem }
    })
}

fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

fn evaluate(tree: &IdedExpr, vars: &mut Vars) -> Result<Value, String> {
    let until = functions::since_start(Instant::now() + MAX_EVALUATION);
    vars.0.add_variable_from_value(rewrite::DEADLINE, until);
    match catch_unwind(AssertUnwindSafe(|| Value::resolve(tree, &vars.0))) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(say(&error)),
        Err(_) => Err("the interpreter gave up".to_owned()),
    }
}

/// In words that need no knowledge of the interpreter, without whole values.
fn say(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("there is no {key}"),
        ExecutionError::UndeclaredReference(name) => format!("there is no {name}"),
        ExecutionError::NoSuchOverload => "the values' types do not fit the operation".to_owned(),
        ExecutionError::FunctionError { function, message } if function == rewrite::WITHIN => message.clone(),
        ExecutionError::UnexpectedType { want, .. } => format!("a value is not of type {want}"),
        ExecutionError::UnsupportedBinaryOperator(op, left, right)
        | ExecutionError::Overflow(op, left, right) => {
            format!("cannot {op} {} and {}", show(left), show(right))
        }
        ExecutionError::IndexOutOfBounds(index) => format!("there is no element {}", show(index)),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        other => {
            let text = one_line(&other.to_string());
            text.chars().take(120).collect()
        }
    }
}

#[cfg(test)]
mod tests;
