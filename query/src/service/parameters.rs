//! Which types the parameters of a plan have.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ParamValues, Result, ScalarValue};
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};

use crate::trees::look;

/// The types of `$1`, `$2` and so on: what the client has said, else what the plan needs where the
/// parameter stands first, else text.
pub(super) fn parameter_types(
    plan: &LogicalPlan,
    said: &[Option<DataType>],
) -> Result<Vec<DataType>> {
    let mut found = Found::default();
    plan.apply_with_subqueries(look(&mut |node: &LogicalPlan| found.look_at(node)))?;
    let last = found.0.last_key_value().map_or(0, |(number, _)| *number);
    let types = (1..=last.max(said.len())).map(|number| {
        let said = said.get(number - 1).cloned().flatten();
        said.or_else(|| found.0.get(&number).cloned().flatten()).unwrap_or(DataType::Utf8)
    });
    Ok(types.collect())
}

/// A plan whose parameters have these types; its rows are of no use.
pub(super) fn typed(plan: &LogicalPlan, types: &[DataType]) -> Result<LogicalPlan> {
    if types.is_empty() {
        return Ok(plan.clone());
    }
    let nulls = types.iter().map(ScalarValue::try_new_null).collect::<Result<Vec<_>>>()?;
    plan.clone().with_param_values(ParamValues::from(nulls))
}

/// The parameters that were seen, by number, and the type of each that has one.
#[derive(Debug, Default)]
struct Found(BTreeMap<usize, Option<DataType>>);

impl Found {
    fn look_at(&mut self, node: &LogicalPlan) -> Result<TreeNodeRecursion> {
        if let LogicalPlan::Filter(filter) = node {
            self.note(&filter.predicate, Some(DataType::Boolean));
        }
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(look(&mut |expr: &Expr| {
            expr.apply(look(&mut |part: &Expr| {
                self.look_at_part(part, &schema);
                Ok(TreeNodeRecursion::Continue)
            }))
        }))
    }

    fn look_at_part(&mut self, part: &Expr, schema: &DFSchema) {
        match part {
            Expr::Placeholder(Placeholder { field, .. }) => {
                self.note(part, field.as_ref().map(|field| field.data_type().clone()));
            }
            // `a = any($1)`
            Expr::ScalarFunction(function) if function.name() == "array_has" => {
                if let [array, element] = function.args.as_slice() {
                    let of_array = type_of(element, schema).map(|of| DataType::new_list(of, true));
                    self.note(array, of_array);
                    self.note(element, type_of(array, schema).as_ref().and_then(element_type));
                }
            }
            Expr::ScalarFunction(function)
                if matches!(
                    function.name(),
                    "coalesce" | "nullif" | "greatest" | "least" | "make_array"
                ) =>
            {
                self.note_alike(&function.args.iter().collect::<Vec<_>>(), schema);
            }
            Expr::Case(case) => {
                let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
                let results: Vec<_> = results.chain(case.else_expr.as_deref()).collect();
                self.note_alike(&results, schema);
                let conditions = case.when_then_expr.iter().map(|(when, _)| when.as_ref());
                match case.expr.as_deref() {
                    Some(value) => {
                        let compared: Vec<_> = std::iter::once(value).chain(conditions).collect();
                        self.note_alike(&compared, schema);
                    }
                    None => {
                        conditions.for_each(|when| self.note(when, Some(DataType::Boolean)));
                    }
                }
            }
            Expr::Not(inner) => self.note(inner, Some(DataType::Boolean)),
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
                self.note(left, Some(DataType::Boolean));
                self.note(right, Some(DataType::Boolean));
            }
            _ => {}
        }
    }

    /// Expressions of one type: parameters among them have that of the first that has one.
    fn note_alike(&mut self, exprs: &[&Expr], schema: &DFSchema) {
        let known = exprs.iter().find_map(|expr| type_of(expr, schema));
        for expr in exprs {
            self.note(expr, known.clone());
        }
    }

    /// Notes the type of an expression that is a parameter; the first counts.
    fn note(&mut self, expr: &Expr, of: Option<DataType>) {
        let Expr::Placeholder(Placeholder { id, .. }) = expr else { return };
        let Some(number) = id.strip_prefix('$').and_then(|number| number.parse().ok()) else {
            return;
        };
        let known = self.0.entry(number).or_default();
        if known.is_none() {
            *known = of;
        }
    }
}

/// The type of an expression that has one.
fn type_of(expr: &Expr, schema: &DFSchema) -> Option<DataType> {
    expr.get_type(schema).ok().filter(|of| !of.is_null()).map(plain)
}

/// The type of the same values, however they are packed.
fn plain(of: DataType) -> DataType {
    match of {
        DataType::Dictionary(_, values) => plain(*values),
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        other => other,
    }
}

fn element_type(array: &DataType) -> Option<DataType> {
    match array {
        DataType::List(field) | DataType::LargeList(field) => {
            Some(plain(field.data_type().clone()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;

    async fn planned(sql: &str) -> LogicalPlan {
        let context = SessionContext::new();
        let table = "create table t as values (1::int, 2::bigint, 'x', 1.5::double)";
        context.sql(table).await.unwrap().collect().await.unwrap();
        context.state().create_logical_plan(sql).await.unwrap()
    }

    #[tokio::test]
    async fn parameters_have_the_types_of_what_they_stand_beside() {
        use DataType::{Boolean, Float64, Int32, Int64, Utf8};
        let list = |of| DataType::new_list(of, true);
        for (sql, expected) in [
            ("select column1 from t", vec![]),
            ("select $1", vec![Utf8]),
            ("select column1 from t where column1 = $1 and column3 = $2", vec![Int32, Utf8]),
            // The first place counts.
            ("select column1 from t where column1 = $1 or column2 = $1", vec![Int32]),
            ("select column1 from t where column1 = any($1)", vec![list(Int32)]),
            ("select column1 from t where column3 <> all($2)", vec![Utf8, list(Utf8)]),
            ("select coalesce($1, column2) from t where $2", vec![Int64, Boolean]),
            ("select case when column1 = 1 then $1 else column4 end from t", vec![Float64]),
            (
                "select case when $1 then 1 end, case column1 when $2 then 1 end from t",
                vec![Boolean, Int32],
            ),
            ("select 1 from t where column1 = 1 and not $1", vec![Boolean]),
            ("select [$1, column2] from t", vec![Int64]),
            (
                "select 1 from t where column1 in (select column1 from t where column2 > $1)",
                vec![Int64],
            ),
        ] {
            let plan = planned(sql).await;
            assert_eq!(parameter_types(&plan, &[]).unwrap(), expected, "{sql}");
        }
    }

    #[tokio::test]
    async fn what_the_client_says_is_the_type() {
        let plan = planned("select $1, $2 + 1, $3").await;
        let said = [Some(DataType::Date32), Some(DataType::Int64), None, Some(DataType::Utf8)];
        let types = parameter_types(&plan, &said).unwrap();
        let expected = [DataType::Date32, DataType::Int64, DataType::Utf8, DataType::Utf8];
        assert_eq!(types, expected);
        let typed = typed(&plan, &types).unwrap();
        let columns: Vec<_> =
            typed.schema().fields().iter().map(|field| field.data_type().clone()).collect();
        assert_eq!(columns, expected[..3]);
    }
}
