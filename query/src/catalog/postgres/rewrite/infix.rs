//! Operators that are functions here.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{BinaryOperator, CaseWhen, DataType, Expr};

use super::super::functions::array_elements;
use super::build::{bare, binary, boolean, call, literal, null, take, text};

pub(super) fn change(expr: &mut Expr) {
    let Expr::BinaryOp { left, op, right } = expr else { return };
    let changed = match op {
        BinaryOperator::Arrow => call("_json_get", vec![take(left), take(right)]),
        BinaryOperator::LongArrow => call("_json_get_text", vec![take(left), take(right)]),
        BinaryOperator::HashArrow | BinaryOperator::HashLongArrow => {
            let Some(steps) = literal(right).and_then(array_elements) else { return };
            let name = match op {
                BinaryOperator::HashArrow => "json_extract_path",
                _ => "json_extract_path_text",
            };
            let steps = steps.into_iter().map(|step| step.map_or_else(null, |step| text(&step)));
            let arguments = std::iter::once(take(left)).chain(steps).collect();
            call(name, arguments)
        }
        BinaryOperator::PGOverlap => call("array_has_any", vec![take(left), take(right)]),
        BinaryOperator::Overlaps => match (period(left), period(right)) {
            (Some(first), Some(second)) => overlap(&first, &second),
            _ => return,
        },
        _ => return,
    };
    *expr = changed;
}

/// Two ends of a time, the first first.
struct Period {
    start: Expr,
    end: Expr,
}

/// `(start, end)` or `(start, length)`.
fn period(expr: &Expr) -> Option<Period> {
    let Expr::Tuple(ends) = bare(expr) else { return None };
    let [first, second] = ends.as_slice() else { return None };
    let is_length = match bare(second) {
        Expr::Interval(_) => true,
        Expr::Cast { data_type, .. } => matches!(data_type, DataType::Interval { .. }),
        _ => false,
    };
    let second = match is_length {
        true => binary(first.clone(), BinaryOperator::Plus, second.clone()),
        false => second.clone(),
    };
    let ends = || vec![first.clone(), second.clone()];
    Some(Period { start: call("least", ends()), end: call("greatest", ends()) })
}

/// Whether two times have a moment in common: each is without its end, unless it is one moment.
fn overlap(first: &Period, second: &Period) -> Expr {
    let compare = |left: &Expr, op, right: &Expr| binary(left.clone(), op, right.clone());
    let when = |condition, result| CaseWhen { condition, result };
    let conditions = vec![
        when(
            compare(&first.start, BinaryOperator::Gt, &second.start),
            compare(&first.start, BinaryOperator::Lt, &second.end),
        ),
        when(
            compare(&first.start, BinaryOperator::Lt, &second.start),
            compare(&second.start, BinaryOperator::Lt, &first.end),
        ),
        when(compare(&first.start, BinaryOperator::Eq, &second.start), boolean(true)),
    ];
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions,
        else_result: None,
    }
}
