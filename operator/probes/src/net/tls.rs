//! TLS settings, built once per probe (or once per process where a probe has none of its own).

use super::stream::Stream;
use crate::finding::Finding;
use crate::progress::{Phase, Progress};
use crate::spec::TlsSpec;
use muster_core::secret::Secret;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::sync::{Arc, LazyLock};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));
static SYSTEM_HTTP1: LazyLock<Result<Arc<ClientConfig>, String>> =
    LazyLock::new(|| with_system(&[b"http/1.1"]));
static SYSTEM_HTTP2: LazyLock<Result<Arc<ClientConfig>, String>> = LazyLock::new(|| with_system(&[b"h2"]));
static SYSTEM_BARE: LazyLock<Result<Arc<ClientConfig>, String>> = LazyLock::new(|| with_system(&[]));

/// What is spoken inside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Inside {
    Http1,
    Http2,
    Postgres,
}

impl Inside {
    fn protocols(self) -> &'static [&'static [u8]] {
        match self {
            Self::Http1 => &[b"http/1.1"],
            Self::Http2 => &[b"h2"],
            Self::Postgres => &[],
        }
    }
}

#[derive(Clone, Debug)]
enum Settings {
    System(Inside),
    Own(Arc<ClientConfig>),
}

/// How to meet a TLS target.
#[derive(Clone, Debug)]
pub(crate) struct TlsClient {
    settings: Settings,
    server_name: Option<ServerName<'static>>,
}

impl TlsClient {
    /// Builds the settings. The error names the part that is wrong, never its content.
    pub(crate) fn build(spec: &TlsSpec, inside: Inside) -> Result<Self, String> {
        let server_name = spec.server_name.clone().map(|name| {
            ServerName::try_from(name.clone()).map_err(|_| format!("serverName {name:?} is no host name"))
        });
        let server_name = server_name.transpose()?;
        let identity = match (&spec.client_cert, &spec.client_key) {
            (Some(cert), Some(key)) => Some(read_identity(cert, key)?),
            (None, None) => None,
            (Some(_), None) => return Err("clientCertSecret is given without clientKeySecret".to_owned()),
            (None, Some(_)) => return Err("clientKeySecret is given without clientCertSecret".to_owned()),
        };
        if spec.ca.is_none() && identity.is_none() {
            return Ok(Self { settings: Settings::System(inside), server_name });
        }
        let roots = match &spec.ca {
            Some(pem) => read_roots(pem)?,
            None => system_roots()?,
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&PROVIDER))
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(roots);
        let config = match identity {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|e| format!("the client certificate and its key cannot be used: {e}"))?,
            None => builder.with_no_client_auth(),
        };
        Ok(Self { settings: Settings::Own(finish(config, inside.protocols())), server_name })
    }

    /// Encrypts, and looks at nobody's certificate.
    pub(crate) fn unverified() -> Result<Self, String> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&PROVIDER))
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?;
        let config = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate))
            .with_no_client_auth();
        Ok(Self { settings: Settings::Own(finish(config, &[])), server_name: None })
    }

    fn config(&self) -> Result<Arc<ClientConfig>, Finding> {
        let system = match &self.settings {
            Settings::Own(config) => return Ok(Arc::clone(config)),
            Settings::System(Inside::Http1) => &*SYSTEM_HTTP1,
            Settings::System(Inside::Http2) => &*SYSTEM_HTTP2,
            Settings::System(Inside::Postgres) => &*SYSTEM_BARE,
        };
        system.clone().map_err(Finding::own_setup)
    }

    /// The handshake.
    pub(crate) async fn handshake(
        &self,
        stream: TcpStream,
        host: &str,
        progress: &Progress,
    ) -> Result<Stream, Finding> {
        progress.enter(Phase::Tls);
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned())
                .map_err(|_| Finding::own_setup(format!("{host:?} is no name for a certificate")))?,
        };
        let connector = TlsConnector::from(self.config()?);
        let connected = connector.connect(name, stream).await;
        let stream = connected.map_err(|error| Finding::io(&error, "TLS handshake"))?;
        progress.enter(Phase::Answer);
        Ok(Stream::Tls(Box::new(stream)))
    }
}

fn finish(mut config: ClientConfig, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    // A resumed session shows the certificate of an earlier handshake; a probe wants to see today's.
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

fn with_system(protocols: &[&[u8]]) -> Result<Arc<ClientConfig>, String> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    Ok(finish(builder.with_root_certificates(system_roots()?).with_no_client_auth(), protocols))
}

fn system_roots() -> Result<RootCertStore, String> {
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(loaded.certs);
    if added == 0 {
        return Err("this machine has no trusted root certificates; install ca-certificates".to_owned());
    }
    Ok(roots)
}

fn read_roots(pem: &Secret) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.expose().as_bytes()) {
        let certificate = certificate.map_err(|_| "caSecret is no PEM certificate".to_owned())?;
        roots.add(certificate).map_err(|_| "caSecret holds a certificate that cannot be used".to_owned())?;
    }
    if roots.is_empty() {
        return Err("caSecret holds no PEM certificate".to_owned());
    }
    Ok(roots)
}

fn read_identity(
    cert: &Secret,
    key: &Secret,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(cert.expose().as_bytes()).collect();
    let chain = chain.map_err(|_| "clientCertSecret is no PEM certificate".to_owned())?;
    if chain.is_empty() {
        return Err("clientCertSecret holds no PEM certificate".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
        .map_err(|_| "clientKeySecret holds no PEM private key".to_owned())?;
    Ok((chain, key))
}

/// `sslmode=require`: encryption against listeners, no proof of who answers.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &PROVIDER.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &PROVIDER.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PROVIDER.signature_verification_algorithms.supported_schemes()
    }
}
