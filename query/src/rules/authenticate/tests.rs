#[path = "rsa_tokens.rs"]
mod rsa_tokens;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use pgwire::api::auth::sasl::scram::ScramSecret;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use riskstream_engine::runtime::Clock;
use serde_json::{Value, json};

use super::tokens::Fetch;
use super::*;
use crate::rules::current::Rules;

fn rules(folder: &Path, text: &str) -> Rules {
    let file = folder.join("users.toml");
    std::fs::write(&file, text).unwrap();
    Rules::open(&file).map_err(|problems| problems.to_string()).unwrap()
}

#[test]
fn a_verifier_fits_its_password_alone() {
    let text = verifier("häslich \u{ad}x").unwrap();
    assert!(text.starts_with("SCRAM-SHA-256$4096:"), "{text}");
    let verifier = Verifier::parse(&text).unwrap();
    assert_eq!(verifier.to_string(), text);
    assert!(verifier.fits("häslich \u{ad}x"));
    // As SASLprep says: a soft hyphen is nothing.
    assert!(verifier.fits("häslich x"));
    assert!(!verifier.fits("haslich x") && !verifier.fits(""));
    assert_ne!(super::verifier("a").unwrap(), super::verifier("a").unwrap());
    assert_eq!(format!("{verifier:?}"), "Verifier");
}

#[test]
fn a_verifier_of_postgresql_is_read() {
    // Of the password `pencil`, as in RFC 7677.
    let text = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==\
                $WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
                wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    assert!(Verifier::parse(text).unwrap().fits("pencil"));
    for broken in [
        "",
        "SCRAM-SHA-256$",
        "SCRAM-SHA-256$4096$a:b",
        "md5abc",
        &text.replace("4096", "1"),
        &text.replace("4096", "99999999"),
        &text.replace("W22Z", "####"),
        &text.replace("WG5d", ""),
        &text.replace(":W22ZaJ0SNY7soEsUEjb6gQ==", ":AA=="),
    ] {
        assert!(Verifier::parse(broken).is_err(), "{broken}");
    }
}

#[test]
fn an_unknown_user_looks_as_a_known_one() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("[users.ann]\npassword = \"{}\"\nroles = []\n", verifier("right").unwrap());
    let rules = rules(folder.path(), &text);
    let salt = |name: &str| match rules.verifier_of(name).secret() {
        ScramSecret::Verifier { salt, iterations, .. } => (salt, iterations),
        ScramSecret::SaltedPassword { .. } => panic!("it is a verifier"),
    };
    assert_eq!(salt("bob"), salt("bob"));
    assert_ne!(salt("bob"), salt("eve"));
    assert_eq!((salt("ann").0.len(), salt("ann").1), (salt("bob").0.len(), salt("bob").1));
    assert_eq!(rules.sign_in("ann", "right").unwrap().user.name, "ann");
    for (name, password) in [("ann", "wrong"), ("bob", "right"), ("", ""), ("ann", "")] {
        assert!(rules.sign_in(name, password).is_err(), "{name}");
    }
    assert!(rules.sign_in("ann", &"x".repeat(1 << 20)).is_err());
    assert_eq!(rules.user("bob"), None);
    assert_eq!(
        Rules::none().sign_in("ann", "right").unwrap_err().to_string(),
        "user \"ann\" is not in the users file"
    );
    assert_eq!(Refusal::told("ann"), "password authentication failed for user \"ann\"");
}

struct Stepped(AtomicU64);

impl Clock for Stepped {
    fn wall_micros(&self) -> i64 {
        i64::try_from(now()).unwrap() * 1_000_000
    }

    fn steady_nanos(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

fn now() -> u64 {
    jsonwebtoken::get_current_timestamp()
}

/// An issuer with a key of Ed25519 and one of P-256.
struct Issuer {
    ed: EncodingKey,
    ec: EncodingKey,
    set: Value,
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn issuer() -> Issuer {
    let random = SystemRandom::new();
    let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let ed_public = Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap();
    let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let ec_public =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, ec.as_ref(), &random).unwrap();
    let point = ec_public.public_key().as_ref();
    let set = json!({ "keys": [
        { "kty": "OKP", "crv": "Ed25519", "kid": "ed", "use": "sig",
          "x": encoded(ed_public.public_key().as_ref()) },
        { "kty": "EC", "crv": "P-256", "kid": "ec", "alg": "ES256",
          "x": encoded(&point[1..33]), "y": encoded(&point[33..]) },
        { "kty": "RSA", "kid": "rsa", "n": rsa_tokens::RSA_MODULUS, "e": "AQAB" },
        { "kty": "oct", "kid": "oct", "k": encoded(b"a secret that both sides know, no good") },
        { "kty": "new", "kid": "new" },
    ] });
    Issuer {
        ed: EncodingKey::from_ed_der(ed.as_ref()),
        ec: EncodingKey::from_ec_der(ec.as_ref()),
        set,
    }
}

impl Issuer {
    fn sign(&self, algorithm: Algorithm, id: Option<&str>, claims: &Value) -> String {
        let key = if algorithm == Algorithm::ES256 { &self.ec } else { &self.ed };
        let header = Header { kid: id.map(str::to_owned), ..Header::new(algorithm) };
        encode(&header, claims, key).unwrap()
    }

    fn token(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = claims();
        change(&mut claims);
        self.sign(Algorithm::EdDSA, Some("ed"), &claims)
    }
}

fn claims() -> Value {
    json!({ "iss": "https://issuer.example", "aud": "riskstream", "sub": "acme", "exp": now() + 300,
            "roles": ["lender"], "lender_id": "17" })
}

const JWT: &str = "[jwt]\nissuer = \"https://issuer.example\"\naudience = \"riskstream\"\n\
                   keys = \"jwks.json\"\nattributes = { lender_id = \"lender_id\" }\n";

fn in_folder(folder: &Path, issuer: &Issuer, more: &str) -> Rules {
    std::fs::write(folder.join("jwks.json"), issuer.set.to_string()).unwrap();
    rules(folder, &format!("{JWT}{more}"))
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn sign_in(rules: &Rules, token: &str) -> Result<SignedIn, String> {
    wait(rules.sign_in_by_token(token)).map_err(|refusal| refusal.to_string())
}

#[test]
fn good_tokens_say_who_it_is() {
    let (folder, issuer) = (tempfile::tempdir().unwrap(), issuer());
    let rules = in_folder(folder.path(), &issuer, "");
    let signed_in = sign_in(&rules, &issuer.token(|_| {})).unwrap();
    assert_eq!(signed_in.user.name, "acme");
    assert_eq!(signed_in.user.roles, ["lender"]);
    assert_eq!(signed_in.user.attributes["lender_id"], ["17"]);
    assert!(signed_in.until.unwrap() > i64::try_from(now()).unwrap());
    let by_ec = issuer.sign(Algorithm::ES256, Some("ec"), &claims());
    assert_eq!(sign_in(&rules, &by_ec).unwrap().user.name, "acme");
    for token in [rsa_tokens::RS256, rsa_tokens::PS256] {
        assert_eq!(sign_in(&rules, token).unwrap().user.name, "rosa");
    }
    assert_eq!(rules.method("token"), Method::Token);
    assert_eq!(rules.method("acme"), Method::Password);
}

#[test]
fn claims_are_texts_numbers_or_lists_of_them() {
    let (folder, issuer) = (tempfile::tempdir().unwrap(), issuer());
    let rules = in_folder(folder.path(), &issuer, "");
    for (claim, expected) in [
        (json!("17"), &["17"][..]),
        (json!(" 17"), &[" 17"]),
        (json!(17), &["17"]),
        (json!([17, "18", null, true, {}, ""]), &["17", "18"]),
        (json!(null), &[]),
        (json!(true), &[]),
        (json!({ "id": "17" }), &[]),
        (json!(""), &[]),
        (json!("  "), &[]),
        (json!([["17"]]), &[]),
    ] {
        let token = issuer.token(|claims| claims["lender_id"] = claim.clone());
        let user = sign_in(&rules, &token).unwrap().user;
        let values = user.attributes.get("lender_id").map_or(&[][..], Vec::as_slice);
        assert_eq!(values, expected, "{claim}");
    }
    let token = issuer.token(|claims| claims["roles"] = json!("lender analyst owner"));
    assert_eq!(sign_in(&rules, &token).unwrap().user.roles, ["lender", "analyst"]);
}

#[test]
fn the_all_seeing_role_has_to_be_allowed() {
    let (folder, issuer) = (tempfile::tempdir().unwrap(), issuer());
    let rules = in_folder(folder.path(), &issuer, "allow_owner = true\nroles = \"/a/b~1c\"\n");
    let token = issuer.token(|claims| claims["a"] = json!({ "b/c": ["owner"] }));
    assert_eq!(sign_in(&rules, &token).unwrap().user.roles, ["owner"]);
}

#[test]
fn a_token_must_not_have_the_name_of_a_user_of_the_file() {
    let (folder, issuer) = (tempfile::tempdir().unwrap(), issuer());
    let users = format!("[users.acme]\npassword = \"{}\"\n", verifier("x").unwrap());
    let rules = in_folder(folder.path(), &issuer, &users);
    assert!(sign_in(&rules, &issuer.token(|_| {})).unwrap_err().contains("in the users file"));
}

#[test]
fn what_is_wrong_with_a_token_refuses_it() {
    let (folder, issuer) = (tempfile::tempdir().unwrap(), issuer());
    let rules = in_folder(folder.path(), &issuer, "");
    let without = |claim: &'static str| {
        issuer.token(|claims| drop(claims.as_object_mut().unwrap().remove(claim)))
    };
    let with = |claim: &'static str, value: Value| issuer.token(|claims| claims[claim] = value);
    let good = issuer.token(|_| {});
    let parts: Vec<&str> = good.split('.').collect();
    let header = |value: Value| encoded(value.to_string().as_bytes());
    let unsigned = |value: Value| format!("{}.{}.", header(value), parts[1]);
    let resigned = |value: Value| format!("{}.{}.{}", header(value), parts[1], parts[2]);
    let hmac = |secret: &[u8], id: &str| {
        let header = Header { kid: Some(id.to_owned()), ..Header::new(Algorithm::HS256) };
        encode(&header, &claims(), &EncodingKey::from_secret(secret)).unwrap()
    };
    let other = super::tests::issuer();
    let rsa: Vec<&str> = rsa_tokens::RS256.split('.').collect();
    let pss = header(json!({ "alg": "PS256", "kid": "rsa" }));
    let rsa_as_pss = format!("{pss}.{}.{}", rsa[1], rsa[2]);
    for (what, token) in [
        ("expired", with("exp", json!(now() - 120))),
        ("no end", without("exp")),
        ("an odd end", with("exp", json!("never"))),
        ("not yet", with("nbf", json!(now() + 120))),
        ("issued later", with("iat", json!(now() + 120))),
        ("another issuer", with("iss", json!("https://evil.example"))),
        ("no issuer", without("iss")),
        ("another audience", with("aud", json!(["other"]))),
        ("no audience", without("aud")),
        ("no name", without("sub")),
        ("an empty name", with("sub", json!(" "))),
        ("an odd name", with("sub", json!(["acme"]))),
        ("none", unsigned(json!({ "alg": "none", "kid": "ed" }))),
        ("None", unsigned(json!({ "alg": "None" }))),
        ("no algorithm", unsigned(json!({ "kid": "ed" }))),
        ("HMAC with a known secret", hmac(b"a secret that both sides know, no good", "oct")),
        ("HMAC with a public key", hmac(rsa_tokens::RSA_MODULUS.as_bytes(), "rsa")),
        ("another algorithm", resigned(json!({ "alg": "ES256", "kid": "ed" }))),
        ("another key", resigned(json!({ "alg": "EdDSA", "kid": "ec" }))),
        ("another header", resigned(json!({ "alg": "EdDSA", "kid": "ed", "typ": "x" }))),
        ("critical", resigned(json!({ "alg": "EdDSA", "kid": "ed", "crit": ["x"] }))),
        ("an odd id", resigned(json!({ "alg": "EdDSA", "kid": 1 }))),
        (
            "a key that it brings",
            resigned(json!({ "alg": "EdDSA", "kid": "mine",
            "jwk": other.set["keys"][0], "jku": "https://evil.example" })),
        ),
        ("signed by another", other.token(|_| {})),
        ("no id", issuer.sign(Algorithm::EdDSA, None, &claims())),
        ("an unknown id", issuer.sign(Algorithm::EdDSA, Some("x"), &claims())),
        ("other claims", format!("{}.{}.{}", parts[0], encoded(b"{}"), parts[2])),
        ("a cut signature", good[..good.len() - 4].to_owned()),
        ("more parts", format!("{good}.x")),
        ("nothing", String::new()),
        ("dots", "..".to_owned()),
        ("too long", "a".repeat(1 << 20)),
        ("RSA, changed", rsa_as_pss),
    ] {
        assert!(sign_in(&rules, &token).is_err(), "{what}");
    }
    // A little apart the clocks may be.
    assert!(sign_in(&rules, &with("exp", json!(now() - 10))).is_ok());
    assert!(sign_in(&rules, &with("aud", json!(["other", "riskstream"]))).is_ok());
    assert!(sign_in(&Rules::none(), &good).is_err());
}

#[test]
fn a_changed_file_of_keys_is_read_again() {
    let (folder, issuer) = (tempfile::tempdir().unwrap(), issuer());
    let rules = in_folder(folder.path(), &issuer, "");
    let token = issuer.token(|_| {});
    sign_in(&rules, &token).unwrap();
    let other = super::tests::issuer();
    let spaces = " ".repeat(100);
    std::fs::write(folder.path().join("jwks.json"), format!("{}{spaces}", other.set)).unwrap();
    assert!(sign_in(&rules, &token).is_err());
    sign_in(&rules, &other.token(|_| {})).unwrap();
    // While it can't be read the keys that were there stay.
    std::fs::write(folder.path().join("jwks.json"), "{").unwrap();
    sign_in(&rules, &other.token(|_| {})).unwrap();
}

#[test]
fn keys_at_a_url_are_fetched_at_most_once_a_minute() {
    let issuer = issuer();
    let (fetches, clock) = (Arc::new(AtomicUsize::new(0)), Arc::new(Stepped(AtomicU64::new(0))));
    let (counted, set) = (Arc::clone(&fetches), issuer.set.to_string());
    let fetch: Fetch = Arc::new(move |_| {
        let fetch = counted.fetch_add(1, Ordering::Relaxed);
        // The first fails, the fourth too.
        let answer = match fetch {
            0 | 3 => Err("the network is away".to_owned()),
            _ => Ok(set.clone().into_bytes()),
        };
        Box::pin(std::future::ready(answer))
    });
    let folder = tempfile::tempdir().unwrap();
    let text = JWT.replace("jwks.json", "https://issuer.example/jwks");
    let settings = rules(folder.path(), &text).policy().token_settings.clone().unwrap();
    let tokens = Arc::new(Tokens::with(settings, fetch, Arc::clone(&clock) as Arc<dyn Clock>));
    let step = |seconds: u64| clock.0.fetch_add(seconds * 1_000_000_000, Ordering::Relaxed);
    let good = issuer.token(|_| {});
    let unknown = issuer.sign(Algorithm::EdDSA, Some("x"), &claims());
    let ask = |token: &str, is_ok: bool, expected: usize| {
        let signed_in = wait(async {
            let signed_in = tokens.sign_in(token).await;
            tokio::task::yield_now().await;
            signed_in
        });
        assert_eq!(signed_in.is_ok(), is_ok);
        assert_eq!(fetches.load(Ordering::Relaxed), expected);
    };
    ask(&good, false, 1);
    ask(&good, false, 1);
    step(61);
    ask(&good, true, 2);
    ask(&unknown, false, 2);
    step(61);
    ask(&good, true, 2);
    ask(&unknown, false, 3);
    ask(&unknown, false, 3);
    step(3601);
    // Old keys stay while new ones can't be got.
    ask(&good, true, 4);
    ask(&good, true, 4);
    step(61);
    ask(&good, true, 5);
}
