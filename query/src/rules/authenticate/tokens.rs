//! JSON Web Tokens: signed by the issuer, for us, valid now.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::BoxFuture;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use riskstream_engine::runtime::{Clock, SystemClock};
use serde_json::{Map, Value};
use url::Url;

use super::keys::{ALLOWED, KeySet};
use super::outcome::{Refusal, SignedIn};
use crate::user::{ALL_SEEING, User};

/// How far the issuer's clock and ours may be apart, in seconds.
const LEEWAY_S: u64 = 30;
/// Between two fetches of keys, so that tokens with made-up ids do not become requests.
const REFRESH_MIN: Duration = Duration::from_secs(60);
/// After which fetched keys are fetched again, so that one that was withdrawn goes.
const REFRESH_MAX: Duration = Duration::from_secs(3600);
/// How long a fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer, in bytes.
const FETCH_BYTES_MAX: usize = 1 << 20;

/// Where an issuer's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::rules) enum KeysAt {
    /// Read again when it has changed.
    File(PathBuf),
    /// Fetched when a token has an unknown key, at most once a minute, and every hour.
    Url(Url),
}

/// What `[jwt]` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::rules) struct TokenSettings {
    pub(in crate::rules) issuer: String,
    pub(in crate::rules) audience: String,
    pub(in crate::rules) keys: KeysAt,
    pub(in crate::rules) login: String,
    pub(in crate::rules) name: String,
    pub(in crate::rules) roles: String,
    /// The claim of each attribute.
    pub(in crate::rules) attributes: BTreeMap<String, String>,
    pub(in crate::rules) allow_owner: bool,
}

/// Gets the bytes that are at a URL.
pub(super) type Fetch =
    Arc<dyn Fn(Url) -> BoxFuture<'static, Result<Vec<u8>, String>> + Send + Sync>;

/// What finds out whose a token is.
pub(in crate::rules) struct Tokens {
    settings: TokenSettings,
    fetch: Fetch,
    clock: Arc<dyn Clock>,
    known: ArcSwapOption<Known>,
    /// When keys were last asked for, by the steady clock; held while they are.
    asked: tokio::sync::Mutex<Option<u64>>,
}

/// Keys, and what says whether they are still the newest.
struct Known {
    keys: KeySet,
    got_nanos: u64,
    /// Of a file.
    version: Option<(SystemTime, u64)>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What a token's header says that matters.
struct Header {
    algorithm: Algorithm,
    key_id: Option<String>,
}

impl Tokens {
    /// Tokens of an issuer, whose keys are fetched over the network where they are at a URL.
    pub(in crate::rules) fn new(settings: TokenSettings) -> Self {
        Self::with(settings, Arc::new(fetch_https), Arc::new(SystemClock::default()))
    }

    pub(super) fn with(settings: TokenSettings, fetch: Fetch, clock: Arc<dyn Clock>) -> Self {
        Self {
            settings,
            fetch,
            clock,
            known: ArcSwapOption::empty(),
            asked: tokio::sync::Mutex::new(None),
        }
    }

    pub(in crate::rules) fn settings(&self) -> &TokenSettings {
        &self.settings
    }

    /// Whose a token is.
    pub(super) async fn sign_in(self: &Arc<Self>, token: &str) -> Result<SignedIn, Refusal> {
        let header = read_header(token)?;
        let mut validation = Validation::new(header.algorithm);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);

        let mut why = Refusal("the token has no key".to_owned());
        for key in self.keys(&header).await? {
            match decode::<Map<String, Value>>(token, &key, &validation) {
                Ok(decoded) => return self.user(&decoded.claims),
                Err(error) => why = Refusal(format!("the token is not valid: {error}")),
            }
        }
        Err(why)
    }

    /// The keys that may have signed a token. Who has a known key waits for no network.
    async fn keys(self: &Arc<Self>, header: &Header) -> Result<Vec<DecodingKey>, Refusal> {
        let known = self.known.load_full();
        let mut found = find(known.as_deref(), header);
        let stale = known.is_none_or(|known| self.is_stale(&known));
        match self.settings.keys {
            KeysAt::Url(_) if stale && !found.is_empty() => {
                let tokens = Arc::clone(self);
                drop(tokio::spawn(async move { tokens.refresh().await }));
            }
            KeysAt::Url(_) | KeysAt::File(_) if stale || found.is_empty() => {
                self.refresh().await;
                found = find(self.known.load().as_deref(), header);
            }
            KeysAt::Url(_) | KeysAt::File(_) => {}
        }
        if found.is_empty() {
            let Header { algorithm, key_id } = header;
            return Err(Refusal(format!("no key {key_id:?} of the issuer is for {algorithm:?}")));
        }
        Ok(found)
    }

    fn is_stale(&self, known: &Known) -> bool {
        match &self.settings.keys {
            KeysAt::File(file) => version(file) != known.version,
            KeysAt::Url(_) => {
                let age = self.clock.steady_nanos().saturating_sub(known.got_nanos);
                Duration::from_nanos(age) >= REFRESH_MAX
            }
        }
    }

    /// Gets the keys again. Old ones stay where that fails.
    async fn refresh(&self) {
        if let Err(why) = self.try_refresh().await {
            tracing::warn!("the keys of {} can't be got: {why}", self.settings.issuer);
        }
    }

    async fn try_refresh(&self) -> Result<(), String> {
        let mut asked = self.asked.lock().await;
        let now = self.clock.steady_nanos();
        let (bytes, version) = match &self.settings.keys {
            KeysAt::File(file) => {
                let version = version(file);
                let same = self.known.load().as_ref().is_some_and(|known| known.version == version);
                if same {
                    return Ok(());
                }
                (std::fs::read(file).map_err(|error| error.to_string())?, version)
            }
            KeysAt::Url(url) => {
                let since = asked.map(|asked| Duration::from_nanos(now.saturating_sub(asked)));
                if since.is_some_and(|since| since < REFRESH_MIN) {
                    return Ok(());
                }
                *asked = Some(now);
                ((self.fetch)(url.clone()).await?, None)
            }
        };
        let keys = KeySet::parse(&bytes)?;
        self.known.store(Some(Arc::new(Known { keys, got_nanos: now, version })));
        Ok(())
    }

    /// The user that the claims of a good token tell of.
    fn user(&self, claims: &Map<String, Value>) -> Result<SignedIn, Refusal> {
        let now = self.clock.wall_micros() / 1_000_000;
        let seconds = |name: &str| claims.get(name).and_then(Value::as_f64);
        if seconds("iat").is_some_and(|issued| issued > (now + LEEWAY_S as i64) as f64) {
            return Err(Refusal("the token was issued in the future".to_owned()));
        }
        let name = match claim(claims, &self.settings.name) {
            Some(Value::String(name)) if !name.trim().is_empty() => name.clone(),
            _ => return Err(Refusal(format!("the token has no {:?}", self.settings.name))),
        };
        let mut roles: Vec<String> = match claim(claims, &self.settings.roles) {
            // As `scope` is written.
            Some(Value::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
            Some(Value::Array(list)) => {
                list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        };
        roles.retain(|role| role != ALL_SEEING || self.settings.allow_owner);
        let mut attributes = BTreeMap::new();
        for (attribute, name) in &self.settings.attributes {
            let values = values(claim(claims, name));
            if !values.is_empty() {
                attributes.insert(attribute.clone(), values);
            }
        }
        let until = seconds("exp").map(|until| until as i64);
        Ok(SignedIn { user: User { name, roles, attributes }, until })
    }
}

fn find(known: Option<&Known>, header: &Header) -> Vec<DecodingKey> {
    let Some(known) = known else { return Vec::new() };
    known.keys.find(header.key_id.as_deref(), header.algorithm)
}

/// The claim of a name, or at a JSON pointer.
fn claim<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(path) = name.strip_prefix('/') {
        let (first, rest) = path.split_once('/').map_or((path, None), |(a, b)| (a, Some(b)));
        let value = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
        return match rest {
            Some(rest) => value.pointer(&format!("/{rest}")),
            None => Some(value),
        };
    }
    claims.get(name)
}

/// The values of an attribute: of a text, a number, or those in a list. Others are none.
fn values(claim: Option<&Value>) -> Vec<String> {
    let one = |value: &Value| match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match claim {
        Some(Value::Array(list)) => list.iter().filter_map(one).collect(),
        Some(value) => one(value).into_iter().collect(),
        None => Vec::new(),
    }
}

/// Reads a token's header, which is not to be trusted yet.
fn read_header(token: &str) -> Result<Header, Refusal> {
    let no_token = || Refusal("it is no token".to_owned());
    if token.split('.').count() != 3 {
        return Err(no_token());
    }
    let encoded = token.split('.').next().unwrap_or("");
    let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_error| no_token())?;
    let header: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|_error| no_token())?;
    let name = header.get("alg").and_then(Value::as_str).unwrap_or("");
    let algorithm = name.parse::<Algorithm>().ok().filter(|known| ALLOWED.contains(known));
    let Some(algorithm) = algorithm else {
        return Err(Refusal(format!("the token's algorithm is {name:?}")));
    };
    // What it demands to be understood we do not understand.
    if header.contains_key("crit") {
        return Err(Refusal("the token has critical headers".to_owned()));
    }
    let key_id = match header.get("kid") {
        None => None,
        Some(Value::String(id)) => Some(id.clone()),
        Some(_) => return Err(no_token()),
    };
    Ok(Header { algorithm, key_id })
}

fn version(file: &std::path::Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn fetch_https(url: Url) -> BoxFuture<'static, Result<Vec<u8>, String>> {
    Box::pin(async move {
        let client = reqwest::Client::builder()
            .timeout(FETCH_TIMEOUT)
            .https_only(true)
            .build()
            .map_err(|error| error.to_string())?;
        let answer = client.get(url).send().await.and_then(reqwest::Response::error_for_status);
        let mut answer = answer.map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| error.to_string())? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > FETCH_BYTES_MAX {
                return Err(format!("the answer has more than {FETCH_BYTES_MAX} bytes"));
            }
        }
        Ok(bytes)
    })
}
