//! Who asks: passwords by their verifiers, tokens by their issuer's keys.
//!
//! A client learns one thing of a refusal, that it was refused; why stands in our log. A name that
//! is not there goes through the same exchange as one that is, and takes as long.

mod keys;
mod outcome;
mod scram;
mod sign_in;
mod tokens;

pub(super) use keys::KeySet;
pub use outcome::{Method, Refusal, SignedIn};
pub(super) use scram::MockSecret;
pub use scram::{NoRandomness, Verifier, verifier};
pub(super) use tokens::{KeysAt, TokenSettings, Tokens};

#[cfg(test)]
mod tests;
