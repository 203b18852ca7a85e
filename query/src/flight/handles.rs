//! What users have begun here and will ask for again, by numbers that nobody can guess.
//!
//! A handle holds nothing: it is a random number, and it is good for the user to whom it was given.
//! To all others it looks as one that was never given.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::Instant;
use tonic::Status;

/// Handles of one kind, of all users; with one more the least recently used is forgotten.
const ALL_MAX: usize = 10_000;
/// Bytes of a handle.
const HANDLE_BYTES: usize = 16;

type Handle = [u8; HANDLE_BYTES];

/// How long things are kept, and how many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keeping {
    /// What they are, as a client is told.
    pub(super) kind: &'static str,
    /// How long one may be unused.
    pub(super) idle_max: Duration,
    /// How many a user has; with one more its least recently used is forgotten.
    pub(super) each_max: usize,
}

/// Things of one kind.
#[derive(Debug)]
pub(super) struct Handles<T> {
    keeping: Keeping,
    random: SystemRandom,
    kept: Mutex<BTreeMap<Handle, Kept<T>>>,
}

#[derive(Debug)]
struct Kept<T> {
    user: String,
    used: Instant,
    thing: Arc<T>,
}

impl<T: Debug> Handles<T> {
    pub(super) fn new(keeping: Keeping) -> Self {
        Self { keeping, random: SystemRandom::new(), kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<Handle, Kept<T>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a thing of a user; its handle.
    pub(super) fn put(&self, user: &str, thing: Arc<T>, now: Instant) -> Result<Bytes, Status> {
        let mut handle = [0; HANDLE_BYTES];
        self.random
            .fill(&mut handle)
            .map_err(|_unspecified| Status::internal("the machine gives no random numbers"))?;
        let mut kept = self.kept();
        kept.retain(|_, one| now.duration_since(one.used) < self.keeping.idle_max);
        if kept.values().filter(|one| one.user == user).count() >= self.keeping.each_max {
            forget_one(&mut kept, |one| one.user == user);
        }
        if kept.len() >= ALL_MAX {
            forget_one(&mut kept, |_| true);
        }
        kept.insert(handle, Kept { user: user.to_owned(), used: now, thing });
        Ok(Bytes::copy_from_slice(&handle))
    }

    fn missing(&self) -> Status {
        Status::not_found(format!("there is no such {}, or not any more", self.keeping.kind))
    }

    /// The user's thing with a handle.
    pub(super) fn get(&self, user: &str, handle: &[u8], now: Instant) -> Result<Arc<T>, Status> {
        let Ok(handle) = Handle::try_from(handle) else { return Err(self.missing()) };
        let mut kept = self.kept();
        match kept.get_mut(&handle) {
            Some(one)
                if one.user == user && now.duration_since(one.used) < self.keeping.idle_max =>
            {
                one.used = now;
                Ok(Arc::clone(&one.thing))
            }
            Some(_) | None => Err(self.missing()),
        }
    }

    /// Forgets the user's thing with a handle, and gives it a last time.
    pub(super) fn take(&self, user: &str, handle: &[u8], now: Instant) -> Result<Arc<T>, Status> {
        let found = self.get(user, handle, now)?;
        if let Ok(handle) = Handle::try_from(handle) {
            self.kept().remove(&handle);
        }
        Ok(found)
    }
}

/// Forgets the least recently used of those that are meant.
fn forget_one<T>(kept: &mut BTreeMap<Handle, Kept<T>>, is_meant: impl Fn(&Kept<T>) -> bool) {
    let meant = kept.iter().filter(|(_, one)| is_meant(one));
    let oldest = meant.min_by_key(|(_, one)| one.used).map(|(handle, _)| *handle);
    if let Some(handle) = oldest {
        kept.remove(&handle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn handles() -> Handles<u32> {
        Handles::new(Keeping { kind: "thing", idle_max: 10 * MINUTE, each_max: 2 })
    }

    #[test]
    fn a_handle_is_for_the_user_to_whom_it_was_given() {
        let (handles, now) = (handles(), Instant::now());
        let handle = handles.put("ann", Arc::new(7), now).unwrap();
        assert_eq!(*handles.get("ann", &handle, now).unwrap(), 7);
        let never_given = handles.get("ann", &[0; HANDLE_BYTES], now).unwrap_err();
        for (user, handle) in [("bob", &handle[..]), ("ann", b""), ("ann", &handle[1..])] {
            let missing = handles.get(user, handle, now).unwrap_err();
            assert_eq!(missing.code(), tonic::Code::NotFound);
            assert_eq!(missing.message(), never_given.message());
            assert!(handles.take(user, handle, now).is_err());
        }
        assert_eq!(*handles.take("ann", &handle, now).unwrap(), 7);
        assert!(handles.get("ann", &handle, now).is_err());
    }

    #[test]
    fn what_is_not_used_is_forgotten() {
        let (handles, now) = (handles(), Instant::now());
        let [first, second] = [1, 2].map(|n| handles.put("ann", Arc::new(n), now).unwrap());
        assert!(handles.get("ann", &first, now + 9 * MINUTE).is_ok());
        assert!(handles.get("ann", &first, now + 18 * MINUTE).is_ok());
        assert!(handles.get("ann", &second, now + 18 * MINUTE).is_err());
        let later = now + 20 * MINUTE;
        handles.put("bob", Arc::new(3), later).unwrap();
        assert_eq!(handles.kept().len(), 2, "the second is gone");
        handles.put("ann", Arc::new(4), later).unwrap();
        handles.put("ann", Arc::new(5), later).unwrap();
        assert!(handles.get("ann", &first, later).is_err(), "the oldest made room");
        assert_eq!(handles.kept().len(), 3);
    }
}
