//! Functions that look at the clock of an instant: at that of the session's zone.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable};

/// A function of an instant, or of a date that is one in PostgreSQL, in the session's zone.
pub(super) fn of_session(expr: Expr, schema: &DFSchema, zone: &str) -> Result<Transformed<Expr>> {
    let Expr::ScalarFunction(ScalarFunction { func, args }) = &expr else {
        return Ok(Transformed::no(expr));
    };
    let at = match func.name() {
        "to_char" => 0,
        "date_trunc" | "date_part" => 1,
        _ => return Ok(Transformed::no(expr)),
    };
    let Some(time) = args.get(at) else { return Ok(Transformed::no(expr)) };
    let wants = match time.get_type(schema) {
        Ok(DataType::Timestamp(_, Some(of))) => of.as_ref() != zone,
        Ok(DataType::Date32) => func.name() == "date_trunc",
        _ => false,
    };
    if !wants {
        return Ok(Transformed::no(expr));
    }
    let to = DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into()));
    let mut args = args.clone();
    if let Some(time) = args.get_mut(at) {
        *time = Expr::Cast(Cast::new(Box::new(std::mem::take(time)), to));
    }
    let function = ScalarFunction { func: Arc::clone(func), args };
    Ok(Transformed::yes(Expr::ScalarFunction(function)))
}
