//! Tokens as passwords, on a real socket.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::Client;
use super::encrypted::{Encrypted, password};
use crate::postgres::gate::SharedGate;
use crate::rules::Rules;

/// An issuer, and rules that trust it.
struct Issuer {
    key: EncodingKey,
    rules: Arc<Rules>,
    _folder: TempDir,
}

impl Issuer {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pair = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let public = Ed25519KeyPair::from_pkcs8(pair.as_ref()).unwrap();
        let x = URL_SAFE_NO_PAD.encode(public.public_key().as_ref());
        let keys = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": x }] });
        std::fs::write(folder.path().join("jwks.json"), keys.to_string()).unwrap();
        let users = "[jwt]\nissuer = \"https://issuer.example\"\naudience = \"riskstream\"\n\
                     keys = \"jwks.json\"\n[roles.lender]\ntables = [\"loans\"]\n";
        let file = folder.path().join("users.toml");
        std::fs::write(&file, users).unwrap();
        let rules = Rules::open(&file).map_err(|problems| problems.to_string()).unwrap();
        let key = EncodingKey::from_ed_der(pair.as_ref());
        Self { key, rules: Arc::new(rules), _folder: folder }
    }

    fn gate(&self) -> SharedGate {
        Arc::clone(&self.rules) as SharedGate
    }

    fn token(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = json!({
            "iss": "https://issuer.example", "aud": "riskstream", "sub": "acme",
            "exp": get_current_timestamp() + 300, "roles": ["lender"],
        });
        change(&mut claims);
        let header = Header { kid: Some("ed".to_owned()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, &claims, &self.key).unwrap()
    }
}

/// Signs in with a token in place of a password; what is said.
fn sign_in<S: Read + Write>(client: &mut Client<S>, token: &str) -> Vec<String> {
    client.begin(&[("user", "token"), ("database", "riskstream")]);
    // The question for it, which has no line.
    client.bytes(&password(&[token.as_bytes(), b"\0"].concat()));
    client.read().lines
}

#[test]
fn a_token_is_taken_over_tls_and_says_who_it_is() {
    let issuer = Issuer::new();
    let encrypted = Encrypted::new(Some(issuer.gate()));
    let mut client = encrypted.client();
    assert_eq!(sign_in(&mut client, &issuer.token(|_| {})), ["ready I"]);
    assert_eq!(client.ask("select current_user").value(), Some("acme"));
}

#[test]
fn a_token_is_not_taken_in_clear() {
    let issuer = Issuer::new();
    let encrypted = Encrypted::new(Some(issuer.gate()));
    let mut plain = Client::connected(encrypted.served.port.address());
    plain.begin(&[("user", "token"), ("database", "riskstream")]);
    let said = plain.read();
    assert_eq!(said.error(), Some("28000"));
    assert!(said.lines[0].contains("TLS"), "{said:?}");
    assert!(plain.next().is_none(), "it is not even asked for");
}

#[test]
fn a_token_that_is_wrong_is_refused_without_a_reason() {
    let issuer = Issuer::new();
    let encrypted = Encrypted::new(Some(issuer.gate()));
    let good = issuer.token(|_| {});
    let parts: Vec<&str> = good.split('.').collect();
    let none = URL_SAFE_NO_PAD.encode(json!({ "alg": "none", "kid": "ed" }).to_string());
    let past = get_current_timestamp() - 3_600;
    for (what, token) in [
        ("expired", issuer.token(|claims| claims["exp"] = json!(past))),
        ("for somebody else", issuer.token(|claims| claims["aud"] = json!("other"))),
        ("of somebody else", issuer.token(|claims| claims["iss"] = json!("https://evil.example"))),
        ("without a signature", format!("{none}.{}.", parts[1])),
        ("with the signature of another", format!("{none}.{}.{}", parts[1], parts[2])),
        ("cut", good[..good.len() - 6].to_owned()),
        ("signed by another", Issuer::new().token(|_| {})),
        ("no token", "secret".to_owned()),
        ("nothing", String::new()),
        ("no text", "\u{feff}".repeat(3)),
        ("too long", "a".repeat(60_000)),
    ] {
        let mut client = encrypted.client();
        let said = sign_in(&mut client, &token);
        let expected = "error 28P01 password authentication failed for user \"token\"";
        assert_eq!(said, [expected], "{what}");
    }
}

#[test]
fn a_connection_ends_with_its_token() {
    let issuer = Issuer::new();
    let encrypted = Encrypted::new(Some(issuer.gate()));
    let soon = get_current_timestamp() + 2;
    let token = issuer.token(|claims| claims["exp"] = json!(soon));
    let (mut idle, mut busy) = (encrypted.client(), encrypted.client());
    assert_eq!(sign_in(&mut idle, &token), ["ready I"]);
    assert_eq!(sign_in(&mut busy, &token), ["ready I"]);
    let began = Instant::now();
    let said = busy.ask(super::LONG);
    assert_eq!(said.error(), Some("57014"), "{said:?}");
    assert_eq!(idle.read().error(), Some("28000"));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}
