//! What a seed makes of the world: its settings, and the rows of every partition.

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt32Array,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::error::ArrowError;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use riskstream_engine::contract::{DeadLetters, SourceSchema};
use riskstream_engine::protocol::{EpochLimits, LatePolicy};
use riskstream_operators::features::{FeatureSpec, FeaturesSpec, Function, Order, Window};
use std::sync::Arc;

/// Microseconds of a second.
pub const SECOND: i64 = 1_000_000;
/// Name of the simulated source.
pub const SOURCE: &str = "payments";
const START: i64 = 1_700_000_000 * SECOND;

/// Everything about a seed's world but its rows.
#[derive(Debug, Clone)]
pub struct Setup {
    /// How far rows may be out of order, microseconds.
    pub bound: i64,
    /// What becomes of late rows.
    pub late: LatePolicy,
    /// When epochs close.
    pub limits: EpochLimits,
    /// Rows of a block, at most.
    pub block_rows_max: usize,
    /// Workers of a run, at most.
    pub workers_max: usize,
    /// Chance of a crash at each step.
    pub crash: f64,
    /// Chance that the disk's process dies in the middle of a change, per run.
    pub disk_crash: f64,
    /// Chance that the disk fails now and then, per run.
    pub disk_faults: f64,
    /// Chance that a partition is called idle at a close.
    pub idle: f64,
    /// Whether the source names a column that orders ties.
    pub ties: bool,
    /// Columns of the source.
    pub schema: SourceSchema,
    /// The two features steps.
    pub steps: Vec<FeaturesSpec>,
}

/// A good row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Unique, in no order.
    pub id: i64,
    /// Event time, microseconds.
    pub time: i64,
    /// Key of the first step.
    pub customer: i64,
    /// Key of the second step.
    pub terminal: String,
    /// Cents.
    pub amount: Option<i64>,
}

/// A record of a partition; its offset is its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Decodes.
    Good(Row),
    /// Does not.
    Broken,
}

/// The rows of a world.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// Records by partition.
    pub partitions: Vec<Vec<Record>>,
}

fn pick<T: Copy>(rng: &mut ChaCha8Rng, of: &[T]) -> T {
    of[rng.random_range(0..of.len())]
}

impl Setup {
    /// Settings drawn from `rng`.
    ///
    /// # Errors
    /// Never: the schema is fixed and fits; arrow's signature.
    pub fn random(rng: &mut ChaCha8Rng) -> Result<Self, ArrowError> {
        let ties = rng.random_bool(0.5);
        let tie_columns = if ties { vec!["id".to_owned()] } else { vec![] };
        let user = Schema::new(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("t", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
            Field::new("customer", DataType::Int64, false),
            Field::new("terminal", DataType::Utf8, false),
            Field::new("amount", DataType::Decimal128(12, 2), true),
        ]);
        let schema = SourceSchema::new(&user, "t", &tie_columns)?;
        let steps = vec![customer_step(rng, &schema), terminal_step(rng, &schema)];
        let min_micros = rng.random_range(0..2_000);
        let (snapshot_growth_percent, snapshot_bytes_min) =
            pick(rng, &[(0, 0), (0, 20_000), (100, 0)]);
        Ok(Self {
            bound: pick(rng, &[0, SECOND, 5 * SECOND, 60 * SECOND]),
            late: pick(rng, &[LatePolicy::Apply, LatePolicy::DeadLetter]),
            limits: EpochLimits {
                min_micros,
                max_micros: min_micros + rng.random_range(1..20_000),
                rows_max: rng.random_range(1..80),
                bytes_max: rng.random_range(500..20_000),
                in_flight_max: rng.random_range(1..4),
                snapshot_every_epochs: rng.random_range(1..7),
                snapshot_growth_percent,
                snapshot_bytes_min,
            },
            block_rows_max: rng.random_range(1..40),
            workers_max: rng.random_range(1..6),
            crash: pick(rng, &[0.0, 0.005, 0.02, 0.05]),
            disk_crash: pick(rng, &[0.0, 0.5, 0.9]),
            disk_faults: pick(rng, &[0.0, 0.3]),
            idle: pick(rng, &[0.0, 0.0, 0.05]),
            ties,
            schema,
            steps,
        })
    }
}

fn feature(name: &str, function: Function, column: Option<&str>) -> FeatureSpec {
    FeatureSpec { name: name.into(), function, column: column.map(str::to_owned), empty: None }
}

fn window(label: &str, seconds: i64) -> Window {
    Window { label: label.into(), micros: seconds * SECOND }
}

fn customer_step(rng: &mut ChaCha8Rng, schema: &SourceSchema) -> FeaturesSpec {
    let mut features = vec![
        feature("c_n", Function::Count, None),
        feature("c_sum", Function::Sum, Some("amount")),
        feature("c_mean", Function::Mean, Some("amount")),
    ];
    // With these the step leaves its fast path.
    if rng.random_bool(0.6) {
        features.extend([
            feature("c_n_amount", Function::Count, Some("amount")),
            feature("c_min", Function::Min, Some("amount")),
            feature("c_max", Function::Max, Some("amount")),
            feature("c_std", Function::StdDev, Some("amount")),
            feature("c_terminals", Function::Distinct, Some("terminal")),
            feature("c_last", Function::Last, Some("amount")),
            feature("c_since", Function::SecondsSinceLast, None),
        ]);
    }
    FeaturesSpec {
        step_id: "by-customer".into(),
        by: vec!["customer".into()],
        features,
        windows: vec![window("1m", 60), window("10m", 600)],
        delay_micros: 0,
        include_current: rng.random_bool(0.7),
        order: Order::EventTime,
        event_time: schema.event_time,
        ties: schema.ties.clone(),
        history_memory_bytes: pick(rng, &[0, 1_000, 1 << 20]),
    }
}

fn terminal_step(rng: &mut ChaCha8Rng, schema: &SourceSchema) -> FeaturesSpec {
    FeaturesSpec {
        step_id: "by-terminal".into(),
        by: vec!["terminal".into()],
        features: vec![
            feature("t_n", Function::Count, None),
            feature("t_mean", Function::Mean, Some("amount")),
        ],
        windows: vec![window("30s", 30), window("5m", 300)],
        delay_micros: pick(rng, &[0, 0, 90 * SECOND]),
        include_current: true,
        order: Order::EventTime,
        event_time: schema.event_time,
        ties: schema.ties.clone(),
        history_memory_bytes: pick(rng, &[0, 1 << 20]),
    }
}

impl Input {
    /// Rows drawn from `rng`: within the bound but for a share that comes late, with ties, nulls
    /// and broken records.
    #[must_use]
    pub fn random(rng: &mut ChaCha8Rng, setup: &Setup) -> Self {
        let rows: i64 = rng.random_range(30..400);
        let partitions = rng.random_range(1..5);
        let grain = pick(rng, &[1, SECOND, 10 * SECOND]);
        let gap = rng.random_range(1..20) * SECOND;
        let (late, broken, null) = (
            pick(rng, &[0.0, 0.0, 0.02, 0.1]),
            pick(rng, &[0.0, 0.02, 0.1]),
            pick(rng, &[0.0, 0.0, 0.1]),
        );
        let (customers, terminals) = (rng.random_range(1..15), rng.random_range(1..8));
        let mut all = vec![Vec::new(); partitions];
        let mut ids: Vec<i64> = (0..rows).collect();
        let mut base = START;
        for row in 0..rows {
            // Unique, and in another order than the rows come.
            let id = ids.swap_remove(rng.random_range(0..ids.len()));
            base += rng.random_range(0..=gap);
            let behind = if rng.random_bool(late) {
                setup.bound + rng.random_range(1..1_800 * SECOND)
            } else {
                rng.random_range(0..=setup.bound)
            };
            let record = if rng.random_bool(broken) {
                Record::Broken
            } else {
                let amount = (!rng.random_bool(null)).then(|| rng.random_range(-2_000..100_000));
                let time = if grain == 1 {
                    (base - behind) / rows * rows + row
                } else {
                    round_up(base, grain) - behind / grain * grain
                };
                Record::Good(Row {
                    id,
                    time,
                    customer: rng.random_range(0..customers),
                    terminal: format!("t{}", rng.random_range(0..terminals)),
                    amount,
                })
            };
            all[rng.random_range(0..partitions)].push(record);
        }
        Self { partitions: all }
    }

    /// Decodes records `from..to` of a partition: good rows, and the broken as dead letters.
    ///
    /// # Errors
    /// Never: the columns are the schema's.
    pub fn decode(
        &self,
        setup: &Setup,
        partition: usize,
        from: usize,
        to: usize,
    ) -> Result<(RecordBatch, Option<RecordBatch>), ArrowError> {
        let (mut rows, mut offsets, mut dead) = (Vec::new(), Vec::new(), DeadLetters::default());
        for (offset, record) in (0i64..).zip(&self.partitions[partition]).skip(from).take(to - from)
        {
            match record {
                Record::Good(row) => {
                    rows.push(row);
                    offsets.push(offset);
                }
                Record::Broken => dead.push(
                    SOURCE,
                    &partition.to_string(),
                    offset,
                    "malformed",
                    "it does not decode",
                    b"?",
                    None,
                ),
            }
        }
        let number = u32::try_from(partition).unwrap_or(u32::MAX);
        let amounts = Decimal128Array::from_iter(rows.iter().map(|r| r.amount.map(i128::from)))
            .with_precision_and_scale(12, 2)?;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.id))),
            Arc::new(
                TimestampMicrosecondArray::from_iter_values(rows.iter().map(|r| r.time))
                    .with_timezone("UTC"),
            ),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.customer))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| &r.terminal))),
            Arc::new(amounts),
            Arc::new(UInt32Array::from(vec![number; rows.len()])),
            Arc::new(Int64Array::from(offsets)),
            Arc::new(BooleanArray::from(vec![false; rows.len()])),
        ];
        let rows = RecordBatch::try_new(Arc::clone(&setup.schema.schema), columns)?;
        Ok((rows, (!dead.is_empty()).then(|| dead.finish())))
    }
}

/// The next multiple of `grain`.
fn round_up(time: i64, grain: i64) -> i64 {
    (time + grain - 1) / grain * grain
}
