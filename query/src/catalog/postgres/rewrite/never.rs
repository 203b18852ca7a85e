//! What can be said of a subquery before it is asked, since this catalog never has what it asks
//! for.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, Query, SelectItem, SetExpr, SetOperator,
    SetQuantifier,
};

use super::super::known::Known;
use super::build::{literal, normal};
use super::scope::{Scopes, is_system};

/// Whether a condition asks for what there never is: constraints that are not keys, and columns
/// with another collation than their types.
pub(super) fn asks_for_nothing(condition: &Expr) -> bool {
    match condition {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            asks_for_nothing(left) || asks_for_nothing(right)
        }
        Expr::BinaryOp { left, op: BinaryOperator::NotEq, right } => {
            let is_collation = |expr: &Expr| match expr {
                Expr::CompoundIdentifier(parts) => parts
                    .last()
                    .map(normal)
                    .is_some_and(|name| matches!(name.as_str(), "attcollation" | "typcollation")),
                _ => false,
            };
            is_collation(left) && is_collation(right)
        }
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
            let name = match left.as_ref() {
                Expr::Identifier(name) => name,
                Expr::CompoundIdentifier(parts) => match parts.last() {
                    Some(name) => name,
                    None => return false,
                },
                _ => return false,
            };
            normal(name) == "contype" && literal(right).is_some_and(|kind| kind != "p")
        }
        Expr::Nested(inner) => asks_for_nothing(inner),
        _ => false,
    }
}

/// A recursive query whose next rows come of a table without any ends with its first ones: pgAdmin
/// follows members of roles so, and refers to the rows outside, which a recursive query can't.
pub(super) fn ends_with_first_rows(query: &mut Query, scopes: &Scopes, known: &Known) {
    let Some(with) = query.with.as_mut().filter(|with| with.recursive) else { return };
    let [table] = with.cte_tables.as_mut_slice() else { return };
    if is_system(&normal(&table.alias.name)) {
        return;
    }
    let body = table.query.body.as_mut();
    let SetExpr::SetOperation { op: SetOperator::Union, set_quantifier, left, right } = body else {
        return;
    };
    let SetExpr::Select(next) = right.as_ref() else { return };
    // Over no rows at all, an aggregate has one.
    let is_plain = |item: &SelectItem| {
        matches!(item, SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_)))
    };
    let gives_no_rows = scopes.tables_of(next, known).iter().any(|table| table.is_empty)
        && next.projection.iter().all(is_plain)
        && matches!(&next.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    if *set_quantifier == SetQuantifier::All && gives_no_rows {
        let first = SetExpr::clone(left);
        *body = first;
        with.recursive = false;
    }
}

/// asyncpg follows a domain to its base with a recursive query: no domain here is of another one,
/// so that its `typbasetype` is what it looks for.
pub(super) fn base_of_domain(query: &Query) -> Option<Expr> {
    let with = query.with.as_ref().filter(|with| with.recursive)?;
    let [table] = with.cte_tables.as_slice() else { return None };
    let SetExpr::SetOperation { left, .. } = table.query.body.as_ref() else { return None };
    let SetExpr::Select(first) = left.as_ref() else { return None };
    let is_base = first
        .projection
        .first()
        .is_some_and(|item| item.to_string().to_lowercase().contains("typbasetype"));
    match first.selection.as_ref()? {
        Expr::BinaryOp { op: BinaryOperator::Eq, right, .. } if is_base => match right.as_ref() {
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [qualifier, oid] if normal(oid) == "oid" => Some(Expr::CompoundIdentifier(vec![
                    qualifier.clone(),
                    Ident::new("typbasetype"),
                ])),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}
