//! A condition that several values of a column meet makes no constant of it.

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{SortOptions, concat, concat_batches, filter, sort};
use arrow::datatypes::{Float32Type, Int64Type, TimestampMicrosecondType};
use datafusion::prelude::{SessionConfig, SessionContext};

use super::super::{LakeCache, LakeLimits};
use super::{DAY, asked, random_table, rows_of_files, session};

/// 3 April 2018, in days since 1970.
const THIRD: i64 = 17_624;

/// A column, a condition that loses values of it, and the rows that meet it.
type Case = (&'static str, &'static str, fn(&RecordBatch) -> BooleanArray);

const CASES: [Case; 4] = [
    ("at", "cast(at as date) = '2018-04-03'", |rows| {
        let at = rows.column_by_name("at").unwrap().as_primitive::<TimestampMicrosecondType>();
        at.iter().map(|at| at.map(|at| at.div_euclid(DAY) == THIRD)).collect()
    }),
    ("id", "id / 7 = 30", |rows| {
        let ids = rows.column_by_name("id").unwrap().as_primitive::<Int64Type>();
        ids.iter().map(|id| id.map(|id| id / 7 == 30)).collect()
    }),
    ("ratio", "cast(ratio as bigint) = 0", |rows| {
        let ratios = rows.column_by_name("ratio").unwrap().as_primitive::<Float32Type>();
        ratios.iter().map(|ratio| ratio.map(|ratio| ratio.trunc() == 0.0)).collect()
    }),
    ("id", "id / 7 = 30 and cast(at as date) >= '2018-04-01'", |rows| {
        let ids = rows.column_by_name("id").unwrap().as_primitive::<Int64Type>();
        let at = rows.column_by_name("at").unwrap();
        (0..ids.len())
            .map(|row| Some(ids.is_valid(row) && at.is_valid(row) && ids.value(row) / 7 == 30))
            .collect()
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_in_order_and_groups_come_once_behind_it() {
    let folder = random_table(30, 22);
    let lake = LakeCache::new(LakeLimits::default());
    let table = lake.newest(folder.path()).await.unwrap();
    let files = rows_of_files(&table.provider());
    let rows = concat_batches(&files[0].schema(), &files).unwrap();
    let context = session(&table);
    for (column, condition, meets) in CASES {
        let met = filter(rows.column_by_name(column).unwrap(), &meets(&rows)).unwrap();
        let options = SortOptions { descending: false, nulls_first: false };
        let expected = sort(&met, Some(options)).unwrap();
        let sql = format!("select {column} from t where {condition} order by {column}");
        let found = context.sql(&sql).await.unwrap().collect().await.unwrap();
        let found: Vec<_> = found.iter().map(|rows| rows.column(0).as_ref()).collect();
        assert_eq!(&concat(&found).unwrap(), &expected, "{sql}");
        assert!(expected.len() > 5, "{sql}");

        let groups = format!("select {column} from t where {condition} group by {column}");
        let all = format!("select distinct {column} from t where {condition}");
        let count = |sql: &str| format!("select count(*) from ({sql})");
        let distinct = arrow::compute::partition(&[expected]).unwrap().len();
        assert!(distinct > 1, "{sql}");
        for sql in [count(&groups), count(&all)] {
            let shown = asked(&context, &sql).await.unwrap();
            assert!(shown.contains(&format!("| {distinct} ")), "{distinct}: {sql}\n{shown}");
        }
    }
}

/// The rule for it can go once this fails for all of them.
#[tokio::test(flavor = "multi_thread")]
async fn datafusion_alone_does_not_sort_by_the_column() {
    let folder = random_table(31, 22);
    let lake = LakeCache::new(LakeLimits::default());
    let table = lake.newest(folder.path()).await.unwrap();
    let alone = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(4));
    alone.register_table("t", table.provider() as _).unwrap();
    let (mut unsorted, mut plans) = (Vec::new(), Vec::new());
    for (column, condition, _) in CASES {
        let sql = format!("select {column} from t where {condition} order by {column}");
        let sql = format!("explain format indent {sql}");
        let plan = asked(&alone, &sql).await.unwrap();
        if !plan.contains("SortExec") {
            unsorted.push(condition);
        }
        plans.push(plan);
        assert!(asked(&session(&table), &sql).await.unwrap().contains("SortExec"), "{sql}");
    }
    // FIXME when it does.
    assert!(!unsorted.is_empty(), "{}", plans.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_skipped_by_such_a_condition_all_the_same() {
    let folder = random_table(32, 22);
    let lake = LakeCache::new(LakeLimits::default());
    let table = lake.newest(folder.path()).await.unwrap();
    let all = table.provider().table.files.len() as u64;
    let context = session(&table);
    asked(&context, &format!("select * from t where {}", CASES[0].1)).await.unwrap();
    let opened = lake.counts().files();
    assert!(opened > 0 && opened * 2 < all, "{opened} of {all}");
}
