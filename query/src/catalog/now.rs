//! `NAME_now`: of a table with revisions, the newest revision of each key.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::common::Result;
use datafusion::datasource::provider_as_source;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlanBuilder, col, ident, lit};

use crate::live::PinnedTable;

/// The number of a row among those of its key, the newest first. No table has a column of this
/// name: pipelines can't make one with a space.
const NUMBER: &str = "revision number";

/// The newest revisions among the rows of a table that `provider` gives; none where the table has
/// no revisions.
///
/// A condition on key columns is applied before rows are numbered, so a look-up of one key reads as
/// little as it would of the table.
pub(crate) fn newest_revisions(
    table: &PinnedTable,
    provider: Arc<dyn TableProvider>,
) -> Result<Option<Arc<dyn TableProvider>>> {
    let fact = table.fact();
    let Some(revision) = fact.revision.as_deref() else { return Ok(None) };
    let key: Vec<Expr> = fact.key.iter().map(ident).collect();
    if key.is_empty() {
        return Ok(None);
    }
    let columns: Vec<Expr> =
        provider.schema().fields().iter().map(|field| ident(field.name())).collect();
    let number = row_number()
        .partition_by(key)
        .order_by(vec![ident(revision).sort(false, false)])
        .build()?
        .alias(NUMBER);
    let mut is_newest = col(format!("\"{NUMBER}\"")).eq(lit(1_u64));
    if let Some(count) = &fact.gone_at_zero {
        is_newest = is_newest.and(ident(count).not_eq(lit(0_i64)));
    }
    let plan = LogicalPlanBuilder::scan(table.name(), provider_as_source(provider), None)?
        .window(vec![number])?
        .filter(is_newest)?
        .project(columns)?
        .build()?;
    Ok(Some(Arc::new(ViewTable::new(plan, None))))
}
