//! A subquery's plan, asked for all rows of a domain.

use std::sync::Arc;

use datafusion::common::NullEquality;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, Result, ScalarValue, not_impl_err};
use datafusion::functions::expr_fn::coalesce;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Aggregate, Distinct, EmptyRelation, Expr, Filter, Join, JoinConstraint, JoinType, LogicalPlan,
    LogicalPlanBuilder, Projection, Sort, SubqueryAlias, Unnest, Window,
};

use super::domain::{Domain, Names, Pushed};
use crate::trees::change;

/// Pushes a domain into plans.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pusher<'a> {
    pub(super) domain: &'a Domain<'a>,
    pub(super) names: &'a Names,
}

impl<'a> Pusher<'a> {
    pub(super) fn new(domain: &'a Domain<'a>, names: &'a Names) -> Self {
        Self { domain, names }
    }

    /// A plan whose rows are those that it gives for each row of the domain, with that.
    pub(super) fn push(&self, plan: LogicalPlan) -> Result<Pushed> {
        if self.domain.columns.is_empty() {
            return Ok(Pushed { plan, keys: Vec::new() });
        }
        if !self.domain.is_in(&plan)? {
            let Pushed { plan: rows, keys } = self.domain.fresh()?;
            if let LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: true, .. }) = plan {
                return Ok(Pushed { plan: rows, keys });
            }
            let plan = LogicalPlanBuilder::from(plan).cross_join(rows)?.build()?;
            return Ok(Pushed { plan, keys });
        }
        match plan {
            LogicalPlan::Projection(projection) => {
                let input = self.push(Arc::unwrap_or_clone(projection.input))?;
                self.project(&projection.expr, input)
            }
            LogicalPlan::Filter(filter) => {
                let Pushed { plan, keys } = self.push(Arc::unwrap_or_clone(filter.input))?;
                let predicate = self.domain.bind(filter.predicate, &keys)?;
                let plan = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(plan))?);
                Ok(Pushed { plan, keys })
            }
            LogicalPlan::Sort(sort) => {
                let Pushed { plan, keys } = self.push(Arc::unwrap_or_clone(sort.input))?;
                let expr = sort.expr.into_iter().map(|one| {
                    let expr = self.domain.bind(one.expr.clone(), &keys)?;
                    Ok(one.with_expr(expr))
                });
                let expr = expr.collect::<Result<_>>()?;
                let plan = LogicalPlan::Sort(Sort { expr, input: Arc::new(plan), fetch: None });
                Ok(Pushed { plan, keys })
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let Pushed { plan, keys } = self.push(Arc::unwrap_or_clone(alias.input))?;
                let keys = keys
                    .into_iter()
                    .map(|key| Column::new(Some(alias.alias.clone()), key.name))
                    .collect();
                let plan = SubqueryAlias::try_new(Arc::new(plan), alias.alias)?;
                Ok(Pushed { plan: LogicalPlan::SubqueryAlias(plan), keys })
            }
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Window(window) => self.window(window),
            LogicalPlan::Unnest(unnest) => self.unnest(unnest),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let schema = Arc::clone(input.schema());
                let pushed = self.push(Arc::unwrap_or_clone(input))?;
                let Pushed { plan, keys } = self.exact(pushed, &schema)?;
                let plan = LogicalPlan::Distinct(Distinct::All(Arc::new(plan)));
                Ok(Pushed { plan, keys })
            }
            LogicalPlan::Distinct(Distinct::On(distinct)) => self.distinct_on(distinct),
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Values(values) => self.values(values),
            plan => {
                not_impl_err!("a subquery that refers to the rows outside from {}", plan.display())
            }
        }
    }

    /// A projection with the domain's columns behind its own.
    pub(super) fn project(&self, exprs: &[Expr], input: Pushed) -> Result<Pushed> {
        let Pushed { plan, keys } = input;
        let bound = exprs.iter().map(|expr| self.domain.bind_named(expr, &keys));
        let mut exprs = bound.collect::<Result<Vec<_>>>()?;
        for key in &keys {
            let key = Expr::Column(key.clone());
            if !exprs.contains(&key) {
                exprs.push(key);
            }
        }
        let projection = Projection::try_new(exprs, Arc::new(plan))?;
        Ok(Pushed { plan: LogicalPlan::Projection(projection), keys })
    }

    /// An aggregate of groups is one of more groups; one of all rows has a row for each of the
    /// domain, also where there are none to aggregate.
    fn aggregate(&self, aggregate: Aggregate) -> Result<Pushed> {
        if matches!(aggregate.group_expr.as_slice(), [Expr::GroupingSet(_), ..]) {
            return not_impl_err!("GROUPING SETS in a subquery that refers to the rows outside");
        }
        let schema = Arc::clone(&aggregate.schema);
        let of_all = aggregate.group_expr.is_empty();
        let Pushed { plan, keys } = self.push(Arc::unwrap_or_clone(aggregate.input))?;
        let bind = |expr: &Expr| self.domain.bind_named(expr, &keys);
        let groups = aggregate.group_expr.iter().map(bind);
        let mut groups = groups.collect::<Result<Vec<_>>>()?;
        groups.extend(keys.iter().cloned().map(Expr::Column));
        let aggregates = aggregate.aggr_expr.iter().map(bind).collect::<Result<Vec<_>>>()?;
        let grouped = Aggregate::try_new(Arc::new(plan), groups, aggregates)?;
        let grouped = LogicalPlan::Aggregate(grouped);
        if !of_all {
            return Ok(Pushed { plan: grouped, keys });
        }
        let rows = self.domain.fresh()?;
        let joined = LogicalPlan::Join(Join::try_new(
            Arc::new(rows.plan),
            Arc::new(grouped),
            self.domain.pairs(&rows.keys, &keys)?,
            None,
            JoinType::Left,
            JoinConstraint::On,
            NullEquality::NullEqualsNothing,
            false,
        )?);
        let values = aggregate.aggr_expr.iter().zip(schema.iter());
        let mut exprs = Vec::new();
        for (aggregate, (relation, field)) in values {
            let column = Column::new(relation.cloned(), field.name());
            let value = Expr::Column(column);
            exprs.push(match of_nothing(aggregate, field.data_type())? {
                blank if blank.is_null() => value,
                blank => coalesce(vec![value, Expr::Literal(blank, None)])
                    .alias_qualified(relation.cloned(), field.name()),
            });
        }
        exprs.extend(rows.keys.iter().cloned().map(Expr::Column));
        let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(joined))?);
        Ok(Pushed { plan, keys: rows.keys })
    }

    fn window(&self, window: Window) -> Result<Pushed> {
        let Pushed { plan, keys } = self.push(Arc::unwrap_or_clone(window.input))?;
        let exprs = window.window_expr.iter().map(|expr| {
            let bound = self.domain.bind(expr.clone(), &keys)?;
            let parted = bound.transform_up(change(&mut |part: Expr| match part {
                Expr::WindowFunction(mut function) => {
                    let WindowFunction { params, .. } = function.as_mut();
                    params.partition_by.extend(keys.iter().cloned().map(Expr::Column));
                    Ok(Transformed::yes(Expr::WindowFunction(function)))
                }
                part => Ok(Transformed::no(part)),
            }));
            Ok(super::outer::named_as(parted.data()?, expr))
        });
        let exprs = exprs.collect::<Result<Vec<_>>>()?;
        let plan = LogicalPlan::Window(Window::try_new(exprs, Arc::new(plan))?);
        Ok(Pushed { plan, keys })
    }

    fn unnest(&self, unnest: Unnest) -> Result<Pushed> {
        let Pushed { plan, keys } = self.push(Arc::unwrap_or_clone(unnest.input))?;
        let plan = Unnest::try_new(Arc::new(plan), unnest.exec_columns, unnest.options)?;
        Ok(Pushed { plan: LogicalPlan::Unnest(plan), keys })
    }
}

/// What an aggregate gives of no rows.
fn of_nothing(expr: &Expr, data: &arrow::datatypes::DataType) -> Result<ScalarValue> {
    match expr {
        Expr::Alias(alias) => of_nothing(&alias.expr, data),
        Expr::AggregateFunction(aggregate) => aggregate.func.default_value(data),
        _ => ScalarValue::try_from(data),
    }
}
