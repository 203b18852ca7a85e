//! What only the outermost select of a statement needs, whose columns the client sees and no other
//! query asks for.

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Ident, OrderByKind, Query, Select, SelectItem, SetExpr, Statement,
};

use super::build::{cast, function_name, normal, quoted, take};
use super::hidden::HIDDEN;

/// Changes the outermost select of a query.
pub(super) fn change(statement: &mut Statement) {
    let query = match statement {
        Statement::Query(query) => query,
        Statement::Explain { statement, .. } => match statement.as_mut() {
            Statement::Query(query) => query,
            _ => return,
        },
        _ => return,
    };
    let sorted = sorted_columns(query);
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    show_names(select);
    keep_apart(select, &sorted);
}

/// Functions whose numbers stand for names, which a client is shown.
fn show_names(select: &mut Select) {
    for item in &mut select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
            continue;
        };
        let Expr::Function(function) = &*expr else { continue };
        let name = function_name(&function.name);
        let Some(kind) = name.strip_prefix("to_").filter(|kind| kind.starts_with("reg")) else {
            continue;
        };
        // `to_regtype` and `to_regproc` give what is shown as it is.
        if !matches!(kind, "regclass" | "regnamespace" | "regrole") {
            continue;
        }
        let kind = DataType::Custom(vec![Ident::new(kind)].into(), Vec::new());
        let shown = cast(take(expr), kind);
        *item = match std::mem::replace(item, SelectItem::UnnamedExpr(shown.clone())) {
            SelectItem::ExprWithAlias { alias, .. } => {
                SelectItem::ExprWithAlias { expr: shown, alias }
            }
            _ => SelectItem::ExprWithAlias { expr: shown, alias: quoted(&name) },
        };
    }
}

/// The columns that a query is sorted by and that are written with their tables, unless the same
/// name is written without one, too: that means what the select list calls so.
fn sorted_columns(query: &Query) -> Vec<String> {
    let Some(order) = &query.order_by else { return Vec::new() };
    let OrderByKind::Expressions(exprs) = &order.kind else { return Vec::new() };
    let qualified = exprs.iter().filter_map(|one| match &one.expr {
        Expr::CompoundIdentifier(parts) => parts.last().map(normal),
        _ => None,
    });
    let mut qualified: Vec<String> = qualified.collect();
    qualified.retain(|name| {
        !exprs
            .iter()
            .any(|one| matches!(&one.expr, Expr::Identifier(other) if normal(other) == *name))
    });
    qualified
}

/// `SELECT cast(t.id AS text) AS id FROM t ORDER BY t.id`: what the select list calls so is kept
/// apart from the column that the rows are sorted by.
fn keep_apart(select: &mut Select, sorted: &[String]) {
    for item in &mut select.projection {
        let SelectItem::ExprWithAlias { expr, alias } = item else { continue };
        let name = normal(alias);
        let is_column = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
        if !is_column && sorted.contains(&name) {
            *alias = quoted(&format!("{name}{HIDDEN}sorted"));
        }
    }
}
