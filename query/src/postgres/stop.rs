//! Stopping statements by another connection.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ring::rand::{SecureRandom, SystemRandom};

use super::error::Problem;
use crate::service::{Cancel, Stopped};

/// The statement that a connection runs, or has begun and not ended.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<Option<Cancel>>);

impl Running {
    /// A statement runs from now on.
    pub(super) fn set(&self, cancel: Option<Cancel>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = cancel;
    }

    fn cancel(&self) {
        let now = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(cancel) = now {
            cancel.stop(Stopped::Cancelled);
        }
    }
}

/// The connections that can be asked to stop their statements.
#[derive(Debug)]
pub(super) struct Keys {
    random: SystemRandom,
    open: Mutex<BTreeMap<i32, (i32, Arc<Running>)>>,
}

impl Keys {
    pub(super) fn new() -> Self {
        Self { random: SystemRandom::new(), open: Mutex::default() }
    }

    /// Numbers for a new connection, which end with the key.
    pub(super) fn register(self: &Arc<Self>) -> Result<Key, Problem> {
        let running = Arc::new(Running::default());
        loop {
            let mut bytes = [0; 8];
            self.random
                .fill(&mut bytes)
                .map_err(|_unspecified| Problem::fatal("XX000", "could not generate random key"))?;
            let [a, b, c, d, e, f, g, h] = bytes;
            let pid = i32::from_be_bytes([a & 0x7f, b, c, d]);
            let secret = i32::from_be_bytes([e, f, g, h]);
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            if pid != 0 && !open.contains_key(&pid) {
                open.insert(pid, (secret, Arc::clone(&running)));
                return Ok(Key { pid, secret, running, keys: Arc::clone(self) });
            }
        }
    }

    /// Stops the statement of the connection that has these numbers, if there is one.
    pub(super) fn cancel(&self, pid: i32, secret: i32) {
        let running = {
            let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.get(&pid).filter(|(known, _)| *known == secret).map(|(_, r)| Arc::clone(r))
        };
        if let Some(running) = running {
            running.cancel();
        }
    }
}

/// The numbers by which a connection's statement is stopped.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) pid: i32,
    pub(super) secret: i32,
    pub(super) running: Arc<Running>,
    keys: Arc<Keys>,
}

impl Drop for Key {
    fn drop(&mut self) {
        self.keys.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.pid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_numbers_stop_a_statement() {
        let keys = Arc::new(Keys::new());
        let key = keys.register().unwrap();
        let stop = Cancel::default();
        key.running.set(Some(stop.clone()));
        keys.cancel(key.pid, key.secret.wrapping_add(1));
        keys.cancel(key.pid.wrapping_add(1), key.secret);
        assert_eq!(stop.why(), None);
        keys.cancel(key.pid, key.secret);
        assert_eq!(stop.why(), Some(Stopped::Cancelled));
        let pid = key.pid;
        drop(key);
        assert!(!keys.open.lock().unwrap().contains_key(&pid));
    }
}
