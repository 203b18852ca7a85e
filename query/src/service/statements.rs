//! The statements that run, and the last ones that ran.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arrow::array::{Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;

use super::answer::Cancel;
use super::stopped::Stopped;
use super::user::User;
use crate::catalog::system_table::SystemTable;
use crate::error::QueryError;
use crate::rules::{Audit, AuditRecord};

/// Statements that are remembered after their end.
const ENDED_KEPT: usize = 1_000;
/// Characters of a statement's text that are kept.
const TEXT_CHARS: usize = 10_000;

/// All statements of a service.
#[derive(Debug, Default)]
pub(crate) struct Statements {
    numbers: AtomicU64,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    running: BTreeMap<u64, Arc<Running>>,
    ended: VecDeque<Ended>,
}

/// A statement that runs.
#[derive(Debug)]
struct Running {
    user: String,
    application: String,
    text: String,
    began_micros: i64,
    began: Instant,
    rows: AtomicU64,
    cancel: Cancel,
}

#[derive(Debug)]
struct Ended {
    number: u64,
    of: Arc<Running>,
    seconds: f64,
    state: &'static str,
}

/// A statement's place among those that run; it ends with this.
#[derive(Debug)]
pub(super) struct Entry {
    number: u64,
    of: Arc<Running>,
    all: Arc<Statements>,
    outcome: &'static str,
    audited: Option<Audited>,
}

/// What the audit is told of a statement.
#[derive(Debug)]
struct Audited {
    audit: Arc<Audit>,
    record: AuditRecord,
}

impl Statements {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a statement begins.
    pub(super) fn begin(
        self: &Arc<Self>,
        user: &User,
        application: &str,
        text: &str,
        cancel: &Cancel,
    ) -> Entry {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let of = Arc::new(Running {
            user: user.name.clone(),
            application: application.to_owned(),
            text: text.chars().take(TEXT_CHARS).collect(),
            began_micros: chrono::Utc::now().timestamp_micros(),
            began: Instant::now(),
            rows: AtomicU64::new(0),
            cancel: cancel.clone(),
        });
        self.known().running.insert(number, Arc::clone(&of));
        Entry { number, of, all: Arc::clone(self), outcome: "failed", audited: None }
    }

    /// How many statements of a user run.
    pub(super) fn running_of(&self, user: &User) -> usize {
        self.known().running.values().filter(|running| running.user == user.name).count()
    }

    /// Stops all that run.
    pub(crate) fn stop_all(&self) {
        let running: Vec<_> = self.known().running.values().cloned().collect();
        running.iter().for_each(|running| running.cancel.stop(Stopped::ShuttingDown));
    }

    /// `system.queries`.
    pub(crate) fn table() -> SystemTable {
        SystemTable {
            name: "queries",
            about: "statements that run, and the last that ran",
            schema: schema(),
        }
    }

    /// Its rows, the oldest first.
    pub(crate) fn rows(&self) -> Result<RecordBatch, ArrowError> {
        let known = self.known();
        let ended = known.ended.iter().map(|e| (e.number, &e.of, e.seconds, e.state));
        let running = known
            .running
            .iter()
            .map(|(number, of)| (*number, of, of.began.elapsed().as_secs_f64(), "running"));
        let mut all: Vec<_> = ended.chain(running).collect();
        all.sort_by_key(|(number, ..)| *number);
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let began = all.iter().map(|(_, of, ..)| of.began_micros);
        let rows = all.iter().map(|(_, of, ..)| count(of.rows.load(Ordering::Relaxed)));
        let text = |of: fn(&Running) -> &str| {
            Arc::new(StringArray::from_iter_values(all.iter().map(|(_, running, ..)| of(running))))
        };
        RecordBatch::try_new(
            schema(),
            vec![
                Arc::new(Int64Array::from_iter_values(all.iter().map(|(n, ..)| count(*n)))),
                text(|of| &of.user),
                text(|of| &of.application),
                Arc::new(StringArray::from_iter_values(all.iter().map(|(.., state)| *state))),
                Arc::new(TimestampMicrosecondArray::from_iter_values(began).with_timezone("UTC")),
                Arc::new(Float64Array::from_iter_values(all.iter().map(|(_, _, s, _)| *s))),
                Arc::new(Int64Array::from_iter_values(rows)),
                text(|of| &of.text),
            ],
        )
    }
}

fn schema() -> SchemaRef {
    let at = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("number", DataType::Int64, false),
        Field::new("user_name", DataType::Utf8, false),
        Field::new("application", DataType::Utf8, false),
        Field::new("state", DataType::Utf8, false),
        Field::new("began_at", at, false),
        Field::new("seconds", DataType::Float64, false),
        Field::new("rows", DataType::Int64, false),
        Field::new("statement", DataType::Utf8, false),
    ]))
}

impl Entry {
    /// Has the audit told of it at its end.
    pub(super) fn audited(&mut self, audit: Arc<Audit>, user: &User, port: &str, text: &str) {
        let record = AuditRecord {
            time_micros: self.of.began_micros,
            user: user.name.clone(),
            roles: user.roles.clone(),
            port: port.to_owned(),
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

    /// Which tables it reads, and what was applied to them.
    pub(super) fn reads(&mut self, tables: Vec<String>, policies: Vec<String>) {
        if let Some(Audited { record, .. }) = &mut self.audited {
            (record.tables, record.policies) = (tables, policies);
        }
    }

    /// Counts rows that were given.
    pub(super) fn gave(&mut self, rows: &RecordBatch) {
        self.of.rows.fetch_add(rows.num_rows() as u64, Ordering::Relaxed);
        if let Some(Audited { record, .. }) = &mut self.audited {
            record.rows += rows.num_rows() as u64;
            record.bytes += rows.get_array_memory_size() as u64;
        }
    }

    /// Ends, and says how. The audit has its record before anybody hears of the end.
    ///
    /// # Errors
    /// The audit can't be written.
    pub(super) async fn end(mut self, outcome: &Result<(), QueryError>) -> Result<(), QueryError> {
        self.outcome = match outcome {
            Ok(()) => "done",
            Err(QueryError::Stopped(Stopped::Cancelled)) => "cancelled",
            Err(QueryError::Stopped(Stopped::TimedOut)) => "timed out",
            Err(_) => "failed",
        };
        let Some(Audited { audit, mut record }) = self.audited.take() else { return Ok(()) };
        record.duration_micros =
            u64::try_from(self.of.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        record.outcome = match outcome {
            Ok(()) => "00000".to_owned(),
            Err(error) => error.sql_state().0.to_owned(),
        };
        Ok(audit.record(record).await?)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let seconds = self.of.began.elapsed().as_secs_f64();
        let mut known = self.all.known();
        known.running.remove(&self.number);
        if known.ended.len() >= ENDED_KEPT {
            known.ended.pop_front();
        }
        known.ended.push_back(Ended {
            number: self.number,
            of: Arc::clone(&self.of),
            seconds,
            state: self.outcome,
        });
    }
}
