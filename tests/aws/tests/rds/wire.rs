//! What is shown where, how errors are named, and what is noted of a call.

use crate::stage::{ACCOUNT, EAST, Line, Stage, WEST, rds, send};
use muster_aws_fake::Call;

#[tokio::test]
async fn a_global_database_is_shown_with_its_members() {
    let stage = Stage::start().await;
    for region in [EAST, WEST] {
        let answer = stage.global(region).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let opening = "<DescribeGlobalClustersResponse xmlns=\"http://rds.amazonaws.com/doc/2014-10-31/\">\
                       <DescribeGlobalClustersResult><GlobalClusters>";
        assert!(answer.body.starts_with(opening), "{}", answer.body);
        assert_eq!(answer.texts("GlobalClusterResourceId"), [stage.shop.resource_id.as_str()]);
        assert_eq!(answer.texts("GlobalClusterArn"), [stage.shop.arn.as_str()]);
        assert_eq!(answer.texts("Status"), ["available"]);
        assert_eq!(answer.texts("member"), [stage.cluster(WEST)], "the writer has one reader");
        assert_eq!(answer.texts("RequestId").len(), 1);
        assert_eq!(stage.members(region).await, ["shop-east writer connected", "shop-west reader connected"]);
    }
    let elsewhere = stage.global("eu-west-1").await;
    assert_eq!(elsewhere.error(), (404, "GlobalClusterNotFoundFault".to_owned()));
}

#[tokio::test]
async fn each_region_shows_its_own_clusters_and_instances() {
    let stage = Stage::start().await;
    let clusters = stage.call(WEST, "DescribeDBClusters", &[]).await;
    assert_eq!(clusters.texts("DBClusterArn"), [stage.cluster(WEST)]);
    assert_eq!(clusters.texts("ReplicationSourceIdentifier"), [stage.cluster(EAST)]);
    assert_eq!(clusters.texts("GlobalClusterIdentifier"), ["shop"]);
    assert_eq!(clusters.texts("IsClusterWriter"), ["true"]);
    let instances = stage.call(WEST, "DescribeDBInstances", &[]).await;
    assert_eq!(instances.texts("DBInstanceIdentifier"), ["shop-west-1"]);
    assert_eq!(instances.texts("DBClusterIdentifier"), ["shop-west"]);

    for written in ["shop-east", stage.cluster(EAST)] {
        let here = stage.call(EAST, "DescribeDBClusters", &[("DBClusterIdentifier", written)]).await;
        assert_eq!(here.texts("DBClusterIdentifier"), ["shop-east"], "{}", here.body);
        assert!(here.texts("ReplicationSourceIdentifier").is_empty(), "{}", here.body);
        let there = stage.call(WEST, "DescribeDBClusters", &[("DBClusterIdentifier", written)]).await;
        assert_eq!(there.error(), (404, "DBClusterNotFoundFault".to_owned()));
    }
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_under_its_name_on_the_wire() {
    let stage = Stage::start().await;
    let global = [("GlobalClusterIdentifier", "nothing")];
    let instance = [("DBInstanceIdentifier", "nothing")];
    let snapshot = [("DBClusterSnapshotIdentifier", "nothing")];
    let target = [("GlobalClusterIdentifier", "shop"), ("TargetDbClusterIdentifier", "shop-west")];
    for (action, parameters, code) in [
        ("DescribeGlobalClusters", &global[..], "GlobalClusterNotFoundFault"),
        ("DescribeDBInstances", &instance[..], "DBInstanceNotFound"),
        ("PromoteReadReplica", &instance[..], "DBInstanceNotFound"),
        ("DescribeDBClusterSnapshots", &snapshot[..], "DBClusterSnapshotNotFoundFault"),
        ("SwitchoverGlobalCluster", &target[..], "DBClusterNotFoundFault"),
    ] {
        let answer = stage.call(EAST, action, parameters).await;
        assert_eq!(answer.error(), (404, code.to_owned()), "{action}: {}", answer.body);
        assert_eq!(answer.texts("Type"), ["Sender"]);
    }
    let stranger = send(&stage.aws, Line { key: "AKIDNOBODY", ..rds(EAST) }, "DescribeEvents", &[]);
    let stranger = stranger.await.expect("an answer");
    assert_eq!(stranger.error(), (403, "InvalidClientTokenId".to_owned()));
}

#[tokio::test]
async fn what_is_not_known_is_refused() {
    let stage = Stage::start().await;
    for (action, parameter, code) in [
        ("DeleteDBCluster", "DBClusterIdentifier", "InvalidAction"),
        ("DescribeDBClusters", "Colour", "InvalidParameterValue"),
        ("DescribeDBClusters", "Filters.Filter.1.Name", "InvalidParameterValue"),
        ("DescribeDBClusters", "MaxRecords", "InvalidParameterValue"),
        ("FailoverGlobalCluster", "AllowDataLoss", "InvalidParameterValue"),
        ("StopDBInstance", "DBInstanceIdentifier", "MissingParameter"),
        ("DescribeEvents", "SourceIdentifier", "InvalidParameterCombination"),
    ] {
        let value = if action == "StopDBInstance" { "" } else { "shop" };
        let answer = stage.call(EAST, action, &[(parameter, value)]).await;
        assert_eq!(answer.error(), (400, code.to_owned()), "{action} {parameter}: {}", answer.body);
    }
}

#[tokio::test]
async fn calls_are_noted_with_their_region_and_whether_they_change_anything() {
    let stage = Stage::start().await;
    stage.global(WEST).await;
    stage.switch_over(EAST).await;
    let call = |operation: &str, region: &str, is_mutation: bool, status: u16, code: Option<&str>| Call {
        service: "rds".to_owned(),
        operation: operation.to_owned(),
        account: ACCOUNT.to_owned(),
        region: region.to_owned(),
        is_mutation,
        status,
        code: code.map(str::to_owned),
        is_struck: false,
        is_done: code.is_none(),
    };
    let refused = Some("InvalidGlobalClusterStateFault");
    let expected = [
        call("DescribeGlobalClusters", WEST, false, 200, None),
        call("SwitchoverGlobalCluster", EAST, true, 400, refused),
    ];
    assert_eq!(stage.aws.calls(), expected);
}

#[tokio::test]
async fn a_long_listing_comes_in_pages() {
    let stage = Stage::start().await;
    for number in 0..24 {
        stage.aws.create_instance(ACCOUNT, EAST, &format!("db-{number:02}"));
    }
    let first = stage.call(EAST, "DescribeDBInstances", &[("MaxRecords", "20")]).await;
    assert_eq!(first.texts("DBInstanceIdentifier").len(), 20);
    let marker = first.texts("Marker").concat();
    let second =
        stage.call(EAST, "DescribeDBInstances", &[("MaxRecords", "20"), ("Marker", marker.as_str())]).await;
    assert_eq!(second.texts("DBInstanceIdentifier").len(), 5);
    assert!(second.texts("Marker").is_empty(), "{}", second.body);
    let mut seen = first.texts("DBInstanceIdentifier");
    seen.extend(second.texts("DBInstanceIdentifier"));
    seen.dedup();
    assert_eq!(seen.len(), 25, "with the one of the cluster");
}
