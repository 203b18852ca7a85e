//! Columns of a result as cells of DataRow messages.

use arrow::array::Array;
use arrow::datatypes::Field;
use bytes::{BufMut, BytesMut};

use super::binary::put_cell;
use super::column::Column;
use super::error::EncodeError;
use super::settings::{Format, ValueSettings};
use super::types::Shape;
use super::{binary, text};

/// How one column of a result is written; made once for the result.
#[derive(Debug)]
pub(crate) struct Encoder {
    shape: Shape,
    format: Format,
    settings: ValueSettings,
}

impl Encoder {
    /// Decides how a column is written.
    ///
    /// # Errors
    /// No PostgreSQL type shows the field, or not the one that its metadata names.
    pub(crate) fn new(
        field: &Field,
        format: Format,
        settings: &ValueSettings,
    ) -> Result<Self, EncodeError> {
        Ok(Self { shape: Shape::of(field)?, format, settings: *settings })
    }

    /// Looks at an array of the column; once for each batch.
    ///
    /// # Errors
    /// The array is of a type that the column can't have.
    pub(crate) fn on<'a>(&'a self, array: &'a dyn Array) -> Result<Cells<'a>, EncodeError> {
        Ok(Cells { column: Column::new(array, &self.shape)?, encoder: self })
    }

    /// Appends one cell. For more than one row of an array, [`Encoder::on`] does it faster.
    ///
    /// # Errors
    /// Those of [`Encoder::on`] and of [`Cells::encode`].
    ///
    /// # Panics
    /// The array has no such row.
    #[cfg(test)]
    pub(crate) fn encode(
        &self,
        array: &dyn Array,
        row: usize,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        self.on(array)?.encode(row, out)
    }
}

/// The cells of one column in a batch.
#[derive(Debug)]
pub(crate) struct Cells<'a> {
    column: Column<'a>,
    encoder: &'a Encoder,
}

impl Cells<'_> {
    /// Appends the cell of a row: the value's length and the value, or -1 for NULL. After an error
    /// nothing is appended.
    ///
    /// # Errors
    /// PostgreSQL's type has no such value.
    ///
    /// # Panics
    /// The batch has no such row.
    pub(crate) fn encode(&self, row: usize, out: &mut BytesMut) -> Result<(), EncodeError> {
        let start = out.len();
        let written = match self.column.is_null(row) {
            true => {
                out.put_i32(-1);
                Ok(())
            }
            false => put_cell(out, |out| self.write(row, out).map(|_| ())),
        };
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    /// Appends the value of a row as `to_json` gives it, `null` for none.
    ///
    /// # Errors
    /// PostgreSQL's type has no such value.
    ///
    /// # Panics
    /// The batch has no such row.
    pub(crate) fn json(&self, row: usize, out: &mut BytesMut) -> Result<(), EncodeError> {
        match self.column.item(row)? {
            Some(item) => text::write_json(&item, &self.encoder.settings, out),
            None => {
                out.put_slice(b"null");
                Ok(())
            }
        }
    }

    /// Appends the value of a row alone, and tells whether there is one.
    pub(super) fn write(&self, row: usize, out: &mut BytesMut) -> Result<bool, EncodeError> {
        let settings = &self.encoder.settings;
        let Some(item) = self.column.item(row)? else { return Ok(false) };
        match self.encoder.format {
            Format::Text => text::write_item(&item, settings, out)?,
            Format::Binary => {
                binary::write_item(&item, self.encoder.shape.postgres, settings, out)?;
            }
        }
        Ok(true)
    }
}
