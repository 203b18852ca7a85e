//! Payments as batches. A slice is a day.

use crate::generate::cards::day::{Payment, generate_day};
use crate::generate::cards::spec::{GeneratorSpec, IdType};
use crate::generate::cards::world::World;
use crate::generate::{BLOCK_ROWS_MAX, Generate, GeneratedRows};
use arrow::array::{
    ArrayRef, Decimal128Array, Int8Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use std::sync::Arc;

/// Payments as batches, from any row on.
#[derive(Debug)]
pub(crate) struct PaymentRows {
    spec: GeneratorSpec,
    schema: SchemaRef,
    world: World,
    /// The day of `payments`, counted from 0, and the number of its first row.
    day: u32,
    day_row: u64,
    payments: Vec<Payment>,
    made: bool,
    /// The next row.
    row: u64,
}

impl PaymentRows {
    pub(crate) fn new(spec: &GeneratorSpec) -> Self {
        let (world, schema) = (World::new(spec), Arc::new(spec.schema()));
        Self {
            spec: spec.clone(),
            schema,
            world,
            day: 0,
            day_row: 0,
            payments: Vec::new(),
            made: false,
            row: 0,
        }
    }

    /// Makes the day that holds the next row; false when there is none.
    fn reach_day(&mut self) -> bool {
        loop {
            if self.day >= self.spec.days_end() {
                return false;
            }
            if !self.made {
                self.payments = generate_day(&self.world, &self.spec, self.day);
                self.made = true;
            }
            if self.row < self.day_row + self.payments.len() as u64 {
                return true;
            }
            self.day_row += self.payments.len() as u64;
            self.day += 1;
            self.made = false;
        }
    }
}

impl GeneratedRows for PaymentRows {
    fn next(&mut self, rows: usize) -> Result<RecordBatch, ArrowError> {
        let left = self.spec.rows.map_or(u64::MAX, |limit| limit.saturating_sub(self.row));
        let wanted = rows.clamp(1, BLOCK_ROWS_MAX).min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut columns = PaymentColumns::with_capacity(wanted, self.spec.ids);
        while columns.len() < wanted && self.reach_day() {
            let start = (self.row - self.day_row) as usize;
            let end = self.payments.len().min(start + wanted - columns.len());
            let midnight_us =
                (i64::from(self.spec.start_day) + i64::from(self.day)) * 86_400_000_000;
            for payment in &self.payments[start..end] {
                columns.push(payment, self.day_row, midnight_us);
            }
            self.row += (end - start) as u64;
        }
        columns.finish(&self.schema)
    }

    fn row(&self) -> u64 {
        self.row
    }

    fn slice(&self) -> (u32, u64) {
        (self.day, self.day_row)
    }

    fn seek(&mut self, slice: u32, slice_row: u64, row: u64) {
        (self.day, self.day_row, self.row, self.made) = (slice, slice_row, row, false);
    }

    fn progress(&self) -> Option<(u64, u64)> {
        let by_rows = self.spec.rows.map(|rows| (rows, self.row));
        by_rows.or_else(|| {
            self.spec.days.map(|_| (u64::from(self.spec.days_end()), u64::from(self.day)))
        })
    }
}

enum IdColumn {
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Text(Vec<u32>),
}

impl IdColumn {
    fn with_capacity(rows: usize, ids: IdType) -> Self {
        match ids {
            IdType::Int32 => Self::Int32(Vec::with_capacity(rows)),
            IdType::Int64 => Self::Int64(Vec::with_capacity(rows)),
            IdType::Text => Self::Text(Vec::with_capacity(rows)),
        }
    }

    fn push(&mut self, id: u32) {
        match self {
            Self::Int32(v) => v.push(id as i32),
            Self::Int64(v) => v.push(i64::from(id)),
            Self::Text(v) => v.push(id),
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Int32(v) => Arc::new(Int32Array::from(v)),
            Self::Int64(v) => Arc::new(Int64Array::from(v)),
            Self::Text(v) => Arc::new(StringArray::from_iter_values(v.iter().map(u32::to_string))),
        }
    }
}

struct PaymentColumns {
    id: Vec<i64>,
    time: Vec<i64>,
    customer: IdColumn,
    terminal: IdColumn,
    amount: Vec<i128>,
    fraud: Vec<i8>,
    scenario: Vec<i8>,
}

impl PaymentColumns {
    fn with_capacity(rows: usize, ids: IdType) -> Self {
        Self {
            id: Vec::with_capacity(rows),
            time: Vec::with_capacity(rows),
            customer: IdColumn::with_capacity(rows, ids),
            terminal: IdColumn::with_capacity(rows, ids),
            amount: Vec::with_capacity(rows),
            fraud: Vec::with_capacity(rows),
            scenario: Vec::with_capacity(rows),
        }
    }

    fn len(&self) -> usize {
        self.id.len()
    }

    #[inline]
    fn push(&mut self, payment: &Payment, day_row: u64, midnight_us: i64) {
        self.id.push(day_row as i64 + i64::from(payment.number));
        self.time.push(midnight_us + i64::from(payment.second) * 1_000_000);
        self.customer.push(payment.customer);
        self.terminal.push(payment.terminal);
        self.amount.push(i128::from(payment.cents));
        self.fraud.push(i8::from(payment.scenario > 0));
        self.scenario.push(payment.scenario as i8);
    }

    fn finish(self, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(self.id)),
            Arc::new(TimestampMicrosecondArray::from(self.time).with_timezone("UTC")),
            self.customer.finish(),
            self.terminal.finish(),
            Arc::new(Decimal128Array::from(self.amount).with_precision_and_scale(12, 2)?),
            Arc::new(Int8Array::from(self.fraud)),
            Arc::new(Int8Array::from(self.scenario)),
        ];
        RecordBatch::try_new(Arc::clone(schema), columns)
    }
}
