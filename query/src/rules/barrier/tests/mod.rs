//! A guarded table answers as one that holds only the rows of its user.

mod attacks;
mod random;
mod shapes;

use std::path::Path;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array,
    Int32Array, Int64Array, RecordBatch, StringArray, StringViewArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, TimeUnit};
use arrow::util::pretty::pretty_format_batches;
use datafusion::datasource::MemTable;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use tokio::runtime::Runtime;

use super::*;
use crate::rules::{Rules, Seen};
use crate::service::User;

const RULES: &str = r#"
    [roles.lender]
    tables = ["t", "u"]
    rows = [{ table = "*", column = "lender", in = "lender" }]
    [roles.number]
    tables = ["t", "u"]
    rows = [{ table = "*", column = "lender_no", in = "lender" }]
    [roles.view]
    tables = ["t", "u"]
    rows = [{ table = "*", column = "lender_view", in = "lender" }]
    [roles.dictionary]
    tables = ["t", "u"]
    rows = [{ table = "*", column = "lender_word", in = "lender" }]
    [roles.masked]
    tables = ["t"]
    rows = [{ table = "*", column = "lender", in = "lender" }]
    masks = [{ table = "t", column = "borrower", as = "***" },
             { table = "t", column = "balance", as = "null" }]
    [roles.everything]
    tables = ["t"]
    masks = [{ table = "t", column = "borrower", as = "***" }]
"#;

fn schema() -> SchemaRef {
    let field = |name: &str, of: DataType| Field::new(name, of, true);
    let word = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    Arc::new(Schema::new(vec![
        field("id", DataType::Int64),
        field("lender", DataType::Utf8),
        field("lender_no", DataType::Int32),
        field("lender_view", DataType::Utf8View),
        field("lender_word", word),
        field("borrower", DataType::Utf8),
        field("balance", DataType::Int64),
        field("amount", DataType::Decimal128(18, 2)),
        field("day", DataType::Date32),
        field("at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        field("late", DataType::Boolean),
        field("score", DataType::Float64),
    ]))
}

/// Rows of lenders 17, 18, none and odd ones. What makes an error is in rows of others alone, but
/// for a few.
fn rows(numbers: std::ops::Range<i64>) -> RecordBatch {
    let numbers: Vec<i64> = numbers.collect();
    let lender = |n: &i64| match n % 7 {
        0 | 1 => Some("17"),
        2 => None,
        3 => Some(""),
        4 => Some(" 17"),
        5 => Some("１７"),
        _ => Some("18"),
    };
    let ours = |n: &i64| n % 7 < 2;
    let text: Vec<Option<&str>> = numbers.iter().map(lender).collect();
    let word: DictionaryArray<Int32Type> = text.iter().copied().collect();
    let number = |n: &i64| (n % 7 != 2).then(|| if ours(n) { 17 } else { 18 });
    let borrower = |n: &i64| match ours(n) {
        true if n % 61 == 0 => Some("ours".to_owned()),
        true => Some(format!("{}", n % 50)),
        false if n % 5 == 0 => None,
        false => Some(format!("secret {n}")),
    };
    let balance = |n: &i64| if ours(n) { 1 + n % 9 } else { 0 };
    let day = |n: &i64| 19_000 + i32::try_from(n % 400).unwrap();
    let at = TimestampMicrosecondArray::from_iter_values(
        numbers.iter().map(|n| 1_700_000_000_000_000 + n * 1_000_000_007),
    );
    let big = |n: &i64| if ours(n) { i128::from(n % 1000) } else { 999_999_999_999_999_999 };
    let amount = Decimal128Array::from_iter_values(numbers.iter().map(big));
    let score = |n: &i64| if ours(n) { *n as f64 / 3.0 } else { f64::NAN };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(numbers.clone())),
        Arc::new(StringArray::from(text.clone())),
        Arc::new(numbers.iter().map(number).collect::<Int32Array>()),
        Arc::new(StringViewArray::from(text)),
        Arc::new(word),
        Arc::new(numbers.iter().map(borrower).collect::<StringArray>()),
        Arc::new(Int64Array::from_iter_values(numbers.iter().map(balance))),
        Arc::new(amount.with_precision_and_scale(18, 2).unwrap()),
        Arc::new(Date32Array::from_iter_values(numbers.iter().map(day))),
        Arc::new(at.with_timezone("UTC")),
        Arc::new(
            numbers.iter().map(|n| (n % 4 != 0).then_some(n % 3 == 0)).collect::<BooleanArray>(),
        ),
        Arc::new(Float64Array::from_iter_values(numbers.iter().map(score))),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// Rows `0..count` in batches of odd sizes.
fn all_batches(count: i64) -> Vec<RecordBatch> {
    let mut batches = Vec::new();
    let mut from = 0;
    while from < count {
        let to = (from + 13 + from % 29).min(count);
        batches.push(rows(from..to));
        from = to;
    }
    batches
}

/// The rows of lender 17 of these.
fn our_batches(batches: &[RecordBatch]) -> Vec<RecordBatch> {
    let ours = |batch: &RecordBatch| {
        let ids = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
        let keep: BooleanArray = ids.values().iter().map(|n| Some(n % 7 < 2)).collect();
        arrow::compute::filter_record_batch(batch, &keep).unwrap()
    };
    batches.iter().map(ours).collect()
}

fn user(role: &str) -> User {
    User {
        name: "acme".into(),
        roles: role.split('+').map(str::to_owned).collect(),
        attributes: [("lender".to_owned(), vec!["17".to_owned()])].into(),
    }
}

fn rule(role: &str) -> TableRule {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.toml");
    std::fs::write(&file, RULES).unwrap();
    let rules = Rules::open(&file).unwrap();
    match rules.see(&user(role), "public", "t", &schema()) {
        Seen::Ruled(rule) => rule,
        other => panic!("{role}: {other:?}"),
    }
}

/// A table under a rule, as if it were not divided by any column.
fn guarded_by(table: Arc<dyn TableProvider>, rule: TableRule) -> Arc<dyn TableProvider> {
    guard(table, rule, BTreeSet::new())
}

fn memory(batches: Vec<RecordBatch>) -> Arc<dyn TableProvider> {
    Arc::new(MemTable::try_new(schema(), vec![batches]).unwrap())
}

/// Files of these batches, as a table.
async fn parquet(folder: &Path, batches: &[RecordBatch]) -> Arc<dyn TableProvider> {
    for (number, some) in batches.chunks(7).enumerate() {
        let file = std::fs::File::create(folder.join(format!("{number:03}.parquet"))).unwrap();
        let properties = parquet::file::properties::WriterProperties::builder()
            .set_max_row_group_row_count(Some(50));
        let mut writer =
            parquet::arrow::ArrowWriter::try_new(file, schema(), Some(properties.build())).unwrap();
        for batch in some {
            writer.write(batch).unwrap();
        }
        writer.close().unwrap();
    }
    let ctx = context(1, false);
    let schema = schema();
    let options = ParquetReadOptions::default().schema(&schema);
    ctx.register_parquet("t", folder.to_str().unwrap(), options).await.unwrap();
    ctx.table_provider("t").await.unwrap()
}

fn context(partitions: usize, pushdown: bool) -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(partitions).with_batch_size(64);
    config.options_mut().execution.parquet.pushdown_filters = pushdown;
    config.options_mut().execution.parquet.reorder_filters = pushdown;
    SessionContext::new_with_config(config)
}

/// A context in which `t`, and its twin `u`, are this table.
fn with(table: &Arc<dyn TableProvider>, partitions: usize, pushdown: bool) -> SessionContext {
    let ctx = context(partitions, pushdown);
    for name in ["t", "u"] {
        ctx.register_table(name, Arc::clone(table)).unwrap();
    }
    ctx
}

/// What a statement answers, as it comes.
async fn table(ctx: &SessionContext, sql: &str) -> Result<String, String> {
    let batches = async { ctx.sql(sql).await?.collect().await }.await;
    pretty_format_batches(&batches.map_err(|error| error.to_string())?)
        .map(|text| text.to_string())
        .map_err(|error| error.to_string())
}

/// What a statement answers: its rows as text, in order if it orders them, or its error.
async fn answer(ctx: &SessionContext, sql: &str) -> Result<String, String> {
    let text = table(ctx, sql).await?;
    let lower = sql.to_lowercase();
    if lower.starts_with("explain") {
        return Ok(without_times(&text));
    }
    if lower.contains("order by") {
        return Ok(text);
    }
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    Ok(lines.join("\n"))
}

/// An explanation without how long things took and how much memory they had.
fn without_times(text: &str) -> String {
    let told = |part: &&str| {
        let value = part.trim_end().rsplit('=').next().unwrap_or("");
        let is_time = value.starts_with(|c: char| c.is_ascii_digit()) && value.ends_with('s');
        !is_time && !["elapsed", "time", "bytes", "memory"].iter().any(|word| part.contains(word))
    };
    let lines = text.lines().map(|line| {
        let parts: Vec<&str> = line.trim_matches(['|', ' ']).split([',', '[', ']']).collect();
        parts.into_iter().filter(told).map(str::trim).collect::<Vec<_>>().join(",")
    });
    lines
        .filter(|line| !line.starts_with('+') && !line.starts_with("Duration"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
