use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use async_trait::async_trait;
use pgwire::api::auth::sasl::scram::{ScramSecret, gen_salted_password};

use super::client::Client;
use super::{Served, one_user};
use crate::postgres::gate::Gate;
use crate::rules::{Method, SignedIn};
use crate::service::User;

const PSQL: &str = "/usr/lib/postgresql/15/bin/psql";

/// A gate with one user.
#[derive(Debug)]
pub(super) struct OneUser {
    name: String,
    password: String,
}

impl OneUser {
    pub(super) fn new(name: &str, password: &str) -> Self {
        Self { name: name.to_owned(), password: password.to_owned() }
    }
}

#[async_trait]
impl Gate for OneUser {
    fn method(&self, name: &str) -> Method {
        if name == "jwt" { Method::Token } else { Method::Password }
    }

    fn secret(&self, name: &str) -> ScramSecret {
        let password = if name == self.name { self.password.as_str() } else { "no one knows" };
        let salt = b"0123456789abcdef".to_vec();
        let salted = gen_salted_password(password, &salt, 4096);
        ScramSecret::verifier_from_salted_password(salt, salted, 4096)
    }

    fn user(&self, name: &str) -> Option<User> {
        (name == self.name).then(|| User::local(name))
    }

    async fn token(&self, _token: &str) -> Option<SignedIn> {
        None
    }
}

#[test]
fn encryption_is_answered_by_one_byte() {
    let served = Served::new();
    for code in [80_877_103_i32, 80_877_104] {
        let mut socket = TcpStream::connect(served.port.address()).unwrap();
        let request: Vec<u8> = [8, code].iter().flat_map(|word: &i32| word.to_be_bytes()).collect();
        socket.write_all(&request).unwrap();
        let mut answer = [0];
        socket.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"N");
    }
    // What comes with the request in one piece was not encrypted and must not be read.
    let mut socket = TcpStream::connect(served.port.address()).unwrap();
    let mut bytes: Vec<u8> = [8, 80_877_103].iter().flat_map(|w: &i32| w.to_be_bytes()).collect();
    bytes.extend_from_slice(b"\0\0\0\x14\0\x03\0\0user\0ada\0\0");
    socket.write_all(&bytes).unwrap();
    let mut all = Vec::new();
    let _reset = socket.read_to_end(&mut all);
    assert_eq!(all, b"");
}

#[test]
fn parameters_at_the_start_are_settings() {
    let served = Served::new();
    let address = served.port.address();
    let parameters = [
        ("user", "ada"),
        ("client_encoding", "'utf-8'"),
        ("TimeZone", "Europe/Berlin"),
        ("no_such_parameter", "1"),
        ("options", "-c statement_timeout=5s -c DateStyle=ISO,\\ DMY"),
    ];
    let mut client = Client::with(address, &parameters).unwrap();
    assert_eq!(client.setting("client_encoding"), Some("UTF8"));
    assert_eq!(client.setting("TimeZone"), Some("Europe/Berlin"));
    assert_eq!(client.setting("DateStyle"), Some("ISO, DMY"));
    assert_eq!(client.ask("show statement_timeout").value(), Some("5s"));
    let refused = |parameters: &[(&str, &str)]| {
        let lines = Client::with(address, parameters).map(|_| ()).unwrap_err();
        lines[0]["error ".len()..].to_owned()
    };
    assert!(refused(&[("user", "a"), ("database", "b")]).starts_with("3D000 database \"b\""));
    assert!(refused(&[("database", "riskstream")]).starts_with("28000"));
    assert!(refused(&[("user", "a"), ("TimeZone", "Mars")]).starts_with("22023"));
}

#[test]
fn later_versions_of_the_protocol_are_negotiated() {
    let served = Served::new();
    let mut client = Client::connected(served.port.address());
    let body = b"\0\x03\0\x02user\0ada\0_pq_.more\0on\0\0";
    let length = i32::try_from(body.len() + 4).unwrap();
    client.bytes(&[&length.to_be_bytes()[..], body].concat());
    assert_eq!(client.read().lines, ["version 196608 [\"_pq_.more\"]", "ready I"]);
    let mut client = Client::connected(served.port.address());
    client.bytes(b"\0\0\0\x09\0\x02\0\0\0");
    assert_eq!(client.read().error(), Some("0A000"));
}

#[test]
fn there_are_so_many_places_and_no_more() {
    let served = Served::with(2, 4, None);
    let (first, _second) = (served.client(), served.client());
    let full = Client::with(served.port.address(), &[("user", "ada")]).map(|_| ()).unwrap_err();
    assert!(full[0].starts_with("error 53300 sorry, too many clients already"), "{full:?}");
    drop(first);
    let again = (0..100).find_map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        Client::with(served.port.address(), &[("user", "ada")]).ok()
    });
    assert!(again.is_some());
}

#[test]
fn passwords_are_asked_for_by_scram() {
    if !std::path::Path::new(PSQL).exists() {
        return;
    }
    let served = Served::with(10, 4, Some(one_user("ada", "sécret")));
    let port = served.port.address().port().to_string();
    let psql = |user: &str, password: &str| {
        let output = Command::new(PSQL)
            .args(["-X", "-h", "127.0.0.1", "-p", &port, "-U", user, "-Atc", "select 41 + 1"])
            .arg("riskstream")
            .env("PGPASSWORD", password)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8(text).unwrap()
    };
    assert_eq!(psql("ada", "sécret"), "42\n");
    for (user, password) in [("ada", "wrong"), ("bob", "sécret")] {
        let told = psql(user, password);
        let wanted = format!("password authentication failed for user \"{user}\"");
        assert!(told.contains(&wanted), "{told}");
    }
    assert!(psql("jwt", "x").contains("TLS"));
}
