//! What no compiler looks at: pages for every reason, nothing left to do in the code, files that tell one story.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file beyond this is reported; the style asks for about 400.
const LONG_FILE_LINES: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust file of the project's folders, without what a build wrote.
fn rust_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = ["crds", "operator", "tests"].iter().map(|f| root().join(f)).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the project can be read") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() && path.file_name().is_some_and(|n| n != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(files.len() > 20, "the walk found only {} files", files.len());
    files
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a file of the project is readable text")
}

#[test]
fn every_reason_that_a_person_may_see_has_a_runbook() {
    let has_page = |name: &&&str| root().join("runbooks").join(format!("{name}.md")).is_file();
    let missing: Vec<&&str> = muster_core::reasons::ALL.iter().filter(|name| !has_page(name)).collect();
    assert!(missing.is_empty(), "write runbooks/NAME.md for: {missing:?}");
}

#[test]
fn every_runbook_says_what_it_means_and_what_to_do() {
    let pages = std::fs::read_dir(root().join("runbooks")).expect("runbooks/ is there");
    for page in pages.map(|p| p.expect("an entry can be read").path()) {
        let name = page.file_stem().and_then(|n| n.to_str()).unwrap_or_default();
        if name == "README" {
            continue;
        }
        let known = muster_core::reasons::ALL.contains(&name);
        assert!(known, "{} is about nothing that the code says", page.display());
        let text = read(&page);
        assert!(text.starts_with(&format!("# {name}\n")), "{}: the title must be the name", page.display());
        for part in ["## What it means", "## What to do"] {
            assert!(text.contains(part), "{}: no part `{part}`", page.display());
        }
    }
}

#[test]
fn nothing_in_the_code_is_left_for_later() {
    let marks = ["todo!(", "FIXME", "TODO", "#[ignore"];
    let mut found = Vec::new();
    for file in rust_files().iter().filter(|f| !f.ends_with("tests/tests/tidy.rs")) {
        for (index, line) in read(file).lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                found.push(format!("{}:{}: {}", file.display(), index + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn long_files_are_reported() {
    for file in rust_files() {
        let lines = read(&file).lines().count();
        if lines > LONG_FILE_LINES {
            println!("{} has {lines} lines: does it tell two stories?", file.display());
        }
    }
}

#[test]
fn the_scripts_are_valid_shell() {
    for script in [
        "scripts/install-deps.sh",
        "scripts/build.sh",
        "scripts/build-kubernetes.sh",
        "scripts/build-emulators.sh",
        "scripts/render-config.sh",
        "scripts/check-static.sh",
        "scripts/test.sh",
        ".ci/run",
    ] {
        let checked = Command::new("sh").arg("-n").arg(root().join(script)).status().expect("sh runs");
        assert!(checked.success(), "{script}");
    }
}
