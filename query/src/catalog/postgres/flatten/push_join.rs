//! Joins and unions, asked for all rows of a domain.

use std::sync::Arc;

use datafusion::common::{Column, DFSchema, NullEquality, Result, not_impl_err};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Expr, ExprSchemable, Join, JoinConstraint, JoinType, LogicalPlan, Operator, Projection, Union,
    Values, binary_expr,
};

use super::domain::Pushed;
use super::push::Pusher;

impl Pusher<'_> {
    /// A join: of its two sides that which refers to the rows outside is asked for all of them, and
    /// always that whose rows are kept.
    pub(super) fn join(&self, join: Join) -> Result<Pushed> {
        use JoinType as J;
        let in_left = self.domain.is_in(&join.left)?;
        let in_right = self.domain.is_in(&join.right)?;
        let (to_left, to_right) = match join.join_type {
            J::Inner => (in_left || !in_right, in_right),
            J::Left | J::LeftSemi | J::LeftAnti | J::LeftMark => (true, in_right),
            J::Right | J::RightSemi | J::RightAnti | J::RightMark => (in_left, true),
            J::Full => {
                return not_impl_err!("FULL JOIN in a subquery that refers to the rows outside");
            }
        };
        let side = |is_pushed, plan: Arc<LogicalPlan>| match is_pushed {
            true => self.push(Arc::unwrap_or_clone(plan)),
            false => Ok(Pushed { plan: Arc::unwrap_or_clone(plan), keys: Vec::new() }),
        };
        let left = side(to_left, join.left)?;
        let right = side(to_right, join.right)?;
        let keys = match join.join_type {
            J::Right | J::RightSemi | J::RightAnti | J::RightMark => right.keys.clone(),
            _ if to_left => left.keys.clone(),
            _ => right.keys.clone(),
        };
        let is_of = |pair: &(Expr, Expr)| {
            Ok::<bool, datafusion::error::DataFusionError>(
                self.domain.is_of(&pair.0)? || self.domain.is_of(&pair.1)?,
            )
        };
        let mut on = Vec::new();
        let mut conditions: Vec<Expr> = join.filter.into_iter().collect();
        for pair in join.on {
            if !is_of(&pair)? {
                on.push(pair);
                continue;
            }
            let equal = match join.null_equality {
                NullEquality::NullEqualsNothing => Operator::Eq,
                NullEquality::NullEqualsNull => Operator::IsNotDistinctFrom,
            };
            conditions.push(binary_expr(pair.0, equal, pair.1));
        }
        if to_left && to_right {
            on.extend(self.domain.pairs(&left.keys, &right.keys)?);
        }
        let conditions = conditions.into_iter().map(|one| self.domain.bind(one, &keys));
        let filter = conjunction(conditions.collect::<Result<Vec<_>>>()?);
        let joined = Join::try_new(
            Arc::new(left.plan),
            Arc::new(right.plan),
            on,
            filter,
            join.join_type,
            JoinConstraint::On,
            join.null_equality,
            join.null_aware,
        )?;
        Ok(Pushed { plan: LogicalPlan::Join(joined), keys })
    }

    /// A plan with these columns and the domain's alone.
    pub(super) fn exact(&self, pushed: Pushed, schema: &DFSchema) -> Result<Pushed> {
        let columns: Vec<_> = schema.columns().into_iter().map(Expr::Column).collect();
        self.project(&columns, pushed)
    }

    pub(super) fn union(&self, union: Union) -> Result<Pushed> {
        let names: Vec<_> = self.domain.columns.iter().map(|_| self.names.next("outer")).collect();
        let mut inputs = Vec::new();
        for input in union.inputs {
            let columns: Vec<_> = input.schema().columns().into_iter().map(Expr::Column).collect();
            let Pushed { plan, keys } = self.push(Arc::unwrap_or_clone(input))?;
            let keys = keys.into_iter().zip(&names);
            let keys = keys.map(|(key, name)| Expr::Column(key).alias(name));
            let columns = columns.into_iter().chain(keys).collect();
            let projection = Projection::try_new(columns, Arc::new(plan))?;
            inputs.push(Arc::new(LogicalPlan::Projection(projection)));
        }
        self.united(inputs, &union.schema, names)
    }

    /// Inputs of these columns and then the domain's, one below the other.
    fn united(
        &self,
        mut inputs: Vec<Arc<LogicalPlan>>,
        schema: &DFSchema,
        names: Vec<String>,
    ) -> Result<Pushed> {
        let plan = match (inputs.len(), inputs.pop()) {
            (1, Some(only)) => Arc::unwrap_or_clone(only),
            (_, last) => {
                inputs.extend(last);
                LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?)
            }
        };
        let columns = plan.schema().columns();
        let own = columns.iter().zip(schema.iter()).map(|(column, (relation, field))| {
            let is_same =
                column.relation.as_ref() == relation && column.name.as_str() == field.name();
            let column = Expr::Column(column.clone());
            match is_same {
                true => column,
                false => column.alias_qualified(relation.cloned(), field.name()),
            }
        });
        let keys = columns.iter().skip(schema.fields().len()).zip(&names);
        let keys = keys.map(|(column, name)| Expr::Column(column.clone()).alias(name));
        let exprs = own.chain(keys).collect();
        let projection = Projection::try_new(exprs, Arc::new(plan))?;
        let keys = names.into_iter().map(Column::new_unqualified).collect();
        Ok(Pushed { plan: LogicalPlan::Projection(projection), keys })
    }

    /// Rows that are written in the statement: one for each row of the domain.
    pub(super) fn values(&self, values: Values) -> Result<Pushed> {
        let schema = Arc::clone(&values.schema);
        let names: Vec<_> = self.domain.columns.iter().map(|_| self.names.next("outer")).collect();
        let mut inputs = Vec::new();
        for row in values.values {
            let Pushed { plan, keys } = self.domain.fresh()?;
            let mut exprs = Vec::new();
            for (expr, (relation, field)) in row.into_iter().zip(schema.iter()) {
                let expr = self.domain.bind(expr, &keys)?;
                let expr = expr.cast_to(field.data_type(), plan.schema())?;
                exprs.push(expr.alias_qualified(relation.cloned(), field.name()));
            }
            let keys = keys.into_iter().zip(&names);
            exprs.extend(keys.map(|(key, name)| Expr::Column(key).alias(name)));
            let projection = Projection::try_new(exprs, Arc::new(plan))?;
            inputs.push(Arc::new(LogicalPlan::Projection(projection)));
        }
        self.united(inputs, &schema, names)
    }
}
