//! Lets the probes' crate compile what it will run, and words its complaints as problems of the policy.

use super::findings::Findings;
use muster_core::time::Stamp;
use muster_crds::policy::RegionFailoverPolicySpec;
use muster_probes::{Clock, ProbingSpec, SpecError};
use std::sync::Arc;

/// Compiling reads no clock.
struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> Stamp {
        Stamp::default()
    }
}

/// Compiles every template, expression, address and TLS setting, once for each region.
pub(super) fn check(spec: &RegionFailoverPolicySpec, probing: &ProbingSpec, findings: &mut Findings) {
    let clock: Arc<dyn Clock> = Arc::new(NoClock);
    for mistake in muster_probes::validate(probing, &clock) {
        // A database without a node somewhere was found where the nodes stand.
        if mistake.field.rsplit('.').next() == Some("data") {
            continue;
        }
        let path = path_of(spec, &mistake.field);
        let (what, fix) = match mistake.problem.split_once("; ") {
            Some((what, fix)) => (what, fix.to_owned()),
            None => (mistake.problem.as_str(), fix_for(&mistake)),
        };
        findings.error(path, message_of(&mistake, what), fix);
    }
}

/// The expression or template, cut where it is long, and the place in it.
fn message_of(mistake: &SpecError, what: &str) -> String {
    const MOST: usize = 120;
    let Some(source) = &mistake.source else { return hide_passwords(what) };
    let shown: String = hide_passwords(source).escape_debug().take(MOST).collect();
    match mistake.column {
        Some(column) => format!("`{shown}` column {column}: {what}"),
        None => format!("`{shown}` {what}"),
    }
}

/// `http://user:password@host` without what stands before the host.
fn hide_passwords(text: &str) -> String {
    let mut parts = text.split("//");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(['/', '`', ' ', '?']).unwrap_or(part.len());
        let host = part[..end].rfind('@').map_or(0, |at| at + 1);
        shown.push_str(if host > 0 { "//***@" } else { "//" });
        shown.push_str(&part[host..]);
    }
    shown
}

fn fix_for(mistake: &SpecError) -> String {
    let last = mistake.field.rsplit('.').next().unwrap_or_default();
    let part = last.split('[').next().unwrap_or_default();
    match part {
        "expect" | "save" => "correct the expression: docs/policy.md lists what this field may speak of",
        "headers" | "secretHeaders" => {
            "use printable characters, and leave out what the connection sets itself"
        }
        "tls" => "put PEM text into the Secret, and give certificate and key together",
        "address" | "server" | "resolver" | "anchors" => "write it as host:port",
        "get" | "post" | "put" | "patch" | "delete" if mistake.source.is_none() => {
            "write a whole URL: http://HOST:PORT/PATH or https://HOST/PATH"
        }
        _ if mistake.source.is_some() => {
            "correct the template: {{ region.name }}, {{ region.values.KEY }}, or a saved name"
        }
        _ => "write it as docs/policy.md describes this field",
    }
    .to_owned()
}

/// `probes[NAME].http.headers[X]` as the policy has it: `spec.probes[0].http.headers.X`.
fn path_of(spec: &RegionFailoverPolicySpec, field: &str) -> String {
    let mut path = field.to_owned();
    if let Some((name, rest)) = field.strip_prefix("probes[").and_then(|f| f.split_once(']'))
        && let Some(index) = spec.probes.iter().position(|p| p.name.as_str() == name)
    {
        path = format!("probes[{index}]{rest}");
    }
    for map in [".headers[", ".save["] {
        if let Some((before, key)) = path.split_once(map) {
            path = format!("{before}{}.{}", map.trim_end_matches('['), key.trim_end_matches(']'));
        }
    }
    format!("spec.{path}")
}

#[cfg(test)]
mod tests {
    use super::hide_passwords;

    #[test]
    fn a_password_in_a_url_is_hidden() {
        assert_eq!(hide_passwords("`http://kim:pw@x/a` is bad"), "`http://***@x/a` is bad");
        assert_eq!(hide_passwords("http://x/a@b and //y"), "http://x/a@b and //y");
        assert_eq!(hide_passwords("no URL at all"), "no URL at all");
    }
}
