//! `[query]`: the ports that answer SQL, and what statements may take.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::span::Spanned;

/// `[query]`.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Where the port that speaks PostgreSQL's protocol listens; none: nowhere.
    pub postgres: Option<Spanned<SocketAddr>>,
    /// Where the port that speaks Arrow Flight SQL listens; none: nowhere.
    pub flight: Option<Spanned<SocketAddr>>,
    /// The file of users, roles and policies; none: whoever reaches a port sees everything.
    pub users: Option<Spanned<PathBuf>>,
    /// Certificate and key of the ports; none: no TLS.
    pub tls: Option<Tls>,
    /// Threads on which statements run; none: one per core.
    pub threads: Option<usize>,
    /// Bytes that all statements together may hold.
    pub memory: Option<u64>,
    /// Bytes on the disk for what does not fit there.
    pub spill: Option<u64>,
    /// How long a statement may take; none: as long as it needs.
    pub statement_timeout: Option<Duration>,
    /// Rows that a statement may give; none: all.
    pub rows: Option<u64>,
    /// Statements that run at the same time.
    pub statements: Option<usize>,
    /// Statements that may wait for their turn.
    pub queue: Option<usize>,
    /// Clients that may be connected.
    pub connections: Option<usize>,
}

/// `tls = { certificate, key }`.
#[derive(Debug, Clone)]
pub struct Tls {
    /// A PEM file: the certificate, then those that it is signed by.
    pub certificate: Spanned<PathBuf>,
    /// A PEM file.
    pub key: Spanned<PathBuf>,
}
