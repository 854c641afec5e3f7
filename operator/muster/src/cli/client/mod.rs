//! Whom the verbs ask: a server by its local HTTP API, or a cluster by the objects of its API server. Both answer the
//! same paths with the same types, so that a verb does not care.

mod local;

use super::cluster::{Cluster, Place};
use super::exit::{Done, Failure};
use super::output::Screen;
use local::Server;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use std::time::Duration;

pub use local::DEFAULT_SERVER;

const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// One of both.
#[derive(Debug)]
pub struct Client(Backend);

#[derive(Debug)]
enum Backend {
    Server(Server),
    Cluster(Box<Cluster>),
}

impl Client {
    /// A server of the local API. Reads the token and checks the address; connects to nothing yet.
    pub fn new(server: Option<&str>, token_file: Option<&Path>, state: &Path) -> Done<Self> {
        Server::new(server, token_file, state).map(|server| Self(Backend::Server(server)))
    }

    /// A cluster, by a kubeconfig or from within a pod. Connects to nothing yet.
    pub async fn of_cluster(place: &Place, screen: Screen) -> Done<Self> {
        Ok(Self(Backend::Cluster(Box::new(Box::pin(Cluster::connect(place, screen)).await?))))
    }

    /// The address, for messages.
    pub fn server(&self) -> String {
        match &self.0 {
            Backend::Server(server) => server.server(),
            Backend::Cluster(cluster) => cluster.server(),
        }
    }

    /// Whether the token travels unencrypted to another machine.
    pub fn is_exposed(&self) -> bool {
        matches!(&self.0, Backend::Server(server) if server.is_exposed())
    }

    /// Whether objects are read: what only the operator's memory has is not there then.
    pub const fn is_cluster(&self) -> bool {
        matches!(&self.0, Backend::Cluster(_))
    }

    /// The name that the API server knows the caller by; `None`: the local API believes what it is told.
    pub async fn caller(&self) -> Done<Option<String>> {
        match &self.0 {
            Backend::Server(_) => Ok(None),
            Backend::Cluster(cluster) => Box::pin(cluster.caller()).await.map(Some),
        }
    }

    /// Reads.
    pub async fn get<T: DeserializeOwned>(&self, path: ApiPath<'_>) -> Done<T> {
        match &self.0 {
            Backend::Server(server) => server.get(path).await,
            // Boxed: most callers hold a server, and need no room for the larger answers.
            Backend::Cluster(cluster) => read(Box::pin(cluster.get(&path)).await?),
        }
    }

    /// Changes. After a timeout the request may have been taken.
    pub async fn post<B: Serialize, T: DeserializeOwned>(&self, path: ApiPath<'_>, body: &B) -> Done<T> {
        self.post_within(path, body, ANSWER_WITHIN).await
    }

    /// As [`Self::post`], for what takes longer by its nature. A cluster has its own deadlines.
    pub async fn post_within<B: Serialize, T: DeserializeOwned>(
        &self,
        path: ApiPath<'_>,
        body: &B,
        deadline: Duration,
    ) -> Done<T> {
        match &self.0 {
            Backend::Server(server) => server.post_within(path, body, deadline).await,
            Backend::Cluster(cluster) => {
                let body = serde_json::to_value(body)
                    .map_err(|e| Failure::failed(format!("cannot write the request: {e}")))?;
                read(Box::pin(cluster.post(&path, body)).await?)
            }
        }
    }
}

fn read<T: DeserializeOwned>(answer: serde_json::Value) -> Done<T> {
    serde_json::from_value(answer)
        .map_err(|e| Failure::failed(format!("the objects make no sense to this version: {e}")))
}

/// A path of the API: its segments, encoded, and a query.
#[derive(Clone, Debug, Default)]
pub struct ApiPath<'a> {
    segments: Vec<&'a str>,
    query: Vec<(&'a str, String)>,
}

impl<'a> ApiPath<'a> {
    /// Below `/v1`.
    pub fn new(segments: impl IntoIterator<Item = &'a str>) -> Self {
        Self { segments: segments.into_iter().collect(), query: Vec::new() }
    }
    /// With a parameter.
    #[must_use]
    pub fn with(mut self, key: &'a str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    pub(super) fn to_uri(&self) -> String {
        let mut uri = "/v1".to_owned();
        for segment in &self.segments {
            uri.push('/');
            uri.extend(url::form_urlencoded::byte_serialize(segment.as_bytes()));
        }
        if !self.query.is_empty() {
            uri.push('?');
            uri.push_str(
                &url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.query).finish(),
            );
        }
        // A path takes `%20` where a form takes `+`; a plus sign itself was encoded above.
        uri.replace('+', "%20")
    }

    /// Its segments, below `/v1`.
    pub(super) fn segments(&self) -> &[&'a str] {
        &self.segments
    }

    /// The value of a parameter.
    pub(super) fn parameter(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| *known == key).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_segment() {
        let path = ApiPath::new(["policies", "a/../b c", "runs"]).with("to", "we st&x=1");
        assert_eq!(path.to_uri(), "/v1/policies/a%2F..%2Fb%20c/runs?to=we%20st%26x%3D1");
    }
}
