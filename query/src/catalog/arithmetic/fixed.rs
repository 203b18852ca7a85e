//! Texts and floats as decimals.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Float32Type, Float64Type, i256};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::super::value_error::ValueError;
use super::decimal::{self, array, parsed, scale_of};
use super::field;

/// A cast of texts or floats to a decimal.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Fixed {
    to: FieldRef,
    /// Whether digits behind those of the decimal are an error instead of rounded away.
    is_whole: bool,
    signature: Signature,
}

/// Texts or floats as a decimal, halves rounded away from zero.
pub(super) fn fixed(expr: Expr, to: &FieldRef) -> Expr {
    call(expr, to, false)
}

/// Texts as a decimal that has all their digits; others are errors.
pub(super) fn whole_text(expr: Expr, to: &FieldRef) -> Expr {
    call(expr, to, true)
}

fn call(expr: Expr, to: &FieldRef, is_whole: bool) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    let to = Arc::clone(to);
    ScalarUDF::new_from_impl(Fixed { to, is_whole, signature }).call(vec![expr])
}

impl ScalarUDFImpl for Fixed {
    fn name(&self) -> &'static str {
        "numeric_of"
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
        field::each_of(&arguments, self.name(), |values| self.numbers(values))
    }
}

impl Fixed {
    fn numbers(&self, values: &ArrayRef) -> Result<ArrayRef> {
        let to = self.to.data_type();
        match values.data_type() {
            // A double has 15 digits that count, a float of four bytes six.
            DataType::Float64 => {
                let floats = values.as_primitive::<Float64Type>().iter();
                array(floats.map(|float| float.map(|f| self.float(f, 14)).transpose()), to)
            }
            DataType::Float16 | DataType::Float32 => {
                let floats = cast(values, &DataType::Float32)?;
                let floats = floats.as_primitive::<Float32Type>().iter();
                let floats = floats.map(|float| float.map(|f| self.float(f.into(), 5)));
                array(floats.map(Option::transpose), to)
            }
            _ => {
                let texts = cast(values, &DataType::Utf8)?;
                let texts = texts.as_string::<i32>().iter();
                array(texts.map(|text| text.map(|text| self.text(text)).transpose()), to)
            }
        }
    }

    fn float(&self, float: f64, digits: usize) -> Result<i256> {
        if !float.is_finite() {
            let name = if float.is_nan() { "NaN" } else { "infinity" };
            return Err(ValueError::of("0A000", format!("cannot convert {name} to numeric")));
        }
        self.text(&format!("{float:.digits$e}"))
    }

    fn text(&self, text: &str) -> Result<i256> {
        let Some((number, scale)) = parsed(text) else {
            let message = format!("invalid input syntax for type numeric: \"{text}\"");
            return Err(ValueError::of("22P02", message));
        };
        let wanted = scale_of(self.to.data_type());
        let rescaled = decimal::rescaled(number, scale, wanted);
        let Some(rescaled) = rescaled else {
            return Err(ValueError::of("22003", "numeric field overflow"));
        };
        // Zeros at the end are no digits that are lost.
        let is_lossless =
            || scale <= wanted || decimal::rescaled(rescaled, wanted, scale) == Some(number);
        if self.is_whole && !is_lossless() {
            let message = format!("numeric of more than {wanted} digits behind the point");
            return Err(ValueError::of("0A000", message));
        }
        Ok(rescaled)
    }
}
