//! What Muster may do in the bed: what `muster aws iam` prints for its policy, and nothing else.

use super::cloud::{ACCESS_KEY, Cloud};
use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// For the program to print them, on a busy machine.
const PRINTED: Duration = Duration::from_secs(30);

/// As it is printed.
#[derive(Deserialize)]
struct Printed {
    documents: Vec<Rights>,
}

#[derive(Deserialize)]
struct Rights {
    /// `None`: what Muster runs with.
    role: Option<String>,
    policy: Value,
}

/// Attaches what is printed for this policy, as a person would.
pub(super) async fn attach(cloud: &Cloud, policy: &Path) -> anyhow::Result<()> {
    let muster = std::env::current_exe().context("failed to find this program")?;
    let mut command = Command::new(muster);
    command.args(["aws", "iam", "-o", "json", "-f"]).arg(policy).kill_on_drop(true);
    let printed = timeout(PRINTED, command.output()).await.context("`muster aws iam` does not end")?;
    let printed = printed.context("failed to start `muster aws iam`")?;
    let said = String::from_utf8_lossy(&printed.stderr);
    ensure!(printed.status.success(), "`muster aws iam` ended with {}: {said}", printed.status);
    let printed: Printed =
        serde_json::from_slice(&printed.stdout).context("`muster aws iam` prints no JSON")?;
    for Rights { role, policy } in printed.documents {
        let principal = role.as_deref().unwrap_or(ACCESS_KEY);
        let attached = cloud.aws.attach_policy(principal, &policy.to_string());
        attached.with_context(|| format!("the rights of {principal} cannot be attached"))?;
    }
    Ok(())
}
