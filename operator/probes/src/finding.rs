//! What a probe ran into: a symptom and a sentence. Classifies the errors of sockets, TLS and HTTP (safety rules,
//! section 8): only what the *target* did wrong may ever become a Fail.

use muster_core::health::Symptom;
use rustls::{AlertDescription, CertificateError};
use std::error::Error as StdError;
use std::io;

/// Longest detail, in characters.
const MAX_DETAIL: usize = 300;

/// Why a probe did not pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Finding {
    pub(crate) symptom: Symptom,
    pub(crate) detail: String,
}

impl Finding {
    pub(crate) fn new(symptom: Symptom, detail: impl Into<String>) -> Self {
        Self { symptom, detail: detail.into() }
    }

    pub(crate) fn wrong(detail: impl Into<String>) -> Self {
        Self::new(Symptom::WrongAnswer, detail)
    }

    pub(crate) fn own_setup(detail: impl Into<String>) -> Self {
        Self::new(Symptom::OwnSetup, detail)
    }

    /// The same with words in front.
    pub(crate) fn within(self, prefix: &str) -> Self {
        Self { symptom: self.symptom, detail: format!("{prefix}: {}", self.detail) }
    }

    /// From a connection attempt or an established connection.
    pub(crate) fn io(error: &io::Error, doing: &str) -> Self {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Self::tls(tls, doing);
        }
        Self::new(symptom_of_io(error), format!("{doing}: {}", words_of_io(error)))
    }

    /// From a TLS handshake, or an alert that came later.
    pub(crate) fn tls(error: &rustls::Error, doing: &str) -> Self {
        Self::new(symptom_of_tls(error), format!("{doing}: TLS: {}", words_of_tls(error)))
    }

    /// From any error of a library: looks for the socket's or TLS's own error in its chain.
    pub(crate) fn chain(error: &(dyn StdError + 'static), otherwise: Symptom, doing: &str) -> Self {
        let mut link = Some(error);
        while let Some(current) = link {
            if let Some(tls) = current.downcast_ref::<rustls::Error>() {
                return Self::tls(tls, doing);
            }
            if let Some(io) = current.downcast_ref::<io::Error>() {
                return Self::io(io, doing);
            }
            link = current.source();
        }
        Self::new(otherwise, format!("{doing}: {}", words_of_chain(error)))
    }

    /// Without the secrets in `secrets`, on one line, and short.
    pub(crate) fn publishable(mut self, secrets: &[String]) -> Self {
        for secret in secrets.iter().filter(|secret| secret.len() >= 3) {
            if self.detail.contains(secret.as_str()) {
                self.detail = self.detail.replace(secret.as_str(), "[secret]");
            }
        }
        if self.detail.contains(char::is_control) {
            self.detail = self.detail.replace(char::is_control, " ");
        }
        if self.detail.chars().count() > MAX_DETAIL {
            self.detail = self.detail.chars().take(MAX_DETAIL - 1).chain(['…']).collect();
        }
        self
    }
}

fn words_of_chain(error: &(dyn StdError + 'static)) -> String {
    let mut words = error.to_string();
    let mut link = error.source();
    while let Some(current) = link {
        let more = current.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        link = current.source();
    }
    words
}

fn symptom_of_io(error: &io::Error) -> Symptom {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused
        | Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::BrokenPipe
        | Kind::NotConnected
        | Kind::UnexpectedEof
        | Kind::WriteZero => Symptom::Refused,
        Kind::TimedOut => Symptom::Timeout,
        Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => Symptom::NoRoute,
        // EADDRNOTAVAIL: no local port is left. EADDRINUSE: likewise, with a bound source.
        Kind::AddrNotAvailable | Kind::AddrInUse | Kind::OutOfMemory | Kind::WouldBlock => {
            Symptom::OwnResources
        }
        // EPERM, EACCES: a local packet filter or policy.
        Kind::PermissionDenied | Kind::Unsupported | Kind::InvalidInput => Symptom::OwnSetup,
        _ => match error.raw_os_error() {
            Some(EMFILE | ENFILE | ENOBUFS | ENOMEM) => Symptom::OwnResources,
            Some(_) => Symptom::OwnSetup,
            None => Symptom::WrongAnswer,
        },
    }
}

// Linux numbers (asm-generic/errno.h, errno-base.h); the standard library has no kinds for them.
const ENOMEM: i32 = 12;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const ENOBUFS: i32 = 105;

fn words_of_io(error: &io::Error) -> String {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => "connection refused".to_owned(),
        Kind::ConnectionReset => "connection reset".to_owned(),
        Kind::BrokenPipe | Kind::UnexpectedEof | Kind::ConnectionAborted => {
            "connection broken off".to_owned()
        }
        Kind::TimedOut => "the network gave up".to_owned(),
        Kind::HostUnreachable | Kind::NetworkUnreachable => "no route".to_owned(),
        Kind::AddrNotAvailable => "no local port or address is left".to_owned(),
        _ => match error.raw_os_error() {
            Some(EMFILE | ENFILE) => "too many open files here".to_owned(),
            _ => error.to_string(),
        },
    }
}

fn symptom_of_tls(error: &rustls::Error) -> Symptom {
    use rustls::Error as Tls;
    match error {
        // Whom to trust is our side's choice; an issuer that we do not know is a stale or wrong store of ours
        // until a person says otherwise.
        Tls::InvalidCertificate(
            CertificateError::UnknownIssuer
            // An issuer of the same name with another key: a rotated CA.
            | CertificateError::BadSignature
            | CertificateError::UnknownRevocationStatus
            | CertificateError::ExpiredRevocationList
            | CertificateError::ExpiredRevocationListContext { .. },
        )
        | Tls::InvalidCertRevocationList(_)
        | Tls::BadMaxFragmentSize
        | Tls::FailedToGetCurrentTime
        | Tls::FailedToGetRandomBytes
        | Tls::EncryptError
        | Tls::General(_) => Symptom::OwnSetup,
        Tls::AlertReceived(alert) if speaks_of_our_certificate(*alert) => Symptom::OwnSetup,
        _ => Symptom::WrongAnswer,
    }
}

/// Alerts by which a server refuses the *client's* certificate, or its signature (RFC 8446, section 6.2).
const fn speaks_of_our_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::NoCertificate
            | AlertDescription::DecryptError
    )
}

fn words_of_tls(error: &rustls::Error) -> String {
    use rustls::Error as Tls;
    match error {
        Tls::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the target's certificate has expired".to_owned()
        }
        Tls::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the target's certificate is for another name".to_owned(),
        Tls::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "the target's certificate is from an issuer that is not in our trust store".to_owned()
        }
        Tls::AlertReceived(alert) if speaks_of_our_certificate(*alert) => {
            format!("the target refused our client certificate ({alert:?})")
        }
        other => other.to_string(),
    }
}
