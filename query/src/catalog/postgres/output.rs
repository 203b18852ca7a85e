//! Which PostgreSQL types a plan's columns have, where Arrow's types don't say it.
//!
//! The name of a type stands in a field's metadata ([`TYPE_KEY`]), which DataFusion loses on the
//! way through `CASE`, `coalesce`, aggregates and others, and keeps through casts that change it.
//! Here it follows the values.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction, WindowFunction};
use datafusion::logical_expr::{
    Distinct, Expr, ExprSchemable, JoinType, LogicalPlan, WindowFunctionDefinition,
};

use crate::builtins::types::{TYPE_KEY, TypeRow, type_of_data, types};

/// The columns of a plan's rows, each with the name of its PostgreSQL type where Arrow's does not
/// say it.
pub(crate) fn output_columns(plan: &LogicalPlan) -> SchemaRef {
    let schema = plan.schema().inner();
    let names = names_of(plan);
    let mut changed = false;
    let fields = schema.fields().iter().enumerate().map(|(at, field)| {
        let name = names.get(at).copied().flatten();
        let new = named(field, name);
        changed |= !Arc::ptr_eq(&new, field);
        new
    });
    let fields: Vec<FieldRef> = fields.collect();
    if !changed {
        return Arc::clone(schema);
    }
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// A field of a type that is named, or that Arrow's says.
fn named(field: &FieldRef, name: Name) -> FieldRef {
    let had = field.metadata().get(TYPE_KEY).map(|name| name.trim_matches('"'));
    if had == name.map(|row| row.name) {
        return Arc::clone(field);
    }
    let mut metadata = field.metadata().clone();
    match name {
        Some(row) => metadata.insert(TYPE_KEY.to_owned(), row.name.to_owned()),
        None => metadata.remove(TYPE_KEY),
    };
    Arc::new(field.as_ref().clone().with_metadata(metadata))
}

/// A type that Arrow's does not say.
type Name = Option<&'static TypeRow>;

/// The types of a plan's columns.
fn names_of(plan: &LogicalPlan) -> Vec<Name> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let input = Input::of(&[&projection.input]);
            projection.expr.iter().map(|expr| input.name(expr)).collect()
        }
        LogicalPlan::Aggregate(aggregate) => {
            let input = Input::of(&[&aggregate.input]);
            let all = aggregate.group_expr.iter().chain(&aggregate.aggr_expr);
            match aggregate.group_expr.as_slice() {
                [Expr::GroupingSet(sets)] => {
                    let sets = sets.distinct_expr().into_iter().map(|expr| input.name(expr));
                    // Behind the groups stands which of them count.
                    let aggregates = aggregate.aggr_expr.iter().map(|expr| input.name(expr));
                    sets.chain([None]).chain(aggregates).collect()
                }
                _ => all.map(|expr| input.name(expr)).collect(),
            }
        }
        LogicalPlan::Window(window) => {
            let input = Input::of(&[&window.input]);
            let own: Vec<_> = window.window_expr.iter().map(|expr| input.name(expr)).collect();
            input.names.into_iter().chain(own).collect()
        }
        LogicalPlan::Join(join) => {
            let (left, right) = (names_of(&join.left), names_of(&join.right));
            match join.join_type {
                JoinType::LeftSemi | JoinType::LeftAnti => left,
                JoinType::RightSemi | JoinType::RightAnti => right,
                JoinType::LeftMark => left.into_iter().chain([None]).collect(),
                JoinType::RightMark => right.into_iter().chain([None]).collect(),
                JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                    left.into_iter().chain(right).collect()
                }
            }
        }
        LogicalPlan::Union(union) => {
            let inputs: Vec<_> = union.inputs.iter().map(|input| names_of(input)).collect();
            let is_null = |input: usize, at: usize| {
                let schema = union.inputs[input].schema();
                schema.fields().get(at).is_none_or(|field| field.data_type().is_null())
            };
            let common = |at: usize| {
                let mut found = (0..inputs.len())
                    .filter(|input| !is_null(*input, at))
                    .map(|input| inputs[input].get(at).copied().flatten());
                let first = found.next().flatten();
                first.filter(|first| found.all(|other| other == Some(first)))
            };
            (0..union.schema.fields().len()).map(common).collect()
        }
        LogicalPlan::Distinct(Distinct::All(input)) => names_of(input),
        LogicalPlan::Distinct(Distinct::On(distinct)) => {
            let input = Input::of(&[&distinct.input]);
            distinct.select_expr.iter().map(|expr| input.name(expr)).collect()
        }
        LogicalPlan::Filter(filter) => names_of(&filter.input),
        LogicalPlan::Sort(sort) => names_of(&sort.input),
        LogicalPlan::Limit(limit) => names_of(&limit.input),
        LogicalPlan::Repartition(repartition) => names_of(&repartition.input),
        LogicalPlan::SubqueryAlias(alias) => names_of(&alias.input),
        LogicalPlan::Subquery(subquery) => names_of(&subquery.subquery),
        LogicalPlan::RecursiveQuery(query) => names_of(&query.static_term),
        LogicalPlan::Unnest(unnest) => {
            let names = names_of(&unnest.input);
            let lists: Vec<_> = unnest.list_type_columns.iter().map(|(at, _)| *at).collect();
            let of = |at: &usize| {
                let name = names.get(*at).copied().flatten();
                if lists.contains(at) { name.and_then(element) } else { name }
            };
            unnest.dependency_indices.iter().map(of).collect()
        }
        _ => {
            let fields = plan.schema().fields().iter();
            fields.map(|field| of_metadata(field)).collect()
        }
    }
}

fn of_metadata(field: &Field) -> Name {
    let name = field.metadata().get(TYPE_KEY)?;
    types().by_name(name.trim_matches('"'))
}

fn element(array: &'static TypeRow) -> Name {
    types().by_oid(array.element)
}

fn array(element: &'static TypeRow) -> Name {
    types().by_oid(element.array)
}

/// What expressions are over.
struct Input {
    schema: DFSchema,
    names: Vec<Name>,
}

impl Input {
    fn of(plans: &[&LogicalPlan]) -> Self {
        let mut schema = DFSchema::empty();
        let mut names = Vec::new();
        for plan in plans {
            schema.merge(plan.schema());
            names.extend(names_of(plan));
        }
        Self { schema, names }
    }

    fn column(&self, column: &Column) -> Name {
        let at = self.schema.maybe_index_of_column(column)?;
        self.names.get(at).copied().flatten()
    }

    fn name(&self, expr: &Expr) -> Name {
        match expr {
            Expr::Column(column) => self.column(column),
            Expr::Alias(alias) => {
                let own =
                    alias.metadata.as_ref().and_then(|all| all.inner().get(TYPE_KEY).cloned());
                match own {
                    Some(name) => types().by_name(name.trim_matches('"')),
                    None => self.name(&alias.expr),
                }
            }
            Expr::OuterReferenceColumn(field, _) => of_metadata(field),
            Expr::Cast(cast) => of_metadata(&cast.field),
            Expr::TryCast(cast) => of_metadata(&cast.field),
            Expr::Negative(inner) => self.name(inner),
            Expr::ScalarSubquery(subquery) => names_of(&subquery.subquery).first().copied()?,
            Expr::Unnest(unnest) => self.name(&unnest.expr).and_then(element),
            Expr::Case(case) => {
                let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
                self.common(results.chain(case.else_expr.as_deref()))
            }
            Expr::ScalarFunction(function) => self.of_function(expr, function),
            Expr::AggregateFunction(function) => self.of_aggregate(expr, function),
            Expr::WindowFunction(function) => self.of_window(expr, function),
            other => self.of_field(other),
        }
    }

    /// What DataFusion says of an expression.
    fn of_field(&self, expr: &Expr) -> Name {
        let (_, field) = expr.to_field(&self.schema).ok()?;
        of_metadata(&field)
    }

    fn first(&self, arguments: &[Expr]) -> Name {
        self.name(arguments.first()?)
    }

    fn of_function(&self, expr: &Expr, function: &ScalarFunction) -> Name {
        let arguments = &function.args;
        match function.name() {
            "coalesce" | "greatest" | "least" | "nvl" | "ifnull" => self.common(arguments.iter()),
            "nullif" | "array_remove_all" | "array_append" | "array_cat" | "array_distinct"
            | "array_sort" | "array_slice" | "array_reverse" | "_or_empty" | "_single" => {
                self.first(arguments)
            }
            "array_prepend" => self.name(arguments.get(1)?),
            "array_element" => self.first(arguments).and_then(element),
            "make_array" => self.common(arguments.iter()).and_then(array),
            _ => self.of_field(expr),
        }
    }

    fn of_aggregate(&self, expr: &Expr, aggregate: &AggregateFunction) -> Name {
        let arguments = &aggregate.params.args;
        match aggregate.func.name() {
            "min" | "max" | "first_value" | "last_value" | "nth_value" | "any_value" => {
                self.first(arguments)
            }
            "array_agg" => self.first(arguments).and_then(array),
            _ => self.of_field(expr),
        }
    }

    fn of_window(&self, expr: &Expr, window: &WindowFunction) -> Name {
        let arguments = &window.params.args;
        let name = match &window.fun {
            WindowFunctionDefinition::AggregateUDF(function) => function.name(),
            WindowFunctionDefinition::WindowUDF(function) => function.name(),
        };
        match name {
            "min" | "max" | "first_value" | "last_value" | "nth_value" | "any_value" | "lag"
            | "lead" => self.first(arguments),
            "array_agg" => self.first(arguments).and_then(array),
            _ => self.of_field(expr),
        }
    }

    /// The type of expressions of which one is taken: what all have, but for nulls and for literals
    /// whose type is that of the others.
    fn common<'a>(&self, exprs: impl Iterator<Item = &'a Expr>) -> Name {
        let mut found: Option<&'static TypeRow> = None;
        let mut is_named = false;
        for expr in exprs {
            if is_untyped(expr) {
                continue;
            }
            let name = self.name(expr);
            is_named |= name.is_some();
            let name = name.or_else(|| self.of_data(expr))?;
            match found {
                Some(found) if found != name => return None,
                Some(_) => {}
                None => found = Some(name),
            }
        }
        found.filter(|_| is_named)
    }

    /// The type that Arrow's says.
    fn of_data(&self, expr: &Expr) -> Name {
        let data = expr.get_type(&self.schema).ok()?;
        types().by_oid(type_of_data(&data).0)
    }
}

/// Whether an expression is a null or a text that is of the type of what it stands beside.
fn is_untyped(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, metadata) => {
            let is_text = matches!(
                value.data_type(),
                DataType::Null | DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8
            );
            is_text && metadata.is_none()
        }
        Expr::Alias(alias) => is_untyped(&alias.expr),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_the_name_that_follows_its_values() {
        let field: FieldRef = Arc::new(Field::new("a", DataType::UInt32, true));
        let oid = types().by_name("oid");
        let with_name = named(&field, oid);
        assert_eq!(of_metadata(&with_name), oid);
        assert!(Arc::ptr_eq(&named(&with_name, oid), &with_name));
        assert!(named(&with_name, None).metadata().is_empty());
    }
}
