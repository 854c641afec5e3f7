//! `muster aws`: what policies need of AWS, from their files.

mod apply;

use super::super::args::{AwsArgs, AwsVerb, IamArgs, IamFormat, PlanDnsArgs, PlanFormat};
use super::super::context::Context;
use super::super::exit::{Code, Done, Failure};
use super::super::output::Format;
use super::super::view;
use super::files::{end, expand, read_standard_input, render};
use crate::aws::iam::{Part, Rights, rights};
use crate::aws::{CheckedPolicy, dns, read_policies, shell, terraform};
use crate::convert::validate::{FileReport, Report, read_bounded};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What `iam` prints for scripts.
#[derive(Serialize)]
struct Documents {
    documents: Vec<Rights>,
}

pub(super) async fn run(cx: &Context, args: &AwsArgs) -> Done {
    match &args.verb {
        AwsVerb::Iam(args) => iam(cx, args),
        AwsVerb::PlanDns(args) => plan_dns(cx, args).await,
    }
}

fn iam(cx: &Context, args: &IamArgs) -> Done {
    let policies = read(cx, &args.files)?;
    let documents = rights(&policies, Part::Everything, args.runs_as.as_deref());
    if documents.is_empty() {
        cx.screen.note("no item of these policies uses AWS: no rights are needed");
    }
    let format = match args.output {
        IamFormat::Text => Format::Table,
        IamFormat::Json => Format::Json,
        IamFormat::Yaml => Format::Yaml,
    };
    let answer = Documents { documents };
    cx.screen.emit(format, &answer, || view::aws::rights(&answer.documents, &cx.look()))
}

async fn plan_dns(cx: &Context, args: &PlanDnsArgs) -> Done {
    let policies = read(cx, &args.files)?;
    let plan = dns::plan(&policies, args.active.as_deref())
        .map_err(|error| Failure::new(Code::NotFound, error.to_string()))?;
    if plan.names.is_empty() {
        cx.screen
            .note("no traffic item of these policies is in a hosted zone of Route 53: nothing must exist");
        return Ok(());
    }
    if args.apply.apply {
        return apply::run(cx, args, &plan).await;
    }
    cx.screen.print(&match args.output {
        PlanFormat::Text => view::aws::plan(&plan, &cx.look()),
        PlanFormat::Cli => shell::script(&plan),
        PlanFormat::Terraform => terraform::configuration(&plan),
        PlanFormat::Json | PlanFormat::Yaml => {
            return Err(Failure::usage(
                "json and yaml tell what --apply made; give -o text, cli or terraform",
            ));
        }
    })
}

/// The policies of all files, or what is wrong with them on standard error.
fn read(cx: &Context, paths: &[PathBuf]) -> Done<Vec<CheckedPolicy>> {
    let (mut policies, mut report) = (Vec::new(), Report::default());
    for file in expand(paths)? {
        let text = if file == Path::new("-") { Ok(read_standard_input()?) } else { read_bounded(&file) };
        let read = match text {
            Ok(text) => read_policies(&text),
            Err(error) => Err(FileReport { unreadable: Some(error.to_string()), ..FileReport::default() }),
        };
        match read {
            Ok(found) => policies.extend(found),
            Err(found) => report.files.push(FileReport { file, ..found }),
        }
    }
    if report.files.is_empty() {
        return Ok(policies);
    }
    cx.screen.note(render(&report, cx.screen.note_paint).trim_end());
    end(&report).map(|()| policies)
}
