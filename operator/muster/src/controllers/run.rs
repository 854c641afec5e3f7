//! From start to end of the process.

use super::happenings;
use super::kept::KeptInJournal;
use super::last_word::Objects;
use super::link::{LinkError, Links, connect};
use super::requests::Requests;
use super::secrets::ClusterSecrets;
use super::settings::Settings;
use super::source::source;
use super::tell::{Teller, WRITERS};
use super::view::View;
use crate::assemble::Assembler;
use crate::clock::Clock;
use crate::convert::Environment;
use crate::engine::Engine;
use crate::execute::{LeaseView, Paces, Points, Shell};
use crate::http::{self, Api};
use crate::process::{Signals, hand_over, name_holder};
use crate::store::archive::Limits;
use crate::store::kubernetes::{ObjectName, Options};
use crate::store::{Archive, KubernetesStore, LeaseKeeper, LeaseSettings, Store};
use crate::telemetry::{self, FilterError};
use muster_core::ids::RegionName;
use muster_core::secret::Secret;
use muster_providers::aws::AwsAccounts;
use muster_providers::kubernetes::Clusters;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// So often everything is listed again: an event that was lost on the way is noticed by nothing else.
const RELIST_EVERY: Duration = Duration::from_mins(5);

/// Why the process ends otherwise than it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The command line.
    #[error(transparent)]
    Log(#[from] FilterError),
    /// The API server.
    #[error(transparent)]
    Link(#[from] LinkError),
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

/// Runs the operator until SIGTERM or Ctrl-C, then hands over: nothing new starts, what is under way is waited for
/// shortly, the lease is given back.
pub async fn run(settings: Settings) -> Result<(), OperatorError> {
    telemetry::start(&settings.log)?;
    let stop = CancellationToken::new();
    let mut signals = Signals::catch().map_err(OperatorError::Signals)?;
    let operator = Operator::start(&settings, stop.clone()).await?;
    tracing::info!(holder = %operator.shell.holder, listen = %operator.listen, "muster operator runs");
    signals.wait().await;
    tracing::info!("asked to end; handing over");
    operator.end(stop).await;
    Ok(())
}

/// An operator that runs.
struct Operator {
    shell: Arc<Shell>,
    engine: Arc<Engine>,
    listen: SocketAddr,
    keeper: Arc<LeaseKeeper>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Operator {
    async fn start(settings: &Settings, stop: CancellationToken) -> Result<Self, OperatorError> {
        let links = connect(settings.kubeconfig.as_deref(), settings.context.as_deref()).await?;
        let Links { patient: client, plain } = links;
        let clock = Clock::system();
        let token = read_token(settings)?;
        let failed = |source| OperatorError::Listen { listen: settings.listen, source };
        let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
        let listen = listener.local_addr().map_err(failed)?;
        let lease = ObjectName { namespace: settings.namespace.clone(), name: settings.lease_name.clone() };
        let options = Options { namespace: settings.watch_namespace.clone(), ..Options::new(lease) };
        let kubernetes = Arc::new(KubernetesStore::new(client.clone(), options, clock.clone()));
        let store: Arc<dyn Store> = Arc::clone(&kubernetes) as Arc<dyn Store>;
        let holder = name_holder(settings.name.as_deref());
        let pace = settings.test.lease_ms.map_or_else(LeaseSettings::in_a_cluster, LeaseSettings::lasting);
        let keeper = Arc::new(LeaseKeeper::start(Arc::clone(&store), holder.clone(), pace));
        let lease = Arc::new(LeaseView::new(keeper.watch()));
        let points = Points::new(settings.test.clone().into(), clock.clone()).map_err(|source| {
            OperatorError::Io { verb: "open the call log", path: PathBuf::from("."), source }
        })?;
        let started = clock.now();
        let archive =
            settings.archive.as_ref().map(|dir| Archive::open(dir, Limits::default(), clock.clone()));
        let mut shell = Shell::new(store, lease, holder, clock, points, Paces::default());
        shell.archive = archive.map(Arc::new);
        shell.last_word = Some(Arc::new(Objects(client.clone())));
        let shell = Arc::new(shell);
        let secrets = Arc::new(ClusterSecrets::new(client.clone()));
        let assembler = assembler(settings, &secrets, plain);
        let kept = Arc::new(KeptInJournal { store: Arc::clone(&kubernetes), secrets: Arc::clone(&secrets) });
        let engine = Arc::new(Engine::new(Arc::clone(&shell), assembler, kept, stop.clone()));
        let api = Api {
            shell: Arc::clone(&shell),
            engine: Arc::clone(&engine),
            keeper: Arc::clone(&keeper),
            token,
            started,
            takes_wishes: false,
        };
        let view = View::default();
        let (feeder, policies) = source(view.clone(), secrets);
        let teller = Teller {
            shell: Arc::clone(&shell),
            engine: Arc::clone(&engine),
            store: Arc::clone(&kubernetes),
            client: client.clone(),
            view: view.clone(),
            writers: Arc::new(Semaphore::new(WRITERS)),
        };
        let requests =
            Requests::new(Arc::clone(&shell), Arc::clone(&engine), kubernetes, client.clone(), view.clone());
        let tasks = vec![
            tokio::spawn(http::serve(listener, api, stop.clone())),
            tokio::spawn(follow(
                view.clone(),
                client.clone(),
                settings.watch_namespace.clone(),
                relist(settings),
            )),
            tokio::spawn(feeder.feed()),
            tokio::spawn(teller.tell()),
            tokio::spawn(requests.follow()),
            tokio::spawn(happenings::publish(client, Arc::clone(&shell), view)),
            tokio::spawn(keep_checking(Arc::clone(&shell))),
            tokio::spawn({
                let engine = Arc::clone(&engine);
                async move { engine.follow(policies).await }
            }),
        ];
        Ok(Self { shell, engine, listen, keeper, tasks })
    }

    /// Hands over.
    async fn end(self, stop: CancellationToken) {
        hand_over(&self.shell, &self.engine, &self.keeper, self.tasks, stop).await;
    }
}

async fn keep_checking(shell: Arc<Shell>) {
    shell.keep_checking().await;
}

async fn follow(view: View, client: kube::Client, namespace: Option<String>, relist: Duration) {
    tokio::join!(
        view.policies.follow(client.clone(), namespace.as_deref(), relist),
        view.runs.follow(client, namespace.as_deref(), relist)
    );
}

fn relist(settings: &Settings) -> Duration {
    settings.relist_ms.map_or(RELIST_EVERY, Duration::from_millis)
}

fn assembler(settings: &Settings, secrets: &Arc<ClusterSecrets>, own: kube::Client) -> Arc<Assembler> {
    Arc::new(Assembler {
        environment: Environment::Cluster,
        program_env: BTreeMap::new(),
        secrets: Arc::clone(secrets) as _,
        region: settings.region.as_deref().map(RegionName::from),
        clusters: Clusters::with_own(own),
        accounts: AwsAccounts::default(),
    })
}

/// Without a file a token that nobody knows.
fn read_token(settings: &Settings) -> Result<Secret, OperatorError> {
    let Some(path) = &settings.token_file else {
        return Ok(Secret::new(uuid::Uuid::new_v4().to_string()));
    };
    let failed = |source| OperatorError::Io { verb: "read the token file", path: path.clone(), source };
    let text = std::fs::read_to_string(path).map_err(failed)?;
    match text.trim() {
        token if token.len() >= 16 => Ok(Secret::new(token)),
        _ => Err(failed(std::io::Error::other("it holds fewer than 16 characters"))),
    }
}
