//! The syntax of a configuration's SQL expressions, and the columns that they name.

use riskstream_expressions::syntax;
pub(crate) use riskstream_expressions::syntax::ColumnUse;

use super::problem::Problem;
use super::spec::Sql;

/// Checks that the text is one SQL expression without a subquery.
///
/// # Errors
/// The problem, pointing into the expression where the TOML string has no escapes.
pub(crate) fn check_syntax(sql: &Sql) -> Result<(), Problem> {
    let Err(error) = syntax::columns(sql.as_str()) else { return Ok(()) };
    let problem = Problem::new(
        sql.span_within(error.range),
        format!("not an SQL expression: {}", error.message),
    );
    Err(match error.help {
        Some(help) => problem.help(help),
        None => problem,
    })
}

/// The columns that the expression names, in order; none if its syntax is wrong.
pub(crate) fn columns(sql: &Sql) -> Vec<ColumnUse> {
    syntax::columns(sql.as_str()).unwrap_or_default()
}
