//! `[query]`.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::problem::Problem;
use crate::config::reader::Table;
use crate::config::span::Spanned;
use crate::config::spec::{Query, Tls};

/// Smallest `memory`: a few batches.
const MEMORY_MIN: u64 = 16 << 20;
/// Smallest `spill`.
const SPILL_MIN: u64 = 1 << 20;
/// Threads, statements, clients at most.
const THREADS_MAX: u64 = 1_024;
const STATEMENTS_MAX: u64 = 10_000;
const CONNECTIONS_MAX: u64 = 100_000;

/// `[query]`.
pub(super) fn query(mut table: Table<'_>, problems: &mut Vec<Problem>) -> Query {
    let count = |count: Spanned<u64>| usize::try_from(count.value).unwrap_or(usize::MAX);
    let users = table.string("users", problems).map(|path| path.map(PathBuf::from));
    let has_users = table.get("users").is_some();
    let has_tls = table.get("tls").is_some();
    let query = Query {
        postgres: address(&mut table, "postgres", "127.0.0.1:5433", has_users, problems),
        flight: address(&mut table, "flight", "127.0.0.1:5434", has_users, problems)
            .filter(|flight| is_encrypted(flight, has_tls, problems)),
        users,
        tls: table.table("tls", problems).and_then(|tls| self::tls(tls, problems)),
        threads: table.integer("threads", 1, THREADS_MAX, problems).map(count),
        memory: table.size("memory", MEMORY_MIN, problems),
        spill: table.size("spill", SPILL_MIN, problems),
        statement_timeout: table
            .duration("statement_timeout", problems)
            .map(|timeout| timeout.value),
        rows: table.integer("rows", 1, u64::MAX, problems).map(|rows| rows.value),
        statements: table.integer("statements", 1, STATEMENTS_MAX, problems).map(count),
        queue: table.integer("queue", 0, STATEMENTS_MAX, problems).map(count),
        connections: table.integer("connections", 1, CONNECTIONS_MAX, problems).map(count),
    };
    table.finish(problems);
    query
}

/// An address to listen on. Who it is that asks is not known without users, so other machines must
/// not reach it.
fn address(
    table: &mut Table<'_>,
    key: &'static str,
    example: &str,
    has_users: bool,
    problems: &mut Vec<Problem>,
) -> Option<Spanned<SocketAddr>> {
    let listen = table.string(key, problems)?;
    let Ok(address) = listen.value.parse::<SocketAddr>() else {
        problems.push(
            Problem::new(listen.span, format!("`{listen}` is no address of this machine"))
                .label("expected an IP address and a port")
                .help(format!("write {key} = \"{example}\"")),
        );
        return None;
    };
    if !address.ip().is_loopback() && !has_users {
        problems.push(
            Problem::new(listen.span, format!("other machines can reach `{listen}`"))
                .label("not a loopback address")
                .help(format!(
                    "without users the port asks nobody who they are: add users = \"users.toml\", \
                     or write \"127.0.0.1:{}\"",
                    address.port()
                )),
        );
        return None;
    }
    Some(listen.map(|_| address))
}

/// Clients of Flight SQL send their passwords in clear, so that other machines need TLS.
fn is_encrypted(flight: &Spanned<SocketAddr>, has_tls: bool, problems: &mut Vec<Problem>) -> bool {
    if has_tls || flight.value.ip().is_loopback() {
        return true;
    }
    problems.push(
        Problem::new(flight.span, format!("passwords would come to `{}` in clear", flight.value))
            .label("not a loopback address, and no TLS")
            .help(format!(
                "add tls = {{ certificate = \"server.pem\", key = \"server.key\" }}, or write \
                 \"127.0.0.1:{}\"",
                flight.value.port()
            )),
    );
    false
}

fn tls(mut table: Table<'_>, problems: &mut Vec<Problem>) -> Option<Tls> {
    let mut file = |key: &'static str, example: &str| {
        table.required(key, example, problems)?;
        table.string(key, problems).map(|path| path.map(PathBuf::from))
    };
    let certificate = file("certificate", "certificate = \"server.pem\"");
    let key = file("key", "key = \"server.key\"");
    table.finish(problems);
    Some(Tls { certificate: certificate?, key: key? })
}
