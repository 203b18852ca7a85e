//! Operators whose result has another type in PostgreSQL than in DataFusion.

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable, Operator};

use super::{intervals, quotient};

/// An operator whose operands have types since parameters have values.
pub(super) fn operation(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = &expr else {
        return Ok(Transformed::no(expr));
    };
    let (Ok(left_type), Ok(right_type)) = (left.get_type(schema), right.get_type(schema)) else {
        return Ok(Transformed::no(expr));
    };
    Ok(match changed(*op, left, right, (&left_type, &right_type)) {
        Some(changed) => Transformed::yes(changed),
        None => Transformed::no(expr),
    })
}

/// What an operator becomes, with the types of its operands.
pub(super) fn changed(
    op: Operator,
    left: &Expr,
    right: &Expr,
    types: (&DataType, &DataType),
) -> Option<Expr> {
    use Operator as O;
    let (left, right) = (|| left.clone(), || right.clone());
    match (op, types.0, types.1) {
        (O::Divide, dividend, divisor) if is_exact(dividend) && is_exact(divisor) => {
            let is_decimal = dividend.is_decimal() || divisor.is_decimal();
            is_decimal.then(|| quotient::quotient(left(), right()))
        }
        (O::Plus | O::Minus, DataType::Date32, DataType::Interval(_) | DataType::Duration(_)) => {
            Some(binary(midnight(left()), op, right()))
        }
        (O::Plus, DataType::Interval(_) | DataType::Duration(_), DataType::Date32) => {
            Some(binary(left(), op, midnight(right())))
        }
        (O::Multiply | O::Divide, interval, number) if is_span(interval) && is_number(number) => {
            Some(intervals::scaled(left(), right(), op == O::Divide))
        }
        (O::Multiply, number, interval) if is_span(interval) && is_number(number) => {
            Some(intervals::scaled(right(), left(), false))
        }
        _ => None,
    }
}

pub(super) fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

fn is_exact(data: &DataType) -> bool {
    data.is_decimal() || data.is_integer()
}

fn is_number(data: &DataType) -> bool {
    is_exact(data) || data.is_floating()
}

fn is_span(data: &DataType) -> bool {
    matches!(data, DataType::Interval(IntervalUnit::MonthDayNano) | DataType::Duration(_))
}

/// A date as the time at which it begins.
fn midnight(date: Expr) -> Expr {
    Expr::Cast(Cast::new(Box::new(date), DataType::Timestamp(TimeUnit::Microsecond, None)))
}

/// An integer that is written as digits and fits an `int4`, which it is in PostgreSQL.
pub(super) fn small(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Literal(ScalarValue::Int64(Some(number)), None) => {
            let number = i32::try_from(*number).ok()?;
            Some(Expr::Literal(ScalarValue::Int32(Some(number)), None))
        }
        _ => None,
    }
}
