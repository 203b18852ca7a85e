//! Rows of `COPY (query) TO STDOUT`: as text, as CSV, or as binary.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use bytes::{BufMut, BytesMut};

use super::encoder::{Cells, Encoder};
use super::error::EncodeError;
use super::settings::{Format, ValueSettings};
use super::text::{enclose, escape};

/// What a binary COPY begins with, flags and the length of an extension of the header included.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What text has no delimiter of: these mean something behind a backslash.
const NO_DELIMITERS: &[u8] = b"\\.abcdefghijklmnopqrstuvwxyz0123456789";

/// The form of a COPY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CopyForm {
    /// Lines with tabs and backslashes.
    Text,
    /// Lines of comma-separated values.
    Csv,
    /// Cells as in binary DataRow messages.
    Binary,
}

/// Which columns of a CSV have quotes around each value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ForceQuote {
    /// None: only values that need quotes have some.
    None,
    /// All.
    All,
    /// Those of these names.
    Columns(Vec<String>),
}

/// The options of a COPY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopyOptions {
    /// The form.
    pub(crate) form: CopyForm,
    /// What stands between two values.
    pub(crate) delimiter: u8,
    /// What stands for NULL.
    pub(crate) null: String,
    /// Whether the first line has the names of the columns.
    pub(crate) header: bool,
    /// What encloses values of a CSV.
    pub(crate) quote: u8,
    /// What stands in front of a quote within quotes.
    pub(crate) escape: u8,
    /// Which columns always have quotes.
    pub(crate) force_quote: ForceQuote,
}

impl CopyOptions {
    /// PostgreSQL's options where a statement has none.
    pub(crate) fn new(form: CopyForm) -> Self {
        let (delimiter, null) = match form {
            CopyForm::Csv => (b',', ""),
            CopyForm::Text | CopyForm::Binary => (b'\t', "\\N"),
        };
        Self {
            form,
            delimiter,
            null: null.to_owned(),
            header: false,
            quote: b'"',
            escape: b'"',
            force_quote: ForceQuote::None,
        }
    }

    fn check(&self) -> Result<(), EncodeError> {
        let csv = self.form == CopyForm::Csv;
        let null = self.null.as_bytes();
        let wrong = [
            (
                matches!(self.delimiter, b'\n' | b'\r'),
                "COPY delimiter cannot be newline or carriage return",
            ),
            (
                null.contains(&b'\n') || null.contains(&b'\r'),
                "COPY null representation cannot use newline or carriage return",
            ),
            (
                !csv && NO_DELIMITERS.contains(&self.delimiter),
                "COPY delimiter must not be a backslash, a period, a lower-case letter or a digit",
            ),
            (csv && self.delimiter == self.quote, "COPY delimiter and quote must be different"),
            (
                null.contains(&self.delimiter),
                "COPY delimiter must not appear in the NULL specification",
            ),
            (
                csv && null.contains(&self.quote),
                "CSV quote character must not appear in the NULL specification",
            ),
        ];
        match wrong.into_iter().find(|(wrong, _)| *wrong && self.form != CopyForm::Binary) {
            Some((_, message)) => Err(EncodeError::CopyOption { message }),
            None => Ok(()),
        }
    }
}

/// How the rows of a COPY are written; made once for a result.
#[derive(Debug)]
pub(crate) struct CopyWriter {
    options: CopyOptions,
    columns: Vec<CopyColumn>,
}

#[derive(Debug)]
struct CopyColumn {
    name: String,
    encoder: Encoder,
    force_quote: bool,
}

impl CopyWriter {
    /// Decides how rows are written.
    ///
    /// # Errors
    /// An option that PostgreSQL refuses too, or a column that no PostgreSQL type shows.
    pub(crate) fn new(
        schema: &Schema,
        options: CopyOptions,
        settings: &ValueSettings,
    ) -> Result<Self, EncodeError> {
        options.check()?;
        let format = match options.form {
            CopyForm::Binary => Format::Binary,
            CopyForm::Text | CopyForm::Csv => Format::Text,
        };
        let columns = schema.fields().iter().map(|field| {
            Ok(CopyColumn {
                name: field.name().clone(),
                encoder: Encoder::new(field, format, settings)?,
                force_quote: match &options.force_quote {
                    ForceQuote::None => false,
                    ForceQuote::All => true,
                    ForceQuote::Columns(names) => names.contains(field.name()),
                },
            })
        });
        Ok(Self { columns: columns.collect::<Result<_, EncodeError>>()?, options })
    }

    /// The form of all columns, for CopyOutResponse.
    pub(crate) fn format(&self) -> Format {
        match self.options.form {
            CopyForm::Binary => Format::Binary,
            CopyForm::Text | CopyForm::Csv => Format::Text,
        }
    }

    /// The number of columns, for CopyOutResponse.
    pub(crate) fn column_count(&self) -> usize {
        self.columns.len()
    }

    /// Appends what stands in front of the rows.
    pub(crate) fn begin(&self, out: &mut BytesMut) {
        if self.options.form == CopyForm::Binary {
            out.put_slice(SIGNATURE);
        } else if self.options.header {
            for (index, column) in self.columns.iter().enumerate() {
                self.delimit(index, out);
                let start = out.len();
                out.put_slice(column.name.as_bytes());
                self.finish_value(start, false, out);
            }
            out.put_u8(b'\n');
        }
    }

    /// Looks at a batch of rows.
    ///
    /// # Errors
    /// The batch has other columns than the writer was made for.
    pub(crate) fn on<'a>(&'a self, batch: &'a RecordBatch) -> Result<CopyRows<'a>, EncodeError> {
        if batch.num_columns() != self.columns.len() {
            let data_type = DataType::Struct(batch.schema_ref().fields().clone());
            return Err(EncodeError::Mismatch { data_type, postgres: "record" });
        }
        let columns = self.columns.iter().zip(batch.columns());
        let cells =
            columns.map(|(column, array)| column.encoder.on(array)).collect::<Result<_, _>>()?;
        Ok(CopyRows { writer: self, cells, rows: batch.num_rows() })
    }

    /// Appends what stands behind the rows.
    pub(crate) fn end(&self, out: &mut BytesMut) {
        if self.options.form == CopyForm::Binary {
            out.put_i16(-1);
        }
    }

    fn delimit(&self, index: usize, out: &mut BytesMut) {
        if index > 0 {
            out.put_u8(self.options.delimiter);
        }
    }

    /// Makes the text behind a position safe between delimiters.
    fn finish_value(&self, start: usize, force_quote: bool, out: &mut BytesMut) {
        let CopyOptions { delimiter, quote, escape: mark, .. } = self.options;
        if self.options.form == CopyForm::Text {
            escape(out, start, b'\\', |byte| escaped_in_text(byte, delimiter));
            return;
        }
        let text = &out[start..];
        let special =
            |byte: &u8| matches!(*byte, b'\n' | b'\r') || *byte == delimiter || *byte == quote;
        if force_quote
            || text == self.options.null.as_bytes()
            || (self.columns.len() == 1 && text == b"\\.")
            || text.iter().any(special)
        {
            escape(out, start, mark, |byte| (byte == quote || byte == mark).then_some(byte));
            enclose(out, start, quote);
        }
    }
}

/// What stands behind the backslash for a byte of a text.
fn escaped_in_text(byte: u8, delimiter: u8) -> Option<u8> {
    Some(match byte {
        8 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        11 => b'v',
        12 => b'f',
        b'\r' => b'r',
        b'\\' => b'\\',
        byte if byte == delimiter => byte,
        _ => return None,
    })
}

/// The rows of one batch.
#[derive(Debug)]
pub(crate) struct CopyRows<'a> {
    writer: &'a CopyWriter,
    cells: Vec<Cells<'a>>,
    rows: usize,
}

impl CopyRows<'_> {
    /// Rows of the batch.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Appends a row. After an error nothing is appended.
    ///
    /// # Errors
    /// PostgreSQL's type has no such value.
    ///
    /// # Panics
    /// The batch has no such row.
    pub(crate) fn write(&self, row: usize, out: &mut BytesMut) -> Result<(), EncodeError> {
        let start = out.len();
        let written = match self.writer.options.form {
            CopyForm::Binary => self.write_binary(row, out),
            CopyForm::Text | CopyForm::Csv => self.write_line(row, out),
        };
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    fn write_binary(&self, row: usize, out: &mut BytesMut) -> Result<(), EncodeError> {
        out.put_i16(i16::try_from(self.cells.len()).map_err(|_| EncodeError::TooLong)?);
        self.cells.iter().try_for_each(|cells| cells.encode(row, out))
    }

    fn write_line(&self, row: usize, out: &mut BytesMut) -> Result<(), EncodeError> {
        for (index, (cells, column)) in self.cells.iter().zip(&self.writer.columns).enumerate() {
            self.writer.delimit(index, out);
            let start = out.len();
            match cells.write(row, out)? {
                true => self.writer.finish_value(start, column.force_quote, out),
                false => out.put_slice(self.writer.options.null.as_bytes()),
            }
        }
        out.put_u8(b'\n');
        Ok(())
    }
}
