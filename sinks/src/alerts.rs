//! The alerts table's stable ids: the same row of the same pipeline and sink has the same id in
//! every run and on every machine.
//!
//! An id is the 128-bit XXH3 of the pipeline's name, the sink's id and the row's identity values,
//! each with its length or type, as 32 hexadecimal digits. Integers of all widths hash alike, so
//! that widening a column does not rename alerts.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, new_empty_array,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::compute::kernels::zip::zip;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use xxhash_rust::xxh3::xxh3_128;

use crate::error::SinkError;

/// What makes an alert's id.
#[derive(Debug, Clone)]
pub struct AlertIdentity {
    /// The pipeline's name.
    pub pipeline: String,
    /// The columns that tell rows apart.
    pub columns: Vec<String>,
    /// Set where rows are windows of which some are sessions.
    pub sessions: Option<SessionIdentity>,
}

/// A session is known by its start, since its end moves; every other window by its end.
#[derive(Debug, Clone)]
pub struct SessionIdentity {
    /// The column that says which kind of window a row is.
    pub window: String,
    /// What it begins with for a session.
    pub prefix: String,
    /// The column of a window's start.
    pub start: String,
    /// The column of a window's end, one of [`AlertIdentity::columns`].
    pub end: String,
}

impl AlertIdentity {
    /// All columns that an id is made from.
    pub fn needed(&self) -> impl Iterator<Item = &str> {
        let sessions = self.sessions.iter().flat_map(|s| [s.window.as_str(), s.start.as_str()]);
        self.columns.iter().map(String::as_str).chain(sessions)
    }
}

/// The name of the id column, the first of an alerts table.
pub const ALERT_ID_COLUMN: &str = "alert_id";
const ID_CHARS: usize = 32;

/// The columns of an alerts table: the id, then the rows' own.
///
/// # Errors
/// The rows have an `alert_id` already.
pub fn alert_schema(rows: &Schema) -> Result<SchemaRef, SinkError> {
    if rows.field_with_name(ALERT_ID_COLUMN).is_ok() {
        return Err(SinkError::Arrow(ArrowError::SchemaError(format!(
            "the rows have a column '{ALERT_ID_COLUMN}', which is the alerts table's own: rename it"
        ))));
    }
    let id = Arc::new(Field::new(ALERT_ID_COLUMN, DataType::Utf8, false));
    let fields: Vec<_> = std::iter::once(id).chain(rows.fields().iter().cloned()).collect();
    Ok(Arc::new(Schema::new(fields)))
}

/// The rows with their ids in front; `schema` is that of [`alert_schema`].
///
/// # Errors
/// As [`alert_ids`], or another schema.
pub fn with_alert_ids(
    schema: &SchemaRef,
    sink: &str,
    identity: &AlertIdentity,
    rows: &RecordBatch,
) -> Result<RecordBatch, SinkError> {
    let ids: ArrayRef = Arc::new(identity_ids(sink, identity, rows)?);
    let columns = std::iter::once(ids).chain(rows.columns().iter().cloned()).collect();
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}

/// One id per row, as [`alert_ids`], of windows with what each is known by.
pub(crate) fn identity_ids(
    sink: &str,
    identity: &AlertIdentity,
    rows: &RecordBatch,
) -> Result<StringArray, SinkError> {
    match &identity.sessions {
        Some(sessions) => alert_ids(
            &identity.pipeline,
            sink,
            &identity.columns,
            &by_session_start(rows, sessions)?,
        ),
        None => alert_ids(&identity.pipeline, sink, &identity.columns, rows),
    }
}

/// The rows with a session's start in the place of its end.
fn by_session_start(
    rows: &RecordBatch,
    sessions: &SessionIdentity,
) -> Result<RecordBatch, SinkError> {
    let column = |name: &str| {
        rows.column_by_name(name).ok_or_else(|| {
            ArrowError::SchemaError(format!("no column '{name}' for the ids of sessions' alerts"))
        })
    };
    let kinds = cast(column(&sessions.window)?, &DataType::Utf8)?;
    let is_session: BooleanArray = kinds
        .as_string::<i32>()
        .iter()
        .map(|kind| Some(kind.is_some_and(|kind| kind.starts_with(&sessions.prefix))))
        .collect();
    let known_by = zip(&is_session, column(&sessions.start)?, column(&sessions.end)?)?;
    let end = rows.schema_ref().index_of(&sessions.end)?;
    let mut columns = rows.columns().to_vec();
    columns[end] = known_by;
    let fields: Vec<Field> =
        rows.schema_ref().fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// One id per row, from the values in `identity_columns`. Rows that agree in these have the same
/// id.
///
/// # Errors
/// A column is missing, or has a type without identity (lists and the like).
pub fn alert_ids(
    pipeline: &str,
    sink: &str,
    identity_columns: &[String],
    rows: &RecordBatch,
) -> Result<StringArray, SinkError> {
    let columns = identity_columns
        .iter()
        .map(|name| {
            let column = rows.column_by_name(name).ok_or_else(|| {
                ArrowError::SchemaError(format!("no identity column '{name}' for alert ids"))
            })?;
            IdentityColumn::new(name, column)
        })
        .collect::<Result<Vec<_>, ArrowError>>()?;

    let mut key = Vec::with_capacity(256);
    push_bytes(&mut key, pipeline.as_bytes());
    push_bytes(&mut key, sink.as_bytes());
    let prefix = key.len();

    let mut text = Vec::with_capacity(rows.num_rows() * ID_CHARS);
    for row in 0..rows.num_rows() {
        key.truncate(prefix);
        for column in &columns {
            column.push(row, &mut key);
        }
        push_hex(&mut text, xxh3_128(&key));
    }
    let too_long = || ArrowError::InvalidArgumentError("more than 2 GiB of alert ids".into());
    let offsets = (0..=rows.num_rows())
        .map(|row| i32::try_from(row * ID_CHARS).map_err(|_| too_long()))
        .collect::<Result<Vec<i32>, ArrowError>>()?;
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(StringArray::try_new(offsets, Buffer::from_vec(text), None)?)
}

/// An identity column in the one form of its kind.
enum IdentityColumn {
    Integer(ArrayRef),
    Float(ArrayRef),
    Decimal(ArrayRef, i8),
    Timestamp(ArrayRef),
    Date(ArrayRef),
    Boolean(ArrayRef),
    Text(ArrayRef),
}

impl IdentityColumn {
    fn new(name: &str, column: &ArrayRef) -> Result<Self, ArrowError> {
        let as_type = |data_type: DataType| cast(column, &data_type);
        let plain = match column.data_type() {
            DataType::Dictionary(_, value) => value.as_ref(),
            other => other,
        };
        Ok(match plain {
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32 => Self::Integer(as_type(DataType::Int64)?),
            DataType::Float32 | DataType::Float64 => Self::Float(as_type(DataType::Float64)?),
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale) => {
                Self::Decimal(as_type(DataType::Decimal128(*precision, *scale))?, *scale)
            }
            DataType::Timestamp(_, zone) => {
                Self::Timestamp(as_type(DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?)
            }
            DataType::Date32 => Self::Date(as_type(DataType::Date32)?),
            DataType::Boolean => Self::Boolean(as_type(DataType::Boolean)?),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Self::Text(as_type(DataType::Utf8)?)
            }
            DataType::Null => Self::Text(new_empty_array(&DataType::Utf8)),
            other => {
                return Err(ArrowError::SchemaError(format!(
                    "column '{name}' of type {other} can't identify an alert: use an integer, \
                     string, decimal, timestamp, date or boolean column"
                )));
            }
        })
    }

    fn push(&self, row: usize, key: &mut Vec<u8>) {
        const NULL: u8 = 0;
        let array = match self {
            Self::Integer(array)
            | Self::Float(array)
            | Self::Decimal(array, _)
            | Self::Timestamp(array)
            | Self::Date(array)
            | Self::Boolean(array)
            | Self::Text(array) => array,
        };
        if row >= array.len() || array.is_null(row) {
            key.push(NULL);
            return;
        }
        match self {
            Self::Integer(array) => {
                key.push(1);
                key.extend(array.as_primitive::<Int64Type>().value(row).to_le_bytes());
            }
            Self::Float(array) => {
                key.push(2);
                // Adding zero turns -0.0 into 0.0, which compares equal and so has to hash alike.
                let value = array.as_primitive::<Float64Type>().value(row) + 0.0;
                key.extend(value.to_bits().to_le_bytes());
            }
            Self::Decimal(array, scale) => {
                key.push(3);
                key.extend(scale.to_le_bytes());
                key.extend(array.as_primitive::<Decimal128Type>().value(row).to_le_bytes());
            }
            Self::Timestamp(array) => {
                key.push(4);
                key.extend(
                    array.as_primitive::<TimestampMicrosecondType>().value(row).to_le_bytes(),
                );
            }
            Self::Date(array) => {
                key.push(5);
                key.extend(array.as_primitive::<Date32Type>().value(row).to_le_bytes());
            }
            Self::Boolean(array) => {
                key.push(6);
                key.push(array.as_boolean().value(row).into());
            }
            Self::Text(array) => {
                key.push(7);
                push_bytes(key, array.as_string::<i32>().value(row).as_bytes());
            }
        }
    }
}

fn push_bytes(key: &mut Vec<u8>, bytes: &[u8]) {
    key.extend((bytes.len() as u64).to_le_bytes());
    key.extend(bytes);
}

fn push_hex(text: &mut Vec<u8>, hash: u128) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in hash.to_be_bytes() {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 0xf)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int32Array, Int64Array};

    fn rows(ids: ArrayRef, names: Vec<Option<&str>>) -> RecordBatch {
        let schema = Schema::new(vec![
            Field::new("id", ids.data_type().clone(), true),
            Field::new("name", DataType::Utf8, true),
        ]);
        RecordBatch::try_new(Arc::new(schema), vec![ids, Arc::new(StringArray::from(names))])
            .expect("a valid batch")
    }

    fn identity() -> Vec<String> {
        vec!["id".into(), "name".into()]
    }

    #[test]
    fn ids_are_the_same_in_every_release() {
        let batch = rows(Arc::new(Int64Array::from(vec![1])), vec![Some("a")]);
        let ids = alert_ids("p", "s", &identity(), &batch).expect("ids");
        assert_eq!(ids.value(0), "ca56965afb61638a1501d9809f678e8f");
    }

    #[test]
    fn ids_differ_by_value_null_pipeline_and_sink_but_not_by_width() {
        let long =
            rows(Arc::new(Int64Array::from(vec![1, 1, 2])), vec![Some("a"), None, Some("a")]);
        let short =
            rows(Arc::new(Int32Array::from(vec![1, 1, 2])), vec![Some("a"), None, Some("a")]);
        let ids = alert_ids("p", "s", &identity(), &long).expect("ids");
        assert_eq!(ids, alert_ids("p", "s", &identity(), &short).expect("ids"));
        let other = alert_ids("p", "s2", &identity(), &long).expect("ids");
        let mut all: Vec<&str> = ids.iter().chain(other.iter()).flatten().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 6);
    }

    #[test]
    fn neighboring_strings_do_not_run_together() {
        let left = rows(Arc::new(StringArray::from(vec!["ab"])), vec![Some("c")]);
        let right = rows(Arc::new(StringArray::from(vec!["a"])), vec![Some("bc")]);
        assert_ne!(
            alert_ids("p", "s", &identity(), &left).expect("ids"),
            alert_ids("p", "s", &identity(), &right).expect("ids")
        );
    }

    #[test]
    fn a_session_keeps_its_id_while_its_end_moves_and_other_windows_are_known_by_their_end() {
        let times = |times: Vec<Option<i64>>| -> ArrayRef {
            Arc::new(arrow::array::TimestampMicrosecondArray::from(times).with_timezone("UTC"))
        };
        let batch = RecordBatch::try_from_iter([
            (
                "window",
                Arc::new(StringArray::from(vec![
                    "session 30m",
                    "session 30m",
                    "session 30m",
                    "always by 1d",
                    "always by 1d",
                ])) as ArrayRef,
            ),
            ("window_start", times(vec![Some(1), Some(1), Some(2), None, None])),
            ("window_end", times(vec![Some(10), Some(20), Some(20), Some(10), Some(20)])),
        ])
        .expect("a batch");
        let identity = AlertIdentity {
            pipeline: "p".into(),
            columns: vec!["window".into(), "window_end".into()],
            sessions: Some(SessionIdentity {
                window: "window".into(),
                prefix: "session ".into(),
                start: "window_start".into(),
                end: "window_end".into(),
            }),
        };
        let schema = alert_schema(batch.schema_ref()).expect("a schema");
        let rows = with_alert_ids(&schema, "s", &identity, &batch).expect("ids");
        let ids = rows.column(0).as_string::<i32>();
        assert_eq!(ids.value(0), ids.value(1));
        for (one, other) in [(1, 2), (3, 4), (0, 3), (2, 4)] {
            assert_ne!(ids.value(one), ids.value(other), "{one} and {other}");
        }
        // The rows themselves are as they were.
        assert_eq!(rows.column_by_name("window_end"), batch.column_by_name("window_end"));
        assert!(identity.needed().any(|column| column == "window_start"));
    }

    #[test]
    fn a_missing_identity_column_is_named() {
        let batch = rows(Arc::new(Int64Array::from(vec![1])), vec![None]);
        let error = alert_ids("p", "s", &["nope".into()], &batch).expect_err("no such column");
        assert!(error.to_string().contains("'nope'"), "{error}");
        assert!(alert_schema(alert_schema(batch.schema_ref()).expect("new").as_ref()).is_err());
    }
}
