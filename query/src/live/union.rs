//! A table's landed and live rows as one table.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::{
    Expr, Operator, TableProviderFilterPushDown, TableType, binary_expr, ident, lit,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExecBuilder;
use datafusion::physical_plan::union::UnionExec;

use crate::lake::DeltaProvider;

/// Which landed rows are gone by an epoch that has not landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Emptied {
    /// All.
    All,
    /// Those of one pipeline, whose name stands in a column.
    Of {
        /// The column.
        column: String,
        /// The pipeline.
        pipeline: String,
    },
}

/// The files of a version, files that were staged since, and rows that travel in epoch files.
#[derive(Debug)]
pub(crate) struct LandedAndLive {
    landed: Arc<DeltaProvider>,
    staged: Option<Arc<DeltaProvider>>,
    rows: Vec<RecordBatch>,
    emptied: Option<Emptied>,
}

impl LandedAndLive {
    pub(crate) fn new(
        landed: Arc<DeltaProvider>,
        staged: Option<Arc<DeltaProvider>>,
        rows: Vec<RecordBatch>,
        emptied: Option<Emptied>,
    ) -> Self {
        Self { landed, staged, rows, emptied }
    }

    /// The landed rows that still count.
    async fn landed(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        match &self.emptied {
            None => self.landed.scan(state, projection, filters, limit).await.map(Some),
            Some(Emptied::All) => Ok(None),
            Some(Emptied::Of { column, pipeline }) => {
                // All columns are read, since the condition's may not be asked for.
                let scan = self.landed.scan(state, None, filters, None).await?;
                let own = lit(pipeline.as_str());
                let keeps = binary_expr(ident(column), Operator::IsDistinctFrom, own);
                let schema = DFSchema::try_from(scan.schema().as_ref().clone())?;
                let keeps = state.create_physical_expr(keeps, &schema)?;
                let kept = FilterExecBuilder::new(keeps, scan)
                    .apply_projection(projection.cloned())?
                    .build()?;
                Ok(Some(Arc::new(kept)))
            }
        }
    }
}

#[async_trait::async_trait]
impl TableProvider for LandedAndLive {
    fn schema(&self) -> SchemaRef {
        self.landed.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut inputs: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        inputs.extend(self.landed(state, projection, filters, limit).await?);
        if let Some(staged) = &self.staged {
            inputs.push(staged.scan(state, projection, filters, limit).await?);
        }
        if !self.rows.is_empty() || inputs.is_empty() {
            inputs.push(MemorySourceConfig::try_new_exec(
                std::slice::from_ref(&self.rows),
                self.schema(),
                projection.cloned(),
            )?);
        }
        match inputs.len() {
            1 => Ok(inputs.remove(0)),
            _ => UnionExec::try_new(inputs),
        }
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        // Rows that are not in files are not filtered by the scan.
        if self.rows.is_empty() && self.emptied.is_none() {
            return self.landed.supports_filters_pushdown(filters);
        }
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}
