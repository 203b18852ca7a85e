//! Floats beside decimals, where the decimals become floats; DataFusion does the opposite, and then
//! a large float is an error.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::coerce_plan_expr_for_schema;
use datafusion::logical_expr::{
    Between, BinaryExpr, Case, Cast, Expr, ExprSchemable, LogicalPlan, Operator, Union,
};

/// Functions whose arguments are of one type.
const ALIKE: [&str; 4] = ["coalesce", "nullif", "greatest", "least"];

/// An expression whose operands have to be of one type, with floats for decimals if one is a float.
pub(super) fn beside_decimals(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let mut expr = expr;
    let mut operands: Vec<&mut Expr> = match &mut expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if is_comparison(*op) || op.is_numerical_operators() =>
        {
            vec![left.as_mut(), right.as_mut()]
        }
        Expr::Between(Between { expr, low, high, .. }) => {
            vec![expr.as_mut(), low.as_mut(), high.as_mut()]
        }
        Expr::InList(InList { expr, list, .. }) => {
            std::iter::once(expr.as_mut()).chain(list.iter_mut()).collect()
        }
        Expr::Case(Case { when_then_expr, else_expr, .. }) => {
            let results = when_then_expr.iter_mut().map(|(_, then)| then.as_mut());
            results.chain(else_expr.iter_mut().map(Box::as_mut)).collect()
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) if ALIKE.contains(&func.name()) => {
            args.iter_mut().collect()
        }
        _ => return Ok(Transformed::no(expr)),
    };
    let types: Vec<_> = operands.iter().map(|one| one.get_type(schema).ok()).collect();
    let is_float = |of: &Option<DataType>| of.as_ref().is_some_and(DataType::is_floating);
    let is_decimal = |of: &Option<DataType>| of.as_ref().is_some_and(DataType::is_decimal);
    if !types.iter().any(is_float) || !types.iter().any(is_decimal) {
        return Ok(Transformed::no(expr));
    }
    for (operand, of) in operands.iter_mut().zip(&types) {
        if is_decimal(of) {
            **operand = as_float(std::mem::take(*operand));
        }
    }
    Ok(Transformed::yes(expr))
}

/// Whether an operator compares two values.
pub(super) fn is_comparison(op: Operator) -> bool {
    use Operator as O;
    matches!(op, O::Eq | O::NotEq | O::Lt | O::LtEq | O::Gt | O::GtEq)
        || matches!(op, O::IsDistinctFrom | O::IsNotDistinctFrom)
}

/// A union, of which a column is of floats if one of its inputs is.
pub(super) fn of_union(plan: LogicalPlan) -> Result<LogicalPlan> {
    let LogicalPlan::Union(Union { inputs, schema }) = plan else { return Ok(plan) };
    let of = |input: &LogicalPlan, at: usize| {
        input.schema().fields().get(at).map(|field| field.data_type().clone())
    };
    let has = |at: usize, is: fn(&DataType) -> bool| {
        inputs.iter().any(|input| of(input, at).is_some_and(|of| is(&of)))
    };
    let mixed: Vec<bool> = (0..schema.fields().len())
        .map(|at| has(at, DataType::is_floating) && has(at, DataType::is_decimal))
        .collect();
    if !mixed.contains(&true) {
        return Ok(LogicalPlan::Union(Union { inputs, schema }));
    }
    let inputs = inputs.into_iter().map(|input| {
        let columns = input.schema().iter().zip(&mixed).map(|((qualifier, field), mixed)| {
            let field = match *mixed && field.data_type().is_decimal() {
                true => Arc::new(field.as_ref().clone().with_data_type(DataType::Float64)),
                false => Arc::clone(field),
            };
            (qualifier.cloned(), field)
        });
        let columns = DFSchema::new_with_metadata(columns.collect(), HashMap::new())?;
        let plan = Arc::unwrap_or_clone(input);
        Ok(Arc::new(coerce_plan_expr_for_schema(plan, &columns)?))
    });
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    Ok(LogicalPlan::Union(Union { inputs, schema }))
}

/// A decimal as a float; a literal at once, so that files are chosen by it.
fn as_float(expr: Expr) -> Expr {
    if let Expr::Literal(value, _) = &expr
        && let Ok(float @ ScalarValue::Float64(_)) = value.cast_to(&DataType::Float64)
    {
        return Expr::Literal(float, None);
    }
    Expr::Cast(Cast::new(Box::new(expr), DataType::Float64))
}
