//! SCRAM-SHA-256 (RFC 5802, 7677), by which a client and a server prove to each other that they
//! know a password without sending it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SecureRandom;
use ring::{digest, hmac, pbkdf2, rand};
use std::num::NonZeroU32;

/// Iterations beyond which a server is not believed: a minute of work.
const ITERATIONS_MAX: u32 = 10_000_000;

/// A client's side of one exchange.
pub(crate) struct Scram {
    nonce: String,
    /// What the server signs, and with which key.
    server: Option<(hmac::Key, String)>,
}

impl Scram {
    /// Begins an exchange.
    pub(crate) fn new() -> Result<Self, String> {
        let mut nonce = [0_u8; 18];
        rand::SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| "there are no random numbers to be had".to_owned())?;
        Ok(Self::with_nonce(STANDARD.encode(nonce)))
    }

    fn with_nonce(nonce: String) -> Self {
        Self { nonce, server: None }
    }

    /// The first message. PostgreSQL takes the user from the connection, not from here.
    pub(crate) fn first(&self, user: &str) -> String {
        format!("n,,{}", self.first_bare(user))
    }

    fn first_bare(&self, user: &str) -> String {
        format!("n={},r={}", user.replace('=', "=3D").replace(',', "=2C"), self.nonce)
    }

    /// The answer to the server's first message.
    pub(crate) fn answer(
        &mut self,
        user: &str,
        password: &str,
        server_first: &str,
    ) -> Result<String, String> {
        let field = |name: &str| {
            server_first
                .split(',')
                .find_map(|part| part.strip_prefix(name))
                .ok_or("the server's SCRAM message is broken")
        };
        let (nonce, salt, iterations) = (field("r=")?, field("s=")?, field("i=")?);
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("the server answers another SCRAM exchange".into());
        }
        let salt = STANDARD.decode(salt).map_err(|_| "the server's SCRAM salt is broken")?;
        let iterations =
            iterations.parse::<NonZeroU32>().ok().filter(|i| i.get() <= ITERATIONS_MAX);
        let iterations =
            iterations.ok_or("the server's SCRAM iterations are no reasonable number")?;
        let mut salted = [0_u8; digest::SHA256_OUTPUT_LEN];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            iterations,
            &salt,
            password.as_bytes(),
            &mut salted,
        );
        let client_key = mac(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, &client_key);
        let without_proof = format!("c=biws,r={nonce}");
        let message = format!("{},{server_first},{without_proof}", self.first_bare(user));
        let signature = mac(stored_key.as_ref(), message.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        self.server =
            Some((hmac::Key::new(hmac::HMAC_SHA256, &mac(&salted, b"Server Key")), message));
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)))
    }

    /// Checks that the server knows the password too.
    pub(crate) fn check(&self, server_final: &str) -> Result<(), String> {
        if let Some(error) = server_final.strip_prefix("e=") {
            return Err(format!("the server refuses the password ({error})"));
        }
        let signature = server_final
            .split(',')
            .find_map(|part| part.strip_prefix("v="))
            .and_then(|v| STANDARD.decode(v).ok());
        match (&self.server, signature) {
            (Some((key, message)), Some(signature))
                if hmac::verify(key, message.as_bytes(), &signature).is_ok() =>
            {
                Ok(())
            }
            _ => Err(
                "the server does not prove that it knows the password; it may be another server"
                    .into(),
            ),
        }
    }
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exchange_of_rfc_7677() {
        let mut scram = Scram::with_nonce("rOprNGfwEbeRWgbNEkqO".into());
        assert_eq!(scram.first("user"), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                      s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let answer = scram.answer("user", "pencil", server).expect("answered");
        assert_eq!(
            answer,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        scram.check("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").expect("the server knows it");
        scram
            .check("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=")
            .expect_err("another signature");
        scram.check("e=invalid-proof").expect_err("refused");
    }

    #[test]
    fn a_broken_server_is_no_panic() {
        for message in [
            "",
            "r=x",
            "r=other,s=AAAA,i=1",
            "r=noncey,s=!,i=1",
            "r=noncey,s=AAAA,i=0",
            "r=noncey,s=AAAA,i=99999999999",
        ] {
            Scram::with_nonce("nonce".into()).answer("u", "p", message).expect_err(message);
        }
    }
}
