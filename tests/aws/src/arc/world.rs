//! Controls and rules, as all endpoints know them.

use super::rules::{SafetyRule, Standing};
use crate::service::{Refusal, Turn};
use std::collections::BTreeMap;

/// A switch.
#[derive(Clone)]
pub(super) struct Control {
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) panel_name: String,
    pub(super) account: String,
    is_on: bool,
}

impl Control {
    pub(super) fn state(&self) -> &'static str {
        if self.is_on { "On" } else { "Off" }
    }

    /// The ARN of its panel.
    pub(super) fn panel(&self) -> &str {
        self.arn.split_once("/routingcontrol/").map_or("", |(panel, _)| panel)
    }
}

/// The cluster's controls and rules.
#[derive(Clone, Default)]
pub(crate) struct World {
    /// By ARN.
    controls: BTreeMap<String, Control>,
    rules: Vec<Standing>,
    panels: BTreeMap<(String, String), String>,
    numbers: u64,
}

impl World {
    fn next(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Creates a control, which is off at first, and its panel if there is none of this name; returns the control's ARN.
    pub(crate) fn create(&mut self, account: &str, panel_name: &str, name: &str) -> String {
        let number = self.next();
        let place = (account.to_owned(), panel_name.to_owned());
        let panel = self.panels.entry(place).or_insert_with(|| {
            format!("arn:aws:route53-recovery-control::{account}:controlpanel/{number:032x}")
        });
        let arn = format!("{panel}/routingcontrol/{number:016x}");
        let control = Control {
            arn: arn.clone(),
            name: name.to_owned(),
            panel_name: panel_name.to_owned(),
            account: account.to_owned(),
            is_on: false,
        };
        self.controls.insert(arn.clone(), control);
        arn
    }

    /// Puts a rule in force, and returns its ARN.
    pub(crate) fn add_rule(&mut self, rule: SafetyRule) -> String {
        let arn = format!("{}/safetyrule/{:016x}", rule.panel, self.next());
        self.rules.push(Standing::new(arn.clone(), rule));
        arn
    }

    /// Switches a control whatever rules say. `None`: there is no such one.
    pub(crate) fn put(&mut self, arn: &str, is_on: bool) -> Option<()> {
        self.controls.get_mut(arn).map(|control| control.is_on = is_on)
    }

    pub(crate) fn is_on(&self, arn: &str) -> Option<bool> {
        self.controls.get(arn).map(|control| control.is_on)
    }

    pub(super) fn find(&self, arn: &str, account: &str) -> Result<&Control, Refusal> {
        let control = self.controls.get(arn).ok_or_else(|| not_found("routing control", arn))?;
        if control.account != account {
            let message = format!("User of account {account} is not authorized on resource {arn}");
            return Err(Refusal::new(403, "AccessDeniedException", message));
        }
        Ok(control)
    }

    /// Those of the account; of one panel if it is named.
    pub(super) fn list(&self, panel: Option<&str>, account: &str) -> Result<Vec<&Control>, Refusal> {
        if let Some(panel) = panel.filter(|panel| !self.panels.values().any(|known| known == *panel)) {
            return Err(not_found("control panel", panel));
        }
        let of_account = self.controls.values().filter(|control| control.account == account);
        Ok(of_account.filter(|control| panel.is_none_or(|panel| control.panel() == panel)).collect())
    }

    fn states(&self) -> BTreeMap<String, bool> {
        self.controls.values().map(|control| (control.arn.clone(), control.is_on)).collect()
    }

    /// Makes all changes, or none.
    pub(super) fn change(
        &mut self,
        changes: &BTreeMap<String, bool>,
        overridden: &[String],
        turn: &Turn<'_>,
    ) -> Result<(), Refusal> {
        for arn in changes.keys() {
            self.find(arn, turn.account)?;
        }
        let before = self.states();
        let mut after = before.clone();
        after.extend(changes.iter().map(|(arn, is_on)| (arn.clone(), *is_on)));
        let mut asked = self.rules.iter().filter(|rule| !overridden.contains(&rule.arn));
        let refused = asked.find_map(|rule| Some((rule, rule.refuse(&before, &after, turn.now)?)));
        if let Some((rule, why)) = refused {
            let reasons = vec!["SafetyRule".to_owned(), rule.arn.clone()];
            return Err(Refusal { reasons, ..Refusal::new(409, "ConflictException", why) });
        }
        for rule in &mut self.rules {
            rule.note(&before, &after, turn.now);
        }
        for (arn, is_on) in changes {
            if let Some(control) = self.controls.get_mut(arn) {
                control.is_on = *is_on;
            }
        }
        Ok(())
    }
}

fn not_found(kind: &str, arn: &str) -> Refusal {
    let message = format!("The {kind} {arn} was not found");
    let reasons = vec![kind.to_owned(), arn.to_owned()];
    Refusal { reasons, ..Refusal::new(404, "ResourceNotFoundException", message) }
}
