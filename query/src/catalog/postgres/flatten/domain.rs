//! What a subquery needs of the rows outside.

use std::cell::Cell;
use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ExprSchema, Result, ScalarValue, not_impl_err};
use datafusion::functions::expr_fn::coalesce;
use datafusion::logical_expr::{
    Distinct, EmptyRelation, Expr, LogicalPlan, Projection, WindowFunctionDefinition,
};

use super::outer::{named_as, outer_columns, outer_of};
use crate::trees::{change, look, test};

/// Names that nothing else in a plan has.
#[derive(Debug, Default)]
pub(super) struct Names(Cell<usize>);

impl Names {
    pub(super) fn next(&self, kind: &str) -> String {
        self.0.set(self.0.get() + 1);
        format!("__{kind}_{}", self.0.get())
    }
}

/// The columns outside that a subquery refers to, and the rows that they are of.
#[derive(Debug)]
pub(super) struct Domain<'a> {
    rows: &'a LogicalPlan,
    /// The columns outside.
    pub(super) columns: Vec<Column>,
    fields: Vec<FieldRef>,
    names: &'a Names,
}

/// A plan that has been asked for all rows of a domain.
#[derive(Debug)]
pub(super) struct Pushed {
    /// The plan. It has the columns that it had, and others.
    pub(super) plan: LogicalPlan,
    /// Those of its columns that hold the domain's, in their order.
    pub(super) keys: Vec<Column>,
}

impl<'a> Domain<'a> {
    /// # Errors
    /// The rows may be others each time they are read.
    pub(super) fn new(
        rows: &'a LogicalPlan,
        columns: Vec<Column>,
        names: &'a Names,
    ) -> Result<Self> {
        if !columns.is_empty() {
            check_repeatable(rows)?;
        }
        let field = |column| rows.schema().field_from_column(column).cloned();
        let fields = columns.iter().map(field).collect::<Result<_>>()?;
        Ok(Self { rows, columns, fields, names })
    }

    /// A domain's rows, each once, under names of their own.
    pub(super) fn fresh(&self) -> Result<Pushed> {
        if self.columns.is_empty() {
            let schema = Arc::new(DFSchema::empty());
            let plan = LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: true, schema });
            return Ok(Pushed { plan, keys: Vec::new() });
        }
        let table = self.names.next("outer");
        let keys: Vec<_> = (0..self.columns.len())
            .map(|at| Column::new(Some(table.as_str()), format!("{table}_{at}")))
            .collect();
        let exprs = self.columns.iter().zip(&keys).map(|(column, key)| {
            Expr::Column(column.clone()).alias_qualified(key.relation.clone(), key.name.as_str())
        });
        let projection = Projection::try_new(exprs.collect(), Arc::new(self.rows.clone()))?;
        let rows = Arc::new(LogicalPlan::Projection(projection));
        Ok(Pushed { plan: LogicalPlan::Distinct(Distinct::All(rows)), keys })
    }

    /// Whether a plan refers to it.
    pub(super) fn is_in(&self, plan: &LogicalPlan) -> Result<bool> {
        Ok(outer_columns(plan)?.iter().any(|column| self.columns.contains(column)))
    }

    /// Whether an expression does.
    pub(super) fn is_of(&self, expr: &Expr) -> Result<bool> {
        Ok(outer_of(expr)?.iter().any(|column| self.columns.contains(column)))
    }

    /// An expression with columns in place of references outside.
    pub(super) fn bind(&self, expr: Expr, keys: &[Column]) -> Result<Expr> {
        expr.transform_up(change(&mut |part: Expr| {
            let key = match &part {
                Expr::OuterReferenceColumn(_, column) => {
                    let at = self.columns.iter().position(|one| one == column);
                    at.and_then(|at| keys.get(at)).cloned()
                }
                _ => None,
            };
            Ok(match key {
                Some(key) => Transformed::yes(Expr::Column(key)),
                None => Transformed::no(part),
            })
        }))
        .data()
    }

    /// Likewise, under the name that it had.
    pub(super) fn bind_named(&self, expr: &Expr, keys: &[Column]) -> Result<Expr> {
        Ok(named_as(self.bind(expr.clone(), keys)?, expr))
    }

    /// Pairs that are equal where the rows of two plans are of one row of the domain. Nothing in
    /// them is null, so that they can stand beside other conditions of a join.
    pub(super) fn pairs(&self, left: &[Column], right: &[Column]) -> Result<Vec<(Expr, Expr)>> {
        let mut pairs = Vec::new();
        for ((left, right), field) in left.iter().zip(right).zip(&self.fields) {
            let (left, right) = (Expr::Column(left.clone()), Expr::Column(right.clone()));
            if !field.is_nullable() {
                pairs.push((left, right));
                continue;
            }
            let blank = Expr::Literal(ScalarValue::new_default(field.data_type())?, None);
            pairs.push((left.clone().is_null(), right.clone().is_null()));
            pairs.push((coalesce(vec![left, blank.clone()]), coalesce(vec![right, blank])));
        }
        Ok(pairs)
    }
}

/// The rows outside are read once for themselves and once for a subquery, which must be the same.
fn check_repeatable(rows: &LogicalPlan) -> Result<()> {
    let differs = rows.exists(test(&mut |node: &LogicalPlan| {
        if let LogicalPlan::Limit(limit) = node {
            let sorted = limit.input.exists(test(&mut |below: &LogicalPlan| {
                Ok(matches!(below, LogicalPlan::Sort(_)))
            }))?;
            if !sorted {
                return Ok(true);
            }
        }
        let mut differs = false;
        node.apply_expressions(look(&mut |expr: &Expr| {
            differs |= expr.is_volatile()
                || expr.exists(test(&mut |part: &Expr| Ok(is_unordered(part))))?;
            Ok(TreeNodeRecursion::Continue)
        }))?;
        Ok(differs)
    }))?;
    match differs {
        true => not_impl_err!(
            "a correlated subquery beside rows that may be others each time they are read, by \
             LIMIT or row_number() without ORDER BY, or by a function like random()"
        ),
        false => Ok(()),
    }
}

/// Whether an expression counts rows that are in no order.
fn is_unordered(expr: &Expr) -> bool {
    match expr {
        Expr::WindowFunction(function) => {
            matches!(function.fun, WindowFunctionDefinition::WindowUDF(_))
                && function.params.order_by.is_empty()
        }
        _ => false,
    }
}
