//! What becomes of casts, which Arrow does otherwise than PostgreSQL: it cuts where PostgreSQL
//! rounds, reads and shows times in its own forms, and knows of no session's zone.

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, lit};

use super::super::postgres::at_zone;
use super::decimal::{DIGITS_128, DIGITS_256, fits, parsed};
use super::free::is_free;
use super::{fixed, plain, read, text, whole};
use crate::builtins::types::TYPE_KEY;

/// Digits behind the point of a numeric without a scale, where values have not one of their own.
const DIGITS: i8 = 15;

/// A cast as PostgreSQL means it; others as they are.
pub(super) fn meant(expr: Expr, schema: &DFSchema, zone: &str) -> Result<Transformed<Expr>> {
    let Expr::Cast(cast) = expr else { return Ok(Transformed::no(expr)) };
    // What has no type yet is a parameter without value.
    let Ok((_, from)) = cast.expr.to_field(schema) else {
        return Ok(Transformed::no(Expr::Cast(cast)));
    };
    match changed(&cast, &from, zone).or_else(|| settled(&cast, &from)) {
        Some(changed) => Ok(Transformed::yes(changed)),
        None => Ok(Transformed::no(Expr::Cast(cast))),
    }
}

/// A cast of a type that is planned with a field of its own, as one that gives that type.
fn settled(cast: &Cast, from: &FieldRef) -> Option<Expr> {
    let to = &cast.field;
    let is_bare = to.metadata().is_empty();
    if is_bare && to.name().is_empty() {
        return None;
    }
    let inner = cast.expr.as_ref().clone();
    Some(match is_bare && !from.metadata().contains_key(TYPE_KEY) {
        true => bare(inner, to.data_type()),
        false => plain::plain(inner, to),
    })
}

fn bare(expr: Expr, to: &DataType) -> Expr {
    Expr::Cast(Cast::new(Box::new(expr), to.clone()))
}

fn changed(cast: &Cast, from: &FieldRef, zone: &str) -> Option<Expr> {
    use DataType as D;
    let inner = || cast.expr.as_ref().clone();
    if is_free(&cast.field) {
        return free(cast, from);
    }
    let to = &cast.field;
    match (from.data_type(), to.data_type()) {
        (D::Utf8 | D::LargeUtf8 | D::Utf8View, to_type) => match to_type.is_decimal() {
            true => Some(fixed::fixed(inner(), to)),
            false => read::read(inner(), to, zone),
        },
        (from_type, D::Utf8 | D::LargeUtf8 | D::Utf8View) => {
            // The same texts, packed otherwise.
            let is_text = matches!(from_type, D::Dictionary(..) | D::RunEndEncoded(..));
            let is_plain = from_type.is_integer() || from_type.is_null() || is_text;
            let is_plain = is_plain && !from.metadata().contains_key(TYPE_KEY);
            (!is_plain).then(|| text::text(inner(), from, to, zone))
        }
        (float, decimal) if float.is_floating() && decimal.is_decimal() => {
            Some(fixed::fixed(inner(), to))
        }
        (from_type, integer) if integer.is_integer() => match from_type {
            D::Int64 if is_small(&cast.expr, integer) => literal_as(&cast.expr, integer),
            number if number.is_decimal() || number.is_floating() => {
                Some(whole::whole(inner(), to))
            }
            wider if wider.is_integer() && is_narrower(wider, integer) => {
                Some(whole::whole(inner(), to))
            }
            _ => None,
        },
        // An instant is another clock's time in each zone.
        (D::Timestamp(_, Some(_)), D::Timestamp(_, None) | D::Date32 | D::Time64(_)) => {
            let local = at_zone().call(vec![lit(zone), inner()]);
            Some(retyped(local, &D::Timestamp(TimeUnit::Microsecond, None), to))
        }
        (D::Timestamp(_, None) | D::Date32, D::Timestamp(_, Some(_))) if zone != "UTC" => {
            let local = bare(inner(), &D::Timestamp(TimeUnit::Microsecond, None));
            let instant = at_zone().call(vec![lit(zone), local]);
            let utc = D::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
            Some(retyped(instant, &utc, to))
        }
        _ => None,
    }
}

/// A value of one type as what a cast gives, if that is another.
fn retyped(expr: Expr, is: &DataType, to: &FieldRef) -> Expr {
    if is == to.data_type() { expr } else { bare(expr, to.data_type()) }
}

/// Whether an integer is written as digits and of a type's values.
fn is_small(expr: &Expr, of: &DataType) -> bool {
    match (expr, of) {
        (Expr::Literal(ScalarValue::Int64(Some(number)), _), DataType::Int32) => {
            i32::try_from(*number).is_ok()
        }
        (Expr::Literal(ScalarValue::Int64(Some(number)), _), DataType::Int16) => {
            i16::try_from(*number).is_ok()
        }
        _ => false,
    }
}

/// A literal of another type, at once.
fn literal_as(expr: &Expr, to: &DataType) -> Option<Expr> {
    let Expr::Literal(value, _) = expr else { return None };
    Some(Expr::Literal(value.cast_to(to).ok()?, None))
}

/// Whether an integer's type lacks values of another one.
fn is_narrower(wider: &DataType, narrower: &DataType) -> bool {
    let (Some(wide), Some(narrow)) = (wider.primitive_width(), narrower.primitive_width()) else {
        return false;
    };
    let (was, is) = (wider.is_signed_integer(), narrower.is_signed_integer());
    narrow < wide || (was != is && (was || narrow == wide))
}

/// A cast to a numeric that has the digits that its values have.
fn free(cast: &Cast, from: &FieldRef) -> Option<Expr> {
    use DataType as D;
    let inner = || cast.expr.as_ref().clone();
    let field = |data: D| FieldRef::new(Field::new("", data, true));
    let of = |precision: u8, scale: i8| match precision <= DIGITS_128 {
        true => D::Decimal128(precision, scale),
        false => D::Decimal256(precision, scale),
    };
    Some(match from.data_type() {
        decimal if decimal.is_decimal() => inner(),
        integer if integer.is_integer() => {
            let digits = match integer {
                D::Int8 | D::UInt8 => 3,
                D::Int16 | D::UInt16 => 5,
                D::Int32 | D::UInt32 => 10,
                D::Int64 => 19,
                _ => 20,
            };
            bare(inner(), &of(digits, 0))
        }
        float if float.is_floating() => fixed::fixed(inner(), &field(of(DIGITS_128, DIGITS))),
        D::Utf8 | D::LargeUtf8 | D::Utf8View => match literal(&cast.expr) {
            Some(text) => match parsed(text) {
                Some((number, scale)) => {
                    let scale = i8::try_from(scale).ok()?;
                    let own = (1..=DIGITS_256).find(|digits| fits(number, *digits))?;
                    let precision = own.max(scale.unsigned_abs());
                    fixed::fixed(inner(), &field(of(precision, scale)))
                }
                // It says what is wrong with the text.
                None => fixed::fixed(inner(), &field(of(DIGITS_128, 0))),
            },
            None => fixed::whole_text(inner(), &field(of(DIGITS_128, DIGITS))),
        },
        _ => return None,
    })
}

fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}
