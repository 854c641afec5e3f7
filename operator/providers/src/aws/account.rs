//! Accounts, and the clients that act in them.

use super::answers::{Answers, CountAnswers};
use super::bucket::Bucket;
use super::ec2::Ec2;
use super::memories::Memories;
use super::rds::Rds;
use super::turns::{Turn, Turns};
use super::{Action, CallError};
use crate::OpCtx;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_route53::config::retry::RetryConfig;
use aws_sdk_route53::config::{Credentials, SharedCredentialsProvider, SharedHttpClient};
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use muster_core::facts::ErrorClass;
use muster_core::ids::Owner;
use muster_core::secret::Secret;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(3);
/// Of one call, however long its caller would wait.
const CALL: Duration = Duration::from_secs(20);
/// A turn that an effect gets later than so long before its deadline leaves no time for the call.
const SPARE: Duration = Duration::from_millis(250);
/// What an assumed role's session is called in the account's trail.
const SESSION: &str = "muster";

/// As whom an account is used. Equal ones share a client.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct AwsAccess {
    /// The role to assume; `None`: the credentials that Muster runs with.
    pub role_arn: Option<String>,
    /// What the role's trust policy asks for beside it.
    pub external_id: Option<String>,
}

impl AwsAccess {
    /// The account of the role.
    fn account(&self) -> &str {
        self.role_arn.as_deref().and_then(|arn| arn.split(':').nth(4)).unwrap_or_default()
    }
}

impl fmt::Debug for AwsAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsAccess").field("role_arn", &self.role_arn).finish_non_exhaustive()
    }
}

/// Where AWS is, if it is not where the SDK looks for it.
#[derive(Clone, Debug)]
pub struct AwsPlace {
    /// The endpoint of every service.
    pub endpoint: String,
    /// An access key's id.
    pub access_key: String,
    /// Its secret.
    pub secret_key: Secret,
}

/// All accounts that policies name, by how they are used.
#[derive(Clone, Debug, Default)]
pub struct AwsAccounts {
    place: Option<AwsPlace>,
    accounts: Arc<Mutex<HashMap<AwsAccess, Arc<Account>>>>,
    route53_turns: Arc<Mutex<HashMap<Limited, Weak<Turns>>>>,
    memories: Memories,
}

/// What an API is limited for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Limited {
    /// The account of this number, under whatever role it is called.
    Number(String),
    /// The account of these credentials. Roles of other policies may be in it too, and nothing here tells.
    Unknown(AwsAccess),
}

impl Limited {
    fn of(access: &AwsAccess) -> Self {
        match access.account() {
            "" => Self::Unknown(access.clone()),
            number => Self::Number(number.to_owned()),
        }
    }
}

impl AwsAccounts {
    /// Accounts of an AWS that is elsewhere: an emulator.
    pub fn at(place: AwsPlace) -> Self {
        Self { place: Some(place), ..Self::default() }
    }

    /// The account that is used like this.
    pub fn account(&self, access: &AwsAccess) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = accounts.get(access) {
            return Arc::clone(known);
        }
        // Those of policies that were edited or deleted since.
        accounts.retain(|_, account| is_in_use(account) || account.holds_what_is_in_use());
        let made = Arc::new(Account {
            way: Arc::new(Way::new(access.clone(), self.place.clone())),
            route53: OnceCell::new(),
            route53_turns: self.route53_turns_of(access),
            clusters: Mutex::default(),
            buckets: Mutex::default(),
            rds: Mutex::default(),
            ec2: Mutex::default(),
            memories: self.memories.clone(),
        });
        accounts.insert(access.clone(), Arc::clone(&made));
        made
    }

    /// The turns of an account's Route 53, shared by all who call that account.
    fn route53_turns_of(&self, access: &AwsAccess) -> Arc<Turns> {
        let mut known = self.route53_turns.lock().unwrap_or_else(PoisonError::into_inner);
        let limited = Limited::of(access);
        if let Some(turns) = known.get(&limited).and_then(Weak::upgrade) {
            return turns;
        }
        known.retain(|_, turns| turns.strong_count() > 0);
        let turns = Arc::new(Turns::default());
        known.insert(limited, Arc::downgrade(&turns));
        turns
    }

    /// Every region of an account that policies call now, each once.
    pub fn circuits(&self) -> Vec<Circuit> {
        let mut open = BTreeMap::new();
        for account in self.accounts.lock().unwrap_or_else(PoisonError::into_inner).values() {
            let number = account.way.access.account();
            let mut note = |region: &str, service, is_open: bool| {
                *open.entry((number.to_owned(), region.to_owned(), service)).or_default() |= is_open;
            };
            for ((region, _), bucket) in &*account.buckets.lock().unwrap_or_else(PoisonError::into_inner) {
                if is_in_use(bucket) {
                    note(region, "s3", account.way.s3_answers(region).are_missing());
                }
            }
            for (region, rds) in &*account.rds.lock().unwrap_or_else(PoisonError::into_inner) {
                if is_in_use(rds) {
                    note(region, "rds", rds.is_open());
                }
            }
            for (region, ec2) in &*account.ec2.lock().unwrap_or_else(PoisonError::into_inner) {
                if is_in_use(ec2) {
                    note(region, "ec2", ec2.is_open());
                }
            }
        }
        let circuit = |((account, region, service), is_open)| Circuit { account, region, service, is_open };
        open.into_iter().map(circuit).collect()
    }
}

/// Whether anybody has it beside the map that it is found by.
fn is_in_use<T>(kept: &Arc<T>) -> bool {
    Arc::strong_count(kept) > 1
}

/// Whether an account's region is asked as ever, or has not answered a few times in a row (`shared_read.rs`, `answers.rs`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Circuit {
    /// The account's number; empty for that of the credentials which Muster runs with.
    pub account: String,
    /// AWS' name of the region.
    pub region: String,
    /// The service of its API.
    pub service: &'static str,
    /// Looks do without it for a while.
    pub is_open: bool,
}

/// One account, as somebody.
pub struct Account {
    way: Arc<Way>,
    route53: OnceCell<aws_sdk_route53::Client>,
    /// Of the account, whoever calls it.
    route53_turns: Arc<Turns>,
    /// Of ARC, by the URL of an endpoint.
    clusters: Mutex<HashMap<String, aws_sdk_route53recoverycluster::Client>>,
    /// By AWS' name of the region, and by their own.
    buckets: Mutex<HashMap<(String, String), Arc<Bucket>>>,
    /// By AWS' name of the region.
    rds: Mutex<HashMap<String, Arc<Rds>>>,
    /// By AWS' name of the region.
    ec2: Mutex<HashMap<String, Arc<Ec2>>>,
    /// Of all accounts: a policy may come to use another one for the same thing.
    memories: Memories,
}

/// Without its clients: they would show what they assume roles by.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("access", &self.way.access).finish_non_exhaustive()
    }
}

impl Account {
    /// What this policy's adapters remember of the thing of this `name`, whichever version of it they are of.
    pub(crate) fn memory<T: Send + 'static>(
        &self,
        owner: &Owner,
        name: String,
        new: impl FnOnce() -> T,
    ) -> Arc<Mutex<T>> {
        self.memories.of(owner, name, new)
    }

    /// A client of Route 53. Its control plane is one for all regions of a partition, and the SDK knows where.
    pub(crate) async fn route53(&self) -> &aws_sdk_route53::Client {
        let made = async { aws_sdk_route53::Client::new(&self.way.config(None).await) };
        self.route53.get_or_init(|| made).await
    }

    /// The same, found from a region of the partition: for a person who has set none.
    pub(crate) async fn route53_from(&self, region: &str) -> aws_sdk_route53::Client {
        aws_sdk_route53::Client::new(&self.way.config(Some(region)).await)
    }

    /// Waits until it is this caller's turn to read from Route 53 while nothing hangs on it.
    pub(crate) async fn route53_turn(&self) {
        // Without a deadline none comes too late.
        let _ = self.route53_turns.take(Turn::Rest, None).await;
    }

    /// Waits until it is this effect's turn to make a call of Route 53: before any read at rest, and at once unless the account's
    /// budget is used up. An error as soon as it is known that no turn comes in time.
    pub(crate) async fn route53_effect_turn(&self, call: Action, ctx: &OpCtx) -> Result<(), CallError> {
        let turn = if call == Action::ChangeResourceRecordSets { Turn::Change } else { Turn::Look };
        let taken = self.route53_turns.take(turn, Some(ctx.not_after - SPARE)).await;
        taken.map_err(|error| {
            let why = format!("{call}: {error}");
            CallError { code: None, class: ErrorClass::Throttled, why }
        })
    }

    /// Whether a part of it serves somebody who let go of the account itself.
    fn holds_what_is_in_use(&self) -> bool {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).values().any(is_in_use)
            || self.rds.lock().unwrap_or_else(PoisonError::into_inner).values().any(is_in_use)
            || self.ec2.lock().unwrap_or_else(PoisonError::into_inner).values().any(is_in_use)
    }

    /// A client of one endpoint of a cluster of ARC. A role for it is assumed at the STS of that endpoint's region.
    pub(crate) async fn recovery_cluster(
        &self,
        region: &str,
        url: &str,
    ) -> aws_sdk_route53recoverycluster::Client {
        let made = async {
            let config = &self.way.config(Some(region)).await;
            let config =
                aws_sdk_route53recoverycluster::config::Builder::from(config).endpoint_url(url).build();
            aws_sdk_route53recoverycluster::Client::from_conf(config)
        };
        known_or_made(&self.clusters, url, made).await
    }

    /// A client of S3 in one region.
    pub(crate) async fn s3(&self, region: &str) -> aws_sdk_s3::Client {
        self.way.s3(region).await
    }

    /// One bucket in its region.
    pub(crate) fn bucket(&self, region: &str, name: &str) -> Arc<Bucket> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || Arc::new(Bucket::new(Arc::clone(&self.way), region.to_owned(), name.to_owned()));
        Arc::clone(buckets.entry((region.to_owned(), name.to_owned())).or_insert_with(made))
    }

    /// RDS in one region: its own endpoint, which needs no other region.
    pub(crate) fn rds(&self, region: &str) -> Arc<Rds> {
        let mut regions = self.rds.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || Arc::new(Rds::new(Arc::clone(&self.way), region.to_owned()));
        Arc::clone(regions.entry(region.to_owned()).or_insert_with(made))
    }

    /// EC2 in one region, as [`Self::rds`].
    pub(crate) fn ec2(&self, region: &str) -> Arc<Ec2> {
        let mut regions = self.ec2.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || Arc::new(Ec2::new(Arc::clone(&self.way), region.to_owned()));
        Arc::clone(regions.entry(region.to_owned()).or_insert_with(made))
    }
}

/// The client of this name; `made` is waited for without the lock, and dropped if another one was faster.
async fn known_or_made<C: Clone>(
    clients: &Mutex<HashMap<String, C>>,
    name: &str,
    made: impl Future<Output = C>,
) -> C {
    let known = clients.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
    if let Some(client) = known {
        return client;
    }
    let client = made.await;
    let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
    clients.entry(name.to_owned()).or_insert(client).clone()
}

/// How to come into an account.
pub(super) struct Way {
    access: AwsAccess,
    place: Option<AwsPlace>,
    /// By the region that is called; `None`: clients that find it by themselves.
    configs: Mutex<HashMap<Option<String>, Arc<OnceCell<SdkConfig>>>>,
    /// By AWS' name of the region.
    s3: Mutex<HashMap<String, aws_sdk_s3::Client>>,
    /// By AWS' name of the region.
    s3_answers: Mutex<HashMap<String, Arc<Answers>>>,
}

impl Way {
    fn new(access: AwsAccess, place: Option<AwsPlace>) -> Self {
        let (configs, s3, s3_answers) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { access, place, configs, s3, s3_answers }
    }

    /// Leads to no account.
    #[cfg(test)]
    pub(super) fn nowhere() -> Self {
        Self::new(AwsAccess::default(), None)
    }

    /// The settings of a client: of one that calls `region`, or of one that finds its region by itself. All clients of a region
    /// share its credentials; a role is assumed at the STS of that region, so that none hangs on another one.
    pub(super) async fn config(&self, region: Option<&str>) -> SdkConfig {
        let cell = {
            let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(configs.entry(region.map(str::to_owned)).or_default())
        };
        // In a box: what the SDK's futures hold is large, and most of the time nobody waits for them.
        cell.get_or_init(|| Box::pin(self.load(region))).await.clone()
    }

    /// A client of S3 in one region.
    pub(super) async fn s3(&self, region: &str) -> aws_sdk_s3::Client {
        let made = async {
            let config = aws_sdk_s3::config::Builder::from(&self.config(Some(region)).await)
                // An emulator has no name of its own for each bucket.
                .force_path_style(self.place.is_some())
                .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
                .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
                .interceptor(CountAnswers(self.s3_answers(region)))
                .build();
            aws_sdk_s3::Client::from_conf(config)
        };
        known_or_made(&self.s3, region, made).await
    }

    /// How the calls of a region's S3 went.
    fn s3_answers(&self, region: &str) -> Arc<Answers> {
        let mut answers = self.s3_answers.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(answers.entry(region.to_owned()).or_default())
    }

    async fn load(&self, region: Option<&str>) -> SdkConfig {
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http_client())
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder().connect_timeout(CONNECT).operation_timeout(CALL).build(),
            );
        if let Some(place) = &self.place {
            let keys = Credentials::new(
                place.access_key.clone(),
                place.secret_key.expose().to_owned(),
                None,
                None,
                "given",
            );
            loader = loader
                .endpoint_url(&place.endpoint)
                .region(Region::from_static("us-east-1"))
                .credentials_provider(keys);
        }
        if let Some(region) = region {
            loader = loader.region(Region::new(region.to_owned()));
        }
        let own = Box::pin(loader.load()).await;
        let Some(role) = &self.access.role_arn else { return own };
        let mut assumed = AssumeRoleProvider::builder(role).session_name(SESSION).configure(&own);
        if let Some(external_id) = &self.access.external_id {
            assumed = assumed.external_id(external_id);
        }
        let provider = SharedCredentialsProvider::new(Box::pin(assumed.build()).await);
        own.into_builder().credentials_provider(provider).build()
    }
}

fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::fixtures::{Refuser, ctx_that_leads_for};

    fn role(arn: &str, external_id: Option<&str>) -> AwsAccess {
        AwsAccess { role_arn: Some(arn.to_owned()), external_id: external_id.map(str::to_owned) }
    }

    const ROLE: &str = "arn:aws:iam::111122223333:role/muster";

    #[test]
    fn all_who_call_one_account_share_its_turns() {
        let accounts = AwsAccounts::default();
        let turns = |access: &AwsAccess| Arc::clone(&accounts.account(access).route53_turns);
        let of_role = turns(&role(ROLE, None));
        for same in [role(ROLE, Some("x")), role("arn:aws:iam::111122223333:role/team/other", None)] {
            assert!(Arc::ptr_eq(&of_role, &turns(&same)), "{same:?}");
        }
        for other in [role("arn:aws:iam::444455556666:role/muster", None), AwsAccess::default()] {
            assert!(!Arc::ptr_eq(&of_role, &turns(&other)), "{other:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_effect_without_time_for_the_account_s_budget_is_told_so() {
        let account = AwsAccounts::default().account(&role(ROLE, None));
        let ctx = ctx_that_leads_for(0);
        let list = Action::ListResourceRecordSets;
        let calls = (0..200).map(|_| account.route53_effect_turn(list, &ctx));
        let refused = futures::future::join_all(calls).await.into_iter().find_map(Result::err);
        let refused = refused.expect("200 calls take longer than 20 s");
        assert_eq!(refused.class, ErrorClass::Throttled);
        assert!(
            refused.why.starts_with("route53:ListResourceRecordSets: failed to get a turn"),
            "{refused:?}"
        );
        assert!(refused.why.contains("the account's budget"), "{refused:?}");
    }

    #[test]
    fn what_nobody_uses_any_more_is_not_kept() {
        let accounts = AwsAccounts::default();
        let known = || accounts.accounts.lock().expect("nobody panicked").len();
        let rds = accounts.account(&role(ROLE, None)).rds("us-east-1");
        let other = accounts.account(&role(ROLE, Some("x")));
        assert_eq!(known(), 2, "its RDS is in use");
        drop((rds, other));
        accounts.account(&AwsAccess::default());
        assert_eq!(known(), 1);
    }

    #[tokio::test]
    async fn reads_of_objects_without_an_answer_are_told_while_anybody_watches_there() {
        let refuser = Refuser::start("").await;
        let accounts = AwsAccounts::at(refuser.place());
        let account = accounts.account(&AwsAccess::default());
        let circuit = |service, is_open| {
            let (account, region) = (String::new(), "us-west-2".to_owned());
            Circuit { account, region, service, is_open }
        };
        let watched = account.bucket("us-west-2", "bucket").watch("key");
        let rds = account.rds("us-west-2");
        assert_eq!(accounts.circuits(), [circuit("rds", false), circuit("s3", false)]);
        let client = account.s3("us-west-2").await;
        for _ in 0..3 {
            let read = client.get_object().bucket("bucket").key("key").send().await;
            assert!(read.is_err());
        }
        assert_eq!(accounts.circuits(), [circuit("rds", false), circuit("s3", true)]);
        drop(rds);
        assert_eq!(accounts.circuits(), [circuit("s3", true)]);
        drop(watched);
        assert_eq!(accounts.circuits(), []);
    }

    #[tokio::test]
    async fn an_s3_that_refuses_answers() {
        let refuser = Refuser::start("AccessDenied").await;
        let accounts = AwsAccounts::at(refuser.place());
        let account = accounts.account(&AwsAccess::default());
        let watched = account.bucket("us-west-2", "bucket").watch("key");
        let client = account.s3("us-west-2").await;
        for _ in 0..5 {
            let read = client.get_object().bucket("bucket").key("key").send().await;
            assert!(read.is_err());
        }
        assert!(accounts.circuits().iter().all(|circuit| !circuit.is_open), "{watched:?}");
    }
}
