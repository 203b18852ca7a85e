//! The numeric without precision and scale.

use arrow::datatypes::{DataType, Field};

/// The name of a cast's field that says that what is cast tells its digits. It is not in the
/// field's metadata, which have to be the same in all rows of `VALUES`.
const NAME: &str = "numeric";

/// The type of a cast to a numeric that has the digits of its value.
pub(crate) fn free_numeric() -> Field {
    Field::new(NAME, DataType::Decimal128(38, 10), true)
}

/// Whether a cast is to such a numeric.
pub(super) fn is_free(to: &Field) -> bool {
    to.name() == NAME && to.data_type().is_decimal()
}
