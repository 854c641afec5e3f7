//! What the controller runs under, and how a person speaks with it there.
//!
//! | | the policy | its secrets | a person asks, agrees, acknowledges |
//! |---|---|---|---|
//! | `muster local` | a file | files | by the controller's own API |
//! | `muster operator` | an object in a real API server | Secrets there | with kubectl, as `objects` has it |
//!
//! Everything else of a run is the same under both: the bed, its troubles, and what the end is compared with. What the controller
//! sees is read from its own API under both.

use super::objects::Objects;
use super::policy::{policies, secrets};
use super::programs::{Api, state};
use super::region::{Parts, Region};
use super::stage::Way;
use clap::ValueEnum;
use muster::demo::folders;
use muster_core::ids::RunName;
use muster_core::journal::RunKind;
use std::path::Path;

/// Who asks, in the journal.
pub(super) const ME: &str = "the suite of AWS";
/// Why, there.
pub(super) const WHY: &str = "it is tried out";

/// The verb of the controller.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Under {
    /// `muster local`.
    Local,
    /// `muster operator`.
    Operator,
}

impl Under {
    pub(super) const ALL: [Self; 2] = [Self::Local, Self::Operator];

    /// What the objects have to show once a run is over.
    pub(super) fn wanted_objects(self, kind: RunKind, way: Way) -> Vec<(&'static str, String)> {
        match self {
            Self::Local => Vec::new(),
            Self::Operator => Objects::wanted(kind, way),
        }
    }
}

/// Where the policy is.
pub(super) enum Control {
    Local,
    Operator(Box<Objects>),
}

impl Control {
    /// Makes the place ready for the policy in this bed's folder, and puts it there.
    pub(super) async fn start(under: Under, folder: &Path) -> anyhow::Result<Self> {
        Ok(match under {
            Under::Local => Self::Local,
            Under::Operator => Self::Operator(Box::new(Objects::start(folder).await?)),
        })
    }

    /// The words of the controller's command line that say where its policy is.
    pub(super) fn verb(&self, folder: &Path) -> anyhow::Result<Vec<String>> {
        let text = |path: &Path| path.display().to_string();
        let words = match self {
            Self::Local => {
                let (policies, secrets) = (policies(folder), secrets(folder));
                let flags = [("--policies", policies), ("--secrets", secrets), ("--state", state(folder))];
                let flags = flags.map(|(flag, path)| [flag.to_owned(), text(&path)]);
                ["local".to_owned()].into_iter().chain(flags.into_iter().flatten()).collect()
            }
            Self::Operator(objects) => {
                let token = state(folder).join("token");
                folders::write(&token, &uuid::Uuid::new_v4().simple().to_string(), 0o600)?;
                let flags = [("--kubeconfig", text(objects.kubeconfig())), ("--token-file", text(&token))];
                let flags = flags.map(|(flag, value)| [flag.to_owned(), value]);
                ["operator".to_owned()].into_iter().chain(flags.into_iter().flatten()).collect()
            }
        };
        Ok(words)
    }

    /// Has the policy's new file be in force.
    pub(super) async fn apply_policy(&self, folder: &Path) -> anyhow::Result<()> {
        match self {
            Self::Local => Ok(()),
            Self::Operator(objects) => objects.apply_policy(folder).await,
        }
    }

    /// Asks for a run; to whoever can see its plan beforehand, that agrees to it too.
    pub(super) async fn ask(&self, api: &Api, kind: RunKind, to: Region) -> anyhow::Result<()> {
        match self {
            Self::Local => api.start_run(kind, to).await,
            Self::Operator(objects) => objects.ask(kind, to).await,
        }
    }

    /// Agrees to the plan that the run which was asked for shows while it waits.
    pub(super) async fn agree(&self) -> anyhow::Result<()> {
        match self {
            Self::Local => Ok(()),
            Self::Operator(objects) => objects.agree().await,
        }
    }

    /// Lets a run go on that waits for consent to this gate.
    pub(super) async fn waive(&self, api: &Api, run: &RunName, gate: &str) -> anyhow::Result<()> {
        match self {
            Self::Local => api.waive(run, gate).await,
            Self::Operator(objects) => objects.waive(run, gate).await,
        }
    }

    /// Why nothing comes of what was asked for, if nothing does and that is told elsewhere than in the journal.
    pub(super) async fn refusal(&self) -> anyhow::Result<Option<String>> {
        match self {
            Self::Local => Ok(None),
            Self::Operator(objects) => objects.refusal().await,
        }
    }

    /// Acknowledges what made automation stand still.
    pub(super) async fn acknowledge(&self, api: &Api) -> anyhow::Result<()> {
        match self {
            Self::Local => api.acknowledge().await,
            Self::Operator(objects) => objects.acknowledge().await,
        }
    }

    /// What the objects show of the newest run and of the policy.
    pub(super) async fn look(&self, parts: Parts) -> anyhow::Result<Vec<(&'static str, String)>> {
        match self {
            Self::Local => Ok(Vec::new()),
            Self::Operator(objects) => objects.look(parts).await,
        }
    }

    /// What the objects do not show yet of a run that is over, in words.
    pub(super) async fn differs(
        &self,
        kind: RunKind,
        way: Way,
        parts: Parts,
    ) -> anyhow::Result<Option<String>> {
        let wanted = match self {
            Self::Local => return Ok(None),
            Self::Operator(_) => Under::Operator.wanted_objects(kind, way),
        };
        let seen = self.look(parts).await?;
        let differ = seen.iter().zip(&wanted).find(|(seen, wanted)| seen != wanted);
        Ok(differ.map(|((what, is), (_, wanted))| format!("{what}: {is} instead of {wanted}")))
    }
}
