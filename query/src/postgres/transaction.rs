//! Whether a connection is in a transaction, and what goes back when it fails.
//!
//! Nothing is ever written, so that a transaction is two things: its statements see one moment (the
//! core's session does that), and settings that it changes come back if it is rolled back.

use std::collections::BTreeMap;
use std::fmt;

use pgwire::messages::response::TransactionStatus;

use super::error::Problem;
use crate::catalog::postgres::SettingsShown;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Block,
    Failed,
}

/// Goes back to the settings of a moment.
pub(super) struct Undo(Box<dyn Fn(&SettingsShown) + Send + Sync>);

impl Undo {
    pub(super) fn to_now(settings: &SettingsShown) -> Self {
        let saved = settings.saved();
        Self(Box::new(move |settings| settings.restore(saved.clone())))
    }

    pub(super) fn undo(&self, settings: &SettingsShown) {
        self.0(settings);
    }
}

impl fmt::Debug for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Undo")
    }
}

#[derive(Debug)]
struct Savepoint {
    name: String,
    settings: Undo,
}

/// A connection's transaction.
#[derive(Debug)]
pub(super) struct Transaction {
    state: State,
    /// The settings as they were before it began.
    before: Option<Undo>,
    savepoints: Vec<Savepoint>,
    /// Settings until its end, with the values that they have after it.
    locals: BTreeMap<String, String>,
    /// The isolation that it was begun with.
    isolation: Option<String>,
    /// Whether a query has seen its moment.
    has_seen: bool,
}

impl Transaction {
    pub(super) fn new() -> Self {
        let locals = BTreeMap::new();
        Self {
            state: State::Idle,
            before: None,
            savepoints: Vec::new(),
            locals,
            isolation: None,
            has_seen: false,
        }
    }

    /// What ReadyForQuery says.
    pub(super) fn status(&self) -> TransactionStatus {
        match self.state {
            State::Idle => TransactionStatus::Idle,
            State::Block => TransactionStatus::Transaction,
            State::Failed => TransactionStatus::Error,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.state != State::Idle
    }

    pub(super) fn has_failed(&self) -> bool {
        self.state == State::Failed
    }

    /// Savepoints that are set.
    pub(super) fn depth(&self) -> usize {
        self.savepoints.len()
    }

    /// Begins; a warning if it has begun already.
    pub(super) fn begin(&mut self, settings: &SettingsShown) -> Option<Problem> {
        if self.is_open() {
            let text = "there is already a transaction in progress";
            return Some(Problem::warning("25001", text));
        }
        self.state = State::Block;
        self.before = Some(Undo::to_now(settings));
        None
    }

    /// Commits, or rolls back if it has failed. The tag, and a warning if there is none.
    pub(super) fn commit(&mut self, settings: &SettingsShown) -> (&'static str, Option<Problem>) {
        match self.state {
            State::Idle => ("COMMIT", Some(none_in_progress())),
            State::Block => {
                for (name, value) in std::mem::take(&mut self.locals) {
                    // The value was this setting's before.
                    let _as_before = settings.set(&name, &value);
                }
                self.clear();
                ("COMMIT", None)
            }
            State::Failed => {
                self.undo(settings);
                ("ROLLBACK", None)
            }
        }
    }

    /// Rolls back; a warning if there is none.
    pub(super) fn rollback(&mut self, settings: &SettingsShown) -> Option<Problem> {
        if !self.is_open() {
            return Some(none_in_progress());
        }
        self.undo(settings);
        None
    }

    fn undo(&mut self, settings: &SettingsShown) {
        if let Some(before) = self.before.take() {
            before.undo(settings);
        }
        self.clear();
    }

    fn clear(&mut self) {
        *self = Self::new();
    }

    /// A statement has failed.
    pub(super) fn fail(&mut self) {
        if self.is_open() {
            self.state = State::Failed;
        }
    }

    fn need(&self, what: &str) -> Result<(), Problem> {
        match self.state {
            State::Idle => {
                let text = format!("{what} can only be used in transaction blocks");
                Err(Problem::error("25P01", text))
            }
            State::Block | State::Failed => Ok(()),
        }
    }

    pub(super) fn savepoint(
        &mut self,
        name: String,
        settings: &SettingsShown,
    ) -> Result<(), Problem> {
        self.need("SAVEPOINT")?;
        self.savepoints.push(Savepoint { name, settings: Undo::to_now(settings) });
        Ok(())
    }

    fn find(&self, name: &str) -> Result<usize, Problem> {
        self.savepoints
            .iter()
            .rposition(|savepoint| savepoint.name == name)
            .ok_or_else(|| Problem::error("3B001", format!("savepoint \"{name}\" does not exist")))
    }

    pub(super) fn release(&mut self, name: &str) -> Result<(), Problem> {
        self.need("RELEASE SAVEPOINT")?;
        let place = self.find(name)?;
        self.savepoints.truncate(place);
        Ok(())
    }

    /// Goes back to a savepoint, which stays; gives the savepoints that are set then.
    pub(super) fn rollback_to(
        &mut self,
        name: &str,
        settings: &SettingsShown,
    ) -> Result<usize, Problem> {
        self.need("ROLLBACK TO SAVEPOINT")?;
        let place = self.find(name)?;
        self.savepoints.truncate(place + 1);
        if let Some(savepoint) = self.savepoints.last() {
            savepoint.settings.undo(settings);
        }
        self.state = State::Block;
        Ok(place + 1)
    }

    /// A query sees its moment.
    pub(super) fn see(&mut self) {
        self.has_seen = self.is_open();
    }

    /// Whether its isolation may be set to this now; PostgreSQL's is `read committed` if none is
    /// said.
    pub(super) fn isolate(&mut self, level: &str) -> Result<(), Problem> {
        let now = self.isolation.as_deref().unwrap_or("read committed");
        if self.is_open() && self.has_seen && now != level {
            let text = "SET TRANSACTION ISOLATION LEVEL must be called before any query";
            return Err(Problem::error("25001", text));
        }
        self.isolation = Some(level.to_owned());
        Ok(())
    }

    /// Sets a setting until the end; a warning where there is no transaction.
    pub(super) fn set_local(
        &mut self,
        name: &str,
        value: &str,
        settings: &SettingsShown,
    ) -> Result<Option<Problem>, Problem> {
        if !self.is_open() {
            let _checked = settings.get(name)?;
            let text = "SET LOCAL can only be used in transaction blocks";
            return Ok(Some(Problem::warning("25P01", text)));
        }
        let before = settings.get(name).ok();
        settings.set(name, value)?;
        if let Some(before) = before {
            self.locals.entry(name.to_ascii_lowercase()).or_insert(before);
        }
        Ok(None)
    }

    /// A setting was set for longer than the transaction.
    pub(super) fn keep(&mut self, name: &str) {
        self.locals.remove(&name.to_ascii_lowercase());
    }

    /// All settings were set back.
    pub(super) fn keep_all(&mut self) {
        self.locals.clear();
    }
}

fn none_in_progress() -> Problem {
    Problem::warning("25P01", "there is no transaction in progress")
}

/// What is said to all statements but the end of a failed transaction.
pub(super) fn aborted() -> Problem {
    let text = "current transaction is aborted, commands ignored until end of transaction block";
    Problem::error("25P02", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> SettingsShown {
        SettingsShown::new("ada", 1)
    }

    fn value(settings: &SettingsShown) -> String {
        settings.get("application_name").unwrap()
    }

    #[test]
    fn a_failed_transaction_ends_with_a_rollback() {
        let (settings, mut transaction) = (settings(), Transaction::new());
        assert_eq!(transaction.begin(&settings), None);
        settings.set("application_name", "changed").unwrap();
        transaction.fail();
        assert!(transaction.has_failed());
        assert_eq!(transaction.commit(&settings), ("ROLLBACK", None));
        assert_eq!(value(&settings), "");
        assert_eq!(transaction.status(), TransactionStatus::Idle);
    }

    #[test]
    fn local_settings_end_with_the_transaction_and_others_stay() {
        let (settings, mut transaction) = (settings(), Transaction::new());
        transaction.begin(&settings);
        settings.set("application_name", "kept").unwrap();
        transaction.set_local("application_name", "local", &settings).unwrap();
        transaction.set_local("jit", "on", &settings).unwrap();
        assert_eq!(value(&settings), "local");
        transaction.commit(&settings);
        assert_eq!(value(&settings), "kept");
        assert_eq!(settings.get("jit").as_deref(), Ok("off"));
        let warned = transaction.set_local("jit", "on", &settings).unwrap();
        assert_eq!(warned.map(|problem| problem.code), Some("25P01"));
    }

    #[test]
    fn savepoints_are_found_by_name_from_the_last_one() {
        let (settings, mut transaction) = (settings(), Transaction::new());
        assert_eq!(transaction.savepoint("a".into(), &settings).unwrap_err().code, "25P01");
        transaction.begin(&settings);
        transaction.savepoint("a".into(), &settings).unwrap();
        settings.set("application_name", "later").unwrap();
        transaction.savepoint("b".into(), &settings).unwrap();
        transaction.savepoint("a".into(), &settings).unwrap();
        transaction.release("a").unwrap();
        transaction.fail();
        assert_eq!(transaction.rollback_to("a", &settings), Ok(1));
        assert_eq!(value(&settings), "");
        assert!(!transaction.has_failed());
        assert_eq!(transaction.rollback_to("b", &settings).unwrap_err().code, "3B001");
    }
}
