//! From a form to what writes it.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::arrow_ipc::ArrowIpcWriter;
use super::csv::CsvWriter;
use super::error::FormatError;
use super::expanded::ExpandedWriter;
use super::form::Form;
use super::json::JsonWriter;
use super::parquet_file::ParquetWriter;
use super::table::TableWriter;
use super::writer::{FormatSettings, RowWriter};

/// Begins to write a result with these columns.
///
/// # Errors
/// A column has no place in the form, or the output takes nothing.
pub fn row_writer<'a>(
    form: Form,
    schema: &SchemaRef,
    settings: &FormatSettings,
    out: &'a mut dyn Write,
) -> Result<Box<dyn RowWriter + 'a>, FormatError> {
    Ok(match form {
        Form::Table if settings.expanded => Box::new(ExpandedWriter::new(out, schema, settings)),
        Form::Table => Box::new(TableWriter::new(out, schema, settings)),
        Form::Csv => Box::new(CsvWriter::new(out, schema, settings)?),
        Form::Json => Box::new(JsonWriter::array(out, schema, settings)),
        Form::Ndjson => Box::new(JsonWriter::lines(out, schema, settings)),
        Form::Parquet => Box::new(ParquetWriter::new(out, schema)?),
        Form::Arrow => Box::new(ArrowIpcWriter::new(out, schema, settings.is_file)?),
    })
}

/// Rows that are all there, in a form.
///
/// # Errors
/// As [`row_writer`].
pub fn format_rows(
    form: Form,
    schema: &SchemaRef,
    batches: &[RecordBatch],
    settings: &FormatSettings,
) -> Result<Vec<u8>, FormatError> {
    let mut bytes = Vec::new();
    let mut writer = row_writer(form, schema, settings, &mut bytes)?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish()?;
    drop(writer);
    Ok(bytes)
}
