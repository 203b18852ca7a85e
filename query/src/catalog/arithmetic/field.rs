//! What functions give.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs};

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

/// What a function of one argument gives: of each of its values, or of the one that it is.
pub(super) fn each_of(
    arguments: &ScalarFunctionArgs,
    name: &str,
    give: impl FnOnce(&ArrayRef) -> Result<ArrayRef>,
) -> Result<ColumnarValue> {
    let [values] = arguments.args.as_slice() else {
        return plan_err!("function {name} takes one value");
    };
    let scalar = matches!(values, ColumnarValue::Scalar(_));
    let given = give(&values.to_array(if scalar { 1 } else { arguments.number_rows })?)?;
    match scalar {
        true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&given, 0)?)),
        false => Ok(ColumnarValue::Array(given)),
    }
}
