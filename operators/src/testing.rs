//! Payments to test steps with.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use riskstream_engine::contract::{Operator, Output, SourceSchema, dead_letter_schema};
use riskstream_engine::ids::Epoch;

use crate::stateless::Stateless;

/// One payment; amounts in cents, times in microseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) time: i64,
    pub(crate) customer: Option<&'static str>,
    pub(crate) amount: Option<i128>,
    pub(crate) count: Option<i64>,
    pub(crate) risk: Option<f64>,
}

pub(crate) fn schema() -> SchemaRef {
    let user = Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new(
            "tx_datetime",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            false,
        ),
        Field::new("customer", DataType::Utf8, true),
        Field::new("amount", DataType::Decimal128(12, 2), true),
        Field::new("count", DataType::Int64, true),
        Field::new("risk", DataType::Float64, true),
    ]);
    SourceSchema::new(&user, "tx_datetime", &[]).unwrap().schema
}

/// A batch of `rows`: partition 7, offset = 100 + the row's number.
pub(crate) fn batch(rows: &[Row]) -> RecordBatch {
    let offsets = (0..rows.len()).map(|row| 100 + row as i64);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.id))),
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.time))
                .with_timezone("UTC"),
        ),
        Arc::new(StringArray::from_iter(rows.iter().map(|row| row.customer))),
        Arc::new(
            Decimal128Array::from_iter(rows.iter().map(|row| row.amount))
                .with_precision_and_scale(12, 2)
                .unwrap(),
        ),
        Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.count))),
        Arc::new(Float64Array::from_iter(rows.iter().map(|row| row.risk))),
        Arc::new(UInt32Array::from(vec![7; rows.len()])),
        Arc::new(Int64Array::from_iter_values(offsets)),
        Arc::new(BooleanArray::from(vec![false; rows.len()])),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// What leaves a step for one batch of epoch 1: rows and dead letters, each as one batch.
pub(crate) fn run(step: impl Stateless, input: RecordBatch) -> (RecordBatch, RecordBatch) {
    let mut operator = step.into_operator();
    let mut out = Output::default();
    operator.on_batch(Epoch(1), input, &mut out).unwrap();
    let rows = concat_batches(&operator.output_schema(), &out.rows).unwrap();
    (rows, concat_batches(&dead_letter_schema(), &out.dead).unwrap())
}

/// One column of a batch, value by value, as text; null as `-`.
pub(crate) fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
    let options = arrow::util::display::FormatOptions::default().with_null("-");
    let array = batch.column_by_name(column).unwrap();
    let formatter =
        arrow::util::display::ArrayFormatter::try_new(array.as_ref(), &options).unwrap();
    (0..batch.num_rows()).map(|row| formatter.value(row).to_string()).collect()
}
