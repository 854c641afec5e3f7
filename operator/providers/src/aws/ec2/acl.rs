//! Network ACLs, as EC2 tells them: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NetworkAcl.html>

use serde::Deserialize;

/// One page of a list.
#[derive(Deserialize, Default, Debug)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DescribeNetworkAclsResponse {
    pub(super) network_acl_set: Set<NetworkAcl>,
    pub(super) next_token: Option<String>,
}

/// A list of EC2's XML.
#[derive(Clone, PartialEq, Eq, Deserialize, Debug)]
#[serde(default)]
pub(crate) struct Set<T> {
    pub(crate) item: Vec<T>,
}

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self { item: Vec::new() }
    }
}

/// What lets packets into subnets, and out.
#[derive(Clone, PartialEq, Eq, Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NetworkAcl {
    #[serde(rename = "networkAclId")]
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) association_set: Set<Association>,
    #[serde(default)]
    pub(crate) entry_set: Set<Entry>,
}

/// A subnet that it is in force for.
#[derive(Clone, PartialEq, Eq, Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Association {
    pub(crate) subnet_id: String,
}

/// A rule; of one direction the one with the lowest number that matches a packet decides.
#[derive(Clone, PartialEq, Eq, Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    pub(crate) rule_number: u32,
    /// `-1`: all.
    pub(crate) protocol: String,
    /// `allow` or `deny`.
    pub(crate) rule_action: String,
    pub(crate) egress: bool,
    pub(crate) cidr_block: Option<String>,
    pub(crate) ipv6_cidr_block: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_the_api_model_has_it() {
        let body = r#"<DescribeNetworkAclsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
          <requestId>1</requestId>
          <networkAclSet><item>
            <networkAclId>acl-1</networkAclId><vpcId>vpc-1</vpcId><default>false</default>
            <entrySet>
              <item><ruleNumber>100</ruleNumber><protocol>6</protocol><ruleAction>allow</ruleAction><egress>false</egress>
                <cidrBlock>10.0.0.0/8</cidrBlock><portRange><from>5432</from><to>5432</to></portRange></item>
              <item><ruleNumber>32768</ruleNumber><protocol>-1</protocol><ruleAction>deny</ruleAction><egress>true</egress>
                <ipv6CidrBlock>::/0</ipv6CidrBlock></item>
            </entrySet>
            <associationSet><item><networkAclAssociationId>aclassoc-1</networkAclAssociationId><networkAclId>acl-1</networkAclId>
              <subnetId>subnet-1</subnetId></item></associationSet>
            <tagSet/><ownerId>111122223333</ownerId>
          </item><item><networkAclId>acl-2</networkAclId><entrySet/><associationSet/></item></networkAclSet>
          <nextToken>more</nextToken></DescribeNetworkAclsResponse>"#;
        let page: DescribeNetworkAclsResponse = quick_xml::de::from_str(body).expect("it is read");
        let (first, second) = (&page.network_acl_set.item[0], &page.network_acl_set.item[1]);
        assert_eq!(first.association_set.item[0].subnet_id, "subnet-1");
        assert_eq!((first.entry_set.item.len(), page.next_token.as_deref()), (2, Some("more")));
        let last = &first.entry_set.item[1];
        assert_eq!(
            (last.rule_number, last.egress, last.ipv6_cidr_block.as_deref()),
            (32768, true, Some("::/0"))
        );
        assert!(second.entry_set.item.is_empty() && second.association_set.item.is_empty());
        let none: DescribeNetworkAclsResponse =
            quick_xml::de::from_str("<R><networkAclSet/></R>").expect("an empty list");
        assert!(none.network_acl_set.item.is_empty() && none.next_token.is_none());
    }
}
