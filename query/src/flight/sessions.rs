//! Sessions of the core. A call is not bound to a connection, so that a statement gets a session
//! for itself; those of transactions are kept by their handles.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::MutexGuard;

use super::caller::Caller;
use crate::catalog::postgres::SettingsShown;
use crate::service::{QueryService, Session, User};

/// Sessions that wait for the next statement of their user: a new one looks at all tables first.
const IDLE_MAX: usize = 64;

/// A session.
#[derive(Debug)]
pub(super) struct Held {
    user: Arc<User>,
    settings: SettingsShown,
    session: tokio::sync::Mutex<Session>,
}

/// Sessions that nobody uses, the least recently used first.
#[derive(Debug, Default)]
pub(super) struct Idle(Mutex<Vec<Arc<Held>>>);

impl Held {
    fn new(service: &QueryService, user: &Arc<User>) -> Self {
        let settings = SettingsShown::new(&user.name, 0);
        let mut session = service.session(user.as_ref().clone());
        session.set_flight(settings.clone());
        Self { user: Arc::clone(user), settings, session: tokio::sync::Mutex::new(session) }
    }

    /// A session whose statements see one moment, that of the first.
    pub(super) fn transaction(service: &QueryService, user: &Arc<User>) -> Self {
        let mut held = Self::new(service, user);
        held.session.get_mut().begin();
        held
    }

    /// The session, once no other call uses it.
    pub(super) async fn session(&self, caller: &Caller) -> MutexGuard<'_, Session> {
        let mut session = self.session.lock().await;
        // A statement before may have set it.
        session.settings.time_zone = self.settings.time_zone();
        session.settings.application_name.clone_from(&caller.application);
        session.settings.until = caller.until;
        session
    }
}

impl Idle {
    /// A session for a statement of its own.
    pub(super) fn take(&self, service: &QueryService, user: &Arc<User>) -> Arc<Held> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match idle.iter().rposition(|held| held.user == *user) {
            Some(place) => idle.remove(place),
            None => Arc::new(Held::new(service, user)),
        }
    }

    /// Takes a session back, whose statement has ended. Nothing that it has set stays.
    pub(super) fn give(&self, held: Arc<Held>) {
        held.settings.reset_all();
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= IDLE_MAX {
            idle.remove(0);
        }
        idle.push(held);
    }
}
