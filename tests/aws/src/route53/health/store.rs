//! The health checks of every account, and who may see them.

use super::config::{HealthCheckConfig, Kind, Update};
use super::messages::CreateRequest;
use super::opinions::{Opinion, are_healthy};
use super::probe::Heard;
use crate::route53::refusals::Route53Refusal;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use tokio_util::sync::CancellationToken;

/// Fewer than the real service has, and enough for one of them to be no majority.
const DEFAULT_CHECKERS: usize = 6;

/// What a checker saw last.
#[derive(Clone, Copy)]
pub(super) struct Report {
    pub(super) at: Timestamp,
    pub(super) heard: Heard,
}

/// A health check.
pub(super) struct Check {
    /// A UUID.
    pub(super) id: String,
    account: String,
    pub(super) caller_reference: String,
    /// What it was created with: who asks for the same again means this one.
    created_with: HealthCheckConfig,
    pub(super) config: HealthCheckConfig,
    pub(super) version: u64,
    /// One of each checker.
    opinions: Vec<Opinion>,
    /// Of each checker that has looked, by its number.
    pub(super) reports: BTreeMap<usize, Report>,
    /// Cancelled when it is deleted, or the fake ends.
    pub(super) deleted: CancellationToken,
}

impl Check {
    /// How many it has.
    pub(super) fn checkers(&self) -> usize {
        self.opinions.len()
    }
}

/// The state of the health checks.
pub(super) struct Store {
    /// How many the next health check gets.
    pub(super) checkers: usize,
    numbers: u64,
    checks: BTreeMap<String, Check>,
    /// The references of what was deleted, by account: they cannot be used again.
    spent: BTreeSet<(String, String)>,
}

impl Default for Store {
    fn default() -> Self {
        Self { checkers: DEFAULT_CHECKERS, numbers: 0, checks: BTreeMap::new(), spent: BTreeSet::new() }
    }
}

impl Store {
    /// Creates a health check, or finds the one that was created by the same request. True: it is new.
    pub(super) fn create(
        &mut self,
        account: &str,
        request: CreateRequest,
        ended: &CancellationToken,
    ) -> Result<(&Check, bool), Route53Refusal> {
        let CreateRequest { caller_reference, health_check_config, .. } = request;
        let config = health_check_config.complete().map_err(Route53Refusal::InvalidInput)?;
        self.judge_children(&config, account)?;
        let mut known = self.checks.values();
        let known =
            known.find(|check| check.account == account && check.caller_reference == caller_reference);
        let is_spent = self.spent.contains(&(account.to_owned(), caller_reference.clone()));
        let id = match known {
            Some(check) if check.created_with == config => check.id.clone(),
            None if !is_spent => {
                return Ok((self.add(account, caller_reference, config, ended), true));
            }
            _ => return Err(Route53Refusal::HealthCheckAlreadyExists(caller_reference)),
        };
        Ok((self.get(&id, account)?, false))
    }

    fn add(
        &mut self,
        account: &str,
        caller_reference: String,
        config: HealthCheckConfig,
        ended: &CancellationToken,
    ) -> &Check {
        self.numbers += 1;
        let id = format!("00000000-0000-4000-a000-{:012x}", self.numbers);
        let checkers = if config.kind().has_checkers() { self.checkers } else { 0 };
        let check = Check {
            id: id.clone(),
            account: account.to_owned(),
            caller_reference,
            created_with: config.clone(),
            config,
            version: 1,
            opinions: vec![Opinion::FIRST; checkers],
            reports: BTreeMap::new(),
            deleted: ended.child_token(),
        };
        self.checks.entry(id).or_insert(check)
    }

    /// Only what asks an endpoint can be a part of a calculated health check.
    fn judge_children(&self, config: &HealthCheckConfig, account: &str) -> Result<(), Route53Refusal> {
        for id in config.children() {
            let child = self.checks.get(id).filter(|child| child.account == account);
            if child.is_none_or(|child| child.config.kind() == Kind::Calculated) {
                return Err(Route53Refusal::InvalidInput(format!("'{id}' cannot be a child health check")));
            }
        }
        Ok(())
    }

    /// The health check, whoever it belongs to.
    pub(super) fn find(&self, id: &str) -> Option<&Check> {
        self.checks.get(id)
    }

    /// The health check, if it is the caller's.
    pub(super) fn get(&self, id: &str, account: &str) -> Result<&Check, Route53Refusal> {
        let check = self.find(id).ok_or_else(|| Route53Refusal::NoSuchHealthCheck(id.to_owned()))?;
        if check.account == account {
            Ok(check)
        } else {
            Err(Route53Refusal::AccessDenied(account.to_owned()))
        }
    }

    /// Those of the caller, in the order of their ids.
    pub(super) fn list(&self, account: &str) -> impl Iterator<Item = &Check> {
        self.checks.values().filter(move |check| check.account == account)
    }

    pub(super) fn update(
        &mut self,
        id: &str,
        account: &str,
        update: Update,
    ) -> Result<&Check, Route53Refusal> {
        let current = self.get(id, account)?;
        let version = current.version;
        let named = update.health_check_version.unwrap_or(version);
        if named != version {
            return Err(Route53Refusal::HealthCheckVersionMismatch { current: version, named });
        }
        let config = current.config.updated(update).map_err(Route53Refusal::InvalidInput)?;
        self.judge_children(&config, account)?;
        if let Some(check) = self.checks.get_mut(id) {
            check.config = config;
            check.version += 1;
        }
        self.get(id, account)
    }

    /// Removes it, and ends its checkers.
    pub(super) fn delete(&mut self, id: &str, account: &str) -> Result<(), Route53Refusal> {
        self.get(id, account)?;
        if let Some(check) = self.checks.remove(id) {
            check.deleted.cancel();
            self.spent.insert((check.account, check.caller_reference));
        }
        Ok(())
    }

    pub(super) fn note(&mut self, id: &str, checker: usize, report: Report) {
        let Some(check) = self.checks.get_mut(id) else { return };
        let threshold = check.config.threshold();
        if let Some(opinion) = check.opinions.get_mut(checker) {
            opinion.note(report.heard.is_good, threshold);
            check.reports.insert(checker, report);
        }
    }

    /// What DNS goes by. One that is disabled is healthy, even if it is inverted. `None`: there is no such one.
    pub(super) fn is_healthy(&self, id: &str, is_on: &dyn Fn(&str) -> bool) -> Option<bool> {
        let check = self.checks.get(id)?;
        let config = &check.config;
        if config.is_disabled() {
            return Some(true);
        }
        let is_healthy = match config.kind() {
            Kind::Calculated => {
                // None of them is calculated, so that this ends.
                let children = config.children().iter();
                let healthy = children.filter(|child| self.is_healthy(child, is_on) == Some(true));
                healthy.count() >= config.health_threshold()
            }
            Kind::RecoveryControl => config.routing_control_arn.as_deref().is_some_and(is_on),
            _ => are_healthy(&check.opinions),
        };
        Some(is_healthy != config.is_inverted())
    }
}
