//! Casts to types of which Arrow's name does not say all, or from such.

use std::sync::Arc;

use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::field;

/// Arrow's cast, whose result has what is known of its own type, and nothing of what is known of
/// what is cast. DataFusion's casts to such types may be null where what is cast is not, which its
/// own plans then complain of.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Plain {
    to: FieldRef,
    signature: Signature,
}

/// The call for a cast.
pub(super) fn plain(expr: Expr, to: &FieldRef) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    ScalarUDF::new_from_impl(Plain { to: Arc::clone(to), signature }).call(vec![expr])
}

impl ScalarUDFImpl for Plain {
    fn name(&self) -> &'static str {
        "value_as"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.to.data_type().clone())
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(field::of_cast(self.name(), &self.to, &arguments))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match arguments.args.as_slice() {
            [ColumnarValue::Array(values)] => {
                Ok(ColumnarValue::Array(cast(values, self.to.data_type())?))
            }
            [ColumnarValue::Scalar(value)] => {
                let values = cast(&value.to_array()?, self.to.data_type())?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?))
            }
            _ => plan_err!("function {} takes one value", self.name()),
        }
    }
}
