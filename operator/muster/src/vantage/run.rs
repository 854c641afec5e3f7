//! From start to end of the process.

use super::buffer::{Buffer, age_all};
use super::client::{Controller, ReportError};
use super::policies::{Task, task_of};
use crate::api::VantageReport;
use crate::clock::Clock;
use crate::convert::{FolderSecrets, SecretSource};
use crate::engine::source::{Changed, PolicySource};
use crate::local::folder::Folder;
use crate::local::read_environment;
use crate::process::Signals;
use crate::telemetry::{self, FilterError, LogArgs};
use clap::Args;
use muster_core::ids::{HolderId, PolicyName, RegionName, VantageName};
use muster_core::secret::Secret;
use muster_core::time::Millis;
use muster_probes::{ProbeRunner, Report};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Results of this long are sent together.
const BATCH: Duration = Duration::from_millis(200);
/// Without results, at the latest so often: the active region may have changed.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// After a report that did not arrive.
const REST: Duration = Duration::from_secs(1);
/// Between two looks at a controller's name.
const RESOLVE_EVERY: Duration = Duration::from_secs(10);
/// Between two looks at the folder.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A vantage.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  muster vantage --name v1 --policies ./policies --secrets ./secrets \\
    --controller http://10.0.3.7:7420 --token-file ./v1.token

The vantage must stand in the policy under vantages, with this name; the token is the one that its tokenSecret
names. Place it outside the regions that it judges.")]
pub struct Settings {
    /// The vantage's name in the policies
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// Folder with the same policy files that the controller has
    #[arg(long, value_name = "DIR", env = "MUSTER_POLICIES", hide_env_values = true)]
    pub policies: PathBuf,
    /// Folder with the secrets that the probes need
    #[arg(long, value_name = "DIR", env = "MUSTER_SECRETS", hide_env_values = true)]
    pub secrets: Option<PathBuf>,
    /// The controller to report to, at every address that its name has; repeat it for each process of a pair
    #[arg(long, value_name = "URL", required = true)]
    pub controller: Vec<String>,
    /// The log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Why a vantage ends otherwise than it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum VantageError {
    /// The command line.
    #[error(transparent)]
    Log(#[from] FilterError),
    /// A controller's address.
    #[error(transparent)]
    Controller(#[from] ReportError),
    /// A folder or file of this machine.
    #[error("failed to read {}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Signals cannot be waited for.
    #[error("failed to wait for signals: {0}")]
    Signals(#[source] std::io::Error),
}

/// Probes and reports until SIGTERM or Ctrl-C. `token_file` holds the token to show; without it each policy's
/// `tokenSecret` is read.
pub async fn run(settings: Settings, token_file: Option<PathBuf>) -> Result<(), VantageError> {
    telemetry::start(&settings.log)?;
    let own_token = token_file.as_deref().map(read_token).transpose()?;
    let controllers: Vec<Controller> =
        settings.controller.iter().map(|url| Controller::parse(url)).collect::<Result<_, _>>()?;
    std::fs::read_dir(&settings.policies)
        .map_err(|source| VantageError::Io { path: settings.policies.clone(), source })?;
    let vantage = Arc::new(Vantage::new(&settings, own_token));
    let _reporting: Vec<AbortOnDropHandle<()>> = controllers
        .into_iter()
        .map(|controller| {
            let following = follow_controller(Arc::clone(&vantage), controller);
            AbortOnDropHandle::new(tokio::spawn(following))
        })
        .collect();
    let mut signals = Signals::catch().map_err(VantageError::Signals)?;
    let folder = Folder::new(settings.policies.clone(), settings.secrets.clone());
    tracing::info!(vantage = settings.name, "muster vantage runs");
    tokio::select! {
        () = vantage.follow(folder) => {}
        () = signals.wait() => {}
    }
    Ok(())
}

fn read_token(path: &std::path::Path) -> Result<Secret, VantageError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| VantageError::Io { path: path.to_owned(), source })?;
    Ok(Secret::new(text.trim()))
}

/// A policy that is probed.
struct Probed {
    task: Task,
    runner: ProbeRunner,
    active: watch::Sender<Option<RegionName>>,
}

type Buffers = Mutex<Vec<Arc<Buffer>>>;

struct Vantage {
    name: VantageName,
    clock: Clock,
    secrets: Arc<dyn SecretSource>,
    own_token: Option<Secret>,
    /// One per process that is reported to.
    buffers: Arc<Buffers>,
    /// Processes that are reported to.
    told: Mutex<BTreeSet<HolderId>>,
    probed: Mutex<BTreeMap<PolicyName, Probed>>,
}

impl Vantage {
    fn new(settings: &Settings, own_token: Option<Secret>) -> Self {
        let secrets = FolderSecrets::new(settings.secrets.clone(), read_environment());
        Self {
            name: settings.name.as_str().into(),
            clock: Clock::system(),
            secrets: Arc::new(secrets),
            own_token,
            buffers: Arc::default(),
            told: Mutex::default(),
            probed: Mutex::default(),
        }
    }

    async fn follow(&self, mut folder: Folder) {
        loop {
            let looked = tokio::task::spawn_blocking(move || {
                let changed = folder.look();
                (folder, changed)
            });
            let Ok((back, changed)) = looked.await else { return };
            folder = back;
            if changed != Changed::default() {
                self.take_over(&folder);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What the folder holds now; a policy whose file is broken goes on as it was.
    fn take_over(&self, folder: &Folder) {
        let mut probed = self.probed.lock().unwrap_or_else(PoisonError::into_inner);
        let in_force = probed.keys().map(|name| (name.clone(), String::new())).collect();
        let listing = folder.listing(&in_force);
        for problem in &listing.problems {
            tracing::warn!(file = problem.file, message = problem.message, "policy file");
        }
        probed.retain(|name, _| listing.found.contains_key(name) || listing.doubtful.contains(name));
        for (name, found) in listing.found {
            match task_of(&found.policy, &self.name, &self.secrets, self.own_token.as_ref()) {
                Ok(Some(task)) => self.probe(&mut probed, &name, task),
                Ok(None) => {
                    tracing::info!(policy = %name, vantage = %self.name, "the policy does not name this vantage");
                    probed.remove(&name);
                }
                Err(why) => tracing::warn!(policy = %name, why, "policy cannot be probed from here"),
            }
        }
    }

    fn probe(&self, probed: &mut BTreeMap<PolicyName, Probed>, name: &PolicyName, task: Task) {
        for left_out in &task.left_out {
            tracing::warn!(policy = %name, left_out, "probe does not run here");
        }
        let entry = probed.entry(name.clone()).or_insert_with(|| {
            let active = watch::Sender::new(None);
            let (buffers, policy) = (Arc::clone(&self.buffers), name.clone());
            let sink = move |report: Report| {
                for buffer in buffers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                    buffer.push(policy.clone(), report.sample.clone());
                }
            };
            let clock = Arc::new(self.clock.clone());
            let runner = ProbeRunner::new(self.name.clone(), clock, Arc::new(sink), active.subscribe());
            Probed { task: task.clone(), runner, active }
        });
        match entry.runner.apply(&task.probing) {
            Ok(()) => entry.task = task,
            Err(mistakes) => {
                let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                tracing::error!(policy = %name, mistakes = mistakes.join("; "), "failed to start the probes");
            }
        }
    }

    /// Policies by the token that they are reported with.
    fn by_token(&self) -> Vec<(Secret, Vec<PolicyName>)> {
        let probed = self.probed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut groups: Vec<(Secret, Vec<PolicyName>)> = Vec::new();
        for (name, running) in probed.iter() {
            match groups.iter_mut().find(|(token, _)| *token == running.task.token) {
                Some((_, names)) => names.push(name.clone()),
                None => groups.push((running.task.token.clone(), vec![name.clone()])),
            }
        }
        groups
    }

    fn learn(&self, policy: &PolicyName, active: Option<RegionName>) {
        let probed = self.probed.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(running) = probed.get(policy).filter(|_| active.is_some()) else { return };
        running.active.send_if_modified(|old| {
            let news = *old != active;
            *old = active;
            news
        });
    }
}

/// Reports to every process behind one name, also to those that come later: the one that stands by today acts tomorrow,
/// and has to have seen what was seen.
async fn follow_controller(vantage: Arc<Vantage>, controller: Controller) {
    let mut reporting: BTreeMap<SocketAddr, AbortOnDropHandle<()>> = BTreeMap::new();
    let mut trouble: Option<String> = None;
    loop {
        let pause = match controller.addresses().await {
            Ok(addresses) => {
                reporting.retain(|address, task| addresses.contains(address) && !task.is_finished());
                for address in addresses {
                    reporting.entry(address).or_insert_with(|| {
                        let told = report_to(Arc::clone(&vantage), controller.at(address));
                        AbortOnDropHandle::new(tokio::spawn(told))
                    });
                }
                trouble = None;
                RESOLVE_EVERY
            }
            Err(error) => {
                let error = error.to_string();
                if trouble.as_ref() != Some(&error) {
                    tracing::warn!(
                        error,
                        "failed to find a controller; those that are known go on being told"
                    );
                }
                trouble = Some(error);
                REST
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Reports to the process at one address, unless it is told at another one already: each result must count once. Ends
/// then; the address is tried again later.
async fn report_to(vantage: Arc<Vantage>, controller: Controller) {
    while let Some(place) = Place::take(&vantage, &controller).await {
        keep_reporting(&vantage, &controller, place).await;
    }
}

/// What waits for one process, and that nobody else reports to it from here.
struct Place {
    vantage: Arc<Vantage>,
    buffer: Arc<Buffer>,
    holder: Option<HolderId>,
}

impl Place {
    /// Asks who stands there, by a report of nothing. `None`: it is told already.
    async fn take(vantage: &Arc<Vantage>, controller: &Controller) -> Option<Self> {
        let nothing =
            VantageReport { vantage: vantage.name.clone(), round_trip: None, policies: BTreeMap::new() };
        let mut trouble = None;
        let holder = loop {
            let error = match controller.report(&nothing, &Secret::new("nobody")).await {
                Ok(reply) => break reply.holder,
                Err(error) => Some(error.to_string()),
            };
            if trouble != error {
                tracing::warn!(error, "no controller answers");
                trouble = error;
            }
            tokio::time::sleep(REST).await;
        };
        let mut told = vantage.told.lock().unwrap_or_else(PoisonError::into_inner);
        if holder.as_ref().is_some_and(|holder| !told.insert(holder.clone())) {
            return None;
        }
        drop(told);
        let buffer = Arc::<Buffer>::default();
        vantage.buffers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&buffer));
        Some(Self { vantage: Arc::clone(vantage), buffer, holder })
    }

    /// Whether it is still the process that this place was taken for.
    fn is_of(&self, holder: Option<&HolderId>) -> bool {
        self.holder.as_ref() == holder
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut buffers = self.vantage.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.retain(|buffer| !Arc::ptr_eq(buffer, &self.buffer));
        drop(buffers);
        if let Some(holder) = &self.holder {
            self.vantage.told.lock().unwrap_or_else(PoisonError::into_inner).remove(holder);
        }
    }
}

/// Reports to one process, until another one stands there: that one may be told at another address already.
async fn keep_reporting(vantage: &Vantage, controller: &Controller, place: Place) {
    let mut trip = None;
    let mut trouble: Option<String> = None;
    loop {
        let _ = tokio::time::timeout(ASK_EVERY, place.buffer.news()).await;
        tokio::time::sleep(BATCH).await;
        for (token, policies) in vantage.by_token() {
            let told = report_once(vantage, controller, &place.buffer, &token, &policies, trip).await;
            let now_trouble = told.as_ref().err().map(ToString::to_string);
            if now_trouble != trouble {
                if let Some(error) = &now_trouble {
                    tracing::warn!(error, "report did not arrive; what was seen is kept");
                } else {
                    tracing::info!(controller = controller.name(), "reports arrive");
                }
                trouble = now_trouble;
            }
            match told {
                Ok((_, holder)) if !place.is_of(holder.as_ref()) => return,
                Ok((took, _)) => trip = Some(took),
                Err(_) => tokio::time::sleep(REST).await,
            }
        }
    }
}

/// One report of the policies that share a token; how long it took, and who answered.
async fn report_once(
    vantage: &Vantage,
    controller: &Controller,
    buffer: &Buffer,
    token: &Secret,
    policies: &[PolicyName],
    round_trip: Option<Millis>,
) -> Result<(Millis, Option<HolderId>), ReportError> {
    let began = vantage.clock.now();
    let samples = buffer.take(policies, began);
    let report = VantageReport {
        vantage: vantage.name.clone(),
        round_trip,
        policies: age_all(&samples, policies, began),
    };
    match controller.report(&report, token).await {
        Ok(reply) => {
            for (policy, why) in &reply.refused {
                tracing::warn!(%policy, why, controller = controller.name(), "the controller did not take the policy's results");
            }
            for (policy, active) in reply.active_regions {
                vantage.learn(&policy, active);
            }
            Ok((vantage.clock.now().since(&began).unwrap_or_default(), reply.holder))
        }
        Err(error) => {
            buffer.put_back(samples);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A controller that answers everything with its name; how often is told by `asked`.
    async fn controller(holder: &str, asked: Arc<watch::Sender<u32>>) -> Controller {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let body = format!(r#"{{"activeRegions":{{}},"refused":{{}},"holder":"{holder}"}}"#);
        tokio::spawn(async move {
            loop {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                let mut request = [0; 4096];
                let mut got = String::new();
                // The whole report: its body ends with its last brace.
                while !got.ends_with("}}") {
                    let read = stream.read(&mut request).await.unwrap_or(0);
                    if read == 0 {
                        break;
                    }
                    got.push_str(&String::from_utf8_lossy(request.get(..read).unwrap_or_default()));
                }
                let head =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
                asked.send_modify(|n| *n += 1);
            }
        });
        Controller::parse(&format!("http://{address}")).unwrap().at(address)
    }

    async fn buffers_for(holders: [&str; 2]) -> usize {
        let settings = Settings {
            name: "v1".to_owned(),
            policies: PathBuf::from("."),
            secrets: None,
            controller: Vec::new(),
            log: LogArgs::default(),
        };
        let vantage = Arc::new(Vantage::new(&settings, None));
        let asked = Arc::new(watch::Sender::new(0));
        let mut tasks = Vec::new();
        for holder in holders {
            let controller = controller(holder, Arc::clone(&asked)).await;
            let before = *asked.borrow();
            tasks.push(AbortOnDropHandle::new(tokio::spawn(report_to(Arc::clone(&vantage), controller))));
            let mut seen = asked.subscribe();
            let answered = seen.wait_for(|n| *n > before);
            tokio::time::timeout(Duration::from_secs(10), answered).await.unwrap().unwrap();
        }
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        loop {
            // Each has either taken its place or ended.
            let places = vantage.buffers.lock().unwrap().len();
            let ended = tasks.iter().filter(|task| task.is_finished()).count();
            if places + ended == holders.len() {
                return places;
            }
            assert!(tokio::time::Instant::now() < deadline, "{places} places, {ended} ended");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_process_behind_two_addresses_is_told_once_and_two_processes_both() {
        assert_eq!(buffers_for(["one", "one"]).await, 1);
        assert_eq!(buffers_for(["one", "two"]).await, 2);
    }
}
