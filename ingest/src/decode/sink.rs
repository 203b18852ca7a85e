//! Where a decoder's rows go: columns under construction on one side, dead letters on the other.

use crate::decode::civil::{EARLIEST_US, LATEST_US};
use crate::decode::column::{Column, Fault, Written, check_event_time};
use crate::decode::reason;
use crate::decode::time::TimeFormat;
use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::error::ArrowError;
use riskstream_engine::contract::{DeadLetters, Decoded, SourceError, SourceSchema};
use std::sync::Arc;

/// How much of a record that is too long is kept in its dead letter.
pub(crate) const TOO_LONG_HEAD_BYTES: usize = 64 * 1024;

/// What a source's rows must be.
#[derive(Debug, Clone)]
pub(crate) struct RowRules {
    pub(crate) source_name: String,
    pub(crate) schema: SourceSchema,
    /// The schema is a guess from the first records: a later number that a column would change is
    /// rejected.
    pub(crate) inferred: bool,
    pub(crate) event_time_format: TimeFormat,
    /// How far ahead of the feed's clock an event time may be, in microseconds.
    pub(crate) future_skew_max_us: i64,
    /// Longer records are rejected unread.
    pub(crate) record_bytes_max: usize,
}

impl RowRules {
    /// The same for rows that the program has written as JSON: it writes times in one form,
    /// whatever the source's is.
    pub(crate) fn of_rewritten(&self) -> Self {
        Self { event_time_format: TimeFormat::Auto, ..self.clone() }
    }

    /// Columns of the user, without the three of the engine.
    pub(crate) fn user_columns(&self) -> usize {
        self.schema.schema.fields().len() - 3
    }

    pub(crate) fn latest_time(&self, read_at: i64) -> i64 {
        read_at.saturating_add(self.future_skew_max_us)
    }

    pub(crate) fn bug(&self, error: &ArrowError) -> SourceError {
        SourceError::Bug { source_name: self.source_name.clone(), reason: error.to_string() }
    }
}

/// Where a block's records come from.
#[derive(Debug, Clone, Default)]
pub(crate) struct BlockOrigin {
    pub(crate) partition: u32,
    pub(crate) partition_name: Arc<str>,
    pub(crate) read_at: i64,
}

/// A value that does not come from the record itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CarriedValue {
    Null,
    /// Microseconds.
    Time(i64),
    /// A range of the buffer.
    Text(usize, usize),
}

/// Values of the open row that do not come from the record itself.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    values: Vec<(usize, CarriedValue)>,
    bytes: Vec<u8>,
}

impl Carried {
    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.bytes.clear();
    }

    /// The value of a column: `text`, or without one `value`.
    pub(crate) fn push(&mut self, column: usize, value: CarriedValue, text: Option<&[u8]>) {
        let value = text.map_or(value, |text| {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(text);
            CarriedValue::Text(start, self.bytes.len())
        });
        self.values.push((column, value));
    }

    /// Puts the values into the columns' row `row`, over what the record says.
    fn fill(&self, columns: &mut [Column], row: usize) -> Result<(), Fault> {
        for (column, value) in &self.values {
            let column = &mut columns[*column];
            column.truncate(row);
            match value {
                CarriedValue::Null => column.push_null(),
                CarriedValue::Time(us) => column.push_micros(*us)?,
                CarriedValue::Text(start, end) => {
                    let text = std::str::from_utf8(&self.bytes[*start..*end]).map_err(|_| {
                        Fault::new(reason::MALFORMED, format!("{}: not UTF-8", column.name))
                    })?;
                    column.push_text(text, Written::Text)?;
                }
            }
        }
        Ok(())
    }
}

/// The rows and rejected rows of one block.
#[derive(Debug)]
pub(crate) struct RowSink {
    pub(crate) carried: Carried,
    pub(crate) rules: Arc<RowRules>,
    pub(crate) columns: Vec<Column>,
    offsets: Vec<i64>,
    dead: DeadLetters,
    pub(crate) origin: BlockOrigin,
    latest_time: i64,
}

impl RowSink {
    pub(crate) fn new(rules: Arc<RowRules>) -> Result<Self, ArrowError> {
        let columns = rules.schema.schema.fields()[..rules.user_columns()]
            .iter()
            .enumerate()
            .map(|(i, f)| {
                let format = if i == rules.schema.event_time {
                    rules.event_time_format.clone()
                } else {
                    TimeFormat::Auto
                };
                let column = Column::new(f.name(), f.data_type(), format)?;
                Ok(if rules.inferred { column.inferred() } else { column })
            })
            .collect::<Result<_, ArrowError>>()?;
        Ok(Self {
            carried: Carried::default(),
            rules,
            columns,
            offsets: Vec::new(),
            dead: DeadLetters::default(),
            origin: BlockOrigin::default(),
            latest_time: i64::MAX,
        })
    }

    /// Begins a block of about `rows` rows.
    pub(crate) fn begin(&mut self, origin: BlockOrigin, rows: usize) {
        debug_assert!(
            self.offsets.is_empty() && self.dead.is_empty(),
            "the last block was finished"
        );
        self.latest_time = self.rules.latest_time(origin.read_at).min(LATEST_US);
        self.origin = origin;
        self.offsets.reserve(rows);
        for column in &mut self.columns {
            column.reserve(rows);
        }
    }

    /// Rows so far.
    #[inline]
    pub(crate) fn row(&self) -> usize {
        self.offsets.len()
    }

    /// Rows and rejected rows so far.
    pub(crate) fn records(&self) -> usize {
        self.offsets.len() + self.dead.len()
    }

    /// Drops what was pushed of the open row.
    pub(crate) fn undo_row(&mut self) {
        let row = self.row();
        for column in &mut self.columns {
            column.truncate(row);
        }
    }

    /// Drops the rows from `row` on, and what was pushed of the open one.
    pub(crate) fn undo_rows(&mut self, row: usize) {
        self.offsets.truncate(row);
        self.undo_row();
    }

    /// Ends the open row: fills what it lacks with nulls and checks its event time.
    #[inline]
    pub(crate) fn end_row(&mut self, offset: i64, record: &[u8]) {
        self.end_row_with(offset, || record);
    }

    /// As [`Self::end_row`], for a record that is written only when it is rejected.
    #[inline]
    pub(crate) fn end_row_with<R: AsRef<[u8]>>(&mut self, offset: i64, record: impl FnOnce() -> R) {
        let row = self.row();
        if let Err(fault) = self.carried.fill(&mut self.columns, row) {
            self.undo_row();
            return self.reject(offset, record().as_ref(), &fault, None);
        }
        for column in &mut self.columns {
            if column.len() == row {
                column.push_null();
            }
        }
        let column = &self.columns[self.rules.schema.event_time];
        let time = column.last_time();
        if time.is_some_and(|us| us >= EARLIEST_US && us <= self.latest_time) {
            self.offsets.push(offset);
            return;
        }
        match check_event_time(&column.name, time, self.latest_time) {
            Ok(()) => self.offsets.push(offset),
            Err(fault) => {
                self.undo_row();
                self.reject(offset, record().as_ref(), &fault, time);
            }
        }
    }

    pub(crate) fn reject(
        &mut self,
        offset: i64,
        record: &[u8],
        fault: &Fault,
        event_time: Option<i64>,
    ) {
        let source = &self.rules.source_name;
        self.dead.push(
            source,
            &self.origin.partition_name,
            offset,
            fault.reason,
            &fault.detail,
            record,
            event_time,
        );
    }

    /// The block's rows, leaving this empty.
    pub(crate) fn finish(&mut self) -> Result<Decoded, SourceError> {
        let arrays = self.columns.iter_mut().map(Column::finish).collect::<Result<Vec<_>, _>>();
        let rules = Arc::clone(&self.rules);
        let rows = arrays
            .and_then(|arrays| {
                with_system_columns(
                    &rules,
                    arrays,
                    self.origin.partition,
                    std::mem::take(&mut self.offsets),
                )
            })
            .map_err(|e| rules.bug(&e))?;
        Ok(Decoded { rows, rejected: (!self.dead.is_empty()).then(|| self.dead.finish()) })
    }
}

/// A batch of the source's schema from the user's columns.
pub(crate) fn with_system_columns(
    rules: &RowRules,
    mut columns: Vec<ArrayRef>,
    partition: u32,
    offsets: Vec<i64>,
) -> Result<RecordBatch, ArrowError> {
    let rows = offsets.len();
    columns.push(Arc::new(UInt32Array::from_value(partition, rows)));
    columns.push(Arc::new(Int64Array::from(offsets)));
    columns.push(Arc::new(BooleanArray::new(BooleanBuffer::new_unset(rows), None)));
    RecordBatch::try_new(Arc::clone(&rules.schema.schema), columns)
}
