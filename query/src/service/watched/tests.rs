use std::sync::atomic::AtomicUsize;

use arrow::array::Int64Array;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::context::SessionContext;
use datafusion::physical_plan::{collect, displayable};

use super::*;
use crate::service::answer::Cancel;
use crate::service::time::Time;
use crate::stopped::Stopped;

fn guard() -> (Cancel, Arc<Guard>) {
    let cancel = Cancel::default();
    let guard = Guard::new(cancel.clone(), Time::new(None, None), &Arc::<AtomicUsize>::default());
    (cancel, guard)
}

fn batch(rows: i64) -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, false)]));
    let rows = Int64Array::from_iter_values(0..rows);
    RecordBatch::try_new(schema, vec![Arc::new(rows)]).unwrap()
}

#[test]
fn slices_grow_while_they_are_taken_soon_and_shrink_when_not() {
    assert_eq!(resized(1, Duration::ZERO), 2);
    assert_eq!(resized(usize::MAX, Duration::ZERO), usize::MAX);
    assert_eq!(resized(100, Duration::from_millis(10)), 100);
    assert_eq!(resized(100, Duration::from_secs(1)), 50);
    assert_eq!(resized(1, Duration::from_secs(1)), 1);
}

#[test]
fn slices_are_the_whole_batch_in_its_order() {
    let mut slices = Slices { rest: Some(batch(1_000)), ..Slices::default() };
    let mut seen = Vec::new();
    let mut sizes = Vec::new();
    while let Some(slice) = slices.next() {
        sizes.push(slice.num_rows());
        let rows = slice.column(0);
        let rows = rows.as_any().downcast_ref::<Int64Array>().unwrap();
        seen.extend(rows.values().iter().copied());
        slices.returned();
    }
    assert_eq!(seen, (0..1_000).collect::<Vec<_>>());
    assert_eq!((sizes[0], sizes.iter().sum::<usize>()), (1, 1_000));
}

/// Plans of all kinds give the same rows watched or not, and are drawn the same.
#[tokio::test]
async fn a_watched_plan_is_the_same_plan() {
    let context = SessionContext::new();
    let scan = MemorySourceConfig::try_new_exec(&[vec![batch(3_000)]], batch(0).schema(), None);
    let plain = collect(scan.unwrap(), context.task_ctx()).await.unwrap();
    let table = datafusion::datasource::MemTable::try_new(plain[0].schema(), vec![plain]);
    context.register_table("t", Arc::new(table.unwrap())).unwrap();
    for sql in [
        "select count(*) from t x join t y on x.a = y.a",
        "select count(*) from t x join t y on x.a = y.a and x.a + y.a > 3000",
        "select count(*) from t x join t y on x.a < y.a and x.a + y.a < 500",
        "select count(*) from (select * from t limit 30) x cross join t y",
        "select count(*) from t x left join t y on x.a = y.a + 10",
        "select count(*) from t x where exists (select 1 from t y where y.a = x.a / 2)",
        "select a from t union all select a + 1 from t order by 1 limit 7",
        "with recursive r as (select 1 as n union all select n + 1 from r where n < 50) \
         select sum(n) from r",
    ] {
        // One each: joins know what they have given.
        let query = context.sql(sql).await.unwrap();
        let plan = query.clone().create_physical_plan().await.unwrap();
        let (_cancel, guard) = guard();
        let seen = watched(query.create_physical_plan().await.unwrap(), &guard).unwrap();
        let drawn =
            |plan: &Arc<dyn ExecutionPlan>| displayable(plan.as_ref()).indent(false).to_string();
        assert_eq!(drawn(&seen), drawn(&plan), "{sql}");
        let expected = collect(plan, context.task_ctx()).await.unwrap();
        let given = collect(seen, context.task_ctx()).await.unwrap();
        let all = |batches: &[RecordBatch]| {
            arrow::compute::concat_batches(&batches[0].schema(), batches).unwrap()
        };
        assert_eq!(all(&given), all(&expected), "{sql}");
    }
}

#[tokio::test]
async fn a_watched_plan_gives_nothing_once_it_is_stopped() {
    let scan = MemorySourceConfig::try_new_exec(&[vec![batch(10)]], batch(0).schema(), None);
    let (cancel, guard) = guard();
    let plan = watched(scan.unwrap(), &guard).unwrap();
    let context = SessionContext::new();
    let mut stream = plan.execute(0, context.task_ctx()).unwrap();
    cancel.stop(Stopped::Cancelled);
    assert!(stream.next().await.unwrap().is_err());
    assert!(plan.execute(0, context.task_ctx()).is_err());
}
