//! The columns that the engine adds to every row, and the shape of a dead letter.

use arrow::array::{
    ArrayRef, BinaryBuilder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use std::sync::{Arc, LazyLock};

/// `_source_partition`, UInt32: the number of the row's partition within its source (its place in
/// the committed partition list).
pub const SOURCE_PARTITION: &str = "_source_partition";
/// `_source_offset`, Int64: the row's position in its partition: a byte offset in text files (after
/// decompression), Kafka's offset in topics, a row number in Parquet, generators and PostgreSQL.
pub const SOURCE_OFFSET: &str = "_source_offset";
/// `_late`, Boolean: the row was behind the watermark when it arrived, and was applied all the
/// same.
pub const LATE: &str = "_late";
/// Reason code of a late row in the dead-letter table.
pub const REASON_LATE: &str = "late";
/// Reason code in the dead-letter table for a value that overflows its column's type. Its row is
/// kept, with null in place of the value.
pub const REASON_OVERFLOW: &str = "overflow";

/// Whether the engine, not the user, owns the column.
#[must_use]
pub fn is_system_column(name: &str) -> bool {
    matches!(name, SOURCE_PARTITION | SOURCE_OFFSET | LATE)
}

/// The rows of a source: the user's columns, then `_source_partition`, `_source_offset`, `_late`.
#[derive(Debug, Clone)]
pub struct SourceSchema {
    /// All columns, the three system columns last.
    pub schema: SchemaRef,
    /// The event time column: Timestamp(Microsecond, "UTC"), never null.
    pub event_time: usize,
    /// Columns that order rows with equal event time, before the source position does.
    pub ties: Vec<usize>,
}

impl SourceSchema {
    /// Appends the system columns to `user` columns.
    ///
    /// # Errors
    /// When a named column is missing, or the event time is not Timestamp(Microsecond, UTC).
    pub fn new(user: &Schema, event_time: &str, ties: &[String]) -> Result<Self, ArrowError> {
        let mut fields: Vec<_> = user.fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new(SOURCE_PARTITION, DataType::UInt32, false)));
        fields.push(Arc::new(Field::new(SOURCE_OFFSET, DataType::Int64, false)));
        fields.push(Arc::new(Field::new(LATE, DataType::Boolean, false)));
        let schema = Arc::new(Schema::new(fields));
        let time = schema.index_of(event_time)?;
        match schema.field(time).data_type() {
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {}
            other => {
                return Err(ArrowError::SchemaError(format!(
                    "event time column {event_time} is {other}, not a timestamp"
                )));
            }
        }
        let ties = ties.iter().map(|t| schema.index_of(t)).collect::<Result<_, _>>()?;
        Ok(Self { schema, event_time: time, ties })
    }
}

static DEAD_LETTER_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("source", DataType::Utf8, false),
        Field::new("partition", DataType::Utf8, false),
        Field::new("offset", DataType::Int64, false),
        Field::new("reason", DataType::Utf8, false),
        Field::new("detail", DataType::Utf8, false),
        Field::new("bytes", DataType::Binary, true),
        Field::new(
            "event_time",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
    ]))
});

/// Columns of the dead-letter table: `source`, `partition` (its name, e.g. a file's path; for a row
/// that a step rejects, the partition's number), `offset`, `reason` (a short code such as
/// `malformed`, `type`, `null`, `impossible`, `future`, `late`, `overflow`), `detail` (a sentence),
/// `bytes` (the original record), `event_time` (when known).
#[must_use]
pub fn dead_letter_schema() -> SchemaRef {
    Arc::clone(&DEAD_LETTER_SCHEMA)
}

/// Builds dead-letter rows.
#[derive(Debug, Default)]
pub struct DeadLetters {
    source: StringBuilder,
    partition: StringBuilder,
    offset: Int64Builder,
    reason: StringBuilder,
    detail: StringBuilder,
    bytes: BinaryBuilder,
    event_time: TimestampMicrosecondBuilder,
    rows: usize,
}

impl DeadLetters {
    /// Adds one row; `event_time` in microseconds, when it is known.
    #[allow(clippy::too_many_arguments, reason = "one argument per column of the table")]
    pub fn push(
        &mut self,
        source: &str,
        partition: &str,
        offset: i64,
        reason: &str,
        detail: &str,
        bytes: &[u8],
        event_time: Option<i64>,
    ) {
        self.source.append_value(source);
        self.partition.append_value(partition);
        self.offset.append_value(offset);
        self.reason.append_value(reason);
        self.detail.append_value(detail);
        self.bytes.append_value(bytes);
        self.event_time.append_option(event_time);
        self.rows += 1;
    }

    /// Rows so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The rows as a batch of [`dead_letter_schema`], leaving the builder empty.
    pub fn finish(&mut self) -> RecordBatch {
        self.rows = 0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.source.finish()),
            Arc::new(self.partition.finish()),
            Arc::new(self.offset.finish()),
            Arc::new(self.reason.finish()),
            Arc::new(self.detail.finish()),
            Arc::new(self.bytes.finish()),
            Arc::new(self.event_time.finish().with_timezone("UTC")),
        ];
        RecordBatch::try_new(dead_letter_schema(), columns)
            .expect("the builders are the schema's columns, all of one length")
    }
}
