//! JSON: one array, or an object a line.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, FieldRef, Schema};
use arrow::error::ArrowError;
use arrow::json::writer::{
    Encoder, EncoderFactory, EncoderOptions, JsonFormat, LineDelimited, NullableEncoder, Writer,
    WriterBuilder,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::columns::Columns;
use super::error::FormatError;
use super::writer::{FormatSettings, RowWriter, Written};

const NAME: &str = "JSON";

/// Writes objects with the names of columns, told apart where one comes again. Numbers have all
/// their digits, also decimals and integers beyond 2^53; instants are texts in ISO 8601, bytes
/// hexadecimal digits, missing values null. What is no number of JSON's is a text, as PostgreSQL
/// does it: `"NaN"`, `"Infinity"`, `"-Infinity"`.
pub(super) struct JsonWriter<'a> {
    columns: Columns,
    form: Writing<'a>,
    failed: Failed,
    rows: u64,
}

enum Writing<'a> {
    Array(Writer<&'a mut dyn Write, Rows>),
    Lines(Writer<&'a mut dyn Write, LineDelimited>),
}

/// Where an encoder puts an error: it has no other way out.
type Failed = Arc<Mutex<Option<ArrowError>>>;

impl<'a> JsonWriter<'a> {
    /// An array, a row a line.
    pub(super) fn array(
        out: &'a mut dyn Write,
        schema: &Schema,
        settings: &FormatSettings,
    ) -> Self {
        Self::new(schema, settings, |builder| Writing::Array(builder.build(out)))
    }

    /// Objects, one a line.
    pub(super) fn lines(
        out: &'a mut dyn Write,
        schema: &Schema,
        settings: &FormatSettings,
    ) -> Self {
        Self::new(schema, settings, |builder| Writing::Lines(builder.build(out)))
    }

    fn new(
        schema: &Schema,
        settings: &FormatSettings,
        build: impl FnOnce(WriterBuilder) -> Writing<'a>,
    ) -> Self {
        let failed = Failed::default();
        let values = Values { failed: Arc::clone(&failed) };
        let builder =
            WriterBuilder::new().with_explicit_nulls(true).with_encoder_factory(Arc::new(values));
        Self {
            columns: Columns::of_text(schema, &settings.time_zone).told_apart(),
            form: build(builder),
            failed,
            rows: 0,
        }
    }
}

impl RowWriter for JsonWriter<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), FormatError> {
        let wrong = |error| FormatError::arrow(NAME, error);
        let batch = self.columns.of(batch).map_err(wrong)?;
        match &mut self.form {
            Writing::Array(writer) => writer.write(&batch),
            Writing::Lines(writer) => writer.write(&batch),
        }
        .map_err(wrong)?;
        if let Some(error) = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(wrong(error));
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn finish(&mut self) -> Result<Written, FormatError> {
        match &mut self.form {
            Writing::Array(writer) => writer.finish(),
            Writing::Lines(writer) => writer.finish(),
        }
        .map_err(|error| FormatError::arrow(NAME, error))?;
        Ok(Written { rows: self.rows, notes: Vec::new() })
    }
}

/// An array with a line for each row.
#[derive(Debug, Default)]
struct Rows;

impl JsonFormat for Rows {
    fn start_stream<W: Write>(&self, writer: &mut W) -> Result<(), ArrowError> {
        Ok(writer.write_all(b"[")?)
    }

    fn start_row<W: Write>(&self, writer: &mut W, is_first_row: bool) -> Result<(), ArrowError> {
        if !is_first_row {
            writer.write_all(b",\n")?;
        }
        Ok(())
    }

    fn end_stream<W: Write>(&self, writer: &mut W) -> Result<(), ArrowError> {
        Ok(writer.write_all(b"]\n")?)
    }
}

/// The forms of values that differ from arrow's.
#[derive(Debug)]
struct Values {
    failed: Failed,
}

impl EncoderFactory for Values {
    fn make_default_encoder<'a>(
        &self,
        _field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let data_type = array.data_type();
        let is_float =
            matches!(data_type, DataType::Float16 | DataType::Float32 | DataType::Float64);
        if !is_float && !data_type.is_temporal() {
            return Ok(None);
        }
        let encoder = ValueEncoder {
            formatter: ArrayFormatter::try_new(array, &OPTIONS)?,
            is_float,
            failed: Arc::clone(&self.failed),
        };
        Ok(Some(NullableEncoder::new(Box::new(encoder), array.nulls().cloned())))
    }
}

const OPTIONS: FormatOptions<'static> = FormatOptions::new().with_display_error(false);

struct ValueEncoder<'a> {
    formatter: ArrayFormatter<'a>,
    is_float: bool,
    failed: Failed,
}

impl Encoder for ValueEncoder<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        match self.formatter.value(row).try_to_string() {
            Ok(text) if self.is_float => out.extend_from_slice(float(&text).as_bytes()),
            // Times have no character that JSON would need a backslash for.
            Ok(text) => {
                out.push(b'"');
                out.extend_from_slice(text.as_bytes());
                out.push(b'"');
            }
            Err(error) => {
                let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                if failed.is_none() {
                    *failed = Some(error);
                }
                out.extend_from_slice(b"null");
            }
        }
    }
}

/// A float's text in JSON.
fn float(text: &str) -> &str {
    match text {
        "NaN" => "\"NaN\"",
        "inf" => "\"Infinity\"",
        "-inf" => "\"-Infinity\"",
        number => number,
    }
}
