//! How a region's cluster is reached: from a kubeconfig that holds all it needs, or as the process itself does.

use super::call::{Failure, tell};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use muster_core::facts::ErrorClass;
use muster_core::secret::Secret;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(3);

/// What is wrong with a kubeconfig. Names fields, never their content.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// It is none.
    #[error("it is no kubeconfig")]
    Unreadable,
    /// It names no cluster to go to.
    #[error("it has no current-context that names a cluster with a server and a user")]
    NoContext,
    /// It points outside of itself: a Secret must not make Muster run programs or read files.
    #[error(
        "its {field} points outside of it; write the credentials themselves (token, client-certificate-data, \
         client-key-data, certificate-authority-data)"
    )]
    Outside {
        /// The field.
        field: &'static str,
    },
    /// Whoever is on the way could read the token, and answer in the server's place.
    #[error("its server does not begin with https://")]
    Plain,
    /// The server's certificate would not be looked at.
    #[error("it turns the check of the server's certificate off; give certificate-authority-data")]
    Insecure,
}

/// Whether a kubeconfig can be used: everything within it, nothing to run, a server whose certificate is checked.
pub fn check_kubeconfig(text: &Secret) -> Result<(), KubeconfigError> {
    read(text).map(|_| ())
}

fn read(text: &Secret) -> Result<Kubeconfig, KubeconfigError> {
    // The parser's words may quote the text.
    let file = Kubeconfig::from_yaml(text.expose()).map_err(|_| KubeconfigError::Unreadable)?;
    let current = file.current_context.as_deref().unwrap_or_default();
    let context = file.contexts.iter().find(|c| c.name == current).and_then(|c| c.context.as_ref());
    let context = context.ok_or(KubeconfigError::NoContext)?;
    let cluster = file.clusters.iter().find(|c| c.name == context.cluster).and_then(|c| c.cluster.as_ref());
    let cluster = cluster.filter(|c| c.server.is_some()).ok_or(KubeconfigError::NoContext)?;
    if !cluster.server.as_ref().is_some_and(|server| server.starts_with("https://")) {
        return Err(KubeconfigError::Plain);
    }
    let user = file.auth_infos.iter().find(|u| Some(&u.name) == context.user.as_ref());
    let user = user.and_then(|u| u.auth_info.as_ref()).ok_or(KubeconfigError::NoContext)?;
    if cluster.insecure_skip_tls_verify == Some(true) {
        return Err(KubeconfigError::Insecure);
    }
    let outside = [("certificate-authority", cluster.certificate_authority.is_some())];
    match outside.into_iter().chain(outside_of(user)).find(|(_, is_there)| *is_there) {
        Some((field, _)) => Err(KubeconfigError::Outside { field }),
        None => Ok(file),
    }
}

fn outside_of(user: &AuthInfo) -> [(&'static str, bool); 5] {
    [
        ("exec", user.exec.is_some()),
        ("auth-provider", user.auth_provider.is_some()),
        ("tokenFile", user.token_file.is_some()),
        ("client-certificate", user.client_certificate.is_some()),
        ("client-key", user.client_key.is_some()),
    ]
}

/// One cluster, connected to when it is first needed.
pub struct Link {
    kubeconfig: Option<Secret>,
    client: OnceCell<Client>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Link {
    /// The client. It repeats nothing by itself: whoever calls knows what may be made twice.
    pub(super) async fn client(&self) -> Result<&Client, Failure> {
        self.client.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Client, Failure> {
        let invalid = |why: String| Failure::new(ErrorClass::Invalid, why);
        let Some(text) = &self.kubeconfig else {
            return Err(invalid("there is no cluster of its own".to_owned()));
        };
        let file = read(text).map_err(|error| invalid(format!("the kubeconfig is of no use: {error}")))?;
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
        let mut config = config.map_err(|_| invalid("the kubeconfig cannot be read".to_owned()))?;
        config.default_retry = false;
        config.connect_timeout = Some(CONNECT);
        Client::try_from(config).map_err(|error| invalid(tell(&error)))
    }
}

/// The clusters that a process reaches. Policies that name the same kubeconfig share one connection.
#[derive(Default)]
pub struct Clusters {
    own: Option<Arc<Link>>,
    known: Mutex<BTreeMap<[u8; 32], Weak<Link>>>,
}

impl fmt::Debug for Clusters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clusters").finish_non_exhaustive()
    }
}

impl Clusters {
    /// With a cluster of the process's own.
    pub fn with_own(client: Client) -> Self {
        let own = Link { kubeconfig: None, client: OnceCell::new_with(Some(client)) };
        Self { own: Some(Arc::new(own)), known: Mutex::default() }
    }

    /// The process's own cluster, if it has one.
    pub fn own(&self) -> Option<Arc<Link>> {
        self.own.clone()
    }

    /// The cluster of a kubeconfig.
    pub fn link(&self, kubeconfig: &Secret) -> Arc<Link> {
        let key: [u8; 32] = Sha256::digest(kubeconfig.expose()).into();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = known.get(&key).and_then(Weak::upgrade) {
            return link;
        }
        known.retain(|_, link| link.strong_count() > 0);
        let link = Arc::new(Link { kubeconfig: Some(kubeconfig.clone()), client: OnceCell::new() });
        known.insert(key, Arc::downgrade(&link));
        link
    }
}

#[cfg(test)]
mod tests {
    use super::{Clusters, KubeconfigError, check_kubeconfig};
    use muster_core::secret::Secret;
    use std::sync::Arc;

    fn kubeconfig(cluster: &str, user: &str) -> Secret {
        Secret::new(format!(
            "{{apiVersion: v1, kind: Config, current-context: a, contexts: [{{name: a, context: {{cluster: c, user: u}}}}], \
             clusters: [{{name: c, cluster: {{{cluster}}}}}], users: [{{name: u, user: {{{user}}}}}]}}"
        ))
    }

    #[test]
    fn a_kubeconfig_that_holds_everything_is_taken() {
        check_kubeconfig(&kubeconfig("server: https://a", "token: hunter2")).expect("good");
    }

    #[test]
    fn what_points_outside_is_refused_by_its_field_and_shows_nothing() {
        let bad = [
            ("exec", kubeconfig("server: https://a", "exec: {apiVersion: v1, command: hunter2}")),
            ("tokenFile", kubeconfig("server: https://a", "tokenFile: /hunter2")),
            ("client-key", kubeconfig("server: https://a", "client-key: /hunter2")),
            ("client-certificate", kubeconfig("server: https://a", "client-certificate: /hunter2")),
            (
                "certificate-authority",
                kubeconfig("server: https://a, certificate-authority: /hunter2", "token: t"),
            ),
        ];
        for (field, text) in bad {
            let error = check_kubeconfig(&text).expect_err(field);
            assert!(
                matches!(&error, KubeconfigError::Outside { field: f } if *f == field),
                "{field}: {error}"
            );
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
        let plain = kubeconfig("server: http://a", "token: t");
        assert!(matches!(check_kubeconfig(&plain), Err(KubeconfigError::Plain)));
        let insecure = kubeconfig("server: https://a, insecure-skip-tls-verify: true", "token: t");
        assert!(matches!(check_kubeconfig(&insecure), Err(KubeconfigError::Insecure)));
        for nonsense in ["hunter2", "{", "{apiVersion: v1, kind: Config}", ""] {
            let error = check_kubeconfig(&Secret::new(nonsense)).expect_err(nonsense);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn policies_with_the_same_kubeconfig_share_a_connection() {
        let clusters = Clusters::default();
        let text = kubeconfig("server: https://a", "token: t");
        let one = clusters.link(&text);
        assert!(Arc::ptr_eq(&one, &clusters.link(&text)));
        assert!(!Arc::ptr_eq(&one, &clusters.link(&kubeconfig("server: https://b", "token: t"))));
    }
}
