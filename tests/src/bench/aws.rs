//! What policies on AWS ask of it while nothing happens: an Aurora global database and a name of Route 53 each, in two accounts
//! of a fake that counts every call.
//!
//! All databases of a region are one real PostgreSQL server, which each policy looks at by its own sessions; so the policies only
//! observe.

use super::probes::Server;
use super::process::Process;
use super::{Bench, Figures, Part};
use anyhow::{Context, ensure};
use muster::api::PolicyList;
use muster::cli::client::{ApiPath, Client};
use muster::demo::cloud::environment_at;
use muster::demo::processes::set_environment;
use muster_aws_fake::{Call, FailoverRecord, FakeAws, NewMember, ObjectCheck, Zone};
use muster_providers::testing::postgres::Pair;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

pub(super) const PART: Part = Part {
    name: "aws",
    measures: "calls of AWS by 1,000 policies on two accounts, and by 10, while nothing happens",
    run: |bench, figures| Box::pin(measure(bench, figures)),
};

const SIZES: [usize; 2] = [10, 1_000];
/// Databases in one answer of RDS, at most: each policy has one, so an account with more of them has longer lists.
const PAGE: usize = 100;
const KEY: &str = "AKIDBENCH";
const HOME: &str = "999988887777";
const ACCOUNTS: [&str; 2] = ["111122223333", "444455556666"];
const REGIONS: [&str; 2] = ["us-east-1", "us-west-2"];
const MARKER: &str = "0123456789abcdefSECRET";
/// Two sessions a policy, and some to spare.
const SETTINGS: &str = "max_connections = 2200\nshared_buffers = 64MB";
/// Thousands of log-ins at once, on the machine that the databases share.
const LONGEST: Duration = Duration::from_mins(8);
/// Nothing acts here, and a lease that is lost on a busy machine would have all be learned anew.
const LEASE: &str = "60000";
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Of the lists that 10 policies ask for: where fewer came, they came late, and nothing is told of what policies cost.
const LEAST_LOOKS: f64 = 0.8;
/// Until every first look is over.
const SETTLE: Duration = Duration::from_secs(30);
const WINDOW: Duration = Duration::from_mins(1);

async fn measure(bench: &Bench, figures: &mut Figures) -> anyhow::Result<()> {
    let pair = Pair::start(&["east", "west"], SETTINGS).await.context("failed to start the databases")?;
    let probed = Server::start(&bench.me)?;
    let mut measured = Vec::new();
    for size in SIZES {
        let world = World::start(bench, &pair, &probed.address, size).await?;
        let calls = world.a_minute_at_rest().await?;
        let breaches = world.aws.take_breaches();
        ensure!(breaches.is_empty(), "not as the models of AWS' APIs have it: {breaches:#?}");
        measured.push((size, calls));
    }
    let lists = |(size, calls): &(usize, Vec<Call>)| {
        let pages = size.div_ceil(ACCOUNTS.len()).div_ceil(PAGE);
        calls.iter().filter(|call| call.service == "rds").count() / pages
    };
    let [few, many] = &measured[..] else { anyhow::bail!("two sizes were measured") };
    let ratio = ratio(lists(many), lists(few));
    ensure!(
        ratio >= LEAST_LOOKS,
        "the machine is too busy: by 1,000 policies only {ratio:.2} of the lists came"
    );
    for (size, calls) in &measured {
        for (service, says) in SERVICES {
            let count = calls.iter().filter(|call| call.service == service).count();
            set(figures, &format!("aws_{service}_{size}_min"), count, says);
        }
        let changes = calls.iter().filter(|call| call.is_mutation).count();
        set(figures, &format!("aws_changes_{size}_min"), changes, "of them changed anything");
    }
    figures.set(
        "aws_rds_ratio",
        ratio,
        "lists of RDS, whatever their pages, by 1,000 policies to those by 10",
    );
    figures.expect_at_most("aws_rds_ratio", 1.2);
    figures.expect_at_most("aws_route53_1000_min", 120.0);
    figures.expect_at_most("aws_changes_1000_min", 0.0);
    Ok(())
}

const SERVICES: [(&str, &str); 4] = [
    ("rds", "calls of RDS a minute, both accounts"),
    ("route53", "calls of Route 53 a minute, both accounts"),
    ("s3", "calls of S3 a minute: two objects each policy, a list where many are in a bucket"),
    ("sts", "calls of STS a minute"),
];

fn set(figures: &mut Figures, key: &str, count: usize, says: &str) {
    figures.set(key, f64::from(u32::try_from(count).unwrap_or(u32::MAX)), says);
}

fn ratio(many: usize, few: usize) -> f64 {
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    number(many) / number(few).max(1.0)
}

/// A controller with its policies, and the fake that they stand on.
struct World {
    aws: FakeAws,
    process: Process,
    client: Client,
    size: usize,
    _folder: TempDir,
}

impl World {
    async fn start(bench: &Bench, pair: &Pair, probed: &str, size: usize) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(&bench.folder)?;
        let at = |path: &str| folder.path().join(path);
        std::fs::create_dir(at("policies"))?;
        std::fs::create_dir_all(at("secrets/bench"))?;
        std::fs::write(at("secrets/bench/muster"), "muster")?;
        std::fs::write(at("secrets/bench/marker"), MARKER)?;
        let aws = FakeAws::start().await.context("failed to start the fake of AWS")?;
        aws.set_lenient();
        aws.add_account(KEY, HOME);
        aws.set_date(jiff::Timestamp::now());
        aws.set_checkers(1);
        // They are no part of what is measured.
        aws.set_checker_pace(Duration::from_mins(10));
        let mut accounts = Vec::new();
        for account in ACCOUNTS {
            accounts.push(Account::arrange(&aws, account, size.div_ceil(ACCOUNTS.len())).await?);
        }
        for number in 0..size {
            let account = accounts.get(number % accounts.len()).context("there are accounts")?;
            let zone = number / accounts.len() / NAMES_IN_A_ZONE;
            let zone = account.zones.get(zone).context("there are zones for all")?;
            let policy = account.policy(&aws, pair, zone, number).replace("PROBED", probed);
            std::fs::write(at(&format!("policies/{number:04}.yaml")), policy)?;
        }
        let listen: SocketAddr = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let process = start_controller(bench, &folder, &aws, listen)?;
        let client = connect(listen, at("state")).await?;
        let mut world = Self { aws, process, client, size, _folder: folder };
        world.until_seen().await?;
        Ok(world)
    }

    /// Waits until every policy has seen its writer.
    async fn until_seen(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + LONGEST;
        loop {
            let list: Result<PolicyList, _> = self.client.get(ApiPath::new(["policies"])).await;
            let unseen = match list {
                Ok(list) => unseen_in(&list, self.size),
                Err(failure) => Some(failure.to_string()),
            };
            let Some(unseen) = unseen else { return Ok(()) };
            ensure!(self.process.is_running(), "the controller ended");
            ensure!(Instant::now() < deadline, "not all policies know their writer: {unseen}");
            sleep(LOOK_EVERY).await;
        }
    }

    async fn a_minute_at_rest(&self) -> anyhow::Result<Vec<Call>> {
        sleep(SETTLE).await;
        self.aws.clear_calls();
        sleep(WINDOW).await;
        let calls: Vec<_> = self.aws.calls().into_iter().filter(|call| !call.account.is_empty()).collect();
        // No marker was ever written.
        let is_refused = |call: &&Call| call.status >= 300 && call.code.as_deref() != Some("NoSuchKey");
        let refused = calls.iter().find(is_refused);
        ensure!(refused.is_none(), "a call was refused: {refused:?}");
        Ok(calls)
    }
}

/// How many of `size` policies do not know their writer, and what the first of them says; `None`: all know it.
fn unseen_in(list: &PolicyList, size: usize) -> Option<String> {
    let unseen: Vec<_> = list.policies.iter().filter(|policy| policy.active_region.is_none()).collect();
    let count = size - (list.policies.len() - unseen.len());
    let first = unseen.first().map(|policy| policy.message.clone()).unwrap_or_default();
    (count > 0).then(|| format!("{count} of {size}, {first}"))
}

fn start_controller(
    bench: &Bench,
    folder: &TempDir,
    aws: &FakeAws,
    listen: SocketAddr,
) -> anyhow::Result<Process> {
    let at = |path: &str| folder.path().join(path);
    let mut command = Command::new(&bench.me);
    command.arg("local").arg("--policies").arg(at("policies")).arg("--secrets").arg(at("secrets"));
    command.arg("--state").arg(at("state")).args(["--listen", &listen.to_string(), "--lease-ms", LEASE]);
    command.stdout(Stdio::null());
    set_environment(&mut command, &environment_at(aws, KEY, REGIONS[1]));
    Process::start(&mut command)
}

async fn connect(listen: SocketAddr, state: PathBuf) -> anyhow::Result<Client> {
    let deadline = Instant::now() + LONGEST;
    loop {
        match Client::new(Some(&format!("http://{listen}")), None, &state) {
            Ok(client) => return Ok(client),
            Err(failure) if Instant::now() >= deadline => return Err(failure.into()),
            Err(_) => sleep(LOOK_EVERY).await,
        }
    }
}

/// Names in a zone: the fake goes through all of a zone for each question.
const NAMES_IN_A_ZONE: usize = 20;

/// One account, with its zones and its buckets.
struct Account {
    id: &'static str,
    role: String,
    zones: Vec<Zone>,
}

impl Account {
    /// For so many policies.
    async fn arrange(aws: &FakeAws, id: &'static str, policies: usize) -> anyhow::Result<Self> {
        let role = format!("arn:aws:iam::{id}:role/muster");
        aws.add_role(&role, None, HOME);
        let mut zones = Vec::new();
        for _ in 0..policies.div_ceil(NAMES_IN_A_ZONE) {
            zones.push(aws.create_zone(id, "example.com", Duration::from_secs(1)).await?);
        }
        for region in REGIONS {
            aws.create_bucket(id, &bucket(id, region), region);
        }
        Ok(Self { id, role, zones })
    }

    /// What one policy stands on, and the policy.
    fn policy(&self, aws: &FakeAws, pair: &Pair, zone: &Zone, number: usize) -> String {
        let number = format!("{number:04}");
        let key = format!("muster/shop-{number}.example.com");
        let text = format!("muster-on-{MARKER}");
        let check = |region: &str| {
            let bucket = bucket(self.id, region);
            aws.allow_anonymous_read(&bucket, &key);
            let object = ObjectCheck { bucket: &bucket, region, key: &key, text: &text };
            aws.create_object_check(self.id, &object)
        };
        let [east, west] = REGIONS.map(check);
        let name = format!("shop-{number}.example.com");
        for (identifier, last, health_check) in [("east", 1, Some(west.as_str())), ("west", 2, None)] {
            let address = Ipv4Addr::new(192, 0, 2, last);
            let is_primary = health_check.is_some();
            let record =
                FailoverRecord { name: &name, identifier, is_primary, address, ttl: 5, health_check };
            aws.put_failover_record(&zone.id, &record);
        }
        let members = REGIONS.map(|region| NewMember {
            region: region.to_owned(),
            cluster: format!("orders-{number}-{region}"),
            instances: vec![format!("orders-{number}-{region}-1")],
        });
        let global = aws.create_global_cluster(self.id, &format!("orders-{number}"), &members);
        let [east_arn, west_arn] =
            REGIONS.map(|region| global.clusters.get(region).cloned().unwrap_or_default());
        let servers: Vec<String> = zone.servers.iter().map(|at| format!("\"{at}\"")).collect();
        let values = [
            ("NUMBER", number),
            ("ROLE", self.role.clone()),
            ("EAST-ARN", east_arn),
            ("WEST-ARN", west_arn),
            ("EAST-PORT", pair.server("east").port.to_string()),
            ("WEST-PORT", pair.server("west").port.to_string()),
            ("EAST-CHECK", east),
            ("WEST-CHECK", west),
            ("ZONE", zone.id.clone()),
            ("SERVERS", servers.join(", ")),
            ("BUCKET", bucket(self.id, "x").trim_end_matches("-x").to_owned()),
        ];
        values
            .iter()
            .fold(include_str!("aws.yaml").to_owned(), |policy, (word, value)| policy.replace(word, value))
    }
}

fn bucket(account: &str, region: &str) -> String {
    format!("muster-{account}-{region}")
}
