//! TLS of the port.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pgwire::api::auth::sasl::scram::ScramServerAuth;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::PortError;

/// Where the files of TLS are, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those that vouch for it behind it.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// What accepts connections over TLS.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) acceptor: TlsAcceptor,
    /// SCRAM that is bound to the certificate, where its kind allows it.
    pub(super) bound: Option<ScramServerAuth>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

fn failed(file: &Path, reason: impl ToString) -> PortError {
    PortError::Tls { file: file.to_owned(), reason: reason.to_string() }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// A file can't be read, or the two do not belong together.
    pub(super) fn read(files: &TlsFiles) -> Result<Self, PortError> {
        let TlsFiles { certificate, key } = files;
        let pem = std::fs::read(certificate).map_err(|error| failed(certificate, error))?;
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<_, _>>()
            .map_err(|error| failed(certificate, error))?;
        if chain.is_empty() {
            return Err(failed(certificate, "it has no certificate"));
        }
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, error))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret))
            .map_err(|error| failed(key, error))?;
        let mut bound = ScramServerAuth::new();
        let bound = bound.configure_certificate(&pem).is_ok().then_some(bound);
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), bound })
    }
}
