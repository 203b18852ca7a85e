//! How much of the files is read.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use datafusion::catalog::TableProvider as _;
use datafusion::physical_plan::collect;
use datafusion::prelude::{col, lit};
use riskstream_sinks::{MaintainOptions, maintain};

use super::super::{LakeCache, LakeLimits};
use super::random::Random;
use super::{
    asked, deliver, random_rows, random_table, rows_of_files, runtime, schema, session, writer,
};

#[tokio::test]
async fn a_look_up_by_key_opens_at_most_three_files() {
    let folder = random_table(5, 40);
    let lake = LakeCache::new(LakeLimits::default());
    let table = lake.newest(folder.path()).await.unwrap();
    let rows = rows_of_files(&table.provider());
    assert!(rows.len() > 50, "{} files", rows.len());
    // What clients send, in each form that has to find the file.
    let at = "2018-04-03T07:08:09.123456";
    for condition in [
        "id = 400".to_owned(),
        "id in (400, 401)".to_owned(),
        format!("id in ({})", (401..426).map(|id| id.to_string()).collect::<Vec<_>>().join(", ")),
        "id = 400 and name like 'kunde%'".to_owned(),
        "id between 400 and 404".to_owned(),
        "id = 400 or id = 402".to_owned(),
        "amount = 123.45 and at < '2018-04-07T18:00:00+02:00'".to_owned(),
        "amount > 123.4 and amount < 124 and id < 440".to_owned(),
        "name = 'kunde-ü-101' and score = 5.75".to_owned(),
        "note = '07======================================2'".to_owned(),
        format!("at = '{at}Z'"),
        format!("at = '{at}789Z'"),
        format!("at = timestamp '{at}'"),
        format!("at between '{at}000Z' and '2018-04-03T09:08:09.999999999+02:00'"),
        format!("at >= timestamp '{at}789' and at < timestamptz '2018-04-03 09:08:10.5+02:00'"),
    ] {
        let context = session(&table);
        let before = lake.counts().files();
        asked(&context, &format!("select * from t where {condition}")).await.unwrap();
        let opened = lake.counts().files() - before;
        let matching = 4;
        assert!(opened <= matching, "{condition}: {opened} of {} files", rows.len());
    }
    let few = rows.iter().filter(|rows| {
        let ids = rows.column(0).as_primitive::<Int64Type>();
        let range = (ids.iter().flatten().min(), ids.iter().flatten().max());
        ids.null_count() < ids.len() && range.0 <= Some(400) && range.1 >= Some(400)
    });
    let few = few.count() as u64;
    let before = lake.counts().files();
    asked(&session(&table), "select * from t where id = 400").await.unwrap();
    assert_eq!(lake.counts().files() - before, few);
    assert!(few <= 3, "{few}");
}

/// A node that lets no filter through may stand above the scan.
#[tokio::test]
async fn what_the_scan_itself_is_asked_for_is_enough_to_skip() {
    let folder = random_table(9, 40);
    let lake = LakeCache::new(LakeLimits::default());
    let table = lake.newest(folder.path()).await.unwrap();
    let provider = table.provider();
    let has = |rows: &RecordBatch| {
        let ids = rows.column(0).as_primitive::<Int64Type>();
        ids.iter().filter(|id| *id == Some(400)).count()
    };
    let matching: usize = rows_of_files(&provider).iter().map(has).sum();
    let context = session(&table);
    for projection in [None, Some(vec![0])] {
        let before = lake.counts().files();
        let (state, filters) = (context.state(), [col("id").eq(lit(400_i64))]);
        let plan = provider.scan(&state, projection.as_ref(), &filters, None).await.unwrap();
        let rows = collect(plan, context.task_ctx()).await.unwrap();
        assert_eq!(rows.iter().map(has).sum::<usize>(), matching, "of {projection:?}");
        let opened = lake.counts().files() - before;
        // Two epochs have ids as these, each of at most two days.
        assert!(matching > 0 && (1..=4).contains(&opened), "{opened} files for {matching} rows");
    }
}

/// A table in which every second row of every second epoch is theirs, by its name, and all else
/// is ours.
fn shared_table(location: &Path) {
    let write = || {
        let (delta, mut random) = (runtime(), Random::new(19));
        let mut writer = writer(location, &delta);
        for epoch in 0..12_u8 {
            let rows = random_rows(&mut random, epoch.into(), 40);
            let is_ours = |row: usize| epoch % 2 == 0 || row.is_multiple_of(2);
            let name = |row| Some(if is_ours(row) { "ours" } else { "theirs" });
            let mut columns = rows.columns().to_vec();
            columns[5] = Arc::new((0..40).map(name).collect::<StringArray>());
            let rows = RecordBatch::try_new(schema(), columns).unwrap();
            deliver(&mut writer, location, epoch.into(), &rows);
        }
    };
    // On a thread of its own, as it has its own runtime.
    std::thread::scope(|scope| scope.spawn(write).join()).unwrap();
}

/// What stands above the scan may have to hide which files hold a key in rows of others: it asks
/// for `filter OR row of others`.
#[tokio::test]
async fn a_file_with_rows_of_others_is_read_whatever_key_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    shared_table(folder.path());
    let lake = LakeCache::new(LakeLimits::default());
    let table = lake.newest(folder.path()).await.unwrap();
    let (provider, context) = (table.provider(), session(&table));
    let files = rows_of_files(&provider);
    let is_mixed = |rows: &&RecordBatch| {
        rows.column(5).as_string::<i32>().iter().any(|name| name == Some("theirs"))
    };
    let has_ours = |rows: &RecordBatch| {
        rows.column(5).as_string::<i32>().iter().any(|name| name == Some("ours"))
    };
    let may_have = |rows: &RecordBatch, key: i64| {
        let ids = rows.column(0).as_primitive::<Int64Type>();
        let (least, most) = (ids.iter().flatten().min(), ids.iter().flatten().max());
        least.is_some_and(|least| least <= key) && most.is_some_and(|most| most >= key)
    };
    for key in [-10_000, -150, 0, 55, 130, 201, 10_000] {
        let others = col("name").not_eq(lit("ours")).or(col("name").is_null());
        let filters = [col("id").eq(lit(key)).or(others), col("name").eq(lit("ours"))];
        let before = lake.counts().files();
        let plan = provider.scan(&context.state(), None, &filters, None).await.unwrap();
        collect(plan, context.task_ctx()).await.unwrap();
        let mixed = files.iter().filter(is_mixed).filter(|rows| has_ours(rows)).count();
        let pure = files.iter().filter(|rows| !is_mixed(rows) && may_have(rows, key)).count();
        assert_eq!(lake.counts().files() - before, (mixed + pure) as u64, "{key}");
        assert!(mixed > 0 && mixed + pure < files.len(), "{mixed} {pure} of {}", files.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_query_finds_out_while_it_runs_leaves_files_out_too() {
    let folder = random_table(6, 60);
    let lake = LakeCache::new(LakeLimits::default());
    let table = lake.newest(folder.path()).await.unwrap();
    let all = table.provider().table.files.len() as u64;
    let context = session(&table);
    for sql in [
        "select * from t order by at desc limit 3",
        "select t.* from t join (values (700), (701)) as k(id) on t.id = k.id",
    ] {
        let before = lake.counts().files();
        asked(&context, sql).await.unwrap();
        let opened = lake.counts().files() - before;
        assert!(opened * 3 < all, "{sql}: {opened} of {all} files");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_filtered_while_they_are_read_where_it_pays() {
    let folder = random_table(7, 6);
    let lake = LakeCache::new(LakeLimits::default());
    let context = session(&lake.newest(folder.path()).await.unwrap());
    for (sql, first) in [
        ("select * from t where id = 3", true),
        ("select * from t where flag", true),
        ("select * from t where score > -1.6 and score < -0.9", true),
        ("select id, name from t where score > -1.6 and score < -0.9", false),
        ("select count(*) from t where id = 3", false),
        ("select * from t order by at desc limit 3", true),
        ("select at from t order by at desc limit 3", false),
        ("select a.* from t a join t b on a.id = b.small", false),
    ] {
        let plan = asked(&context, &format!("explain format indent {sql}")).await.unwrap();
        assert_eq!(plan.contains("filters_first=true"), first, "{sql}\n{plan}");
        if first && sql.contains("where") {
            assert!(!plan.contains("FilterExec"), "{plan}");
            assert!(!plan.contains("3 AND id@0"), "a filter is there twice: {plan}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_compacted_file_a_look_up_reads_the_pages_that_it_needs() {
    let folder = random_table(8, 60);
    let lake = LakeCache::new(LakeLimits::default());
    let options = MaintainOptions { min_files: 2, ..MaintainOptions::default() };
    let path = folder.path().to_owned();
    tokio::task::spawn_blocking(move || maintain(&runtime(), path, &options).unwrap())
        .await
        .unwrap();
    let table = lake.newest(folder.path()).await.unwrap();
    let context = session(&table);
    let counts = lake.counts();
    asked(&context, "select * from t").await.unwrap();
    let all = counts.bytes();
    asked(&context, "select * from t where id = 401").await.unwrap();
    let one = counts.bytes() - all;
    assert!(one * 3 < all, "{one} of {all} bytes");
}
