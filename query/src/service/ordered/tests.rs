//! Rows that are sorted by a comparison with a function.

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::MemTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::*;

/// A table of two partitions whose rows are numbered by `id`.
fn context(rules: Vec<Rule>) -> SessionContext {
    let state = SessionStateBuilder::new()
        .with_config(SessionConfig::new().with_target_partitions(2))
        .with_default_features()
        .with_physical_optimizer_rules(rules)
        .build();
    let context = SessionContext::new_with_state(state);
    let names = ["id", "a", "b"];
    let schema =
        Arc::new(Schema::new(names.map(|name| Field::new(name, DataType::Int64, true)).to_vec()));
    let rows = |ids: std::ops::Range<i64>| {
        let column = |of: fn(i64) -> i64| {
            Arc::new(ids.clone().map(|id| (id % 7 != 3).then(|| of(id))).collect::<Int64Array>())
        };
        let ids = Arc::new(Int64Array::from_iter_values(ids.clone()));
        let columns = vec![ids as _, column(|id| id * 31 % 11 - 5) as _, column(|id| id % 4) as _];
        RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()
    };
    let parts = vec![vec![rows(0..30)], vec![rows(30..60)]];
    let table = MemTable::try_new(Arc::clone(&schema), parts).unwrap();
    context.register_table("t", Arc::new(table)).unwrap();
    context
}

fn expected(is_first: impl Fn(Option<bool>) -> u8) -> Vec<i64> {
    let key = |id: i64| (id % 7 != 3).then(|| (id * 31 % 11 - 5).abs() > id % 4);
    let mut ids: Vec<i64> = (0..60).collect();
    ids.sort_by_key(|id| (is_first(key(*id)), *id));
    ids
}

async fn ids(context: &SessionContext, sql: &str) -> Result<Vec<i64>> {
    let batches = context.sql(sql).await?.collect().await?;
    let of = |batch: &RecordBatch| {
        let ids = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
        ids.values().to_vec()
    };
    Ok(batches.iter().flat_map(of).collect())
}

#[tokio::test]
async fn rows_come_in_the_order_of_a_comparison() {
    let context = context(with_own_check(PhysicalOptimizer::new().rules));
    let rank = |key: Option<bool>| key.map_or(2, u8::from);
    let down = |key: Option<bool>| key.map_or(0, |key| 2 - u8::from(key));
    for (order, wanted) in [
        ("abs(a) > b", expected(rank)),
        ("b < abs(a)", expected(rank)),
        ("not (abs(a) <= b)", expected(rank)),
        ("abs(a) > b desc", expected(down)),
    ] {
        for limit in ["", " limit 13"] {
            let sql = format!("select id from t order by {order}, id{limit}");
            let found = ids(&context, &sql).await.unwrap();
            assert_eq!(found, wanted[..found.len()], "{sql}");
            assert_eq!(found.len(), if limit.is_empty() { 60 } else { 13 });
        }
        let number = format!("row_number() over (order by {order}, id)");
        let sql = format!("select id from (select id, {number} as n from t) order by n");
        assert_eq!(ids(&context, &sql).await.unwrap(), wanted, "{sql}");
    }
}

/// If this is well one day, ours may go.
#[tokio::test]
async fn datafusion_alone_refuses_such_an_order() {
    let context = context(PhysicalOptimizer::new().rules);
    let error = ids(&context, "select id from t order by abs(a) > b, id").await.unwrap_err();
    assert!(error.to_string().contains("does not satisfy order requirements"), "{error}");
}
