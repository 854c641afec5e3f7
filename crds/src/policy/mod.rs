//! `RegionFailoverPolicy`: the user's spec, one file per area.
//!
//! The schema is generated from these types, with defaults and CEL rules; `crds/generated` holds the result. What
//! the API server cannot check (templates, expressions, addresses) is for the binary's conversion.

// KubeSchema copies each public struct into a function, to derive the schema from the copy.
#![expect(unreachable_pub, reason = "code made by KubeSchema")]

mod call;
mod compute;
mod data;
mod detection;
mod fence;
mod hooks;
mod probes;
mod regions;
mod request;
mod safety;
mod spec;
mod status;
mod traffic;

pub use call::{Command, Exec, Rejoin, RejoinWebhook};
pub use compute::{Compute, Scale, ScaleTarget, ScaleTo};
pub use data::{
    ApplicationRole, AuroraGlobal, AuroraMember, DataItem, NoAck, Postgres, PostgresNode, PostgresTls,
    PostgresTlsMode, RdsInstance, RdsReplica,
};
pub use detection::{Aggregate, Detection, Quorum, Reset, Trip};
pub use fence::{
    Fence, FenceAws, FenceExec, FenceProof, FenceScaleToZero, FenceSql, FenceWebhook, RegionNetworkAcls,
};
pub use hooks::{Hook, HookExec, HookPoint, HookWebhook};
pub use probes::{
    DnsProbe, GrpcProbe, HeartbeatProbe, Probe, PublicHttp, PublicProbe, RecordType, Side, SqlProbe, TcpProbe,
};
pub use regions::{AwsRegion, Cluster, InCluster, Region, Vantage};
pub use request::{ClientTls, HttpProbe, SecretHeader, SecretRef, SuiteStep};
pub use safety::{AcceptedProof, Mode, Objectives, Safety, WithoutFence};
pub use spec::{RegionFailoverPolicy, RegionFailoverPolicySpec};
pub use status::{ActiveRun, Blocker, LastRun, RegionFailoverPolicyStatus, RegionStatus};
pub use traffic::{
    ClusterEndpoint, HealthObject, HealthObjectRegion, Rfc2136, Route53, Route53Flip, Route53Record,
    RoutingControl, RoutingControlRegion, Target, Traffic, Tsig, TsigAlgorithm,
};
