//! Which API server, and as whom: what kubectl would take, or the ServiceAccount of the pod that this runs in.

use super::super::exit::{Code, Done, Failure};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use muster_providers::kubernetes::tell;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(3);

/// What the command line says of the cluster.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// The file. `None`: as kubectl, `KUBECONFIG`, else `~/.kube/config`; without any the pod's ServiceAccount.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it. `None`: the current one.
    pub context: Option<String>,
    /// The namespace to look at. `None`: the context's, else all.
    pub namespace: Option<String>,
}

/// A client that has called nobody yet.
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) server: String,
    pub(super) scope: Option<String>,
}

/// By the kubeconfig, or from within a pod.
pub(super) async fn connect(place: &Place) -> Done<Link> {
    let (mut config, of_context) = match read(place.kubeconfig.as_deref()) {
        Ok(file) => from_file(file, place).await?,
        Err(error) if is_absent(&error) && place.kubeconfig.is_none() && place.context.is_none() => {
            (in_pod(&error)?, None)
        }
        Err(error) => return Err(unreadable(&error)),
    };
    // A change that is sent again by itself would meet its own conflict.
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT);
    let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    let client = Client::try_from(config).map_err(|error| no_client(&server, &error))?;
    Ok(Link { client, server, scope: place.namespace.clone().or(of_context) })
}

fn read(path: Option<&Path>) -> Result<Kubeconfig, KubeconfigError> {
    path.map_or_else(Kubeconfig::read, Kubeconfig::read_from)
}

fn is_absent(error: &KubeconfigError) -> bool {
    match error {
        KubeconfigError::FindPath => true,
        KubeconfigError::ReadConfig(source, _) => source.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

fn in_pod(no_file: &KubeconfigError) -> Done<Config> {
    Config::incluster().map_err(|_| {
        Failure::new(Code::Unreachable, format!("there is no kubeconfig ({no_file}), and this is no pod of a cluster"))
            .fix("Name one with --kubeconfig FILE or KUBECONFIG. A server of `muster local` is named with --server URL.")
    })
}

fn unreadable(error: &KubeconfigError) -> Failure {
    let code = if is_absent(error) { Code::NotFound } else { Code::Usage };
    Failure::new(code, error.to_string()).fix("Name another one with --kubeconfig FILE or KUBECONFIG.")
}

/// The configuration, and the namespace of its context.
async fn from_file(file: Kubeconfig, place: &Place) -> Done<(Config, Option<String>)> {
    let name = place.context.clone().or_else(|| file.current_context.clone().filter(|name| !name.is_empty()));
    let known: Vec<String> = file.contexts.iter().map(|context| context.name.clone()).collect();
    let listed = || match known.as_slice() {
        [] => "The kubeconfig names none.".to_owned(),
        known => format!("The kubeconfig has: {}.", known.join(", ")),
    };
    let Some(name) = name else {
        return Err(
            Failure::usage("the kubeconfig has no current context; name one with --context").fix(listed())
        );
    };
    let Some(context) = file.contexts.iter().find(|context| context.name == name) else {
        return Err(Failure::usage(format!("there is no context {name}")).fix(listed()));
    };
    let namespace = context.context.as_ref().and_then(|context| context.namespace.clone());
    let options = KubeConfigOptions { context: Some(name.clone()), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(file, &options).await;
    let config =
        config.map_err(|error| Failure::usage(format!("the context {name} cannot be used: {error}")))?;
    Ok((config, namespace.filter(|namespace| !namespace.is_empty())))
}

fn no_client(server: &str, error: &kube::Error) -> Failure {
    let what = format!("cannot call {server} with what the kubeconfig says: {}", tell(error));
    let fix = match error {
        kube::Error::Auth(_) => {
            "A credential plugin (exec) must run and end well here; an auth-provider (oidc, gcp) is not built in: \
             log in with a plugin, a token or a certificate instead."
        }
        _ => "kubectl --context NAME get --raw /version shows whether kubectl can.",
    };
    Failure::new(Code::Unreachable, what).fix(fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
apiVersion: v1
kind: Config
current-context: prod
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: kim, user: {token: t}}]
contexts:
- {name: prod, context: {cluster: c, user: kim, namespace: shop}}
- {name: test, context: {cluster: c, user: kim}}
- {name: gone, context: {cluster: nowhere, user: kim}}
"#;

    fn place(context: Option<&str>) -> (tempfile::TempDir, Place) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        std::fs::write(&path, FILE).unwrap();
        let place = Place { kubeconfig: Some(path), context: context.map(str::to_owned), namespace: None };
        (folder, place)
    }

    async fn taken(place: &Place) -> Link {
        connect(place).await.unwrap_or_else(|failure| panic!("{failure}"))
    }

    async fn refused(place: &Place) -> Failure {
        connect(place).await.err().expect("it is refused")
    }

    #[tokio::test]
    async fn the_context_says_which_namespace_unless_one_is_named() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (_folder, mut place) = place(None);
        let link = taken(&place).await;
        assert_eq!((link.server.as_str(), link.scope.as_deref()), ("https://127.0.0.1:1", Some("shop")));
        place.namespace = Some("pay".to_owned());
        assert_eq!(taken(&place).await.scope.as_deref(), Some("pay"));
        place.namespace = None;
        place.context = Some("test".to_owned());
        assert_eq!(taken(&place).await.scope, None, "all namespaces");
    }

    #[tokio::test]
    async fn a_context_that_is_not_there_is_answered_with_those_that_are() {
        let (_folder, place) = place(Some("prdo"));
        let failure = refused(&place).await;
        assert_eq!(failure.code, Code::Usage);
        assert_eq!(failure.to_string(), "there is no context prdo\nThe kubeconfig has: prod, test, gone.");
    }

    #[tokio::test]
    async fn a_context_without_its_cluster_is_named() {
        let (_folder, place) = place(Some("gone"));
        let failure = refused(&place).await;
        assert!(failure.what.starts_with("the context gone cannot be used"), "{failure}");
    }

    #[tokio::test]
    async fn a_kubeconfig_that_is_not_there_is_named() {
        let place = Place { kubeconfig: Some("/nowhere/config".into()), ..Place::default() };
        let failure = refused(&place).await;
        assert_eq!(failure.code, Code::NotFound);
        assert!(failure.what.contains("/nowhere/config"), "{failure}");
    }
}
