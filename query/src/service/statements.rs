//! The statements that run, and the last ones that ran.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;

use super::answer::Cancel;
use super::counts::{Counted, Counts, Done};
use super::running::{Arrival, Doing, Running};
use crate::catalog::system::{NoSystemTables, SystemTables};
use crate::catalog::system_table::SystemTable;
use crate::stopped::Stopped;
use crate::user::User;

/// The table in the schema `system`.
const QUERIES: &str = "queries";
/// Statements that are remembered after their end.
const ENDED_KEPT: usize = 1_000;
/// Characters of a statement's text that are kept.
const TEXT_CHARS: usize = 10_000;

/// All statements of a service.
#[derive(Debug, Default)]
pub(crate) struct Statements {
    numbers: AtomicU64,
    known: Mutex<Known>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Known {
    running: BTreeMap<u64, Arc<Running>>,
    ended: VecDeque<Ended>,
}

#[derive(Debug)]
struct Ended {
    number: u64,
    of: Arc<Running>,
    seconds: f64,
    state: &'static str,
}

impl Statements {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a statement begins; its number stands in `system.queries`.
    pub(super) fn begin(&self, arrival: Arrival<'_>, cancel: &Cancel) -> (u64, Arc<Running>) {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let text = arrival.text.chars().take(TEXT_CHARS).collect();
        let of = Arc::new(Running::new(arrival, text, cancel.clone()));
        self.known().running.insert(number, Arc::clone(&of));
        (number, of)
    }

    /// Notes that one has ended.
    pub(super) fn end(&self, number: u64, of: &Arc<Running>, state: &'static str, done: &Done) {
        self.counts.add(done);
        let mut known = self.known();
        known.running.remove(&number);
        if known.ended.len() >= ENDED_KEPT {
            known.ended.pop_front();
        }
        let seconds = done.took.as_secs_f64();
        known.ended.push_back(Ended { number, of: Arc::clone(of), seconds, state });
    }

    /// How many statements of a user work or wait for their turn; those whose client takes its time
    /// hold nobody up.
    pub(super) fn running_of(&self, user: &User) -> usize {
        let known = self.known();
        let of_user = known.running.values().filter(|running| running.user == user.name);
        of_user.filter(|running| running.doing() != Doing::Idle).count()
    }

    /// How many have not ended.
    pub(super) fn open(&self) -> usize {
        self.known().running.len()
    }

    /// What those that have ended did.
    pub(super) fn counted(&self) -> Counted {
        self.counts.seen()
    }

    /// Stops all that run.
    pub(crate) fn stop_all(&self) {
        let running: Vec<_> = self.known().running.values().cloned().collect();
        running.iter().for_each(|running| running.stop(Stopped::ShuttingDown));
    }

    /// The rows of `system.queries`, the oldest first.
    fn all(&self) -> Result<RecordBatch, ArrowError> {
        let known = self.known();
        let ended = known.ended.iter().map(|e| (e.number, &e.of, e.seconds, e.state));
        let running = known
            .running
            .iter()
            .map(|(number, of)| (*number, of, of.began.elapsed().as_secs_f64(), of.doing().name()));
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
                text(Running::application),
                Arc::new(StringArray::from_iter_values(all.iter().map(|(.., state)| *state))),
                Arc::new(TimestampMicrosecondArray::from_iter_values(began).with_timezone("UTC")),
                Arc::new(Float64Array::from_iter_values(all.iter().map(|(_, _, s, _)| *s))),
                Arc::new(Int64Array::from_iter_values(rows)),
                text(Running::text),
            ],
        )
    }
}

/// `system.queries`.
impl SystemTables for Statements {
    fn tables(&self) -> Vec<SystemTable> {
        vec![SystemTable {
            name: QUERIES,
            about: "statements that run, and the last that ran",
            schema: schema(),
        }]
    }

    fn rows(&self, name: &str) -> Result<RecordBatch, Box<dyn std::error::Error + Send + Sync>> {
        match name {
            QUERIES => Ok(self.all()?),
            other => NoSystemTables.rows(other),
        }
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
