//! Broken policies, one mistake or a few each: every message names the field and the way out.

use muster::convert::validate::{FileReport, Outcome, Report, validate_files, validate_text};
use muster::convert::{Environment, UnresolvedSecrets};
use muster_crds::Problem;
use std::path::{Path, PathBuf};

fn policies(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies").join(folder);
    let entries = std::fs::read_dir(&folder).expect("the folder");
    let mut files: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "yaml"));
    files.sort();
    files
}

fn stem(file: &Path) -> String {
    file.file_stem().expect("a name").to_string_lossy().into_owned()
}

/// Files about the cluster are looked at as the cluster would.
fn report_of(file: &Path) -> FileReport {
    let environment = if stem(file).contains("cluster") { Environment::Cluster } else { Environment::Local };
    let text = std::fs::read_to_string(file).expect("the file");
    let mut report = validate_text(&text, environment, &UnresolvedSecrets);
    report.file = PathBuf::from(format!("{}.yaml", stem(file)));
    report
}

#[test]
fn each_broken_policy_says_what_is_wrong_and_what_to_do() {
    let files = policies("broken");
    assert!(files.len() >= 30, "{}", files.len());
    for file in files {
        let report = report_of(&file);
        let name = stem(&file);
        assert!(report.good.is_empty() || name.contains("twice-in-one-file"), "{name} is taken");
        assert!(report.problems.iter().any(Problem::is_error), "{name} has no error");
        for problem in &report.problems {
            let whole_file = problem.message.contains("not YAML") || problem.message.contains("no policy");
            assert!(whole_file || !problem.path.is_empty(), "{name}: no field in {problem:?}");
            assert!(
                problem.line.is_some() || problem.message.contains("no policy"),
                "{name}: no line in {problem:?}"
            );
            assert!(problem.message.len() > 5 && problem.fix.len() > 5, "{name}: {problem:?}");
        }
        let text = Report { files: vec![report] }.to_text();
        assert!(!text.contains("hunter2"), "{name} shows a secret: {text}");
        insta::with_settings!(
            { snapshot_path => "policies/broken", prepend_module_to_snapshot => false, omit_expression => true },
            { insta::assert_snapshot!(name, text); }
        );
    }
}

#[test]
fn good_policies_are_good() {
    let mut files = policies("good");
    files.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crds/examples/local.yaml"));
    for file in files {
        let report = report_of(&file);
        let text = Report { files: vec![report.clone()] }.to_text();
        assert!(report.problems.iter().all(|p| !p.is_error()), "{text}");
        assert_eq!(report.good.len(), 1, "{text}");
    }
}

#[test]
fn a_report_groups_by_file_and_ends_with_the_worst_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let good = std::fs::read_to_string(&policies("good")[0]).expect("a good policy");
    std::fs::write(path("good.yaml"), &good).expect("written");
    std::fs::write(path("again.yaml"), &good).expect("written");
    std::fs::write(path("bad.yaml"), good.replace("side: Both", "side: All")).expect("written");
    let validate = |names: &[&str]| {
        let files: Vec<PathBuf> = names.iter().map(|n| path(n)).collect();
        validate_files(&files, Environment::Local, &UnresolvedSecrets)
    };
    let report = validate(&["good.yaml"]);
    assert_eq!(report.outcome(), Outcome::Good);
    assert!(report.to_text().contains("  ok       shop/checkout"), "{}", report.to_text());
    assert_eq!(validate(&["good.yaml", "bad.yaml"]).outcome().exit_code(), 1);
    let report = validate(&["good.yaml", "again.yaml"]);
    assert_eq!(report.outcome(), Outcome::Refused);
    assert!(report.to_text().contains("the policy shop/checkout is in"), "{}", report.to_text());
    let report = validate(&["good.yaml", "bad.yaml", "none.yaml"]);
    assert_eq!(report.outcome().exit_code(), 2);
    assert!(report.to_text().contains("cannot be read"), "{}", report.to_text());
    let json = report.to_json();
    assert_eq!(json["files"][1]["problems"][0]["path"], "spec.probes[1].side");
    assert_eq!(json["files"][1]["problems"][0]["severity"], "Error");
    assert!(json["files"][1]["problems"][0]["line"].is_u64());
}
