//! The form bodies of the Query protocol.
//!
//! What this module must never do: let a parameter pass that its operation does not read.

use crate::request::ApiRequest;
use crate::service::{Operation, Refusal};
use std::collections::BTreeMap;
use url::form_urlencoded;

/// What is known of an operation before its parameters are read.
pub(crate) struct Signature {
    /// As AWS names it.
    pub(crate) name: &'static str,
    /// Whether it changes anything when it succeeds.
    pub(crate) is_mutation: bool,
    /// The parameters that it takes, without the parts after a dot.
    pub(crate) parameters: &'static [&'static str],
}

impl Signature {
    pub(crate) fn operation(&self) -> Operation {
        Operation { name: self.name, is_mutation: self.is_mutation }
    }
}

/// The parameters of a request.
pub(crate) struct Form {
    fields: BTreeMap<String, String>,
}

impl Form {
    /// Reads the body. `None`: it is not for this version of an API.
    pub(crate) fn read(request: &ApiRequest, version: &str) -> Option<Self> {
        let fields = form_urlencoded::parse(&request.body).into_owned().collect();
        let form = Self { fields };
        (request.method.as_str() == "POST" && form.get("Version") == Some(version)).then_some(form)
    }

    pub(crate) fn action(&self) -> &str {
        self.get("Action").unwrap_or_default()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    pub(crate) fn require(&self, name: &str) -> Result<&str, Refusal> {
        let missing = || {
            let message = format!("The request must contain the parameter {name}.");
            Refusal::new(400, "MissingParameter", message)
        };
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(missing)
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(invalid_value(&format!("Invalid value {other} for {name}."))),
        }
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<u32>, Refusal> {
        let refuse = |text: &str| invalid_value(&format!("Invalid value {text} for {name}."));
        self.get(name).map(|text| text.parse::<u32>().map_err(|_| refuse(text))).transpose()
    }

    /// The values of `PREFIX.1`, `PREFIX.2` and so on.
    pub(crate) fn list(&self, prefix: &str) -> Vec<&str> {
        (1..).map_while(|number: u32| self.get(&format!("{prefix}.{number}"))).collect()
    }

    /// Refuses a parameter that the operation does not take.
    pub(crate) fn check(&self, signature: &Signature) -> Result<(), Refusal> {
        let mut heads = self.fields.keys().map(|name| name.split('.').next().unwrap_or_default());
        let is_known =
            |head: &str| matches!(head, "Action" | "Version") || signature.parameters.contains(&head);
        match heads.find(|head| !is_known(head)) {
            None => Ok(()),
            Some(unknown) => Err(invalid_value(&format!("This fake does not know the parameter {unknown}"))),
        }
    }
}

pub(crate) fn invalid_value(message: &str) -> Refusal {
    Refusal::new(400, "InvalidParameterValue", message.to_owned())
}

/// What a service of this protocol says to an operation that it does not have.
pub(crate) fn invalid_action() -> Refusal {
    Refusal::new(400, "InvalidAction", "This fake does not know the operation, or its version".to_owned())
}
