//! Bearer tokens that the port has given to clients after their handshake.
//!
//! A token is a random number; of it only a hash is kept. It ends when it was not used for long, a
//! day after it was given, and with the token of the issuer for which it was given.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::Instant;

use crate::rules::SignedIn;

/// How long a token may be unused: somebody comes back after a night.
const IDLE_MAX: Duration = Duration::from_secs(12 * 3600);
/// How long a token is good at most.
const LIFE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Tokens that are kept; with one more the least recently used is forgotten.
const TOKENS_MAX: usize = 10_000;
/// Bytes of a token.
const TOKEN_BYTES: usize = 32;

/// The tokens that are good.
#[derive(Debug)]
pub(super) struct Issued {
    random: SystemRandom,
    good: Mutex<BTreeMap<Vec<u8>, Good>>,
}

#[derive(Debug)]
struct Good {
    whose: Whose,
    used: Instant,
    until: Instant,
}

/// Whose a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whose {
    /// Of the users file: what it may do is asked each time.
    Named(String),
    /// As it was found out at the handshake.
    As(SignedIn),
}

impl Issued {
    pub(super) fn new() -> Self {
        Self { random: SystemRandom::new(), good: Mutex::default() }
    }

    /// A token for a user of the users file.
    pub(super) fn for_name(&self, name: &str, now: Instant) -> Option<String> {
        self.give(Whose::Named(name.to_owned()), now + LIFE_MAX, now)
    }

    /// A token for one who has signed in by other means.
    pub(super) fn for_signed_in(&self, signed_in: SignedIn, now: Instant) -> Option<String> {
        let until = signed_in.until.map_or(LIFE_MAX, |until| left(until).min(LIFE_MAX));
        self.give(Whose::As(signed_in), now + until, now)
    }

    /// None where the machine gives no random numbers.
    fn give(&self, whose: Whose, until: Instant, now: Instant) -> Option<String> {
        let mut bytes = [0; TOKEN_BYTES];
        self.random.fill(&mut bytes).ok()?;
        let token = URL_SAFE_NO_PAD.encode(bytes);
        let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        if good.len() >= TOKENS_MAX {
            good.retain(|_, one| one.is_good(now));
        }
        if good.len() >= TOKENS_MAX {
            let oldest = good.iter().min_by_key(|(_, one)| one.used).map(|(hash, _)| hash.clone());
            if let Some(hash) = oldest {
                good.remove(&hash);
            }
        }
        good.insert(hash(&token), Good { whose, used: now, until });
        Some(token)
    }

    /// Whose a token is; none if it is not good, or not any more.
    pub(super) fn whose(&self, token: &str, now: Instant) -> Option<Whose> {
        let hash = hash(token);
        let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        let found = good.get_mut(&hash)?;
        if !found.is_good(now) {
            good.remove(&hash);
            return None;
        }
        found.used = now;
        Some(found.whose.clone())
    }
}

impl Good {
    fn is_good(&self, now: Instant) -> bool {
        now < self.until && now.duration_since(self.used) < IDLE_MAX
    }
}

fn hash(token: &str) -> Vec<u8> {
    digest(&SHA256, token.as_bytes()).as_ref().to_vec()
}

/// How long it is until a second since 1970.
pub(super) fn left(seconds: i64) -> Duration {
    let until = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    until.duration_since(SystemTime::now()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::User;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn tokens_end_unused_after_a_day_and_with_what_they_stand_for() {
        let (issued, now) = (Issued::new(), Instant::now());
        let ann = issued.for_name("ann", now).unwrap();
        let named = Some(Whose::Named("ann".to_owned()));
        // Used each eleven hours it lasts a day, unused for thirteen it is gone.
        for hours in [11, 22] {
            assert_eq!(issued.whose(&ann, now + hours * HOUR), named);
        }
        assert_eq!(issued.whose(&ann, now + 24 * HOUR), None);
        let idle = issued.for_name("ann", now).unwrap();
        assert_ne!(idle, ann);
        assert_eq!(issued.whose(&idle, now + 13 * HOUR), None);
        assert_eq!(issued.whose(&idle, now), None, "it is forgotten");

        let seconds = i64::try_from(jsonwebtoken::get_current_timestamp()).unwrap();
        let signed_in = |until| SignedIn { user: User::local("jo"), until };
        let a_minute = signed_in(Some(seconds + 60));
        let short = issued.for_signed_in(a_minute.clone(), now).unwrap();
        assert_eq!(issued.whose(&short, now), Some(Whose::As(a_minute)));
        assert_eq!(issued.whose(&short, now + Duration::from_secs(61)), None);
        let over = issued.for_signed_in(signed_in(Some(-1)), now).unwrap();
        assert_eq!(issued.whose(&over, now), None);
        assert_eq!(issued.whose("", now), None);
    }

    #[test]
    fn the_least_recently_used_is_forgotten() {
        let (issued, now) = (Issued::new(), Instant::now());
        let first = issued.for_name("a", now).unwrap();
        let second = issued.for_name("b", now).unwrap();
        for _ in 2..TOKENS_MAX {
            issued.for_name("c", now + HOUR).unwrap();
        }
        assert!(issued.whose(&first, now + 2 * HOUR).is_some());
        issued.for_name("d", now + 2 * HOUR).unwrap();
        assert!(issued.whose(&first, now + 2 * HOUR).is_some());
        assert_eq!(issued.whose(&second, now + 2 * HOUR), None);
        assert_eq!(issued.good.lock().unwrap().len(), TOKENS_MAX);
    }
}
