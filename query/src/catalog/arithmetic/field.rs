//! What functions give.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::logical_expr::ReturnFieldArgs;

/// A field of a type that is null where an argument is.
pub(super) fn of(name: &str, data: DataType, arguments: &ReturnFieldArgs<'_>) -> FieldRef {
    let nullable = arguments.arg_fields.iter().any(|field| field.is_nullable());
    Arc::new(Field::new(name, data, nullable))
}

/// Likewise, with what else is known of the type of a cast.
pub(super) fn of_cast(name: &str, to: &Field, arguments: &ReturnFieldArgs<'_>) -> FieldRef {
    let field = of(name, to.data_type().clone(), arguments);
    Arc::new(field.as_ref().clone().with_metadata(to.metadata().clone()))
}
