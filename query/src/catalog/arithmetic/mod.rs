//! Numbers and casts as PostgreSQL has them, in plans of DataFusion.
//!
//! ```text
//!   SQL ─▶ Planner ─▶ plan ─▶ Meant ─▶ type coercion ─▶ Checked ─▶ optimizer
//!          literals,          casts, floats             overflow,
//!          numeric /, avg     beside decimals           casts of coercion
//! ```
//! Invariants:
//! - A sum, difference, product or negation that its type can't hold is an error, never another
//!   number.
//! - What is written with a point is a decimal and stays one, unless a float is beside it.
//!
//! DataFusion wraps integers, divides decimals to four more digits than they have, cuts where
//! PostgreSQL rounds, and shows values in casts to text in its own way.

mod average;
mod casts;
mod checked;
mod clocks;
mod decimal;
mod field;
mod fixed;
mod floats;
mod free;
mod functions;
mod intervals;
mod literals;
mod operation;
mod plain;
mod planner;
mod quotient;
mod read;
mod rules;
mod sum;
mod text;
mod utc;
mod whole;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::analyzer::resolve_grouping_function::ResolveGroupingFunction;
use datafusion::optimizer::analyzer::type_coercion::TypeCoercion;

pub(crate) use self::decimal::read_decimals;
pub(crate) use self::free::free_numeric;

/// A builder with DataFusion's own functions, whose states count as PostgreSQL does.
pub(crate) fn with_arithmetic(mut builder: SessionStateBuilder) -> SessionStateBuilder {
    builder.expr_planners().get_or_insert_default().push(Arc::new(planner::Planner));
    builder.aggregate_functions().get_or_insert_default().push(sum::function());
    let rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![
        Arc::new(ResolveGroupingFunction::new()),
        Arc::new(rules::Meant),
        Arc::new(TypeCoercion::new()),
        Arc::new(rules::Checked),
    ];
    builder.with_analyzer_rules(rules)
}
