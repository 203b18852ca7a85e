//! Which files a query has to read: decided from the log alone, before any file is opened.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Schema};
use datafusion::catalog::Session;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, TryCastExpr};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use super::files::TableFiles;

impl TableFiles {
    /// Whether a filter asks for nothing but partition columns, so that the log decides it for all
    /// rows of a file.
    pub(super) fn decides(&self, filter: &Expr) -> bool {
        let columns = filter.column_refs();
        let subquery = |expr: &Expr| {
            matches!(
                expr,
                Expr::Exists(_)
                    | Expr::InSubquery(_)
                    | Expr::ScalarSubquery(_)
                    | Expr::OuterReferenceColumn(..)
            )
        };
        !columns.is_empty()
            && !filter.is_volatile()
            && !filter.exists(|expr| Ok(subquery(expr))).unwrap_or(true)
            && columns.iter().all(|column| {
                self.partition_fields.iter().any(|field| *field.name() == column.name)
            })
    }

    /// The files that may hold rows which pass all filters: those of partition columns, and those
    /// of any column in their physical form.
    pub(super) fn select(
        &self,
        state: &dyn Session,
        by_partition: Vec<Expr>,
        filters: &[Arc<dyn PhysicalExpr>],
    ) -> Result<UInt32Array> {
        let mut wanted = vec![true; self.files.len()];
        if let Some(predicate) = conjunction(by_partition)
            && !self.files.is_empty()
        {
            let passed = self.passed(state, predicate)?;
            let passed = passed.as_boolean_opt().ok_or_else(|| {
                DataFusionError::Internal("a partition filter is not a condition".into())
            })?;
            for (wanted, passed) in wanted.iter_mut().zip(passed) {
                *wanted = passed == Some(true);
            }
        }
        for filter in filters {
            self.prune(filter, &mut wanted);
        }
        let files = wanted.iter().zip(0_u32..).filter(|(wanted, _)| **wanted);
        Ok(files.map(|(_, file)| file).collect::<Vec<_>>().into())
    }

    /// A condition on partition columns, for each file.
    fn passed(&self, state: &dyn Session, predicate: Expr) -> Result<ArrayRef> {
        let schema = Arc::new(Schema::new(self.partition_fields.clone()));
        let first = self.file_schema.fields().len();
        let columns = (first..self.schema.fields().len()).map(|index| self.bounds.least(index));
        let values = RecordBatch::try_new(Arc::clone(&schema), columns.cloned().collect())?;
        let predicate = state.create_physical_expr(predicate, &DFSchema::try_from(schema)?)?;
        predicate.evaluate(&values)?.into_array(values.num_rows())
    }

    /// Takes files out in which no row passes the filter, as far as it can be told.
    fn prune(&self, filter: &Arc<dyn PhysicalExpr>, wanted: &mut [bool]) {
        if !keeps_order(filter, &self.schema) {
            return;
        }
        let predicate = PruningPredicateBuilder::new()
            .with_file_schema(Arc::clone(&self.schema))
            .try_build(Arc::clone(filter));
        // What can't be told of bounds, for example since a bound overflows in a cast, is left to
        // the rows.
        let Ok(passed) = predicate.and_then(|predicate| predicate.prune(&self.bounds)) else {
            return;
        };
        for (wanted, passed) in wanted.iter_mut().zip(passed) {
            *wanted &= passed;
        }
    }
}

/// Whether all casts of an expression keep the order of values, so that what holds for the bounds
/// of a column holds for what is between them. DataFusion takes that for granted of all casts but
/// those from and to strings; it is wrong of a timestamp's time of day, for one.
pub(super) fn keeps_order(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> bool {
    let mut keeps = true;
    let visited = expr.apply(|expr| {
        let cast = expr.downcast_ref::<CastExpr>().map(|cast| (cast.expr(), cast.cast_type()));
        let cast = cast.or_else(|| {
            expr.downcast_ref::<TryCastExpr>().map(|cast| (cast.expr(), cast.cast_type()))
        });
        if let Some((from, to)) = cast {
            keeps &= from.data_type(schema).is_ok_and(|from| cast_keeps_order(&from, to));
        }
        Ok(if keeps { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    keeps && visited.is_ok()
}

fn cast_keeps_order(from: &DataType, to: &DataType) -> bool {
    let instant = |data_type: &DataType| match data_type {
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, None) => Some(true),
        // Between local times of a zone and instants an hour is repeated each year.
        DataType::Timestamp(_, Some(zone)) => Some(matches!(&**zone, "UTC" | "+00:00" | "Z")),
        _ => None,
    };
    match (from, to) {
        (DataType::Dictionary(_, from), to) => cast_keeps_order(from, to),
        (from, DataType::Dictionary(_, to)) => cast_keeps_order(from, to),
        (DataType::Timestamp(_, Some(_)), DataType::Timestamp(_, Some(_))) => true,
        _ if from == to => true,
        _ if from.is_numeric() && to.is_numeric() => true,
        _ if from.is_string() && to.is_string() => true,
        _ => instant(from) == Some(true) && instant(to) == Some(true),
    }
}
