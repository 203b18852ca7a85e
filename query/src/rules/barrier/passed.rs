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
    let mut values: Vec<Expr> = condition.values.iter().filter_map(value).collect();
    let column = || ident(condition.column.as_str());
    match values.len() {
        0 => None,
        1 => Some(column().eq(values.remove(0))),
        _ => Some(column().in_list(values, false)),
    }
}
