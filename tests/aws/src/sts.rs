//! The Security Token Service, API version 2011-06-15: temporary credentials of a role.
//!
//! What this module must never do: give out credentials to somebody whom the role does not trust.

use crate::accounts::Accounts;
use crate::clock::Clock;
use crate::query::{Form, Signature, invalid_action, invalid_value};
use crate::request::ApiRequest;
use crate::rights::Need;
use crate::service::{Operation, Refusal, Reply, Service, Turn};
use crate::xml::{write_answer, write_error};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const VERSION: &str = "2011-06-15";
const XMLNS: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const ASSUME_ROLE: Signature = Signature {
    name: "AssumeRole",
    // It gives out credentials, and leaves everything as it is.
    is_mutation: false,
    parameters: &["RoleArn", "RoleSessionName", "ExternalId", "DurationSeconds"],
};
/// How long credentials are good for unless the caller says so, in seconds.
const USUAL_DURATION_SECONDS: u32 = 3600;

struct Role {
    account: String,
    name: String,
    external_id: Option<String>,
    trusted_account: String,
}

#[derive(Default)]
struct State {
    sessions: u64,
    /// By ARN.
    roles: BTreeMap<String, Role>,
}

/// The roles of every account.
pub(crate) struct Sts {
    clock: Arc<Clock>,
    accounts: Arc<Accounts>,
    state: Mutex<State>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AssumeRoleResult<'a> {
    assumed_role_user: AssumedRoleUser,
    credentials: Credentials<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AssumedRoleUser {
    arn: String,
    assumed_role_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Credentials<'a> {
    access_key_id: &'a str,
    secret_access_key: &'a str,
    session_token: &'a str,
    expiration: String,
}

impl Sts {
    pub(crate) fn new(clock: Arc<Clock>, accounts: Arc<Accounts>) -> Self {
        Self { clock, accounts, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a role, or replaces it. `None`: this is no ARN of a role.
    pub(crate) fn add_role(&self, arn: &str, external_id: Option<&str>, trusted_account: &str) -> Option<()> {
        let (account, name) = arn.strip_prefix("arn:aws:iam::")?.split_once(":role/")?;
        let role = Role {
            account: account.to_owned(),
            name: name.rsplit('/').next().unwrap_or(name).to_owned(),
            external_id: external_id.map(str::to_owned),
            trusted_account: trusted_account.to_owned(),
        };
        self.lock().roles.insert(arn.to_owned(), role);
        Some(())
    }

    fn assume_role(&self, form: &Form, turn: &Turn<'_>) -> Result<String, Refusal> {
        form.check(&ASSUME_ROLE)?;
        let (arn, session) = (form.require("RoleArn")?, form.require("RoleSessionName")?);
        let seconds = form.number("DurationSeconds")?.unwrap_or(USUAL_DURATION_SECONDS);
        if !(900..=43_200).contains(&seconds) {
            return Err(invalid_value("DurationSeconds is not between 900 and 43200"));
        }
        let mut state = self.lock();
        state.sessions += 1;
        let number = state.sessions;
        let role = state.roles.get(arn).filter(|role| role.trusts(form, turn));
        let role = role.ok_or_else(|| refuse_to_trust(turn.account, arn))?;
        let key = format!("ASIAFAKE{number:012X}");
        self.accounts.add_session(&key, &role.account, arn);
        let expires_at = turn.now + Duration::from_secs(u64::from(seconds));
        let result = AssumeRoleResult {
            assumed_role_user: AssumedRoleUser {
                arn: format!("arn:aws:sts::{}:assumed-role/{}/{session}", role.account, role.name),
                assumed_role_id: format!("AROAFAKE:{session}"),
            },
            credentials: Credentials {
                access_key_id: &key,
                secret_access_key: "a-secret-of-the-fake",
                session_token: "a-token-of-the-fake",
                expiration: self.clock.date(expires_at).to_string(),
            },
        };
        Ok(write_answer(XMLNS, ASSUME_ROLE.name, &result, turn.request_id))
    }
}

impl Role {
    fn trusts(&self, form: &Form, turn: &Turn<'_>) -> bool {
        let is_named = self.external_id.as_deref().is_none_or(|id| form.get("ExternalId") == Some(id));
        is_named && self.trusted_account == turn.account
    }
}

/// The service tells nobody whether there is such a role.
fn refuse_to_trust(account: &str, role: &str) -> Refusal {
    let message = format!(
        "User: arn:aws:iam::{account}:user/fake is not authorized to perform: sts:AssumeRole on resource: {role}"
    );
    Refusal::new(403, "AccessDenied", message)
}

impl Service for Sts {
    fn operation(&self, request: &ApiRequest) -> Option<Operation> {
        let form = Form::read(request, VERSION)?;
        (form.action() == ASSUME_ROLE.name).then(|| ASSUME_ROLE.operation())
    }

    fn carry_out(&self, request: &ApiRequest, turn: &Turn<'_>) -> Result<Reply, Refusal> {
        let form = Form::read(request, VERSION).filter(|form| form.action() == ASSUME_ROLE.name);
        let form = form.ok_or_else(invalid_action)?;
        Ok(Reply::ok(self.assume_role(&form, turn)?))
    }

    fn needs(&self, request: &ApiRequest, _account: &str) -> Vec<Need> {
        let form = Form::read(request, VERSION);
        let role = form.as_ref().and_then(|form| form.get("RoleArn"));
        role.map(|role| Need::new("sts:AssumeRole", vec![role.to_owned()])).into_iter().collect()
    }

    fn refuse(&self, refusal: &Refusal, request_id: &str) -> Reply {
        Reply::new(refusal.status, write_error(Some(XMLNS), refusal, request_id))
    }
}
