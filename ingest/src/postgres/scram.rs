//! SCRAM-SHA-256 (RFC 5802, 7677), by which a client and a server prove to each other that they
//! know a password without sending it; where the server takes it, bound to the TLS connection
//! (`tls-server-end-point`, RFC 5929), so that nobody in between can pass the proof on.

use crate::postgres::tls::Wire;
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use ring::digest;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::oid::db::rfc5912::{
    ECDSA_WITH_SHA_256, ECDSA_WITH_SHA_384, ECDSA_WITH_SHA_512, MD_5_WITH_RSA_ENCRYPTION,
    SHA_1_WITH_RSA_ENCRYPTION, SHA_256_WITH_RSA_ENCRYPTION, SHA_384_WITH_RSA_ENCRYPTION,
    SHA_512_WITH_RSA_ENCRYPTION,
};

/// A client's side of one exchange.
pub(crate) struct Scram(ScramSha256);

impl Scram {
    /// Begins an exchange by the strongest of the `mechanisms` that a server offers (each ends with
    /// a zero); gives its name. The server takes the user from the connection, not from here.
    pub(crate) fn begin(
        mechanisms: &[u8],
        password: &str,
        wire: &Wire,
    ) -> Result<(Self, &'static str), String> {
        let offers =
            |name: &str| mechanisms.split(|b| *b == 0).any(|offered| offered == name.as_bytes());
        let end_point = wire.server_certificate().and_then(end_point);
        let (name, binding) = match end_point {
            Some(end_point) if offers(SCRAM_SHA_256_PLUS) => {
                (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(end_point))
            }
            // The server hears that its offer did not reach us, if it made one.
            Some(_) => (SCRAM_SHA_256, ChannelBinding::unrequested()),
            None => (SCRAM_SHA_256, ChannelBinding::unsupported()),
        };
        if !offers(name) {
            return Err(format!("the server has no {name}"));
        }
        Ok((Self(ScramSha256::new(password.as_bytes(), binding)), name))
    }

    /// What is sent to the server next.
    pub(crate) fn message(&self) -> &[u8] {
        self.0.message()
    }

    /// Takes the server's first message.
    pub(crate) fn answer(&mut self, server_first: &[u8]) -> Result<(), String> {
        let broken = |e| format!("the server's SCRAM message is broken ({e})");
        self.0.update(server_first).map_err(broken)
    }

    /// Checks that the server knows the password too.
    pub(crate) fn check(&mut self, server_final: &[u8]) -> Result<(), String> {
        self.0.finish(server_final).map_err(|e| {
            format!(
                "the server does not prove that it knows the password ({e}); it may be another \
                 server"
            )
        })
    }
}

/// What stands for a connection to the server with this certificate: its hash, by the hash that it
/// is signed with, or SHA-256 instead of older ones. None where RFC 5929 has none (Ed25519).
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let signed_with = Certificate::from_der(certificate).ok()?.signature_algorithm.oid;
    Some(digest::digest(hash_of(signed_with)?, certificate).as_ref().to_vec())
}

/// SHA-1 with ECDSA, of ANSI X9.62.
const ECDSA_WITH_SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.1");

fn hash_of(signed_with: ObjectIdentifier) -> Option<&'static digest::Algorithm> {
    match signed_with {
        MD_5_WITH_RSA_ENCRYPTION
        | SHA_1_WITH_RSA_ENCRYPTION
        | ECDSA_WITH_SHA_1
        | SHA_256_WITH_RSA_ENCRYPTION
        | ECDSA_WITH_SHA_256 => Some(&digest::SHA256),
        SHA_384_WITH_RSA_ENCRYPTION | ECDSA_WITH_SHA_384 => Some(&digest::SHA384),
        SHA_512_WITH_RSA_ENCRYPTION | ECDSA_WITH_SHA_512 => Some(&digest::SHA512),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> Scram {
        Scram(ScramSha256::new(b"pencil", ChannelBinding::unsupported()))
    }

    /// The nonce that a first message has.
    fn nonce(scram: &Scram) -> String {
        let first = String::from_utf8(scram.message().to_vec()).expect("text");
        first.split_once("r=").expect("a nonce").1.to_owned()
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_found_out() {
        let mut scram = begun();
        let first = format!("r={}more,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", nonce(&scram));
        scram.answer(first.as_bytes()).expect("a sound message");
        assert!(scram.message().starts_with(b"c=biws,r="));
        scram.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").expect_err("a guess");
    }

    #[test]
    fn a_broken_server_is_no_panic() {
        let of_us = nonce(&begun());
        for message in [
            "".to_owned(),
            "r=x".to_owned(),
            "r=other,s=AAAA,i=1".to_owned(),
            format!("r={of_us}y,s=!,i=1"),
            format!("r={of_us}y,s=AAAA,i=0"),
            format!("r={of_us}y,s=AAAA,i=99999999999"),
            "e=other-error".to_owned(),
        ] {
            begun().answer(message.as_bytes()).expect_err(&message);
            begun().check(message.as_bytes()).expect_err(&message);
        }
    }

    #[test]
    fn a_certificate_that_can_not_be_read_binds_nothing() {
        assert_eq!(end_point(b"not DER"), None);
    }
}
