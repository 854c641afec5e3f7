//! One question to one name server, from a fresh socket each time.

use crate::error::{Mistakes, SpecError};
use crate::expr::{Expr, Kind, Names, Vars};
use crate::finding::Finding;
use crate::grpc::compile_address;
use crate::http::judge::{check, duration};
use crate::net::name_server::{self, Question};
use crate::net::{Address, Lookup};
use crate::progress::Phase;
use crate::run::RunCx;
use crate::spec::{DnsSpec, RegionVars};
use crate::template::Template;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

const NAMES: Names =
    &[("rcode", Kind::Text), ("answers", Kind::Texts), ("ttl", Kind::Duration), ("latency", Kind::Duration)];

/// A compiled DNS probe.
pub(crate) struct Dns {
    server: Address,
    question: Question,
    expect: Vec<Expr>,
}

impl Dns {
    pub(crate) fn compile(
        spec: &DnsSpec,
        field: &str,
        region: &RegionVars,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let at = |part: &str| format!("{field}.dns.{part}");
        let server = mistakes.take(compile_address(&spec.server, &at("server"), region, Some(53)));
        let question = Template::compile(&spec.name, Some(region), &[])
            .map_err(|e| SpecError::template(&at("name"), &spec.name, e))
            .and_then(|name| {
                Question::new(name.fixed().unwrap_or_default(), &spec.record_type)
                    .map_err(|problem| SpecError::new(&at("name"), problem))
            });
        let question = mistakes.take(question);
        let expect = compile_expect(&spec.expect, NAMES, &at("expect"), mistakes);
        Some(Self { server: server?, question: question?, expect: expect? })
    }

    pub(crate) async fn run(&self, cx: &RunCx<'_>) -> Result<(), Finding> {
        cx.progress.enter(Phase::Lookup);
        let ips = cx.names.resolve(&self.server.host, Lookup::Recent).await?;
        let Some(ip) = ips.first() else {
            return Err(Finding::own_setup(format!("{} has no address", self.server.host)));
        };
        cx.progress.enter(Phase::Answer);
        let began = Instant::now();
        let answer = name_server::ask(SocketAddr::new(*ip, self.server.port), &self.question).await?;
        if self.expect.is_empty() {
            return match answer.rcode.as_str() {
                "NOERROR" if answer.data.is_empty() => Err(Finding::wrong("NOERROR, but no answer")),
                "NOERROR" => Ok(()),
                other => Err(Finding::wrong(other)),
            };
        }
        let mut vars = Vars::new();
        vars.set("latency", duration(began.elapsed()));
        vars.set("rcode", answer.rcode);
        vars.set("answers", answer.data);
        if let Some(ttl) = answer.ttl {
            vars.set("ttl", duration(Duration::from_secs(ttl.into())));
        }
        self.expect.iter().try_for_each(|expr| check(expr, &mut vars))
    }
}

/// Compiles a list of expectations.
pub(crate) fn compile_expect(
    sources: &[String],
    names: Names,
    field: &str,
    mistakes: &mut Mistakes,
) -> Option<Vec<Expr>> {
    let compiled = sources.iter().enumerate().map(|(n, source)| {
        let expr = Expr::expectation(source, names);
        expr.map_err(|e| SpecError::expression(&format!("{field}[{n}]"), source, e))
    });
    let compiled: Vec<Option<Expr>> = compiled.map(|result| mistakes.take(result)).collect();
    compiled.into_iter().collect()
}
