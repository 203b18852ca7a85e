use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{LogicalPlanBuilder, cast, col, lit};

use super::*;
use crate::catalog::newest::newest;

/// Statements over a table whose column `money` is `numeric(12, 2)`, and which of their columns
/// PostgreSQL 15 tells a precision of.
#[tokio::test]
async fn what_is_computed_has_no_precision_of_its_own() {
    let context = SessionContext::new();
    context.sql("create table t (id int, money decimal(12, 2))").await.unwrap();
    for (text, expected) in [
        ("select money, money as m, money + 1 as n, id from t", vec![true, true, false, true]),
        ("select sum(money), max(money) from t", vec![false, false]),
        ("select money, count(*) from t group by money", vec![true, true]),
        ("select distinct money from t order by 1 limit 1", vec![true]),
        ("select cast(id as decimal(5, 2)), cast(id as decimal) as n from t", vec![true, false]),
        ("select * from (select money, -money from t) x", vec![true, false]),
        ("select b.money, a.money * 2 from t a join t b on a.id = b.id", vec![true, false]),
        ("select money from t union all select money from t", vec![true]),
        ("select money from t union all select money * 2 from t", vec![false]),
        ("with w as (select money as x from t) select x from w where x > 1", vec![true]),
        ("select money, sum(money) over () from t", vec![true, false]),
    ] {
        let plan = context.state().create_logical_plan(text).await.unwrap();
        assert_eq!(told(&plan), expected, "{text}");
    }
}

/// Whether a precision is told of the columns of a plan.
fn told(plan: &LogicalPlan) -> Vec<bool> {
    let columns = marked(plan.schema().inner(), plan);
    columns.fields().iter().map(|field| !field.metadata().contains_key(UNBOUND_KEY)).collect()
}

#[tokio::test]
async fn the_newest_revisions_have_the_precision_of_their_table() {
    let context = SessionContext::new();
    context.sql("create table t (id int, money decimal(12, 2))").await.unwrap();
    let rows = context.state().create_logical_plan("select * from t").await.unwrap();
    let of_newest = |value| newest(value, cast(col("id"), DataType::Int64)).alias("value");
    for (value, expected) in [(col("money"), true), (col("money") + lit(1), false)] {
        let plan = LogicalPlanBuilder::from(rows.clone());
        let plan = plan.aggregate([col("id")], [of_newest(value)]).unwrap().build().unwrap();
        assert_eq!(told(&plan), [true, expected]);
    }
}
