//! The least rights, as documents of IAM: one for each role that policies name, and one for what Muster runs with.
//!
//! What this module must never do: show an external id.

use super::grants::{Grant, Needs, RecordLimit, collect};
use super::{Caller, CheckedPolicy};
use muster_core::ids::PolicyName;
use muster_providers::aws::permissions::Action;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Of IAM's language for policies.
const VERSION: &str = "2012-10-17";
/// Where it was not said what Muster runs as. IAM takes no such principal, so it cannot be forgotten.
const SOME_PRINCIPAL: &str = "ARN-OF-WHAT-MUSTER-RUNS-AS";

/// Whose rights.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// Of every item.
    Everything,
    /// Of names alone.
    Names,
}

/// What one caller must be allowed, and why.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rights {
    /// The role's ARN; `None`: the credentials that Muster runs with.
    pub role: Option<String>,
    /// The policies that need it.
    pub policies: Vec<PolicyName>,
    /// The document to attach.
    pub policy: Document,
    /// What each of its statements is for.
    pub reasons: Vec<Reason>,
    /// Of a role: who may assume it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<Document>,
}

/// What a statement is for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    /// The statement.
    pub sid: String,
    /// Its calls.
    pub actions: Vec<String>,
    /// What would not work without it.
    pub reason: &'static str,
}

/// A document of IAM.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Document {
    /// Of the language.
    pub version: &'static str,
    /// In the order of the adapters' tables.
    pub statement: Vec<Statement>,
}

/// A statement of IAM.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    /// Its name, once in a document.
    pub sid: String,
    /// `Allow`.
    pub effect: &'static str,
    /// Of a trust policy or a bucket's: who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<Value>,
    /// Calls.
    #[serde(serialize_with = "bare_if_one")]
    pub action: Vec<String>,
    /// ARNs; none in a trust policy, which speaks of its own role.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "bare_if_one")]
    pub resource: Vec<String>,
    /// Under which it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Value>,
}

/// As people write IAM: a list only where there are several.
fn bare_if_one<S: Serializer>(words: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    match words {
        [one] => one.serialize(serializer),
        several => several.serialize(serializer),
    }
}

impl Document {
    /// With these statements.
    pub(super) const fn of(statement: Vec<Statement>) -> Self {
        Self { version: VERSION, statement }
    }

    /// With what `others` gives in the place of each resource.
    pub(super) fn with_resources(&self, others: impl Fn(&str) -> Vec<String>) -> Self {
        let mut document = self.clone();
        for statement in &mut document.statement {
            statement.resource = statement.resource.iter().flat_map(|arn| others(arn)).collect();
        }
        document
    }

    /// For people: indented, without a line break at the end.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

impl Statement {
    /// Allows `actions`.
    pub(super) fn allow(sid: impl Into<String>, actions: &[Action], resource: Vec<String>) -> Self {
        Self {
            sid: sid.into(),
            effect: "Allow",
            principal: None,
            action: actions.iter().map(ToString::to_string).collect(),
            resource,
            condition: None,
        }
    }
}

impl Rights {
    /// The role's name, without the path in its ARN.
    pub fn role_name(&self) -> Option<&str> {
        self.role.as_deref().and_then(|arn| arn.rsplit('/').next())
    }
}

/// What these policies need: first what Muster runs with, then each role. `runs_as`: the ARN of what Muster runs as, for the
/// roles' trust policies. Empty where nothing of AWS is used.
pub fn rights(policies: &[CheckedPolicy], part: Part, runs_as: Option<&str>) -> Vec<Rights> {
    let principal = runs_as.unwrap_or(SOME_PRINCIPAL);
    let all = collect(policies, part);
    all.iter().map(|(caller, needs)| rights_of(caller, needs, principal)).collect()
}

fn rights_of(caller: &Caller, needs: &Needs, principal: &str) -> Rights {
    let mut uses: BTreeMap<&str, u32> = BTreeMap::new();
    let (mut statements, mut reasons) = (Vec::new(), Vec::new());
    for grant in &needs.grants {
        let count = uses.entry(grant.permission.sid).or_default();
        *count += 1;
        let statement = statement_of(grant, *count);
        reasons.push(Reason {
            sid: statement.sid.clone(),
            actions: statement.action.clone(),
            reason: grant.permission.reason,
        });
        statements.push(statement);
    }
    let role = caller.role().map(str::to_owned);
    Rights {
        trust: role.as_ref().map(|_| trust(needs, principal)),
        role,
        policies: needs.policies.iter().cloned().collect(),
        policy: Document::of(statements),
        reasons,
    }
}

/// `count`: the how-manyth of its name; names are unique within a document.
fn statement_of(grant: &Grant, count: u32) -> Statement {
    let permission = grant.permission;
    let sid = if count == 1 { permission.sid.to_owned() } else { format!("{}{count}", permission.sid) };
    let statement = Statement::allow(sid, permission.actions, grant.resources.clone());
    let is_switch = permission.actions.contains(&Action::UpdateRoutingControlStates);
    let condition = grant.records.as_ref().map(condition).or_else(|| is_switch.then(never_override));
    Statement { condition, ..statement }
}

/// No safety rule of ARC may be overridden.
fn never_override() -> Value {
    json!({"Bool": {"route53-recovery-cluster:AllowSafetyRulesOverrides": "false"}})
}

fn condition(records: &RecordLimit) -> Value {
    json!({"ForAllValues:StringEquals": {
        "route53:ChangeResourceRecordSetsNormalizedRecordNames": records.names,
        "route53:ChangeResourceRecordSetsRecordTypes": records.types,
        "route53:ChangeResourceRecordSetsActions": ["CREATE", "DELETE"],
    }})
}

/// Who may assume the role. Where one policy assumes it without an external id, none can be asked for.
fn trust(needs: &Needs, principal: &str) -> Document {
    // No external id can look like this, so a document that was pasted as it is lets nobody in.
    let stands_for = |reference: &String| format!("<the value of Secret {reference}>");
    let ids: Option<Vec<String>> = needs.external_ids.iter().map(|id| id.as_ref().map(stands_for)).collect();
    let ids = ids.filter(|ids| !ids.is_empty());
    let statement = Statement::allow("LetMusterTakeThisRole", &[Action::AssumeRole], Vec::new());
    Document::of(vec![Statement {
        principal: Some(json!({"AWS": principal})),
        condition: ids.map(|ids| json!({"StringEquals": {"sts:ExternalId": ids}})),
        ..statement
    }])
}
