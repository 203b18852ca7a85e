//! Rows into messages: the batch of messages that an epoch's outbox carries.
//!
//! A message's value is a JSON object of the row's columns: numbers and decimals with their exact
//! digits, timestamps as RFC 3339 in UTC, nulls as null. Encoded once, on the worker: what is
//! delivered again after a crash is the same, byte for byte.

use super::spec::{KafkaSinkSpec, MESSAGE_ID_HEADER};
use super::timestamps::Timestamps;
use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef, BinaryArray, BinaryBuilder, RecordBatch, StructArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, UInt32Type};
use arrow::error::ArrowError;
use arrow::json::writer::{EncoderOptions, make_encoder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use std::io::Write as _;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

/// The key's column in a batch of messages, the value's, and the first header's.
const KEY: usize = 0;
const VALUE: usize = 1;
const HEADERS: usize = 2;
const TIMESTAMP_FORMAT: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";

/// The columns of a batch of messages: `key`, `value`, then the headers by name.
pub(crate) fn message_schema(spec: &KafkaSinkSpec, with_ids: bool) -> SchemaRef {
    let mut fields = vec![
        Field::new("key", DataType::Binary, true),
        Field::new("value", DataType::Binary, false),
    ];
    fields.extend(spec.headers.iter().map(|(name, _)| Field::new(name, DataType::Binary, true)));
    if with_ids {
        fields.push(Field::new(MESSAGE_ID_HEADER, DataType::Binary, true));
    }
    Arc::new(Schema::new(fields))
}

/// Whether a batch is one of messages; what an earlier run left may be rows of a destination of
/// another kind.
pub(crate) fn are_messages(rows: &RecordBatch) -> bool {
    let fields = rows.schema_ref().fields();
    let is =
        |column: usize, name: &str| fields.get(column).is_some_and(|field| field.name() == name);
    is(KEY, "key")
        && is(VALUE, "value")
        && fields.iter().all(|field| *field.data_type() == DataType::Binary)
}

/// Encodes rows of the pipeline.
pub(crate) fn encode(
    spec: &KafkaSinkSpec,
    with_ids: bool,
    rows: &RecordBatch,
) -> Result<RecordBatch, ArrowError> {
    let projected =
        spec.projection.apply(rows).map_err(|e| ArrowError::ExternalError(Box::new(e)))?;
    let objects = StructArray::from(projected);
    let field = Arc::new(Field::new("row", objects.data_type().clone(), false));
    let options = EncoderOptions::default()
        .with_explicit_nulls(true)
        .with_timestamp_format(TIMESTAMP_FORMAT.to_owned())
        .with_timestamp_tz_format(TIMESTAMP_FORMAT.to_owned())
        .with_encoder_factory(Arc::new(Timestamps));
    let mut encoder = make_encoder(&field, &objects, &options)?;
    let mut values = BinaryBuilder::with_capacity(rows.num_rows(), rows.num_rows() * 128);
    let mut text = Vec::new();
    for row in 0..rows.num_rows() {
        text.clear();
        encoder.encode(row, &mut text);
        values.append_value(&text);
    }
    let values = values.finish();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(HEADERS + spec.headers.len() + 1);
    columns.push(match spec.key {
        Some(key) => Arc::new(texts(rows.column(key))?),
        None => Arc::new(BinaryArray::new_null(rows.num_rows())),
    });
    columns.push(Arc::new(values));
    for (_, column) in &spec.headers {
        columns.push(Arc::new(texts(rows.column(*column))?));
    }
    if with_ids {
        let ids = ids(spec, rows, columns[VALUE].as_binary::<i32>());
        columns.push(Arc::new(ids));
    }
    RecordBatch::try_new(message_schema(spec, with_ids), columns)
}

/// A column's values as text.
fn texts(column: &ArrayRef) -> Result<BinaryArray, ArrowError> {
    if let Some(text) = column.as_string_opt::<i32>() {
        return Ok(BinaryArray::from_iter(text.iter().map(|t| t.map(str::as_bytes))));
    }
    let options = FormatOptions::new()
        .with_timestamp_tz_format(Some(TIMESTAMP_FORMAT))
        .with_timestamp_format(Some(TIMESTAMP_FORMAT));
    let formatter = ArrayFormatter::try_new(column, &options)?;
    let mut builder = BinaryBuilder::new();
    for row in 0..column.len() {
        if column.is_null(row) {
            builder.append_null();
        } else {
            // Room for the text is the only thing that could fail, and memory does not.
            let _written = write!(builder, "{}", formatter.value(row));
            builder.append_value(b"");
        }
    }
    Ok(builder.finish())
}

/// An id per message, made from the partition and offset of its row, or from the message's content
/// for rows without them (such as windows).
fn ids(spec: &KafkaSinkSpec, rows: &RecordBatch, values: &BinaryArray) -> BinaryArray {
    let origin = spec.origin.and_then(|(partition, offset)| {
        Some((
            rows.column(partition).as_primitive_opt::<UInt32Type>()?,
            rows.column(offset).as_primitive_opt::<Int64Type>()?,
        ))
    });
    BinaryArray::from_iter_values((0..rows.num_rows()).map(|row| match origin {
        Some((partitions, offsets)) => {
            format!("{}-{}", partitions.value(row), offsets.value(row)).into_bytes()
        }
        None => format!("{:032x}", xxh3_128(values.value(row))).into_bytes(),
    }))
}

/// One message of a batch of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageRow<'a> {
    batch: &'a RecordBatch,
    row: usize,
}

impl<'a> MessageRow<'a> {
    /// The messages of a batch that [`encode`] made.
    pub(crate) fn all(batch: &'a RecordBatch) -> impl Iterator<Item = Self> {
        (0..batch.num_rows()).map(move |row| Self { batch, row })
    }

    fn part(&self, column: usize) -> Option<&'a [u8]> {
        let array = self.batch.column(column).as_binary_opt::<i32>()?;
        (!array.is_null(self.row)).then(|| array.value(self.row))
    }

    pub(crate) fn key(&self) -> Option<&'a [u8]> {
        self.part(KEY)
    }

    pub(crate) fn value(&self) -> &'a [u8] {
        self.part(VALUE).unwrap_or_default()
    }

    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> {
        let schema = self.batch.schema_ref();
        (HEADERS..self.batch.num_columns())
            .map(|column| (schema.field(column).name().as_str(), self.part(column)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::Projection;
    use arrow::array::{
        BooleanArray, Decimal128Array, Float64Array, Int64Array, StringArray,
        TimestampMicrosecondArray, UInt32Array,
    };

    fn rows() -> RecordBatch {
        let time = TimestampMicrosecondArray::from(vec![Some(1_522_540_800_000_001), None])
            .with_timezone("UTC");
        let amount = Decimal128Array::from(vec![
            Some(123_456_789_012_345_678_901_234_567_890_i128),
            Some(-5),
        ])
        .with_precision_and_scale(38, 2);
        RecordBatch::try_from_iter(vec![
            ("user", Arc::new(StringArray::from(vec![Some("a\"\n"), None])) as ArrayRef),
            ("amount", Arc::new(amount.expect("a decimal"))),
            ("at", Arc::new(time)),
            ("ok", Arc::new(BooleanArray::from(vec![true, false]))),
            ("score", Arc::new(Float64Array::from(vec![0.1, f64::NAN]))),
            ("_source_partition", Arc::new(UInt32Array::from(vec![3, 3]))),
            ("_source_offset", Arc::new(Int64Array::from(vec![7, 8]))),
        ])
        .expect("a batch")
    }

    fn spec(rows: &RecordBatch) -> KafkaSinkSpec {
        let columns: Vec<_> = ["user", "amount", "at", "ok", "score"]
            .iter()
            .map(|c| ((*c).to_owned(), (*c).to_owned()))
            .collect();
        KafkaSinkSpec {
            id: "out".into(),
            brokers: "127.0.0.1:1".into(),
            topic: "t".into(),
            key: Some(1),
            headers: vec![("who".into(), 0)],
            projection: Projection::new(&rows.schema(), &columns).expect("the columns are there"),
            settings: Vec::new(),
            name: "n".into(),
            identity: "identity".into(),
            origin: Some((5, 6)),
        }
    }

    #[test]
    fn rows_become_objects_with_exact_digits() {
        let rows = rows();
        let messages = encode(&spec(&rows), true, &rows).expect("encodable");
        let all: Vec<_> = MessageRow::all(&messages).collect();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        assert_eq!(
            text(all[0].value()),
            concat!(
                r#"{"user":"a\"\n","amount":1234567890123456789012345678.90,"#,
                r#""at":"2018-04-01T00:00:00.000001Z","ok":true,"score":0.1}"#
            )
        );
        assert_eq!(
            text(all[1].value()),
            r#"{"user":null,"amount":-0.05,"at":null,"ok":false,"score":null}"#
        );
        assert_eq!(all[0].key().map(text), Some("1234567890123456789012345678.90".into()));
        assert_eq!(
            all[0].headers().map(|(n, v)| (n, v.map(text))).collect::<Vec<_>>(),
            [("who", Some("a\"\n".into())), (MESSAGE_ID_HEADER, Some("3-7".into()))]
        );
        assert_eq!(all[1].headers().next(), Some(("who", None)));
    }

    #[test]
    fn rows_from_nowhere_in_particular_are_known_by_what_they_say() {
        let rows = rows();
        let spec = KafkaSinkSpec { origin: None, ..spec(&rows) };
        let id = |row: usize| {
            let messages = encode(&spec, true, &rows).expect("encodable");
            MessageRow::all(&messages)
                .nth(row)
                .and_then(|m| m.headers().last().and_then(|(_, v)| v.map(<[u8]>::to_vec)))
        };
        assert_eq!(id(0), id(0));
        assert_ne!(id(0), id(1));
    }
}
