//! Clients at a port on a real socket.

mod bad_bytes;
mod catalog;
mod client;
mod encrypted;
mod extended;
mod handshake;
mod parameters;
mod simple;
mod stopping;
mod tokens;
mod tools;
mod vanishing;

use std::sync::Arc;

use tempfile::TempDir;

use super::gate::SharedGate;
use super::listen::{PostgresPort, PostgresSettings};
use super::tls::TlsFiles;
use crate::catalog::{NoSystemTables, TableFacts};
use crate::service::{Limits, QueryService, ServiceSettings};
use client::Client;

/// A port over a folder without tables.
struct Served {
    port: PostgresPort,
    _folder: TempDir,
}

impl Served {
    fn new() -> Self {
        Self::with(100, 4, None)
    }

    fn with(connections_max: usize, statements_max: usize, users: Option<SharedGate>) -> Self {
        Self::over(None, connections_max, statements_max, users)
    }

    fn over(
        tls: Option<TlsFiles>,
        connections_max: usize,
        statements_max: usize,
        users: Option<SharedGate>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let limits = Limits { threads: 2, statements_max, ..Limits::default() };
        let settings = ServiceSettings {
            data: folder.path().to_owned(),
            tables: TableFacts::default(),
            limits,
            system: Arc::new(NoSystemTables),
            rules: None,
            audit: None,
        };
        std::fs::create_dir_all(folder.path().join("tables")).unwrap();
        let service = QueryService::open(settings).unwrap();
        let settings = PostgresSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            tls,
            users,
            connections_max,
        };
        Self { port: PostgresPort::begin(service, settings).unwrap(), _folder: folder }
    }

    fn client(&self) -> Client {
        Client::signed_in(self.port.address(), "ada")
    }
}

/// Rows enough to take longer than any test.
const LONG: &str = "select count(*) from generate_series(1, 10000000000000)";

#[test]
fn without_users_only_this_machine_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ServiceSettings {
        data: folder.path().to_owned(),
        tables: TableFacts::default(),
        limits: Limits::default(),
        system: Arc::new(NoSystemTables),
        rules: None,
        audit: None,
    };
    let service = QueryService::open(settings).unwrap();
    let begin = |listen: &str, tls| {
        let listen = listen.parse().unwrap();
        let settings = PostgresSettings { listen, tls, users: None, connections_max: 1 };
        PostgresPort::begin(service.clone(), settings).unwrap_err().to_string()
    };
    assert!(begin("0.0.0.0:0", None).contains("users = "));
    let files =
        TlsFiles { certificate: folder.path().join("no.pem"), key: folder.path().join("no.key") };
    assert!(begin("127.0.0.1:0", Some(files)).contains("no.pem"));
}

/// A gate with one user and one password.
fn one_user(name: &str, password: &str) -> SharedGate {
    Arc::new(handshake::OneUser::new(name, password))
}
