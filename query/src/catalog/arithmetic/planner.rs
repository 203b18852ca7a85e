//! What an operator or an aggregate becomes as a statement is planned.

use arrow::datatypes::{DataType, IntervalUnit};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::planner::{
    ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawWindowExpr,
};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, Operator};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::super::postgres::justify_hours;
use super::average;
use super::literals::{binary, changed, small};

/// Decides types that parts of a statement further out build upon.
#[derive(Debug)]
pub(super) struct Planner;

impl ExprPlanner for Planner {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let expr = with_typed_text(expr, schema);
        let op = match expr.op {
            BinaryOperator::Plus => Operator::Plus,
            BinaryOperator::Minus => Operator::Minus,
            BinaryOperator::Multiply => Operator::Multiply,
            BinaryOperator::Divide => Operator::Divide,
            BinaryOperator::Modulo => Operator::Modulo,
            BinaryOperator::BitwiseAnd => Operator::BitwiseAnd,
            BinaryOperator::BitwiseOr => Operator::BitwiseOr,
            BinaryOperator::BitwiseXor | BinaryOperator::PGBitwiseXor => Operator::BitwiseXor,
            BinaryOperator::PGBitwiseShiftLeft => Operator::BitwiseShiftLeft,
            BinaryOperator::PGBitwiseShiftRight => Operator::BitwiseShiftRight,
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let types = (expr.left.get_type(schema), expr.right.get_type(schema));
        let (Ok(left_type), Ok(right_type)) = types else {
            return Ok(PlannerResult::Original(expr));
        };
        let RawBinaryExpr { op: _, left, right } = &expr;
        let is_timestamp = |data: &DataType| matches!(data, DataType::Timestamp(..));
        // What has no type yet, a parameter, takes the type of what it stands beside.
        let is_int4 =
            |data: &DataType| matches!(data, DataType::Int32 | DataType::Int16 | DataType::Null);
        let (small_left, small_right) = (small(left), small(right));
        let planned = match (small_left, small_right) {
            (Some(left), Some(right)) => Some(binary(left, op, right)),
            (Some(left), None) if is_int4(&right_type) => Some(binary(left, op, right.clone())),
            (None, Some(right)) if is_int4(&left_type) => Some(binary(left.clone(), op, right)),
            _ if op == Operator::Minus
                && left_type == DataType::Date32
                && right_type == DataType::Date32 =>
            {
                let days = Box::new(binary(left.clone(), op, right.clone()));
                Some(Expr::Cast(Cast::new(days, DataType::Int32)))
            }
            _ if op == Operator::Minus && is_timestamp(&left_type) && is_timestamp(&right_type) => {
                let interval = DataType::Interval(IntervalUnit::MonthDayNano);
                let span = Box::new(binary(left.clone(), op, right.clone()));
                Some(justify_hours().call(vec![Expr::Cast(Cast::new(span, interval))]))
            }
            _ => changed(op, left, right, (&left_type, &right_type)),
        };
        Ok(match planned {
            Some(planned) => PlannerResult::Planned(planned),
            None => PlannerResult::Original(expr),
        })
    }

    fn plan_aggregate(&self, expr: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        Ok(average::of_rows(expr))
    }

    fn plan_window(&self, expr: RawWindowExpr) -> Result<PlannerResult<RawWindowExpr>> {
        Ok(average::of_window(expr))
    }
}

/// A text that stands for itself, as in `'2' + n` and `flag = 't'`, is of the type of what it
/// stands beside, where that is a whole number, a float or a truth value.
fn with_typed_text(expr: RawBinaryExpr, schema: &DFSchema) -> RawBinaryExpr {
    use BinaryOperator as B;
    let meets = matches!(
        expr.op,
        B::Plus
            | B::Minus
            | B::Multiply
            | B::Divide
            | B::Modulo
            | B::Eq
            | B::NotEq
            | B::Lt
            | B::LtEq
            | B::Gt
            | B::GtEq
    );
    let of = |one: &Expr, other: &Expr| {
        let Expr::Literal(ScalarValue::Utf8(Some(_)), _) = one else { return None };
        let to = other.get_type(schema).ok()?;
        let takes = to == DataType::Boolean || to.is_integer() || to.is_floating();
        takes.then(|| Expr::Cast(Cast::new(Box::new(one.clone()), to)))
    };
    if !meets {
        return expr;
    }
    let RawBinaryExpr { op, left, right } = expr;
    match (of(&left, &right), of(&right, &left)) {
        (Some(left), _) => RawBinaryExpr { op, left, right },
        (None, Some(right)) => RawBinaryExpr { op, left, right },
        (None, None) => RawBinaryExpr { op, left, right },
    }
}
