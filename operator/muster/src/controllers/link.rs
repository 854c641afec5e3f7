//! How the API server is reached. The clients' own repetition of calls is off, as it repeats writes that may have been
//! carried out.

use super::patience::Patience;
use kube::api::PostParams;
use kube::client::ClientBuilder;
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Api, Client, Config};
use muster_providers::kubernetes::tell;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;
use tower::ServiceBuilder;
use tower::buffer::BufferLayer;
use tower::retry::RetryLayer;

/// Of one call.
const DEADLINE: Duration = Duration::from_secs(5);
/// Requests that wait for their turn; further callers wait too.
const REQUESTS: usize = 1024;
/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(3);
/// A connection on which an answer was waited for in silence for so long is dead. More than a watch lasts; what is no watch
/// has a deadline of its own, and a shorter one.
const SILENCE: Duration = Duration::from_secs(75);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The file, or the context in it.
    #[error("failed to use the kubeconfig {}: {source}", path.display())]
    Kubeconfig {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: KubeconfigError,
    },
    /// No ServiceAccount and no kubeconfig.
    #[error("failed to find an API server: {0}. Run in a pod with a ServiceAccount, or give --kubeconfig")]
    Nowhere(#[source] Box<InferConfigError>),
    /// What was found cannot be used.
    #[error("failed to make a client of the API server: {0}")]
    Client(#[source] Box<kube::Error>),
}

/// Clients of one API server. They share no connection.
pub(crate) struct Links {
    /// Asks again what [`Patience`] lets it: for the journal, statuses and watches, which are conditional or change nothing.
    pub(super) patient: Client,
    /// Sends each request once: for targets, where the lease is asked for right before, and not again before a repetition.
    pub(super) plain: Client,
}

/// Clients of the API server that the settings name, or that this process finds itself beside.
pub(crate) async fn connect(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Links, LinkError> {
    let mut config = find(kubeconfig, context).await?;
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(SILENCE);
    // Counted from a request on: how long its connection was idle before says nothing.
    config.reset_reader_on_write = true;
    let failed = |error: kube::Error| LinkError::Client(Box::new(error));
    let patience =
        ServiceBuilder::new().layer(RetryLayer::new(Patience::default())).layer(BufferLayer::new(REQUESTS));
    let patient = ClientBuilder::try_from(config.clone()).map_err(failed)?.with_layer(&patience).build();
    let plain = Client::try_from(config).map_err(failed)?;
    Ok(Links { patient, plain })
}

async fn find(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Config, LinkError> {
    match kubeconfig {
        Some(path) => {
            let failed = |source| LinkError::Kubeconfig { path: path.to_owned(), source };
            let options =
                KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
            let file = Kubeconfig::read_from(path).map_err(failed)?;
            Config::from_custom_kubeconfig(file, &options).await.map_err(failed)
        }
        None => Config::infer().await.map_err(|error| LinkError::Nowhere(Box::new(error))),
    }
}

/// Waits for a call, at most for its deadline.
pub(super) async fn within<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(tell(&error)),
        Err(_) => Err(format!("no answer within {DEADLINE:?}")),
    }
}

/// Replaces an object's status under the object's version. `None`: somebody else was first.
pub(super) async fn replace_status<K>(api: &Api<K>, name: &str, object: &K) -> Result<Option<K>, String>
where
    K: Clone + DeserializeOwned + Serialize + Debug,
{
    within(async {
        match api.replace_status(name, &PostParams::default(), object).await {
            Ok(written) => Ok(Some(written)),
            Err(kube::Error::Api(status)) if status.is_conflict() => Ok(None),
            Err(error) => Err(error),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::http::StatusCode;
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::net::TcpListener;

    /// A server that refuses everything for its load, and counts what it refused.
    async fn busy() -> (SocketAddr, Arc<AtomicU32>) {
        let refused = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&refused);
        let refuse = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            std::future::ready(StatusCode::TOO_MANY_REQUESTS)
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(refuse)).await });
        (address, refused)
    }

    #[tokio::test]
    async fn only_the_patient_client_asks_again() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (address, refused) = busy().await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        let text = format!(
            "{{apiVersion: v1, kind: Config, current-context: a, \
             contexts: [{{name: a, context: {{cluster: c, user: u}}}}], \
             clusters: [{{name: c, cluster: {{server: \"http://{address}\"}}}}], \
             users: [{{name: u, user: {{token: t}}}}]}}"
        );
        std::fs::write(&file, text).unwrap();
        let links = connect(Some(&file), None).await.unwrap();
        links.plain.apiserver_version().await.expect_err("it is busy");
        assert_eq!(refused.swap(0, Ordering::SeqCst), 1);
        links.patient.apiserver_version().await.expect_err("it is still busy");
        assert_eq!(refused.load(Ordering::SeqCst), 4, "the request and three repetitions");
    }
}
