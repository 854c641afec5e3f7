//! Host names, domain names, addresses and URLs: whether they can be what they say.

use std::net::{IpAddr, SocketAddr};

/// Whether `name` is a domain name: labels of letters, digits, `-` and `_`, each at most 63 long.
pub(super) fn is_domain_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (1..=253).contains(&name.len()) && name.split('.').all(is_label)
}

/// Whether a host can be connected to by this text: a name or an address, without a port.
pub(super) fn is_host(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok() || (is_domain_name(host) && !looks_like_ipv4(host))
}

/// `300.1.2.3` is a mistake, not a name.
fn looks_like_ipv4(host: &str) -> bool {
    host.split('.').count() == 4 && host.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// Whether `name` is in `zone`, or is the zone itself.
pub(super) fn is_in_zone(name: &str, zone: &str) -> bool {
    let (name, zone) = (fold(name), fold(zone));
    name == zone || name.strip_suffix(&zone).is_some_and(|host| host.ends_with('.'))
}

/// As names compare: without case and without the last dot.
pub(crate) fn fold(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// An address with a port, without any look-up.
pub(super) fn socket_address(text: &str) -> Option<SocketAddr> {
    text.parse().ok().filter(|a: &SocketAddr| a.port() != 0)
}

/// What is wrong with an `http` or `https` URL.
pub(super) fn check_url(text: &str) -> Result<(), String> {
    let url = url::Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("has the scheme {}, which is not http or https", url.scheme()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("has no host".to_owned());
    }
    if url.password().is_some() || !url.username().is_empty() {
        return Err("holds a user name or password, which would be shown".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{check_url, is_domain_name, is_host, is_in_zone};

    #[test]
    fn names_and_hosts_are_told_from_mistakes() {
        assert!(is_domain_name("shop.example.com.") && is_domain_name("_dmarc.example.com"));
        for name in ["", ".", "a..b", "-a.com", "a b.com", "shop.example.com:53", "http://x"] {
            assert!(!is_domain_name(name), "{name}");
        }
        assert!(is_host("127.0.0.1") && is_host("::1") && is_host("db.example.com"));
        assert!(!is_host("300.1.2.3") && !is_host("db:5432"));
    }

    #[test]
    fn a_record_is_in_its_zone_only_at_a_label() {
        assert!(is_in_zone("Shop.example.com.", "example.com") && is_in_zone("example.com", "example.com."));
        assert!(!is_in_zone("badexample.com", "example.com") && !is_in_zone("example.org", "example.com"));
    }

    #[test]
    fn urls_must_be_http_and_hold_no_password() {
        assert!(check_url("https://x.example.com/a?b").is_ok());
        for url in ["ftp://x/", "x.example.com", "http://", "https://user:pw@x/"] {
            let message = check_url(url).expect_err(url);
            assert!(!message.contains("pw"), "{message}");
        }
    }
}
