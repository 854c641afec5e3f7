//! What a replica that is made anew has from the instance whose name it gets. What is not said, RDS takes from the new primary
//! or from its own defaults, and none of these fit: they are of another region.
//!
//! Not copied: what is of the data and follows the new primary (version, storage size, passwords); what a replica has none of
//! (backups, until it is promoted); what RDS' API does not take here (the maintenance window, IAM roles of features); option
//! groups, of which RDS for PostgreSQL has no use; a default parameter group, which RDS gives by itself; a directory's domain.
//! AWS' documents let a parameter group be said for few engines; its own ARC Region switch copies it for all.

use aws_sdk_rds::operation::create_db_instance_read_replica::builders::CreateDBInstanceReadReplicaFluentBuilder as Request;
use aws_sdk_rds::types::{DbInstance, Endpoint, Tag};

/// Every gp3 volume has so many; RDS refuses to be told it of a small one.
const GP3_LEAST_IOPS: i32 = 3000;
/// Of tags that AWS keeps to itself.
const RESERVED: &str = "aws:";
/// Of groups that RDS makes by itself.
const DEFAULT: &str = "default.";

/// Says all of it.
pub(super) fn copy(request: Request, from: &DbInstance) -> Request {
    let request = copy_place(request, from);
    let request = copy_storage(request, from);
    let request = copy_watching(request, from);
    request
        .set_db_instance_class(from.db_instance_class.clone())
        .set_multi_az(from.multi_az)
        .set_auto_minor_version_upgrade(from.auto_minor_version_upgrade)
        .set_enable_iam_database_authentication(from.iam_database_authentication_enabled)
        .set_ca_certificate_identifier(from.ca_certificate_identifier.clone())
        .set_deletion_protection(from.deletion_protection)
        .set_copy_tags_to_snapshot(from.copy_tags_to_snapshot)
        .set_processor_features(from.processor_features.clone().filter(|list| !list.is_empty()))
        .set_tags(some(tags(from)))
}

fn copy_place(request: Request, from: &DbInstance) -> Request {
    let groups = from.vpc_security_groups().iter().filter_map(|group| group.vpc_security_group_id.clone());
    let subnets = from.db_subnet_group().and_then(|group| group.db_subnet_group_name.clone());
    let parameters =
        from.db_parameter_groups().iter().find_map(|group| group.db_parameter_group_name.clone());
    // While an instance is renamed it has no endpoint.
    let port = from.endpoint().and_then(Endpoint::port).or(from.db_instance_port).filter(|port| *port > 0);
    request
        .set_port(port)
        .set_db_subnet_group_name(subnets)
        .set_vpc_security_group_ids(some(groups.collect()))
        .set_db_parameter_group_name(parameters.filter(|name| !name.starts_with(DEFAULT)))
        .set_publicly_accessible(from.publicly_accessible)
        .set_network_type(from.network_type.clone())
        .set_enable_customer_owned_ip(from.customer_owned_ip_enabled.filter(|is_on| *is_on))
}

fn copy_storage(request: Request, from: &DbInstance) -> Request {
    let kind = from.storage_type().unwrap_or_default();
    let is_usual = kind == "gp3" && from.iops.is_none_or(|iops| iops <= GP3_LEAST_IOPS);
    let is_told = !is_usual && matches!(kind, "gp3" | "io1" | "io2");
    let throughput = from.storage_throughput.filter(|rate| kind == "gp3" && *rate > 0);
    request
        .set_storage_type(from.storage_type.clone())
        .set_iops(from.iops.filter(|_| is_told))
        .set_storage_throughput(throughput.filter(|_| is_told))
        .set_max_allocated_storage(from.max_allocated_storage.filter(|size| *size > 0))
        .set_dedicated_log_volume(from.dedicated_log_volume.filter(|is_on| *is_on))
}

fn copy_watching(request: Request, from: &DbInstance) -> Request {
    let interval = from.monitoring_interval.filter(|seconds| *seconds > 0);
    let is_insightful = from.performance_insights_enabled.filter(|is_on| *is_on);
    request
        .set_monitoring_interval(interval)
        .set_monitoring_role_arn(from.monitoring_role_arn.clone().filter(|_| interval.is_some()))
        .set_database_insights_mode(from.database_insights_mode.clone())
        .set_enable_performance_insights(is_insightful)
        .set_performance_insights_kms_key_id(
            from.performance_insights_kms_key_id.clone().filter(|_| is_insightful.is_some()),
        )
        .set_performance_insights_retention_period(
            from.performance_insights_retention_period.filter(|_| is_insightful.is_some()),
        )
        .set_enable_cloudwatch_logs_exports(some(from.enabled_cloudwatch_logs_exports().to_vec()))
}

fn tags(from: &DbInstance) -> Vec<Tag> {
    let may_be_given = |tag: &&Tag| !tag.key().unwrap_or_default().starts_with(RESERVED);
    from.tag_list().iter().filter(may_be_given).cloned().collect()
}

/// A list that is said only if there is anything in it.
fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_rds::operation::create_db_instance_read_replica::builders::CreateDbInstanceReadReplicaInputBuilder;
    use aws_sdk_rds::types::{DbParameterGroupStatus, DbSubnetGroup, VpcSecurityGroupMembership};
    use aws_sdk_rds::{Client, Config, config::BehaviorVersion};

    /// What is said of a replica that takes the place of `from`.
    fn copied(from: &DbInstance) -> CreateDbInstanceReadReplicaInputBuilder {
        let client = Client::from_conf(Config::builder().behavior_version(BehaviorVersion::latest()).build());
        copy(client.create_db_instance_read_replica(), from).as_input().clone()
    }

    #[test]
    fn a_replica_gets_what_the_old_instance_had_in_its_region() {
        let subnets = DbSubnetGroup::builder().db_subnet_group_name("east-subnets").build();
        let group = VpcSecurityGroupMembership::builder().vpc_security_group_id("sg-1").build();
        let parameters = DbParameterGroupStatus::builder().db_parameter_group_name("orders").build();
        let endpoint = Endpoint::builder().address("x").port(6543).build();
        let of_user = Tag::builder().key("team").value("shop").build();
        let of_aws = Tag::builder().key("aws:cloudformation:stack-name").value("x").build();
        let from = DbInstance::builder().db_instance_class("db.r6g.large").db_subnet_group(subnets);
        let from = from.vpc_security_groups(group).db_parameter_groups(parameters).endpoint(endpoint);
        let from =
            from.multi_az(true).deletion_protection(true).monitoring_interval(0).monitoring_role_arn("r");
        let from =
            from.tag_list(of_user.clone()).tag_list(of_aws).enabled_cloudwatch_logs_exports("postgresql");
        let said = copied(&from.build());
        assert_eq!(said.get_db_instance_class().as_deref(), Some("db.r6g.large"));
        assert_eq!(said.get_db_subnet_group_name().as_deref(), Some("east-subnets"));
        assert_eq!(said.get_vpc_security_group_ids().as_deref(), Some(["sg-1".to_owned()].as_slice()));
        assert_eq!(said.get_db_parameter_group_name().as_deref(), Some("orders"));
        assert_eq!((*said.get_port(), *said.get_multi_az()), (Some(6543), Some(true)));
        assert_eq!(*said.get_deletion_protection(), Some(true));
        assert_eq!(said.get_tags().as_deref(), Some([of_user].as_slice()), "AWS keeps its own to itself");
        assert_eq!(
            said.get_enable_cloudwatch_logs_exports().as_deref(),
            Some(["postgresql".to_owned()].as_slice())
        );
        assert_eq!((said.get_monitoring_role_arn(), said.get_monitoring_interval()), (&None, &None));
    }

    #[test]
    fn what_rds_gives_by_itself_or_refuses_to_be_told_is_not_said() {
        let parameters =
            DbParameterGroupStatus::builder().db_parameter_group_name("default.postgres16").build();
        let small = DbInstance::builder().storage_type("gp3").iops(3000).storage_throughput(125);
        let said = copied(&small.db_parameter_groups(parameters).db_instance_port(0).build());
        assert_eq!((said.get_iops(), said.get_storage_throughput()), (&None, &None));
        assert_eq!((said.get_db_parameter_group_name(), said.get_port()), (&None, &None));
        assert_eq!((said.get_tags(), said.get_vpc_security_group_ids()), (&None, &None));
        let large = DbInstance::builder().storage_type("gp3").iops(12000).storage_throughput(500).build();
        assert_eq!(
            (*copied(&large).get_iops(), *copied(&large).get_storage_throughput()),
            (Some(12000), Some(500))
        );
        let io = DbInstance::builder().storage_type("io2").iops(1000).storage_throughput(0).build();
        assert_eq!((*copied(&io).get_iops(), *copied(&io).get_storage_throughput()), (Some(1000), None));
    }
}
