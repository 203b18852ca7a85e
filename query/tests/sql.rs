//! SQL over tables as the sinks write them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Date32Type, Field, Int64Type, Schema, TimeUnit};
use riskstream_query::{Catalog, Form, FormatSettings, QueryError, format_rows, listing};
use riskstream_sinks::{
    DeltaRuntime, DeltaTableWriter, MaintainOptions, PartitionRule, StageSettings, Stager,
    TableSpec, WriterOptions, maintain, sync_files,
};
use serde_json::Map;

const HOUR_MICROS: i64 = 3_600_000_000;
const APRIL_2018: i64 = 1_522_540_800_000_000;

/// Hourly rows; row 0 has no time, no amount and no name.
fn rows(ids: std::ops::Range<i64>) -> RecordBatch {
    let some = |id: i64| id != 0;
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("amount", DataType::Decimal128(12, 2), true),
        Field::new("name", DataType::Utf8, true),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(ids.clone())),
        Arc::new(
            TimestampMicrosecondArray::from_iter(
                ids.clone().map(|id| some(id).then_some(APRIL_2018 + id * HOUR_MICROS)),
            )
            .with_timezone("UTC"),
        ),
        Arc::new(
            Decimal128Array::from_iter(
                ids.clone().map(|id| some(id).then_some(i128::from(id) * 105)),
            )
            .with_precision_and_scale(12, 2)
            .unwrap(),
        ),
        Arc::new(StringArray::from_iter(ids.map(|id| some(id).then(|| format!("n{}", id % 3))))),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

fn deliver(tables: &Path, name: &str, epoch: i64, batches: &[RecordBatch]) {
    let location = tables.join(name);
    let spec =
        TableSpec::new(name, &location, rows(0..1).schema(), Some(PartitionRule::event_date("at")))
            .unwrap();
    let runtime = DeltaRuntime::new().unwrap();
    let mut writer =
        DeltaTableWriter::open_or_create(spec.clone(), "app", WriterOptions::default(), &runtime)
            .unwrap();
    let files = Stager::new(spec, 1, 0, StageSettings::default())
        .unwrap()
        .stage(epoch as u64, batches)
        .unwrap();
    sync_files(&location, &files).unwrap();
    writer.deliver(epoch, &files, &Map::new()).unwrap();
}

/// Two epochs of 48 rows in `payments_scored`, and an empty `alerts`.
fn tables() -> (tempfile::TempDir, Catalog) {
    let folder = tempfile::tempdir().unwrap();
    deliver(folder.path(), "payments_scored", 1, &[rows(0..48)]);
    deliver(folder.path(), "payments_scored", 2, &[rows(48..96)]);
    deliver(folder.path(), "alerts", 1, &[]);
    let catalog = Catalog::open(folder.path()).unwrap();
    (folder, catalog)
}

fn written(form: Form, batches: &[RecordBatch]) -> String {
    let schema = batches[0].schema();
    let bytes = format_rows(form, &schema, batches, &FormatSettings::default()).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn one_number(catalog: &Catalog, query: &str) -> i64 {
    let batches = catalog.sql(query).unwrap();
    batches[0].column(0).as_primitive::<Int64Type>().value(0)
}

#[test]
fn all_rows_and_columns_are_read_with_the_partition_column_last() {
    let (_folder, catalog) = tables();
    let batches = catalog.sql("select * from payments_scored order by id").unwrap();
    let names: Vec<&str> =
        batches[0].schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["id", "at", "amount", "name", "event_date"]);
    let all = arrow::compute::concat_batches(batches[0].schema_ref(), &batches).unwrap();
    let expected = rows(0..96);
    for column in 0..4 {
        assert_eq!(all.column(column).as_ref(), expected.column(column).as_ref());
    }
    let dates = all.column(4).as_primitive::<Date32Type>();
    assert!(dates.is_null(0));
    for row in 1..96 {
        assert_eq!(dates.value(row), 17_622 + row as i32 / 24);
    }
}

#[test]
fn filters_on_partitions_times_and_values_find_exactly_their_rows() {
    let (_folder, catalog) = tables();
    for (filter, expected) in [
        ("event_date = date '2018-04-02'", 24),
        ("event_date >= '2018-04-02' and event_date < '2018-04-04'", 48),
        ("event_date is null", 1),
        ("event_date is not null", 95),
        ("event_date in (date '2018-04-01', date '2018-04-04')", 47),
        ("extract(day from event_date) = 3", 24),
        ("at >= timestamp '2018-04-02T12:00:00Z' and at < timestamp '2018-04-03T00:00:00Z'", 12),
        ("at = timestamp '2018-04-04T23:00:00Z'", 1),
        ("amount = 2.10", 1),
        ("amount > 94.5", 5),
        ("name = 'n1' and event_date = date '2018-04-01'", 8),
        ("name is null", 1),
        ("id = 95 or event_date = date '2018-04-01'", 24),
        ("event_date = date '2030-01-01'", 0),
        ("id > 1000", 0),
        ("event_date in (select max(event_date) from payments_scored)", 24),
    ] {
        assert_eq!(
            one_number(&catalog, &format!("select count(*) from payments_scored where {filter}")),
            expected,
            "{filter}"
        );
        assert_eq!(
            one_number(
                &catalog,
                &format!(
                    "select coalesce(sum(case when id >= 0 then 1 end), 0) from payments_scored \
                     where {filter}"
                )
            ),
            expected,
            "{filter}"
        );
    }
    assert_eq!(one_number(&catalog, "select count(*) from payments_scored"), 96);
    assert_eq!(one_number(&catalog, "select max(id) from payments_scored"), 95);
    let limited = catalog
        .sql("select id from payments_scored where event_date = date '2018-04-03' limit 5")
        .unwrap();
    assert_eq!(limited.iter().map(RecordBatch::num_rows).sum::<usize>(), 5);
    let limited = catalog.sql("select id from payments_scored where id >= 90 limit 50").unwrap();
    assert_eq!(limited.iter().map(RecordBatch::num_rows).sum::<usize>(), 6);
}

#[test]
fn a_partition_filter_skips_files() {
    let (_folder, catalog) = tables();
    let plan = written(
        Form::Table,
        &catalog
            .sql("explain select id from payments_scored where event_date = date '2018-04-02'")
            .unwrap(),
    );
    assert!(plan.contains("event_date=2018-04-02"), "{plan}");
    assert!(!plan.contains("event_date=2018-04-01"), "{plan}");
    assert!(!plan.contains("FilterExec"), "an exact partition filter is not applied again: {plan}");
}

#[test]
fn joins_groups_and_windows_work() {
    let (_folder, catalog) = tables();
    let query = "select p.name, count(*) as n, sum(p.amount) as total from payments_scored p
                 left join alerts a on a.id = p.id where a.id is null \
                 group by p.name order by p.name nulls first";
    let shown = written(Form::Csv, &catalog.sql(query).unwrap());
    assert_eq!(shown, "name,n,total\n,1,\nn0,31,1562.40\nn1,32,1596.00\nn2,32,1629.60\n");
    let query = "select id, sum(id) over (order by id rows 1 preceding) as s from payments_scored \
                 where id in (3, 4, 5) order by id";
    assert_eq!(
        written(Form::Ndjson, &catalog.sql(query).unwrap()),
        "{\"id\":3,\"s\":3}\n{\"id\":4,\"s\":7}\n{\"id\":5,\"s\":9}\n"
    );
}

#[test]
fn an_empty_table_answers_with_its_columns() {
    let (_folder, catalog) = tables();
    assert_eq!(one_number(&catalog, "select count(*) from alerts"), 0);
    let batches = catalog.sql("select * from alerts").unwrap();
    assert!(written(Form::Table, &batches).contains("event_date"));
    assert_eq!(written(Form::Csv, &batches), "id,at,amount,name,event_date\n");
    assert_eq!(written(Form::Ndjson, &batches), "");
    assert_eq!(written(Form::Json, &batches), "[]\n");
}

#[test]
fn each_query_sees_the_newest_version_at_its_start() {
    let (folder, catalog) = tables();
    assert_eq!(one_number(&catalog, "select count(*) from payments_scored"), 96);
    deliver(folder.path(), "payments_scored", 3, &[rows(96..100)]);
    assert_eq!(one_number(&catalog, "select count(*) from payments_scored"), 100);
}

#[test]
fn a_column_added_later_is_null_in_older_rows_also_after_compaction() {
    let (folder, catalog) = tables();
    let location = folder.path().join("payments_scored");
    deliver(folder.path(), "payments_scored", 3, &[rows(100..104)]);
    let old = rows(96..100);
    let fields = old
        .schema_ref()
        .fields()
        .iter()
        .map(|field| field.as_ref().clone())
        .chain([Field::new("model", DataType::Int64, true)]);
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let model: ArrayRef = Arc::new(Int64Array::from(vec![7; 4]));
    let batch = RecordBatch::try_new(
        schema.clone(),
        old.columns().iter().cloned().chain([model]).collect(),
    )
    .unwrap();
    let spec =
        TableSpec::new("payments_scored", &location, schema, Some(PartitionRule::event_date("at")))
            .unwrap();
    let runtime = DeltaRuntime::new().unwrap();
    let mut writer =
        DeltaTableWriter::open_or_create(spec.clone(), "app", WriterOptions::default(), &runtime)
            .unwrap();
    let files =
        Stager::new(spec, 1, 0, StageSettings::default()).unwrap().stage(4, &[batch]).unwrap();
    sync_files(&location, &files).unwrap();
    writer.deliver(4, &files, &Map::new()).unwrap();
    let check = || {
        assert_eq!(
            one_number(&catalog, "select count(*) from payments_scored where model is null"),
            100
        );
        assert_eq!(
            one_number(&catalog, "select sum(id) from payments_scored where model = 7"),
            96 + 97 + 98 + 99
        );
        let all = catalog.sql("select * from payments_scored").unwrap();
        assert_eq!(all.iter().map(RecordBatch::num_rows).sum::<usize>(), 104);
        assert_eq!(all[0].schema_ref().fields().last().unwrap().name(), "event_date");
    };
    check();
    let options = MaintainOptions { min_files: 2, ..MaintainOptions::default() };
    assert!(maintain(&runtime, &location, &options).unwrap().files_compacted > 0);
    check();
}

#[test]
fn unknown_names_are_answered_with_the_nearest() {
    let (_folder, catalog) = tables();
    let error = catalog.sql("select * from payment_scored").unwrap_err();
    assert!(matches!(error, QueryError::UnknownTable { .. }));
    assert_eq!(error.to_string(), "no table 'payment_scored'; did you mean 'payments_scored'?");
    let error = catalog.sql("select ammount from payments_scored").unwrap_err();
    assert!(matches!(error, QueryError::UnknownColumn { .. }), "{error:?}");
    assert_eq!(error.to_string(), "no column 'ammount'; did you mean 'amount'?");
    let error = catalog.sql("select * from zzz").unwrap_err();
    assert_eq!(error.to_string(), "no table 'zzz'; there are: alerts, payments_scored");
}

#[test]
fn only_queries_are_allowed() {
    let (_folder, catalog) = tables();
    for statement in [
        "drop table alerts",
        "create table t as select 1",
        "insert into alerts select * from payments_scored",
        "delete from alerts",
        "set datafusion.execution.batch_size = 1",
        "copy (select 1) to 'x.csv'",
        "create external table t stored as csv location '/etc/passwd'",
    ] {
        assert!(catalog.sql(statement).is_err(), "{statement}");
    }
    assert!(matches!(catalog.sql("selec 1"), Err(QueryError::Sql(_))));
    assert!(Catalog::open("no/such/folder").is_err());
}

#[test]
fn the_listing_tells_rows_files_bytes_and_version() {
    let (_folder, catalog) = tables();
    let tables = catalog.tables().unwrap();
    assert_eq!(
        tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(),
        ["alerts", "payments_scored"]
    );
    assert_eq!((tables[0].rows, tables[0].files, tables[0].version), (Some(0), 0, 1));
    assert_eq!((tables[1].rows, tables[1].files, tables[1].version), (Some(96), 5, 2));
    assert_eq!(tables[1].columns, ["id", "at", "amount", "name", "event_date"]);
    let listed = written(Form::Table, &[listing(&tables).unwrap()]);
    assert!(listed.contains("payments_scored"), "{listed}");
}

#[test]
fn times_and_decimals_are_written_exactly() {
    let (_folder, catalog) = tables();
    let batches = catalog
        .sql("select at, amount, event_date from payments_scored where id in (0, 3) order by id")
        .unwrap();
    assert_eq!(
        written(Form::Ndjson, &batches),
        "{\"at\":null,\"amount\":null,\"event_date\":null}\n\
         {\"at\":\"2018-04-01T03:00:00Z\",\"amount\":3.15,\"event_date\":\"2018-04-01\"}\n"
    );
}
