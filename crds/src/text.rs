//! Bounded texts: each knows its longest length, and the schema says it.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// A text of 1 to `MAX` characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text<const MAX: u32>(String);

/// A text with `{{ region.name }}`, `{{ region.values.KEY }}` and, in a suite, saved values.
pub type Template = Text<2048>;
/// A CEL expression.
pub type Expression = Text<1024>;
/// `http://` or `https://`.
pub type Url = Text<2048>;
/// `host:port`.
pub type Address = Text<300>;
/// A host name or an IP address.
pub type Host = Text<253>;
/// A domain name.
pub type DomainName = Text<255>;
/// A database, a role: what PostgreSQL takes as an identifier.
pub type Identifier = Text<63>;
/// A header's value, a program's argument.
pub type Value = Text<4096>;
/// A request's body.
pub type Body = Text<16384>;

impl<const MAX: u32> Text<MAX> {
    /// The bare text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: u32> Deref for Text<MAX> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: u32> From<&str> for Text<MAX> {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl<const MAX: u32> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: u32> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl<const MAX: u32> JsonSchema for Text<MAX> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Text{MAX}").into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": MAX})
    }
}

macro_rules! patterned {
    ($(#[$doc:meta])* $name:ident, $max:literal, $pattern:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// What it must look like.
            pub const PATTERN: &str = $pattern;
            /// The bare text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "minLength": 1, "maxLength": $max, "pattern": $pattern})
            }
        }
    };
}

patterned!(
    /// The name of a region, probe, vantage or item: a DNS label, since it becomes part of object names and labels.
    Name,
    63,
    "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
);
patterned!(
    /// The name of a Kubernetes Secret: a DNS subdomain.
    SecretName,
    253,
    "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
);
patterned!(
    /// A key within a Secret.
    SecretKey,
    253,
    "^[.]?[-_a-zA-Z0-9][-._a-zA-Z0-9]*$"
);
patterned!(
    /// A header's name (RFC 9110, section 5.1).
    HeaderName,
    128,
    "^[-!#$%&'*+.^_`|~0-9A-Za-z]+$"
);

patterned!(
    /// The id of a hosted zone of Route 53.
    HostedZoneId,
    32,
    "^Z[0-9A-Z]{1,31}$"
);
patterned!(
    /// The ARN of an IAM role.
    RoleArn,
    2048,
    "^arn:aws[a-z-]*:iam::[0-9]{12}:role/[!-~]+$"
);
patterned!(
    /// The name of a bucket of S3; without dots, which no certificate of S3 covers.
    BucketName,
    63,
    "^[a-z0-9][-a-z0-9]{1,61}[a-z0-9]$"
);
patterned!(
    /// The key of an object, as a URL takes it without escapes.
    ObjectKey,
    255,
    "^[-A-Za-z0-9_.]+(/[-A-Za-z0-9_.]+)*$"
);
patterned!(
    /// The id of a health check of Route 53.
    HealthCheckId,
    64,
    "^[0-9a-zA-Z]([-0-9a-zA-Z]*[0-9a-zA-Z])?$"
);

patterned!(
    /// The ARN of a routing control of ARC.
    RoutingControlArn,
    255,
    "^arn:aws[a-z-]*:route53-recovery-control::[0-9]{12}:controlpanel/[0-9a-zA-Z]+/routingcontrol/[0-9a-zA-Z]+$"
);
patterned!(
    /// The URL of an endpoint: by https, or by http on this machine.
    EndpointUrl,
    255,
    "^(https://[-A-Za-z0-9.]+(:[0-9]{1,5})?|http://(127[.][0-9.]+|localhost):[0-9]{1,5})(/[-A-Za-z0-9_./]*)?$"
);

patterned!(
    /// AWS' name of a region.
    AwsRegionName,
    32,
    "^[a-z]{2}(-[a-z]+)+-[0-9]{1,2}$"
);
patterned!(
    /// The identifier of a global cluster, as RDS keeps it: in lower case.
    GlobalClusterId,
    63,
    "^[a-z]([-a-z0-9]*[a-z0-9])?$"
);
patterned!(
    /// The ARN of a database cluster.
    ClusterArn,
    255,
    "^arn:aws[a-z-]*:rds:[a-z0-9-]+:[0-9]{12}:cluster:[a-z]([-a-z0-9]*[a-z0-9])?$"
);
patterned!(
    /// The ARN of a database instance.
    InstanceArn,
    255,
    "^arn:aws[a-z-]*:rds:[a-z0-9-]+:[0-9]{12}:db:[a-z]([-a-z0-9]*[a-z0-9])?$"
);
patterned!(
    /// The id of a network ACL of EC2.
    NetworkAclId,
    64,
    "^acl-[0-9a-f]+$"
);

/// What a pattern of the schema stands for, and how to write it, for messages.
pub(crate) fn pattern_hint(pattern: &str) -> (&'static str, &'static str) {
    match pattern {
        crate::Duration::PATTERN => {
            ("a duration", "write whole numbers with units h, m, s, ms in this order: 500ms, 30s, 1h30m")
        }
        Name::PATTERN => {
            ("a name", "use lower-case letters, digits and `-`, beginning and ending with a letter or digit")
        }
        SecretName::PATTERN => (
            "a Secret's name",
            "use lower-case letters, digits, `-` and `.`, beginning and ending with a letter or digit",
        ),
        SecretKey::PATTERN => ("a key of a Secret", "use letters, digits, `-`, `_` and `.`"),
        HostedZoneId::PATTERN => {
            ("a hosted zone's id", "write it like Z0123456789ABCDEFGHIJ, without /hostedzone/")
        }
        RoleArn::PATTERN => ("a role's ARN", "write it like arn:aws:iam::111122223333:role/muster"),
        AwsRegionName::PATTERN => ("a region of AWS", "write it like us-east-1"),
        GlobalClusterId::PATTERN => (
            "a global cluster's identifier",
            "use lower-case letters, digits and `-`, beginning with a letter, as RDS shows it",
        ),
        ClusterArn::PATTERN => (
            "a database cluster's ARN",
            "write it like arn:aws:rds:us-east-1:111122223333:cluster:orders, in lower case",
        ),
        InstanceArn::PATTERN => (
            "a database instance's ARN",
            "write it like arn:aws:rds:us-east-1:111122223333:db:orders, in lower case",
        ),
        NetworkAclId::PATTERN => ("a network ACL's id", "write it like acl-0a1b2c3d4e5f60718"),
        BucketName::PATTERN => (
            "a bucket's name",
            "use 3 to 63 lower-case letters, digits and `-`, without a path and without dots",
        ),
        ObjectKey::PATTERN => {
            ("an object's key", "write it like muster/shop.example.com, without a leading `/`")
        }
        HealthCheckId::PATTERN => (
            "a health check's id",
            "write it like 11111111-2222-3333-4444-555555555555, without /healthcheck/",
        ),
        RoutingControlArn::PATTERN => (
            "a routing control's ARN",
            "write it like arn:aws:route53-recovery-control::111122223333:controlpanel/0a1b/routingcontrol/2c3d",
        ),
        EndpointUrl::PATTERN => (
            "an endpoint's URL",
            "write it with https, as `aws route53-recovery-control-config describe-cluster` shows it",
        ),
        HeaderName::PATTERN => ("a header's name", "use letters, digits and `-`, without spaces or colon"),
        _ => ("a text of the right form", "see the field's description"),
    }
}

/// A moment in UTC (RFC 3339), as the API server checks it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(String);

impl Moment {
    /// Wraps a text in RFC 3339.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
    /// The bare text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for Moment {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time", "maxLength": 40})
    }
}
