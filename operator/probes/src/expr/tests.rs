use super::{Expr, Held, Kind, Names, Vars, from_json};
use std::sync::Arc;
use std::time::{Duration, Instant};

const NAMES: Names = &[
    ("status", Kind::Number),
    ("headers", Kind::TextMap),
    ("body", Kind::Any),
    ("text", Kind::Text),
    ("latency", Kind::Duration),
    ("cert", Kind::Cert),
    ("answers", Kind::Texts),
];

fn vars(body: &str) -> Vars {
    let mut vars = Vars::new();
    vars.set("status", 200_i64);
    vars.set("text", body);
    vars.set("latency", cel::objects::Value::Duration(chrono::Duration::milliseconds(1200)));
    vars.set("body", from_json(serde_json::from_str(body).expect("test JSON")));
    vars
}

fn holds(source: &str, body: &str) -> Held {
    Expr::expectation(source, NAMES).expect(source).holds(&mut vars(body))
}

fn refusal(source: &str) -> String {
    let error = Expr::expectation(source, NAMES).expect_err(source);
    format!("{}:{}", error.column.map_or_else(String::new, |c| c.to_string()), error.problem)
}

#[test]
fn expectations_that_hold() {
    let body = r#"{"n": 3, "price": 10.0, "state": "placed", "items": [{"id": 1}, {"id": 2}], "none": null}"#;
    for source in [
        "status == 200 && body.state == 'placed'",
        "latency < duration('2s')",
        "body.n + 1 == 4",
        "body.price == 10",
        "body.price != 11",
        "body.items.all(i, i.id > 0)",
        "body.items.exists(i, i.id == 2)",
        "body.items.map(i, i.id) == [1, 2]",
        "size(body.items) == 2 && body.items.size() == 2",
        "has(body.state) && !has(body.other)",
        "body.none == null",
        "body.items[1].id == 2",
        "body['state'].startsWith('pla')",
        "text.matches('\"state\": *\"placed\"')",
        "'placed' in ['placed', 'open']",
        "status in [200, 201]",
        "body.n == 3 ? true : false",
    ] {
        assert_eq!(holds(source, body), Held::Yes, "{source}");
    }
}

#[test]
fn a_false_expectation_shows_the_values_it_looked_at() {
    let body = r#"{"n": 3, "state": "lost", "items": [{"id": 1}]}"#;
    for (source, seen) in [
        ("body.state == 'placed'", r#"body.state = "lost""#),
        ("status == 200 && body.state == 'placed'", r#"body.state = "lost""#),
        ("latency < duration('800ms')", "latency = 1.2s"),
        ("body.items.size() > 4", "body.items.size() = 1"),
        ("!(body.n == 3)", "body.n = 3"),
        ("body.items[0].id > body.n", "body.items[0].id = 1, body.n = 3"),
        ("body.items.all(i, i.id == 7)", "body.items = [{id: 1}]"),
        ("text.contains('nothing')", r#"text = "{\"n\": 3"#),
    ] {
        match holds(source, body) {
            Held::No(shown) => assert!(shown.starts_with(seen), "{source}: {shown}"),
            other => panic!("{source}: {other:?}"),
        }
    }
}

#[test]
fn a_field_of_something_that_is_no_map_is_an_error_and_never_false() {
    for (source, body) in [
        ("!body.error", "[]"),
        ("!body.error", "null"),
        ("body.a.b != 'x'", r#"{"a": 1}"#),
        ("body.missing == 'x'", "{}"),
        ("body.n > 'x'", r#"{"n": 1}"#),
        ("body.n", r#"{"n": 1}"#),
        ("body.items[3].id == 1", r#"{"items": []}"#),
    ] {
        assert!(matches!(holds(source, body), Held::Broken(_)), "{source}");
    }
}

#[test]
fn shown_values_are_short() {
    let body = format!(r#"{{"state": "{}"}}"#, "x".repeat(5000));
    let Held::No(shown) = holds("body.state == 'y'", &body) else { panic!("must be false") };
    assert!(shown.chars().count() < 120, "{shown}");
}

#[test]
fn mistakes_are_refused_with_their_place() {
    for (source, want) in [
        ("status = 200", "8:"),
        ("status == ", "11:"),
        ("stats == 200", "1:there is no variable stats here; there are status, headers,"),
        ("body.x == statuss", "11:there is no variable statuss"),
        ("latency < 5", "9:compares a duration with a number, which never holds; write a duration as"),
        ("status == '200'", "8:compares a number with a text, which never holds; leave out the quotes"),
        ("cert.expires > duration('1h')", "6:cert has no expires; it has expiresIn"),
        ("cert.expiresIn > duration('3 days')", "18:'3 days' is no duration"),
        ("text.matches('(')", "6:is no regular expression"),
        ("text.includes('x')", "6:there is no function includes"),
        ("text.startsWith()", "6:startsWith takes 1 arguments here, not 0"),
        ("latency.startsWith('1')", "9:startsWith does not work on a duration"),
        ("status + 1", ":gives a number, but an expectation must be true or false"),
        ("body.map(x, x.id)", ":gives a list, but"),
        ("Foo{a: 1} == 1", "1:messages such as Foo{...} do not exist here"),
        ("status.code == 1", "8:a number has no field code"),
        ("answers.exists(a, a == 1)", "21:compares a text with a number"),
        ("", ""),
    ] {
        let got = refusal(source);
        assert!(got.starts_with(want), "{source}: got {got}, want {want}");
    }
}

#[test]
fn equal_expressions_share_their_tree_unless_they_may_use_other_names() {
    const OTHER: Names = &[("status", Kind::Text)];
    let compile = |names| Expr::value("status == status", names).expect("compiles");
    let (first, second, other) = (compile(NAMES), compile(NAMES), compile(OTHER));
    assert!(Arc::ptr_eq(&first.0, &second.0));
    assert!(!Arc::ptr_eq(&first.0, &other.0));
    assert!(Expr::value("status == 200", OTHER).is_err(), "a text is no number, whoever compared one before");
}

#[test]
fn a_nested_macro_over_a_large_answer_ends_at_the_deadline() {
    let body = format!("[{}1]", "1,".repeat(20_000));
    let expr = Expr::expectation("body.all(a, body.all(b, body.all(c, a == b)))", NAMES).expect("compiles");
    let mut vars = vars(&body);
    let began = Instant::now();
    assert_eq!(expr.holds(&mut vars), Held::Broken("took too long on this answer".to_owned()));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
