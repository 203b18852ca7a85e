//! Numbers as integers: rounded, and refused where the type has no such value.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, FieldRef, Float64Type, Int64Type, i256};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::super::value_error::ValueError;
use super::decimal::{Decimals, rescaled, scale_of};
use super::field;
use super::operation::integer_name;

/// 2^63, the first float beyond `bigint`.
const INT8_END: f64 = 9_223_372_036_854_775_808.0;

/// A cast of numbers to an integer's type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Whole {
    to: FieldRef,
    signature: Signature,
}

/// Numbers as integers. Halves of decimals go away from zero, halves of floats to even numbers.
pub(super) fn whole(expr: Expr, to: &FieldRef) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    let to = Arc::clone(to);
    ScalarUDF::new_from_impl(Whole { to, signature }).call(vec![expr])
}

impl ScalarUDFImpl for Whole {
    fn name(&self) -> &'static str {
        "integer_of"
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
        field::each_of(&arguments, self.name(), |values| integers(values, self.to.data_type()))
    }
}

fn integers(values: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let beyond = || ValueError::out_of_range(integer_name(to));
    let wide: ArrayRef = match values.data_type() {
        float if float.is_floating() => {
            let floats = cast(values, &DataType::Float64)?;
            let floats = floats.as_primitive::<Float64Type>();
            Arc::new(floats.try_unary::<_, Int64Type, _>(|float| {
                let rounded = float.round_ties_even();
                if !(-INT8_END..INT8_END).contains(&rounded) {
                    return Err(beyond());
                }
                // It is a whole number in range.
                let integer = rounded as i64;
                Ok(integer)
            })?)
        }
        decimal if decimal.is_decimal() => {
            let values = match decimal {
                DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                    cast(values, &DataType::Decimal128(*precision, *scale))?
                }
                _ => Arc::clone(values),
            };
            let scale = scale_of(values.data_type());
            let decimals = Decimals::of(&values)?;
            let integers = (0..values.len()).map(|row| {
                let Some(number) = decimals.get(row) else { return Ok(None) };
                let integer = rescaled(number, scale, 0).and_then(i256::to_i128);
                match integer.and_then(|integer| i64::try_from(integer).ok()) {
                    Some(integer) => Ok(Some(integer)),
                    None => Err(beyond()),
                }
            });
            Arc::new(integers.collect::<Result<arrow::array::Int64Array>>()?)
        }
        _ => Arc::clone(values),
    };
    if wide.data_type() == to {
        return Ok(wide);
    }
    // Without an error, what does not fit is null.
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let narrow = cast_with_options(&wide, to, &options)?;
    match narrow.null_count() > wide.null_count() {
        true => Err(beyond()),
        false => Ok(narrow),
    }
}
