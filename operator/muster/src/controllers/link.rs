//! How the API server is reached. The client's own repetition of calls is off, as it repeats writes that may have been
//! carried out.

use super::patience::Patience;
use kube::client::ClientBuilder;
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use muster_providers::kubernetes::tell;
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

/// A client of the API server that the settings name, or that this process finds itself beside.
pub(crate) async fn connect(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Client, LinkError> {
    let mut config = match kubeconfig {
        Some(path) => {
            let failed = |source| LinkError::Kubeconfig { path: path.to_owned(), source };
            let options =
                KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
            let file = Kubeconfig::read_from(path).map_err(failed)?;
            Config::from_custom_kubeconfig(file, &options).await.map_err(failed)?
        }
        None => Config::infer().await.map_err(|error| LinkError::Nowhere(Box::new(error)))?,
    };
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT);
    let builder = ClientBuilder::try_from(config).map_err(|error| LinkError::Client(Box::new(error)))?;
    let patient =
        ServiceBuilder::new().layer(RetryLayer::new(Patience::default())).layer(BufferLayer::new(REQUESTS));
    Ok(builder.with_layer(&patient).build())
}

/// Waits for a call, at most for its deadline.
pub(super) async fn within<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(tell(&error)),
        Err(_) => Err(format!("no answer within {DEADLINE:?}")),
    }
}
