//! The step as an operator: changes are gathered as they come, samples leave when the watermark
//! passes a period's end.

use super::record::{Record, RowChange};
use crate::changelog::DIFF;
use crate::keyed::BATCH_ROWS;
use crate::keyed::columns::{at, converter, named_fields, place, places};
use crate::keyed::kept::KeptByKey;
use crate::keyed::step::{Keyed, KeyedPlan, KeyedStep};
use crate::periods::Every;
use crate::step_error::{StepError, check_key};
use arrow::array::{AsArray, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{
    DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use arrow::row::RowConverter;
use riskstream_engine::contract::{EpochClose, OperatorError, Output, Shape, StateDir};
use std::sync::Arc;

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

/// A row on its way out: its bytes, the instant that it is a sample of, and its `_diff`.
type Said = (Box<[u8]>, i64, i64);

/// Samples of records. See the [module documentation](super).
pub type SampleOperator = Keyed<Sample>;

/// The logic of the step.
#[derive(Debug)]
pub struct Sample {
    spec: SampleSpec,
    by: Vec<usize>,
    time: usize,
    diff: usize,
    /// The columns of a row: all but the event time and `_diff`.
    row: Vec<usize>,
    rows: RowConverter,
    /// What there is of every record, and the changes of the open epoch.
    kept: KeptByKey<Record>,
    input: SchemaRef,
    output: SchemaRef,
    /// The event time of the oldest change so far.
    earliest: i64,
}

impl SampleOperator {
    /// A step with no records, whose files go to `dir`.
    ///
    /// # Errors
    /// When the step does not fit the input.
    pub fn new(spec: SampleSpec, input: &SchemaRef, dir: StateDir) -> Result<Self, StepError> {
        let by = places(&spec.by, input)?;
        let (time, diff) = (place(&spec.event_time, input)?, place(DIFF, input)?);
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
        check_key(&by, input)?;
        Ok(Self::of(Sample {
            rows: converter(&row, input, "a record's columns hold plain values")?,
            kept: KeptByKey::new(&spec.step_id, dir, spec.memory_bytes),
            spec,
            by,
            time,
            diff,
            row,
            input: Arc::clone(input),
            output: Arc::new(Schema::new(fields)),
            earliest: i64::MAX,
        }))
    }
}

impl Sample {
    /// The last instant that was sampled when the watermark was this.
    fn sampled(&self, watermark: i64) -> i64 {
        if watermark == i64::MIN { i64::MIN } else { self.spec.every.floor(watermark) }
    }

    fn gather(
        &mut self,
        watermark: i64,
        batch: &RecordBatch,
        out: &mut Output,
    ) -> Result<(), ArrowError> {
        let rows = self.rows.convert_columns(&at(batch, &self.row))?;
        let times = batch.column(self.time).as_primitive::<TimestampMicrosecondType>();
        let diffs = batch.column(self.diff).as_primitive::<Int64Type>();
        let sampled = self.sampled(watermark);
        let mut late: Vec<Said> = Vec::new();
        for row in 0..batch.num_rows() {
            let mut instant = self.spec.every.after(times.value(row));
            while instant <= sampled {
                late.push((rows.row(row).as_ref().into(), instant, diffs.value(row)));
                instant = self.spec.every.advance(instant, 1);
            }
            self.earliest = self.earliest.min(times.value(row));
        }
        let change = |row| RowChange {
            time: times.value(row),
            row: rows.row(row).as_ref().into(),
            diff: diffs.value(row),
        };
        self.kept.gather(&at(batch, &self.by), (0..batch.num_rows()).map(change))?;
        leave(&self.rows, &self.output, &mut late, out)
    }

    /// Samples at each end of a period up to the watermark.
    fn sample(
        &mut self,
        (before, after): (i64, i64),
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let every = self.spec.every;
        let (sampled, through) = (self.sampled(before), self.sampled(after));
        if through == sampled || self.earliest == i64::MAX {
            return Ok(());
        }
        let nothing_before = sampled == i64::MIN || self.earliest >= sampled;
        let mut instant =
            if nothing_before { every.after(self.earliest) } else { every.advance(sampled, 1) };
        while instant <= through {
            let (mut said, mut is_empty, mut next): (Vec<Said>, bool, Option<i64>) =
                (Vec::new(), true, None);
            self.kept.for_each(|mut record| {
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
                    leave(&self.rows, &self.output, &mut said, out)?;
                }
                Ok(())
            })?;
            leave(&self.rows, &self.output, &mut said, out).map_err(|e| self.arrow(e))?;
            // If no row is there at this instant, none is there at later period ends before the
            // next change.
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

impl KeyedStep for Sample {
    type Kept = KeptByKey<Record>;
    const MARK: Option<&'static str> = Some("earliest");

    fn plan(&self) -> KeyedPlan<'_> {
        KeyedPlan {
            id: &self.spec.step_id,
            input: &self.input,
            output: &self.output,
            key: &self.by,
        }
    }

    fn meaning(&self) -> Shape {
        Shape::new("sample")
            .fact("by", self.spec.by.join(", "))
            .fact("columns", named_fields(&self.output).join(", "))
            .fact("event time", &self.spec.event_time)
            .fact("every", self.spec.every.to_string())
    }

    fn reads(&self) -> Vec<usize> {
        self.by.iter().chain(&self.row).copied().chain([self.time]).collect()
    }

    fn kept(&self) -> &Self::Kept {
        &self.kept
    }

    fn kept_mut(&mut self) -> &mut Self::Kept {
        &mut self.kept
    }

    fn mark(&self, _watermark: i64) -> i64 {
        self.earliest
    }

    /// Takes the earliest mark of all workers: a mark that is too early costs a scan, a mark that
    /// is too late would lose samples.
    fn restore_mark(&mut self, mark: i64) {
        self.earliest = self.earliest.min(mark);
    }

    fn on_batch(
        &mut self,
        watermark: i64,
        batch: RecordBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        self.gather(watermark, &batch, out).map_err(|e| self.arrow(e))
    }

    fn on_close(
        &mut self,
        (before, after): (i64, i64),
        _close: &EpochClose,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let sampled = self.sampled(before);
        self.kept.close(|record, changes| {
            record.insert(changes, sampled);
            Ok(true)
        })?;
        if after == i64::MIN { Ok(()) } else { self.sample((before, after), out) }
    }
}
