//! The step as an operator: changes are gathered as they come, samples leave when the watermark
//! passes a period's end.

use super::record::{Change, Record};
use crate::changelog::DIFF;
use crate::keyed::kept::KeptByKey;
use crate::periods::Every;
use crate::step_error::{StepError, check_key};
use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{
    DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use riskstream_engine::contract::{
    EpochClose, Feed, Operator, OperatorError, Output, Routing, SavedState, Shape, StateBatch,
    StateDir,
};
use riskstream_engine::ids::{Epoch, Ownership};
use std::sync::Arc;

/// Rows of a batch that leaves.
const BATCH_ROWS: usize = 16_384;
/// Column of the instant that a row is a sample of, Timestamp(Microsecond, UTC): the event time of
/// what leaves the step.
pub const AS_OF: &str = "as_of";

/// A `sample` step.
#[derive(Debug, Clone)]
pub struct SampleSpec {
    /// The step's id.
    pub step_id: String,
    /// The key of the records.
    pub by: Vec<String>,
    /// How often.
    pub every: Every,
    /// The event time column in the input.
    pub event_time: String,
    /// Bytes of records in memory, per worker, about; the others are in files.
    pub memory_bytes: usize,
}

/// A row on its way out: which, of which instant, and how often.
type Said = (Box<[u8]>, i64, i64);

/// Samples of records. See the [module documentation](super).
#[derive(Debug)]
pub struct SampleOperator {
    pub(super) spec: SampleSpec,
    pub(super) by: Vec<usize>,
    pub(super) time: usize,
    diff: usize,
    /// The columns of a row: all but the event time and `_diff`.
    pub(super) row: Vec<usize>,
    pub(super) rows: RowConverter,
    /// What there is of every record, and the changes of the open epoch.
    pub(super) kept: KeptByKey<Change>,
    pub(super) input: SchemaRef,
    pub(super) feed: Feed,
    pub(super) output: SchemaRef,
    pub(super) watermark: i64,
    /// Nothing is older than this.
    pub(super) earliest: i64,
}

impl SampleOperator {
    /// A step with no records, whose files go to `dir`.
    ///
    /// # Errors
    /// When the step does not fit the input.
    pub fn new(spec: SampleSpec, input: &SchemaRef, dir: StateDir) -> Result<Self, StepError> {
        let find =
            |name: &str| input.index_of(name).map_err(|_| StepError::unknown_column(name, input));
        let by = spec.by.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>()?;
        let (time, diff) = (find(&spec.event_time)?, find(DIFF)?);
        // Without its event time: a change that takes a row back has another than the one that
        // added it.
        let row: Vec<usize> =
            (0..input.fields().len()).filter(|index| *index != diff && *index != time).collect();
        let mut fields: Vec<Field> = row.iter().map(|index| input.field(*index).clone()).collect();
        if fields.iter().any(|field| field.name() == AS_OF) {
            return Err(StepError::ColumnExists { column: AS_OF.to_owned() });
        }
        fields.push(Field::new(
            AS_OF,
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            false,
        ));
        fields.push(Field::new(DIFF, DataType::Int64, false));
        let wrong = |columns: &[usize], role| StepError::WrongType {
            column: columns
                .iter()
                .map(|index| input.field(*index).name().as_str())
                .collect::<Vec<_>>()
                .join(", "),
            found: columns
                .first()
                .map_or(DataType::Null, |index| input.field(*index).data_type().clone()),
            role,
        };
        let sorted = row
            .iter()
            .map(|index| SortField::new(input.field(*index).data_type().clone()))
            .collect();
        check_key(&by, input)?;
        Ok(Self {
            rows: RowConverter::new(sorted)
                .map_err(|_| wrong(&row, "a record's columns hold plain values"))?,
            kept: KeptByKey::new(&spec.step_id, dir, spec.memory_bytes),
            spec,
            by,
            time,
            diff,
            row,
            input: Arc::clone(input),
            feed: Feed::default(),
            output: Arc::new(Schema::new(fields)),
            watermark: i64::MIN,
            earliest: i64::MAX,
        })
    }

    /// With what feeds it, as far as the meaning of its state depends on it.
    #[must_use]
    pub fn fed_by(mut self, feed: Feed) -> Self {
        self.feed = feed;
        self
    }

    pub(super) fn arrow(&self, source: ArrowError) -> OperatorError {
        OperatorError::Arrow { step: self.spec.step_id.clone(), source }
    }

    /// The last instant that was sampled.
    pub(super) fn sampled(&self) -> i64 {
        if self.watermark == i64::MIN { i64::MIN } else { self.spec.every.floor(self.watermark) }
    }

    fn gather(&mut self, batch: &RecordBatch, out: &mut Output) -> Result<(), ArrowError> {
        let columns = |indices: &[usize]| {
            indices.iter().map(|index| Arc::clone(batch.column(*index))).collect::<Vec<ArrayRef>>()
        };
        let rows = self.rows.convert_columns(&columns(&self.row))?;
        let times = batch.column(self.time).as_primitive::<TimestampMicrosecondType>();
        let diffs = batch.column(self.diff).as_primitive::<Int64Type>();
        let sampled = self.sampled();
        let mut late: Vec<Said> = Vec::new();
        for row in 0..batch.num_rows() {
            let mut instant = self.spec.every.after(times.value(row));
            while instant <= sampled {
                late.push((rows.row(row).as_ref().into(), instant, diffs.value(row)));
                instant = self.spec.every.advance(instant, 1);
            }
            self.earliest = self.earliest.min(times.value(row));
        }
        let change = |row| Change {
            time: times.value(row),
            row: rows.row(row).as_ref().into(),
            diff: diffs.value(row),
        };
        self.kept.gather(&columns(&self.by), (0..batch.num_rows()).map(change))?;
        leave(&self.rows, &self.output, &mut late, out)
    }

    /// Takes the epoch's changes in.
    fn take(&mut self) -> Result<(), OperatorError> {
        let sampled = self.sampled();
        self.kept.close(|kept, changes, keep| {
            let Some(mut record) = Record::decode(kept.unwrap_or_default()) else {
                return Ok(false);
            };
            record.take(changes, sampled);
            record.encode(keep);
            Ok(true)
        })
    }

    /// Samples at each end of a period up to the watermark.
    fn sample(&mut self, watermark: i64, out: &mut Output) -> Result<(), OperatorError> {
        let (every, sampled) = (self.spec.every, self.sampled());
        self.watermark = watermark;
        let through = self.sampled();
        if through == sampled || self.earliest == i64::MAX {
            return Ok(());
        }
        let nothing_before = sampled == i64::MIN || self.earliest >= sampled;
        let mut instant =
            if nothing_before { every.after(self.earliest) } else { every.advance(sampled, 1) };
        while instant <= through {
            let (mut said, mut is_empty, mut next): (Vec<Said>, bool, Option<i64>) =
                (Vec::new(), true, None);
            self.kept.for_each(|kept| {
                let Some(mut record) = Record::decode(kept) else { return Ok(false) };
                record.fold(instant);
                for change in record.changes {
                    if change.time >= instant {
                        next = Some(next.map_or(change.time, |next| next.min(change.time)));
                    } else {
                        said.push((change.row, instant, change.diff));
                        is_empty = false;
                    }
                }
                if said.len() >= BATCH_ROWS {
                    leave(&self.rows, &self.output, &mut said, out).map(|()| true)
                } else {
                    Ok(true)
                }
            })?;
            leave(&self.rows, &self.output, &mut said, out).map_err(|e| self.arrow(e))?;
            // Where there is nothing, there is nothing at the ends of the periods that follow
            // either, before something happens.
            instant = match (is_empty, next) {
                (false, _) => every.advance(instant, 1),
                (true, Some(next)) => every.after(next),
                (true, None) => return Ok(()),
            };
        }
        Ok(())
    }
}

/// Rows on their way out; none are left.
fn leave(
    rows: &RowConverter,
    output: &SchemaRef,
    said: &mut Vec<Said>,
    out: &mut Output,
) -> Result<(), ArrowError> {
    let parser = rows.parser();
    for said in said.chunks(BATCH_ROWS) {
        let mut columns = rows.convert_rows(said.iter().map(|(row, ..)| parser.parse(row)))?;
        let instants = said.iter().map(|(_, instant, _)| *instant);
        columns.push(Arc::new(
            TimestampMicrosecondArray::from_iter_values(instants).with_timezone("UTC"),
        ));
        columns.push(Arc::new(Int64Array::from_iter_values(said.iter().map(|(.., diff)| *diff))));
        out.push(RecordBatch::try_new(Arc::clone(output), columns)?);
    }
    said.clear();
    Ok(())
}

impl Operator for SampleOperator {
    fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.output)
    }

    fn routing(&self) -> Routing {
        Routing::ByKey(self.by.clone())
    }

    fn shape(&self) -> Option<Shape> {
        Some(self.meaning())
    }

    fn restore(
        &mut self,
        saved: &SavedState,
        worker: usize,
        ownership: Ownership,
    ) -> Result<(), OperatorError> {
        self.restore_saved(saved, worker, ownership)
    }

    fn on_batch(
        &mut self,
        _epoch: Epoch,
        batch: RecordBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        self.gather(&batch, out).map_err(|e| self.arrow(e))
    }

    fn on_close(&mut self, close: &EpochClose, out: &mut Output) -> Result<(), OperatorError> {
        self.take()?;
        let watermark = self.watermark.max(close.watermark.0);
        if watermark == i64::MIN {
            return Ok(());
        }
        self.sample(watermark, out)
    }

    fn changes(&mut self, _close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        self.save_changes().map_err(|e| self.arrow(e))
    }

    fn snapshot(&mut self, _close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        self.save_all()
    }

    fn state_bytes(&self) -> usize {
        self.kept.bytes()
    }

    fn live_files(&self) -> Vec<String> {
        self.kept.live_files()
    }
}
