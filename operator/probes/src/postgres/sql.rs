//! One query over a kept connection.

use super::cell::value_of_row;
use super::node::{Node, Session};
use crate::dns::compile_expect;
use crate::error::{Mistakes, SpecError};
use crate::expr::{Expr, Kind, Names, Vars};
use crate::finding::Finding;
use crate::http::judge::{check, duration};
use crate::run::RunCx;
use crate::spec::SqlSpec;
use cel::objects::Value;
use futures::{StreamExt, pin_mut};
use muster_core::health::Symptom;
use muster_core::ids::RegionName;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

const NAMES: Names = &[("row", Kind::Map), ("rows", Kind::List), ("latency", Kind::Duration)];
/// Rows read at most.
const MAX_ROWS: usize = 1000;
/// The server gives up a query that the probe no longer waits for.
const AFTER_TIMEOUT: Duration = Duration::from_secs(1);

/// A compiled SQL probe.
pub(crate) struct Sql {
    node: Node,
    query: String,
    /// May be sent again after a connection broke.
    repeatable: bool,
    expect: Vec<Expr>,
    statement_timeout: Duration,
    open: Option<(Session, Statement)>,
}

impl Sql {
    pub(crate) fn compile(
        spec: &SqlSpec,
        timeout: Duration,
        field: &str,
        region: &RegionName,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let at = |part: &str| format!("{field}.sql.{part}");
        let node = Node::build(&spec.target, region)
            .map_err(|problem| SpecError::new(&at("data"), format!("{} {problem}", spec.data)));
        let node = mistakes.take(node);
        let expect = compile_expect(&spec.expect, NAMES, &at("expect"), mistakes);
        let first = spec.query.trim_start().get(..6).unwrap_or_default().to_ascii_lowercase();
        Some(Self {
            node: node?,
            query: spec.query.clone(),
            repeatable: first == "select",
            expect: expect?,
            statement_timeout: timeout + AFTER_TIMEOUT,
            open: None,
        })
    }

    pub(crate) async fn run(&mut self, cx: &RunCx<'_>) -> Result<(), Finding> {
        let began = Instant::now();
        // Taken out while in use: a run that is dropped in between closes the connection.
        let kept = self.open.take().filter(|(session, _)| !session.client.is_closed());
        let kept = kept.filter(|(session, _)| self.node.leads_right(session, cx.side));
        let reused = kept.is_some();
        let open = match kept {
            Some(open) => open,
            None => self.connect(cx).await?,
        };
        cx.progress.enter(crate::progress::Phase::Answer);
        let (open, rows) = match query(&open).await {
            Err(lost) if reused && self.repeatable && lost.symptom == Symptom::Refused => {
                drop(open);
                let open = self.connect(cx).await?;
                let rows = query(&open).await?;
                (open, rows)
            }
            rows => (open, rows?),
        };
        self.open = Some(open);
        self.judge(rows, began.elapsed())
    }

    /// Whether a standby is asked by another name.
    pub(crate) fn has_reader(&self) -> bool {
        self.node.has_reader()
    }

    /// Closes the connection.
    pub(crate) fn rest(&mut self) {
        self.open = None;
    }

    async fn connect(&self, cx: &RunCx<'_>) -> Result<(Session, Statement), Finding> {
        let session = self.node.connect(cx).await?;
        let limit = format!("set statement_timeout = {}", self.statement_timeout.as_millis());
        let setting = session.client.batch_execute(&limit).await;
        setting.map_err(|e| session.explain(&e, "setting up the session"))?;
        let statement = session.client.prepare(&self.query).await;
        let statement = statement.map_err(|e| session.explain(&e, "preparing the query"))?;
        Ok((session, statement))
    }

    fn judge(&self, rows: Vec<Value>, latency: Duration) -> Result<(), Finding> {
        let mut vars = Vars::new();
        vars.set("latency", duration(latency));
        let first = rows.first().cloned();
        match &first {
            Some(row) => vars.set("row", row.clone()),
            None if self.expect.iter().any(|expr| expr.uses("row")) => {
                return Err(Finding::new(Symptom::NothingSaid, "the query gave no row"));
            }
            None => {}
        }
        if self.expect.iter().any(|expr| expr.uses("rows")) {
            vars.set("rows", Value::List(Arc::new(rows)));
        }
        self.expect.iter().try_for_each(|expr| match check(expr, &mut vars) {
            Err(_) if first.as_ref().is_some_and(|row| says_nothing(expr, row)) => {
                let detail = format!("`{}`: a column is NULL or not a number", expr.source());
                Err(Finding::new(Symptom::NothingSaid, detail))
            }
            result => result,
        })
    }
}

/// Whether the expression speaks of a column that is NULL (and does not ask for that) or not a number.
fn says_nothing(expr: &Expr, row: &Value) -> bool {
    let Value::Map(map) = row else { return false };
    let asks_for_null = expr.source().contains("null");
    map.map.iter().any(|(column, value)| {
        let empty = match value {
            Value::Null => !asks_for_null,
            Value::Float(n) => n.is_nan(),
            _ => false,
        };
        empty && speaks_of(expr.source(), &column.to_string())
    })
}

/// `row.COLUMN` or `row['COLUMN']`.
fn speaks_of(source: &str, column: &str) -> bool {
    let field = format!("row.{column}");
    let mut fields =
        source.match_indices(&field).map(|(at, found)| source[at + found.len()..].chars().next());
    let ends = |next: Option<char>| !next.is_some_and(|c| c.is_alphanumeric() || c == '_');
    fields.any(ends) || ["'", "\""].iter().any(|q| source.contains(&format!("row[{q}{column}{q}]")))
}

async fn query((session, statement): &(Session, Statement)) -> Result<Vec<Value>, Finding> {
    let none: [&(dyn ToSql + Sync); 0] = [];
    let failed = |e: tokio_postgres::Error| session.explain(&e, "the query");
    let stream = session.client.query_raw(statement, none).await.map_err(failed)?;
    pin_mut!(stream);
    let mut rows = Vec::new();
    while let Some(row) = stream.next().await {
        let row = row.map_err(failed)?;
        if rows.len() == MAX_ROWS {
            return Err(Finding::own_setup(format!("the query gives more than {MAX_ROWS} rows")));
        }
        rows.push(value_of_row(&row).map_err(Finding::own_setup)?);
    }
    Ok(rows)
}
