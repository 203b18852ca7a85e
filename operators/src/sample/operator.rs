//! The step as an operator: changes are gathered as they come, samples leave when the watermark passes a period's end.

use crate::changelog::DIFF;
use crate::keyed::keys::Keys;
use crate::periods::Every;
use crate::step_error::StepError;
use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use riskstream_engine::contract::{EpochClose, Operator, OperatorError, Output, Routing, SavedState, StateBatch};
use riskstream_engine::ids::{Epoch, Ownership};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Rows of a batch that leaves.
const BATCH_ROWS: usize = 16_384;
/// Column of the instant that a row is a sample of, Timestamp(Microsecond, UTC): the event time of what leaves the step.
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
}

/// A row that is there from an instant on, or no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) time: i64,
    pub(super) row: Box<[u8]>,
    pub(super) diff: i64,
}

/// Samples of records. See the [module documentation](super).
#[derive(Debug)]
pub struct SampleOperator {
    pub(super) spec: SampleSpec,
    pub(super) by: Vec<usize>,
    time: usize,
    diff: usize,
    /// The columns of a row: all but the event time and `_diff`.
    pub(super) row: Vec<usize>,
    pub(super) rows: RowConverter,
    pub(super) keys: Keys,
    /// By the key's number: what there is, in order of time. Those before the last sample are one per row.
    pub(super) records: Vec<Vec<Change>>,
    /// Keys with changes that are not in a sample yet, by the instant of these.
    pub(super) ahead: BTreeMap<i64, BTreeSet<u32>>,
    pub(super) touched: BTreeSet<u32>,
    output: SchemaRef,
    pub(super) watermark: i64,
}

impl SampleOperator {
    /// A step with no records.
    ///
    /// # Errors
    /// When the step does not fit the input.
    pub fn new(spec: SampleSpec, input: &SchemaRef) -> Result<Self, StepError> {
        let find = |name: &str| input.index_of(name).map_err(|_| StepError::unknown_column(name, input));
        let by = spec.by.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>()?;
        let (time, diff) = (find(&spec.event_time)?, find(DIFF)?);
        // Without its event time: a change that takes a row back has another than the one that added it.
        let row: Vec<usize> = (0..input.fields().len()).filter(|index| *index != diff && *index != time).collect();
        let mut fields: Vec<Field> = row.iter().map(|index| input.field(*index).clone()).collect();
        if fields.iter().any(|field| field.name() == AS_OF) {
            return Err(StepError::ColumnExists { column: AS_OF.to_owned() });
        }
        fields.push(Field::new(AS_OF, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false));
        fields.push(Field::new(DIFF, DataType::Int64, false));
        let wrong = |columns: &[usize], role| StepError::WrongType {
            column: columns.iter().map(|index| input.field(*index).name().as_str()).collect::<Vec<_>>().join(", "),
            found: columns.first().map_or(DataType::Null, |index| input.field(*index).data_type().clone()),
            role,
        };
        let sorted = row.iter().map(|index| SortField::new(input.field(*index).data_type().clone())).collect();
        let keyed: Vec<Field> = by.iter().map(|index| input.field(*index).clone()).collect();
        Ok(Self {
            rows: RowConverter::new(sorted).map_err(|_| wrong(&row, "a record's columns hold plain values"))?,
            keys: Keys::new(&keyed).map_err(|_| wrong(&by, "a key is a number, a text, a time or a truth value"))?,
            spec,
            by,
            time,
            diff,
            row,
            records: Vec::new(),
            ahead: BTreeMap::new(),
            touched: BTreeSet::new(),
            output: Arc::new(Schema::new(fields)),
            watermark: i64::MIN,
        })
    }

    pub(super) fn arrow(&self, source: ArrowError) -> OperatorError {
        OperatorError::Arrow { step: self.spec.step_id.clone(), source }
    }

    /// The last instant that was sampled.
    pub(super) fn sampled(&self) -> i64 {
        if self.watermark == i64::MIN { i64::MIN } else { self.spec.every.floor(self.watermark) }
    }

    /// Takes a change in; whether it is in a sample already.
    pub(super) fn take(&mut self, key: u32, change: Change) {
        if self.records.len() <= key as usize {
            self.records.resize_with(key as usize + 1, Vec::new);
        }
        let sampled = self.sampled();
        if change.time >= sampled {
            self.ahead.entry(change.time).or_default().insert(key);
        }
        self.records[key as usize].push(change);
        fold(&mut self.records[key as usize], sampled);
    }

    fn gather(&mut self, batch: &RecordBatch, out: &mut Output) -> Result<(), ArrowError> {
        let columns = |indices: &[usize]| indices.iter().map(|index| Arc::clone(batch.column(*index))).collect::<Vec<ArrayRef>>();
        let keys = self.keys.number(&columns(&self.by))?;
        let rows = self.rows.convert_columns(&columns(&self.row))?;
        let times = batch.column(self.time).as_primitive::<TimestampMicrosecondType>().clone();
        let diffs = batch.column(self.diff).as_primitive::<Int64Type>().clone();
        let sampled = self.sampled();
        let mut late: Vec<(Box<[u8]>, i64, i64)> = Vec::new();
        for (row, key) in keys.into_iter().enumerate() {
            let change = Change { time: times.value(row), row: rows.row(row).as_ref().into(), diff: diffs.value(row) };
            let mut instant = self.spec.every.after(change.time);
            while instant <= sampled {
                late.push((change.row.clone(), instant, change.diff));
                instant = self.spec.every.advance(instant, 1);
            }
            self.touched.insert(key);
            self.take(key, change);
        }
        self.leave(&late, out)
    }

    fn leave(&self, said: &[(Box<[u8]>, i64, i64)], out: &mut Output) -> Result<(), ArrowError> {
        let parser = self.rows.parser();
        for said in said.chunks(BATCH_ROWS) {
            let mut columns = self.rows.convert_rows(said.iter().map(|(row, ..)| parser.parse(row)))?;
            let instants = said.iter().map(|(_, instant, _)| *instant);
            columns.push(Arc::new(TimestampMicrosecondArray::from_iter_values(instants).with_timezone("UTC")));
            columns.push(Arc::new(Int64Array::from_iter_values(said.iter().map(|(.., diff)| *diff))));
            out.push(RecordBatch::try_new(Arc::clone(&self.output), columns)?);
        }
        Ok(())
    }

    /// Samples at each end of a period up to the watermark.
    fn sample(&mut self, watermark: i64, out: &mut Output) -> Result<(), ArrowError> {
        let every = self.spec.every;
        let sampled = self.sampled();
        self.watermark = watermark;
        let through = self.sampled();
        if through == sampled {
            return Ok(());
        }
        let is_empty = self.records.iter().flatten().all(|change| change.time >= sampled);
        let first = self.ahead.keys().next().map(|time| every.after(*time));
        let mut instant = match (is_empty || sampled == i64::MIN, first) {
            (false, _) => every.advance(sampled, 1),
            (true, Some(first)) => first,
            (true, None) => return Ok(()),
        };
        while instant <= through {
            let later = self.ahead.split_off(&instant);
            let keys: BTreeSet<u32> = std::mem::replace(&mut self.ahead, later).into_values().flatten().collect();
            for key in keys {
                fold(&mut self.records[key as usize], instant);
            }
            let mut said = Vec::new();
            for change in self.records.iter().flatten().filter(|change| change.time < instant) {
                said.push((change.row.clone(), instant, change.diff));
                if said.len() == BATCH_ROWS {
                    self.leave(&std::mem::take(&mut said), out)?;
                }
            }
            self.leave(&said, out)?;
            instant = every.advance(instant, 1);
        }
        Ok(())
    }
}

/// Puts what is before `instant` together: one change per row, none where it was taken back as often as added.
pub(super) fn fold(record: &mut Vec<Change>, instant: i64) {
    record.sort_by(|a, b| (a.time >= instant, &a.row, a.time).cmp(&(b.time >= instant, &b.row, b.time)));
    record.dedup_by(|again, first| {
        let is_same = again.row == first.row && (again.time == first.time || again.time.max(first.time) < instant);
        if is_same {
            first.diff += again.diff;
        }
        is_same
    });
    record.retain(|change| change.diff != 0);
}

impl Operator for SampleOperator {
    fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.output)
    }

    fn routing(&self) -> Routing {
        Routing::ByKey(self.by.clone())
    }

    fn restore(&mut self, saved: &SavedState, worker: usize, ownership: Ownership) -> Result<(), OperatorError> {
        self.restore_saved(saved, worker, ownership)
    }

    fn on_batch(&mut self, _epoch: Epoch, batch: RecordBatch, out: &mut Output) -> Result<(), OperatorError> {
        self.gather(&batch, out).map_err(|e| self.arrow(e))
    }

    fn on_close(&mut self, close: &EpochClose, out: &mut Output) -> Result<(), OperatorError> {
        let watermark = self.watermark.max(close.watermark.0);
        if watermark == i64::MIN {
            return Ok(());
        }
        self.sample(watermark, out).map_err(|e| self.arrow(e))
    }

    fn changes(&mut self, _close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        self.save_changes().map_err(|e| self.arrow(e))
    }

    fn snapshot(&mut self, _close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        self.save_all().map_err(|e| self.arrow(e))
    }

    fn state_bytes(&self) -> usize {
        let record = |record: &Vec<Change>| record.capacity() * size_of::<Change>() + record.iter().map(|c| c.row.len()).sum::<usize>();
        self.keys.bytes() + self.records.iter().map(record).sum::<usize>()
    }
}
