//! What may be asked of a table's own scan, so that it skips files: comparisons that can't fail.

use std::collections::BTreeSet;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::{conjunction, disjunction};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, lit};
use datafusion::prelude::ident;

use super::super::rule::{Condition, TableRule};

/// Values of a condition up to which the scan is asked for them.
const VALUES_MAX: usize = 200;

/// Whether a filter is `column op literal` or its kin, of types whose comparison can't fail, of a
/// column that is shown as it is.
pub(super) fn is_safe(filter: &Expr, schema: &Schema, masked: &BTreeSet<String>) -> bool {
    let column = |expr: &Expr| match expr {
        Expr::Column(column) if !masked.contains(&column.name) => {
            let (_, field) = schema.column_with_name(&column.name)?;
            is_safe_type(field.data_type()).then(|| field.data_type().clone())
        }
        _ => None,
    };
    let literal = |expr: &Expr, of: &DataType| match expr {
        Expr::Literal(value, _) => !value.is_null() && value.data_type() == *of,
        _ => false,
    };
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let compares = matches!(
                op,
                Operator::Eq
                    | Operator::NotEq
                    | Operator::Lt
                    | Operator::LtEq
                    | Operator::Gt
                    | Operator::GtEq
            );
            let pair = |a: &Expr, b: &Expr| column(a).is_some_and(|of| literal(b, &of));
            compares && (pair(left, right) || pair(right, left))
        }
        Expr::InList(InList { expr, list, negated: _ }) => {
            column(expr).is_some_and(|of| list.iter().all(|value| literal(value, &of)))
        }
        Expr::IsNull(expr) | Expr::IsNotNull(expr) => column(expr).is_some(),
        _ => false,
    }
}

fn is_safe_type(data_type: &DataType) -> bool {
    data_type.is_integer()
        || matches!(
            data_type,
            DataType::Boolean
                | DataType::Utf8
                | DataType::LargeUtf8
                | DataType::Utf8View
                | DataType::Date32
                | DataType::Date64
                | DataType::Timestamp(..)
                | DataType::Decimal32(..)
                | DataType::Decimal64(..)
                | DataType::Decimal128(..)
                | DataType::Decimal256(..)
        )
}

/// What may go below of a filter that [`is_safe`]: files are skipped by it only as far as all of
/// their rows are the user's.
///
/// Bounds of a file are those of all of its rows. If a file were skipped by them, a look-up of a
/// key that somebody else has would take longer than one of a key that nobody has. So the scan is
/// asked for `filter OR row of others`, which skips a file, or a row group, where its bounds say
/// that there is none. None where this can't be said, and then nothing may be skipped.
pub(super) fn of_filter(filter: &Expr, rule: &TableRule, schema: &Schema) -> Option<Expr> {
    if !rule.leaves_out_rows() {
        return Some(filter.clone());
    }
    Some(filter.clone().or(of_others(rule, schema)?))
}

/// True of each row that a rule leaves out; none where a scan can't be asked for it.
pub(super) fn of_others(rule: &TableRule, schema: &Schema) -> Option<Expr> {
    let grants: Option<Vec<Expr>> = rule
        .grants
        .iter()
        .map(|grant| {
            let fails: Option<Vec<Expr>> = grant
                .conditions
                .iter()
                .map(|condition| {
                    let values = values_of(condition, schema)?;
                    let column = || ident(condition.column.as_str());
                    Some(is_one_of(column(), values, true).or(column().is_null()))
                })
                .collect();
            disjunction(fails?)
        })
        .collect();
    conjunction(grants?)
}

/// What a rule asks of rows, as far as a scan can be asked for it. The barrier asks all of it.
pub(super) fn of_rule(rule: &TableRule, schema: &Schema) -> Option<Expr> {
    let grants: Option<Vec<Expr>> = rule
        .grants
        .iter()
        .map(|grant| conjunction(grant.conditions.iter().filter_map(|c| of_condition(c, schema))))
        .collect();
    disjunction(grants?)
}

fn of_condition(condition: &Condition, schema: &Schema) -> Option<Expr> {
    Some(is_one_of(ident(condition.column.as_str()), values_of(condition, schema)?, false))
}

/// Whether a column has one of these values, or `not`.
fn is_one_of(column: Expr, mut values: Vec<Expr>, not: bool) -> Expr {
    match (values.len(), not) {
        (1, false) => column.eq(values.remove(0)),
        (1, true) => column.not_eq(values.remove(0)),
        _ => column.in_list(values, not),
    }
}

/// The values that a condition lets pass; none where a scan can't be asked for them.
fn values_of(condition: &Condition, schema: &Schema) -> Option<Vec<Expr>> {
    let (_, field) = schema.column_with_name(&condition.column)?;
    if condition.values.len() > VALUES_MAX {
        return None;
    }
    let data_type = field.data_type();
    let value = |text: &String| -> Option<Expr> {
        let text = || Some(text.clone());
        let value = match data_type {
            DataType::Utf8 => ScalarValue::Utf8(text()),
            DataType::LargeUtf8 => ScalarValue::LargeUtf8(text()),
            DataType::Utf8View => ScalarValue::Utf8View(text()),
            // What is no value of the type is none of the column.
            other if other.is_integer() => {
                let number: i128 = text()?.parse().ok()?;
                ScalarValue::try_from_string(number.to_string(), other).ok()?
            }
            _ => return None,
        };
        Some(lit(value))
    };
    let values: Vec<Expr> = condition.values.iter().filter_map(value).collect();
    (!values.is_empty()).then_some(values)
}
