//! A table's name where a value stands: the whole row.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{BinaryOperator, CaseWhen, Expr};

use super::build::{call, normal, null, quoted, text};
use super::scope::{ScopeTable, Scopes};

/// The table whose row a bare name means, since no column has the name.
pub(super) fn table_of<'a>(expr: &Expr, scopes: &'a Scopes) -> Option<&'a ScopeTable> {
    let Expr::Identifier(name) = expr else { return None };
    let name = normal(name);
    for tables in scopes.outwards() {
        // One that is not known may have a column of the name.
        if tables.iter().any(|table| table.columns.as_ref().is_none_or(|all| all.contains(&name))) {
            return None;
        }
        if let Some(table) = tables.iter().find(|table| table.name == name) {
            return Some(table);
        }
    }
    None
}

/// A whole row as a struct of its columns.
pub(super) fn change(expr: &mut Expr, scopes: &Scopes) {
    let Some(table) = table_of(expr, scopes) else { return };
    let Some(columns) = &table.columns else { return };
    let column = |name: &String| Expr::CompoundIdentifier(vec![quoted(&table.name), quoted(name)]);
    let fields = columns.iter().flat_map(|name| [text(name), column(name)]);
    let row = call("named_struct", fields.collect());
    // The side of an outer join that has no row for one of the other's has none here.
    let lacks =
        columns.iter().filter(|_| table.may_lack).map(|name| Expr::IsNull(Box::new(column(name))));
    let lacks = lacks.reduce(|so_far, one| Expr::BinaryOp {
        left: Box::new(so_far),
        op: BinaryOperator::And,
        right: Box::new(one),
    });
    *expr = match lacks {
        None => row,
        Some(condition) => Expr::Case {
            case_token: AttachedToken::empty(),
            end_token: AttachedToken::empty(),
            operand: None,
            conditions: vec![CaseWhen { condition, result: null() }],
            else_result: Some(Box::new(row)),
        },
    };
}
