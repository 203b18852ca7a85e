//! What happens where a decimal meets a float.
//!
//! DataFusion compares the two as decimals of 15 decimal places: `risk > 0.5` would fail on a NaN
//! or an infinity and take 1e-20 for zero. Here, as in PostgreSQL and DuckDB, the decimal becomes a
//! float, for literals the one nearest to what was written. Decimals among themselves, and with
//! integers, stay exact.

use arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result, ScalarValue};
use datafusion_expr::{Expr, ExprSchemable, cast};

/// Makes every decimal operand that stands beside a float operand a float.
pub(super) fn decimals_beside_floats(expression: Expr, schema: &DFSchema) -> Result<Expr> {
    let rewritten = expression.transform_up(|mut node| {
        let operands = operands(&mut node);
        let kinds: Vec<Kind> = operands.iter().map(|operand| kind(operand, schema)).collect();
        if !(kinds.contains(&Kind::Float) && kinds.contains(&Kind::Decimal)) {
            return Ok(Transformed::no(node));
        }
        for (operand, kind) in operands.into_iter().zip(kinds) {
            if kind == Kind::Decimal {
                *operand = as_float(std::mem::take(operand));
            }
        }
        Ok(Transformed::yes(node))
    })?;
    Ok(rewritten.data)
}

#[derive(PartialEq)]
enum Kind {
    Float,
    Decimal,
    Other,
}

fn kind(operand: &Expr, schema: &DFSchema) -> Kind {
    // A type that can't be told is an error that coercion will word better.
    match operand.get_type(schema) {
        Ok(data_type) if data_type.is_floating() => Kind::Float,
        Ok(data_type) if data_type.is_decimal() => Kind::Decimal,
        _ => Kind::Other,
    }
}

/// The children that are brought to one type.
fn operands(node: &mut Expr) -> Vec<&mut Expr> {
    match node {
        Expr::BinaryExpr(binary) => vec![&mut binary.left, &mut binary.right],
        Expr::Between(between) => vec![&mut between.expr, &mut between.low, &mut between.high],
        Expr::InList(list) => std::iter::once(list.expr.as_mut()).chain(&mut list.list).collect(),
        Expr::ScalarFunction(call) => call.args.iter_mut().collect(),
        Expr::Case(case) if case.expr.is_none() => case
            .when_then_expr
            .iter_mut()
            .map(|(_, then)| then.as_mut())
            .chain(case.else_expr.as_deref_mut())
            .collect(),
        _ => Vec::new(),
    }
}

fn as_float(decimal: Expr) -> Expr {
    if let Expr::Literal(ScalarValue::Decimal128(Some(digits), _, scale), _) = &decimal
        && let Ok(value) = format!("{digits}e{}", -i32::from(*scale)).parse::<f64>()
    {
        return Expr::Literal(ScalarValue::Float64(Some(value)), None);
    }
    cast(decimal, DataType::Float64)
}
