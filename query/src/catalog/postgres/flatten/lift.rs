//! Subqueries in a node's expressions, lifted out of them into joins with its rows.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, ExprSchema, NullEquality, Result, ScalarValue, Spans};
use datafusion::functions_aggregate::expr_fn::{count, first_value};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{
    Aggregate, Expr, Filter, Join, JoinConstraint, JoinType, Limit, LogicalPlan, Projection,
    Subquery, binary_expr, lit, not, when,
};

use super::domain::{Domain, Names, Pushed};
use super::native::{is_filtered, is_grouped};
use super::outer::{has_subquery, named_as, outer_columns, restore};
use super::push::Pusher;
use super::rows::{has_one_row, has_sure_row, needed};
use super::single::single;
use crate::trees::change;

/// A node without the subqueries that DataFusion makes no joins of.
pub(super) fn lift(plan: LogicalPlan, names: &Names) -> Result<LogicalPlan> {
    let exprs = plan.expressions();
    let mut any = false;
    for expr in &exprs {
        any |= has_subquery(expr)?;
    }
    if !any {
        return Ok(plan);
    }
    let plan = match plan {
        // A condition of an inner join is one of the rows that are joined.
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
            let schema = Arc::clone(&join.schema);
            let Join { filter: Some(filter), .. } = join else {
                return Ok(LogicalPlan::Join(join));
            };
            let joined = LogicalPlan::Join(Join { filter: None, ..join });
            let filter = LogicalPlan::Filter(Filter::try_new(filter, Arc::new(joined))?);
            return restore(lift(filter, names)?, &schema);
        }
        plan => plan,
    };
    let (is_filter, keeps_names) = match &plan {
        LogicalPlan::Filter(_) => (true, false),
        LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) => {
            (false, true)
        }
        LogicalPlan::Sort(_) | LogicalPlan::Distinct(_) => (false, false),
        _ => return Ok(plan),
    };
    let takes_scalars = matches!(plan, LogicalPlan::Filter(_) | LogicalPlan::Projection(_));
    let inputs = plan.inputs();
    let [rows] = inputs.as_slice() else { return Ok(plan) };
    let joined = (*rows).clone();
    let mut lifter =
        Lifter { names, rows, joined, is_filter, takes_scalars, is_alone: false, changed: false };
    let mut lifted = Vec::with_capacity(exprs.len());
    for expr in &exprs {
        let new = match is_filter {
            true => lifter.condition(expr)?,
            false => lifter.lifted(expr.clone())?,
        };
        lifted.push(if keeps_names { named_as(new, expr) } else { new });
    }
    if !lifter.changed {
        return Ok(plan);
    }
    let new = plan.with_new_exprs(lifted, vec![lifter.joined])?;
    restore(new, plan.schema())
}

struct Lifter<'a> {
    names: &'a Names,
    /// The rows that subqueries refer to.
    rows: &'a LogicalPlan,
    /// These rows with what has been joined with them.
    joined: LogicalPlan,
    /// Whether the node is a condition, whose `EXISTS` and `IN` DataFusion knows.
    is_filter: bool,
    /// Whether DataFusion knows correlated values in the node.
    takes_scalars: bool,
    /// Whether what is lifted next is a condition by itself.
    is_alone: bool,
    changed: bool,
}

impl Lifter<'_> {
    /// A condition, of which DataFusion knows an `IN` that stands by itself: within another one its
    /// joins take unknown for false.
    fn condition(&mut self, condition: &Expr) -> Result<Expr> {
        let mut lifted = Vec::new();
        for part in split_conjunction(condition) {
            self.is_alone = true;
            lifted.push(self.lifted(part.clone())?);
        }
        Ok(conjunction(lifted).unwrap_or_else(|| lit(true)))
    }

    fn lifted(&mut self, expr: Expr) -> Result<Expr> {
        let is_in = matches!(expr, Expr::InSubquery(_));
        self.is_alone &= is_in;
        expr.transform_down(change(&mut |part: Expr| match part {
            Expr::ScalarSubquery(subquery) => self.value(subquery),
            Expr::Exists(exists) => self.exists(exists),
            Expr::InSubquery(one) => self.one_of(one),
            Expr::SetComparison(comparison) => self.comparison(comparison),
            part => Ok(Transformed::no(part)),
        }))
        .data()
    }

    /// The columns of the rows that a plan refers to.
    fn columns_of(&self, plan: &LogicalPlan) -> Result<Vec<Column>> {
        let mut columns = outer_columns(plan)?;
        columns.retain(|column| self.joined.schema().has_column(column));
        Ok(columns)
    }

    /// The least rows that have these columns.
    fn rows_with(&self, columns: &[Column]) -> LogicalPlan {
        let has_all = columns.iter().all(|column| self.rows.schema().has_column(column));
        if has_all { self.rows.clone() } else { self.joined.clone() }
    }

    fn value(&mut self, subquery: Subquery) -> Result<Transformed<Expr>> {
        let plan = &subquery.subquery;
        let outer = outer_columns(plan)?;
        let columns = self.columns_of(plan)?;
        let is_near = columns.len() == outer.len();
        if outer.is_empty() {
            return self.alone(subquery);
        }
        if is_near && self.takes_scalars && is_grouped(plan)? {
            return Ok(Transformed::no(Expr::ScalarSubquery(subquery)));
        }
        let value = Column::from(plan.schema().qualified_field(0));
        let is_one = has_one_row(plan);
        let rows = self.rows_with(&columns);
        let domain = Domain::new(&rows, columns, self.names)?;
        let pushed = Pusher::new(&domain, self.names).push(plan.as_ref().clone())?;
        let name = self.names.next("value");
        let named = Expr::Column(Column::new_unqualified(name.as_str()));
        let keys = || pushed.keys.iter().cloned().map(Expr::Column);
        let input = Arc::new(pushed.plan);
        if is_one {
            let exprs = [Expr::Column(value).alias(name)].into_iter().chain(keys()).collect();
            let plan = LogicalPlan::Projection(Projection::try_new(exprs, input)?);
            self.join(&domain, plan, &pushed.keys)?;
            return Ok(Transformed::yes(named));
        }
        let number = self.names.next("rows");
        let count_of = Expr::Column(Column::new_unqualified(number.as_str()));
        let first = first_value(Expr::Column(value), Vec::new()).alias(name);
        let aggregates = vec![first, count(lit(1_i64)).alias(number)];
        let plan = Aggregate::try_new(input, keys().collect(), aggregates)?;
        self.join(&domain, LogicalPlan::Aggregate(plan), &pushed.keys)?;
        Ok(Transformed::yes(single(named, count_of)))
    }

    /// A value of rows that do not depend on those outside. DataFusion takes it for one that is
    /// never null where its column is never null, also where there is no row.
    fn alone(&mut self, subquery: Subquery) -> Result<Transformed<Expr>> {
        let plan = &subquery.subquery;
        let (relation, field) = plan.schema().qualified_field(0);
        if field.is_nullable() || has_sure_row(plan) {
            return Ok(Transformed::no(Expr::ScalarSubquery(subquery)));
        }
        self.changed = true;
        let value = Expr::Column(Column::from((relation, field)));
        let value = single(value, lit(0_i64)).alias_qualified(relation.cloned(), field.name());
        let plan = LogicalPlan::Projection(Projection::try_new(vec![value], Arc::clone(plan))?);
        let subquery = Subquery { subquery: Arc::new(plan), ..subquery };
        Ok(Transformed::yes(Expr::ScalarSubquery(subquery)))
    }

    fn exists(&mut self, exists: Exists) -> Result<Transformed<Expr>> {
        let Exists { subquery, negated } = exists;
        let plan = subquery.subquery.as_ref();
        let outer = outer_columns(plan)?;
        let columns = self.columns_of(plan)?;
        let is_near = columns.len() == outer.len();
        if self.is_filter && is_near && is_filtered(needed(plan))? {
            self.changed = true;
            let plan = needed(plan).clone();
            let outer_ref_columns = plan.all_out_ref_exprs();
            let subquery = Subquery { subquery: Arc::new(plan), outer_ref_columns, ..subquery };
            return Ok(Transformed::no(Expr::Exists(Exists { subquery, negated })));
        }
        let found = self.found(needed(plan).clone())?;
        Ok(Transformed::yes(if negated { not(found) } else { found }))
    }

    /// Whether a query has rows.
    fn found(&mut self, plan: LogicalPlan) -> Result<Expr> {
        let outer = outer_columns(&plan)?;
        let columns = self.columns_of(&plan)?;
        self.changed = true;
        let name = self.names.next("found");
        let column = Expr::Column(Column::new_unqualified(name.as_str()));
        let first = |input| {
            let (skip, fetch) = (None, Some(Box::new(lit(1_i64))));
            LogicalPlan::Limit(Limit { skip, fetch, input: Arc::new(input) })
        };
        if outer.is_empty() {
            let counted = Aggregate::try_new(
                Arc::new(first(plan)),
                Vec::new(),
                vec![count(lit(1_i64)).alias(name.as_str())],
            )?;
            let found = column.gt(lit(0_i64)).alias(name);
            let counted = Arc::new(LogicalPlan::Aggregate(counted));
            let plan = LogicalPlan::Projection(Projection::try_new(vec![found], counted)?);
            return Ok(Expr::ScalarSubquery(Subquery {
                subquery: Arc::new(plan),
                outer_ref_columns: Vec::new(),
                spans: Spans::new(),
            }));
        }
        let rows = self.rows_with(&columns);
        let domain = Domain::new(&rows, columns, self.names)?;
        let Pushed { plan, keys } = Pusher::new(&domain, self.names).push(plan)?;
        let plan = if keys.is_empty() {
            let exprs = vec![lit(1_i64).alias(name)];
            LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(first(plan)))?)
        } else {
            let groups = keys.iter().cloned().map(Expr::Column).collect();
            let rows = vec![count(lit(1_i64)).alias(name)];
            LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(plan), groups, rows)?)
        };
        self.join(&domain, plan, &keys)?;
        Ok(column.is_not_null())
    }

    fn one_of(&mut self, one: InSubquery) -> Result<Transformed<Expr>> {
        let InSubquery { expr, subquery, negated } = one;
        let is_alone = std::mem::take(&mut self.is_alone);
        let value = self.lifted(*expr)?;
        let plan = subquery.subquery.as_ref();
        let outer = outer_columns(plan)?;
        let is_near = self.columns_of(plan)?.len() == outer.len();
        // Its NOT IN is of all rows alike.
        let is_known = is_near && is_filtered(plan)? && (!negated || outer.is_empty());
        if is_alone && is_known {
            let one = InSubquery::new(Box::new(value), subquery, negated);
            return Ok(Transformed::no(Expr::InSubquery(one)));
        }
        let item = Expr::Column(Column::from(plan.schema().qualified_field(0)));
        let equal = self.found(filtered(plan, self.outer(value.clone())?.eq(item.clone()))?)?;
        let item_is_null = self.found(filtered(plan, item.is_null())?)?;
        let any = self.found(plan.clone())?;
        let unknown = item_is_null.or(value.is_null().and(any));
        let null = Expr::Literal(ScalarValue::Boolean(None), None);
        let found = when(equal, lit(true)).when(unknown, null).otherwise(lit(false))?;
        Ok(Transformed::yes(if negated { not(found) } else { found }))
    }

    fn comparison(&mut self, comparison: SetComparison) -> Result<Transformed<Expr>> {
        let SetComparison { expr, subquery, op, quantifier } = comparison;
        let plan = subquery.subquery.as_ref();
        let value = self.lifted(*expr)?;
        let value = self.outer(value)?;
        let item = Expr::Column(Column::from(plan.schema().qualified_field(0)));
        let compared = binary_expr(value, op, item);
        let (decides, otherwise) = match quantifier {
            SetQuantifier::Any => (compared.clone().is_true(), false),
            SetQuantifier::All => (compared.clone().is_false(), true),
        };
        let decided = self.found(filtered(plan, decides)?)?;
        let unknown = self.found(filtered(plan, compared.is_null())?)?;
        let null = Expr::Literal(ScalarValue::Boolean(None), None);
        let found = when(decided, lit(!otherwise)).when(unknown, null).otherwise(lit(otherwise))?;
        Ok(Transformed::yes(found))
    }

    /// An expression over the rows as one over the rows outside.
    fn outer(&self, expr: Expr) -> Result<Expr> {
        let schema = self.joined.schema();
        expr.transform_up(change(&mut |part: Expr| match part {
            Expr::Column(column) => {
                let field = schema.field_from_column(&column)?;
                Ok(Transformed::yes(Expr::OuterReferenceColumn(Arc::clone(field), column)))
            }
            part => Ok(Transformed::no(part)),
        }))
        .data()
    }

    /// Joins a subquery's answer with the rows.
    fn join(&mut self, domain: &Domain<'_>, plan: LogicalPlan, keys: &[Column]) -> Result<()> {
        let on = domain.pairs(&domain.columns, keys)?;
        let filter = on.is_empty().then(|| lit(true));
        let joined = Join::try_new(
            Arc::new(std::mem::take(&mut self.joined)),
            Arc::new(plan),
            on,
            filter,
            JoinType::Left,
            JoinConstraint::On,
            NullEquality::NullEqualsNothing,
            false,
        )?;
        self.joined = LogicalPlan::Join(joined);
        self.changed = true;
        Ok(())
    }
}

/// The rows of a query of which a condition is true.
fn filtered(plan: &LogicalPlan, condition: Expr) -> Result<LogicalPlan> {
    Ok(LogicalPlan::Filter(Filter::try_new(condition, Arc::new(plan.clone()))?))
}
