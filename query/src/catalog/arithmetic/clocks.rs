//! Functions that look at the clock of an instant: at that of the session's zone.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable};

use super::utc::{in_utc, is_utc};

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
    let data_type = time.get_type(schema);
    let wants = match &data_type {
        Ok(DataType::Timestamp(_, Some(of))) => of.as_ref() != zone,
        Ok(DataType::Date32) => func.name() == "date_trunc",
        _ => false,
    };
    let has_zone = wants || matches!(data_type, Ok(DataType::Timestamp(_, Some(_))));
    let made = match has_zone && at == 1 && is_utc(zone) {
        true => in_utc(func),
        false => Arc::clone(func),
    };
    if !wants && Arc::ptr_eq(&made, func) {
        return Ok(Transformed::no(expr));
    }
    let mut args = args.clone();
    if wants && let Some(time) = args.get_mut(at) {
        let to = DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into()));
        *time = Expr::Cast(Cast::new(Box::new(std::mem::take(time)), to));
    }
    let function = ScalarFunction { func: made, args };
    Ok(Transformed::yes(Expr::ScalarFunction(function)))
}
