//! Public names.

use super::request::SecretRef;
use crate::duration::Duration;
use crate::text::{
    Address, AwsRegionName, BucketName, DomainName, EndpointUrl, HealthCheckId, HostedZoneId, Name,
    ObjectKey, RoleArn, RoutingControlArn,
};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One public name: exactly one engine.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.rfc2136) != has(self.route53)").message("exactly one engine is needed: rfc2136 or route53"))]
pub struct Traffic {
    /// Its name.
    pub name: Name,
    /// Name servers that take dynamic updates (RFC 2136), signed by TSIG.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rfc2136: Option<Rfc2136>,
    /// A public hosted zone of Amazon Route 53.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route53: Option<Route53>,
}

/// A record kept by dynamic updates.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
// CEL's implementations differ in whether getMilliseconds() is the whole or the rest: modulo 1000 both agree.
#[x_kube(
    validation = Rule::new("duration(self.ttl).getMilliseconds() % 1000 == 0 && duration(self.ttl) >= duration('1s') && duration(self.ttl) <= duration('24h')")
        .message("ttl must be whole seconds between 1s and 24h").field_path(".ttl"),
    validation = Rule::new("duration(self.timeout) >= duration('100ms') && duration(self.timeout) <= duration('1h')")
        .message("timeout must be between 100ms and 1h").field_path(".timeout"),
)]
pub struct Rfc2136 {
    /// Authoritative name servers, `address:port`. The first takes the updates; every one is verified.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    pub servers: Vec<Address>,
    /// The zone that is updated.
    pub zone: DomainName,
    /// The name that clients look up; in the zone.
    pub record: DomainName,
    /// How long resolvers may keep an answer; whole seconds. It is part of the RTO.
    #[serde(default = "five_seconds")]
    pub ttl: Duration,
    /// The key that the first server accepts updates from.
    pub tsig: Tsig,
    /// Where the name points, one for each region; all IPv4, all IPv6, or all names.
    #[schemars(
        length(min = 2, max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["region"])
    )]
    pub targets: Vec<Target>,
    /// Deadline of one flip, with its verification at every server.
    #[serde(default = "ten_seconds")]
    pub timeout: Duration,
}

const fn five_seconds() -> Duration {
    Duration::from_secs(5)
}
const fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

/// A shared key for transaction signatures (RFC 8945).
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tsig {
    /// Its name, as the server knows it.
    pub key_name: DomainName,
    /// The algorithm that the server knows it by.
    #[serde(default)]
    pub algorithm: TsigAlgorithm,
    /// The key, in base64 as key files write it.
    pub secret: SecretRef,
}

/// HMAC algorithms that every current server knows; older ones are not offered.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum TsigAlgorithm {
    #[default]
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    #[serde(rename = "hmac-sha384")]
    HmacSha384,
    #[serde(rename = "hmac-sha512")]
    HmacSha512,
}

/// A name in a public hosted zone.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("!has(self.externalIdSecret) || has(self.roleArn)")
        .message("externalIdSecret goes with roleArn").field_path(".externalIdSecret"),
    validation = Rule::new("duration(self.timeout) >= duration('1s') && duration(self.timeout) <= duration('1h')")
        .message("timeout must be between 1s and 1h").field_path(".timeout"),
)]
pub struct Route53 {
    /// The hosted zone's id.
    pub zone_id: HostedZoneId,
    /// The zone's name.
    pub zone: DomainName,
    /// The name that clients look up; in the zone.
    pub record: DomainName,
    /// The zone's authoritative servers, `host` or `host:port`, as `aws route53 get-hosted-zone` lists them. Every one is
    /// verified; they stand here so that no call of the API is needed for it.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    pub name_servers: Vec<Address>,
    /// The role that may change the zone. Absent: the credentials that Muster runs with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<RoleArn>,
    /// The external id that the role's trust policy asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id_secret: Option<SecretRef>,
    /// How the name is moved.
    pub flip: Route53Flip,
    /// Deadline of one flip, with its verification at every server. A change takes up to a minute to reach them.
    #[serde(default = "two_minutes")]
    pub timeout: Duration,
}

/// How a name of a hosted zone is moved: exactly one way.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("(has(self.record) ? 1 : 0) + (has(self.healthObject) ? 1 : 0) + (has(self.routingControl) ? 1 : 0) == 1").message("exactly one way is needed: record, healthObject or routingControl"))]
pub struct Route53Flip {
    /// Switches failover records, that were created before, by an object in a bucket of the region that takes over, which a
    /// health check watches. Needs that region's S3 and nothing else on the day; exactly two regions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_object: Option<HealthObject>,
    /// Replaces the record, by the API of Route 53. That API stands in us-east-1 for all regions: it may fail together with
    /// the region that is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Route53Record>,
    /// Switches routing controls of Application Recovery Controller (ARC), which health checks of records follow that were created
    /// before. Needs one of a cluster's five endpoints and nothing else on the day; two regions or more. ARC keeps no record of
    /// who switched, and a cluster is paid by the hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing_control: Option<RoutingControl>,
}

/// A simple record, replaced by a flip.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("duration(self.ttl).getMilliseconds() % 1000 == 0 && duration(self.ttl) >= duration('1s') && duration(self.ttl) <= duration('24h')")
        .message("ttl must be whole seconds between 1s and 24h").field_path(".ttl"),
)]
pub struct Route53Record {
    /// How long resolvers may keep an answer; whole seconds. It is part of the RTO.
    #[serde(default = "five_seconds")]
    pub ttl: Duration,
    /// Where the name points, one for each region; all IPv4, all IPv6, or all names.
    #[schemars(
        length(min = 2, max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["region"])
    )]
    pub targets: Vec<Target>,
}

/// Two failover records, switched by what a health check finds in a bucket. docs/aws.md says how to set them up.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("duration(self.ttl).getMilliseconds() % 1000 == 0 && duration(self.ttl) >= duration('1s') && duration(self.ttl) <= duration('24h')")
        .message("ttl must be whole seconds between 1s and 24h").field_path(".ttl"),
    validation = Rule::new("self.regions.size() == 2")
        .message("exactly two regions are needed: failover records know a primary and a secondary").field_path(".regions"),
    validation = Rule::new("self.regions[0].bucketRegion != self.regions[1].bucketRegion && self.regions[0].bucket != self.regions[1].bucket")
        .message("each region needs a bucket of its own, in a region of AWS of its own").field_path(".regions"),
    validation = Rule::new("self.regions[0].healthCheckId != self.regions[1].healthCheckId")
        .message("each region's object needs a health check of its own").field_path(".regions"),
    validation = Rule::new("!has(self.pinHealthCheckId) || !self.regions.exists(r, r.healthCheckId == self.pinHealthCheckId)")
        .message("the check that pins the name watches nothing: it must be none of the regions' own").field_path(".pinHealthCheckId"),
)]
pub struct HealthObject {
    /// How long resolvers may keep an answer; whole seconds. It is part of the RTO, as is the time that the health check
    /// takes to notice.
    #[serde(default = "five_seconds")]
    pub ttl: Duration,
    /// What the health checks look for, behind `muster-on-`: 16 to 128 letters and digits. Whoever reads the object while it
    /// is on reads this too; it keeps an answer that only looks good from moving traffic.
    pub secret: SecretRef,
    /// A health check that is disabled, and so always healthy. While a region is silent that was left, the PRIMARY record carries
    /// it, so that no object moves the name. Absent: the name is held by its object alone meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin_health_check_id: Option<HealthCheckId>,
    /// One for each of two regions.
    #[schemars(
        length(min = 2, max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["region"])
    )]
    pub regions: Vec<HealthObjectRegion>,
}

/// A region's target, and the object that says that traffic belongs there.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthObjectRegion {
    /// The region.
    pub region: Name,
    /// An IPv4 address (A), an IPv6 address (AAAA) or a name (CNAME).
    pub address: DomainName,
    /// The bucket that the object is in.
    pub bucket: BucketName,
    /// The object's key. Absent: `muster/` and the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ObjectKey>,
    /// The region of AWS that the bucket is in.
    pub bucket_region: AwsRegionName,
    /// The inverted health check that watches this object. The *other* region's record carries it while that one is the
    /// primary.
    pub health_check_id: HealthCheckId,
}

/// A record for each region, switched by routing controls. docs/aws.md says how to set them up.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("duration(self.ttl).getMilliseconds() % 1000 == 0 && duration(self.ttl) >= duration('1s') && duration(self.ttl) <= duration('24h')")
        .message("ttl must be whole seconds between 1s and 24h").field_path(".ttl"),
    validation = Rule::new("self.endpoints.all(e, self.endpoints.filter(o, o.url == e.url).size() == 1)")
        .message("each endpoint has a URL of its own").field_path(".endpoints"),
    validation = Rule::new("self.regions.all(r, self.regions.filter(o, o.routingControlArn == r.routingControlArn || o.healthCheckId == r.healthCheckId).size() == 1)")
        .message("each region needs a routing control and a health check of its own").field_path(".regions"),
)]
pub struct RoutingControl {
    /// How long resolvers may keep an answer; whole seconds. It is part of the RTO. The records have it, or less.
    #[serde(default = "five_seconds")]
    pub ttl: Duration,
    /// The cluster's endpoints, all five if you can: AWS takes each away for maintenance. They stand here so that no call of the
    /// control plane is needed for them.
    #[schemars(
        length(min = 2, max = 5),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["region"])
    )]
    pub endpoints: Vec<ClusterEndpoint>,
    /// One for each region.
    #[schemars(
        length(min = 2, max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["region"])
    )]
    pub regions: Vec<RoutingControlRegion>,
}

/// One of a cluster's endpoints.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterEndpoint {
    /// The region of AWS that it is in.
    pub region: AwsRegionName,
    /// Its URL.
    pub url: EndpointUrl,
}

/// A region's target, and the routing control that says that traffic belongs there.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoutingControlRegion {
    /// The region.
    pub region: Name,
    /// An IPv4 address (A), an IPv6 address (AAAA) or a name (CNAME).
    pub address: DomainName,
    /// The routing control; all of one control panel.
    pub routing_control_arn: RoutingControlArn,
    /// The health check of type `RECOVERY_CONTROL` that follows it. This region's record carries it.
    pub health_check_id: HealthCheckId,
}

const fn two_minutes() -> Duration {
    Duration::from_secs(120)
}

/// Where the name points in one region.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// The region.
    pub region: Name,
    /// An IPv4 address (A), an IPv6 address (AAAA) or a name (CNAME).
    pub address: DomainName,
}
