//! Which rows wait for the watermark, which pass, and which are late.
//!
//! In event-time order a row waits until the watermark reaches it, so every epoch releases exactly
//! the rows between the old watermark and the new one. In arrival order rows pass at once. A row at
//! or before the watermark that held when it arrived is late: it passes at once with `_late` set,
//! or becomes a dead letter, as the pipeline says.

use crate::contract::{
    DeadLetters, EpochClose, LATE, Operator, OperatorError, Output, REASON_LATE, SOURCE_OFFSET,
    SOURCE_PARTITION, SavedState, Shape, SourceSchema, StateBatch,
};
use crate::ids::{Epoch, EventTime, Ownership};
use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter_record_batch, not};
use arrow::datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType, UInt32Type};
use arrow::error::ArrowError;
use std::sync::Arc;

/// The order in which a pipeline's steps see rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By event time, ties by the source's columns, then by source position; waits for the
    /// watermark.
    EventTime,
    /// As they come.
    Arrival,
}

/// What becomes of a late row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatePolicy {
    /// It is applied, with `_late` set.
    Apply,
    /// It goes to the dead-letter table.
    DeadLetter,
}

/// The state of the wait: one per pipeline and worker.
#[derive(Debug)]
pub struct Hold {
    step: String,
    source: String,
    schema: SourceSchema,
    order: Order,
    late: LatePolicy,
    watermark: EventTime,
    waiting: Vec<Waiting>,
    waiting_bytes: usize,
    arrived: Vec<RecordBatch>,
}

#[derive(Debug)]
struct Waiting {
    rows: RecordBatch,
    earliest: i64,
    latest: i64,
    /// The rows' bytes, once they were counted: a slice of a larger batch counts as the slice.
    bytes: Option<usize>,
}

impl Waiting {
    /// None when there are no rows.
    fn new(rows: RecordBatch, event_time: usize) -> Option<Self> {
        let times = rows.column(event_time).as_primitive::<TimestampMicrosecondType>().values();
        let (earliest, latest) = (*times.iter().min()?, *times.iter().max()?);
        Some(Self { rows, earliest, latest, bytes: None })
    }

    fn bytes(&mut self) -> usize {
        let of = |rows: &RecordBatch| {
            rows.columns().iter().map(|c| c.to_data().get_slice_memory_size().unwrap_or(0)).sum()
        };
        *self.bytes.get_or_insert_with(|| of(&self.rows))
    }
}

impl Hold {
    /// A hold for rows of `source` in `schema`; `step` is the id under which waiting rows are
    /// saved.
    pub fn new(
        step: impl Into<String>,
        source: impl Into<String>,
        schema: SourceSchema,
        order: Order,
        late: LatePolicy,
    ) -> Self {
        Self {
            step: step.into(),
            source: source.into(),
            schema,
            order,
            late,
            watermark: EventTime::MIN,
            waiting: Vec::new(),
            waiting_bytes: 0,
            arrived: Vec::new(),
        }
    }

    /// Goes back to `watermark`, if it is beyond, as
    /// [`crate::protocol::WatermarkTracker::put_back`].
    pub fn put_back(&mut self, watermark: EventTime) {
        self.watermark = self.watermark.min(watermark);
    }

    fn arrow(&self, source: ArrowError) -> OperatorError {
        OperatorError::Arrow { step: self.step.clone(), source }
    }

    fn times<'a>(&self, rows: &'a RecordBatch) -> &'a [i64] {
        rows.column(self.schema.event_time).as_primitive::<TimestampMicrosecondType>().values()
    }

    /// Takes late rows out of `rows`; gives the others.
    fn part_late(
        &mut self,
        rows: RecordBatch,
        out: &mut Output,
    ) -> Result<RecordBatch, OperatorError> {
        let watermark = self.watermark.0;
        if watermark == i64::MIN || self.times(&rows).iter().all(|t| *t > watermark) {
            return Ok(rows);
        }
        let times = self.times(&rows);
        let mask = BooleanArray::new(
            BooleanBuffer::collect_bool(times.len(), |i| times[i] <= watermark),
            None,
        );
        out.late += mask.true_count() as u64;
        let late = filter_record_batch(&rows, &mask).map_err(|e| self.arrow(e))?;
        let rest =
            not(&mask).and_then(|m| filter_record_batch(&rows, &m)).map_err(|e| self.arrow(e))?;
        match self.late {
            LatePolicy::Apply => out.push(self.flagged(&late)?),
            LatePolicy::DeadLetter => out.dead.push(self.dead(&late)?),
        }
        Ok(rest)
    }

    fn flagged(&self, late: &RecordBatch) -> Result<RecordBatch, OperatorError> {
        let at = late.schema().index_of(LATE).map_err(|e| self.arrow(e))?;
        let mut columns = late.columns().to_vec();
        columns[at] =
            Arc::new(BooleanArray::new(BooleanBuffer::new_set(late.num_rows()), None)) as ArrayRef;
        RecordBatch::try_new(late.schema(), columns).map_err(|e| self.arrow(e))
    }

    fn dead(&self, late: &RecordBatch) -> Result<RecordBatch, OperatorError> {
        let column = |name: &str| {
            late.column_by_name(name)
                .ok_or_else(|| self.arrow(ArrowError::SchemaError(format!("no column {name}"))))
        };
        let partitions = column(SOURCE_PARTITION)?.as_primitive::<UInt32Type>();
        let offsets = column(SOURCE_OFFSET)?.as_primitive::<Int64Type>();
        let user = user_columns(late).map_err(|e| self.arrow(e))?;
        let times = self.times(late);
        let mut dead = DeadLetters::default();
        for (i, time) in times.iter().enumerate() {
            let bytes = row_as_json(&user.slice(i, 1)).map_err(|e| self.arrow(e))?;
            let detail = format!(
                "event time is {} ms behind the watermark",
                (self.watermark.0.saturating_sub(*time)) / 1000
            );
            dead.push(
                &self.source,
                &partitions.value(i).to_string(),
                offsets.value(i),
                REASON_LATE,
                &detail,
                &bytes,
                Some(*time),
            );
        }
        Ok(dead.finish())
    }

    /// Rows that waited, in the columns that the source has now. A column that they lack can't be
    /// made up.
    fn conform(&self, rows: &RecordBatch) -> Result<RecordBatch, OperatorError> {
        let column = |field: &arrow::datatypes::FieldRef| {
            let saved = rows
                .column_by_name(field.name())
                .filter(|column| column.data_type() == field.data_type());
            saved.map(Arc::clone).ok_or_else(|| self.lacks(field.name()))
        };
        let columns =
            self.schema.schema.fields().iter().map(column).collect::<Result<Vec<ArrayRef>, _>>()?;
        RecordBatch::try_new(Arc::clone(&self.schema.schema), columns).map_err(|e| self.arrow(e))
    }

    fn lacks(&self, column: &str) -> OperatorError {
        let reason = format!(
            "rows that wait for the watermark were saved without the column `{column}`, or with \
             another type of it; run once with the old columns, which releases them when the input \
             ends"
        );
        OperatorError::State { step: self.step.clone(), reason }
    }

    fn wait(&mut self, mut held: Waiting) {
        self.waiting_bytes += held.bytes();
        self.waiting.push(held);
    }
}

/// The batch without the engine's own columns.
fn user_columns(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let keep: Vec<usize> = rows
        .schema()
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, f)| !crate::contract::is_system_column(f.name()))
        .map(|(i, _)| i)
        .collect();
    rows.project(&keep)
}

/// One row as a JSON object: the original of a row that has no bytes of its own any more.
fn row_as_json(row: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
    writer.write(row)?;
    writer.finish()?;
    let mut bytes = writer.into_inner();
    bytes.truncate(bytes.trim_ascii_end().len());
    Ok(bytes)
}

impl Operator for Hold {
    fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.schema.schema)
    }

    /// Waiting rows carry the names and types of their columns, which are compared when the rows
    /// are restored; the watermark tracker's shape names the event time.
    fn shape(&self) -> Option<Shape> {
        None
    }

    fn restore(
        &mut self,
        saved: &SavedState,
        worker: usize,
        ownership: Ownership,
    ) -> Result<(), OperatorError> {
        // Waiting rows belong to no worker by key: they are dealt out by offset, so that each is
        // taken once by any number of workers. Rows that the watermark has reached since they were
        // saved were released then, even if the watermark was put back later.
        let mut released = i64::MIN;
        let mut dealt: Vec<(i64, RecordBatch)> = Vec::new();
        let epochs = saved.snapshot.iter().chain(&saved.changes);
        for (_, batches) in epochs.rev() {
            for batch in batches.iter().filter(|batch| batch.name == "clock") {
                let times = batch.rows.column(0).as_primitive::<Int64Type>();
                let newest = times.iter().flatten().max().unwrap_or(i64::MIN);
                if self.watermark == EventTime::MIN {
                    self.watermark = EventTime(newest);
                }
                released = released.max(newest);
            }
            dealt.extend(
                batches
                    .iter()
                    .filter(|batch| batch.name == "waiting")
                    .map(|batch| (released, batch.rows.clone())),
            );
        }
        for (released, rows) in dealt.into_iter().rev() {
            // By name: the source may have other columns now.
            let time = self.schema.schema.field(self.schema.event_time).name();
            let (Some(offsets), Some(times)) =
                (rows.column_by_name(SOURCE_OFFSET), rows.column_by_name(time))
            else {
                return Err(self.lacks(if rows.column_by_name(time).is_some() {
                    SOURCE_OFFSET
                } else {
                    time
                }));
            };
            let offsets = offsets.as_primitive::<Int64Type>().values().clone();
            let times = times.as_primitive::<TimestampMicrosecondType>().values();
            let workers = ownership.workers() as u64;
            let mine = BooleanBuffer::collect_bool(times.len(), |i| {
                times[i] > released
                    && (offsets[i] as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(20)
                        % workers
                        == worker as u64
            });
            if mine.count_set_bits() == 0 {
                continue;
            }
            let rows = filter_record_batch(&rows, &BooleanArray::new(mine, None))
                .map_err(|e| self.arrow(e))?;
            if let Some(held) = Waiting::new(self.conform(&rows)?, self.schema.event_time) {
                self.wait(held);
            }
        }
        Ok(())
    }

    fn on_batch(
        &mut self,
        _epoch: Epoch,
        batch: RecordBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let rows = self.part_late(batch, out)?;
        match self.order {
            Order::Arrival => out.push(rows),
            Order::EventTime => {
                if rows.num_rows() > 0 {
                    self.arrived.push(rows);
                }
            }
        }
        Ok(())
    }

    fn on_close(&mut self, close: &EpochClose, out: &mut Output) -> Result<(), OperatorError> {
        self.watermark = close.watermark;
        let watermark = close.watermark.0;
        let arrived = std::mem::take(&mut self.arrived);
        // What arrived in this epoch and still waits must be saved with it; what waited before was
        // saved then.
        let waited: Vec<Waiting> = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        for held in waited {
            self.release(held, watermark, out)?;
        }
        for rows in arrived {
            let before = self.waiting.len();
            if let Some(held) = Waiting::new(rows, self.schema.event_time) {
                self.release(held, watermark, out)?;
            }
            for held in &self.waiting[before..] {
                self.arrived.push(held.rows.clone());
            }
        }
        Ok(())
    }

    fn changes(&mut self, close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        let clock = arrow::array::Int64Array::from(vec![close.watermark.0]);
        let mut saved = vec![StateBatch::new(
            "clock",
            RecordBatch::try_from_iter([("watermark", Arc::new(clock) as ArrayRef)])
                .map_err(|e| self.arrow(e))?,
        )];
        for rows in self.arrived.drain(..) {
            saved.push(StateBatch::new("waiting", rows));
        }
        Ok(saved)
    }

    fn snapshot(&mut self, close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        let clock = arrow::array::Int64Array::from(vec![close.watermark.0]);
        let mut saved = vec![StateBatch::new(
            "clock",
            RecordBatch::try_from_iter([("watermark", Arc::new(clock) as ArrayRef)])
                .map_err(|e| self.arrow(e))?,
        )];
        saved.extend(self.waiting.iter().map(|w| StateBatch::new("waiting", w.rows.clone())));
        Ok(saved)
    }

    fn state_bytes(&self) -> usize {
        self.waiting_bytes
    }
}

impl Hold {
    fn release(
        &mut self,
        held: Waiting,
        watermark: i64,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        if held.latest <= watermark {
            out.push(held.rows);
            return Ok(());
        }
        if held.earliest > watermark {
            self.wait(held);
            return Ok(());
        }
        let times = self.times(&held.rows);
        let due = BooleanArray::new(
            BooleanBuffer::collect_bool(times.len(), |i| times[i] <= watermark),
            None,
        );
        out.push(filter_record_batch(&held.rows, &due).map_err(|e| self.arrow(e))?);
        let rest = not(&due)
            .and_then(|m| filter_record_batch(&held.rows, &m))
            .map_err(|e| self.arrow(e))?;
        if let Some(held) = Waiting::new(rest, self.schema.event_time) {
            self.wait(held);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
