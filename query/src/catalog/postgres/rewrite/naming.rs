//! The names of columns, as PostgreSQL gives them.

use std::collections::HashSet;

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Select, SelectItem, SelectItemQualifiedWildcardKind, UnaryOperator, Value,
};

use super::build::{cast, normal, parts, quoted};
use super::hidden::HIDDEN;
use super::item_name::item_name;
use super::scope::Scopes;
use super::specials::{HIDDEN_COLUMNS, function_of};
use super::whole_row::table_of;

/// Gives every column of a select list the name that PostgreSQL would give it, and a second column
/// of the same name an ending that keeps it apart.
pub(super) fn name_columns(select: &mut Select, scopes: &Scopes) {
    let mut taken: HashSet<String> = HashSet::new();
    for item in &select.projection {
        match item {
            SelectItem::Wildcard(_) => {
                for table in scopes.here() {
                    taken.extend(table.columns.iter().flatten().cloned());
                }
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                let qualifier = parts(name).pop().unwrap_or_default();
                for table in scopes.here().iter().filter(|table| table.name == qualifier) {
                    taken.extend(table.columns.iter().flatten().cloned());
                }
            }
            _ => {}
        }
    }
    for item in &mut select.projection {
        let (expr, name, is_plain) = match item {
            SelectItem::UnnamedExpr(expr) => {
                let name = item_name(expr);
                let is_plain = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
                    && !HIDDEN_COLUMNS.contains(&name.as_str())
                    && table_of(expr, scopes).is_none()
                    && function_of(expr, scopes).is_none();
                (expr, name, is_plain)
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                let name = normal(alias);
                (expr, name, false)
            }
            _ => continue,
        };
        let mut unique = name.clone();
        let mut count = 0;
        while !taken.insert(unique.clone()) {
            count += 1;
            unique = format!("{name}{HIDDEN}{count}");
        }
        if is_plain && count == 0 {
            continue;
        }
        let expr = small_integers(super::build::take(expr));
        *item = SelectItem::ExprWithAlias { expr, alias: quoted(&unique) };
    }
}

/// An integer that stands alone is an `int4` in PostgreSQL, where it fits.
fn small_integers(expr: Expr) -> Expr {
    let is_small = |expr: &Expr| match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse::<i32>().is_ok(),
            _ => false,
        },
        _ => false,
    };
    let is_integer = |expr: &Expr| match expr {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => is_small(expr),
        expr => is_small(expr),
    };
    let is_null = |expr: &Expr| matches!(expr, Expr::Value(v) if v.value == Value::Null);
    let all_are = match &expr {
        Expr::Case { conditions, else_result, .. } => {
            let other = else_result.as_deref();
            let results = conditions.iter().map(|when| &when.result).chain(other);
            let (mut any, mut all) = (false, true);
            for result in results {
                any |= is_integer(result);
                all &= is_integer(result) || is_null(result);
            }
            any && all
        }
        expr => is_integer(expr),
    };
    if all_are { cast(expr, DataType::Int(None)) } else { expr }
}
