//! Results as text: a table for people, lines of JSON for scripts, CSV for spreadsheets.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow::csv::WriterBuilder as CsvWriterBuilder;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::json::WriterBuilder as JsonWriterBuilder;
use arrow::json::writer::LineDelimited;
use arrow::util::pretty::pretty_format_batches;

use crate::error::QueryError;
use crate::lake::TableInfo;

/// A boxed table with a header.
///
/// # Errors
/// A value without text, such as a timestamp beyond the calendar.
pub fn format_table(batches: &[RecordBatch]) -> Result<String, QueryError> {
    Ok(pretty_format_batches(batches)?.to_string())
}

/// One JSON object per row and line, missing values as `null`.
///
/// # Errors
/// A value without JSON form.
pub fn format_json(batches: &[RecordBatch]) -> Result<String, QueryError> {
    let mut writer =
        JsonWriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish()?;
    Ok(String::from_utf8_lossy(&writer.into_inner()).into_owned())
}

/// CSV with a header line.
///
/// # Errors
/// A column without CSV form, such as a list.
pub fn format_csv(batches: &[RecordBatch]) -> Result<String, QueryError> {
    let mut text = Vec::new();
    {
        let mut writer = CsvWriterBuilder::new().with_header(true).build(&mut text);
        for batch in batches {
            writer.write(batch)?;
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The table listing as rows, for any of the formats.
///
/// # Errors
/// None in practice: all columns are made here.
pub fn listing(tables: &[TableInfo]) -> Result<RecordBatch, QueryError> {
    let schema = Schema::new(vec![
        Field::new("table", DataType::Utf8, false),
        Field::new("rows", DataType::Int64, true),
        Field::new("files", DataType::UInt64, false),
        Field::new("bytes", DataType::UInt64, false),
        Field::new("version", DataType::UInt64, false),
        Field::new("columns", DataType::Utf8, false),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(tables.iter().map(|table| &table.name))),
        Arc::new(Int64Array::from_iter(
            tables.iter().map(|table| table.rows.and_then(|rows| i64::try_from(rows).ok())),
        )),
        Arc::new(UInt64Array::from_iter_values(tables.iter().map(|table| table.files))),
        Arc::new(UInt64Array::from_iter_values(tables.iter().map(|table| table.bytes))),
        Arc::new(UInt64Array::from_iter_values(tables.iter().map(|table| table.version))),
        Arc::new(StringArray::from_iter_values(
            tables.iter().map(|table| table.columns.join(", ")),
        )),
    ];
    Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
}
