//! Names that stand for more than a column: hidden columns, and functions without parentheses.

use datafusion::sql::sqlparser::ast::{DataType, Expr, Ident};

use super::build::{call, cast, normal, number, text};
use super::scope::{ScopeTable, Scopes};

/// Columns that every table of PostgreSQL has and no `*` shows.
pub(super) const HIDDEN_COLUMNS: [&str; 6] = ["tableoid", "xmin", "xmax", "cmin", "cmax", "ctid"];

/// A hidden column becomes what it would hold.
pub(super) fn hidden_column(expr: &mut Expr, scopes: &Scopes) {
    let (qualifier, name): (Option<&Ident>, &Ident) = match expr {
        Expr::Identifier(name) => (None, name),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [.., qualifier, name] => (Some(qualifier), name),
            _ => return,
        },
        _ => return,
    };
    let name = normal(name);
    if !HIDDEN_COLUMNS.contains(&name.as_str()) {
        return;
    }
    let qualifier = qualifier.map(normal);
    let has_it =
        |table: &ScopeTable| table.columns.as_ref().is_none_or(|columns| columns.contains(&name));
    let mut tables = scopes.outwards().flatten();
    let table = match &qualifier {
        Some(qualifier) => tables.find(|table| table.name == *qualifier),
        None if scopes.here().iter().any(has_it) => None,
        None => scopes.here().first(),
    };
    let Some(table) = table.filter(|table| !has_it(table)) else { return };
    let Some(oid) = table.oid else { return };
    let named = |name: &str| DataType::Custom(vec![Ident::new(name)].into(), Vec::new());
    *expr = match name.as_str() {
        "tableoid" => cast(number(i64::from(oid)), named("oid")),
        "ctid" => cast(text("(0,1)"), named("tid")),
        "cmin" | "cmax" => cast(number(0), named("cid")),
        "xmax" => cast(number(0), named("xid")),
        _ => cast(number(1), named("xid")),
    };
}

/// `pg_catalog.pg_class.oid` as `pg_class.oid`: PostgreSQL's own tables have their bare names as
/// aliases here.
pub(super) fn drop_schema(expr: &mut Expr) {
    let Expr::CompoundIdentifier(parts) = expr else { return };
    if parts.len() < 3 {
        return;
    }
    let is_own =
        |name: &Ident| matches!(normal(name).as_str(), "pg_catalog" | "information_schema");
    if parts.first().is_some_and(is_own) {
        parts.remove(0);
    }
}

/// Functions that stand without parentheses, which sqlparser takes for columns, and those that
/// answer for them.
const WITHOUT_PARENTHESES: [(&str, &str); 2] =
    [("current_schema", "current_schema"), ("current_role", "current_user")];

/// The function that a name without parentheses means.
pub(super) fn function_of(expr: &Expr, scopes: &Scopes) -> Option<&'static str> {
    let Expr::Identifier(name) = expr else { return None };
    if name.quote_style.is_some() {
        return None;
    }
    let name = normal(name);
    let (_, function) = WITHOUT_PARENTHESES.into_iter().find(|(one, _)| *one == name)?;
    let mut columns = scopes.outwards().flatten().flat_map(|table| table.columns.iter());
    let is_column = columns.any(|columns| columns.contains(&name));
    (!is_column).then_some(function)
}

/// `current_schema` as `current_schema()`.
pub(super) fn without_parentheses(expr: &mut Expr, scopes: &Scopes) {
    if let Some(function) = function_of(expr, scopes) {
        *expr = call(function, Vec::new());
    }
}
