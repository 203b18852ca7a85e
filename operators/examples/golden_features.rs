//! Compares the twelve features of the Fraud Detection Handbook with a file of right answers, row
//! by row.
//!
//! `golden_features TRANSACTIONS.parquet GOLDEN.parquet [EPOCH_ROWS] [MEMORY_BYTES]`

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{
    DataType, Float64Type, Int64Type, Schema, TimeUnit, TimestampMicrosecondType,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use riskstream_engine::contract::{EpochClose, Operator, Output, StateDir};
use riskstream_engine::ids::{Epoch, EventTime, Generation};
use riskstream_operators::features::{
    FeatureSpec, FeaturesOperator, FeaturesSpec, Function, Order, Window,
};
use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

const DAY: i64 = 86_400_000_000;
type Failure = Box<dyn std::error::Error>;

fn read(path: &str) -> Result<RecordBatch, Failure> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?
        .with_batch_size(1 << 16)
        .build()?;
    let batches = reader.collect::<Result<Vec<_>, _>>()?;
    let schema = batches.first().ok_or("the file is empty")?.schema();
    Ok(concat_batches(&schema, &batches)?)
}

/// The rows with event times in UTC microseconds and a source offset.
fn prepare(rows: &RecordBatch) -> Result<RecordBatch, Failure> {
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        let column = match field.data_type() {
            DataType::Timestamp(_, _) => {
                cast(&cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None))?, &utc)?
            }
            _ => Arc::clone(column),
        };
        columns.push((field.name().clone(), column));
    }
    columns.push((
        "_source_offset".into(),
        Arc::new(Int64Array::from_iter_values(0..rows.num_rows() as i64)),
    ));
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn step(
    id: &str,
    by: &str,
    mean: (&str, &str),
    delay_micros: i64,
    schema: &Schema,
    memory: usize,
) -> Result<FeaturesSpec, Failure> {
    let feature = |name: &str, function, column: Option<&str>| FeatureSpec {
        name: name.into(),
        function,
        column: column.map(Into::into),
        empty: Some(0.0),
    };
    Ok(FeaturesSpec {
        step_id: id.into(),
        by: vec![by.into()],
        features: vec![
            feature(&format!("{by}_nb_tx"), Function::Count, None),
            feature(mean.0, Function::Mean, Some(mean.1)),
        ],
        windows: [1, 7, 30]
            .iter()
            .map(|d| Window { label: format!("{d}day_window"), micros: d * DAY })
            .collect(),
        delay_micros,
        include_current: true,
        order: Order::EventTime,
        event_time: schema.index_of("tx_datetime")?,
        ties: vec![schema.index_of("transaction_id")?],
        history_memory_bytes: memory,
    })
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (transactions, golden) =
        args.first().zip(args.get(1)).ok_or("give the transactions and the right answers")?;
    let epoch_rows: usize = args.get(2).map_or(Ok(128 * 1024), |a| a.parse())?;
    let memory: usize = args.get(3).map_or(Ok(256 << 20), |a| a.parse())?;
    let rows = prepare(&read(transactions)?)?;
    let golden = read(golden)?;
    let folder = std::env::temp_dir().join(format!("golden-features-{}", std::process::id()));
    let dir = || StateDir { root: (&folder).into(), generation: Generation(1), worker: 0 };
    let customer = step(
        "customer",
        "customer_id",
        ("customer_id_avg_amount", "tx_amount"),
        0,
        &rows.schema(),
        memory,
    )?;
    let mut customer = FeaturesOperator::new(customer, &rows.schema(), dir())?;
    let between = customer.output_schema();
    let terminal = step(
        "terminal",
        "terminal_id",
        ("terminal_id_risk", "tx_fraud"),
        7 * DAY,
        &between,
        memory,
    )?;
    let mut terminal = FeaturesOperator::new(terminal, &between, dir())?;
    let time = rows.schema().index_of("tx_datetime")?;
    let times = rows.column(time).as_primitive::<TimestampMicrosecondType>().values().clone();
    let (mut from, mut epoch, mut before) = (0, Epoch(1), EventTime::MIN);
    let mut out = Vec::new();
    let mut took = [Duration::ZERO; 2];
    while from < rows.num_rows() {
        // An epoch ends between two times.
        let mut upto = rows.num_rows().min(from + epoch_rows);
        while upto < rows.num_rows() && times[upto] == times[upto - 1] {
            upto += 1;
        }
        let close = EpochClose {
            epoch,
            watermark: EventTime(times[upto - 1]),
            watermark_before: before,
            snapshot: epoch.0 % 5 == 0,
            last: false,
        };
        let mut given = vec![rows.slice(from, upto - from)];
        for (operator, took) in [&mut customer, &mut terminal].into_iter().zip(&mut took) {
            let start = Instant::now();
            let mut output = Output::default();
            for batch in given {
                operator.on_batch(epoch, batch, &mut output)?;
            }
            operator.on_close(&close, &mut output)?;
            *took += start.elapsed();
            operator.changes(&close)?;
            if close.snapshot {
                operator.snapshot(&close)?;
            }
            given = output.rows;
        }
        out.extend(given);
        (from, epoch, before) = (upto, epoch.next(), close.watermark);
    }
    let all = concat_batches(&terminal.output_schema(), &out)?;
    println!(
        "{} rows, ns per row: customer {}, terminal {}",
        all.num_rows(),
        took[0].as_nanos() / all.num_rows() as u128,
        took[1].as_nanos() / all.num_rows() as u128
    );
    println!("state: {} and {} bytes", customer.state_bytes(), terminal.state_bytes());
    std::fs::remove_dir_all(&folder)
        .or_else(|e| if e.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(e) })?;
    compare(&all, &golden)
}

fn compare(rows: &RecordBatch, golden: &RecordBatch) -> Result<(), Failure> {
    let ids = |batch: &RecordBatch| -> Result<ArrayRef, Failure> {
        Ok(cast(
            batch.column_by_name("transaction_id").ok_or("no transaction_id")?,
            &DataType::Int64,
        )?)
    };
    let (have, want) = (ids(rows)?, ids(golden)?);
    let places: HashMap<i64, usize> = have
        .as_primitive::<Int64Type>()
        .values()
        .iter()
        .enumerate()
        .map(|(i, id)| (*id, i))
        .collect();
    let want = want.as_primitive::<Int64Type>();
    let mut wrong = places.len().abs_diff(want.len());
    for field in rows.schema().fields().iter().filter(|f| f.name().ends_with("_window")) {
        let name = field.name();
        let column = |batch: &RecordBatch| -> Result<ArrayRef, Failure> {
            Ok(cast(
                batch.column_by_name(name).ok_or_else(|| format!("no column {name}"))?,
                &DataType::Float64,
            )?)
        };
        let (have, right) = (column(rows)?, column(golden)?);
        let (have, right) =
            (have.as_primitive::<Float64Type>(), right.as_primitive::<Float64Type>());
        let allowed = if *field.data_type() == DataType::Int64 { 0.0 } else { 1e-9 };
        let (mut off, mut largest) = (0, 0f64);
        for row in 0..want.len() {
            let difference = match places.get(&want.value(row)) {
                Some(place) if have.is_valid(*place) => {
                    (have.value(*place) - right.value(row)).abs()
                }
                _ => f64::INFINITY,
            };
            largest = largest.max(difference);
            off += usize::from(difference > allowed);
        }
        wrong += off;
        println!("{name:<40}{off:>9} of {} differ, by at most {largest:.3e}", want.len());
    }
    if wrong > 0 { Err(format!("{wrong} differences").into()) } else { Ok(()) }
}
