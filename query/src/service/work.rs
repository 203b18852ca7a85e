//! A statement's work, in one go on the service's threads: its plan, then its rows.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use tokio::sync::{mpsc, oneshot};

use super::answer::Cancel;
use super::drive::{Begun as Driven, drive};
use super::entry::Entry;
use super::guard::Guard;
use super::order::{Order, Remembered};
use super::planned::Started;
use super::source::Source;
use super::time::Time;
use super::turns::Turn;
use crate::error::QueryError;
use crate::live::Pinned;

/// The entry of a statement until it has begun: whoever takes it ends it.
#[derive(Debug)]
pub(super) struct Held(Mutex<Option<Entry>>);

impl Held {
    pub(super) fn new(entry: Entry) -> Self {
        Self(Mutex::new(Some(entry)))
    }

    /// The entry, unless it was taken.
    pub(super) fn take(&self) -> Option<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, entry: Entry) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(entry);
    }
}

/// What is to be done for a statement that has its turn.
pub(super) struct Work {
    pub(super) source: Arc<Source>,
    pub(super) order: Order,
    pub(super) remembered: Remembered,
    pub(super) parameters: Vec<ScalarValue>,
    pub(super) guard: Arc<Guard>,
    pub(super) entry: Arc<Held>,
    pub(super) turn: Turn,
    pub(super) rows: mpsc::Sender<Result<RecordBatch, QueryError>>,
    pub(super) cancel: Cancel,
    pub(super) time: Time,
    /// Rows that it may give; none: all.
    pub(super) rows_max: Option<u64>,
}

/// What is told of a statement before its first row.
pub(super) struct Begun {
    pub(super) remembered: Remembered,
    /// Its columns and the moment that it sees, if it could begin.
    pub(super) planned: Result<(SchemaRef, Arc<Pinned>), QueryError>,
}

impl Work {
    /// Plans the statement, tells how that went, and gives its rows. Nothing is told where nobody
    /// waits for the statement any more.
    pub(super) async fn run(self, told: oneshot::Sender<Begun>) {
        let Self { source, order, mut remembered, parameters, guard, entry, .. } = self;
        let planned = match order.planned(&source, &mut remembered).await {
            Ok(planned) => planned,
            Err(error) => return drop(told.send(Begun { remembered, planned: Err(error) })),
        };
        let pinned = Arc::clone(planned.pinned());
        let applied = match planned.applied() {
            Ok(applied) => applied,
            Err(error) => return drop(told.send(Begun { remembered, planned: Err(error) })),
        };
        let started = planned.start(parameters, &guard).await;
        // The plan's own streams hold it from here on.
        drop(guard);
        // It has ended already for its client, which has stopped it.
        let Some(mut of) = entry.take() else { return };
        of.reads(applied);
        let Started { columns, stream, plan } = match started {
            Ok(started) => started,
            Err(error) => {
                entry.put(of);
                return drop(told.send(Begun { remembered, planned: Err(error) }));
            }
        };
        let planned = Ok((columns, Arc::clone(&pinned)));
        if told.send(Begun { remembered, planned }).is_err() {
            // Nobody waits for it any more, which its entry tells as it is dropped.
            return;
        }
        let Self { turn, rows, cancel, time, rows_max, .. } = self;
        drive(Driven { stream, plan, rows, cancel, time, rows_max, entry: of, turn }).await;
        // What the statement reads stays on the disk until its work has ended.
        drop(pinned);
    }
}
