use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::Code;

use super::world::*;
use crate::catalog::{NoSystemTables, TableFacts};
use crate::flight::{FlightPort, FlightPortError, FlightSettings};
use crate::postgres::TlsFiles;
use crate::rules::Rules;
use crate::service::{Limits, QueryService, ServiceSettings};

fn service(folder: &std::path::Path) -> QueryService {
    QueryService::open(ServiceSettings {
        data: folder.to_owned(),
        tables: TableFacts::default(),
        limits: Limits { threads: 2, ..Limits::default() },
        system: Arc::new(NoSystemTables),
        rules: None,
        audit: None,
    })
    .unwrap()
}

#[test]
fn only_this_machine_is_served_without_users_and_without_tls() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(folder.path());
    let begin = |listen: &str, users: bool, tls: Option<TlsFiles>| {
        let users = users.then(|| Arc::new(Rules::none()));
        let listen = listen.parse().unwrap();
        let settings = FlightSettings { listen, tls, users, connections_max: 1 };
        FlightPort::begin(service.clone(), settings).unwrap_err()
    };
    let files =
        TlsFiles { certificate: folder.path().join("no.pem"), key: folder.path().join("no.key") };
    let error = begin("0.0.0.0:0", false, Some(files.clone()));
    assert!(matches!(error, FlightPortError::NoUsers { .. }), "{error}");
    let error = begin("0.0.0.0:0", true, None);
    assert!(matches!(error, FlightPortError::NoTls { .. }), "{error}");
    assert!(error.to_string().contains("tls = { certificate"), "{error}");
    assert!(begin("127.0.0.1:0", false, Some(files)).to_string().contains("no.pem"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    // The address may be shared for reuse, but nobody else may listen on it.
    assert!(begin(&address, false, None).to_string().contains(&address));
}

#[tokio::test]
async fn there_are_so_many_places_and_no_more() {
    let served = Served::with(Setup { connections_max: 2, ..Setup::default() });
    let (mut first, mut second) = (served.client().await, served.client().await);
    let mut third = served.client().await;
    for client in [&mut first, &mut second] {
        ask(client, "select 1").await.unwrap();
    }
    let refused = ask(&mut third, "select 1").await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    drop(first);
    let mut asked = 0;
    while ask(&mut third, "select 1").await.is_err() {
        asked += 1;
        assert!(asked < 100, "no place becomes free");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ask(&mut second, "select 1").await.unwrap();
}

#[tokio::test]
async fn clients_that_vanish_keep_nobody_out() {
    let served = Served::with(Setup { connections_max: 4, ..Setup::default() });
    let mut open = Vec::new();
    for index in 0..1_000 {
        let mut socket = TcpStream::connect(served.address()).await.unwrap();
        let part: &[u8] = match index % 4 {
            0 => b"",
            1 => b"PRI",
            2 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
            _ => b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        };
        // It may have been ended already.
        let _sent = socket.write_all(part).await;
        // Some go, some stay without a word.
        if index % 2 == 0 {
            open.push(socket);
        }
    }
    let mut client = served.client().await;
    assert_eq!(shown(&ask(&mut client, "select 1").await.unwrap()), ["1"]);
    // The first of them had to make room.
    let mut rest = Vec::new();
    let ended = open[0].read_to_end(&mut rest);
    let ended = tokio::time::timeout(Duration::from_secs(5), ended).await;
    assert!(ended.is_ok(), "it is still open");
}

#[tokio::test]
async fn bytes_of_a_stranger_do_not_end_the_port() {
    let served = Served::new();
    let mut state = 1_u64;
    for _ in 0..200 {
        let mut socket = TcpStream::connect(served.address()).await.unwrap();
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend((0..64).map(|_| {
            // xorshift
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        }));
        let _sent = socket.write_all(&bytes).await;
    }
    let mut client = served.client().await;
    assert_eq!(shown(&ask(&mut client, "select 1").await.unwrap()), ["1"]);
}

/// A certificate for localhost and its key, where the machine can make one.
fn certificate(folder: &std::path::Path) -> Option<TlsFiles> {
    let (certificate, key) = (folder.join("server.pem"), folder.join("server.key"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output();
    made.is_ok_and(|made| made.status.success()).then_some(TlsFiles { certificate, key })
}

#[tokio::test]
async fn tls_is_for_http_2() {
    let folder = tempfile::tempdir().unwrap();
    let Some(files) = certificate(folder.path()) else { return };
    let settings = FlightSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: Some(files.clone()),
        users: None,
        connections_max: 4,
    };
    let port = FlightPort::begin(service(folder.path()), settings).unwrap();
    assert_eq!(port.uri(), format!("grpc+tls://{}", port.address()));
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&files.certificate).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let socket = TcpStream::connect(port.address()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, socket).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    // The preface and empty settings are answered by settings: frame type 4.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut header = [0; 9];
    stream.read_exact(&mut header).await.unwrap();
    assert_eq!(header[3], 4);
    // What is not encrypted is not understood.
    let mut plain = TcpStream::connect(port.address()).await.unwrap();
    plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut all = Vec::new();
    let _reset = plain.read_to_end(&mut all).await;
    // Nothing, or an alert of TLS.
    assert!(all.first().is_none_or(|first| *first == 0x15), "{all:?}");
}
