//! `LIMIT` and `DISTINCT ON`, asked for all rows of a domain.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Column, Result};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::Sort as SortExpr;
use datafusion::logical_expr::{
    Distinct, DistinctOn, Expr, ExprFunctionExt, Filter, Limit, LogicalPlan, Projection, Window,
    cast, lit,
};

use super::domain::Pushed;
use super::push::Pusher;

impl Pusher<'_> {
    /// The first rows for each row of the domain.
    pub(super) fn limit(&self, limit: Limit) -> Result<Pushed> {
        let (Pushed { plan, keys }, number) = self.numbered(Arc::unwrap_or_clone(limit.input))?;
        let number = cast(Expr::Column(number), DataType::Int64);
        let is_set = |expr: &Expr| !matches!(expr, Expr::Literal(value, _) if value.is_null());
        let bound = |expr: Option<Box<Expr>>| {
            let expr = expr.map(|expr| *expr).filter(is_set);
            expr.map(|expr| self.domain.bind(expr, &keys)).transpose()
        };
        let (skip, fetch) = (bound(limit.skip)?, bound(limit.fetch)?);
        let skip = skip.unwrap_or_else(|| lit(0_i64));
        let mut predicate = number.clone().gt(skip.clone());
        if let Some(fetch) = fetch {
            predicate = predicate.and((number - skip).lt_eq(fetch));
        }
        let plan = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(plan))?);
        Ok(Pushed { plan, keys })
    }

    /// A plan with the number of each row among those of its row of the domain, from 1.
    fn numbered(&self, plan: LogicalPlan) -> Result<(Pushed, Column)> {
        match plan {
            LogicalPlan::Projection(projection) if is_sorted(&projection.input) => {
                let (input, number) = self.numbered(Arc::unwrap_or_clone(projection.input))?;
                let Pushed { plan, keys } = input;
                let bound = projection.expr.iter().map(|expr| self.domain.bind_named(expr, &keys));
                let mut exprs = bound.collect::<Result<Vec<_>>>()?;
                let more = keys.iter().chain([&number]).cloned();
                exprs.extend(more.map(Expr::Column));
                let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?);
                Ok((Pushed { plan, keys }, number))
            }
            LogicalPlan::Sort(sort) => {
                let input = self.push(Arc::unwrap_or_clone(sort.input))?;
                let order = sort.expr.into_iter().map(|one| {
                    let expr = self.domain.bind(one.expr.clone(), &input.keys)?;
                    Ok(one.with_expr(expr))
                });
                let order = order.collect::<Result<_>>()?;
                self.number(input, order)
            }
            plan => {
                let input = self.push(plan)?;
                self.number(input, Vec::new())
            }
        }
    }

    fn number(&self, input: Pushed, order: Vec<SortExpr>) -> Result<(Pushed, Column)> {
        let Pushed { plan, keys } = input;
        let name = self.names.next("number");
        let parts = keys.iter().cloned().map(Expr::Column).collect();
        let numbered = row_number().partition_by(parts);
        // DataFusion takes no empty order.
        let numbered = if order.is_empty() { numbered } else { numbered.order_by(order) };
        let function = numbered.build()?.alias(&name);
        let plan = LogicalPlan::Window(Window::try_new(vec![function], Arc::new(plan))?);
        Ok((Pushed { plan, keys }, Column::new_unqualified(name)))
    }

    /// The first row of each group for each row of the domain.
    pub(super) fn distinct_on(&self, distinct: DistinctOn) -> Result<Pushed> {
        let Pushed { plan, keys } = self.push(Arc::unwrap_or_clone(distinct.input))?;
        let columns = || keys.iter().cloned().map(Expr::Column);
        let bound = |exprs: Vec<Expr>| {
            let exprs = exprs.into_iter().map(|expr| self.domain.bind(expr, &keys));
            exprs.collect::<Result<Vec<_>>>()
        };
        let on = columns().chain(bound(distinct.on_expr)?).collect();
        let selected = distinct.select_expr.iter().map(|one| self.domain.bind_named(one, &keys));
        let mut selected = selected.collect::<Result<Vec<_>>>()?;
        selected.extend(columns());
        let sort = distinct.sort_expr.map(|sort| {
            let own = sort.into_iter().map(|one| {
                let expr = self.domain.bind(one.expr.clone(), &keys)?;
                Ok(one.with_expr(expr))
            });
            columns().map(|key| Ok(key.sort(true, true))).chain(own).collect::<Result<Vec<_>>>()
        });
        let distinct = DistinctOn::try_new(on, selected, sort.transpose()?, Arc::new(plan))?;
        Ok(Pushed { plan: LogicalPlan::Distinct(Distinct::On(distinct)), keys })
    }
}

/// Whether a plan's rows are in an order that it says.
fn is_sorted(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) => true,
        LogicalPlan::Projection(projection) => is_sorted(&projection.input),
        _ => false,
    }
}
