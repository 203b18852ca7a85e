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

use tokio::net::TcpStream;

use super::shared::Shared;

/// How long a client may take to sign in.
const HANDSHAKE_MAX: Duration = Duration::from_secs(15);

/// Serves a client until it goes.
pub(super) async fn serve(shared: Arc<Shared>, socket: TcpStream) {
    let connection = {
        let handshake = shared.half_open.enter();
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
