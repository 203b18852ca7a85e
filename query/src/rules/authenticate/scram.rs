//! SCRAM verifiers, in PostgreSQL's form: what is kept of a password, with which it can be checked
//! and from which it can't be told.

use std::fmt;
use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pgwire::api::auth::sasl::scram::{ScramSecret, gen_salted_password};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac};

/// Rounds of a new verifier; what PostgreSQL takes.
const ITERATIONS: u32 = 4096;
/// Most rounds that a verifier may ask for: a check takes under a second.
const ITERATIONS_MAX: u32 = 1_000_000;
/// Bytes of a new verifier's salt; what PostgreSQL takes.
const SALT_BYTES: usize = 16;
/// Bytes that a verifier's salt may have.
const SALT_BYTES_ALLOWED: std::ops::RangeInclusive<usize> = 8..=64;
/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// The machine gives no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the machine gives no random numbers")]
pub struct NoRandomness;

/// What is kept of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

/// A verifier of a password, with a new salt: `SCRAM-SHA-256$4096:<salt>$<stored>:<server>`.
///
/// # Errors
/// The machine gives no random numbers.
pub fn verifier(password: &str) -> Result<String, NoRandomness> {
    let mut salt = [0; SALT_BYTES];
    SystemRandom::new().fill(&mut salt).map_err(|_unspecified| NoRandomness)?;
    Ok(Verifier::new(password, salt.to_vec(), ITERATIONS).to_string())
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [salt, stored, server] =
            [&self.salt, &self.stored_key, &self.server_key].map(|bytes| STANDARD.encode(bytes));
        write!(f, "SCRAM-SHA-256${}:{salt}${stored}:{server}", self.iterations)
    }
}

impl Verifier {
    fn new(password: &str, salt: Vec<u8>, iterations: u32) -> Self {
        let salted = gen_salted_password(password, &salt, rounds(iterations));
        Self {
            iterations,
            salt,
            stored_key: stored_key(&salted),
            server_key: mac(&salted, b"Server Key"),
        }
    }

    /// Reads a verifier, or says what is wrong with it.
    pub(in crate::rules) fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("SCRAM-SHA-256$").ok_or("it does not begin as one")?;
        let (front, back) = rest.split_once('$').ok_or("it has no keys")?;
        let (iterations, salt) = front.split_once(':').ok_or("it has no salt")?;
        let (stored, server) = back.split_once(':').ok_or("it has one key only")?;
        let iterations = iterations
            .parse()
            .ok()
            .filter(|rounds| (ITERATIONS..=ITERATIONS_MAX).contains(rounds))
            .ok_or(format!("its rounds are not {ITERATIONS} to {ITERATIONS_MAX}"))?;
        let decode = |what: &str, text: &str| {
            STANDARD.decode(text).map_err(|_error| format!("its {what} is not base64"))
        };
        let salt = decode("salt", salt)?;
        let (stored_key, server_key) =
            (decode("stored key", stored)?, decode("server key", server)?);
        if !SALT_BYTES_ALLOWED.contains(&salt.len()) {
            return Err(format!("its salt has {} bytes", salt.len()));
        }
        if stored_key.len() != KEY_BYTES || server_key.len() != KEY_BYTES {
            return Err(format!("its keys do not have {KEY_BYTES} bytes"));
        }
        Ok(Self { iterations, salt, stored_key, server_key })
    }

    /// Whether it is a verifier of this password; takes the same time whether or not.
    #[must_use]
    pub(super) fn fits(&self, password: &str) -> bool {
        let salted = gen_salted_password(password, &self.salt, rounds(self.iterations));
        // ring compares tags in constant time, and nothing else.
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.server_key);
        let tag = hmac::sign(&key, &self.stored_key);
        hmac::verify(&key, &stored_key(&salted), tag.as_ref()).is_ok()
    }

    /// What the SCRAM exchange of the PostgreSQL port needs.
    #[must_use]
    pub fn secret(&self) -> ScramSecret {
        ScramSecret::Verifier {
            salt: self.salt.clone(),
            iterations: rounds(self.iterations),
            stored_key: self.stored_key.clone(),
            server_key: self.server_key.clone(),
        }
    }
}

/// From what the verifiers of unknown users are made: one secret for the life of the program.
#[derive(Debug)]
pub(in crate::rules) struct MockSecret(hmac::Key);

impl MockSecret {
    /// A new secret.
    pub(in crate::rules) fn new() -> Self {
        let generated = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self(generated.unwrap_or_else(|_unspecified| {
            // Without random numbers an address, which nobody outside knows either.
            let place = Box::new(0_u8);
            hmac::Key::new(hmac::HMAC_SHA256, format!("{:p}", &raw const *place).as_bytes())
        }))
    }

    /// The verifier of a name that is not there: it has the rounds and the length of salt of one of
    /// the real ones.
    pub(super) fn verifier(&self, name: &str, real: &[&Verifier]) -> Verifier {
        let part = |what: &str| {
            let mut context = hmac::Context::with_key(&self.0);
            context.update(what.as_bytes());
            context.update(&[0]);
            context.update(name.as_bytes());
            context.sign().as_ref().to_vec()
        };
        let like =
            part("like").iter().fold(0_usize, |sum, byte| sum * 31 % 65_521 + usize::from(*byte));
        let like = real.get(like % real.len().max(1));
        let (iterations, salt_bytes) =
            like.map_or((ITERATIONS, SALT_BYTES), |like| (like.iterations, like.salt.len()));
        let mut salt = part("salt");
        salt.extend(part("more salt"));
        salt.truncate(salt_bytes);
        Verifier { iterations, salt, stored_key: part("stored"), server_key: part("server") }
    }
}

fn rounds(iterations: u32) -> usize {
    NonZeroU32::new(iterations).map_or(1, |rounds| rounds.get() as usize)
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

fn stored_key(salted: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, &mac(salted, b"Client Key")).as_ref().to_vec()
}
