//! TLS, and SCRAM bound to it, on a real socket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use pgwire::messages::PgWireBackendMessage as Backend;
use pgwire::messages::startup::Authentication;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use tempfile::TempDir;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
};

use super::client::Client;
use super::{Served, one_user};
use crate::postgres::gate::SharedGate;
use crate::postgres::tls::TlsFiles;

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const PATIENCE: Duration = Duration::from_secs(30);

/// A port with a certificate.
pub(super) struct Encrypted {
    pub(super) served: Served,
    certificate: CertificateDer<'static>,
    folder: TempDir,
}

pub(super) type EncryptedClient = Client<StreamOwned<ClientConnection, TcpStream>>;

impl Encrypted {
    pub(super) fn new(users: Option<SharedGate>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = certificate(folder.path(), "server");
        let certificate = CertificateDer::from_pem_file(&files.certificate).unwrap();
        Self { served: Served::over(Some(files), 10, 4, users), certificate, folder }
    }

    /// A client that has agreed on encryption and said nothing else.
    pub(super) fn client(&self) -> EncryptedClient {
        let mut socket = TcpStream::connect(self.served.port.address()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(&SSL_REQUEST).unwrap();
        let mut answer = [0];
        socket.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"S");
        let provider = Arc::new(ring::default_provider());
        let only = Only { certificate: self.certificate.clone(), provider: Arc::clone(&provider) };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(only))
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        Client::over(StreamOwned::new(connection, socket))
    }

    /// What the certificate binds SCRAM to.
    fn end_point(&self) -> Vec<u8> {
        ::ring::digest::digest(&::ring::digest::SHA256, &self.certificate).as_ref().to_vec()
    }
}

/// A certificate of its own, and its key.
fn certificate(folder: &Path, name: &str) -> TlsFiles {
    let (certificate, key) =
        (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-sha256", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl is there, as the tests of PostgreSQL's source need it");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    TlsFiles { certificate, key }
}

/// Trusts one certificate.
#[derive(Debug)]
struct Only {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Only {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        assert_eq!(end_entity, &self.certificate);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A message in which a password or a part of SCRAM comes.
pub(super) fn password(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&b"p"[..], &length.to_be_bytes(), body].concat()
}

fn question<S: Read + Write>(client: &mut Client<S>) -> Result<Authentication, String> {
    match client.next() {
        Some(Backend::Authentication(question)) => Ok(question),
        Some(Backend::ErrorResponse(error)) => {
            let code = error.fields.iter().find(|(kind, _)| *kind == b'C');
            Err(code.map(|(_, code)| code.clone()).unwrap_or_default())
        }
        other => panic!("{other:?}"),
    }
}

/// Signs in by SCRAM; the SQLSTATE if that is refused.
fn scram<S: Read + Write>(
    client: &mut Client<S>,
    (method, binding): (&str, ChannelBinding),
    (user, secret): (&str, &str),
) -> Result<(), String> {
    client.begin(&[("user", user), ("database", "riskstream")]);
    let Authentication::SASL(_methods) = question(client)? else { panic!("it is not asked for") };
    let mut scram = ScramSha256::new(secret.as_bytes(), binding);
    let length = u32::try_from(scram.message().len()).unwrap().to_be_bytes();
    let first = [method.as_bytes(), b"\0", &length, scram.message()].concat();
    client.bytes(&password(&first));
    let Authentication::SASLContinue(more) = question(client)? else { panic!("not as in SCRAM") };
    scram.update(&more).unwrap();
    client.bytes(&password(scram.message()));
    let Authentication::SASLFinal(last) = question(client)? else { panic!("not as in SCRAM") };
    scram.finish(&last).unwrap();
    assert_eq!(client.read().lines.last().map(String::as_str), Some("ready I"));
    Ok(())
}

#[test]
fn a_connection_is_encrypted_where_the_client_asks_for_it() {
    let encrypted = Encrypted::new(None);
    let mut client = encrypted.client();
    client.begin(&[("user", "ada"), ("database", "riskstream")]);
    assert_eq!(client.read().lines.last().map(String::as_str), Some("ready I"));
    assert_eq!(client.ask("select 41 + 1").value(), Some("42"));
    let long = "select * from generate_series(1, 100000)";
    assert_eq!(client.ask(long).rows.len(), 100_000);
    // Who does not ask is served as well: users decide who may come in.
    assert_eq!(encrypted.served.client().ask("select 1").value(), Some("1"));
}

#[test]
fn what_comes_before_the_encryption_ends_the_connection() {
    let encrypted = Encrypted::new(None);
    let start = b"\0\0\0\x12\0\x03\0\0user\0ada\0\0";
    for waits in [false, true] {
        let mut socket = TcpStream::connect(encrypted.served.port.address()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        if waits {
            socket.write_all(&SSL_REQUEST).unwrap();
            let mut answer = [0];
            socket.read_exact(&mut answer).unwrap();
            socket.write_all(start).unwrap();
        } else {
            socket.write_all(&[&SSL_REQUEST[..], start].concat()).unwrap();
        }
        let mut said = Vec::new();
        let _reset = socket.read_to_end(&mut said);
        // At most an alert of TLS; nobody was let in.
        assert!(!said.contains(&b'Z') && said.len() < 16, "{said:?}");
    }
    assert_eq!(encrypted.served.client().ask("select 1").value(), Some("1"));
}

#[test]
fn scram_is_bound_to_the_certificate() {
    let encrypted = Encrypted::new(Some(one_user("ada", "sécret")));
    let mut client = encrypted.client();
    client.begin(&[("user", "ada"), ("database", "riskstream")]);
    let Ok(Authentication::SASL(methods)) = question(&mut client) else { panic!("not asked") };
    assert_eq!(methods, ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]);
    let mut plain = Client::connected(encrypted.served.port.address());
    plain.begin(&[("user", "ada"), ("database", "riskstream")]);
    let Ok(Authentication::SASL(methods)) = question(&mut plain) else { panic!("not asked") };
    assert_eq!(methods, ["SCRAM-SHA-256"]);

    let end_point = || ChannelBinding::tls_server_end_point(encrypted.end_point());
    let other = || ChannelBinding::tls_server_end_point(vec![7; 32]);
    let (bound, unbound) = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256");
    let right = ("ada", "sécret");
    for (method, binding, who, expected) in [
        (bound, end_point(), right, Ok(())),
        // A client that can't be bound.
        (unbound, ChannelBinding::unsupported(), right, Ok(())),
        // One that could, and was not told that the server can: somebody is between.
        (unbound, ChannelBinding::unrequested(), right, Err("08P01".to_owned())),
        (bound, other(), right, Err("28P01".to_owned())),
        (bound, end_point(), ("ada", "wrong"), Err("28P01".to_owned())),
        (bound, end_point(), ("bob", "sécret"), Err("28P01".to_owned())),
    ] {
        let mut client = encrypted.client();
        assert_eq!(scram(&mut client, (method, binding), who), expected, "{method} {who:?}");
        if expected.is_ok() {
            assert_eq!(client.ask("select current_user").value(), Some("ada"));
        } else {
            assert!(client.next().is_none(), "the connection ends");
        }
    }
    // In clear a client can't be bound.
    let mut plain = Client::connected(encrypted.served.port.address());
    assert_eq!(scram(&mut plain, (unbound, ChannelBinding::unrequested()), right), Ok(()));
    let mut plain = Client::connected(encrypted.served.port.address());
    let refused = scram(&mut plain, (bound, end_point()), right);
    assert_eq!(refused, Err("08P01".to_owned()));
}

#[test]
fn psql_is_encrypted_and_bound() {
    const PSQL: &str = "/usr/lib/postgresql/15/bin/psql";
    if !Path::new(PSQL).exists() {
        return;
    }
    let encrypted = Encrypted::new(Some(one_user("ada", "secret")));
    let port = encrypted.served.port.address().port().to_string();
    let output = Command::new(PSQL)
        .args(["-X", "-h", "localhost", "-p", &port, "-U", "ada", "-Atc", "select 41 + 1"])
        .arg("riskstream")
        .env("PGPASSWORD", "secret")
        .env("PGSSLMODE", "verify-full")
        .env("PGSSLROOTCERT", encrypted.folder.path().join("server.pem"))
        .env("PGCHANNELBINDING", "require")
        .output()
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(said, "42\n");
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (certificate(folder.path(), "one"), certificate(folder.path(), "other"));
    let mixed = TlsFiles { certificate: one.certificate.clone(), key: other.key.clone() };
    let text = |files: &TlsFiles| {
        crate::postgres::tls::Tls::read(files).map(|_| ()).unwrap_err().to_string()
    };
    assert!(text(&mixed).contains("other.key"), "{}", text(&mixed));
    let swapped = TlsFiles { certificate: one.key.clone(), key: one.certificate.clone() };
    assert!(text(&swapped).contains("one.key"), "{}", text(&swapped));
}
