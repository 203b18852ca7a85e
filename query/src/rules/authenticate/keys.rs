//! An issuer's public keys.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};

/// Most keys of a set that are looked at.
const KEYS_MAX: usize = 100;

/// The keys of a JSON Web Key Set with which we can check.
#[derive(Debug, Clone, Default)]
pub(in crate::rules) struct KeySet {
    keys: Vec<Jwk>,
}

impl KeySet {
    /// Reads a set. Keys of unknown kinds are passed over, as RFC 7517 wants it.
    pub(in crate::rules) fn parse(bytes: &[u8]) -> Result<Self, String> {
        #[derive(serde::Deserialize)]
        struct Written {
            keys: Vec<serde_json::Value>,
        }
        let written: Written = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let keys: Vec<Jwk> = written
            .keys
            .into_iter()
            .take(KEYS_MAX)
            .filter_map(|key| serde_json::from_value::<Jwk>(key).ok())
            .filter(|key| ALLOWED.iter().any(|algorithm| fits(key, *algorithm)))
            .collect();
        if keys.is_empty() {
            return Err(
                "it has no public key for signatures of RSA, P-256, P-384 or Ed25519".into()
            );
        }
        Ok(Self { keys })
    }

    /// The keys that a token with this id and algorithm may be signed with. A token without an id
    /// is checked only by a set of one key.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<DecodingKey> {
        let named = |key: &&Jwk| match id {
            Some(id) => key.common.key_id.as_deref() == Some(id),
            None => self.keys.len() == 1,
        };
        self.keys
            .iter()
            .filter(named)
            .filter(|key| fits(key, algorithm))
            .filter_map(|key| DecodingKey::from_jwk(key).ok())
            .collect()
    }
}

/// The algorithms that we take: those whose checker can't sign.
pub(super) const ALLOWED: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Whether a key is one for signatures by this algorithm.
fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let of_family = match (&key.algorithm, algorithm) {
        (
            AlgorithmParameters::RSA(_),
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512,
        ) => true,
        (AlgorithmParameters::EllipticCurve(curve), Algorithm::ES256) => {
            curve.curve == EllipticCurve::P256
        }
        (AlgorithmParameters::EllipticCurve(curve), Algorithm::ES384) => {
            curve.curve == EllipticCurve::P384
        }
        (AlgorithmParameters::OctetKeyPair(pair), Algorithm::EdDSA) => {
            pair.curve == EllipticCurve::Ed25519
        }
        _ => false,
    };
    let for_signatures = match &key.common.public_key_use {
        None | Some(PublicKeyUse::Signature) => true,
        Some(PublicKeyUse::Encryption | PublicKeyUse::Other(_)) => false,
    };
    let named = key.common.key_algorithm;
    let by_name = named.is_none_or(|name| name.to_string() == format!("{algorithm:?}"));
    of_family && for_signatures && by_name
}
