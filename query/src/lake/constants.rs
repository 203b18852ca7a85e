//! Filters that leave a column one value are told from those that only seem to.
//!
//! Behind `x = 3` DataFusion takes `x` for constant: it is not sorted by, and groups of it come
//! one after the other. It also looks for columns that a filter leaves one value by computing with
//! intervals: for `cast(at as date) = D` it casts the date back and takes `at` for the first
//! instant of the day, though a day has many (`CastExpr::propagate_constraints` of 55.2; a division
//! of whole numbers likewise). `order by at` then gives the rows as they come, and `group by at`
//! a group several times. [`NoFalseConstants`] hides such conditions from the computation; rows,
//! files that are skipped and what `explain` shows stay as they are.

use std::fmt::{Display, Formatter};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, Schema, TimeUnit};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr};
use datafusion::physical_expr::utils::{conjunction, split_conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use super::row_numbers::CountRowNumbers;

/// The rules by which physical plans are optimized: DataFusion's, between two of ours.
pub(crate) fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> =
        vec![Arc::new(NoFalseConstants)];
    rules.extend(PhysicalOptimizer::new().rules);
    rules.push(Arc::new(CountRowNumbers));
    rules
}

/// See the docs of this module. It comes before all rules that ask for constants.
#[derive(Debug)]
struct NoFalseConstants;

impl PhysicalOptimizerRule for NoFalseConstants {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let changed = plan.transform_up(|node| {
            let Some(filter) = node.downcast_ref::<FilterExec>() else {
                return Ok(Transformed::no(node));
            };
            match without_false_constants(filter)? {
                Some(filter) => Ok(Transformed::yes(Arc::new(filter) as Arc<dyn ExecutionPlan>)),
                None => Ok(Transformed::no(node)),
            }
        });
        Ok(changed?.data)
    }

    fn name(&self) -> &str {
        "no_false_constants"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The filter with the conditions hidden that lose values; none where it says of no column that it
/// is constant, or has none of them.
fn without_false_constants(filter: &FilterExec) -> Result<Option<FilterExec>> {
    let (of_filter, of_input) =
        (filter.properties().equivalence_properties(), filter.input().equivalence_properties());
    let finds_constants = of_filter.constants().len() > of_input.constants().len();
    let schema = filter.input().schema();
    let conditions = split_conjunction(filter.predicate());
    let loses: Vec<bool> =
        conditions.iter().map(|condition| loses_values(condition, &schema)).collect();
    // A projection may hide what is constant.
    if !loses.contains(&true) || (!finds_constants && filter.projection().is_none()) {
        return Ok(None);
    }
    let conditions = conditions.into_iter().zip(loses).map(|(condition, loses)| match loses {
        true => Arc::new(Opaque { condition: Arc::clone(condition) }) as Arc<dyn PhysicalExpr>,
        false => Arc::clone(condition),
    });
    let builder = FilterExecBuilder::from(filter).with_predicate(conjunction(conditions));
    builder.build().map(Some)
}

/// Whether several values of a column may become one in it.
fn loses_values(condition: &Arc<dyn PhysicalExpr>, schema: &Schema) -> bool {
    let mut loses = false;
    let visited = condition.apply(|expr| {
        if let Some(cast) = expr.downcast_ref::<CastExpr>() {
            let from = cast.expr().data_type(schema);
            loses |= !from.is_ok_and(|from| is_one_to_one(&from, cast.cast_type()));
        } else if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
            loses |= binary.op().is_numerical_operators();
        }
        Ok(if loses { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    loses || visited.is_err()
}

/// Whether a cast makes different values of different values.
fn is_one_to_one(from: &DataType, to: &DataType) -> bool {
    if CastExpr::check_bigger_cast(to, from) {
        return true;
    }
    match (from, to) {
        (DataType::Date32, DataType::Date64 | DataType::Timestamp(_, None)) => true,
        // Both are instants, or both local times: between them an hour is repeated each year.
        (DataType::Timestamp(from, zone), DataType::Timestamp(to, other)) => {
            zone.is_some() == other.is_some() && digits(from) <= digits(to)
        }
        _ => false,
    }
}

/// Digits behind a second.
fn digits(unit: &TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

/// A condition of which DataFusion knows nothing.
#[derive(Debug)]
struct Opaque {
    condition: Arc<dyn PhysicalExpr>,
}

/// A condition as it was before it was hidden: a scan skips files by it.
pub(super) fn plain(condition: &Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
    match condition.downcast_ref::<Opaque>() {
        Some(opaque) => Arc::clone(&opaque.condition),
        None => Arc::clone(condition),
    }
}

// Not derived: <https://github.com/rust-lang/rust/issues/78808>.
impl PartialEq for Opaque {
    fn eq(&self, other: &Self) -> bool {
        self.condition.eq(&other.condition)
    }
}

impl Eq for Opaque {}

impl Hash for Opaque {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}

impl Display for Opaque {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        Display::fmt(&self.condition, f)
    }
}

impl PhysicalExpr for Opaque {
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.condition.evaluate(batch)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.condition.return_field(schema)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        match (children.pop(), children.is_empty()) {
            (Some(condition), true) => Ok(Arc::new(Self { condition })),
            _ => Err(datafusion::common::DataFusionError::Internal(
                "a condition has one child".to_owned(),
            )),
        }
    }

    fn fmt_sql(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        self.condition.fmt_sql(f)
    }
}
