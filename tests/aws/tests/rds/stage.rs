//! A fake with one global database, and a client that speaks to it without an SDK.

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use muster_aws_fake::{FakeAws, NewGlobalCluster, NewMember};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use url::form_urlencoded;

pub(crate) const KEY: &str = "AKIDONE";
pub(crate) const ACCOUNT: &str = "111111111111";
pub(crate) const EAST: &str = "us-east-1";
pub(crate) const WEST: &str = "us-west-2";
/// Of the usual pace: from the acceptance of an operation to somewhere in its course.
pub(crate) const WHILE_PENDING: Duration = Duration::from_secs(4);
pub(crate) const WHILE_MOVING: Duration = Duration::from_secs(20);
/// From its acceptance to its end, but not to the end of what a failover leaves behind.
pub(crate) const WHOLE_MOVE: Duration = Duration::from_secs(90);
/// Longer than anything takes here, however slow its surroundings are.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer of the API.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    /// The texts of all elements with this tag.
    pub(crate) fn texts(&self, tag: &str) -> Vec<&str> {
        texts(&self.body, tag)
    }

    /// The texts of all elements with this tag inside of the first element with the other one.
    pub(crate) fn texts_in(&self, outer: &str, tag: &str) -> Vec<&str> {
        texts(&self.body, outer).first().map(|inner| texts(inner, tag)).unwrap_or_default()
    }

    /// Status and error code.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status, self.texts("Code").concat())
    }
}

pub(crate) fn texts<'a>(xml: &'a str, tag: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let after_open = xml.split(open.as_str()).skip(1);
    after_open.filter_map(|rest| rest.split_once(close.as_str())).map(|(text, _)| text).collect()
}

pub(crate) fn member(region: &str, cluster: &str, instances: &[&str]) -> NewMember {
    NewMember {
        region: region.to_owned(),
        cluster: cluster.to_owned(),
        instances: instances.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// Which service is spoken to, where, and as whom.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) key: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    pub(crate) version: &'a str,
}

/// RDS in this region.
pub(crate) fn rds(region: &str) -> Line<'_> {
    Line { key: KEY, region, service: "rds", version: "2014-10-31" }
}

fn encode(action: &str, version: &str, parameters: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", action).append_pair("Version", version);
    form.extend_pairs(parameters).finish()
}

/// Sends a form on a connection of its own. An error: the connection was closed without an answer.
pub(crate) async fn send(
    aws: &FakeAws,
    line: Line<'_>,
    action: &str,
    parameters: &[(&str, &str)],
) -> Result<Answer, hyper::Error> {
    let Line { key, region, service, version } = line;
    let body = encode(action, version, parameters);
    let address = aws.endpoint().trim_start_matches("http://").to_owned();
    let stream = TcpStream::connect(&address).await.expect("the fake listens");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let credential = format!("{key}/20260101/{region}/{service}/aws4_request");
    let request = Request::builder()
        .method("POST")
        .uri("/")
        .header("host", &address)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", format!("AWS4-HMAC-SHA256 Credential={credential}, Signature=00"))
        .body(Full::new(Bytes::from(body)))
        .expect("a request");
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
}

/// The fake, and the global database `shop` in it: `shop-east` is the writer, `shop-west` the other member.
pub(crate) struct Stage {
    pub(crate) aws: FakeAws,
    pub(crate) shop: NewGlobalCluster,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        let aws = FakeAws::start().await.expect("the fake starts");
        aws.add_account(KEY, ACCOUNT);
        let members =
            [member(EAST, "shop-east", &["shop-east-1"]), member(WEST, "shop-west", &["shop-west-1"])];
        let shop = aws.create_global_cluster(ACCOUNT, "shop", &members);
        Self { aws, shop }
    }

    /// The ARN of the member in this region.
    pub(crate) fn cluster(&self, region: &str) -> &str {
        &self.shop.clusters[region]
    }

    pub(crate) async fn call(&self, region: &str, action: &str, parameters: &[(&str, &str)]) -> Answer {
        send(&self.aws, rds(region), action, parameters).await.expect("an answer")
    }

    /// Switches or fails over to the member in this region, at its endpoint.
    pub(crate) async fn start_move(&self, action: &str, to: &str, more: &[(&str, &str)]) -> Answer {
        let mut parameters =
            vec![("GlobalClusterIdentifier", "shop"), ("TargetDbClusterIdentifier", self.cluster(to))];
        parameters.extend_from_slice(more);
        self.call(to, action, &parameters).await
    }

    pub(crate) async fn fail_over(&self, to: &str) -> Answer {
        let answer = self.start_move("FailoverGlobalCluster", to, &[("AllowDataLoss", "true")]).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    }

    pub(crate) async fn switch_over(&self, to: &str) -> Answer {
        self.start_move("SwitchoverGlobalCluster", to, &[]).await
    }

    pub(crate) async fn global(&self, region: &str) -> Answer {
        self.call(region, "DescribeGlobalClusters", &[("GlobalClusterIdentifier", "shop")]).await
    }

    /// The members, each in one line: `shop-east writer connected`.
    pub(crate) async fn members(&self, region: &str) -> Vec<String> {
        let answer = self.global(region).await;
        let members = answer.texts_in("GlobalClusterMembers", "GlobalClusterMember");
        members.into_iter().map(describe_member).collect()
    }

    /// The status of the operation, if one goes on.
    pub(crate) async fn move_status(&self) -> Option<String> {
        let answer = self.global(WEST).await;
        answer.texts_in("FailoverState", "Status").first().map(|status| (*status).to_owned())
    }

    /// What is told in this region about clusters and instances, without the clusters' names.
    pub(crate) async fn messages(&self, region: &str) -> Vec<String> {
        let answer = self.call(region, "DescribeEvents", &[("Duration", "1440")]).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.texts("Message").into_iter().map(str::to_owned).collect()
    }

    /// The status of an instance.
    pub(crate) async fn instance_status(&self, region: &str, name: &str) -> String {
        let answer = self.call(region, "DescribeDBInstances", &[("DBInstanceIdentifier", name)]).await;
        answer.texts("DBInstanceStatus").concat()
    }
}

fn describe_member(element: &str) -> String {
    let arn = texts(element, "DBClusterArn").concat();
    let name = arn.rsplit(':').next().unwrap_or_default();
    let role = if texts(element, "IsWriter") == ["true"] { "writer" } else { "reader" };
    format!("{name} {role} {}", texts(element, "SynchronizationStatus").concat())
}

/// Waits for what other tasks bring about.
pub(crate) async fn wait_until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "it does not come about");
        tokio::task::yield_now().await;
    }
}
