//! One call to the API server: with a deadline, tried once, and what its failure means to the person who asked.

use super::super::exit::{Code, Done, Failure};
use kube::core::Status;
use muster_providers::kubernetes::tell;
use std::future::Future;
use std::time::Duration;

/// A plain call of the client has no deadline of its own.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// What a call wants, in the words of RBAC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) verb: &'static str,
    pub(super) resource: &'static str,
    /// `None`: in all namespaces, or not namespaced.
    pub(super) namespace: Option<&'a str>,
    /// The `ClusterRole` that has this permission.
    pub(super) role: &'static str,
}

impl Asked<'_> {
    fn changes(&self) -> bool {
        !matches!(self.verb, "get" | "list")
    }
}

/// How a call went wrong, as far as callers tell it apart.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There is no such object.
    Missing(Failure),
    /// It was changed since it was read.
    Conflict(Failure),
    /// Anything else.
    Other(Failure),
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Missing(failure) | Trouble::Conflict(failure) | Trouble::Other(failure) => failure,
        }
    }
}

impl Trouble {
    /// `None` for an object that is not there.
    pub(super) fn absent<T>(result: Result<T, Self>) -> Done<Option<T>> {
        match result {
            Ok(found) => Ok(Some(found)),
            Err(Self::Missing(_)) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }
}

/// Waits for `call`, at most for its deadline.
pub(super) async fn call<T>(
    server: &str,
    asked: &Asked<'_>,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, Trouble> {
    match tokio::time::timeout(ANSWER_WITHIN, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => Err(judge(server, asked, &status)),
        Ok(Err(error)) => Err(Trouble::Other(broken(server, asked, &error))),
        Err(_) => {
            let what = format!("{server} gave no answer within {} s", ANSWER_WITHIN.as_secs());
            Err(Trouble::Other(Failure::new(Code::Unreachable, what).fix(after_silence(asked))))
        }
    }
}

fn after_silence(asked: &Asked<'_>) -> &'static str {
    if asked.changes() {
        "The request may have been taken: look with `muster status` before you repeat it."
    } else {
        "Try again; `kubectl get --raw /readyz` says what the API server thinks of itself."
    }
}

fn broken(server: &str, asked: &Asked<'_>, error: &kube::Error) -> Failure {
    match error {
        kube::Error::Auth(_) => {
            Failure::new(Code::Unreachable, format!("cannot log in to {server}: {}", tell(error)))
                .fix("The credential plugin of the kubeconfig has to run here and end well.")
        }
        kube::Error::SerdeError(_) => {
            Failure::failed(format!("an object of {server} makes no sense to this version: {}", tell(error)))
                .fix("Compare the versions of this command and of the operator.")
        }
        _ => Failure::new(Code::Unreachable, format!("no API server answers at {server}: {}", tell(error)))
            .fix(if asked.changes() {
                after_silence(asked)
            } else {
                "Is it the right cluster? --context NAME names another; `kubectl config get-contexts` lists them."
            }),
    }
}

fn judge(server: &str, asked: &Asked<'_>, status: &Status) -> Trouble {
    let said = status.message.trim();
    let Asked { verb, resource, role, .. } = asked;
    match status.code {
        401 => Trouble::Other(
            Failure::new(Code::Unreachable, format!("{server} does not accept your credentials: {said}"))
                .fix("They may have expired: log in again, or name another context with --context."),
        ),
        403 if said.contains(" cannot ") => Trouble::Other(forbidden(asked, said)),
        // Without a name it is the kind that is missing, not the object.
        404 if status.details.as_ref().is_none_or(|d| d.name.is_empty()) => Trouble::Other(
            Failure::failed(format!(
                "{server} knows no {resource}: are Muster's CustomResourceDefinitions installed?"
            ))
            .fix("Is it the right cluster? `kubectl get crd` lists them; Muster's chart installs its own."),
        ),
        404 => Trouble::Missing(Failure::new(Code::NotFound, said)),
        409 => Trouble::Conflict(
            Failure::new(Code::Refused, format!("somebody else changed it at the same time: {said}"))
                .fix("Look again, and repeat it."),
        ),
        // An admission policy's 403 names itself what it needs.
        400 | 403 | 422 => {
            Trouble::Other(Failure::new(Code::Refused, format!("{server} refuses it: {said}")))
        }
        429 | 500.. => {
            let what = format!("{server} cannot {verb} {resource} right now: {said}");
            Trouble::Other(Failure::new(Code::Unreachable, what).fix(after_silence(asked)))
        }
        code => Trouble::Other(Failure::failed(format!("{server} answered {code} ({role}): {said}"))),
    }
}

/// RBAC's refusal: the permission that is missing, and who can give it.
fn forbidden(asked: &Asked<'_>, said: &str) -> Failure {
    let Asked { verb, resource, namespace, role } = asked;
    let place = namespace.map_or_else(|| "in all namespaces".to_owned(), |n| format!("in namespace {n}"));
    let narrower = if namespace.is_none() && !asked.changes() {
        "Name one namespace with -n NAMESPACE, or ask"
    } else {
        "Ask"
    };
    Failure::new(Code::Refused, format!("you may not {verb} {resource} {place}; the API server says: {said}"))
        .fix(format!("{narrower} for the ClusterRole {role}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::response::StatusDetails;

    const SERVER: &str = "https://cluster.example:6443";

    fn asked(namespace: Option<&str>) -> Asked<'_> {
        Asked { verb: "patch", resource: "failoverruns", namespace, role: "muster-approver" }
    }

    fn judged(code: u16, message: &str, name: &str) -> Failure {
        let details: StatusDetails =
            serde_json::from_value(serde_json::json!({ "name": name })).expect("a name is enough");
        let status =
            Status { code, message: message.to_owned(), details: Some(details), ..Status::default() };
        judge(SERVER, &asked(Some("shop")), &status).into()
    }

    #[test]
    fn a_refusal_by_rbac_names_the_permission_and_the_role() {
        let said =
            r#"failoverruns.muster.dev "a" is forbidden: User "kim" cannot patch resource "failoverruns""#;
        let failure = judged(403, said, "a");
        assert_eq!(failure.code, Code::Refused);
        assert_eq!(
            failure.to_string(),
            format!(
                "you may not patch failoverruns in namespace shop; the API server says: {said}\n\
                 Ask for the ClusterRole muster-approver."
            )
        );
    }

    #[test]
    fn a_refusal_over_all_namespaces_says_that_one_may_do() {
        let asked = Asked { verb: "list", resource: "failoverruns", namespace: None, role: "muster-viewer" };
        let failure = forbidden(&asked, "no");
        assert!(failure.what.starts_with("you may not list failoverruns in all namespaces"), "{failure}");
        assert!(failure.fix.contains("-n NAMESPACE"), "{failure}");
    }

    #[test]
    fn an_admission_policys_refusal_is_not_taken_for_rbacs() {
        let failure = judged(403, "ValidatingAdmissionPolicy 'approve' denied request: by must be kim", "a");
        assert!(failure.what.ends_with("by must be kim") && failure.fix.is_empty(), "{failure}");
    }

    #[test]
    fn a_kind_that_is_not_there_asks_for_the_definitions() {
        let failure = judged(404, "404 page not found", "");
        assert!(failure.what.contains("are Muster's CustomResourceDefinitions installed?"), "{failure}");
        assert_eq!(judged(404, "failoverruns.muster.dev \"a\" not found", "a").code, Code::NotFound);
    }

    #[test]
    fn credentials_that_are_not_accepted_may_have_expired() {
        let failure = judged(401, "Unauthorized", "");
        assert_eq!(failure.code, Code::Unreachable);
        assert!(failure.fix.contains("expired"), "{failure}");
    }
}
