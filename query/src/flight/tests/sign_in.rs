use arrow_flight::Action;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::json;
use tonic::{Code, Request};

use super::world::*;

const IDS: &str = "select id from payments order by id";

#[tokio::test]
async fn a_password_gives_a_token_with_which_one_sees_ones_rows() {
    let served = Served::with(Setup::with_users());
    for (name, rows) in [("ann", ["0", "2", "4", "6", "8"]), ("bob", ["1", "3", "5", "7", "9"])] {
        let mut client = served.signed_in(name).await;
        assert_eq!(shown(&ask(&mut client, IDS).await.unwrap()), rows);
        let token = client.token().unwrap().clone();
        assert!(!token.contains(name) && !token.contains("password"));
        // The token is good on another connection too.
        let mut other = served.client().await;
        other.set_token(token);
        let sum = ask(&mut other, "select count(*) from payments_now").await.unwrap();
        assert_eq!(shown(&sum), ["5"]);
    }
}

#[tokio::test]
async fn who_has_not_signed_in_gets_nothing() {
    let served = Served::with(Setup::with_users());
    let mut client = served.client().await;
    for (name, password) in
        [("ann", "bob's password"), ("ann", ""), ("eve", "ann's password"), ("", "")]
    {
        let refused = client.handshake(name, password).await.unwrap_err().to_string();
        let refused = refused.replace('\\', "");
        let wanted = format!("password authentication failed for user \"{name}\"");
        assert!(refused.contains(&wanted), "{refused}");
        assert!(refused.contains("Unauthenticated") || refused.contains("authentication"));
    }
    for token in [None, Some(""), Some("made up"), Some("a.b.c")] {
        match token {
            Some(token) => client.set_token(token.to_owned()),
            None => client.clear_token(),
        }
        assert_eq!(ask(&mut client, IDS).await.unwrap_err().code(), Code::Unauthenticated);
        let refused = client.prepare(IDS.to_owned(), None).await.map(|_| ()).unwrap_err();
        assert_eq!(status(refused).code(), Code::Unauthenticated);
        let refused = client.get_catalogs().await.unwrap_err();
        assert_eq!(status(refused).code(), Code::Unauthenticated);
        let refused = client.begin_transaction().await.unwrap_err();
        assert_eq!(status(refused).code(), Code::Unauthenticated);
    }
    // A password is taken in the handshake alone.
    let mut request = Request::new(arrow_flight::Empty {});
    request.metadata_mut().insert("authorization", "Basic YW5uOng=".parse().unwrap());
    let refused = client.inner_mut().list_actions(request).await.map(|_| ()).unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let refused = client.inner_mut().list_flights(arrow_flight::Criteria::default()).await;
    assert_eq!(refused.map(|_| ()).unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn handles_of_another_user_look_as_if_they_were_not_there() {
    let served = Served::with(Setup::with_users());
    let (mut ann, mut bob) = (served.signed_in("ann").await, served.signed_in("bob").await);
    let info = ann.execute(IDS.to_owned(), None).await.map_err(status).unwrap();
    let missing = fetch(&mut bob, &info).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    let cancel = arrow_flight::CancelFlightInfoRequest::new(info.clone());
    let cancel = prost::Message::encode_to_vec(&cancel);
    let refused = act(&mut bob, Action::new("CancelFlightInfo", cancel)).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(fetch(&mut ann, &info).await.unwrap().num_rows(), 5);

    let mut of_ann = ann.prepare(IDS.to_owned(), None).await.map_err(status).unwrap();
    let info = of_ann.execute().await.map_err(status).unwrap();
    assert_eq!(fetch(&mut bob, &info).await.unwrap_err().message(), missing.message());
    // A ticket holds neither the statement nor a name.
    let bytes = ticket(&info).ticket;
    for secret in ["payments", "select", "ann", "17"] {
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
    }
}

#[tokio::test]
async fn without_users_a_name_is_a_name() {
    let served = Served::new();
    let mut client = served.client().await;
    let user = "select current_user";
    assert_eq!(shown(&ask(&mut client, user).await.unwrap()), ["anybody"]);
    client.handshake("ada", "any password").await.unwrap();
    assert_eq!(shown(&ask(&mut client, user).await.unwrap()), ["ada"]);
    let log = "select user_name from system.queries where statement like '%system.queries%'";
    assert_eq!(shown(&ask(&mut client, log).await.unwrap()), ["ada"]);
}

/// Users with an issuer whose key is in a file, and what it signs for `acme` of lender 17.
async fn with_issuer() -> (Served, impl Fn(u64) -> String) {
    let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let public = Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap();
    let public = URL_SAFE_NO_PAD.encode(public.public_key().as_ref());
    let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": public }] });
    let keys = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(keys.path(), set.to_string()).unwrap();
    let jwt = format!(
        "[jwt]\nissuer = \"https://issuer.example\"\naudience = \"riskstream\"\n\
         keys = \"{}\"\nattributes = {{ lender = \"lender\" }}\n",
        keys.path().display()
    );
    let served = Served::with(Setup { users: Some(jwt), ..Setup::default() });
    let key = EncodingKey::from_ed_der(key.as_ref());
    let token = move |seconds: u64| {
        // The file of keys lives as long as this.
        let _kept = &keys;
        let claims = json!({
            "iss": "https://issuer.example", "aud": "riskstream", "sub": "acme",
            "exp": get_current_timestamp() + seconds, "roles": ["lender"], "lender": "17",
        });
        let header = Header { kid: Some("k".to_owned()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, &claims, &key).unwrap()
    };
    (served, token)
}

#[tokio::test]
async fn tokens_of_the_issuer_are_taken_as_they_are_and_as_passwords() {
    let (served, token) = with_issuer().await;
    let mut direct = served.client().await;
    direct.set_token(token(300));
    assert_eq!(ask(&mut direct, IDS).await.unwrap().num_rows(), 5);
    let mut signed_in = served.client().await;
    signed_in.handshake("token", &token(300)).await.unwrap();
    assert!(!signed_in.token().unwrap().contains('.'), "it is a token of the port");
    assert_eq!(shown(&ask(&mut signed_in, "select current_user").await.unwrap()), ["acme"]);
    // A client that has a token sends it in the place of a name and a password.
    signed_in.handshake("token", "no token").await.unwrap();
    signed_in.clear_token();
    assert!(signed_in.handshake("token", "no token").await.is_err());
    let mut broken = token(300);
    broken.insert(30, 'x');
    direct.set_token(broken);
    assert_eq!(ask(&mut direct, IDS).await.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn actions_are_listed_for_who_has_signed_in() {
    let served = Served::with(Setup::with_users());
    let client = served.signed_in("ann").await;
    let mut request = Request::new(arrow_flight::Empty {});
    let token = format!("Bearer {}", client.token().unwrap());
    request.metadata_mut().insert("authorization", token.parse().unwrap());
    let listed = client.into_inner().list_actions(request).await.unwrap().into_inner();
    let listed: Vec<_> = futures::TryStreamExt::try_collect(listed).await.unwrap();
    let names: Vec<_> = listed.iter().map(|action| action.r#type.as_str()).collect();
    assert!(names.contains(&"CancelFlightInfo") && names.contains(&"CreatePreparedStatement"));
}
