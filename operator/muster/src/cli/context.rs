//! What every verb has at hand: the screen, the way to the server, and who is asking.

use super::args::GlobalArgs;
use super::client::{ApiPath, Client};
use super::cluster::Place;
use super::exit::{Code, Done, Failure};
use super::output::Screen;
use super::view::Look;
use super::words;
use crate::api::PolicyList;
use crate::store::kubernetes::split;
use muster_core::ids::PolicyName;
use std::ffi::OsStr;
use std::path::PathBuf;

/// One call of the command line.
#[derive(Debug)]
pub(super) struct Context {
    /// Where words go.
    pub(super) screen: Screen,
    global: GlobalArgs,
}

impl Context {
    /// Looks at the terminal.
    pub(super) fn new(global: GlobalArgs) -> Self {
        Self { screen: Screen::look(global.color), global }
    }

    /// The layout for standard output.
    pub(super) fn look(&self) -> Look {
        Look { width: self.screen.width, paint: self.screen.paint, zone: jiff::tz::TimeZone::system() }
    }

    /// The layout for standard error.
    pub(super) fn note_look(&self) -> Look {
        Look { paint: self.screen.note_paint, ..self.look() }
    }

    /// The cluster or the server that was named, else the server on this machine.
    pub(super) async fn client(&self) -> Done<Client> {
        let global = &self.global;
        if asks_cluster(global, std::env::var_os("MUSTER_CLUSTER").as_deref()) {
            let place = Place {
                kubeconfig: global.kubeconfig.clone(),
                context: global.context.clone(),
                namespace: global.namespace.clone(),
            };
            return Client::of_cluster(&place, self.screen).await;
        }
        let client = Client::new(global.server.as_deref(), global.token_file.as_deref(), &self.state())?;
        if client.is_exposed() {
            let server = client.server();
            self.screen
                .note(&format!("warning: the token travels to {server} unencrypted; `ssh -L` keeps it safe"));
        }
        Ok(client)
    }

    /// The token file that was named.
    pub(super) fn token_file(&self) -> Option<PathBuf> {
        self.global.token_file.clone()
    }

    /// Folder of the journal and the token.
    pub(super) fn state(&self) -> PathBuf {
        self.global.state.clone().unwrap_or_else(default_state)
    }
}

/// What is named on the command line comes before what the environment says.
fn asks_cluster(global: &GlobalArgs, variable: Option<&OsStr>) -> bool {
    let named = global.kubeconfig.is_some() || global.context.is_some() || global.namespace.is_some();
    let wished = variable.is_some_and(|value| !value.is_empty() && value != "0");
    named || global.server.is_none() && (global.plugin || wished)
}

fn default_state() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/var/lib/muster");
    }
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    base.unwrap_or_else(|| PathBuf::from(".")).join("muster")
}

/// Who asks, for the journal. In a cluster it is whom the API server takes the caller for: nobody asks there in another
/// one's name.
pub(super) async fn who(client: &Client, by: Option<&String>) -> Done<String> {
    match (client.caller().await?, by) {
        (None, Some(by)) => Ok(by.clone()),
        (None, None) => Ok(login_name()),
        (Some(caller), by) if by.is_none_or(|by| *by == caller) => Ok(caller),
        (Some(caller), _) => {
            Err(Failure::usage(format!("--by: in a cluster you act as {caller}, by your credentials"))
                .fix("Leave --by out, or name another context with --context."))
        }
    }
}

/// The login name, with the person behind sudo.
fn login_name() -> String {
    let uid = nix::unistd::geteuid();
    let name =
        nix::unistd::User::from_uid(uid).ok().flatten().map_or_else(|| format!("uid {uid}"), |u| u.name);
    match std::env::var_os("SUDO_USER").and_then(|v| v.into_string().ok()).filter(|sudo| *sudo != name) {
        Some(person) if !person.is_empty() => format!("{person} (as {name})"),
        _ => name,
    }
}

/// The policy that was named, or the only one.
pub(super) async fn pick_policy(client: &Client, wish: Option<&str>) -> Done<PolicyName> {
    let mut path = ApiPath::new(["policies"]);
    // Whose rights end at one namespace needs only that one.
    if let Some((namespace, _)) = wish.and_then(|wish| wish.split_once('/')).filter(|_| client.is_cluster()) {
        path = path.with("namespace", namespace);
    }
    let list: PolicyList = client.get(path).await?;
    let known: Vec<PolicyName> = list.policies.into_iter().map(|p| p.name).collect();
    choose(&known, wish, if client.is_cluster() { IN_A_CLUSTER } else { ON_A_SERVER })
}

/// Where policies come from.
const ON_A_SERVER: &str =
    "Put one into the server's --policies folder; `muster status` shows files that were not taken.";
const IN_A_CLUSTER: &str = "`kubectl apply` one, or look elsewhere with -n NAMESPACE; `muster status` shows those that were not taken.";

fn choose(known: &[PolicyName], wish: Option<&str>, none: &str) -> Done<PolicyName> {
    let matching: Vec<&PolicyName> = match wish {
        None => known.iter().collect(),
        Some(full) if full.contains('/') => known.iter().filter(|n| n.as_str() == full).collect(),
        Some(short) => known.iter().filter(|n| split(n).1 == short).collect(),
    };
    let listed = known.iter().map(PolicyName::as_str).collect::<Vec<_>>().join(", ");
    let list = || {
        if known.is_empty() { "No policy is in force.".to_owned() } else { format!("In force: {listed}.") }
    };
    match (matching.as_slice(), wish) {
        ([one], _) => Ok((*one).clone()),
        ([], None) => Err(Failure::new(Code::NotFound, "no policy is in force").fix(none)),
        ([], Some(name)) => {
            Err(Failure::new(Code::NotFound, format!("there is no policy {name}")).fix(list()))
        }
        (several, None) => Err(Failure::usage(format!(
            "there are {}; name one of them",
            words::count(several.len(), "policy", "policies")
        ))
        .fix(list())),
        (_, Some(name)) => {
            Err(Failure::usage(format!("{name} is in more than one namespace; name it in full")).fix(list()))
        }
    }
}

/// A path below one policy.
pub(super) fn policy_path<'a>(policy: &'a PolicyName, rest: &[&'a str]) -> ApiPath<'a> {
    let (namespace, name) = split(policy);
    ApiPath::new(["policies", namespace, name].into_iter().chain(rest.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<PolicyName> {
        names.iter().map(|n| (*n).into()).collect()
    }

    #[test]
    fn the_only_policy_need_not_be_named() {
        assert_eq!(choose(&names(&["shop/checkout"]), None, ""), Ok("shop/checkout".into()));
    }

    #[test]
    fn among_several_one_must_be_named_and_the_message_lists_them() {
        let failure = choose(&names(&["a/x", "b/y"]), None, "").unwrap_err();
        assert_eq!(failure.code, Code::Usage);
        assert_eq!(failure.to_string(), "there are 2 policies; name one of them\nIn force: a/x, b/y.");
    }

    #[test]
    fn a_cluster_is_asked_when_it_is_named_and_by_default_only_where_that_was_wished() {
        use super::super::args::{Cli, command};
        use clap::FromArgMatches;
        let global = |words: &[&str]| {
            let words = ["muster", "status"].iter().chain(words);
            let matches = command().try_get_matches_from(words).unwrap();
            Cli::from_arg_matches(&matches).unwrap().global
        };
        let server = |words: &[&str], server: Option<&str>| GlobalArgs {
            server: server.map(str::to_owned),
            ..global(words)
        };
        for named in [["-n", "shop"], ["--context", "prod"], ["--kubeconfig", "file"]] {
            assert!(asks_cluster(&server(&named, Some("http://x")), None), "{named:?}");
        }
        assert!(!asks_cluster(&server(&[], None), None));
        assert!(!asks_cluster(&server(&[], None), Some(OsStr::new("0"))));
        assert!(asks_cluster(&server(&[], None), Some(OsStr::new("1"))));
        assert!(!asks_cluster(&server(&[], Some("http://x")), Some(OsStr::new("1"))));
        assert!(asks_cluster(&GlobalArgs { plugin: true, ..server(&[], None) }, None));
    }

    #[test]
    fn a_short_name_is_enough_while_it_is_unique() {
        let all = names(&["a/x", "b/y", "c/y"]);
        assert_eq!(choose(&all, Some("x"), ""), Ok("a/x".into()));
        assert_eq!(choose(&all, Some("c/y"), ""), Ok("c/y".into()));
        assert_eq!(choose(&all, Some("y"), "").unwrap_err().code, Code::Usage);
        assert_eq!(choose(&all, Some("z"), "").unwrap_err().code, Code::NotFound);
        assert_eq!(choose(&[], None, "").unwrap_err().code, Code::NotFound);
    }
}
