//! From start to end of the process.

use super::folder::Folder;
use super::kept::Kept;
use super::settings::{Settings, read_environment};
use super::token::{TokenError, ensure_token};
use crate::assemble::Assembler;
use crate::clock::Clock;
use crate::convert::{Environment, FolderSecrets};
use crate::engine::Engine;
use crate::execute::{LeaseView, Paces, Points, Shell};
use crate::http::{self, Api};
use crate::process::{Signals, hand_over, name_holder};
use crate::store::archive::Limits;
use crate::store::sqlite::Options;
use crate::store::{Archive, LeaseKeeper, LeaseSettings, Need, SqliteStore, Store, StoreError};
use crate::telemetry::{self, FilterError};
use muster_core::ids::RegionName;
use muster_providers::aws::AwsAccounts;
use muster_providers::kubernetes::Clusters;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Why the process ends otherwise than it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The command line.
    #[error(transparent)]
    Log(#[from] FilterError),
    /// A folder or file of this machine.
    #[error("failed to {verb} {}: {source}", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The journal.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address is taken, or not of this machine.
    #[error("failed to listen on {listen}: {source}")]
    Listen {
        /// Where.
        listen: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Signals cannot be waited for.
    #[error("failed to wait for signals: {0}")]
    Signals(#[source] std::io::Error),
}

/// Runs the controller until SIGTERM or Ctrl-C, then hands over: nothing new starts, what is under way is waited
/// for shortly, the lease is given back. `state` is the folder of journal and token.
pub async fn run(settings: Settings, state: PathBuf) -> Result<(), LocalError> {
    telemetry::start(&settings.log)?;
    let stop = CancellationToken::new();
    let mut signals = Signals::catch().map_err(LocalError::Signals)?;
    let local = Local::start(&settings, &state, stop.clone()).await?;
    tracing::info!(holder = %local.shell.holder, listen = %local.listen, state = %state.display(), "muster local runs");
    signals.wait().await;
    tracing::info!("asked to end; handing over");
    local.end(stop).await;
    Ok(())
}

/// A controller that runs.
pub(super) struct Local {
    pub(super) shell: Arc<Shell>,
    pub(super) engine: Arc<Engine>,
    pub(super) listen: SocketAddr,
    keeper: Arc<LeaseKeeper>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Local {
    /// Opens the journal, asks for the lease, follows the folder and serves the API.
    pub(super) async fn start(
        settings: &Settings,
        state: &Path,
        stop: CancellationToken,
    ) -> Result<Self, LocalError> {
        let io = |verb, path: &Path| {
            let path = path.to_owned();
            move |source| LocalError::Io { verb, path, source }
        };
        std::fs::create_dir_all(state).map_err(io("make", state))?;
        std::fs::read_dir(&settings.policies).map_err(io("read", &settings.policies))?;
        let token = ensure_token(state)?;
        let clock = Clock::system();
        let store = SqliteStore::open(state, Options::default(), clock.clone()).await?;
        let store: Arc<dyn Store> = Arc::new(store);
        let listener = TcpListener::bind(settings.listen)
            .await
            .map_err(|source| LocalError::Listen { listen: settings.listen, source })?;
        let listen =
            listener.local_addr().map_err(|source| LocalError::Listen { listen: settings.listen, source })?;
        let flags = settings.test.clone().into();
        let points = Points::new(flags, clock.clone()).map_err(io("open the call log of", state))?;
        let kept = Kept::open(state).map_err(io("make", state))?;

        // The room for a run is set aside before the lease is asked for: later it would hold up its renewal.
        if let Err(error) = store.check(Need::NewRun).await {
            tracing::warn!(%error, "the journal takes no new run");
        }
        let holder = name_holder(settings.name.as_deref());
        let pace = settings.test.lease_ms.map_or_else(LeaseSettings::default, LeaseSettings::lasting);
        let keeper = Arc::new(LeaseKeeper::start(Arc::clone(&store), holder.clone(), pace));
        let lease = Arc::new(LeaseView::new(keeper.watch()));
        let started = clock.now();
        let archive = Archive::open(state, Limits::default(), clock.clone());
        let mut shell = Shell::new(store, lease, holder, clock, points, Paces::default());
        shell.archive = Some(Arc::new(archive));
        let shell = Arc::new(shell);
        let engine =
            Arc::new(Engine::new(Arc::clone(&shell), assembler(settings), Arc::new(kept), stop.clone()));
        let api = Api {
            shell: Arc::clone(&shell),
            engine: Arc::clone(&engine),
            keeper: Arc::clone(&keeper),
            token,
            started,
            takes_wishes: true,
        };
        let folder = Folder::new(settings.policies.clone(), settings.secrets.clone());
        let tasks = vec![
            tokio::spawn(http::serve(listener, api, stop.clone())),
            tokio::spawn(check_room(Arc::clone(&shell), stop.clone())),
            tokio::spawn({
                let engine = Arc::clone(&engine);
                async move { engine.follow(folder).await }
            }),
        ];
        Ok(Self { shell, engine, listen, keeper, tasks })
    }

    /// Hands over.
    pub(super) async fn end(self, stop: CancellationToken) {
        hand_over(&self.shell, &self.engine, &self.keeper, self.tasks, stop).await;
    }
}

fn assembler(settings: &Settings) -> Arc<Assembler> {
    let environment = read_environment();
    Arc::new(Assembler {
        environment: Environment::Local,
        program_env: settings.program_env(&environment),
        secrets: Arc::new(FolderSecrets::new(settings.secrets.clone(), environment)),
        region: settings.region.as_deref().map(RegionName::from),
        clusters: Clusters::default(),
        accounts: AwsAccounts::default(),
    })
}

async fn check_room(shell: Arc<Shell>, stop: CancellationToken) {
    tokio::select! {
        () = shell.keep_checking() => {}
        () = stop.cancelled() => {}
    }
}
