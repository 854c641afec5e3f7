//! HTTP requests, headers, TLS, and references to Secrets.

use crate::text::{Body, Expression, HeaderName, Host, Name, SecretKey, SecretName, Template, Value};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A value kept in a Secret, never in the policy. In local mode: a file `DIR/NAME/KEY`, or the variable
/// `MUSTER_SECRET_NAME_KEY`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretRef {
    /// The Secret's name, in the policy's namespace.
    pub name: SecretName,
    /// The key within it.
    pub key: SecretKey,
}

/// A header whose value is secret.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretHeader {
    /// The header's name.
    pub name: HeaderName,
    /// Its value, sent as it is; never sent on to another origin by a redirect.
    pub secret: SecretRef,
}

/// How a TLS target is met. Without it: the system's roots, the name of the address, no certificate of our own.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.clientCertSecret) == has(self.clientKeySecret)")
    .message("clientCertSecret and clientKeySecret go together"))]
pub struct ClientTls {
    /// Certificate authorities (PEM) that are trusted instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret: Option<SecretRef>,
    /// Our certificate chain (PEM); needs `clientKeySecret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert_secret: Option<SecretRef>,
    /// Its key (PEM); needs `clientCertSecret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key_secret: Option<SecretRef>,
    /// The name that is expected in the server's certificate, instead of the one in the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<Host>,
}

/// One HTTP request and what is expected of its answer.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpProbe {
    /// The URL to GET; a template.
    pub get: Template,
    /// Headers; the values are templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub headers: BTreeMap<String, Value>,
    /// Headers whose values are secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub secret_headers: Vec<SecretHeader>,
    /// CEL over `status`, `headers`, `body` (JSON), `text`, `latency`, `cert.expiresIn`. Without one that speaks of
    /// `status`, 200 to 299 is expected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub expect: Vec<Expression>,
    /// Follow at most so many redirects. With 0 a redirect is an answer like any other.
    #[serde(default)]
    #[schemars(range(max = 10))]
    pub follow_redirects: u32,
    /// Open a new connection each time, instead of keeping one while the server leaves it open.
    #[serde(default)]
    pub fresh_connection: bool,
    /// For `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClientTls>,
}

/// One request of a suite: exactly one of `get`, `post`, `put`, `patch`, `delete`.
#[derive(Serialize, Deserialize, KubeSchema, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("[has(self.get), has(self.post), has(self.put), has(self.patch), has(self.delete)].filter(x, x).size() == 1")
        .message("exactly one of get, post, put, patch, delete is needed"),
    validation = Rule::new("!has(self.get) || !has(self.body)")
        .message("a get request has no body").field_path(".body"),
)]
pub struct SuiteStep {
    /// Its name, for messages.
    pub name: Name,
    /// The URL to GET; a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub get: Option<Template>,
    /// The URL to POST to; a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post: Option<Template>,
    /// The URL to PUT to; a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put: Option<Template>,
    /// The URL to PATCH; a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<Template>,
    /// The URL to DELETE; a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<Template>,
    /// The request's body; a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// Headers; the values are templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub headers: BTreeMap<String, Value>,
    /// Headers whose values are secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub secret_headers: Vec<SecretHeader>,
    /// CEL over `status`, `headers`, `body` (JSON), `text`, `latency`, `cert.expiresIn`. Without one that speaks of
    /// `status`, 200 to 299 is expected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub expect: Vec<Expression>,
    /// Values for the templates of later steps: a name and a CEL expression over the same variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub save: BTreeMap<String, Expression>,
    /// Clean-up: run also after a failed step, and for a short while after the timeout.
    #[serde(default)]
    pub always: bool,
    /// Follow at most so many redirects. With 0 a redirect is an answer like any other.
    #[serde(default)]
    #[schemars(range(max = 10))]
    pub follow_redirects: u32,
    /// For `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClientTls>,
}
