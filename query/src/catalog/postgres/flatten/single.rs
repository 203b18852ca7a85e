//! A subquery that stands for one value has one row at most.

use std::sync::{Arc, OnceLock};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::{Result, exec_err, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// A value, or an error where there was more than one row to take it from.
pub(super) fn single(value: Expr, rows: Expr) -> Expr {
    static FUNCTION: OnceLock<Arc<ScalarUDF>> = OnceLock::new();
    let function = FUNCTION.get_or_init(|| {
        let signature = Signature::any(2, Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Single { signature }))
    });
    function.call(vec![value, rows])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Single {
    signature: Signature,
}

impl ScalarUDFImpl for Single {
    fn name(&self) -> &str {
        "_single"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        internal_err!("the type of a single value is that of its field")
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        match arguments.arg_fields {
            [value, _] => Ok(Arc::new(value.as_ref().clone().with_nullable(true))),
            _ => internal_err!("a single value and the number of its rows"),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let number_rows = arguments.number_rows;
        let mut arguments = arguments.args.into_iter();
        let (Some(value), Some(rows)) = (arguments.next(), arguments.next()) else {
            return internal_err!("a single value and the number of its rows");
        };
        let rows = rows.into_array(number_rows)?;
        let Some(rows) = rows.as_primitive_opt::<Int64Type>() else {
            return internal_err!("the number of rows is of type {}", rows.data_type());
        };
        if rows.iter().flatten().any(|rows| rows > 1) {
            return exec_err!("Scalar subquery returned more than one row");
        }
        Ok(value)
    }
}
