//! Quotients of decimals, and averages, which are quotients of a sum and a count.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, FieldRef, Float64Type, Int64Type, IntervalUnit, i256};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::super::value_error::ValueError;
use super::decimal::{self, DIGITS_128, Decimals, power_of_ten, rounded, scale_of};
use super::{field, intervals};

/// Digits behind the point of a quotient, unless an operand has more. PostgreSQL gives 16 that
/// count, which are more behind the point in small quotients and fewer in large ones.
const DIGITS: i32 = 16;

/// A quotient, or an average.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Quotient {
    /// Whether the divisor is a count: without rows there is no average.
    is_average: bool,
    signature: Signature,
}

fn function(is_average: bool) -> Arc<ScalarUDF> {
    let signature = Signature::user_defined(Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(Quotient { is_average, signature }))
}

/// The quotient of two decimals, or of one and an integer.
pub(super) fn quotient(dividend: Expr, divisor: Expr) -> Expr {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| function(false));
    FUNCTION.call(vec![dividend, divisor])
}

/// The average of values with a sum and a count.
pub(super) fn average(sum: Expr, count: Expr) -> Expr {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| function(true));
    FUNCTION.call(vec![sum, count])
}

impl ScalarUDFImpl for Quotient {
    fn name(&self) -> &'static str {
        if self.is_average { "average_of" } else { "quotient" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let [dividend, divisor] = arguments else {
            return plan_err!("function {} takes two numbers", self.name());
        };
        if self.is_average {
            let dividend = match dividend {
                DataType::Interval(_) | DataType::Duration(_) => {
                    DataType::Interval(IntervalUnit::MonthDayNano)
                }
                float if float.is_floating() => DataType::Float64,
                number => as_decimal(number)?,
            };
            return Ok(vec![dividend, DataType::Int64]);
        }
        Ok(vec![as_decimal(dividend)?, as_decimal(divisor)?])
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let [dividend, divisor] = arguments else {
            return plan_err!("function {} takes two numbers", self.name());
        };
        Ok(match dividend {
            DataType::Float64 | DataType::Interval(_) => dividend.clone(),
            _ => {
                let scale = DIGITS.max(scale_of(dividend)).max(scale_of(divisor));
                let scale = i8::try_from(scale).unwrap_or(i8::MAX).min(DIGITS_128.cast_signed());
                DataType::Decimal128(DIGITS_128, scale)
            }
        })
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<_> =
            arguments.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let field = field::of(self.name(), self.return_type(&types)?, &arguments);
        match self.is_average {
            // The average of no rows is null.
            true => Ok(Arc::new(field.as_ref().clone().with_nullable(true))),
            false => Ok(field),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = arguments.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { arguments.number_rows };
        let [dividend, divisor] = arguments.args.as_slice() else {
            return plan_err!("function {} takes two numbers", self.name());
        };
        let (dividends, divisors) = (dividend.to_array(rows)?, divisor.to_array(rows)?);
        let data = arguments.return_field.data_type();
        let array = match (dividends.data_type(), self.is_average) {
            (DataType::Float64, _) => floats(&dividends, &divisors),
            (DataType::Interval(_), _) => intervals::parts(&dividends, &divisors)?,
            (_, true) => {
                let counts = divisors.as_primitive::<Int64Type>();
                let count = |row: usize| {
                    counts.is_valid(row).then(|| i256::from_i128(counts.value(row).into()))
                };
                divided(&dividends, count, 0, data)?
            }
            (_, false) => {
                let by = Decimals::of(&divisors)?;
                divided(&dividends, |row| by.get(row), scale_of(divisors.data_type()), data)?
            }
        };
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)),
            false => Ok(ColumnarValue::Array(array)),
        }
    }
}

/// A number as a decimal.
fn as_decimal(data: &DataType) -> Result<DataType> {
    Ok(match data {
        DataType::Decimal128(..) | DataType::Decimal256(..) => data.clone(),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Null => DataType::Decimal128(1, 0),
        integer if integer.is_integer() => DataType::Decimal128(20, 0),
        other => return plan_err!("a quotient of {other} can't be a decimal"),
    })
}

fn divided(
    dividends: &ArrayRef,
    divisor: impl Fn(usize) -> Option<i256>,
    divisor_scale: i32,
    data: &DataType,
) -> Result<ArrayRef> {
    let by = Decimals::of(dividends)?;
    let shift = scale_of(data) + divisor_scale - scale_of(dividends.data_type());
    let power = power_of_ten(shift.unsigned_abs());
    let out_of_range = || ValueError::of("22003", "numeric field overflow");
    let quotients = (0..dividends.len()).map(|row| {
        let (Some(dividend), Some(divisor)) = (by.get(row), divisor(row)) else {
            return Ok(None);
        };
        if divisor == i256::ZERO {
            return Err(ValueError::division_by_zero());
        }
        let power = power.ok_or_else(out_of_range)?;
        let quotient = match shift < 0 {
            false => dividend.checked_mul(power).and_then(|dividend| rounded(dividend, divisor)),
            true => divisor.checked_mul(power).and_then(|divisor| rounded(dividend, divisor)),
        };
        quotient.map(Some).ok_or_else(out_of_range)
    });
    decimal::array(quotients, data)
}

/// Averages of floats.
fn floats(sums: &ArrayRef, counts: &ArrayRef) -> ArrayRef {
    let (sums, counts) = (sums.as_primitive::<Float64Type>(), counts.as_primitive::<Int64Type>());
    let averages = sums.iter().zip(counts).map(|(sum, count)| {
        let count = count.filter(|count| *count > 0)?;
        // There are not 2^53 rows.
        let count = count as f64;
        Some(sum? / count)
    });
    Arc::new(averages.collect::<Float64Array>())
}
