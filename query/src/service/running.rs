//! One statement that has not ended.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

use super::answer::Cancel;
use crate::stopped::Stopped;
use crate::user::User;

/// A statement that arrives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival<'a> {
    pub(super) user: &'a User,
    /// What the client calls itself.
    pub(super) application: &'a str,
    /// Through what it came.
    pub(super) port: &'static str,
    pub(super) text: &'a str,
}

/// A statement that has not ended, or had not when it was remembered.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) user: String,
    application: String,
    pub(super) port: &'static str,
    text: String,
    pub(super) began_micros: i64,
    pub(super) began: Instant,
    pub(super) rows: AtomicU64,
    doing: AtomicU8,
    cancel: Cancel,
}

/// What a statement does that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// It waits for its turn.
    Waiting = 0,
    /// It works.
    Working = 1,
    /// It waits for its client to take rows, and others have its turn.
    Idle = 2,
}

impl Doing {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Working => "running",
            Self::Idle => "idle",
        }
    }
}

impl Running {
    /// It arrives now; of its text so much is kept.
    pub(super) fn new(arrival: Arrival<'_>, text: String, cancel: Cancel) -> Self {
        Self {
            user: arrival.user.name.clone(),
            application: arrival.application.to_owned(),
            port: arrival.port,
            text,
            began_micros: chrono::Utc::now().timestamp_micros(),
            began: Instant::now(),
            rows: AtomicU64::new(0),
            doing: AtomicU8::new(Doing::Waiting as u8),
            cancel,
        }
    }

    pub(super) fn does(&self, doing: Doing) {
        self.doing.store(doing as u8, Ordering::Relaxed);
    }

    pub(super) fn doing(&self) -> Doing {
        match self.doing.load(Ordering::Relaxed) {
            0 => Doing::Waiting,
            1 => Doing::Working,
            _ => Doing::Idle,
        }
    }

    pub(super) fn application(&self) -> &str {
        &self.application
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn stop(&self, why: Stopped) {
        self.cancel.stop(why);
    }
}
