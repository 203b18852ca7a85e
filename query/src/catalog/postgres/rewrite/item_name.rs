//! What PostgreSQL calls a column that has been given no name.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, DataType, Expr, FunctionArguments, SelectItem, SetExpr,
};

use super::build::{function_name, normal};
use super::hidden::column_name;
use crate::builtins::types::types;

/// What PostgreSQL calls what has no name.
const NO_NAME: &str = "?column?";

/// The name of a column that has been given none.
pub(super) fn item_name(expr: &Expr) -> String {
    find(expr).map_or_else(|| NO_NAME.to_owned(), |(name, _)| name)
}

/// A name, and whether it is more than a type's or a CASE's, which others go before.
fn find(expr: &Expr) -> Option<(String, bool)> {
    let strong = |name: &str| Some((name.to_owned(), true));
    match expr {
        Expr::Identifier(name) => Some((normal(name), true)),
        Expr::CompoundIdentifier(names) => names.last().map(|name| (normal(name), true)),
        Expr::CompoundFieldAccess { root, access_chain } => {
            let field = access_chain.iter().rev().find_map(|access| match access {
                AccessExpr::Dot(Expr::Identifier(name)) => Some(normal(name)),
                AccessExpr::Dot(_) | AccessExpr::Subscript(_) => None,
            });
            match field {
                Some(field) => Some((field, true)),
                None => find(root),
            }
        }
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => find(inner),
        Expr::Function(function) => match &function.args {
            FunctionArguments::Subquery(_) => strong("array"),
            _ => Some((last(&function_name(&function.name)), true)),
        },
        Expr::Cast { expr, data_type, .. } => match find(expr) {
            Some((name, true)) => Some((name, true)),
            _ => Some((type_name(data_type), false)),
        },
        Expr::TypedString(typed) => Some((type_name(&typed.data_type), false)),
        Expr::Interval(_) => Some(("interval".to_owned(), false)),
        Expr::Case { else_result, .. } => match else_result.as_ref().and_then(|expr| find(expr)) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_owned(), false)),
        },
        Expr::Exists { .. } => strong("exists"),
        Expr::Array(_) => strong("array"),
        Expr::Subquery(query) => first_column(&query.body),
        Expr::Extract { .. } => strong("extract"),
        Expr::Substring { .. } => strong("substring"),
        Expr::Position { .. } => strong("position"),
        Expr::Overlay { .. } => strong("overlay"),
        Expr::Ceil { .. } => strong("ceil"),
        Expr::Floor { .. } => strong("floor"),
        Expr::AtTimeZone { .. } => strong("timezone"),
        Expr::Trim { trim_where, .. } => match trim_where.as_ref().map(|place| place.to_string()) {
            Some(place) if place == "LEADING" => strong("ltrim"),
            Some(place) if place == "TRAILING" => strong("rtrim"),
            _ => strong("btrim"),
        },
        Expr::Tuple(_) => strong("row"),
        _ => None,
    }
}

fn last(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).to_owned()
}

fn first_column(body: &SetExpr) -> Option<(String, bool)> {
    match body {
        SetExpr::Select(select) => match select.projection.first()? {
            SelectItem::UnnamedExpr(expr) => find(expr),
            SelectItem::ExprWithAlias { alias, .. } => {
                Some((column_name(&normal(alias)).to_owned(), true))
            }
            _ => None,
        },
        SetExpr::Query(query) => first_column(&query.body),
        SetExpr::SetOperation { left, .. } => first_column(left),
        _ => None,
    }
}

/// The name of a type in `pg_type`, which a cast to it gives.
fn type_name(data_type: &DataType) -> String {
    let text = data_type.to_string();
    let element = text.strip_suffix("[]").unwrap_or(&text);
    match types().by_text(element) {
        Some(row) => row.name.to_owned(),
        None => last(&element.to_lowercase()).trim_matches('"').to_owned(),
    }
}
