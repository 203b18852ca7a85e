//! Which `numeric` columns of a result have a precision that somebody wrote: those of a table, and
//! casts to `numeric(p, s)`. What is computed has one by chance, of which PostgreSQL tells nothing.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::common::JoinType;
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};

use crate::builtins::types::UNBOUND_KEY;
use crate::catalog::newest::NEWEST;

/// As DataFusion plans a `numeric` without a precision.
const ANY_PRECISION: DataType = DataType::Decimal128(38, 10);

/// A plan's columns, of which those with a precision by chance are marked.
pub(super) fn marked(columns: &SchemaRef, plan: &LogicalPlan) -> SchemaRef {
    if !columns.fields().iter().any(|field| is_numeric(field.data_type())) {
        return Arc::clone(columns);
    }
    let mark = |(index, field): (usize, &FieldRef)| {
        if !is_numeric(field.data_type()) || is_written(plan, index) {
            return Arc::clone(field);
        }
        let mut metadata = field.metadata().clone();
        metadata.insert(UNBOUND_KEY.to_owned(), String::new());
        Arc::new(field.as_ref().clone().with_metadata(metadata))
    };
    let fields: Vec<FieldRef> = columns.fields().iter().enumerate().map(mark).collect();
    Arc::new(Schema::new_with_metadata(fields, columns.metadata().clone()))
}

fn is_numeric(data: &DataType) -> bool {
    match data {
        DataType::Decimal128(..) | DataType::Decimal256(..) => true,
        DataType::List(element) | DataType::LargeList(element) => is_numeric(element.data_type()),
        _ => false,
    }
}

/// Whether somebody wrote the precision of a plan's column.
fn is_written(plan: &LogicalPlan, index: usize) -> bool {
    match plan {
        LogicalPlan::TableScan(_) => true,
        LogicalPlan::Projection(of) => of.expr.get(index).is_some_and(|e| is_said(e, &of.input)),
        LogicalPlan::SubqueryAlias(of) => is_written(&of.input, index),
        LogicalPlan::Subquery(of) => is_written(&of.subquery, index),
        LogicalPlan::Filter(of) => is_written(&of.input, index),
        LogicalPlan::Sort(of) => is_written(&of.input, index),
        LogicalPlan::Limit(of) => is_written(&of.input, index),
        LogicalPlan::Repartition(of) => is_written(&of.input, index),
        LogicalPlan::Window(of) => {
            index < of.input.schema().fields().len() && is_written(&of.input, index)
        }
        LogicalPlan::Distinct(Distinct::All(input)) => is_written(input, index),
        LogicalPlan::Distinct(Distinct::On(of)) => {
            of.select_expr.get(index).is_some_and(|expr| is_said(expr, &of.input))
        }
        LogicalPlan::Aggregate(of) => {
            let groups = of.group_expr.len();
            match index.checked_sub(groups).and_then(|at| of.aggr_expr.get(at)) {
                Some(value) => newest_value(value).is_some_and(|value| is_said(value, &of.input)),
                None => of.group_expr.get(index).is_some_and(|expr| is_said(expr, &of.input)),
            }
        }
        LogicalPlan::Union(of) => of.inputs.iter().all(|input| is_written(input, index)),
        LogicalPlan::Join(of) => {
            let left = match of.join_type {
                JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => 0,
                _ => of.left.schema().fields().len(),
            };
            match index.checked_sub(left) {
                None => is_written(&of.left, index),
                Some(index) => is_written(&of.right, index),
            }
        }
        _ => false,
    }
}

/// The column of `NAME_now` that an aggregate gives: it has the type of its table's.
fn newest_value(value: &Expr) -> Option<&Expr> {
    match value {
        Expr::Alias(of) => newest_value(&of.expr),
        Expr::AggregateFunction(of) if of.func.name() == NEWEST => of.params.args.first(),
        _ => None,
    }
}

/// Whether an expression over a plan is a column or a cast whose precision somebody wrote.
fn is_said(expr: &Expr, input: &LogicalPlan) -> bool {
    match expr {
        Expr::Alias(of) => is_said(&of.expr, input),
        Expr::Column(column) => {
            input.schema().maybe_index_of_column(column).is_some_and(|at| is_written(input, at))
        }
        Expr::Cast(of) => *of.field.data_type() != ANY_PRECISION,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
