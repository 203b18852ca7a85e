//! Numbers as they are written: an integer is an `int4` where it fits one, and what has an exponent
//! is a decimal.

use datafusion::sql::sqlparser::ast::{DataType, ExactNumberInfo, Expr, Value, Values};

use super::build::{arguments_mut, cast, function_name, take, text};

/// Functions whose result is of the type of their arguments, or follows from it.
const ALIKE: [&str; 12] = [
    "coalesce",
    "nullif",
    "greatest",
    "least",
    "sum",
    "avg",
    "min",
    "max",
    "abs",
    "array_agg",
    "first_value",
    "last_value",
];

/// Digits that a decimal may have.
const DIGITS_MAX: i64 = 76;

pub(super) fn change(expr: &mut Expr) {
    match expr {
        Expr::Value(value) => {
            if let Value::Number(digits, _) = &value.value
                && let Some(changed) = decimal(digits)
            {
                *expr = changed;
            }
        }
        Expr::Case { conditions, else_result, .. } => {
            conditions.iter_mut().for_each(|when| integer(&mut when.result));
            else_result.iter_mut().for_each(|other| integer(other));
        }
        Expr::Array(array) => array.elem.iter_mut().for_each(integer),
        Expr::Function(function) if ALIKE.contains(&function_name(&function.name).as_str()) => {
            arguments_mut(function).into_iter().for_each(integer);
        }
        _ => {}
    }
}

/// The rows of `VALUES`.
pub(super) fn change_rows(values: &mut Values) {
    values.rows.iter_mut().flat_map(|row| row.content.iter_mut()).for_each(integer);
}

/// An integer that fits an `int4`, as one.
fn integer(expr: &mut Expr) {
    if is_small(expr) {
        *expr = cast(take(expr), DataType::Int(None));
    }
}

/// Whether an expression is an integer that fits an `int4`.
pub(super) fn is_small(expr: &Expr) -> bool {
    use datafusion::sql::sqlparser::ast::UnaryOperator::Minus;
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse::<i32>().is_ok(),
            _ => false,
        },
        Expr::UnaryOp { op: Minus, expr } => match expr.as_ref() {
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) => format!("-{digits}").parse::<i32>().is_ok(),
                _ => false,
            },
            _ => false,
        },
        _ => false,
    }
}

/// A number with an exponent, or of more digits than there are, which DataFusion does not read as
/// the decimal or float that it is.
fn decimal(digits: &str) -> Option<Expr> {
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().unwrap_or(i64::MAX)),
        None if digits.len() > 76 => (digits, 0),
        None => return None,
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let length = |part: &str| i64::try_from(part.len()).unwrap_or(i64::MAX);
    let whole = length(whole).saturating_add(exponent).max(0);
    let fraction = length(fraction).saturating_sub(exponent).max(0);
    let fits = whole.saturating_add(fraction) <= DIGITS_MAX;
    let data = match fits {
        true => DataType::Numeric(ExactNumberInfo::None),
        false => DataType::DoublePrecision,
    };
    Some(cast(text(digits), data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_exponents_are_decimals_as_long_as_there_are_digits() {
        for (digits, expected) in [
            ("12", None),
            ("1.5", None),
            ("1e10", Some("CAST('1e10' AS NUMERIC)")),
            ("1.5E-3", Some("CAST('1.5E-3' AS NUMERIC)")),
            ("1e300", Some("CAST('1e300' AS DOUBLE PRECISION)")),
            ("1e-300", Some("CAST('1e-300' AS DOUBLE PRECISION)")),
            ("1e99999999999999999999", Some("CAST('1e99999999999999999999' AS DOUBLE PRECISION)")),
        ] {
            let changed = decimal(digits).map(|expr| expr.to_string());
            assert_eq!(changed.as_deref(), expected, "{digits}");
        }
    }
}
