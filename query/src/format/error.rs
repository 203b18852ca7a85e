//! Why rows could not be written.

use std::io;

use arrow::error::ArrowError;

/// Why the rows of a result could not be written.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// What they are written to takes no more.
    #[error(transparent)]
    Write(#[from] io::Error),
    /// A value or a column that the form has no place for.
    #[error("the rows can't be written as {form}: {message}")]
    Unwritable {
        /// The form's name.
        form: &'static str,
        /// Which value or column, and why.
        message: String,
    },
}

impl FormatError {
    /// What has no place in a form.
    pub(super) fn unwritable(form: &'static str, why: impl ToString) -> Self {
        Self::Unwritable { form, message: why.to_string() }
    }

    /// An error of Arrow's: of writing, if that is what it is of.
    pub(super) fn arrow(form: &'static str, error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, error) => Self::Write(error),
            other => Self::unwritable(form, other),
        }
    }
}
