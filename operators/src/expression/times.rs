//! UTC times without a time zone's arithmetic.
//!
//! Timestamps here are UTC. Arrow and DataFusion look the rules of a timestamp's zone up for every
//! row, which takes most of the time of `date_part`, `date_trunc` and a cast to a date; without the
//! zone's name the same values cost a fraction (see `compile_and_evaluation_times_are_shown`). A
//! truncated time stays without a zone until it is stored or compared, as UTC.

use std::sync::Arc;

use arrow::array::types::TimestampMicrosecondType;
use arrow::array::{ArrayRef, AsArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::error::ArrowError;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result};
use datafusion_expr::{Expr, ExprSchemable, cast};

use super::clock::clock_part;

/// Functions of a unit and a time that give the same for a UTC time and for a time without a zone.
const ZONELESS: &[&str] = &["date_part", "date_trunc"];

/// Drops the zone of UTC arguments of [`ZONELESS`] functions (`extract` is planned as `date_part`)
/// and of casts to a date.
pub(super) fn without_zone(expression: Expr, schema: &DFSchema) -> Result<Expr> {
    let rewritten = expression.transform_up(|mut node| {
        if let Some(part) = fast_part(&node, schema) {
            return Ok(Transformed::yes(part));
        }
        let time = match &mut node {
            Expr::ScalarFunction(call) if ZONELESS.contains(&call.func.name()) => {
                call.args.get_mut(1)
            }
            Expr::Cast(to_date) if to_date.field.data_type() == &DataType::Date32 => {
                Some(to_date.expr.as_mut())
            }
            _ => None,
        };
        let Some(time) = time else {
            return Ok(Transformed::no(node));
        };
        match time.get_type(schema) {
            Ok(DataType::Timestamp(unit, Some(zone))) if is_utc(&zone) => {
                *time = cast(std::mem::take(time), DataType::Timestamp(unit, None));
                Ok(Transformed::yes(node))
            }
            _ => Ok(Transformed::no(node)),
        }
    })?;
    Ok(rewritten.data)
}

/// `date_part` of a UTC time by [`clock_part`], where that can do it.
fn fast_part(node: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::ScalarFunction(call) = node else { return None };
    let ("date_part", [part, time]) = (call.func.name(), call.args.as_slice()) else { return None };
    match time.get_type(schema).ok()? {
        DataType::Timestamp(unit, Some(zone)) if is_utc(&zone) => {
            let zoneless = DataType::Timestamp(unit, None);
            clock_part(part, &cast(time.clone(), zoneless.clone()), &zoneless)
        }
        data_type => clock_part(part, time, &data_type),
    }
}

fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "+00:00")
}

/// Casts values to the type in which they are stored; a time without a zone is UTC, and is only
/// given the name. What does not fit is an error, not a null.
pub(super) fn store(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    match (array.data_type(), data_type) {
        (DataType::Timestamp(_, None), DataType::Timestamp(TimeUnit::Microsecond, Some(zone)))
            if zone.as_ref() == "UTC" =>
        {
            let times = cast_with_options(
                array,
                &DataType::Timestamp(TimeUnit::Microsecond, None),
                &options,
            )?;
            Ok(Arc::new(
                times
                    .as_primitive::<TimestampMicrosecondType>()
                    .clone()
                    .with_timezone(Arc::clone(zone)),
            ))
        }
        _ => cast_with_options(array, data_type, &options),
    }
}
