//! What goes wrong with AWS in a run, beside the run's own reason.

use super::cloud::{Cloud, usual_pace};
use super::region::Parts;
use super::stage::Way;
use muster_aws_fake::{Fault, FaultKind, RdsMove, RdsPace};
use muster_core::journal::RunKind::{self, Failback, Failover, Switchover};
use std::time::Duration;

const EVERY: &[RunKind] = &[Switchover, Failback, Failover];
const PLANNED: &[RunKind] = &[Switchover, Failback];
const MOVES: [&str; 2] = ["SwitchoverGlobalCluster", "FailoverGlobalCluster"];
const FAILOVERS: &[RunKind] = &[Failover];
const DETACH: &str = "RemoveFromGlobalCluster";
const DENY: &str = "CreateNetworkAclEntry";
const PROMOTE: &str = "PromoteReadReplica";
const REBUILD: [&str; 2] = ["ModifyDBInstance", "CreateDBInstanceReadReplica"];
const PUT: &str = "PutObject";
const CHANGE: &str = "ChangeResourceRecordSets";
/// So old is what a stale read sees.
const AGE: Duration = Duration::from_secs(3);
/// So old is what a stale read of network ACLs sees: older than the first attempt of a fence, when the second one looks.
const ENTRIES_AGE: Duration = Duration::from_secs(5);

/// One trouble.
pub(super) struct Trouble {
    pub(super) name: &'static str,
    /// The runs in which it makes sense.
    pub(super) kinds: &'static [RunKind],
    /// Begins it, right before the run.
    pub(super) begin: fn(&Cloud, Parts),
    /// Ends what [`Cloud::end_trouble`] does not.
    pub(super) end: fn(&Cloud, Parts),
    /// From its beginning to its end; `None`: until the run is over and everything is calm.
    pub(super) lasts: Option<Duration>,
    /// The run waits for the end of it, and says why with these words.
    pub(super) says: Option<&'static str>,
    /// It may hide from Muster what Muster has written last, and so have the records written once more.
    pub(super) touches: bool,
    /// For the same reason so many changes may be refused that EC2 compares with what stands there, each time that it denies.
    pub(super) refused: usize,
}

impl Trouble {
    const fn new(name: &'static str, kinds: &'static [RunKind], begin: fn(&Cloud, Parts)) -> Self {
        Self { name, kinds, begin, end: nothing, lasts: None, says: None, touches: false, refused: 0 }
    }

    const fn lasting(self, seconds: u64) -> Self {
        Self { lasts: Some(Duration::from_secs(seconds)), ..self }
    }

    const fn ended_by(self, end: fn(&Cloud, Parts)) -> Self {
        Self { end, ..self }
    }

    const fn touching(self) -> Self {
        Self { touches: true, ..self }
    }

    const fn refusing(self, refused: usize) -> Self {
        Self { refused, ..self }
    }

    const fn saying(self, words: &'static str) -> Self {
        Self { says: Some(words), ..self }
    }
}

/// All of them.
pub(super) const ALL: &[Trouble] = &[
    Trouble::new("rds-answer-lost", EVERY, |cloud, _| moves(cloud, &FaultKind::LoseAnswer, 1)),
    Trouble::new("rds-request-lost", EVERY, |cloud, _| moves(cloud, &FaultKind::LoseRequest, 1)),
    Trouble::new("rds-internal-failure", EVERY, |cloud, _| moves(cloud, &internal_failure(), 1)),
    Trouble::new("rds-throttled", EVERY, throttle_rds).lasting(60),
    Trouble::new("rds-denied", EVERY, deny_changes).lasting(10).saying("AccessDenied"),
    Trouble::new("rds-stale-reads", EVERY, stale_rds).lasting(20),
    Trouble::new("rds-slow", EVERY, slow_rds).ended_by(usual_rds),
    Trouble::new("rds-unknown-status", EVERY, unknown_status).ended_by(no_status).lasting(5),
    Trouble::new("rds-somebody-else", PLANNED, somebody_else)
        .ended_by(usual_rds)
        .lasting(8)
        .saying("under way"),
    Trouble::new("promote-answer-lost", EVERY, |cloud, _| promotion(cloud, &FaultKind::LoseAnswer, 1)),
    Trouble::new("promote-request-lost", EVERY, |cloud, _| promotion(cloud, &FaultKind::LoseRequest, 1)),
    Trouble::new("promote-internal-failure", EVERY, |cloud, _| promotion(cloud, &internal_failure(), 1)),
    Trouble::new("promote-refused", EVERY, |cloud, _| promotion(cloud, &invalid_state(), 2)),
    Trouble::new("promote-backing-up", EVERY, back_up).ended_by(backed_up).lasting(15).saying("backing-up"),
    Trouble::new("rebuild-answer-lost", EVERY, |cloud, _| rebuild(cloud, &FaultKind::LoseAnswer, 1)),
    Trouble::new("rebuild-request-lost", EVERY, |cloud, _| rebuild(cloud, &FaultKind::LoseRequest, 1)),
    Trouble::new("rebuild-refused", EVERY, |cloud, _| rebuild(cloud, &invalid_state(), 2)),
    Trouble::new("s3-answer-lost", EVERY, |cloud, _| strike(cloud, PUT, &FaultKind::LoseAnswer, 1)),
    Trouble::new("s3-request-lost", EVERY, |cloud, _| strike(cloud, PUT, &FaultKind::LoseRequest, 1)),
    Trouble::new("s3-precondition-failed", EVERY, |cloud, _| strike(cloud, PUT, &precondition_failed(), 1)),
    Trouble::new("s3-conflict", EVERY, |cloud, _| strike(cloud, PUT, &conflict(), 1)),
    Trouble::new("s3-internal-failure", EVERY, |cloud, _| strike(cloud, PUT, &internal_error(), 1)),
    Trouble::new("s3-denied", EVERY, |cloud, _| strike(cloud, PUT, &FaultKind::Deny, u32::MAX))
        .lasting(20)
        .saying("AccessDenied"),
    Trouble::new("s3-throttled", EVERY, |cloud, _| strike(cloud, PUT, &slow_down(), u32::MAX)).lasting(60),
    Trouble::new("settle-answer-lost", EVERY, |cloud, _| strike(cloud, CHANGE, &FaultKind::LoseAnswer, 1)),
    Trouble::new("settle-request-lost", EVERY, |cloud, _| strike(cloud, CHANGE, &FaultKind::LoseRequest, 1)),
    Trouble::new("settle-throttled", EVERY, |cloud, _| strike(cloud, CHANGE, &throttling(), u32::MAX))
        .lasting(60),
    Trouble::new("settle-prior-request", EVERY, |cloud, _| strike(cloud, CHANGE, &prior_request(), 2)),
    // In a failover the outage has the same answer.
    Trouble::new("settle-unavailable", PLANNED, |cloud, _| strike(cloud, CHANGE, &unavailable(), 3)),
    Trouble::new("settle-denied", EVERY, |cloud, _| strike(cloud, CHANGE, &FaultKind::Deny, 2)),
    Trouble::new("route53-stale-lists", EVERY, stale_lists).touching(),
    Trouble::new("checkers-cut", EVERY, cut_checkers).ended_by(heal_checkers).lasting(10),
];

/// Those of the ways of a failover that only it has.
pub(super) const fn of(way: Way) -> &'static [Trouble] {
    match way {
        Way::Usual => &[],
        Way::Detached => DETACHING,
        Way::ByAcl => DENYING,
    }
}

/// Of one that is fenced at network ACLs.
const DENYING: &[Trouble] = &[
    Trouble::new("acl-answer-lost", FAILOVERS, |cloud, _| strike(cloud, DENY, &FaultKind::LoseAnswer, 1)),
    Trouble::new("acl-request-lost", FAILOVERS, |cloud, _| strike(cloud, DENY, &FaultKind::LoseRequest, 1)),
    Trouble::new("acl-throttled", FAILOVERS, |cloud, _| strike(cloud, DENY, &limit_exceeded(), 1)),
    Trouble::new("acl-denied", FAILOVERS, |cloud, _| strike(cloud, DENY, &FaultKind::Deny, u32::MAX))
        .lasting(20)
        .saying("UnauthorizedOperation"),
    // One attempt more is refused at most each time: a number is taken only once.
    Trouble::new("acl-stale-reads", FAILOVERS, stale_acls).refusing(1),
];

/// Of one whose target is detached.
const DETACHING: &[Trouble] = &[
    Trouble::new("detach-answer-lost", FAILOVERS, |cloud, _| removal(cloud, &FaultKind::LoseAnswer, 1)),
    Trouble::new("detach-request-lost", FAILOVERS, |cloud, _| removal(cloud, &FaultKind::LoseRequest, 1)),
    Trouble::new("detach-refused", FAILOVERS, |cloud, _| removal(cloud, &invalid_global_state(), 2)),
    Trouble::new("detach-denied", FAILOVERS, |cloud, _| removal(cloud, &FaultKind::Deny, 2)),
    Trouble::new("detach-stale-reads", FAILOVERS, stale_rds),
];

fn nothing(_: &Cloud, _: Parts) {}

fn answer(status: u16, code: &str, message: &str) -> FaultKind {
    FaultKind::Answer { status, code: code.to_owned(), message: message.to_owned() }
}

/// A service in trouble.
pub(super) fn unavailable() -> FaultKind {
    answer(503, "ServiceUnavailable", "The service is unavailable.")
}

fn internal_failure() -> FaultKind {
    answer(500, "InternalFailure", "An internal error has occurred.")
}

/// As S3 names it.
fn internal_error() -> FaultKind {
    answer(500, "InternalError", "We encountered an internal error. Please try again.")
}

fn throttling() -> FaultKind {
    answer(400, "Throttling", "Rate exceeded")
}

fn invalid_state() -> FaultKind {
    answer(400, "InvalidDBInstanceState", "DB Instance is not in available state.")
}

fn limit_exceeded() -> FaultKind {
    answer(503, "RequestLimitExceeded", "Request limit exceeded.")
}

fn invalid_global_state() -> FaultKind {
    answer(400, "InvalidGlobalClusterStateFault", "The global cluster is in an invalid state.")
}

fn precondition_failed() -> FaultKind {
    answer(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
}

fn conflict() -> FaultKind {
    answer(409, "ConditionalRequestConflict", "The conditional request cannot succeed due to a conflict")
}

fn slow_down() -> FaultKind {
    answer(503, "SlowDown", "Please reduce your request rate.")
}

fn prior_request() -> FaultKind {
    answer(
        400,
        "PriorRequestNotComplete",
        "The request was rejected because a prior request is not complete.",
    )
}

/// Strikes so many calls of an operation.
fn strike(cloud: &Cloud, operation: &str, kind: &FaultKind, times: u32) {
    cloud.trouble(Fault::of(operation, kind.clone()).up_to(times));
}

/// Strikes so many of each of the calls that move the writer; a run makes one of both kinds.
fn moves(cloud: &Cloud, kind: &FaultKind, times: u32) {
    for operation in MOVES {
        strike(cloud, operation, kind, times);
    }
}

/// Strikes so many of the calls that promote the replica.
fn promotion(cloud: &Cloud, kind: &FaultKind, times: u32) {
    strike(cloud, PROMOTE, kind, times);
}

/// Strikes so many of the calls that take the target out of its global database.
fn removal(cloud: &Cloud, kind: &FaultKind, times: u32) {
    strike(cloud, DETACH, kind, times);
}

/// Strikes so many of each of the calls that make an old primary anew.
fn rebuild(cloud: &Cloud, kind: &FaultKind, times: u32) {
    for operation in REBUILD {
        strike(cloud, operation, kind, times);
    }
}

fn throttle_rds(cloud: &Cloud, _: Parts) {
    cloud.trouble(Fault::of_everything(throttling()).in_service("rds"));
}

/// A right to change something was taken away, and is given back.
fn deny_changes(cloud: &Cloud, _: Parts) {
    for operation in MOVES.into_iter().chain([PROMOTE]) {
        strike(cloud, operation, &FaultKind::Deny, u32::MAX);
    }
}

fn stale_rds(cloud: &Cloud, _: Parts) {
    cloud.trouble(Fault::of_everything(FaultKind::StaleReads(AGE)).in_service("rds"));
}

fn stale_acls(cloud: &Cloud, _: Parts) {
    cloud.trouble(Fault::of("DescribeNetworkAcls", FaultKind::StaleReads(ENTRIES_AGE)));
}

fn stale_lists(cloud: &Cloud, _: Parts) {
    cloud.trouble(Fault::of("ListResourceRecordSets", FaultKind::StaleReads(AGE)));
}

fn slow_rds(cloud: &Cloud, _: Parts) {
    let (pending, moving) = (Duration::from_secs(2), Duration::from_secs(6));
    let (promote, reboot, backup) = (Duration::from_secs(5), Duration::from_secs(3), Duration::from_secs(3));
    cloud.aws.set_rds_pace(RdsPace { pending, moving, promote, reboot, backup, ..usual_pace() });
}

fn usual_rds(cloud: &Cloud, _: Parts) {
    cloud.aws.set_rds_pace(usual_pace());
}

fn unknown_status(cloud: &Cloud, parts: Parts) {
    let (from, to) = (cloud.cluster(parts.left), cloud.cluster(parts.taken));
    cloud.aws.set_failover_state(&cloud.global.arn, "something-new", from, to, false);
}

fn no_status(cloud: &Cloud, parts: Parts) {
    let (from, to) = (cloud.cluster(parts.left), cloud.cluster(parts.taken));
    cloud.aws.set_failover_state(&cloud.global.arn, "", from, to, false);
}

/// A failover that another operator began, and that comes to nothing.
fn somebody_else(cloud: &Cloud, parts: Parts) {
    let (pending, moving) = (Duration::from_secs(1), Duration::from_secs(5));
    cloud.aws.set_rds_pace(RdsPace { pending, moving, ..usual_pace() });
    cloud.aws.fail_next_failover();
    cloud.aws.start_by_somebody_else(&cloud.global.arn, cloud.cluster(parts.taken), RdsMove::Failover);
}

/// The replica is being backed up right when it is needed.
fn back_up(cloud: &Cloud, parts: Parts) {
    cloud.aws.set_instance_status(&Cloud::instance_arn(parts.taken), "backing-up");
}

fn backed_up(cloud: &Cloud, parts: Parts) {
    cloud.aws.set_instance_status(&Cloud::instance_arn(parts.taken), "available");
}

fn cut_checkers(cloud: &Cloud, parts: Parts) {
    cloud.aws.cut_checkers_from(parts.taken.aws());
}

fn heal_checkers(cloud: &Cloud, parts: Parts) {
    cloud.aws.heal_checkers(parts.taken.aws());
}
