//! `muster validate`: policy files, checked without a server.

use super::super::args::ValidateArgs;
use super::super::context::Context;
use super::super::exit::{Code, Done, Failure};
use super::super::paint::{Paint, Tone};
use crate::convert::Environment;
use crate::convert::secrets::{FolderSecrets, SecretSource, UnresolvedSecrets};
use crate::convert::validate::{FileReport, Outcome, Report, validate_files, validate_text};
use std::io::Read;
use std::path::{Path, PathBuf};

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
    match report.outcome() {
        Outcome::Good => Ok(()),
        Outcome::Refused => Err(Failure::said(Code::Failed)),
        Outcome::Unreadable => Err(Failure::said(Code::Usage)),
    }
}

fn standard_input(environment: Environment, secrets: &dyn SecretSource) -> Done<FileReport> {
    let mut text = String::new();
    let most = muster_crds::load::MAX_FILE_BYTES as u64 + 1;
    let read = std::io::stdin().lock().take(most).read_to_string(&mut text);
    read.map_err(|e| Failure::failed(format!("cannot read standard input: {e}")))?;
    let mut report = validate_text(&text, environment, secrets);
    report.file = PathBuf::from("-");
    Ok(report)
}

/// Folders stand for the policy files in them, in the order of their names.
fn expand(paths: &[PathBuf]) -> Done<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(policy_files(path)?);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn policy_files(folder: &Path) -> Done<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.map_err(|e| Failure::reading(folder, &e))?;
    let is_policy = |p: &PathBuf| p.extension().is_some_and(|e| e == "yaml" || e == "yml");
    let mut files: Vec<PathBuf> = entries.into_iter().map(|e| e.path()).filter(is_policy).collect();
    files.sort();
    if files.is_empty() {
        return Err(Failure::new(Code::NotFound, format!("{} holds no *.yaml file", folder.display())));
    }
    Ok(files)
}

fn render(report: &Report, paint: Paint) -> String {
    let line = |line: &str| {
        let tone = match line.split_whitespace().next() {
            Some("error") => Tone::Bad,
            Some("warning") => Tone::Warn,
            Some("ok") => Tone::Good,
            _ => Tone::Plain,
        };
        paint.tone(if line.starts_with("  ") { tone } else { Tone::Strong }, line) + "\n"
    };
    report.to_text().lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_its_policy_files_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.yml", "notes.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let files = expand(&[folder.path().to_path_buf(), PathBuf::from("c.yaml")]).unwrap();
        let names: Vec<_> = files.iter().filter_map(|f| f.file_name()).collect();
        assert_eq!(names, ["a.yml", "b.yaml", "c.yaml"]);
    }

    #[test]
    fn a_folder_without_policies_is_said_to_hold_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(expand(&[folder.path().to_path_buf()]).unwrap_err().code, Code::NotFound);
    }
}
