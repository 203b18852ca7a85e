//! Who a client is: by its name and password, once, in the handshake; from then on by the token
//! that it got, or by one of the issuer.
//!
//! Passwords come in clear: the port has TLS, or is for this machine alone.

use std::sync::Arc;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::issued::{Issued, Whose};
use crate::rules::{Method, Refusal, Rules, SignedIn};
use crate::service::User;

/// Passwords that are checked at the same time: each takes a core for milliseconds.
const CHECKS_MAX: usize = 2;
/// The user of a client that gives no name, where there are no users.
const ANYBODY: &str = "anybody";
/// Some clients leave the padding out.
static BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Lets clients in.
#[derive(Debug)]
pub(super) struct Door {
    /// None: whoever comes sees everything.
    rules: Option<Arc<Rules>>,
    issued: Issued,
    checks: Semaphore,
}

/// What a client has sent of itself.
#[derive(Debug, PartialEq, Eq)]
enum Shown {
    Nothing,
    Password { name: String, password: String },
    Token(String),
}

impl Door {
    pub(super) fn new(rules: Option<Arc<Rules>>) -> Self {
        Self { rules, issued: Issued::new(), checks: Semaphore::new(CHECKS_MAX) }
    }

    /// A token for who sends a name and a password.
    pub(super) async fn handshake(&self, headers: &MetadataMap) -> Result<String, Status> {
        let now = Instant::now();
        let token = match (shown(headers)?, self.rules().await) {
            (Shown::Password { name, .. }, None) => self.issued.for_signed_in(local(&name), now),
            (Shown::Nothing, None) => self.issued.for_signed_in(local(""), now),
            (Shown::Password { name, password }, Some(rules)) => match rules.method(&name) {
                Method::Password => {
                    self.check(rules, &name, password).await?;
                    self.issued.for_name(&name, now)
                }
                Method::Token => {
                    let signed_in = by_token(rules, &password).await;
                    let signed_in =
                        signed_in.ok_or_else(|| Status::unauthenticated(Refusal::told(&name)))?;
                    self.issued.for_signed_in(signed_in, now)
                }
            },
            // A token that is good already stays what it is.
            (Shown::Token(token), _) => {
                self.by_bearer(&token).await?;
                Some(token)
            }
            (Shown::Nothing, Some(_)) => {
                return Err(Status::unauthenticated("no password: send a name and a password"));
            }
        };
        token.ok_or_else(|| Status::internal("the machine gives no random numbers"))
    }

    /// The rules as the file of users is now.
    async fn rules(&self) -> Option<&Arc<Rules>> {
        let rules = self.rules.as_ref()?;
        if rules.may_have_changed() {
            let changed = Arc::clone(rules);
            // It fails only as the program ends.
            let _ended = tokio::task::spawn_blocking(move || changed.refresh()).await;
        }
        Some(rules)
    }

    /// Whose a request is.
    pub(super) async fn who(&self, headers: &MetadataMap) -> Result<SignedIn, Status> {
        match (shown(headers)?, self.rules().await) {
            (Shown::Token(token), _) => self.by_bearer(&token).await,
            (Shown::Nothing, None) => Ok(local("")),
            (Shown::Password { name, .. }, None) => Ok(local(&name)),
            (Shown::Nothing, Some(_)) => Err(Status::unauthenticated(
                "no token: sign in by a handshake, or send a token of the issuer",
            )),
            (Shown::Password { .. }, Some(_)) => Err(Status::unauthenticated(
                "passwords are taken in the handshake alone, which gives a token",
            )),
        }
    }

    async fn by_bearer(&self, token: &str) -> Result<SignedIn, Status> {
        let who = match (self.issued.whose(token, Instant::now()), &self.rules) {
            (Some(Whose::As(signed_in)), _) => Some(signed_in),
            (Some(Whose::Named(name)), Some(rules)) => {
                rules.user(&name).map(|user| SignedIn { user, until: None })
            }
            (None, Some(rules)) => by_token(rules, token).await,
            (Some(Whose::Named(_)) | None, None) => None,
        };
        who.ok_or_else(|| {
            Status::unauthenticated("the token is not good, or not any more: sign in again")
        })
    }

    async fn check(&self, rules: &Arc<Rules>, name: &str, password: String) -> Result<(), Status> {
        let _turn = self.checks.acquire().await;
        let (checked, named) = (Arc::clone(rules), name.to_owned());
        let check = move || checked.sign_in(&named, &password);
        match tokio::task::spawn_blocking(check).await {
            Ok(Ok(_signed_in)) => Ok(()),
            Ok(Err(_)) | Err(_) => {
                tracing::info!(user = name, "a password was refused at the Flight SQL port");
                Err(Status::unauthenticated(Refusal::told(name)))
            }
        }
    }
}

async fn by_token(rules: &Rules, token: &str) -> Option<SignedIn> {
    match rules.sign_in_by_token(token).await {
        Ok(signed_in) => Some(signed_in),
        Err(refusal) => {
            tracing::info!(%refusal, "a token was refused at the Flight SQL port");
            None
        }
    }
}

fn local(name: &str) -> SignedIn {
    let user = User::local(if name.is_empty() { ANYBODY } else { name });
    SignedIn { user, until: None }
}

/// Reads the header `authorization`.
fn shown(headers: &MetadataMap) -> Result<Shown, Status> {
    let Some(value) = headers.get("authorization") else { return Ok(Shown::Nothing) };
    let malformed = || Status::unauthenticated("the header authorization can't be read");
    let (scheme, rest) =
        value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Shown::Token(rest.trim().to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let bytes = BASE64.decode(rest.trim()).map_err(|_error| malformed())?;
    let text = String::from_utf8(bytes).map_err(|_error| malformed())?;
    let (name, password) = text.split_once(':').ok_or_else(malformed)?;
    Ok(Shown::Password { name: name.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_send_is_read() {
        let password = |name: &str, password: &str| {
            Some(Shown::Password { name: name.to_owned(), password: password.to_owned() })
        };
        for (value, expected) in [
            // `ann:x` with its padding and without, `ann:a:ä`, `:`.
            ("Basic YW5uOng=", password("ann", "x")),
            ("basic YW5uOng", password("ann", "x")),
            ("Basic YW5uOmE6w6Q=", password("ann", "a:ä")),
            ("Basic Og", password("", "")),
            ("Bearer abc", Some(Shown::Token("abc".to_owned()))),
            ("bearer  abc ", Some(Shown::Token("abc".to_owned()))),
            ("Basic YW5u", None),
            ("Basic #", None),
            ("Basic /w==", None),
            ("Negotiate YW5uOng=", None),
            ("Bearer", None),
            ("", None),
        ] {
            let mut headers = MetadataMap::new();
            headers.insert("authorization", value.parse().unwrap());
            assert_eq!(shown(&headers).ok(), expected, "{value}");
        }
        assert_eq!(shown(&MetadataMap::new()).unwrap(), Shown::Nothing);
    }
}
