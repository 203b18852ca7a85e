//! Why the port does not begin.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the port does not begin.
#[derive(Debug, thiserror::Error)]
pub enum FlightPortError {
    /// Whoever reaches the address could read everything.
    #[error(
        "the Flight SQL port does not listen on {listen} without users, as anyone there could read \
         all tables\n  listen on 127.0.0.1, or name a file of users: `users = \"users.toml\"` in \
         [query]"
    )]
    NoUsers {
        /// The address.
        listen: SocketAddr,
    },
    /// Passwords would go over the network in clear.
    #[error(
        "the Flight SQL port does not listen on {listen} without TLS, as its clients send their \
         passwords and tokens in clear\n  listen on 127.0.0.1, or name a certificate: `tls = {{ \
         certificate = \"server.pem\", key = \"server.key\" }}` in [query]"
    )]
    NoTls {
        /// The address.
        listen: SocketAddr,
    },
    /// The address can't be had.
    #[error("the Flight SQL port can't listen on {listen}: {source}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The system gives no threads.
    #[error("start the threads of the Flight SQL port: {0}")]
    Threads(std::io::Error),
    /// A file of TLS can't be used.
    #[error("TLS of the Flight SQL port: {file}: {reason}")]
    Tls {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}
