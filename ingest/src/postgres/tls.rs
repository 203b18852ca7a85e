//! TLS to a PostgreSQL server, with the provider and the trusted certificates that the rest of the
//! program has.

use crate::postgres::endpoint::{Endpoint, SslMode};
use crate::postgres::error::SessionError;
use pgwire_replication::protocol::framing::write_ssl_request;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

/// A connection, encrypted or not.
#[derive(Debug)]
pub(crate) enum Wire {
    Socket(UnixStream),
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    /// The certificate (DER) that the server has shown, whoever vouches for it.
    pub(crate) fn server_certificate(&self) -> Option<&[u8]> {
        match self {
            Self::Tls(stream) => {
                stream.get_ref().1.peer_certificates()?.first().map(|shown| shown.as_ref())
            }
            Self::Socket(_) | Self::Plain(_) => None,
        }
    }
}

/// Connects as the address asks.
pub(crate) async fn connect(endpoint: &Endpoint) -> Result<Wire, SessionError> {
    if let Some(path) = endpoint.socket() {
        return Ok(Wire::Socket(UnixStream::connect(path).await?));
    }
    let mut tcp = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
    tcp.set_nodelay(true)?;
    if endpoint.ssl_mode == SslMode::Disable {
        return Ok(Wire::Plain(tcp));
    }
    write_ssl_request(&mut tcp).await?;
    match (tcp.read_u8().await?, endpoint.ssl_mode) {
        (b'S', _) => {}
        (_, SslMode::Prefer) => return Ok(Wire::Plain(tcp)),
        (_, SslMode::Disable | SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull) => {
            return Err(SessionError::Fatal(
                "the server has no TLS; set it up there, or write sslmode=disable for a server on \
                 this machine"
                    .into(),
            ));
        }
    }
    let config = client_config(endpoint).map_err(SessionError::Fatal)?;
    let name = ServerName::try_from(endpoint.host.clone())
        .map_err(|_| SessionError::Fatal(format!("{:?} is no host name", endpoint.host)))?;
    match TlsConnector::from(Arc::new(config)).connect(name, tcp).await {
        Ok(stream) => Ok(Wire::Tls(Box::new(stream))),
        // A certificate does not become another by waiting.
        Err(e) if e.get_ref().is_some_and(|inner| inner.is::<Error>()) => {
            Err(SessionError::Fatal(format!(
                "TLS fails: {e}; name the authority's certificate by sslrootcert=FILE, or check \
                 that the certificate is of this host"
            )))
        }
        Err(e) => Err(e.into()),
    }
}

fn client_config(endpoint: &Endpoint) -> Result<ClientConfig, String> {
    let provider = CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(ring::default_provider()));
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS can't be set up: {e}"))?;
    let verifier: Arc<dyn ServerCertVerifier> = match endpoint.ssl_mode {
        SslMode::VerifyFull => {
            return Ok(builder.with_root_certificates(roots(endpoint)?).with_no_client_auth());
        }
        SslMode::VerifyCa => {
            let inner =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots(endpoint)?), provider);
            Arc::new(AnyName(
                inner.build().map_err(|e| format!("no certificate can be verified: {e}"))?,
            ))
        }
        SslMode::Disable | SslMode::Prefer | SslMode::Require => Arc::new(AnyCertificate(provider)),
    };
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn roots(endpoint: &Endpoint) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match &endpoint.ssl_root_cert {
        Some(path) => {
            let read = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let certificates =
                read.map_err(|e| format!("sslrootcert {} can't be read: {e}", path.display()))?;
            roots.add_parsable_certificates(certificates);
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err("there is no trusted certificate to verify the server's by; name one by \
                    sslrootcert=FILE"
            .into());
    }
    Ok(roots)
}

/// `sslmode=require`: encryption without knowing who is at the other end, as libpq has it.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        m: &[u8],
        c: &CertificateDer<'_>,
        d: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(m, c, d, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        m: &[u8],
        c: &CertificateDer<'_>,
        d: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(m, c, d, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// `sslmode=verify-ca`: signed by a trusted authority, for whatever name.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // The chain is verified before the name.
        match self.0.verify_server_cert(end, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        m: &[u8],
        c: &CertificateDer<'_>,
        d: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(m, c, d)
    }

    fn verify_tls13_signature(
        &self,
        m: &[u8],
        c: &CertificateDer<'_>,
        d: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(m, c, d)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Socket(s) => Pin::new(s).poll_read(cx, buffer),
            Self::Plain(s) => Pin::new(s).poll_read(cx, buffer),
            Self::Tls(s) => Pin::new(s).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Socket(s) => Pin::new(s).poll_write(cx, bytes),
            Self::Plain(s) => Pin::new(s).poll_write(cx, bytes),
            Self::Tls(s) => Pin::new(s).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Socket(s) => Pin::new(s).poll_flush(cx),
            Self::Plain(s) => Pin::new(s).poll_flush(cx),
            Self::Tls(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Socket(s) => Pin::new(s).poll_shutdown(cx),
            Self::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Self::Tls(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}
