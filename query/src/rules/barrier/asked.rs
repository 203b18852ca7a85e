//! What of a statement's own filters is asked of the rows that its user sees.
//!
//! The table's scan is asked the same, so that it skips files; which it can skip depends on rows of
//! others, too. How many rows come out of the barrier does not: those that pass.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::Schema;
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::PhysicalExpr;

/// Comparisons that can't fail, made ready for the batches of one scan.
#[derive(Debug)]
pub(super) struct Asked(Arc<dyn PhysicalExpr>);

impl Asked {
    /// These filters, for batches with columns of a table; those that they look at are put there if
    /// they are missing. None where nothing is asked.
    pub(super) fn new(
        filters: &[Expr],
        state: &dyn Session,
        schema: &Schema,
        columns: &mut Vec<usize>,
    ) -> Result<Option<Self>> {
        let Some(all) = conjunction(filters.iter().cloned()) else { return Ok(None) };
        let mut looked_at: Vec<usize> = all
            .column_refs()
            .into_iter()
            .map(|column| schema.index_of(&column.name))
            .collect::<std::result::Result<_, _>>()?;
        looked_at.sort_unstable();
        for column in looked_at {
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
        let schema = DFSchema::try_from(schema.project(columns)?)?;
        Ok(Some(Self(state.create_physical_expr(all, &schema)?)))
    }

    /// The rows of a batch that pass.
    pub(super) fn find(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let found: ArrayRef = self.0.evaluate(batch)?.into_array(batch.num_rows())?;
        let found = found.as_boolean();
        Ok(match found.null_count() {
            0 => found.clone(),
            _ => prep_null_mask_filter(found),
        })
    }
}
