//! Values as text for people.

use arrow::array::Array;
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// Instants in ISO 8601, bytes as hexadecimal digits, decimals with all their digits; a missing
/// value within a list or a struct is told from an empty text.
const OPTIONS: FormatOptions<'static> =
    FormatOptions::new().with_display_error(false).with_null("NULL");

/// The texts of one column in a batch.
pub(super) struct Cells<'a> {
    formatter: ArrayFormatter<'a>,
    nulls: Option<NullBuffer>,
}

impl<'a> Cells<'a> {
    /// Looks at an array.
    ///
    /// # Errors
    /// Its type has no text.
    pub(super) fn new(array: &'a dyn Array) -> Result<Self, ArrowError> {
        Ok(Self {
            formatter: ArrayFormatter::try_new(array, &OPTIONS)?,
            nulls: array.logical_nulls(),
        })
    }

    /// The text of a row's value; none for NULL.
    ///
    /// # Errors
    /// The value is beyond the calendar.
    pub(super) fn text(&self, row: usize) -> Result<Option<String>, ArrowError> {
        match &self.nulls {
            Some(nulls) if nulls.is_null(row) => Ok(None),
            _ => self.formatter.value(row).try_to_string().map(Some),
        }
    }
}

/// Whether values of a type are numbers, which stand to the right and are never cut.
pub(super) fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}
