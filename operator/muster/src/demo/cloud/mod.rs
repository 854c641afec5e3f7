//! The cloud that the demo's regions can stand in: a fake of AWS on this machine, whose Aurora keeps its data in the
//! world's own PostgreSQL nodes.
//!
//! ```text
//! controller ──AWS_ENDPOINT_URL──► fake: RDS, S3, Route 53, STS ──what happened──► PostgreSQL east ══► PostgreSQL west
//!                                     │ DNS, health checkers
//! clients ──the public name──────────►┘
//! ```
//! What AWS does takes a sixtieth of its usual time ([`SPEED`]); everything else takes its own. Losing a region takes
//! every endpoint of AWS there away too, and with us-east-1 all of Route 53's API.
//!
//! What this module must never do: let anything of the world but AWS' own parts know of it. Muster finds the fake by its
//! environment, as it would find a proxy.

mod databases;
mod policy;

pub(in crate::demo) use policy::CloudPolicy;

use super::addresses::{Addresses, Kind, Place};
use super::nameserver::{RECORD, TTL_SECONDS, ZONE};
use super::processes::Environment;
use super::site::Site;
use anyhow::{Context, bail};
use jiff::Timestamp;
use muster_aws_fake::{
    FailoverRecord, FakeAws, Fault, FaultId, FaultKind, NewGlobalCluster, NewMember, ObjectCheck, RdsPace,
    Zone,
};
use muster_core::ids::RegionName;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

/// How much faster than AWS the fake is: a minute there is a second here.
pub const SPEED: u32 = 60;
/// AWS' names of the regions, in the world's order. The first one is where the global control planes stand.
const REGIONS: [&str; 2] = [CONTROL_PLANES, "us-west-2"];
const CONTROL_PLANES: &str = "us-east-1";
/// What Muster signs with, and the account of that key.
const ACCESS_KEY: &str = "AKIDMUSTER";
const HOME_ACCOUNT: &str = "999988887777";
/// Everything stands in this account.
const ACCOUNT: &str = "111122223333";
/// The role in it that Muster assumes.
const ROLE: &str = "arn:aws:iam::111122223333:role/muster";
const GLOBAL: &str = "orders-global";
const MARKER: &str = "muster/shop.example.test";
/// Until a batch of changes is at every name server: "within 60 seconds" (Route 53, developer guide).
const INSYNC: Duration = Duration::from_mins(1);
/// The shortest interval of a health check.
const CHECK: Duration = Duration::from_secs(10);
/// Lines that nobody has read yet.
const UNREAD: usize = 64;

/// The fake, with a global database, a hosted zone, two buckets and their health checks.
pub struct Cloud {
    aws: FakeAws,
    zone: Zone,
    global: NewGlobalCluster,
    /// AWS' names.
    regions: BTreeMap<RegionName, &'static str>,
    /// The health checks that watch each region's object.
    checks: BTreeMap<RegionName, String>,
    /// The health check that pins the name.
    pin: String,
    /// What the health checks look for.
    secret: String,
    outage: Mutex<Vec<FaultId>>,
    said: broadcast::Sender<String>,
}

impl std::fmt::Debug for Cloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cloud").field("zone", &self.zone).finish_non_exhaustive()
    }
}

/// What makes a process find a fake of AWS, and nothing else of AWS, as the caller of this key in this region.
pub fn environment_at(aws: &FakeAws, access_key: &str, region: &str) -> Environment {
    let set = |name, value: &str| (name, Some(value.to_owned()));
    vec![
        set("AWS_ENDPOINT_URL", &aws.endpoint()),
        set("AWS_ACCESS_KEY_ID", access_key),
        set("AWS_SECRET_ACCESS_KEY", "a-secret-of-nobody"),
        set("AWS_REGION", region),
        set("AWS_EC2_METADATA_DISABLED", "true"),
        // A profile or a session of whoever starts it would win over the keys.
        ("AWS_PROFILE", None),
        ("AWS_SESSION_TOKEN", None),
    ]
}

fn bucket(region: &RegionName) -> String {
    format!("muster-shop-{region}")
}

fn member(region: &RegionName, aws: &str) -> NewMember {
    NewMember {
        region: aws.to_owned(),
        cluster: format!("orders-{region}"),
        instances: vec![format!("orders-{region}-1")],
    }
}

/// How long the databases' operations take here.
fn pace() -> RdsPace {
    let usual = RdsPace::default();
    RdsPace {
        pending: usual.pending / SPEED,
        moving: usual.moving / SPEED,
        rejoin: usual.rejoin / SPEED,
        cancelling: usual.cancelling / SPEED,
        endpoint: usual.endpoint / SPEED,
        snapshot: usual.snapshot / SPEED,
        ..usual
    }
}

impl Cloud {
    /// Starts it: the first region takes the writes, and the name points there.
    pub(super) async fn start(addresses: &Addresses) -> anyhow::Result<Self> {
        if addresses.regions().len() != REGIONS.len() {
            bail!("the demo's cloud has two regions");
        }
        let regions: BTreeMap<_, _> = addresses.regions().iter().cloned().zip(REGIONS).collect();
        let aws = FakeAws::start().await.context("failed to start the fake of AWS")?;
        // Breaches of the APIs' models are for the tests to find.
        aws.set_lenient();
        aws.add_account(ACCESS_KEY, HOME_ACCOUNT);
        aws.add_role(ROLE, None, HOME_ACCOUNT);
        // The SDK compares what credentials say of their end with its own date.
        aws.set_date(Timestamp::now());
        aws.set_checker_pace(CHECK / SPEED);
        aws.set_rds_pace(pace());
        let zone =
            aws.create_zone(ACCOUNT, ZONE, INSYNC / SPEED).await.context("failed to create the zone")?;
        let resolved = addresses.own(&Place::NameServer, Kind::Dns);
        aws.add_server(&zone, resolved).await.context("failed to start a name server")?;
        let members: Vec<_> =
            addresses.regions().iter().zip(REGIONS).map(|(r, aws)| member(r, aws)).collect();
        let global = aws.create_global_cluster(ACCOUNT, GLOBAL, &members);
        let secret = uuid::Uuid::new_v4().simple().to_string();
        let (checks, outage) = (BTreeMap::new(), Mutex::default());
        let (said, _) = broadcast::channel(UNREAD);
        let pin = aws.create_disabled_check(ACCOUNT, "pin");
        let mut cloud = Self { aws, zone, global, regions, checks, pin, secret, outage, said };
        cloud.arrange_name(addresses)?;
        Ok(cloud)
    }

    /// The buckets, the health checks, and the two records of the name.
    fn arrange_name(&mut self, addresses: &Addresses) -> anyhow::Result<()> {
        let text = format!("muster-on-{}", self.secret);
        for (region, aws) in &self.regions {
            let name = bucket(region);
            self.aws.create_bucket(ACCOUNT, &name, aws);
            self.aws.allow_anonymous_read(&name, MARKER);
            let object = ObjectCheck { bucket: &name, region: aws, key: MARKER, text: &text };
            self.checks.insert(region.clone(), self.aws.create_object_check(ACCOUNT, &object));
        }
        for (region, other) in [(0, Some(1)), (1, None)] {
            let (region, other) =
                (addresses.regions().get(region), other.and_then(|other| addresses.regions().get(other)));
            let region = region.context("the demo's cloud has two regions")?;
            let SocketAddr::V4(front) =
                addresses.path(&Place::Outside, &Place::Region(region.clone()), Kind::Api)
            else {
                bail!("loopback addresses here are IPv4")
            };
            let record = FailoverRecord {
                name: RECORD,
                identifier: self.aws_name(region),
                is_primary: other.is_some(),
                address: *front.ip(),
                ttl: TTL_SECONDS,
                health_check: other.map(|other| self.check(other)),
            };
            self.aws.put_failover_record(&self.zone.id, &record);
        }
        Ok(())
    }

    fn aws_name(&self, region: &RegionName) -> &'static str {
        self.regions.get(region).copied().unwrap_or_default()
    }

    fn check(&self, region: &RegionName) -> &str {
        self.checks.get(region).map_or("", String::as_str)
    }

    fn region_of(&self, aws: &str) -> Option<&RegionName> {
        self.regions.iter().find(|(_, name)| **name == aws).map(|(region, _)| region)
    }

    /// What makes the controller find it, and nothing else of AWS.
    pub(super) fn environment(&self) -> Environment {
        environment_at(&self.aws, ACCESS_KEY, REGIONS[1])
    }

    /// What the health checks look for, for Muster's secrets.
    pub(super) fn marker_secret(&self) -> &str {
        &self.secret
    }

    /// Lets the nodes do from now on what Aurora does.
    pub(super) fn keep_up(
        self: &Arc<Self>,
        site: Arc<Site>,
        passwords: databases::Passwords,
    ) -> JoinHandle<()> {
        databases::keep_up(Arc::clone(self), site, passwords)
    }

    /// Takes a region's endpoints away, and the API of Route 53 if it stands there.
    pub(super) fn lose(&self, region: &RegionName) {
        let unavailable = FaultKind::Answer {
            status: 503,
            code: "ServiceUnavailable".to_owned(),
            message: "The service is unavailable.".to_owned(),
        };
        let aws = self.aws_name(region);
        let mut faults = vec![Fault::of_everything(FaultKind::Hang).in_region(aws)];
        if aws == CONTROL_PLANES {
            faults.push(Fault::of_everything(unavailable).in_service("route53"));
        }
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        outage.extend(faults.into_iter().map(|fault| self.aws.fault(fault)));
        drop(outage);
        self.aws.set_old_writer_lost(true);
    }

    /// Gives everything back that was taken away.
    pub(super) fn repair(&self) {
        let outage = std::mem::take(&mut *self.outage.lock().unwrap_or_else(PoisonError::into_inner));
        for fault in outage {
            self.aws.remove_fault(fault);
        }
        self.aws.set_old_writer_lost(false);
    }

    /// Whether the name stays at this address without any object of Muster's, and without Muster.
    pub fn is_settled(&self, front: SocketAddr) -> bool {
        let no_object_is_on = self.checks.values().all(|check| self.aws.health(check));
        no_object_is_on
            && self.aws.primary_value(&self.zone.id, RECORD).as_deref() == Some(&front.ip().to_string())
    }

    /// What AWS does from now on, in sentences.
    pub fn listen(&self) -> broadcast::Receiver<String> {
        self.said.subscribe()
    }

    fn say(&self, sentence: String) {
        // Nobody may be listening.
        let _ = self.said.send(sentence);
    }
}
