//! Arithmetic whose operands are of one type by now, as calls that look at their results.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable};

use super::operation;

/// An operator that may overflow as a call.
pub(super) fn operation(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let is_one = match (left.get_type(schema), right.get_type(schema)) {
                (Ok(left), Ok(right)) => left == right && overflows(&left),
                _ => false,
            };
            let call = is_one.then(|| operation::binary(op, (*left).clone(), (*right).clone()));
            Ok(match call.flatten() {
                Some(call) => Transformed::yes(call),
                None => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
            })
        }
        Expr::Negative(of) if of.get_type(schema).is_ok_and(|of| of.is_integer()) => {
            Ok(Transformed::yes(operation::negation(*of)))
        }
        expr => Ok(Transformed::no(expr)),
    }
}

/// Whether Arrow's operators would give another number instead of an error.
fn overflows(data: &DataType) -> bool {
    data.is_integer() || matches!(data, DataType::Float32 | DataType::Float64)
}
