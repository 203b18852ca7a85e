//! Where a decoder's rows go: columns under construction on one side, dead letters on the other.

use crate::decode::civil::{EARLIEST_US, LATEST_US};
use crate::decode::column::{Column, Fault, Written, check_event_time};
use crate::decode::forms::ValueForms;
use crate::decode::reason;
use crate::decode::time::TimeFormat;
use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::DataType;
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
    pub(crate) reading: Reading,
}

/// How the columns of a source are found and read, where not as usual.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    pub(crate) forms: ValueForms,
    /// The columns that the event time is made of: those of the schema, by name, and others of the
    /// input. None: it is a column of the input itself.
    pub(crate) time_parts: Vec<String>,
}

impl RowRules {
    /// The same for rows that the program has written as JSON: under the columns' own names, and
    /// times in one form, whatever the source's is.
    pub(crate) fn of_rewritten(&self) -> Self {
        let mut rules = self.clone();
        for (_, form) in &mut rules.reading.forms.columns {
            form.from = None;
            form.format = form.format.take().map(|format| rewritten(&format));
        }
        rules.event_time_format = rewritten(&self.event_time_format);
        rules
    }

    /// The name of a user's column in the input; none: it is made of others.
    pub(crate) fn input(&self, index: usize) -> Option<&str> {
        let is_made = index == self.schema.event_time && !self.reading.time_parts.is_empty();
        let name = self.schema.schema.field(index).name();
        (!is_made).then(|| self.reading.forms.input(name))
    }

    /// How the times of a user's column are written.
    pub(crate) fn format(&self, index: usize) -> &TimeFormat {
        const AUTO: &TimeFormat = &TimeFormat::Auto;
        if index == self.schema.event_time {
            return &self.event_time_format;
        }
        let form = self.reading.forms.column(self.schema.schema.field(index).name());
        form.and_then(|form| form.format.as_ref()).unwrap_or(AUTO)
    }

    /// A user's column, with nothing in it.
    pub(crate) fn column(&self, index: usize) -> Result<Column, ArrowError> {
        let field = self.schema.schema.field(index);
        let column = Column::new(field.name(), field.data_type(), self.format(index).clone())?
            .named(self.input(index))
            .in_forms(&self.reading.forms);
        Ok(if self.inferred { column.inferred() } else { column })
    }

    /// Columns of the input that only the event time is made of. They follow the user's.
    pub(crate) fn hidden_parts(&self) -> impl Iterator<Item = &str> {
        let fields = &self.schema.schema.fields()[..self.user_columns()];
        self.reading
            .time_parts
            .iter()
            .filter(|part| !fields.iter().any(|field| field.name() == *part))
            .map(String::as_str)
    }

    /// The names in the input of all columns that are read: the user's, and the hidden ones.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = Option<&str>> {
        let user = (0..self.user_columns()).map(|index| self.input(index));
        user.chain(self.hidden_parts().map(Some))
    }

    /// Why the columns can't be read so.
    pub(crate) fn check(&self) -> Result<(), String> {
        let fields = &self.schema.schema.fields()[..self.user_columns()];
        for part in &self.reading.time_parts {
            if let Some(field) = fields.iter().find(|field| field.name() == part)
                && field.data_type() != &DataType::Utf8
            {
                return Err(format!(
                    "column {part}, of which the event time is made, is not a string"
                ));
            }
        }
        let mut seen: Vec<&str> = Vec::new();
        for input in self.inputs().flatten() {
            if seen.contains(&input) {
                return Err(format!("two columns are read from {input}"));
            }
            seen.push(input);
        }
        Ok(())
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

/// The format of times in rows that the program has written.
fn rewritten(format: &TimeFormat) -> TimeFormat {
    match format {
        TimeFormat::Local(local) => TimeFormat::Local(Box::new(local.auto())),
        TimeFormat::Auto
        | TimeFormat::Pattern(_)
        | TimeFormat::EpochSeconds
        | TimeFormat::EpochMillis
        | TimeFormat::EpochMicros => TimeFormat::Auto,
    }
}

/// An event time that is made of several columns.
#[derive(Debug)]
struct TimeParts {
    columns: Vec<usize>,
    text: String,
}

impl TimeParts {
    /// Puts the event time of the open row, which is `row`, into its column.
    fn fill(&mut self, columns: &mut [Column], row: usize, time: usize) -> Result<(), Fault> {
        self.text.clear();
        for (place, column) in self.columns.iter().enumerate() {
            let column = &columns[*column];
            // A part that the record lacks is null.
            let Some(text) = (column.len() > row).then(|| column.last_text()).flatten() else {
                return Ok(());
            };
            if place > 0 {
                self.text.push(' ');
            }
            self.text.push_str(text);
        }
        columns[time].truncate(row);
        columns[time].push_text(&self.text, Written::Text)
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
    /// The user's columns, and the hidden ones that the event time is made of.
    pub(crate) columns: Vec<Column>,
    parts: Option<Box<TimeParts>>,
    offsets: Vec<i64>,
    dead: DeadLetters,
    pub(crate) origin: BlockOrigin,
    latest_time: i64,
    /// The record as it came, where what is decoded is the same in another encoding.
    original: Vec<u8>,
    has_original: bool,
}

impl RowSink {
    pub(crate) fn new(rules: Arc<RowRules>) -> Result<Self, ArrowError> {
        let mut columns =
            (0..rules.user_columns()).map(|i| rules.column(i)).collect::<Result<Vec<_>, _>>()?;
        for part in rules.hidden_parts() {
            columns.push(Column::new(part, &DataType::Utf8, TimeFormat::Auto)?);
        }
        let parts = rules.reading.time_parts.iter();
        let of_time = parts.filter_map(|part| columns.iter().position(|c| c.name == *part));
        let of_time: Vec<usize> = of_time.collect();
        let parts = (!of_time.is_empty())
            .then(|| Box::new(TimeParts { columns: of_time, text: String::new() }));
        Ok(Self {
            carried: Carried::default(),
            rules,
            columns,
            parts,
            offsets: Vec::new(),
            dead: DeadLetters::default(),
            origin: BlockOrigin::default(),
            latest_time: i64::MAX,
            original: Vec::new(),
            has_original: false,
        })
    }

    /// What is decoded from here on stands for `original`, which a dead letter then holds.
    pub(crate) fn stand_for(&mut self, original: &[u8]) {
        self.original.clear();
        self.original.extend_from_slice(original);
        self.has_original = true;
    }

    /// What is decoded from here on is the record as it came.
    pub(crate) fn stand_for_nothing(&mut self) {
        self.has_original = false;
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
        if let Some(parts) = &mut self.parts
            && let Err(fault) = parts.fill(&mut self.columns, row, self.rules.schema.event_time)
        {
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
        let record = if self.has_original { &self.original } else { record };
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
        let rules = Arc::clone(&self.rules);
        let (user, hidden) = self.columns.split_at_mut(rules.user_columns());
        hidden.iter_mut().for_each(|column| column.truncate(0));
        let arrays = user.iter_mut().map(Column::finish).collect::<Result<Vec<_>, _>>();
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
