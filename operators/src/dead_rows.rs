//! Rows that a step can't process: found one by one in a batch that fails as a whole, and written
//! as dead letters.

use arrow::array::types::{TimestampMicrosecondType, UInt32Type};
use arrow::array::{Array, AsArray, RecordBatch, UInt64Array};
use arrow::compute::{filter_record_batch, take_record_batch};
use arrow::datatypes::{DataType, Int64Type, Schema, TimeUnit};
use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use riskstream_engine::contract::{
    DeadLetters, Output, REASON_OVERFLOW, SOURCE_OFFSET, SOURCE_PARTITION, is_system_column,
};

use crate::expression::EvaluationError;
use crate::keyed::sums;
use crate::step_error::StepError;

/// Reason code of a row for which an expression failed.
pub const REASON_COMPUTE: &str = "compute";
/// Reason code of a row that a check says can't be.
pub const REASON_IMPOSSIBLE: &str = "impossible";

/// A value that is null because its type does not hold it.
#[derive(Debug)]
pub(crate) struct Unfit {
    /// Its row in the batch.
    pub(crate) row: usize,
    pub(crate) column: String,
    /// A sentence.
    pub(crate) detail: String,
}

impl Unfit {
    /// A sum of these digits.
    pub(crate) fn sum(row: usize, column: &str, digits: &str, data_type: &DataType) -> Self {
        Self { row, column: column.to_owned(), detail: sums::unfit(column, digits, data_type) }
    }
}

/// Writes rows of one schema as dead letters: source = the step's id, bytes = the user's columns as
/// a JSON object, so that the row can be read again after a fix.
#[derive(Debug)]
pub(crate) struct DeadRows {
    step: String,
    partition: Option<usize>,
    offset: Option<usize>,
    event_time: Option<usize>,
    user_columns: Vec<usize>,
    letters: DeadLetters,
}

impl DeadRows {
    pub(crate) fn new(step: &str, schema: &Schema) -> Self {
        let typed = |name: &str, data_type: &DataType| {
            schema.index_of(name).ok().filter(|&at| schema.field(at).data_type() == data_type)
        };
        Self {
            step: step.to_owned(),
            partition: typed(SOURCE_PARTITION, &DataType::UInt32),
            offset: typed(SOURCE_OFFSET, &DataType::Int64),
            event_time: None,
            user_columns: (0..schema.fields().len())
                .filter(|&at| !is_system_column(schema.field(at).name()))
                .collect(),
            letters: DeadLetters::default(),
        }
    }

    /// Fills the event time of dead letters from this column from now on.
    pub(crate) fn set_event_time(
        &mut self,
        column: &str,
        schema: &Schema,
    ) -> Result<(), StepError> {
        let at = schema.index_of(column).map_err(|_| StepError::unknown_column(column, schema))?;
        match schema.field(at).data_type() {
            DataType::Timestamp(TimeUnit::Microsecond, _) => self.event_time = Some(at),
            found => {
                return Err(StepError::WrongType {
                    column: column.to_owned(),
                    found: found.clone(),
                    role: "the event time is a timestamp in microseconds",
                });
            }
        }
        Ok(())
    }

    /// Adds the given rows of `batch`, each with its detail.
    pub(crate) fn push(
        &mut self,
        batch: &RecordBatch,
        rows: &[(usize, String)],
        reason: &str,
    ) -> Result<(), ArrowError> {
        if rows.is_empty() {
            return Ok(());
        }
        let indices = UInt64Array::from_iter_values(rows.iter().map(|(row, _)| *row as u64));
        let user = take_record_batch(&batch.project(&self.user_columns)?, &indices)?;
        let json = json_lines(&user);
        let partitions = self.partition.map(|at| batch.column(at).as_primitive::<UInt32Type>());
        let offsets = self.offset.map(|at| batch.column(at).as_primitive::<Int64Type>());
        let times =
            self.event_time.map(|at| batch.column(at).as_primitive::<TimestampMicrosecondType>());
        for ((row, detail), bytes) in rows.iter().zip(json) {
            let partition =
                partitions.map(|numbers| numbers.value(*row).to_string()).unwrap_or_default();
            let offset = offsets.map_or(-1, |offsets| offsets.value(*row));
            let time = times.filter(|times| times.is_valid(*row)).map(|times| times.value(*row));
            self.letters.push(&self.step, &partition, offset, reason, detail, &bytes, time);
        }
        Ok(())
    }

    /// Writes a dead letter for each value of `batch` that is null because its type does not hold
    /// it. The rows themselves are kept.
    pub(crate) fn unfit(
        &mut self,
        batch: &RecordBatch,
        unfit: &[Unfit],
        out: &mut Output,
    ) -> Result<(), ArrowError> {
        let rows: Vec<(usize, String)> =
            unfit.iter().map(|value| (value.row, value.detail.clone())).collect();
        self.push(batch, &rows, REASON_OVERFLOW)?;
        self.flush(out);
        for value in unfit {
            *out.unfit.entry(value.column.clone()).or_default() += 1;
        }
        Ok(())
    }

    /// The rows of `batch` that are not `dead`, by row; the others become dead letters, all with
    /// this reason and detail.
    pub(crate) fn sort_out(
        &mut self,
        batch: &RecordBatch,
        dead: &[bool],
        (reason, detail): (&str, &str),
        out: &mut Output,
    ) -> Result<RecordBatch, ArrowError> {
        let rows: Vec<(usize, String)> = dead
            .iter()
            .enumerate()
            .filter(|(_, dead)| **dead)
            .map(|(row, _)| (row, detail.to_owned()))
            .collect();
        self.push(batch, &rows, reason)?;
        self.flush(out);
        filter_record_batch(batch, &dead.iter().map(|dead| Some(!dead)).collect())
    }

    /// Hands over what was added since the last call.
    pub(crate) fn flush(&mut self, out: &mut Output) {
        if !self.letters.is_empty() {
            out.dead.push(self.letters.finish());
        }
    }
}

/// One JSON object per row. A row that JSON can't express (a timestamp beyond the calendar) is
/// empty: its position still names it.
fn json_lines(rows: &RecordBatch) -> Vec<Vec<u8>> {
    let encode = |batch: &RecordBatch| -> Result<Vec<u8>, ArrowError> {
        let mut writer =
            WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
        writer.write(batch)?;
        writer.finish()?;
        Ok(writer.into_inner())
    };
    if let Ok(bytes) = encode(rows) {
        let mut lines: Vec<Vec<u8>> =
            bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        lines.truncate(rows.num_rows());
        return lines;
    }
    let one_by_one = (0..rows.num_rows())
        .map(|row| encode(&rows.slice(row, 1)).map(|line| line.trim_ascii_end().to_vec()));
    one_by_one.map(Result::unwrap_or_default).collect()
}

/// A batch parted into rows for which an evaluation works and rows for which it fails.
#[derive(Debug)]
pub(crate) struct Isolated<T> {
    /// Runs of rows that work, in order, with what they gave.
    pub(crate) good: Vec<(RecordBatch, T)>,
    /// The rows that fail (numbers in the batch), in order, with the reason.
    pub(crate) bad: Vec<(usize, String)>,
}

/// Evaluates `batch`; if that fails, its halves, and so on, so that `k` failing rows among `n` cost
/// about `k · log n` evaluations.
pub(crate) fn isolate<T>(
    batch: &RecordBatch,
    evaluate: impl Fn(&RecordBatch) -> Result<T, EvaluationError>,
) -> Isolated<T> {
    let mut isolated = Isolated { good: Vec::new(), bad: Vec::new() };
    // Ranges still to do, the next one on top.
    let mut ranges = vec![(0, batch.num_rows())];
    while let Some((start, length)) = ranges.pop() {
        let rows = batch.slice(start, length);
        match evaluate(&rows) {
            Ok(value) => isolated.good.push((rows, value)),
            Err(error) if length <= 1 => isolated.bad.push((start, error.reason().to_owned())),
            Err(_) => {
                let half = length / 2;
                ranges.push((start + half, length - half));
                ranges.push((start, half));
            }
        }
    }
    isolated
}
