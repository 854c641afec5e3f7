//! The control planes: a fake of AWS with a global database, an instance and its read replica, a hosted zone, two buckets and
//! their health checks, as a person sets them up.

use super::region::Region;
use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use muster::demo::resolver::ask_address;
use muster_aws_fake::{
    Call, FailoverRecord, FakeAws, Fault, FaultId, InstanceShape, NewGlobalCluster, NewMember, ObjectCheck,
    RdsPace, Zone,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What the process under test signs with; of an account of its own.
pub(super) const ACCESS_KEY: &str = "AKIDMUSTER";
const HOME_ACCOUNT: &str = "999988887777";
/// What the suite signs with.
const OWN_KEY: &str = "AKIDSUITE";
/// Everything stands in this account.
pub(super) const ACCOUNT: &str = "111122223333";
/// The role in it that Muster assumes.
pub(super) const ROLE: &str = "arn:aws:iam::111122223333:role/muster";
pub(super) const ZONE: &str = "example.com";
/// The public name.
pub(super) const NAME: &str = "shop.example.com";
pub(super) const GLOBAL: &str = "orders-global";
pub(super) const MARKER: &str = "muster/shop.example.com";
pub(super) const MARKER_SECRET: &str = "0123456789abcdefSECRET";
/// Of the entries that deny.
pub(super) const RULE: u32 = 1;
/// Until a batch of changes is visible.
const INSYNC: Duration = Duration::from_millis(300);
const CHECKER_PACE: Duration = Duration::from_millis(50);
/// For the fake, or one of its name servers, to answer.
const ANSWER: Duration = Duration::from_secs(3);

/// How long the databases' operations take, unless a trouble says otherwise.
pub(super) fn usual_pace() -> RdsPace {
    RdsPace {
        pending: Duration::from_millis(100),
        moving: Duration::from_millis(600),
        rejoin: Duration::from_secs(1),
        cancelling: Duration::from_millis(300),
        endpoint: Duration::from_millis(100),
        snapshot: Duration::from_millis(500),
        promote: Duration::from_millis(400),
        reboot: Duration::from_millis(300),
        backup: Duration::from_millis(400),
        // Shorter than any pause between two attempts: the second one finds the name free.
        rename: Duration::from_millis(50),
        create: Duration::from_millis(500),
        delete: Duration::from_millis(300),
        detach: Duration::from_millis(500),
        ..RdsPace::default()
    }
}

/// The fake, arranged.
pub(super) struct Cloud {
    pub(super) aws: FakeAws,
    pub(super) zone: Zone,
    pub(super) global: NewGlobalCluster,
    /// By the region whose marker they watch.
    checks: BTreeMap<Region, String>,
    /// The health check that pins the name.
    pub(super) pin: String,
    /// The faults of the newest trouble, whether they stand or not.
    troubles: Mutex<Vec<FaultId>>,
    /// What stands until it is taken away together.
    outage: Mutex<Vec<FaultId>>,
}

/// A request as any tool sends it.
pub(super) struct Ask<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) service: &'a str,
    pub(super) region: &'a str,
    pub(super) body: String,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cloud {
    /// Starts it; the name points at east, and east takes the writes.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let aws = FakeAws::start().await.context("failed to start the fake of AWS")?;
        // A run asks for its breaches.
        aws.set_lenient();
        aws.add_account(ACCESS_KEY, HOME_ACCOUNT);
        aws.add_account(OWN_KEY, ACCOUNT);
        aws.add_role(ROLE, None, HOME_ACCOUNT);
        // The SDK compares what credentials say of their end with its own date.
        aws.set_date(Timestamp::now());
        aws.set_checker_pace(CHECKER_PACE);
        aws.set_rds_pace(usual_pace());
        let zone = aws.create_zone(ACCOUNT, ZONE, INSYNC).await.context("failed to create the zone")?;
        let global = aws.create_global_cluster(ACCOUNT, GLOBAL, &Region::ALL.map(member));
        let primary = aws.create_instance(ACCOUNT, Region::East.aws(), &instance(Region::East));
        aws.create_read_replica(&primary, Region::West.aws(), &instance(Region::West));
        let (troubles, outage) = (Mutex::default(), Mutex::default());
        let pin = aws.create_disabled_check(ACCOUNT, "pin");
        let mut cloud = Self { aws, zone, global, checks: BTreeMap::new(), pin, troubles, outage };
        for region in Region::ALL {
            cloud.aws.create_bucket(ACCOUNT, &bucket(region), region.aws());
            cloud.aws.allow_anonymous_read(&bucket(region), MARKER);
            let (bucket, text) = (bucket(region), format!("muster-on-{MARKER_SECRET}"));
            let object = ObjectCheck { bucket: &bucket, region: region.aws(), key: MARKER, text: &text };
            cloud.checks.insert(region, cloud.aws.create_object_check(ACCOUNT, &object));
            let subnets = subnets(region);
            cloud.aws.create_network_acl(ACCOUNT, region.aws(), acl(region), &subnets);
            let (group, subnets) = (Some("data".to_owned()), subnets.map(str::to_owned).into());
            let shape = InstanceShape { subnet_group: group, subnets, ..InstanceShape::default() };
            cloud.aws.set_instance_shape(&orders_instance_arn(region), shape);
            // So that making it anew takes the rights to both.
            let (tags, group) =
                (BTreeMap::from([("team".to_owned(), "shop".to_owned())]), "reports".to_owned());
            let shape = InstanceShape { tags, parameter_group: Some(group), ..InstanceShape::default() };
            cloud.aws.set_instance_shape(&Self::instance_arn(region), shape);
        }
        cloud.put_record(Region::East, Some(cloud.check(Region::West)));
        cloud.put_record(Region::West, None);
        Ok(cloud)
    }

    /// The primary one, if it has a health check.
    fn put_record(&self, region: Region, health_check: Option<&str>) {
        let (identifier, address) = (region.aws(), region.front());
        let is_primary = health_check.is_some();
        let record = FailoverRecord { name: NAME, identifier, is_primary, address, ttl: 1, health_check };
        self.aws.put_failover_record(&self.zone.id, &record);
    }

    /// The health check that watches this region's marker.
    pub(super) fn check(&self, region: Region) -> &str {
        self.checks.get(&region).map_or("", String::as_str)
    }

    /// The ARN of a region's cluster.
    pub(super) fn cluster(&self, region: Region) -> &str {
        self.global.clusters.get(region.aws()).map_or("", String::as_str)
    }

    /// What Muster called since the calls were last cleared.
    pub(super) fn calls(&self) -> Vec<Call> {
        // The checkers ask too, and sign nothing.
        self.aws.calls().into_iter().filter(|call| call.account == ACCOUNT).collect()
    }

    /// What the fake took or answered otherwise than the models of AWS' APIs have it, since it was last asked.
    pub(super) fn take_breaches(&self) -> Vec<String> {
        let breaches = self.aws.take_breaches().into_iter();
        breaches.map(|breach| format!("unlike the model: {breach}")).collect()
    }

    /// What Muster asked for and was not allowed by its rights, since that was last asked.
    pub(super) fn take_missing_rights(&self) -> Vec<String> {
        let missing = self.aws.take_missing_rights().into_iter();
        missing.map(|missing| format!("no right is printed: {missing}")).collect()
    }

    /// Forgets the trouble of another run.
    pub(super) fn forget_trouble(&self) {
        locked(&self.troubles).clear();
    }

    /// Adds a fault that ends with the trouble.
    pub(super) fn trouble(&self, fault: Fault) {
        locked(&self.troubles).push(self.aws.fault(fault));
    }

    /// Ends the trouble's faults.
    pub(super) fn end_trouble(&self) {
        for fault in &*locked(&self.troubles) {
            self.aws.remove_fault(*fault);
        }
    }

    /// Whether the trouble met any call, if it is one that meets calls.
    pub(super) fn has_met_a_call(&self) -> bool {
        let faults = locked(&self.troubles);
        faults.is_empty() || faults.iter().any(|fault| self.aws.times_met(*fault) > 0)
    }

    /// Adds a fault that ends with the outage.
    pub(super) fn fail(&self, fault: Fault) {
        locked(&self.outage).push(self.aws.fault(fault));
    }

    /// Ends the outage's faults.
    pub(super) fn end_outage(&self) {
        for fault in std::mem::take(&mut *locked(&self.outage)) {
            self.aws.remove_fault(fault);
        }
    }

    /// Whether nobody reaches a region's databases from outside of their subnets.
    pub(super) fn is_cut_off(&self, region: Region) -> bool {
        self.aws.is_cut_off(ACCOUNT, region.aws())
    }

    /// Takes off what is denied at a region's network ACL, as a person would.
    pub(super) fn lift(&self, region: Region) {
        for (egress, number, action) in self.aws.acl_entries(acl(region)) {
            if number == RULE && action == "deny" {
                self.aws.remove_acl_entry(acl(region), egress, number);
            }
        }
    }

    /// What each name server answers; `None`: it does not.
    pub(super) async fn answers(&self) -> Vec<Option<IpAddr>> {
        let ask = |server: &SocketAddr| {
            let server = *server;
            async move { ask_address(server, NAME, ANSWER).await.ok().map(|answer| answer.address) }
        };
        futures::future::join_all(self.zone.servers.iter().map(ask)).await
    }

    /// The region that the name falls back to when every marker is gone.
    pub(super) async fn primary(&self) -> anyhow::Result<Option<Region>> {
        let path = format!("/2013-04-01/hostedzone/{}/rrset", self.zone.id);
        let listed = self.ask(route53("GET", &path, String::new())).await?;
        let sets = texts(&listed, "ResourceRecordSet");
        let primary = sets.into_iter().find(|set| texts(set, "Failover") == ["PRIMARY"]);
        let address = primary.map(|set| texts(set, "Value").concat()).unwrap_or_default();
        Ok(Region::ALL.into_iter().find(|region| region.front().to_string() == address))
    }

    /// Regions whose marker is on, as their checkers see it: the checks are inverted.
    pub(super) fn markers_on(&self) -> Vec<Region> {
        Region::ALL.into_iter().filter(|region| !self.aws.health(self.check(*region))).collect()
    }

    /// Asks, and expects to be answered with what was asked for.
    pub(super) async fn ask(&self, ask: Ask<'_>) -> anyhow::Result<String> {
        let what = format!("{} {}", ask.service, ask.path);
        let (status, body) = timeout(ANSWER, self.exchange(ask))
            .await
            .with_context(|| format!("no answer to {what}"))?
            .with_context(|| format!("failed to ask {what}"))?;
        if status != 200 && status != 201 {
            bail!("{what}: {status}: {body}");
        }
        Ok(body)
    }

    async fn exchange(&self, ask: Ask<'_>) -> anyhow::Result<(u16, String)> {
        let endpoint = self.aws.endpoint();
        let address = endpoint.trim_start_matches("http://");
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the answer: the sender is dropped then.
        tokio::spawn(connection);
        let scope = format!("{OWN_KEY}/20260101/{}/{}/aws4_request", ask.region, ask.service);
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature=00");
        let request = Request::builder().method(ask.method).uri(ask.path).header("host", address);
        let request = if ask.service == "rds" {
            request.header("content-type", "application/x-www-form-urlencoded")
        } else {
            request
        };
        let request = request.header("authorization", authorization);
        let answer = sender.send_request(request.body(Full::new(Bytes::from(ask.body)))?).await?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}

fn member(region: Region) -> NewMember {
    NewMember {
        region: region.aws().to_owned(),
        cluster: format!("orders-{}", region.name()),
        instances: vec![format!("orders-{}-1", region.name())],
    }
}

/// The name of a region's instance, whichever it is: one that was promoted, or a replica.
pub(super) fn instance(region: Region) -> String {
    format!("reports-{}", region.name())
}

fn orders_instance_arn(region: Region) -> String {
    format!("arn:aws:rds:{}:{ACCOUNT}:db:orders-{}-1", region.aws(), region.name())
}

/// The network ACL of a region's databases.
pub(super) const fn acl(region: Region) -> &'static str {
    match region {
        Region::East => "acl-0ea57",
        Region::West => "acl-0e57a",
    }
}

/// What it is in force for.
const fn subnets(region: Region) -> [&'static str; 2] {
    match region {
        Region::East => ["subnet-0ea1", "subnet-0ea2"],
        Region::West => ["subnet-0e51", "subnet-0e52"],
    }
}

/// The bucket of a region's marker.
pub(super) fn bucket(region: Region) -> String {
    format!("muster-shop-{}", region.name())
}

fn route53<'a>(method: &'a str, path: &'a str, body: String) -> Ask<'a> {
    Ask { method, path, service: "route53", region: "us-east-1", body }
}

/// The texts of all elements with this tag.
pub(super) fn texts<'a>(xml: &'a str, tag: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let after_open = xml.split(open.as_str()).skip(1);
    after_open.filter_map(|rest| rest.split_once(close.as_str())).map(|(text, _)| text).collect()
}

#[cfg(test)]
mod tests {
    use super::texts;

    #[test]
    fn elements_are_told_by_their_whole_tag() {
        let xml = "<A><B>1</B></A><AB><B>2</B></AB><A><B>3</B></A>";
        assert_eq!(texts(xml, "A"), ["<B>1</B>", "<B>3</B>"]);
        assert_eq!(texts(xml, "B"), ["1", "2", "3"]);
    }
}
