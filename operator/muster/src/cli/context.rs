//! What every verb has at hand: the screen, the way to the server, and who is asking.

use super::args::GlobalArgs;
use super::client::{ApiPath, Client};
use super::exit::{Code, Done, Failure};
use super::output::Screen;
use super::view::Look;
use super::words;
use crate::api::PolicyList;
use muster_core::ids::PolicyName;
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

    /// The server that was named, or the one on this machine.
    pub(super) fn client(&self) -> Done<Client> {
        let global = &self.global;
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

fn default_state() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/var/lib/muster");
    }
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    base.unwrap_or_else(|| PathBuf::from(".")).join("muster")
}

/// Who asks, for the journal: as named, else the login name, with the person behind sudo.
pub(super) fn who(by: Option<&String>) -> String {
    if let Some(by) = by {
        return by.clone();
    }
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
    let list: PolicyList = client.get(ApiPath::new(["policies"])).await?;
    let known: Vec<PolicyName> = list.policies.into_iter().map(|p| p.name).collect();
    choose(&known, wish)
}

fn choose(known: &[PolicyName], wish: Option<&str>) -> Done<PolicyName> {
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
        ([], None) => Err(Failure::new(Code::NotFound, "no policy is in force").fix(
            "Put one into the server's --policies folder; `muster status` shows files that were not taken.",
        )),
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

/// Namespace and name.
pub(super) fn split(policy: &PolicyName) -> (&str, &str) {
    policy.as_str().split_once('/').unwrap_or(("default", policy.as_str()))
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
        assert_eq!(choose(&names(&["shop/checkout"]), None), Ok("shop/checkout".into()));
    }

    #[test]
    fn among_several_one_must_be_named_and_the_message_lists_them() {
        let failure = choose(&names(&["a/x", "b/y"]), None).unwrap_err();
        assert_eq!(failure.code, Code::Usage);
        assert_eq!(failure.to_string(), "there are 2 policies; name one of them\nIn force: a/x, b/y.");
    }

    #[test]
    fn a_short_name_is_enough_while_it_is_unique() {
        let all = names(&["a/x", "b/y", "c/y"]);
        assert_eq!(choose(&all, Some("x")), Ok("a/x".into()));
        assert_eq!(choose(&all, Some("c/y")), Ok("c/y".into()));
        assert_eq!(choose(&all, Some("y")).unwrap_err().code, Code::Usage);
        assert_eq!(choose(&all, Some("z")).unwrap_err().code, Code::NotFound);
        assert_eq!(choose(&[], None).unwrap_err().code, Code::NotFound);
    }
}
