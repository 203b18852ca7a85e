//! A statement's place among those that run, from its arrival to its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow::array::RecordBatch;

use super::counts::Done;
use super::policies::Applied;
use super::running::{Doing, Running};
use super::sqlstate::SqlState;
use super::statements::Statements;
use crate::error::QueryError;
use crate::rules::{Audit, AuditRecord};
use crate::stopped::Stopped;
use crate::user::User;

/// A statement that takes longer is told in the log.
const SLOW: Duration = Duration::from_secs(1);

/// The code of success.
const DONE: &str = SqlState::SUCCESS.0;
/// State and code of a statement until it says otherwise: as if the program had ended in its midst.
const UNENDED: (&str, &str) = ("unended", "XX000");
/// Those of one for which nobody waits any more.
const GONE: (&str, &str) = ("cancelled", "57014");

/// A statement that has not ended; it ends with this.
#[derive(Debug)]
pub(super) struct Entry {
    number: u64,
    of: Arc<Running>,
    all: Arc<Statements>,
    state: &'static str,
    code: &'static str,
    bytes: u64,
    spilled_bytes: u64,
    audited: Option<Audited>,
}

/// What the audit is told of a statement.
#[derive(Debug)]
struct Audited {
    audit: Arc<Audit>,
    record: AuditRecord,
}

impl Entry {
    pub(super) fn new(number: u64, of: Arc<Running>, all: Arc<Statements>) -> Self {
        let (state, code) = UNENDED;
        Self { number, of, all, state, code, bytes: 0, spilled_bytes: 0, audited: None }
    }

    /// Has the audit told of it at its end.
    pub(super) fn audited(&mut self, audit: Arc<Audit>, user: &User, text: &str) {
        let record = AuditRecord {
            time_micros: self.of.began_micros,
            user: user.name.clone(),
            roles: user.roles.clone(),
            port: self.of.port.to_owned(),
            statement: text.to_owned(),
            policies: Vec::new(),
            tables: Vec::new(),
            rows: 0,
            bytes: 0,
            duration_micros: 0,
            outcome: String::new(),
        };
        self.audited = Some(Audited { audit, record });
    }

    /// Which tables it reads, and what is applied to them.
    pub(super) fn reads(&mut self, Applied { tables, policies }: Applied) {
        if let Some(Audited { record, .. }) = &mut self.audited {
            (record.tables, record.policies) = (tables, policies);
        }
    }

    /// What it does now.
    pub(super) fn does(&self, doing: Doing) {
        self.of.does(doing);
    }

    /// Counts rows that were given.
    pub(super) fn gave(&mut self, rows: &RecordBatch) {
        self.of.rows.fetch_add(rows.num_rows() as u64, Ordering::Relaxed);
        self.bytes += rows.get_array_memory_size() as u64;
    }

    /// Notes what it has written to the disk.
    pub(super) fn spilled(&mut self, bytes: u64) {
        self.spilled_bytes = bytes;
    }

    /// Ends with all of its rows. The audit has its record before anybody hears of it.
    ///
    /// # Errors
    /// The audit can't be written.
    pub(super) async fn done(mut self) -> Result<(), QueryError> {
        self.record("done", DONE).await
    }

    /// Ends with an error, which is given back, or with the audit's if that can't be written.
    pub(super) async fn fail(mut self, error: QueryError) -> QueryError {
        let state = match &error {
            QueryError::Stopped(Stopped::Cancelled) => "cancelled",
            QueryError::Stopped(Stopped::TimedOut) => "timed out",
            QueryError::Stopped(Stopped::ShuttingDown)
            | QueryError::NoTables { .. }
            | QueryError::List { .. }
            | QueryError::Syntax { .. }
            | QueryError::UnknownTable { .. }
            | QueryError::UnknownColumn { .. }
            | QueryError::NotAQuery { .. }
            | QueryError::Busy { .. }
            | QueryError::TooManyRows { .. }
            | QueryError::Table(_)
            | QueryError::Store(_)
            | QueryError::Behind { .. }
            | QueryError::Audit(_)
            | QueryError::Sql(_)
            | QueryError::Format(_)
            | QueryError::Start(_) => "failed",
        };
        let code = error.sql_state().0;
        self.record(state, code).await.err().unwrap_or(error)
    }

    /// Ends without having run, with an outcome.
    ///
    /// # Errors
    /// The audit can't be written.
    pub(super) async fn end(mut self, SqlState(code): SqlState) -> Result<(), QueryError> {
        let state = if code == DONE { "done" } else { "failed" };
        self.record(state, code).await
    }

    async fn record(&mut self, state: &'static str, code: &'static str) -> Result<(), QueryError> {
        (self.state, self.code) = (state, code);
        match self.recorded() {
            Some((audit, record)) => Ok(audit.record(record).await?),
            None => Ok(()),
        }
    }

    /// What is told of it now, once; none where nobody is told.
    fn recorded(&mut self) -> Option<(Arc<Audit>, AuditRecord)> {
        let Audited { audit, mut record } = self.audited.take()?;
        record.rows = self.of.rows.load(Ordering::Relaxed);
        record.bytes = self.bytes;
        record.duration_micros =
            u64::try_from(self.of.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.code.clone_into(&mut record.outcome);
        Some((audit, record))
    }

    /// Its text stands in `system.queries` and the audit, for those who may see it: here it may
    /// hold what none may read in a log.
    fn tell(&self, done: &Done) {
        let (number, user, port) = (self.number, self.of.user.as_str(), done.port);
        let (code, rows, bytes) = (done.code, done.rows, done.bytes);
        let (seconds, spilled_bytes) = (done.took.as_secs_f64(), done.spilled_bytes);
        // A statement that its client stops is neither.
        let has_failed = code != DONE && self.state != "cancelled";
        if has_failed || done.took >= SLOW {
            tracing::info!(
                number,
                user,
                port,
                code,
                seconds,
                rows,
                bytes,
                spilled_bytes,
                "statement"
            );
        } else {
            tracing::debug!(
                number,
                user,
                port,
                code,
                seconds,
                rows,
                bytes,
                spilled_bytes,
                "statement"
            );
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // Whoever waited for it has gone before it came to an end.
        if self.state == UNENDED.0 && !std::thread::panicking() {
            (self.state, self.code) = GONE;
        }
        if let Some((audit, record)) = self.recorded()
            && let Err(error) = audit.record_soon(record)
        {
            tracing::error!(%error, number = self.number, "a statement is not recorded");
        }
        let done = Done {
            port: self.of.port,
            code: self.code,
            took: self.of.began.elapsed(),
            rows: self.of.rows.load(Ordering::Relaxed),
            bytes: self.bytes,
            spilled_bytes: self.spilled_bytes,
        };
        self.tell(&done);
        self.all.end(self.number, &self.of, self.state, &done);
    }
}
