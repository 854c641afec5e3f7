//! A cluster as the other side of the verbs: the paths of the local HTTP API, answered from the objects in its API
//! server, with the caller's own rights.
//!
//! ```text
//! verbs --Client--> Cluster --> reads: RegionFailoverPolicy, FailoverJournal, FailoverRun --show--> the API's types
//!                          \--> wishes: FailoverRun made or patched, annotations --wait--> what the operator made of it
//! ```
//! - [`connect`]: kubeconfig, context, or a pod's ServiceAccount. `call`: a deadline on each call, and what its failure
//!   means. `show`: objects as the API's types, pure.
//!
//! What only the operator's memory has (facts, latencies, failing probes) is left empty. This module must never make a
//! plan, a gate or a verdict of its own, and never writes what the operator alone writes: journals and statuses.

mod call;
mod connect;
mod reads;
mod show;
mod wishes;

pub use connect::Place;

use super::client::ApiPath;
use super::exit::{Code, Done, Failure};
use super::output::Screen;
use call::{Asked, call};
use connect::Link;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::Api;
use kube::api::PostParams;
use kube::core::NamespaceResourceScope;
use muster_core::ids::PolicyName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;

/// One API server, as one of its users.
pub(super) struct Cluster {
    client: kube::Client,
    /// Its address, for messages.
    server: String,
    /// The namespace that is looked at. `None`: all.
    scope: Option<String>,
    /// For notes while something is waited for.
    screen: Screen,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("server", &self.server)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Reads the kubeconfig, and connects to nothing yet but a credential plugin that it names.
    pub(super) async fn connect(place: &Place, screen: Screen) -> Done<Self> {
        let Link { client, server, scope } = connect::connect(place).await?;
        Ok(Self { client, server, scope, screen })
    }

    pub(super) fn server(&self) -> String {
        self.server.clone()
    }

    /// The caller's own name, as the API server knows it.
    pub(super) async fn caller(&self) -> Done<String> {
        let api: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let asked = Asked {
            verb: "create",
            resource: "selfsubjectreviews",
            namespace: None,
            role: "system:basic-user",
        };
        let params = PostParams::default();
        let review = call(&self.server, &asked, api.create(&params, &SelfSubjectReview::default())).await?;
        let name = review.status.and_then(|status| status.user_info).and_then(|user| user.username);
        name.filter(|name| !name.is_empty())
            .ok_or_else(|| Failure::failed(format!("{} does not say who you are", self.server)))
    }

    /// Answers a read of the local API.
    pub(super) async fn get(&self, path: &ApiPath<'_>) -> Done<Value> {
        match *path.segments() {
            ["policies"] => answer(&self.policies(path.parameter("namespace")).await?),
            ["policies", namespace, name] => answer(&self.policy(&full_name(namespace, name)).await?),
            ["policies", namespace, name, "explain"] => {
                answer(&self.explanation(&full_name(namespace, name)).await?)
            }
            ["policies", namespace, name, "plan"] => answer(&self.plan(&full_name(namespace, name)).await?),
            ["policies", namespace, name, "runs"] => answer(&self.runs(&full_name(namespace, name)).await?),
            ["runs", run] => answer(&self.run(run, path.parameter("policy")).await?),
            ["runs", _, "frames"] => Err(unsupported(
                "the recorded decisions stay with the operator, in the memory of the pod that led the run",
                &format!("`muster replay FILE` reads a saved one. {}", ask_operator("muster replay RUN")),
            )),
            ["health"] => Err(unsupported(
                "the operator's version is not in the API server",
                &format!("Look at its Deployment's image. {}", ask_operator("muster version")),
            )),
            _ => Err(unsupported("a cluster has no answer to this", OTHERWISE)),
        }
    }

    /// Answers a change of the local API, once the operator said what it made of it.
    pub(super) async fn post(&self, path: &ApiPath<'_>, body: Value) -> Done<Value> {
        let ["policies", namespace, name, verb] = *path.segments() else {
            return Err(unsupported("a cluster takes no such change", OTHERWISE));
        };
        let policy = full_name(namespace, name);
        let accepted = match verb {
            "runs" => self.start_run(&policy, request(body)?).await,
            "approve" => self.approve(&policy, request(body)?).await,
            "abort" => self.abort(&policy, request(body)?).await,
            "ack" => self.acknowledge(&policy, request(body)?).await,
            "adopt" => self.adopt(&policy, request(body)?).await,
            "pause" => self.pause(&policy, request(body)?).await,
            "resume" => self.resume(&policy, request(body)?).await,
            _ => Err(unsupported(
                "probes run where the operator runs, and only there",
                &format!("`muster status` shows the verdicts. {}", ask_operator("muster probe")),
            )),
        };
        answer(&accepted?)
    }

    fn api<K>(&self, namespace: Option<&str>) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }
}

fn full_name(namespace: &str, name: &str) -> PolicyName {
    PolicyName::new(format!("{namespace}/{name}"))
}

fn answer<T: Serialize>(data: &T) -> Done<Value> {
    serde_json::to_value(data).map_err(|e| Failure::failed(format!("cannot put the answer together: {e}")))
}

fn request<T: DeserializeOwned>(body: Value) -> Done<T> {
    serde_json::from_value(body).map_err(|e| Failure::failed(format!("cannot read the request: {e}")))
}

const OTHERWISE: &str = "docs/kubernetes.md says how to ask the operator's own API.";

/// The way to what only the operator's memory has. Its own API answers whoever shows its token, which nobody knows unless
/// the operator was given one.
fn ask_operator(command: &str) -> String {
    format!(
        "The operator's own API has it, if the chart's value apiTokenSecret gave it a token:\n  \
         kubectl -n muster port-forward pod/POD 7420:7420\n  \
         {command} --server http://127.0.0.1:7420 --token-file FILE\n\
         POD holds the Lease (kubectl -n muster get lease muster), FILE has the token: see docs/kubernetes.md."
    )
}

fn unsupported(what: &str, fix: &str) -> Failure {
    Failure::new(Code::Usage, what).fix(fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_objects_do_not_have_says_how_the_operator_is_asked_for_it() {
        let advice = ask_operator("muster probe");
        for part in [
            "apiTokenSecret",
            "port-forward",
            "muster probe --server http://127.0.0.1:7420 --token-file FILE",
        ] {
            assert!(advice.contains(part), "{advice}");
        }
    }
}
