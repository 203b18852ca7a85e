//! Operators, collations and comparisons with arrays.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Distinct, Expr, OrderBy, OrderByKind, Select, UnaryOperator,
};

use super::arrays::literal_elements;
use super::build::{binary, boolean, call, literal, take};

pub(super) fn change(expr: &mut Expr) {
    match expr {
        Expr::Collate { expr: inner, .. } => *expr = take(inner),
        Expr::UnaryOp { op: UnaryOperator::PGSquareRoot, expr: of } => {
            *expr = call("sqrt", vec![take(of)]);
        }
        Expr::UnaryOp { op: UnaryOperator::PGCubeRoot, expr: of } => {
            *expr = call("cbrt", vec![take(of)]);
        }
        // A text is of the type of the column that it stands for, as beside `=`.
        Expr::Case { operand: Some(operand), conditions, .. }
            if matches!(**operand, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
                && conditions.iter().all(|when| literal(&when.condition).is_some()) =>
        {
            for when in conditions.iter_mut() {
                let value = take(&mut when.condition);
                when.condition = binary(Expr::clone(operand), BinaryOperator::Eq, value);
            }
            if let Expr::Case { operand, .. } = expr {
                *operand = None;
            }
        }
        Expr::BinaryOp { op, .. } => plain_operator(op),
        Expr::AtTimeZone { timestamp, time_zone } => {
            *expr = call("timezone", vec![take(time_zone), take(timestamp)]);
        }
        Expr::AnyOp { left, compare_op, right, .. } => {
            plain_operator(compare_op);
            if let Some(elements) = literal_elements(right) {
                *expr = one_or_all(take(left), compare_op, elements, true);
            }
        }
        Expr::AllOp { left, compare_op, right } => {
            plain_operator(compare_op);
            if let Some(elements) = literal_elements(right) {
                *expr = one_or_all(take(left), compare_op, elements, false);
            }
        }
        Expr::Like { negated, any: true, expr: left, pattern, .. } => {
            let op = match negated {
                true => BinaryOperator::PGNotLikeMatch,
                false => BinaryOperator::PGLikeMatch,
            };
            if let Some(elements) = literal_elements(pattern) {
                *expr = one_or_all(take(left), &op, elements, true);
            }
        }
        _ => {}
    }
}

/// `OPERATOR(pg_catalog.~)` as `~`.
fn plain_operator(op: &mut BinaryOperator) {
    let BinaryOperator::PGCustomBinaryOperator(parts) = op else { return };
    let plain = match parts.last().map(String::as_str) {
        Some("=") => BinaryOperator::Eq,
        Some("<>" | "!=") => BinaryOperator::NotEq,
        Some("<") => BinaryOperator::Lt,
        Some("<=") => BinaryOperator::LtEq,
        Some(">") => BinaryOperator::Gt,
        Some(">=") => BinaryOperator::GtEq,
        Some("~") => BinaryOperator::PGRegexMatch,
        Some("~*") => BinaryOperator::PGRegexIMatch,
        Some("!~") => BinaryOperator::PGRegexNotMatch,
        Some("!~*") => BinaryOperator::PGRegexNotIMatch,
        Some("~~") => BinaryOperator::PGLikeMatch,
        Some("~~*") => BinaryOperator::PGILikeMatch,
        Some("!~~") => BinaryOperator::PGNotLikeMatch,
        Some("!~~*") => BinaryOperator::PGNotILikeMatch,
        Some("+") => BinaryOperator::Plus,
        Some("-") => BinaryOperator::Minus,
        Some("*") => BinaryOperator::Multiply,
        Some("/") => BinaryOperator::Divide,
        Some("||") => BinaryOperator::StringConcat,
        Some("&") => BinaryOperator::BitwiseAnd,
        Some("|") => BinaryOperator::BitwiseOr,
        _ => return,
    };
    *op = plain;
}

/// A comparison with some or all of the elements of an array.
fn one_or_all(left: Expr, op: &BinaryOperator, elements: Vec<Expr>, any: bool) -> Expr {
    if elements.is_empty() {
        return boolean(!any);
    }
    match (op, any) {
        (BinaryOperator::Eq, true) => {
            return Expr::InList { expr: Box::new(left), list: elements, negated: false };
        }
        (BinaryOperator::NotEq, false) => {
            return Expr::InList { expr: Box::new(left), list: elements, negated: true };
        }
        _ => {}
    }
    let between = if any { BinaryOperator::Or } else { BinaryOperator::And };
    let mut all = elements.into_iter().map(|element| binary(left.clone(), op.clone(), element));
    let first = all.next().unwrap_or_else(|| boolean(!any));
    all.fold(first, |so_far, one| binary(so_far, between.clone(), one))
}

/// `DISTINCT ON` takes its expressions in any order in PostgreSQL, in that of ORDER BY in
/// DataFusion.
pub(super) fn order_distinct_on(select: &mut Select, order_by: Option<&OrderBy>) {
    let Some(Distinct::On(on)) = &mut select.distinct else { return };
    let Some(OrderBy { kind: OrderByKind::Expressions(order), .. }) = order_by else { return };
    let place = |expr: &Expr| order.iter().position(|one| one.expr == *expr).unwrap_or(usize::MAX);
    on.sort_by_key(place);
}
