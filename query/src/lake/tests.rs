//! Tables for the tests, written as pipelines write them, and their rows as the files have them.

mod cached;
mod constants;
mod older;
mod random;
mod reading;
mod row_numbers;
mod skipping;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int16Array,
    Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::TableProvider as _;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use riskstream_sinks::{
    DeltaRuntime, DeltaTableWriter, PartitionRule, StageSettings, Stager, TableSpec, WriterOptions,
    sync_files,
};

use self::random::Random;
use super::{DeltaProvider, LakeTable, physical_rules};

/// The first instant of the tests' rows, in microseconds: 1 April 2018.
const APRIL: i64 = 1_522_540_800_000_000;
const DAY: i64 = 86_400_000_000;

fn schema() -> SchemaRef {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        field("id", DataType::Int64),
        field("small", DataType::Int16),
        field("at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        field("amount", DataType::Decimal128(12, 2)),
        field("wide", DataType::Decimal128(30, 4)),
        field("name", DataType::Utf8),
        field("score", DataType::Float64),
        field("ratio", DataType::Float32),
        field("flag", DataType::Boolean),
        field("day", DataType::Date32),
        field("note", DataType::Utf8),
    ]))
}

fn spec(location: &Path) -> TableSpec {
    let partition = Some(PartitionRule::event_date("at"));
    TableSpec::new("rows", location, schema(), partition).expect("a table")
}

fn runtime() -> DeltaRuntime {
    DeltaRuntime::new().expect("a runtime")
}

fn writer(location: &Path, runtime: &DeltaRuntime) -> DeltaTableWriter {
    let options = WriterOptions::default();
    DeltaTableWriter::open_or_create(spec(location), "test/rows", options, runtime).expect("open")
}

/// Stages and delivers rows as an epoch.
fn deliver(writer: &mut DeltaTableWriter, location: &Path, epoch: u64, rows: &RecordBatch) {
    let settings = StageSettings { row_group_rows: 64, ..StageSettings::default() };
    let mut stager = Stager::new(spec(location), 1, 0, settings).expect("a stager");
    let files = stager.stage(epoch, std::slice::from_ref(rows)).expect("stage");
    sync_files(location, &files).expect("sync");
    let epoch = i64::try_from(epoch).expect("small");
    writer.deliver(epoch, &files, &serde_json::Map::new()).expect("deliver");
}

/// Rows of an epoch: values near each other, some missing, some odd.
fn random_rows(random: &mut Random, epoch: i64, count: usize) -> RecordBatch {
    // Of some epochs a column is missing as a whole.
    let mut absent: Vec<bool> = (0..11).map(|_| random.below(12) == 0).collect();
    absent[2] = false;
    let odd_floats = random.below(3) == 0;
    let some = |column: usize, random: &mut Random| !absent[column] && random.below(9) != 0;
    let mut columns: Vec<ArrayRef> = Vec::new();
    let ints = |column: usize, random: &mut Random, base: i64, span: u64| -> Vec<Option<i64>> {
        (0..count)
            .map(|_| {
                let value = base + i64::try_from(random.below(span)).expect("small");
                some(column, random).then_some(value)
            })
            .collect()
    };
    columns.push(Arc::new(Int64Array::from(ints(0, random, epoch * 50 - 200, 60))));
    let small = ints(1, random, -3, 7);
    columns.push(Arc::new(small.iter().map(|v| v.map(|v| v as i16)).collect::<Int16Array>()));
    let at = ints(2, random, APRIL + epoch * DAY / 3, DAY as u64 / 2);
    columns.push(Arc::new(TimestampMicrosecondArray::from(at).with_timezone("UTC")));
    let cents = ints(3, random, epoch * 1000 - 5000, 1500);
    let decimal = |values: Vec<Option<i64>>, times: i128, precision, scale| -> ArrayRef {
        let values = values.into_iter().map(|v| v.map(|v| i128::from(v) * times));
        let values = values.collect::<Decimal128Array>();
        Arc::new(values.with_precision_and_scale(precision, scale).expect("it fits"))
    };
    columns.push(decimal(cents, 1, 12, 2));
    columns.push(decimal(ints(4, random, epoch - 6, 3), 1_000_000_007_000_000_011, 30, 4));
    let text = |value: i64, width: usize| format!("{value:0width$}");
    let name = ints(5, random, epoch * 5, 9).into_iter();
    columns.push(Arc::new(
        name.map(|v| v.map(|v| format!("kunde-ü-{}", text(v, 3)))).collect::<StringArray>(),
    ));
    let score = ints(6, random, epoch - 8, 4).into_iter().map(|value| {
        value.map(|value| match random.below(if odd_floats { 8 } else { 1000 }) {
            0 if odd_floats => f64::NAN,
            1 if odd_floats => f64::INFINITY,
            2 if odd_floats => f64::NEG_INFINITY,
            3 if odd_floats => -f64::NAN,
            _ if value == 0 && random.below(2) == 0 => -0.0,
            _ => value as f64 / 4.0,
        })
    });
    let score: Vec<Option<f64>> = score.collect();
    columns.push(Arc::new(Float64Array::from(score)));
    let ratio = (0..count).map(|_| (random.below(9) != 0).then(|| random.below(5) as f32 / 4.0));
    columns.push(Arc::new(ratio.collect::<Float32Array>()));
    let flag = (0..count).map(|_| match random.below(9) {
        0 => None,
        other => Some(other % 4 == 0),
    });
    columns.push(Arc::new(flag.collect::<BooleanArray>()));
    let day = (0..count).map(|_| {
        let day = 17_622 + epoch * 2 + i64::try_from(random.below(3)).expect("small");
        (random.below(9) != 0).then_some(day as i32)
    });
    columns.push(Arc::new(day.collect::<Date32Array>()));
    // Longer than what the log keeps, and equal that far within an epoch.
    let note = (0..count).map(|_| {
        let tail = random.below(4);
        (random.below(9) != 0).then(|| format!("{:=<40}{tail}", text(epoch, 2)))
    });
    columns.push(Arc::new(note.collect::<StringArray>()));
    RecordBatch::try_new(schema(), columns).expect("rows")
}

/// A table of random rows, in a folder of its own.
fn random_table(seed: u64, epochs: i64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    random_table_in(folder.path(), seed, epochs);
    folder
}

/// A table of random rows, in a folder that is there.
pub(crate) fn random_table_in(location: &Path, seed: u64, epochs: i64) {
    let write = || {
        let (mut random, runtime) = (Random::new(seed), runtime());
        let mut writer = writer(location, &runtime);
        for epoch in 0..epochs {
            let count = 1 + usize::try_from(random.below(180)).expect("small");
            let rows = random_rows(&mut random, epoch, count);
            deliver(&mut writer, location, u64::try_from(epoch).expect("small"), &rows);
        }
    };
    // On a thread of its own: the writer has its own runtime, and the tests have theirs.
    std::thread::scope(|scope| scope.spawn(write).join()).expect("it is written");
}

/// The rows of each file of a provider, read without it.
pub(crate) fn rows_of_files(provider: &DeltaProvider) -> Vec<RecordBatch> {
    let table = &provider.table;
    let read = |file: &super::files::DataFile| {
        let path = format!("/{}", file.meta.location);
        let opened = std::fs::File::open(&path).expect("a file");
        let reader = ParquetRecordBatchReaderBuilder::try_new(opened).expect("Parquet");
        let batches: Vec<_> =
            reader.build().expect("a reader").map(|batch| batch.expect("rows")).collect();
        let rows = concat_batches(&batches[0].schema(), &batches).expect("alike");
        let mut columns: Vec<ArrayRef> = table
            .file_schema
            .fields()
            .iter()
            .map(|field| {
                let column = rows.column_by_name(field.name()).expect("a column");
                cast(column, field.data_type()).expect("of a kind")
            })
            .collect();
        columns.extend(
            file.partition_values
                .iter()
                .map(|value| value.to_array_of_size(rows.num_rows()).expect("a value")),
        );
        RecordBatch::try_new(Arc::clone(&table.schema), columns).expect("rows")
    };
    table.files.iter().map(|file| read(file)).collect()
}

/// A session that sees a table as `t`.
fn session(table: &LakeTable) -> SessionContext {
    session_of(&table.provider())
}

fn session_of(provider: &Arc<DeltaProvider>) -> SessionContext {
    let context = context();
    context.register_table("t", Arc::clone(provider) as _).expect("a name");
    assert!(provider.schema().fields().len() > 1);
    context
}

/// A session as the service has it, without tables.
pub(crate) fn context() -> SessionContext {
    let state = SessionStateBuilder::new()
        .with_config(SessionConfig::new().with_target_partitions(4))
        .with_default_features()
        .with_physical_optimizer_rules(physical_rules())
        .build();
    SessionContext::new_with_state(state)
}

/// A query's rows as text.
pub(crate) async fn asked(context: &SessionContext, sql: &str) -> Result<String, String> {
    let frame = context.sql(sql).await.map_err(|error| error.to_string())?;
    let rows = frame.collect().await.map_err(|error| error.to_string())?;
    let shown = arrow::util::pretty::pretty_format_batches(&rows).expect("rows");
    Ok(shown.to_string())
}
