//! CSV as PostgreSQL's COPY writes it.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use bytes::BytesMut;

use super::error::FormatError;
use super::writer::{FormatSettings, RowWriter, Written};
use crate::postgres::values::copy::{CopyForm, CopyOptions, CopyWriter};
use crate::postgres::values::settings::ValueSettings;
use crate::postgres::values::zone::SessionZone;

const NAME: &str = "CSV";
/// Text is given on in pieces of about this size.
const PIECE_BYTES: usize = 64 << 10;

/// Writes what `COPY (query) TO STDOUT (FORMAT csv, HEADER)` gives on the PostgreSQL port, byte for
/// byte: values in PostgreSQL's text form, NULL as nothing and an empty text as `""`.
pub(super) struct CsvWriter<'a> {
    out: &'a mut dyn Write,
    writer: CopyWriter,
    text: BytesMut,
    rows: u64,
}

impl<'a> CsvWriter<'a> {
    pub(super) fn new(
        out: &'a mut dyn Write,
        schema: &SchemaRef,
        settings: &FormatSettings,
    ) -> Result<Self, FormatError> {
        let options = CopyOptions {
            header: true,
            null: settings.null.clone(),
            ..CopyOptions::new(CopyForm::Csv)
        };
        let values = ValueSettings {
            time_zone: SessionZone::parse(&settings.time_zone).unwrap_or(SessionZone::UTC),
            ..ValueSettings::default()
        };
        let writer = CopyWriter::new(&without_zeros(schema), options, &values)
            .map_err(|error| FormatError::unwritable(NAME, error))?;
        let mut text = BytesMut::new();
        writer.begin(&mut text);
        Ok(Self { out, writer, text, rows: 0 })
    }
}

/// The columns with names that PostgreSQL could have.
fn without_zeros(schema: &SchemaRef) -> SchemaRef {
    if schema.fields().iter().all(|field| !field.name().contains('\0')) {
        return SchemaRef::clone(schema);
    }
    let fields = schema.fields().iter();
    let fields =
        fields.map(|field| field.as_ref().clone().with_name(field.name().replace('\0', "")));
    Schema::new(fields.collect::<Vec<_>>()).into()
}

impl RowWriter for CsvWriter<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), FormatError> {
        let wrong = |error| FormatError::unwritable(NAME, error);
        let rows = self.writer.on(batch).map_err(wrong)?;
        for row in 0..rows.len() {
            rows.write(row, &mut self.text).map_err(wrong)?;
            if self.text.len() >= PIECE_BYTES {
                self.out.write_all(&self.text)?;
                self.text.clear();
            }
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn finish(&mut self) -> Result<Written, FormatError> {
        self.out.write_all(&self.text)?;
        self.text.clear();
        Ok(Written { rows: self.rows, notes: Vec::new() })
    }
}
