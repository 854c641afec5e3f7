//! References to Secrets, headers, TLS and endpoints.

use super::findings::Findings;
use super::names::check_url;
use super::{Circumstances, Environment};
use muster_core::ids::PolicyName;
use muster_core::secret::Secret;
use muster_crds::policy as api;
use muster_crds::text::Text;
use muster_probes::TlsSpec;
use muster_providers::hook::{Call, ExecConfig, WebhookConfig};

/// What every part of a conversion needs.
pub(super) struct Resolver<'a> {
    pub(super) with: &'a Circumstances<'a>,
    pub(super) policy: PolicyName,
    pub(super) namespace: String,
}

impl Resolver<'_> {
    /// The value behind a reference. If it cannot be had, that is found, and the result is not used.
    pub(super) fn secret(&self, reference: &api::SecretRef, path: &str, findings: &mut Findings) -> Secret {
        match self.with.secrets.get(&self.namespace, &reference.name, &reference.key) {
            Ok(secret) => secret,
            Err(error) => {
                findings.error(path, error.to_string(), error.fix());
                Secret::new(String::new())
            }
        }
    }

    /// As [`Self::secret`], where a reference is optional. A value that is not the real one is left out: it would be
    /// no certificate.
    pub(super) fn optional(
        &self,
        reference: Option<&api::SecretRef>,
        path: &str,
        findings: &mut Findings,
    ) -> Option<Secret> {
        let secret = reference.map(|reference| self.secret(reference, path, findings));
        secret.filter(|_| self.with.secrets.is_real())
    }

    /// PEM text behind a reference.
    pub(super) fn pem(
        &self,
        reference: Option<&api::SecretRef>,
        path: &str,
        findings: &mut Findings,
    ) -> Option<Vec<u8>> {
        self.optional(reference, path, findings).map(|pem| pem.expose().as_bytes().to_vec())
    }

    /// TLS of a probe.
    pub(super) fn tls(&self, tls: &api::ClientTls, path: &str, findings: &mut Findings) -> TlsSpec {
        if tls.client_cert_secret.is_some() != tls.client_key_secret.is_some() {
            let (there, missing) = match tls.client_cert_secret {
                Some(_) => ("clientCertSecret", "clientKeySecret"),
                None => ("clientKeySecret", "clientCertSecret"),
            };
            let message = format!("{there} is given without {missing}");
            findings.error(path, message, format!("add {missing}, or leave {there} out"));
        }
        TlsSpec {
            ca: self.optional(tls.ca_secret.as_ref(), &format!("{path}.caSecret"), findings),
            client_cert: self.optional(
                tls.client_cert_secret.as_ref(),
                &format!("{path}.clientCertSecret"),
                findings,
            ),
            client_key: self.optional(
                tls.client_key_secret.as_ref(),
                &format!("{path}.clientKeySecret"),
                findings,
            ),
            server_name: tls.server_name.as_ref().map(ToString::to_string),
        }
    }

    /// A program, where programs may be run.
    pub(super) fn exec(&self, command: &[Text<4096>], path: &str, findings: &mut Findings) -> Call {
        if self.with.environment == Environment::Cluster {
            let message = "exec runs a program on Muster's own machine, and in a cluster there is none";
            findings.error(path, message, "use webhook instead, or run this policy by `muster local`");
        }
        let command = command.iter().map(ToString::to_string).collect();
        Call::Exec(ExecConfig { command, env: self.with.program_env.clone() })
    }

    /// An endpoint.
    pub(super) fn webhook(url: &str, path: &str, secrets: &WebhookSecrets, findings: &mut Findings) -> Call {
        if let Err(message) = check_url(url) {
            findings.error(path, message, "write an http:// or https:// URL, secrets by signingSecret");
        }
        Call::Webhook(WebhookConfig {
            url: url.to_owned(),
            signing_secret: secrets.signing.clone(),
            ca_pem: secrets.ca_pem.clone(),
        })
    }

    /// What the calls of one webhook share. `path` is the webhook's.
    pub(super) fn webhook_secrets(
        &self,
        signing: Option<&api::SecretRef>,
        ca: Option<&api::SecretRef>,
        path: &str,
        findings: &mut Findings,
    ) -> WebhookSecrets {
        if signing.is_none() {
            let message = "calls are not signed: whoever reaches the endpoint can make them";
            findings.warn(path, message, "add signingSecret, and check `muster-signature` at the endpoint");
        }
        WebhookSecrets {
            signing: self.optional(signing, &format!("{path}.signingSecret"), findings),
            ca_pem: self.pem(ca, &format!("{path}.caSecret"), findings),
        }
    }
}

/// Secrets of an endpoint.
pub(super) struct WebhookSecrets {
    signing: Option<Secret>,
    ca_pem: Option<Vec<u8>>,
}

/// Finds whether exactly one of several keys is given, and says which are.
pub(super) fn exactly_one(keys: &[(&str, bool)], path: &str, what: &str, findings: &mut Findings) -> bool {
    let given: Vec<&str> = keys.iter().filter(|(_, given)| *given).map(|(key, _)| *key).collect();
    let known = keys.iter().map(|(key, _)| *key).collect::<Vec<_>>().join(", ");
    match given.as_slice() {
        [_] => return true,
        [] => findings.error(path, format!("has no {what}"), format!("add exactly one of: {known}")),
        given => {
            let message = format!(
                "has {} kinds of {what}: {}",
                given.len(),
                super::findings::words(given.iter().copied())
            );
            let is_item = path.ends_with(']');
            let fix = if is_item {
                "keep one and put the others into items of their own"
            } else {
                "keep one of them"
            };
            findings.error(path, message, fix);
        }
    }
    false
}

/// Finds whether a duration is within its bounds.
pub(super) fn within(
    value: muster_crds::Duration,
    (least, most): (&str, &str),
    path: &str,
    findings: &mut Findings,
) {
    let bound = |text: &str| text.parse().unwrap_or(muster_crds::Duration::from_millis(0));
    if value < bound(least) || value > bound(most) {
        findings.error(path, format!("{value} is out of range"), format!("use {least} to {most}"));
    }
}
