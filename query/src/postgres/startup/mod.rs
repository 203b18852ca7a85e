//! From an accepted socket to a client that has signed in.
//!
//! ```text
//!   SSLRequest ─▶ TLS ─▶ StartupMessage ─▶ who is it (authenticate) ─▶ a place ─▶ Connection
//!                   └──▶ CancelRequest
//! ```
//! Invariants:
//! - Nothing that has come before the TLS handshake is read after it.
//! - Who has not signed in holds no place of the connections, little memory, and not for long.

mod authenticate;
mod greet;
mod parameters;
mod tls_or_not;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::net::TcpStream;

use super::half_open::Handshake;
use super::shared::Shared;

/// How long a client may take to sign in.
const HANDSHAKE_MAX: Duration = Duration::from_secs(15);

/// What a client's first bytes are, packet by packet, as texts: for trials with bytes of all kinds.
pub(super) fn tried(mut bytes: &[u8]) -> Vec<String> {
    let mut read = Vec::new();
    // Bytes in memory are never waited for.
    while let Some(Some(packet)) = tls_or_not::packet(&mut bytes).now_or_never() {
        match packet {
            Ok((code, body)) => {
                let parameters = parameters::parse(&body);
                let method = authenticate::initial(&body).map(|(method, _)| method);
                read.push(format!("{code} {parameters:?} {method:?}"));
            }
            Err(problem) => {
                read.push(format!("{problem:?}"));
                break;
            }
        }
    }
    read
}

/// Serves a client until it goes.
pub(super) async fn serve(shared: Arc<Shared>, socket: TcpStream, handshake: Handshake) {
    let connection = {
        // It ends with the greeting.
        let handshake = handshake;
        let greeting = Box::pin(greet::greet(&shared, socket));
        tokio::select! {
            () = handshake.evicted() => None,
            () = shared.ended.cancelled() => None,
            greeted = tokio::time::timeout(HANDSHAKE_MAX, greeting) => greeted.ok().flatten(),
        }
    };
    if let Some(connection) = connection {
        Box::pin(connection.run()).await;
    }
}
