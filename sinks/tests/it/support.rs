//! Tables and rows for the tests, and a plain reader that shares nothing with the writer but the
//! log.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use riskstream_engine::contract::EpochClose;
use riskstream_engine::ids::{Epoch, EventTime};
use riskstream_sinks::{
    DeltaRuntime, DeltaTableWriter, PartitionRule, StageSettings, StagedFile, Stager,
    TableSnapshot, TableSpec, WriterOptions, sync_files,
};

pub(crate) const APP: &str = "card-fraud/scored";
pub(crate) const DAY_MICROS: i64 = 86_400_000_000;
const APRIL_2018: i64 = 1_522_540_800_000_000;

pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("amount", DataType::Decimal128(12, 2), true),
        Field::new("wide", DataType::Decimal128(30, 4), true),
        Field::new("name", DataType::Utf8, true),
        Field::new("score", DataType::Float64, true),
    ]))
}

pub(crate) fn spec(location: &Path) -> TableSpec {
    TableSpec::new("scored", location, schema(), Some(PartitionRule::event_date("at"))).unwrap()
}

/// Rows `ids`, 100 seconds apart: about 864 a day.
pub(crate) fn rows(ids: std::ops::Range<i64>) -> RecordBatch {
    let some = |id: i64, every: i64| id % every != 0;
    let columns: Vec<ArrayRef> =
        vec![
            Arc::new(Int64Array::from_iter_values(ids.clone())),
            Arc::new(
                TimestampMicrosecondArray::from_iter(
                    ids.clone().map(|id| some(id, 97).then_some(APRIL_2018 + id * 100_000_001)),
                )
                .with_timezone("UTC"),
            ),
            Arc::new(
                Decimal128Array::from_iter(
                    ids.clone().map(|id| some(id, 11).then_some(i128::from(id) * 37 - 5000)),
                )
                .with_precision_and_scale(12, 2)
                .unwrap(),
            ),
            Arc::new(
                Decimal128Array::from_iter(ids.clone().map(|id| {
                    some(id, 13).then_some(i128::from(id) * -1_000_000_000_000_000_000_000)
                }))
                .with_precision_and_scale(30, 4)
                .unwrap(),
            ),
            Arc::new(StringArray::from_iter(
                ids.clone().map(|id| some(id, 7).then(|| format!("kunde-ü-{id}"))),
            )),
            Arc::new(Float64Array::from_iter(
                ids.clone().map(|id| some(id, 5).then_some(id as f64 / 3.0)),
            )),
        ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

pub(crate) fn runtime() -> DeltaRuntime {
    DeltaRuntime::new().unwrap()
}

pub(crate) fn writer(location: &Path, runtime: &DeltaRuntime) -> DeltaTableWriter {
    DeltaTableWriter::open_or_create(spec(location), APP, WriterOptions::default(), runtime)
        .unwrap()
}

/// Stages and syncs 1000 rows for an epoch, each epoch other rows.
pub(crate) fn stage(location: &Path, epoch: i64) -> Vec<StagedFile> {
    stage_rows(location, epoch, epoch * 1000..(epoch + 1) * 1000)
}

pub(crate) fn stage_rows(
    location: &Path,
    epoch: i64,
    ids: std::ops::Range<i64>,
) -> Vec<StagedFile> {
    let mut stager = Stager::new(spec(location), 1, 0, StageSettings::default()).unwrap();
    let files = stager.stage(epoch as u64, &[rows(ids)]).unwrap();
    sync_files(location, &files).unwrap();
    files
}

/// The end of an epoch.
pub(crate) fn close(epoch: u64) -> EpochClose {
    EpochClose {
        epoch: Epoch(epoch),
        watermark: EventTime(0),
        watermark_before: EventTime(0),
        snapshot: false,
        last: false,
    }
}

/// All rows that a reader sees, each as text with its partition value, sorted; duplicates stay.
pub(crate) fn read_all(location: &Path, runtime: &DeltaRuntime) -> Vec<String> {
    let snapshot = TableSnapshot::open(runtime, location).unwrap();
    let names: Vec<String> =
        snapshot.file_schema().unwrap().fields().iter().map(|field| field.name().clone()).collect();
    let mut lines = Vec::new();
    for file in snapshot.files().unwrap() {
        let reader = std::fs::File::open(location.join(&file.path)).unwrap();
        let mut file_rows = 0;
        for batch in ParquetRecordBatchReaderBuilder::try_new(reader).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            file_rows += batch.num_rows() as u64;
            let options = FormatOptions::default().with_null("null");
            for row in 0..batch.num_rows() {
                let cells: Vec<String> = names
                    .iter()
                    .map(|name| match batch.column_by_name(name) {
                        Some(column) => ArrayFormatter::try_new(column.as_ref(), &options)
                            .unwrap()
                            .value(row)
                            .to_string(),
                        None => "null".into(),
                    })
                    .collect();
                lines.push(format!("{} | {:?}", cells.join(" | "), file.partition_values));
            }
        }
        assert_eq!(file.rows, Some(file_rows), "the log's row count of {}", file.path);
    }
    lines.sort();
    lines
}

/// The ids that a reader sees, each once; fails on a duplicate.
pub(crate) fn ids(location: &Path, runtime: &DeltaRuntime) -> BTreeSet<i64> {
    let snapshot = TableSnapshot::open(runtime, location).unwrap();
    let mut ids = BTreeSet::new();
    for file in snapshot.files().unwrap() {
        let reader = std::fs::File::open(location.join(&file.path)).unwrap();
        for batch in ParquetRecordBatchReaderBuilder::try_new(reader).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            for id in batch.column_by_name("id").unwrap().as_primitive::<Int64Type>().values() {
                assert!(ids.insert(*id), "row {id} is there twice");
            }
        }
    }
    ids
}
