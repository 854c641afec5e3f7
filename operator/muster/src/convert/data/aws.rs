//! Regions of AWS, for the engines that are steered there.

use super::super::findings::Findings;
use super::super::requests::Resolver;
use muster_crds::policy::{self as api, RegionFailoverPolicySpec};
use muster_crds::text::Name;
use muster_providers::aws::AwsAccess;

/// What holds for `regions[].aws`, whoever uses it.
pub(super) fn check_regions(spec: &RegionFailoverPolicySpec, findings: &mut Findings) {
    let by_aws = spec.fence.iter().find_map(|fence| fence.aws.as_ref().map(|_| "a fence by aws"));
    let engine = spec.data.iter().find_map(engine_of).or(by_aws);
    for (index, region) in spec.regions.iter().enumerate() {
        let path = format!("spec.regions[{index}].aws");
        match (&region.aws, engine) {
            (None, Some(engine)) => {
                let message = format!("{} is no region of AWS, and {engine} needs one", region.name);
                findings.error(format!("spec.regions[{index}]"), message, "add aws: {region: ...}");
            }
            (Some(aws), _) if aws.external_id_secret.is_some() && aws.role_arn.is_none() => {
                let message = "an external id goes with a role";
                findings.error(format!("{path}.externalIdSecret"), message, "give roleArn, or leave it out");
            }
            (Some(_), None) => {
                let message = "the region of AWS is given, and nothing is steered in it";
                findings.warn(path, message, "add the data item or the fence that needs it, or leave it out");
            }
            _ => {}
        }
    }
}

/// The engine of an item that stands in AWS.
fn engine_of(item: &api::DataItem) -> Option<&'static str> {
    let aurora = item.aurora_global.as_ref().map(|_| super::aurora::ENGINE);
    aurora.or_else(|| item.rds_replica.as_ref().map(|_| super::rds_replica::ENGINE))
}

/// Finds whether a database stands where its region does: it is asked about at its own region's endpoint, and would not be
/// found at another. `arn` comes with what it is the ARN of.
pub(super) fn check_place(
    spec: &RegionFailoverPolicySpec,
    region: &Name,
    (arn, what): (&str, &str),
    path: &str,
    findings: &mut Findings,
) {
    let aws = spec.regions.iter().find(|of| of.name == *region).and_then(|of| of.aws.as_ref());
    let stands_in = arn.split(':').nth(3).unwrap_or_default();
    if let Some(aws) = aws.filter(|aws| aws.region.as_str() != stands_in) {
        let message = format!("the {what} stands in {stands_in}, and {region} is {} of AWS", aws.region);
        findings.error(path, message, "correct the ARN, or regions[].aws.region");
    }
}

/// AWS' name of a region, and as whom it is called there. `None`: it is no region of AWS.
pub(in crate::convert) fn region_of(
    spec: &RegionFailoverPolicySpec,
    region: &Name,
    resolver: &Resolver<'_>,
    findings: &mut Findings,
) -> Option<(String, AwsAccess)> {
    let (index, aws) = spec.regions.iter().enumerate().find(|(_, of)| of.name == *region)?;
    let aws = aws.aws.as_ref()?;
    let path = format!("spec.regions[{index}].aws.externalIdSecret");
    let secret = resolver.optional(aws.external_id_secret.as_ref(), &path, findings);
    let access = AwsAccess {
        role_arn: aws.role_arn.as_ref().map(ToString::to_string),
        external_id: secret.map(|secret| secret.expose().to_owned()),
    };
    Some((aws.region.to_string(), access))
}
