//! Rows of the history as columns: time, key, and the numbers that the windows need.

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Int64Array, RecordBatch, UInt32Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Decimal128Type, Field, Int64Type, Schema, UInt32Type};
use arrow::error::ArrowError;
use std::sync::Arc;

/// How wide a column's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// 64 bits.
    Narrow,
    /// 128 bits.
    Wide,
}

/// A column's numbers; a null's number is 0.
#[derive(Debug, Clone)]
pub enum Values {
    /// 64 bits.
    Narrow(Vec<i64>),
    /// 128 bits.
    Wide(Vec<i128>),
}

/// A column of numbers with nulls.
#[derive(Debug, Clone)]
pub struct Column {
    /// The numbers.
    pub values: Values,
    /// Which rows are null; empty when none is.
    pub nulls: Vec<bool>,
}

impl Column {
    /// An empty column.
    #[must_use]
    pub fn empty(width: Width) -> Self {
        let values = match width {
            Width::Narrow => Values::Narrow(Vec::new()),
            Width::Wide => Values::Wide(Vec::new()),
        };
        Self { values, nulls: Vec::new() }
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.values {
            Values::Narrow(v) => v.len(),
            Values::Wide(v) => v.len(),
        }
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number in `row` (0 when null).
    #[must_use]
    pub fn value(&self, row: usize) -> i128 {
        match &self.values {
            Values::Narrow(v) => i128::from(v[row]),
            Values::Wide(v) => v[row],
        }
    }

    /// Whether `row` is null.
    #[must_use]
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.get(row).copied().unwrap_or(false)
    }

    /// The numbers, when they are 64 bits wide.
    #[must_use]
    pub fn narrow(&self) -> Option<&[i64]> {
        match &self.values {
            Values::Narrow(v) => Some(v),
            Values::Wide(_) => None,
        }
    }

    fn extend(&mut self, other: &Self, from: usize, to: usize) {
        let before = self.len();
        match (&mut self.values, &other.values) {
            (Values::Narrow(a), Values::Narrow(b)) => a.extend_from_slice(&b[from..to]),
            (Values::Wide(a), Values::Wide(b)) => a.extend_from_slice(&b[from..to]),
            (Values::Wide(a), Values::Narrow(b)) => a.extend(b[from..to].iter().map(|v| i128::from(*v))),
            (Values::Narrow(a), Values::Wide(b)) => a.extend(b[from..to].iter().map(|v| *v as i64)),
        }
        let any_null = !other.nulls.is_empty() && other.nulls[from..to].contains(&true);
        if any_null || !self.nulls.is_empty() {
            self.nulls.resize(before, false);
            if other.nulls.is_empty() {
                self.nulls.resize(before + to - from, false);
            } else {
                self.nulls.extend_from_slice(&other.nulls[from..to]);
            }
        }
    }

    fn set(&mut self, row: usize, other: &Self, from: usize) {
        match (&mut self.values, &other.values) {
            (Values::Narrow(a), Values::Narrow(b)) => a[row] = b[from],
            (Values::Wide(a), _) => a[row] = other.value(from),
            (Values::Narrow(a), Values::Wide(b)) => a[row] = b[from] as i64,
        }
        let null = other.is_null(from);
        if null || !self.nulls.is_empty() {
            let rows = self.len();
            self.nulls.resize(rows, false);
            self.nulls[row] = null;
        }
    }

    fn filter(&mut self, keep: &[bool]) {
        match &mut self.values {
            Values::Narrow(v) => retain(v, keep),
            Values::Wide(v) => retain(v, keep),
        }
        if !self.nulls.is_empty() {
            retain(&mut self.nulls, keep);
        }
    }

    fn array(self) -> ArrayRef {
        let nulls = if self.nulls.is_empty() { None } else { Some(NullBuffer::from_iter(self.nulls.iter().map(|n| !n))) };
        match self.values {
            Values::Narrow(v) => Arc::new(Int64Array::new(v.into(), nulls)),
            // Decimal128(38, 0), without a check of its digits: the numbers use all 128 bits.
            Values::Wide(v) => Arc::new(Decimal128Array::new(v.into(), nulls).with_data_type(DataType::Decimal128(38, 0))),
        }
    }
}

fn retain<T>(values: &mut Vec<T>, keep: &[bool]) {
    let mut row = 0;
    values.retain(|_| {
        row += 1;
        keep[row - 1]
    });
}

/// Rows of the history, as columns of equal length.
#[derive(Debug, Clone, Default)]
pub struct Chunk {
    /// Event times in microseconds.
    pub times: Vec<i64>,
    /// [`crate::ids::KeyId`]s.
    pub keys: Vec<u32>,
    /// The numbers.
    pub columns: Vec<Column>,
}

impl Chunk {
    /// No rows, with these columns.
    #[must_use]
    pub fn empty(layout: &[Width]) -> Self {
        Self { times: Vec::new(), keys: Vec::new(), columns: layout.iter().map(|w| Column::empty(*w)).collect() }
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Bytes of memory, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let columns: usize = self
            .columns
            .iter()
            .map(|c| {
                c.nulls.capacity()
                    + match &c.values {
                        Values::Narrow(v) => v.capacity() * 8,
                        Values::Wide(v) => v.capacity() * 16,
                    }
            })
            .sum();
        self.times.capacity() * 8 + self.keys.capacity() * 4 + columns
    }

    /// Adds rows `from..to` of `other`, which has the same columns.
    pub fn extend(&mut self, other: &Self, from: usize, to: usize) {
        self.times.extend_from_slice(&other.times[from..to]);
        self.keys.extend_from_slice(&other.keys[from..to]);
        for (a, b) in self.columns.iter_mut().zip(&other.columns) {
            a.extend(b, from, to);
        }
    }

    /// Replaces `row` by row `from` of `other`.
    pub fn set(&mut self, row: usize, other: &Self, from: usize) {
        self.times[row] = other.times[from];
        self.keys[row] = other.keys[from];
        for (a, b) in self.columns.iter_mut().zip(&other.columns) {
            a.set(row, b, from);
        }
    }

    /// Keeps the rows whose key passes.
    pub fn retain_keys(&mut self, pass: impl Fn(u32) -> bool) {
        let keep: Vec<bool> = self.keys.iter().map(|k| pass(*k)).collect();
        if keep.contains(&false) {
            retain(&mut self.times, &keep);
            retain(&mut self.keys, &keep);
            for c in &mut self.columns {
                c.filter(&keep);
            }
        }
    }

    /// The rows sorted by time, equal times in their present order.
    #[must_use]
    pub fn sorted(self) -> Self {
        if self.times.is_sorted() {
            return self;
        }
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|i| self.times[*i]);
        let layout: Vec<Width> = self.columns.iter().map(|c| if c.narrow().is_some() { Width::Narrow } else { Width::Wide }).collect();
        let mut out = Self::empty(&layout);
        for i in order {
            out.extend(&self, i, i + 1);
        }
        out
    }

    /// The rows as Arrow: `time`, `key`, `v0`, `v1`, ...
    ///
    /// # Errors
    /// Never for a well-formed chunk.
    pub fn into_batch(self) -> Result<RecordBatch, ArrowError> {
        let mut fields = vec![Field::new("time", DataType::Int64, false), Field::new("key", DataType::UInt32, false)];
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(self.times)), Arc::new(UInt32Array::from(self.keys))];
        for (i, column) in self.columns.into_iter().enumerate() {
            let array = column.array();
            fields.push(Field::new(format!("v{i}"), array.data_type().clone(), true));
            arrays.push(array);
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
    }

    /// The inverse of [`Self::into_batch`]; further columns of the batch are ignored.
    ///
    /// # Errors
    /// When columns are missing or of another type.
    pub fn from_batch(batch: &RecordBatch, layout: &[Width]) -> Result<Self, ArrowError> {
        let wrong = |what: &str| ArrowError::SchemaError(format!("history rows: column {what} is missing or has another type"));
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| wrong(name));
        let times = column("time")?.as_primitive_opt::<Int64Type>().ok_or_else(|| wrong("time"))?.values().to_vec();
        let keys = column("key")?.as_primitive_opt::<UInt32Type>().ok_or_else(|| wrong("key"))?.values().to_vec();
        let mut columns = Vec::with_capacity(layout.len());
        for (i, width) in layout.iter().enumerate() {
            let name = format!("v{i}");
            let array = column(&name)?;
            let values = match width {
                Width::Narrow => Values::Narrow(array.as_primitive_opt::<Int64Type>().ok_or_else(|| wrong(&name))?.values().to_vec()),
                Width::Wide => Values::Wide(array.as_primitive_opt::<Decimal128Type>().ok_or_else(|| wrong(&name))?.values().to_vec()),
            };
            let nulls = if array.null_count() == 0 { Vec::new() } else { (0..array.len()).map(|r| array.is_null(r)).collect() };
            columns.push(Column { values, nulls });
        }
        Ok(Self { times, keys, columns })
    }
}
