//! Times a features step on synthetic card payments: 5,000 customers, 10,000 terminals, half a
//! year, 3 windows of count and mean each.
//!
//! `features_speed [ROWS] [EPOCH_ROWS] [CUSTOMERS]`

use arrow::array::{
    BooleanArray, Decimal128Array, Int64Array, RecordBatch, TimestampMicrosecondArray, UInt32Array,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use riskstream_engine::contract::{EpochClose, Operator, Output, StateDir};
use riskstream_engine::ids::{Epoch, EventTime, Generation};
use riskstream_operators::features::{
    FeatureSpec, FeaturesOperator, FeaturesSpec, Function, Order, Window,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

const DAY: i64 = 86_400_000_000;

fn feature(name: &str, function: Function, column: Option<&str>) -> FeatureSpec {
    FeatureSpec { name: name.into(), function, column: column.map(Into::into), empty: Some(0.0) }
}

fn windows() -> Vec<Window> {
    [1, 7, 30].iter().map(|d| Window { label: format!("{d}d"), micros: d * DAY }).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<i64> = std::env::args().skip(1).map(|a| a.parse()).collect::<Result<_, _>>()?;
    let rows = args.first().copied().unwrap_or(1_750_000);
    let epoch_rows = args.get(1).copied().unwrap_or(128 * 1024);
    let customers = args.get(2).copied().unwrap_or(5_000);
    let schema = Arc::new(Schema::new(vec![
        Field::new("transaction_id", DataType::Int64, false),
        Field::new(
            "tx_datetime",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            false,
        ),
        Field::new("customer_id", DataType::Int64, true),
        Field::new("terminal_id", DataType::Int64, true),
        Field::new("tx_amount", DataType::Decimal128(12, 2), true),
        Field::new("tx_fraud", DataType::Int64, true),
        Field::new("_source_partition", DataType::UInt32, false),
        Field::new("_source_offset", DataType::Int64, false),
        Field::new("_late", DataType::Boolean, false),
    ]));
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = |n: i64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 11) as i64 % n
    };
    let mut epochs = Vec::new();
    let step = 183 * 86_400 * 1000 / rows.max(1);
    let mut first = 0;
    while first < rows {
        let n = epoch_rows.min(rows - first);
        let ids = first..first + n;
        let batch = RecordBatch::try_new(
            Arc::clone(&schema),
            vec![
                Arc::new(Int64Array::from_iter_values(ids.clone())),
                Arc::new(
                    TimestampMicrosecondArray::from_iter_values(
                        ids.clone().map(|i| i * step / 1000 * 1_000_000),
                    )
                    .with_timezone("UTC"),
                ),
                Arc::new(Int64Array::from_iter_values(ids.clone().map(|_| random(customers)))),
                Arc::new(Int64Array::from_iter_values(ids.clone().map(|_| random(2 * customers)))),
                Arc::new(
                    Decimal128Array::from_iter_values(
                        ids.clone().map(|_| i128::from(random(20_000))),
                    )
                    .with_precision_and_scale(12, 2)?,
                ),
                Arc::new(Int64Array::from_iter_values(
                    ids.clone().map(|_| i64::from(random(100) == 0)),
                )),
                Arc::new(UInt32Array::from_iter_values(ids.clone().map(|_| 0))),
                Arc::new(Int64Array::from_iter_values(ids.clone())),
                Arc::new(BooleanArray::from(vec![false; n as usize])),
            ],
        )?;
        epochs.push((first + n - 1, batch));
        first += n;
    }
    let folder = std::env::temp_dir().join(format!("features-speed-{}", std::process::id()));
    let steps = [
        (
            "customer",
            "customer_id",
            vec![
                feature("nb", Function::Count, None),
                feature("avg", Function::Mean, Some("tx_amount")),
            ],
            0,
        ),
        (
            "terminal",
            "terminal_id",
            vec![
                feature("nb", Function::Count, None),
                feature("risk", Function::Mean, Some("tx_fraud")),
            ],
            7 * DAY,
        ),
        (
            "everything",
            "customer_id",
            vec![
                feature("sum", Function::Sum, Some("tx_amount")),
                feature("max", Function::Max, Some("tx_amount")),
                feature("std", Function::StdDev, Some("tx_amount")),
                feature("terminals", Function::Distinct, Some("terminal_id")),
                feature("since", Function::SecondsSinceLast, None),
            ],
            0,
        ),
    ];
    for (name, by, features, delay_micros) in steps {
        for order in [Order::EventTime, Order::Arrival] {
            let spec = FeaturesSpec {
                step_id: name.into(),
                by: vec![by.into()],
                features: features.clone(),
                windows: windows(),
                delay_micros,
                include_current: true,
                order,
                event_time: 1,
                ties: vec![0],
                history_memory_bytes: 256 << 20,
            };
            let history = StateDir { root: (&folder).into(), generation: Generation(1), worker: 0 };
            let mut operator = FeaturesOperator::new(spec, &schema, history)?;
            let (mut took, mut saving, mut out_rows) = (Duration::ZERO, Duration::ZERO, 0);
            let mut before = EventTime::MIN;
            for (number, (last, batch)) in epochs.iter().enumerate() {
                let epoch = Epoch(number as u64 + 1);
                let watermark = EventTime(last * step / 1000 * 1_000_000);
                let close = EpochClose {
                    epoch,
                    watermark,
                    watermark_before: before,
                    snapshot: false,
                    last: false,
                };
                before = watermark;
                let start = Instant::now();
                let mut out = Output::default();
                for from in (0..batch.num_rows()).step_by(8192) {
                    operator.on_batch(
                        epoch,
                        batch.slice(from, 8192.min(batch.num_rows() - from)),
                        &mut out,
                    )?;
                }
                operator.on_close(&close, &mut out)?;
                took += start.elapsed();
                let start = Instant::now();
                operator.changes(&close)?;
                saving += start.elapsed();
                out_rows += out.rows.iter().map(RecordBatch::num_rows).sum::<usize>();
            }
            println!(
                "{name:<12}{order:<12?}{:>8.1} ns/row{:>8.1} ns/row for changes{:>10.1} MiB of \
                 state",
                took.as_nanos() as f64 / out_rows as f64,
                saving.as_nanos() as f64 / out_rows as f64,
                operator.state_bytes() as f64 / 1_048_576.0,
            );
        }
    }
    std::fs::remove_dir_all(&folder)
        .or_else(|e| if e.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(e) })?;
    Ok(())
}
