//! The verbs, a module per kind: each asks the server or the person, and prints what a view made.

mod aws;
mod consent;
mod files;
mod follow;
mod in_cluster;
mod look;
mod replay;
mod runs;
mod serve;
mod validate;
mod wishes;

use super::args::{Cli, SetupSqlArgs, Verb, command};
use super::context::Context;
use super::exit::Done;
use super::reference;
use muster_core::journal::RunKind;
use muster_providers::postgres;

/// Carries out one command line.
pub(super) async fn run(cli: Cli) -> Done {
    let cx = Context::new(cli.global);
    match cli.verb {
        Verb::Demo(command) => Ok(command.run().await?),
        Verb::Status(args) => look::status(&cx, &args).await,
        Verb::Explain(args) => look::explain(&cx, &args).await,
        Verb::History(args) => look::history(&cx, &args).await,
        Verb::Show(args) => look::show(&cx, &args).await,
        Verb::Probe(args) => look::probe(&cx, &args).await,
        Verb::Version(args) => look::version(&cx, &args).await,
        Verb::Plan(args) => runs::plan(&cx, &args).await,
        Verb::Failover(args) => runs::start(&cx, RunKind::Failover, &args).await,
        Verb::Switchover(args) => runs::start(&cx, RunKind::Switchover, &args).await,
        Verb::Failback(args) => runs::start(&cx, RunKind::Failback, &args).await,
        Verb::Approve(args) => runs::approve(&cx, &args).await,
        Verb::Abort(args) => wishes::abort(&cx, &args).await,
        Verb::Ack(args) => wishes::ack(&cx, &args).await,
        Verb::Adopt(args) => wishes::adopt(&cx, &args).await,
        Verb::Pause(args) => wishes::pause(&cx, &args).await,
        Verb::Resume(args) => wishes::resume(&cx, &args).await,
        Verb::Validate(args) => validate::run(&cx, &args),
        Verb::SetupSql(args) => setup_sql(&cx, &args),
        Verb::Aws(args) => aws::run(&cx, &args).await,
        Verb::Replay(args) => replay::run(&cx, &args).await,
        Verb::Local(args) => serve::local(&cx, args).await,
        Verb::Operator(args) => serve::operator(args).await,
        Verb::Vantage(args) => serve::vantage(&cx, args).await,
        Verb::Completion(args) => completion(&cx, args.shell),
        Verb::Reference => cx.screen.print(&reference::markdown()),
    }
}

fn completion(cx: &Context, shell: clap_complete::Shell) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "muster", &mut script);
    cx.screen.print(&String::from_utf8_lossy(&script))
}

fn setup_sql(cx: &Context, args: &SetupSqlArgs) -> Done {
    cx.screen.print(&match &args.application {
        Some(application) if args.managed => postgres::managed_fence_setup_sql(&args.user, application),
        Some(application) => postgres::setup_sql(&args.user, application),
        None => postgres::managed_setup_sql(&args.user),
    })
}

/// The variables that may hold secrets; those that are not UTF-8 cannot.
fn variables() -> Vec<(String, String)> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        name.into_string().ok().zip(value.into_string().ok())
    };
    std::env::vars_os().filter_map(text).collect()
}
