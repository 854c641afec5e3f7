//! What callers may do, by documents of IAM.
//!
//! Of the language only what such documents of Muster's use is read: statements that allow, a star in a resource, and the
//! condition that every value is one of a list. Which resources an operation is allowed on stands in AWS' service authorization
//! reference: <https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html>
//!
//! What this module must never do: allow what no statement allows, or pass over a part of a document.

use serde::Deserialize;
use std::collections::BTreeMap;

/// What a request has to be allowed.
pub(crate) struct Need {
    /// As `rds:PromoteReadReplica`.
    pub(crate) action: String,
    /// ARNs, each of which has to be allowed.
    pub(crate) resources: Vec<String>,
    /// What the request says of the keys that conditions may name.
    pub(crate) values: BTreeMap<&'static str, Vec<String>>,
}

impl Need {
    pub(crate) fn new(action: impl Into<String>, resources: Vec<String>) -> Self {
        Self { action: action.into(), resources, values: BTreeMap::new() }
    }
}

/// A document.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Document {
    #[serde(rename = "Version")]
    _version: Version,
    statement: Vec<Statement>,
}

#[derive(Deserialize, Debug)]
enum Version {
    #[serde(rename = "2012-10-17")]
    Newest,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    #[serde(rename = "Sid")]
    _sid: String,
    #[serde(rename = "Effect")]
    _effect: Effect,
    action: Words,
    resource: Words,
    #[serde(default)]
    condition: Condition,
}

#[derive(Deserialize, Debug)]
enum Effect {
    Allow,
}

#[derive(Deserialize, Debug, Default)]
#[serde(deny_unknown_fields)]
struct Condition {
    #[serde(rename = "ForAllValues:StringEquals", default)]
    listed: BTreeMap<String, Words>,
}

#[derive(Deserialize, Debug)]
#[serde(untagged)]
enum Words {
    One(String),
    Several(Vec<String>),
}

impl Words {
    fn any(&self, is_meant: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::One(word) => is_meant(word),
            Self::Several(words) => words.iter().any(|word| is_meant(word)),
        }
    }
}

impl Document {
    /// The first action and resource that no statement allows.
    pub(crate) fn missing<'n>(&self, needs: &'n [Need]) -> Option<(&'n str, &'n str)> {
        let mut all = needs.iter().flat_map(|need| need.resources.iter().map(move |arn| (need, arn)));
        let missing = all.find(|(need, arn)| !self.statement.iter().any(|of| of.allows(need, arn)));
        missing.map(|(need, arn)| (need.action.as_str(), arn.as_str()))
    }
}

impl Statement {
    fn allows(&self, need: &Need, arn: &str) -> bool {
        self.action.any(|action| action == need.action)
            && self.resource.any(|pattern| is_like(arn, pattern))
            && self.condition.listed.iter().all(|(key, listed)| {
                // IAM passes over a key that the request has not. Here it may well be misspelt.
                let values = need.values.get(key.as_str());
                values.is_some_and(|values| values.iter().all(|value| listed.any(|word| word == value)))
            })
    }
}

/// A star stands for any text.
fn is_like(text: &str, pattern: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return text == pattern };
    text.strip_prefix(head)
        .is_some_and(|tail| (0..=tail.len()).filter_map(|at| tail.get(at..)).any(|tail| is_like(tail, rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: &str = "arn:aws:route53:::hostedzone/Z1";
    const NAMES: &str = "route53:ChangeResourceRecordSetsNormalizedRecordNames";

    fn read(statements: &str) -> Document {
        let text = format!(r#"{{"Version": "2012-10-17", "Statement": [{statements}]}}"#);
        serde_json::from_str(&text).expect("a document")
    }

    fn need(action: &str, arn: &str) -> [Need; 1] {
        [Need::new(action, vec![arn.to_owned()])]
    }

    #[test]
    fn a_star_stands_for_any_text() {
        let arn = "arn:aws:rds:us-east-1:111122223333:db:orders";
        for pattern in ["*", arn, "arn:aws:rds:us-east-1:111122223333:db:*", "arn:*:db:*s", "arn:*orders*"] {
            assert!(is_like(arn, pattern), "{pattern}");
        }
        for pattern in ["", "arn:aws:rds:*:cluster:*", "arn:*:db:*z", "db:orders", "*:db:"] {
            assert!(!is_like(arn, pattern), "{pattern}");
        }
    }

    #[test]
    fn every_resource_has_to_be_allowed() {
        let statement =
            r#"{"Sid": "A", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:b/k"}"#;
        let document = read(statement);
        assert_eq!(document.missing(&need("s3:GetObject", "arn:b/k")), None);
        assert_eq!(document.missing(&need("s3:PutObject", "arn:b/k")), Some(("s3:PutObject", "arn:b/k")));
        let both = [Need::new("s3:GetObject", vec!["arn:b/k".to_owned(), "arn:b/other".to_owned()])];
        assert_eq!(document.missing(&both), Some(("s3:GetObject", "arn:b/other")));
    }

    #[test]
    fn every_value_has_to_be_one_that_a_condition_lists() {
        let document = read(&format!(
            r#"{{"Sid": "A", "Effect": "Allow", "Action": "route53:ChangeResourceRecordSets", "Resource": "{ZONE}",
                "Condition": {{"ForAllValues:StringEquals": {{"{NAMES}": ["shop.example.com"]}}}}}}"#
        ));
        let missing = |names: Option<&[&str]>| {
            let [mut need] = need("route53:ChangeResourceRecordSets", ZONE);
            need.values = names
                .map(|names| (NAMES, names.iter().map(|name| (*name).to_owned()).collect()))
                .into_iter()
                .collect();
            document.missing(&[need]).is_some()
        };
        assert!(!missing(Some(&["shop.example.com"])));
        assert!(missing(Some(&["shop.example.com", "www.example.com"])));
        assert!(missing(None));
    }

    #[test]
    fn a_document_that_says_more_is_not_read() {
        for more in [
            r#"{"Sid": "A", "Effect": "Deny", "Action": "a:B", "Resource": "*"}"#,
            r#"{"Sid": "A", "Effect": "Allow", "NotAction": "a:B", "Resource": "*"}"#,
            r#"{"Sid": "A", "Effect": "Allow", "Action": "a:B", "Resource": "*", "Condition": {"Bool": {"k": "true"}}}"#,
        ] {
            let text = format!(r#"{{"Version": "2012-10-17", "Statement": [{more}]}}"#);
            assert!(serde_json::from_str::<Document>(&text).is_err(), "{more}");
        }
    }
}
