//! Who asks.

use std::sync::Arc;
use std::time::Instant;

use tonic::metadata::MetadataMap;

use super::issued::left;
use crate::rules::SignedIn;
use crate::service::User;

/// Longest name of a client's program that is kept.
const APPLICATION_CHARS_MAX: usize = 100;

/// Who asks, and with what.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) user: Arc<User>,
    /// What the client's program calls itself.
    pub(super) application: String,
    /// When its right to ask ends.
    pub(super) until: Option<Instant>,
}

impl Caller {
    /// A user whose request has these headers.
    pub(super) fn new(signed_in: SignedIn, headers: &MetadataMap) -> Self {
        let agent = headers.get("user-agent").and_then(|agent| agent.to_str().ok());
        let application = agent.unwrap_or_default().chars().take(APPLICATION_CHARS_MAX).collect();
        let until = signed_in.until.and_then(|until| Instant::now().checked_add(left(until)));
        Self { user: Arc::new(signed_in.user), application, until }
    }

    /// The name that its handles belong to.
    pub(super) fn name(&self) -> &str {
        &self.user.name
    }
}
