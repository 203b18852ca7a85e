//! How tables are joined.

use datafusion::sql::sqlparser::ast::{JoinConstraint, JoinOperator, TableFactor, TableWithJoins};

/// Whether some of a table's joins are by `USING` or `NATURAL`.
pub(super) fn has_merged(table: &TableWithJoins) -> bool {
    let is_merged = |operator: &JoinOperator| {
        matches!(constraint(operator), Some(JoinConstraint::Using(_) | JoinConstraint::Natural))
    };
    let nested = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin { table_with_joins, .. } => has_merged(table_with_joins),
        _ => false,
    };
    nested(&table.relation)
        || table.joins.iter().any(|join| is_merged(&join.join_operator) || nested(&join.relation))
}

/// What a join's rows have in common; none for joins that PostgreSQL does not have.
pub(super) fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    use JoinOperator as J;
    match operator {
        J::Join(on)
        | J::Inner(on)
        | J::Left(on)
        | J::LeftOuter(on)
        | J::Right(on)
        | J::RightOuter(on)
        | J::FullOuter(on)
        | J::CrossJoin(on) => Some(on),
        _ => None,
    }
}
