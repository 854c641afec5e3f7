//! Makes a checked expression strict and bounded, once, when it is compiled.
//!
//! - `a.b` becomes `a["b"]`: the interpreter gives `false` for a field of something that is not a map, so that
//!   `!body.error` would pass on an answer that is no object at all.
//! - `==` and `!=` compare int, uint and double by value: JSON's `1.0` is one.
//! - Each step of a macro first looks at the time: a nested macro over a large answer ends at the deadline.

use cel::common::ast::{CallExpr, EntryExpr, Expr as Node, IdedExpr, LiteralValue, operators};

/// Variable: when the evaluation has to end.
pub(super) const DEADLINE: &str = "@deadline";
/// Function: true until then, an error afterwards.
pub(super) const WITHIN: &str = "@within";
/// Function: equality over kinds of numbers.
pub(super) const EQUAL: &str = "@equal";

/// Rewrites the whole tree.
pub(super) fn make_strict(node: &mut IdedExpr) {
    match &mut node.expr {
        Node::Select(select) => make_strict(&mut select.operand),
        Node::Call(call) => {
            call.target.iter_mut().for_each(|target| make_strict(target));
            call.args.iter_mut().for_each(make_strict);
        }
        Node::Comprehension(macro_) => {
            for part in [
                &mut macro_.iter_range,
                &mut macro_.accu_init,
                &mut macro_.loop_cond,
                &mut macro_.loop_step,
                &mut macro_.result,
            ] {
                make_strict(part);
            }
            let condition = std::mem::take(&mut macro_.loop_cond);
            macro_.loop_cond = call_of(operators::LOGICAL_AND, vec![within(), condition]);
        }
        Node::List(list) => list.elements.iter_mut().for_each(make_strict),
        Node::Map(map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    make_strict(&mut entry.key);
                    make_strict(&mut entry.value);
                }
            }
        }
        Node::Struct(_) | Node::Unspecified | Node::Ident(_) | Node::Literal(_) => {}
    }
    replace(node);
}

fn replace(node: &mut IdedExpr) {
    match &mut node.expr {
        Node::Select(select) if !select.test => {
            let field = Node::Literal(LiteralValue::String(select.field.as_str().into()));
            let operand = std::mem::take(&mut *select.operand);
            *node = call_of(operators::INDEX, vec![operand, IdedExpr { id: 0, expr: field }]);
        }
        Node::Call(call) if call.func_name == operators::EQUALS => EQUAL.clone_into(&mut call.func_name),
        Node::Call(call) if call.func_name == operators::NOT_EQUALS => {
            let equal = call_of(EQUAL, std::mem::take(&mut call.args));
            *node = call_of(operators::LOGICAL_NOT, vec![equal]);
        }
        _ => {}
    }
}

fn within() -> IdedExpr {
    call_of(WITHIN, vec![IdedExpr { id: 0, expr: Node::Ident(DEADLINE.to_owned()) }])
}

fn call_of(function: &str, args: Vec<IdedExpr>) -> IdedExpr {
    let call = CallExpr { func_name: function.to_owned(), target: None, args };
    IdedExpr { id: 0, expr: Node::Call(call) }
}
