//! Who may come in: what the port asks of those who know the users.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use pgwire::api::auth::sasl::scram::ScramSecret;

use crate::rules::{Method, Rules, SignedIn};
use crate::service::User;

/// Knows the users. What it gives for a name tells nothing of whether it is there.
#[async_trait]
pub trait Gate: fmt::Debug + Send + Sync {
    /// How a client that gives this name shows who it is.
    fn method(&self, name: &str) -> Method;
    /// With what a SCRAM exchange is checked; for a name that is not there, something with which no
    /// exchange succeeds.
    fn secret(&self, name: &str) -> ScramSecret;
    /// The user, after its SCRAM exchange has succeeded.
    fn user(&self, name: &str) -> Option<User>;
    /// The user of a token.
    async fn token(&self, token: &str) -> Option<SignedIn>;
}

#[async_trait]
impl Gate for Rules {
    fn method(&self, name: &str) -> Method {
        Rules::method(self, name)
    }

    fn secret(&self, name: &str) -> ScramSecret {
        self.verifier_of(name).secret()
    }

    fn user(&self, name: &str) -> Option<User> {
        Rules::user(self, name)
    }

    async fn token(&self, token: &str) -> Option<SignedIn> {
        match self.sign_in_by_token(token).await {
            Ok(signed_in) => Some(signed_in),
            Err(refusal) => {
                tracing::info!(%refusal, "a token was refused at the PostgreSQL port");
                None
            }
        }
    }
}

/// A gate that is shared by the connections.
pub(super) type SharedGate = Arc<dyn Gate>;
