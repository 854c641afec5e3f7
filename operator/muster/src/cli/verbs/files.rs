//! Policy files that are named on the command line.

use super::super::exit::{Code, Done, Failure};
use super::super::paint::{Paint, Tone};
use crate::convert::validate::{Outcome, Report};
use std::io::Read;
use std::path::{Path, PathBuf};

/// What stands on standard input, up to what could be taken.
pub(super) fn read_standard_input() -> Done<String> {
    let mut text = String::new();
    let most = muster_crds::load::MAX_FILE_BYTES as u64 + 1;
    let read = std::io::stdin().lock().take(most).read_to_string(&mut text);
    read.map_err(|e| Failure::failed(format!("cannot read standard input: {e}")))?;
    Ok(text)
}

/// How a report that was shown ends the command.
pub(super) fn end(report: &Report) -> Done {
    match report.outcome() {
        Outcome::Good => Ok(()),
        Outcome::Refused => Err(Failure::said(Code::Failed)),
        Outcome::Unreadable => Err(Failure::said(Code::Usage)),
    }
}

/// Folders stand for the policy files in them, in the order of their names.
pub(super) fn expand(paths: &[PathBuf]) -> Done<Vec<PathBuf>> {
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

/// A report for people.
pub(super) fn render(report: &Report, paint: Paint) -> String {
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
