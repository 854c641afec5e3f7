//! What can be known of an expression before any answer was seen: names, functions, argument counts, kinds.
//!
//! Kinds are coarse on purpose: whatever comes from an answer is [`Kind::Any`] and fits everywhere. Only what is
//! certain is refused, for example `latency < 5` (a duration beside a number), which would fail at every run.

use super::{ExprError, Names, functions};
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr as Node, IdedExpr, LiteralValue, operators,
};
use std::fmt;

/// What is known of a value's type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Kind {
    /// Nothing is known.
    Any,
    Bool,
    /// int, uint or double.
    Number,
    Text,
    Bytes,
    Duration,
    Time,
    Null,
    List,
    /// A list of texts.
    Texts,
    Map,
    /// A map from text to text.
    TextMap,
    /// `{expiresIn: duration}`.
    Cert,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "a value",
            Self::Bool => "true or false",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Bytes => "bytes",
            Self::Duration => "a duration",
            Self::Time => "a point in time",
            Self::Null => "null",
            Self::List | Self::Texts => "a list",
            Self::Map | Self::TextMap | Self::Cert => "a map",
        })
    }
}

/// A refusal, and the word in the source that it is about.
pub(super) struct Refused {
    problem: String,
    word: String,
}

impl Refused {
    fn new(word: &str, problem: String) -> Self {
        Self { problem, word: word.to_owned() }
    }

    /// The tree keeps no positions; the first time the word stands alone in the source is where to look.
    pub(super) fn locate(self, source: &str) -> ExprError {
        let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
        let alone = |at: usize| {
            let before = source[..at].chars().next_back();
            let after = source[at + self.word.len()..].chars().next();
            let named = self.word.chars().all(part_of_name);
            !named || (!before.is_some_and(part_of_name) && !after.is_some_and(part_of_name))
        };
        let found = source.match_indices(self.word.as_str()).map(|(at, _)| at).find(|at| alone(*at));
        let column = found.filter(|_| !self.word.is_empty()).map(|at| source[..at].chars().count() + 1);
        ExprError { column, problem: self.problem }
    }
}

struct Scope<'a> {
    names: Names,
    /// Variables of macros, innermost last.
    inner: Vec<(&'a str, Kind)>,
}

/// The kind of the whole expression.
pub(super) fn infer(tree: &IdedExpr, names: Names) -> Result<Kind, Refused> {
    infer_node(tree, &mut Scope { names, inner: Vec::new() })
}

fn infer_node<'a>(node: &'a IdedExpr, scope: &mut Scope<'a>) -> Result<Kind, Refused> {
    match &node.expr {
        Node::Literal(literal) => Ok(kind_of_literal(literal)),
        Node::Ident(name) => kind_of_name(name, scope),
        Node::Select(select) => {
            let operand = infer_node(&select.operand, scope)?;
            let field = kind_of_field(operand, &select.field)?;
            Ok(if select.test { Kind::Bool } else { field })
        }
        Node::Call(call) => infer_call(call, scope),
        Node::Comprehension(macro_) => infer_macro(macro_, scope),
        Node::List(list) => {
            for element in &list.elements {
                infer_node(element, scope)?;
            }
            Ok(Kind::List)
        }
        Node::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    infer_node(&entry.key, scope)?;
                    infer_node(&entry.value, scope)?;
                }
            }
            Ok(Kind::Map)
        }
        Node::Struct(s) => Err(Refused::new(
            &s.type_name,
            format!("messages such as {}{{...}} do not exist here", s.type_name),
        )),
        Node::Unspecified => Err(Refused::new("", "is empty".to_owned())),
    }
}

const fn kind_of_literal(literal: &LiteralValue) -> Kind {
    match literal {
        LiteralValue::Boolean(_) => Kind::Bool,
        LiteralValue::Bytes(_) => Kind::Bytes,
        LiteralValue::Double(_) | LiteralValue::Int(_) | LiteralValue::UInt(_) => Kind::Number,
        LiteralValue::Null => Kind::Null,
        LiteralValue::String(_) => Kind::Text,
    }
}

fn kind_of_name(name: &str, scope: &Scope<'_>) -> Result<Kind, Refused> {
    if let Some((_, kind)) = scope.inner.iter().rev().find(|(known, _)| *known == name) {
        return Ok(*kind);
    }
    scope.names.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind).ok_or_else(|| {
        let known: Vec<&str> = scope.names.iter().map(|(known, _)| *known).collect();
        Refused::new(name, format!("there is no variable {name} here; there are {}", known.join(", ")))
    })
}

fn kind_of_field(operand: Kind, field: &str) -> Result<Kind, Refused> {
    match operand {
        Kind::Any | Kind::Map => Ok(Kind::Any),
        Kind::TextMap => Ok(Kind::Text),
        Kind::Cert if field == "expiresIn" => Ok(Kind::Duration),
        Kind::Cert => Err(Refused::new(field, format!("cert has no {field}; it has expiresIn"))),
        other => Err(Refused::new(field, format!("{other} has no field {field}"))),
    }
}

fn infer_macro<'a>(node: &'a ComprehensionExpr, scope: &mut Scope<'a>) -> Result<Kind, Refused> {
    let element = match infer_node(&node.iter_range, scope)? {
        Kind::Texts | Kind::TextMap | Kind::Cert => Kind::Text,
        Kind::Any | Kind::List | Kind::Map => Kind::Any,
        other => return Err(Refused::new("", format!("{other} has no elements to go through"))),
    };
    let accumulated = infer_node(&node.accu_init, scope)?;
    let outer = scope.inner.len();
    scope.inner.push((&node.accu_var, accumulated));
    scope.inner.push((&node.iter_var, element));
    infer_node(&node.loop_cond, scope)?;
    infer_node(&node.loop_step, scope)?;
    let result = infer_node(&node.result, scope)?;
    scope.inner.truncate(outer);
    Ok(result)
}

fn infer_call<'a>(call: &'a CallExpr, scope: &mut Scope<'a>) -> Result<Kind, Refused> {
    if let Some(kind) = infer_optional(call, scope)? {
        return Ok(kind);
    }
    let mut kinds = Vec::with_capacity(call.args.len() + 1);
    for arg in call.target.as_deref().into_iter().chain(&call.args) {
        kinds.push(infer_node(arg, scope)?);
    }
    let name = call.func_name.as_str();
    match (name, kinds.as_slice()) {
        (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => comparable(name, *left, *right, false),
        (
            operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
            [left, right],
        ) => comparable(name, *left, *right, true),
        (operators::LOGICAL_AND | operators::LOGICAL_OR, [left, right]) => {
            want_bool(name, *left)?;
            want_bool(name, *right)
        }
        (operators::LOGICAL_NOT | operators::NOT_STRICTLY_FALSE, [inner]) => want_bool(name, *inner),
        (operators::CONDITIONAL, [condition, yes, no]) => {
            want_bool(name, *condition)?;
            Ok(if yes == no { *yes } else { Kind::Any })
        }
        (operators::IN, [_, container]) => match container {
            Kind::Any | Kind::List | Kind::Texts | Kind::Map | Kind::TextMap => Ok(Kind::Bool),
            other => Err(Refused::new("in", format!("{other} contains nothing; use contains() for texts"))),
        },
        (operators::INDEX, [container, _]) => Ok(match container {
            Kind::Texts | Kind::TextMap => Kind::Text,
            _ => Kind::Any,
        }),
        (operators::ADD, [left, right]) if left == right => Ok(*left),
        (operators::OPT_INDEX | operators::OPT_SELECT | operators::ADD | operators::SUBSTRACT, _) => {
            Ok(Kind::Any)
        }
        (operators::NEGATE | operators::MULTIPLY | operators::DIVIDE | operators::MODULO, _) => {
            Ok(Kind::Number)
        }
        _ => functions::check_call(call, &kinds).map_err(|problem| Refused::new(name, problem)),
    }
}

/// `optional.of(x)`, `optional.none()`: a namespace, not a variable.
fn infer_optional<'a>(call: &'a CallExpr, scope: &mut Scope<'a>) -> Result<Option<Kind>, Refused> {
    let Some(Node::Ident(space)) = call.target.as_deref().map(|t| &t.expr) else { return Ok(None) };
    if space != "optional" || !matches!(call.func_name.as_str(), "none" | "of" | "ofNonZeroValue") {
        return Ok(None);
    }
    for arg in &call.args {
        infer_node(arg, scope)?;
    }
    Ok(Some(Kind::Any))
}

fn want_bool(operator: &str, kind: Kind) -> Result<Kind, Refused> {
    match kind {
        Kind::Bool | Kind::Any => Ok(Kind::Bool),
        other => {
            let symbol = operator.trim_matches('_');
            Err(Refused::new(symbol, format!("{symbol} needs true or false, not {other}")))
        }
    }
}

fn comparable(operator: &str, left: Kind, right: Kind, ordered: bool) -> Result<Kind, Refused> {
    let symbol = operator.trim_matches('_');
    let listy = |kind| matches!(kind, Kind::List | Kind::Texts);
    let mappy = |kind| matches!(kind, Kind::Map | Kind::TextMap | Kind::Cert);
    let unordered = |kind| matches!(kind, Kind::Null | Kind::Cert | Kind::Map | Kind::TextMap) || listy(kind);
    let fits = left == right
        || left == Kind::Any
        || right == Kind::Any
        || (listy(left) && listy(right))
        || (mappy(left) && mappy(right));
    if !fits || (ordered && (unordered(left) || unordered(right))) {
        let hint = match (left, right) {
            (Kind::Duration, Kind::Number | Kind::Text) | (Kind::Number | Kind::Text, Kind::Duration) => {
                "; write a duration as duration('5s')"
            }
            (Kind::Number, Kind::Text) | (Kind::Text, Kind::Number) => "; leave out the quotes, or use int()",
            _ => "",
        };
        return Err(Refused::new(symbol, format!("compares {left} with {right}, which never holds{hint}")));
    }
    Ok(Kind::Bool)
}
