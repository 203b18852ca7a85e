//! Measures staging: nanoseconds per row and bytes per row of 18 columns, for each compressor and
//! integer encoding.
//!
//! `cargo run --release -p riskstream-sinks --example stage_speed [ROWS] [ROWS_PER_DAY]
//! [COMPRESSION] [INTEGERS]`
#![allow(clippy::disallowed_methods, reason = "it reads /proc")]

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{
    ArrayRef, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use riskstream_sinks::{
    IntegerEncoding, PartitionRule, StageCompression, StageSettings, StagedFile, Stager, TableSpec,
    sync_files,
};

const BATCH_ROWS: usize = 8192;
const ROUNDS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: usize| {
        arguments.get(index).map_or(Ok(default), |text| text.parse())
    };
    let (rows, rows_per_day) = (number(0, 1_000_000)?, number(1, 9_600)?);
    let wanted = |index: usize, name: String| arguments.get(index).is_none_or(|text| *text == name);
    let batches = scored_payments(rows, rows_per_day)?;
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    // Nothing is removed before the end: a file system is slow at making files where many were just
    // removed.
    let folder = tempfile::tempdir()?;
    println!(
        "{rows} rows of 18 columns, {rows_per_day} a day, one thread, best of {ROUNDS}; sync apart"
    );
    println!(
        "{:<14} {:<12} {:>10} {:>10} {:>10}",
        "compression", "integers", "cpu ns/row", "bytes/row", "sync ms"
    );
    for compression in [
        StageCompression::Uncompressed,
        StageCompression::Snappy,
        StageCompression::Lz4,
        StageCompression::Zstd1,
    ] {
        for integers in
            [IntegerEncoding::Plain, IntegerEncoding::DeltaPacked, IntegerEncoding::Dictionary]
        {
            if !wanted(2, format!("{compression:?}")) || !wanted(3, format!("{integers:?}")) {
                continue;
            }
            let settings = StageSettings { compression, integers, ..StageSettings::default() };
            let mut best = (f64::MAX, 0, 0.0);
            for round in 0..ROUNDS {
                let location = folder.path().join(format!("{compression:?}{integers:?}{round}"));
                let spec = TableSpec::new(
                    "scored",
                    &location,
                    batches[0].schema(),
                    Some(PartitionRule::event_date("at")),
                )?;
                let mut stager = Stager::new(spec, 1, 0, settings)?;
                let (started, cpu_before) = (Instant::now(), cpu_nanos());
                let files = stager.stage(1, &batches)?;
                // On a busy machine the thread's own time tells more than the clock.
                let wall = started.elapsed().as_nanos() as u64;
                let spent =
                    cpu_nanos().zip(cpu_before).map_or(wall, |(after, before)| after - before);
                let nanos = spent as f64 / rows as f64;
                let started = Instant::now();
                sync_files(&location, &files)?;
                let sync_ms = started.elapsed().as_secs_f64() * 1000.0;
                let bytes: u64 = files.iter().map(|file: &StagedFile| file.bytes).sum();
                if nanos < best.0 {
                    best = (nanos, bytes, sync_ms);
                }
            }
            println!(
                "{:<14} {:<12} {:>10.0} {:>10.1} {:>10.1}",
                format!("{compression:?}"),
                format!("{integers:?}"),
                best.0,
                best.1 as f64 / rows as f64,
                best.2
            );
        }
    }
    Ok(())
}

/// The time this thread has spent on a processor, where the system tells (Linux).
fn cpu_nanos() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// Rows like those of the scored payments table: id, time, two keys, amount, twelve window
/// features, score.
fn scored_payments(rows: usize, rows_per_day: usize) -> Result<Vec<RecordBatch>, Box<dyn Error>> {
    let schema = scored_schema();
    let step_micros = 86_400_000_000 / rows_per_day as i64;
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut batches = Vec::new();
    for start in (0..rows).step_by(BATCH_ROWS) {
        let range = start..(start + BATCH_ROWS).min(rows);
        let count = range.len();
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(range.clone().map(|row| row as i64))),
            Arc::new(
                TimestampMicrosecondArray::from_iter_values(
                    range.clone().map(|row| 1_522_540_800_000_000 + row as i64 * step_micros),
                )
                .with_timezone("UTC"),
            ),
            Arc::new(StringArray::from_iter_values(
                (0..count).map(|_| format!("{}", random() % 5000)),
            )),
            Arc::new(StringArray::from_iter_values(
                (0..count).map(|_| format!("{}", random() % 10_000)),
            )),
            Arc::new(
                Decimal128Array::from_iter_values((0..count).map(|_| (random() % 20_000) as i128))
                    .with_precision_and_scale(12, 2)?,
            ),
        ];
        for feature in 0..6 {
            let spread = [4, 20, 80, 4, 20, 80][feature];
            columns.push(Arc::new(Int64Array::from_iter_values(
                (0..count).map(|_| (random() % spread) as i64),
            )));
        }
        for feature in 0..6 {
            // Risks are mostly zero, means of amounts are not.
            columns.push(Arc::new(Float64Array::from_iter_values((0..count).map(|_| {
                let value = random();
                if feature >= 3 && value % 50 != 0 { 0.0 } else { (value % 100_000) as f64 / 7.0 }
            }))));
        }
        columns.push(Arc::new(Float64Array::from_iter_values(
            (0..count).map(|_| (random() >> 11) as f64 / (1u64 << 53) as f64),
        )));
        batches.push(RecordBatch::try_new(schema.clone(), columns)?);
    }
    Ok(batches)
}

fn scored_schema() -> SchemaRef {
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut fields = vec![
        Field::new("transaction_id", DataType::Int64, true),
        Field::new("at", utc, true),
        Field::new("customer_id", DataType::Utf8, true),
        Field::new("terminal_id", DataType::Utf8, true),
        Field::new("amount", DataType::Decimal128(12, 2), true),
    ];
    fields.extend((0..6).map(|n| Field::new(format!("count_{n}"), DataType::Int64, true)));
    fields.extend((0..6).map(|n| Field::new(format!("mean_{n}"), DataType::Float64, true)));
    fields.push(Field::new("fraud_score", DataType::Float64, true));
    Arc::new(Schema::new(fields))
}
