//! Measures deliveries to one table as its history grows, and opening it; leaves the table for
//! other readers to check.
//!
//! `cargo run --release -p riskstream-sinks --example delivery_cost TABLE_FOLDER [COMMITS]
//! [CHECKPOINT_COMMITS] [--maintain]`
#![allow(clippy::disallowed_methods, reason = "it reads /proc")]

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use riskstream_sinks::{
    DeltaRuntime, DeltaTableWriter, MaintainOptions, PartitionRule, StageSettings, Stager,
    TableSpec, WriterOptions, maintain, sync_files,
};
use serde_json::Map;

const ROWS_PER_EPOCH: i64 = 2000;
const APP: &str = "example/delivery-cost";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let location = PathBuf::from(arguments.first().ok_or("name a folder for the table")?);
    let commits: i64 = arguments.get(1).map_or(Ok(1000), |text| text.parse())?;
    let checkpoint_commits: u64 = arguments.get(2).map_or(Ok(50), |text| text.parse())?;

    let spec = TableSpec::new("cost", &location, schema(), Some(PartitionRule::event_date("at")))?;
    let runtime = DeltaRuntime::new()?;
    let options = WriterOptions { checkpoint_commits, ..WriterOptions::default() };
    let open = || DeltaTableWriter::open_or_create(spec.clone(), APP, options, &runtime);
    let mut writer = open()?;
    let mut stager = Stager::new(spec.clone(), 1, 0, StageSettings::default())?;
    println!(
        "{:>7} {:>12} {:>12} {:>12} {:>12}",
        "commits", "deliver ms", "worst ms", "open ms", "RSS MiB"
    );
    let mut window: Vec<Duration> = Vec::new();
    let first = writer.delivered_through().map_or(0, |epoch| epoch + 1);
    for epoch in first..first + commits {
        let files = stager.stage(epoch as u64, &[rows(epoch)?])?;
        sync_files(&location, &files)?;
        let started = Instant::now();
        writer.deliver(epoch, &files, &Map::new())?;
        window.push(started.elapsed());
        if let Some(error) = writer.checkpoint_error() {
            return Err(error.to_owned().into());
        }
        let count = epoch - first + 1;
        if [10, 50, 150, 300, 500].contains(&count) || count % 1000 == 0 || count == commits {
            let started = Instant::now();
            let reopened = open()?;
            let open_ms = started.elapsed().as_secs_f64() * 1000.0;
            assert_eq!(reopened.delivered_through(), Some(epoch));
            window.sort();
            let milliseconds = |duration: &Duration| duration.as_secs_f64() * 1000.0;
            println!(
                "{count:>7} {:>12.1} {:>12.1} {open_ms:>12.1} {:>12}",
                milliseconds(&window[window.len() / 2]),
                window.last().map_or(0.0, milliseconds),
                resident_mib().map_or_else(|| "?".into(), |mib| mib.to_string()),
            );
            window.clear();
        }
    }
    if arguments.iter().any(|argument| argument == "--maintain") {
        let started = Instant::now();
        let report = maintain(
            &runtime,
            &location,
            &MaintainOptions { min_files: 2, ..MaintainOptions::default() },
        )?;
        println!("{report:?} in {:.1} s", started.elapsed().as_secs_f64());
    }
    Ok(())
}

fn resident_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib / 1024)
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("amount", DataType::Decimal128(12, 2), true),
        Field::new("balance", DataType::Decimal128(30, 4), true),
        Field::new("name", DataType::Utf8, true),
        Field::new("score", DataType::Float64, true),
        Field::new("late", DataType::Boolean, true),
        Field::new("day", DataType::Date32, true),
        Field::new("count", DataType::Int32, true),
    ]))
}

/// Rows 30 s apart from 2018-04-01, with missing values in every column but the first.
fn rows(epoch: i64) -> Result<RecordBatch, Box<dyn Error>> {
    let ids = epoch * ROWS_PER_EPOCH..(epoch + 1) * ROWS_PER_EPOCH;
    let some = |id: i64, every: i64| id % every != 0;
    let days: ArrayRef = Arc::new(Int32Array::from_iter(
        ids.clone().map(|id| some(id, 17).then_some(17_622 - (id % 40_000) as i32)),
    ));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(ids.clone())),
        Arc::new(
            TimestampMicrosecondArray::from_iter(
                ids.clone()
                    .map(|id| some(id, 997).then_some(1_522_540_800_000_000 + id * 30_000_001)),
            )
            .with_timezone("UTC"),
        ),
        Arc::new(
            Decimal128Array::from_iter(
                ids.clone().map(|id| some(id, 11).then_some(i128::from(id) * 37 - 5000)),
            )
            .with_precision_and_scale(12, 2)?,
        ),
        Arc::new(
            Decimal128Array::from_iter(
                ids.clone()
                    .map(|id| some(id, 13).then_some(i128::from(id) * -1_000_000_000_000_000_000)),
            )
            .with_precision_and_scale(30, 4)?,
        ),
        Arc::new(StringArray::from_iter(ids.clone().map(|id| {
            some(id, 7).then(|| format!("Zoë-{}-{}", id % 50, "x".repeat((id % 60) as usize)))
        }))),
        Arc::new(Float64Array::from_iter(
            ids.clone().map(|id| some(id, 5).then_some(id as f64 / 3.0)),
        )),
        Arc::new(BooleanArray::from_iter(ids.clone().map(|id| some(id, 3).then_some(id % 2 == 0)))),
        arrow::compute::cast(&days, &DataType::Date32)?,
        Arc::new(Int32Array::from_iter(
            ids.map(|id| some(id, 19).then_some((id % 100) as i32 - 50)),
        )),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}
