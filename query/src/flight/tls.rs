//! TLS of the port.

use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

use super::error::FlightPortError;
use crate::postgres::TlsFiles;

/// What clients of gRPC ask for within TLS.
const HTTP_2: &[u8] = b"h2";

fn failed(file: &Path, reason: impl ToString) -> FlightPortError {
    FlightPortError::Tls { file: file.to_owned(), reason: reason.to_string() }
}

/// What accepts connections over TLS.
#[derive(Clone)]
pub(super) struct Tls(TlsAcceptor);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Reads the files. The library of cryptography is named: more than one may be compiled in.
    ///
    /// # Errors
    /// A file can't be read, or the two do not belong together.
    pub(super) fn read(files: &TlsFiles) -> Result<Self, FlightPortError> {
        let TlsFiles { certificate, key } = files;
        let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect)
            .map_err(|error| failed(certificate, error))?;
        if chain.is_empty() {
            return Err(failed(certificate, "it has no certificate"));
        }
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, error))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret))
            .map_err(|error| failed(key, error))?;
        config.alpn_protocols = vec![HTTP_2.to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Encrypts a connection; none if its client does not.
    pub(super) async fn accept(&self, socket: TcpStream) -> Option<TlsStream<TcpStream>> {
        self.0.accept(socket).await.ok()
    }
}
