//! SQL expressions over the rows of a step: parsed, checked and planned once, evaluated per batch.
//!
//! ```text
//! text ─▶ parse ─▶ resolve columns and functions ─▶ coerce types ─▶ simplify
//!      ─▶ physical expression ─▶ evaluate(batch)*
//! ```
//!
//! Invariants:
//! - The same row gets the same value in every run: functions that read a clock or draw numbers are
//!   refused.
//! - Column names are taken as written, without folding to lower case, as everywhere in
//!   `pipelines.toml`.
//! - Numbers with a decimal point are decimals, so that comparing and adding money is exact; beside
//!   a float they become floats. Integer overflow is an error, not a wrap.
//! - An expression that fails whatever the row is (`1 / 0`, a text compared with a number that it
//!   can't be) is refused when it is compiled.
//!
//! What is done once stands in the crate `riskstream-expressions`, which is not optimized; what is
//! done per batch stands here.

mod business;
mod clock;
mod error;
mod lateness;
mod numbers;
mod times;

pub use error::{EvaluationError, ExpressionError};
pub(crate) use error::{hint, nearest};

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, DataFusionError, Result as DataFusionResult};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::{Expr, Operator, Volatility};
use datafusion_physical_expr::expressions::BinaryExpr;
use datafusion_physical_expr::utils::collect_columns;
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};
use riskstream_expressions::place;
use riskstream_expressions::planner::{Planner, Refused};

static SHARED: LazyLock<Compiler> = LazyLock::new(Compiler::new);

/// Turns text into [`CompiledExpression`]s. Making one registers every function, so make one and
/// share it ([`Compiler::shared`]).
#[derive(Debug)]
pub struct Compiler {
    planner: Planner,
    properties: ExecutionProps,
}

impl Default for Compiler {
    fn default() -> Self {
        Self::new()
    }
}

impl Compiler {
    /// A compiler that knows DataFusion's scalar functions, and those of this program.
    #[must_use]
    pub fn new() -> Self {
        Self {
            planner: Planner::new(lateness::functions().chain(business::functions())),
            properties: ExecutionProps::new(),
        }
    }

    /// The compiler of this program, made at its first use.
    #[must_use]
    pub fn shared() -> &'static Self {
        &SHARED
    }

    /// Compiles `sql` for batches of `schema`.
    ///
    /// # Errors
    /// When the text is not one expression, names a column or function that is not there, mixes
    /// types that can't be mixed, or is not a pure function of the row.
    pub fn compile(
        &self,
        sql: &str,
        schema: &SchemaRef,
    ) -> Result<CompiledExpression, ExpressionError> {
        let fields = DFSchema::try_from(Arc::clone(schema)).map_err(|e| error::planning(&e))?;
        let logical = self.plan(sql, schema, &fields)?;
        refuse_impure(&logical, sql)?;

        let simplified = numbers::decimals_beside_floats(logical, &fields)
            .and_then(|logical| times::without_zone(logical, &fields))
            .and_then(|logical| self.planner.simplify(logical, &fields))
            .map_err(|e| error::planning(&e))?;
        let physical = create_physical_expr(
            &simplified,
            &fields,
            &self.properties,
            &PhysicalPlanningContext::default(),
        )
        .and_then(check_overflow)
        .map_err(|e| error::planning(&e))?;

        let compiled = CompiledExpression {
            sql: sql.to_owned(),
            data_type: physical.data_type(schema).map_err(|e| error::planning(&e))?,
            nullable: physical.nullable(schema).map_err(|e| error::planning(&e))?,
            physical,
            storage: None,
        };
        // What fails without any row fails for every row: better known now.
        compiled
            .evaluate(&RecordBatch::new_empty(Arc::clone(schema)))
            .map_err(|e| ExpressionError::Type { reason: e.reason().to_owned() })?;
        Ok(compiled)
    }

    /// Compiles a condition: as [`Self::compile`], and the result must be true, false or null.
    ///
    /// # Errors
    /// As [`Self::compile`], and when the expression is not a condition.
    pub fn compile_predicate(
        &self,
        sql: &str,
        schema: &SchemaRef,
    ) -> Result<CompiledExpression, ExpressionError> {
        let compiled = self.compile(sql, schema)?;
        match compiled.data_type() {
            DataType::Boolean => Ok(compiled),
            found => Err(ExpressionError::NotACondition { found: found.clone() }),
        }
    }

    fn plan(&self, sql: &str, schema: &Schema, fields: &DFSchema) -> Result<Expr, ExpressionError> {
        self.planner.plan(sql, fields).map_err(|refused| match refused {
            Refused::Syntax(e) => error::syntax(sql, &e),
            Refused::Named(name) => ExpressionError::Syntax {
                reason: format!("`as {name}` names a column, but an expression here has no name"),
                at: place::of_word(sql, &name),
            },
            Refused::UnknownFunction(name) => {
                error::unknown_function(sql, name, self.planner.function_names())
            }
            Refused::Unresolved(e) => error::unresolved(sql, &e, schema),
        })
    }
}

/// An expression ready to be evaluated; cheap to clone.
#[derive(Debug, Clone)]
pub struct CompiledExpression {
    sql: String,
    physical: Arc<dyn PhysicalExpr>,
    data_type: DataType,
    nullable: bool,
    /// The type to cast results to, when it differs from the expression's.
    storage: Option<DataType>,
}

impl CompiledExpression {
    /// Compiles `sql` for batches of `schema` with the shared [`Compiler`].
    ///
    /// # Errors
    /// See [`Compiler::compile`].
    pub fn compile(sql: &str, schema: &SchemaRef) -> Result<Self, ExpressionError> {
        Compiler::shared().compile(sql, schema)
    }

    /// Makes results come as `data_type` from now on.
    #[must_use]
    pub(crate) fn stored_as(mut self, data_type: DataType) -> Self {
        self.storage = (data_type != self.data_type).then_some(data_type);
        self
    }

    /// The value for each row of `batch`, which must have the schema that the expression was
    /// compiled for.
    ///
    /// # Errors
    /// When it fails on a row: overflow, division by zero, a cast that can't be done. Which row is
    /// not known.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, EvaluationError> {
        let value = self.physical.evaluate(batch).map_err(|e| EvaluationError::from(&e))?;
        let array =
            value.into_array_of_size(batch.num_rows()).map_err(|e| EvaluationError::from(&e))?;
        match &self.storage {
            Some(data_type) => times::store(&array, data_type)
                .map_err(|e| EvaluationError::from(&DataFusionError::from(e))),
            None => Ok(array),
        }
    }

    /// The truth of a condition for each row; null where it is unknown.
    ///
    /// # Errors
    /// As [`Self::evaluate`], and when the expression is not a condition.
    pub fn evaluate_predicate(&self, batch: &RecordBatch) -> Result<BooleanArray, EvaluationError> {
        let array = self.evaluate(batch)?;
        match array.as_any().downcast_ref::<BooleanArray>() {
            Some(truth) => Ok(truth.clone()),
            None => Err(EvaluationError::new(format!(
                "`{}` is {}, not a condition",
                self.sql, self.data_type
            ))),
        }
    }

    /// The expression as it was written.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The type of its values.
    #[must_use]
    pub fn data_type(&self) -> &DataType {
        self.storage.as_ref().unwrap_or(&self.data_type)
    }

    /// The columns that it reads, in alphabetical order.
    pub(crate) fn columns(&self) -> Vec<(String, usize)> {
        let mut columns: Vec<_> = collect_columns(&self.physical)
            .into_iter()
            .map(|column| (column.name().to_owned(), column.index()))
            .collect();
        columns.sort();
        columns
    }

    /// Whether a value can be null.
    #[must_use]
    pub fn nullable(&self) -> bool {
        self.nullable
    }
}

/// Refuses functions whose value is not decided by the row alone, so that a replay gives the same
/// rows.
fn refuse_impure(logical: &Expr, sql: &str) -> Result<(), ExpressionError> {
    let mut impure = None;
    let visited = logical.apply(|node| {
        Ok(match node {
            Expr::ScalarFunction(call)
                if call.func.signature().volatility != Volatility::Immutable =>
            {
                impure = Some(call.func.name().to_owned());
                TreeNodeRecursion::Stop
            }
            _ => TreeNodeRecursion::Continue,
        })
    });
    visited.map_err(|e| error::planning(&e))?;
    match impure {
        Some(function) => {
            Err(ExpressionError::Impure { at: place::of_call(sql, &function), function })
        }
        None => Ok(()),
    }
}

/// DataFusion wraps integers around by default; a wrapped amount is worse than a dead letter.
fn check_overflow(physical: Arc<dyn PhysicalExpr>) -> DataFusionResult<Arc<dyn PhysicalExpr>> {
    let checked = physical.transform_up(|node| {
        let checked = node.downcast_ref::<BinaryExpr>().and_then(|binary| {
            matches!(binary.op(), Operator::Plus | Operator::Minus | Operator::Multiply).then(
                || {
                    let checked: Arc<dyn PhysicalExpr> =
                        Arc::new(binary.clone().with_fail_on_overflow(true));
                    checked
                },
            )
        });
        Ok(match checked {
            Some(checked) => Transformed::yes(checked),
            None => Transformed::no(node),
        })
    })?;
    Ok(checked.data)
}

#[cfg(test)]
mod tests;
