//! An epoch costs what it brings, not what is kept.

use crate::MINUTE;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use riskstream_engine::contract::{EpochClose, Operator, Output};
use riskstream_engine::ids::{Epoch, EventTime};
use riskstream_operators::periods::Every;
use riskstream_operators::windows::{
    AggregateFunction, AggregateSpec, Extent, Publish, WindowKind, WindowsOperator, WindowsSpec,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

const DAY: i64 = 24 * 60 * MINUTE;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        Field::new("card", DataType::Int64, false),
        Field::new("amount", DataType::Int64, false),
    ]))
}

/// Rows of five cards.
fn batch(times: impl Iterator<Item = i64> + Clone) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMicrosecondArray::from_iter_values(times.clone()).with_timezone("UTC")),
        Arc::new(Int64Array::from_iter_values(times.clone().map(|time| time / MINUTE % 5))),
        Arc::new(Int64Array::from_iter_values(times.map(|time| time % 1_000))),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn operator(publish: Publish, extent: Extent) -> WindowsOperator {
    let of = |name: &str, function| AggregateSpec {
        name: name.into(),
        function,
        column: Some("amount".into()),
    };
    let spec = WindowsSpec {
        step_id: "windows".into(),
        by: vec!["card".into()],
        aggregates: vec![of("total", AggregateFunction::Sum), of("most", AggregateFunction::Max)],
        windows: vec![WindowKind { label: "w".into(), extent }],
        publish,
        keep: 30 * DAY,
        event_time: "time".into(),
    };
    WindowsOperator::new(spec, &schema()).unwrap()
}

struct World {
    operator: WindowsOperator,
    epoch: u64,
    watermark: i64,
}

impl World {
    /// The rows that leave, and how long the close took.
    fn epoch(&mut self, rows: &RecordBatch, watermark: i64) -> (usize, Duration) {
        self.epoch += 1;
        let mut out = Output::default();
        self.operator.on_batch(Epoch(self.epoch), rows.clone(), &mut out).unwrap();
        let close = EpochClose {
            epoch: Epoch(self.epoch),
            watermark: EventTime(watermark),
            watermark_before: EventTime(self.watermark),
            snapshot: false,
            last: false,
        };
        self.watermark = watermark;
        let began = Instant::now();
        self.operator.on_close(&close, &mut out).unwrap();
        let saved = self.operator.changes(&close).unwrap();
        let bytes = self.operator.state_bytes();
        let took = began.elapsed();
        assert!(!saved.is_empty() && bytes > 0 && out.dead.is_empty());
        (out.rows.iter().map(RecordBatch::num_rows).sum(), took)
    }

    /// With a row in each minute of so many days.
    fn after(days: i64, publish: Publish, extent: Extent) -> Self {
        let mut world = Self { operator: operator(publish, extent), epoch: 0, watermark: i64::MIN };
        for day in 0..days {
            world.epoch(
                &batch((day * DAY..(day + 1) * DAY).step_by(MINUTE as usize)),
                (day + 1) * DAY - 1,
            );
        }
        world
    }

    /// The rows that leave with an epoch of one row, and the least time that one took. All epochs
    /// are within the next minute.
    fn least(&mut self, late: i64) -> (usize, Duration) {
        let first = self.watermark + 1;
        let epochs = (0..60).map(|n| {
            self.epoch(&batch([first + n * 500_000 - late].into_iter()), first + n * 500_000)
        });
        epochs.min_by_key(|(_, took)| *took).unwrap()
    }
}

#[test]
fn an_epoch_of_few_rows_costs_no_more_the_more_is_kept() {
    let hopping = Extent::Steps { step: Every::Micros(MINUTE), count: 60 };
    let always = Extent::Always { step: Every::Micros(MINUTE) };
    for (extent, publish) in [
        (hopping, Publish::Final),
        (hopping, Publish::Changes),
        (always, Publish::Final),
        (always, Publish::Changes),
    ] {
        let measured = [1, 29].map(|days| World::after(days, publish, extent).least(0));
        let [(few_rows, few), (rows, many)] = measured;
        println!(
            "{extent:?} {publish:?}: {few:?} with a day, {many:?} with 29 days; {rows} rows left"
        );
        assert_eq!(rows, few_rows);
        assert!(
            many < few * 5 + Duration::from_micros(20),
            "{extent:?} {publish:?}: {few:?} with a day, {many:?} with 29 days"
        );
    }
}
