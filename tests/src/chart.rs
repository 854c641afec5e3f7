//! The chart, as helm renders it.

use crate::cluster::Tools;
use anyhow::{Context, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The project's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs helm without the settings of the person who runs the tests.
pub fn helm(args: &[&str], sets: &[&str]) -> anyhow::Result<String> {
    let home = tempfile::tempdir()?;
    let mut command = Command::new(Tools::find()?.program("helm"));
    command.args(args).env_clear().env("HOME", home.path()).stdin(Stdio::null());
    for set in sets {
        command.args(["--set", set]);
    }
    let output = command.output().context("helm does not start")?;
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    ensure!(output.status.success(), "helm {args:?} {sets:?}: {}", String::from_utf8_lossy(&said));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The chart's objects, without the kinds.
pub fn render(namespace: &str, sets: &[&str]) -> anyhow::Result<String> {
    let chart = root().join("charts/muster").display().to_string();
    helm(&["template", "muster", &chart, "--namespace", namespace], sets)
}
