//! `muster validate`: policy files, checked without a server.

use super::super::args::ValidateArgs;
use super::super::context::Context;
use super::super::exit::Done;
use super::files::{end, expand, read_standard_input, render};
use crate::convert::Environment;
use crate::convert::secrets::{FolderSecrets, SecretSource, UnresolvedSecrets};
use crate::convert::validate::{FileReport, Report, validate_files, validate_text};
use std::path::PathBuf;

pub(super) fn run(cx: &Context, args: &ValidateArgs) -> Done {
    let environment = if args.cluster { Environment::Cluster } else { Environment::Local };
    let secrets: Box<dyn SecretSource> = match &args.secrets {
        Some(folder) => Box::new(FolderSecrets::new(Some(folder.clone()), super::variables())),
        None => Box::new(UnresolvedSecrets),
    };
    let report = if args.paths == [PathBuf::from("-")] {
        Report { files: vec![standard_input(environment, secrets.as_ref())?] }
    } else {
        validate_files(&expand(&args.paths)?, environment, secrets.as_ref())
    };
    cx.screen.emit(args.output.output, &report, || render(&report, cx.screen.paint))?;
    end(&report)
}

fn standard_input(environment: Environment, secrets: &dyn SecretSource) -> Done<FileReport> {
    let mut report = validate_text(&read_standard_input()?, environment, secrets);
    report.file = PathBuf::from("-");
    Ok(report)
}
