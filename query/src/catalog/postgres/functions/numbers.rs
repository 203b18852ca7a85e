//! Functions of numbers that DataFusion lacks.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::super::super::arithmetic::read_decimals;
use super::super::super::value_error::ValueError;
use super::call::{Body, Definition};

/// Digits behind the point of a number whose pattern is not known as the statement is planned.
const DIGITS: i8 = 15;
const DIGITS_MAX: u8 = 38;

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "md5",
        takes: &["T"],
        gives: "text",
        volatility: Volatility::Immutable,
        body: Body::Text(|_, row| Ok(row.text(0).map(|text| format!("{:x}", md5::compute(text))))),
    },
    Definition {
        name: "width_bucket",
        takes: &["FFFI"],
        gives: "int4",
        volatility: Volatility::Immutable,
        body: Body::Int(|_, row| {
            let (Some(value), Some(low), Some(high), Some(count)) =
                (row.float(0), row.float(1), row.float(2), row.int(3))
            else {
                return Ok(None);
            };
            let refused = |message: &str| Err(ValueError::of("2201G", message));
            if count <= 0 {
                return refused("count must be greater than zero");
            }
            if value.is_nan() || low.is_nan() || high.is_nan() {
                return refused("operand, lower bound, and upper bound cannot be NaN");
            }
            if !low.is_finite() || !high.is_finite() {
                return refused("lower and upper bounds must be finite");
            }
            // Equal bounds leave no buckets between them.
            if low == high {
                return refused("lower bound cannot equal upper bound");
            }
            let is_below = if low < high { value < low } else { value > low };
            let is_above = if low < high { value >= high } else { value <= high };
            if is_below || is_above {
                return Ok(Some(if is_below { 0 } else { count.saturating_add(1) }));
            }
            // PostgreSQL counts in doubles here, too.
            let place = ((value - low) / (high - low) * count as f64).floor();
            // It is between 0 and the count.
            let place = place as i64;
            Ok(Some(place.min(count - 1) + 1))
        }),
    },
];

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let signature = || Signature::user_defined(Volatility::Immutable);
    vec![
        Arc::new(ScalarUDF::new_from_impl(Sign { signature: signature() })),
        Arc::new(ScalarUDF::new_from_impl(ToNumber { signature: signature() })),
    ]
}

/// `sign`: -1, 0 or 1.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Sign {
    signature: Signature,
}

impl ScalarUDFImpl for Sign {
    fn name(&self) -> &'static str {
        "sign"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        match arguments {
            [decimal] if decimal.is_decimal() => Ok(vec![decimal.clone()]),
            [_] => Ok(vec![DataType::Float64]),
            _ => plan_err!("function sign takes one number"),
        }
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [decimal] if decimal.is_decimal() => Ok(DataType::Decimal128(1, 0)),
            _ => Ok(DataType::Float64),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [values] = arguments.args.as_slice() else {
            return plan_err!("function sign takes one number");
        };
        let scalar = matches!(values, ColumnarValue::Scalar(_));
        let values = values.to_array(if scalar { 1 } else { arguments.number_rows })?;
        // A decimal that is not zero is no float that is zero.
        let floats = cast(&values, &DataType::Float64)?;
        let signs = floats
            .as_primitive::<Float64Type>()
            .unary::<_, Float64Type>(|float| if float == 0.0 { 0.0 } else { float.signum() });
        given(&cast(&signs, arguments.return_type())?, scalar)
    }
}

/// `to_number`, by a pattern.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ToNumber {
    signature: Signature,
}

impl ScalarUDFImpl for ToNumber {
    fn name(&self) -> &'static str {
        "to_number"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        match arguments {
            [_, _] => Ok(vec![DataType::Utf8, DataType::Utf8]),
            _ => plan_err!("function to_number takes a text and a pattern"),
        }
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Decimal128(DIGITS_MAX, DIGITS))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let pattern = arguments.scalar_arguments.get(1).copied().flatten();
        let pattern = pattern.and_then(|pattern| pattern.try_as_str().flatten());
        let scale = pattern.map_or(DIGITS, |pattern| {
            i8::try_from(fraction(pattern)).unwrap_or(DIGITS).min(DIGITS_MAX.cast_signed())
        });
        Ok(Arc::new(Field::new(self.name(), DataType::Decimal128(DIGITS_MAX, scale), true)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = arguments.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { arguments.number_rows };
        let [texts, patterns] = arguments.args.as_slice() else {
            return plan_err!("function to_number takes a text and a pattern");
        };
        let (texts, patterns) = (texts.to_array(rows)?, patterns.to_array(rows)?);
        let pairs = texts.as_string::<i32>().iter().zip(patterns.as_string::<i32>());
        let numbers = pairs.map(|(text, pattern)| match (text, pattern) {
            (Some(text), Some(pattern)) => digits(text, pattern).map(Some),
            _ => Ok(None),
        });
        let numbers = numbers.collect::<Result<Vec<Option<String>>>>()?;
        given(&read_decimals(numbers, arguments.return_type())?, scalar)
    }
}

fn given(array: &ArrayRef, scalar: bool) -> Result<ColumnarValue> {
    match scalar {
        true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(array, 0)?)),
        false => Ok(ColumnarValue::Array(Arc::clone(array))),
    }
}

/// The digits behind the point of a pattern.
fn fraction(pattern: &str) -> usize {
    let behind = pattern.split_once(['.', 'D', 'd']).map_or("", |(_, behind)| behind);
    behind.matches(['9', '0']).count()
}

/// The number that a text is by a pattern. Of its characters only those of numbers count, and only
/// as many digits as the pattern has.
fn digits(text: &str, pattern: &str) -> Result<String> {
    let whole = pattern.split(['.', 'D', 'd']).next().unwrap_or_default();
    let (whole, fraction) = (whole.matches(['9', '0']).count(), fraction(pattern));
    let (head, tail) = text.split_once('.').unwrap_or((text, ""));
    let is_negative = text.contains('-') || text.trim().starts_with('<');
    let only = |part: &str, most: usize| -> String {
        part.chars().filter(char::is_ascii_digit).take(most).collect()
    };
    let (head, tail) = (only(head, whole), only(tail, fraction));
    if head.is_empty() && tail.is_empty() {
        let message = format!("invalid input syntax for type numeric: \"{text}\"");
        return Err(ValueError::of("22P02", message));
    }
    Ok(format!("{}{head}.{tail}", if is_negative { "-" } else { "" }))
}
