//! Rows of the history as columns: time, key, and the numbers that the windows need.

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Int8Array, Int16Array, Int32Array, Int64Array,
    RecordBatch, UInt32Array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Field, Int64Type, Schema, UInt32Type};
use arrow::error::ArrowError;
use std::collections::HashMap;
use std::sync::Arc;

/// Metadata of a `time` column that holds steps from row to row: the first row's time.
const FIRST_TIME: &str = "first_time";

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
        Self::with_capacity(width, 0)
    }

    /// An empty column with room for `rows`.
    fn with_capacity(width: Width, rows: usize) -> Self {
        let values = match width {
            Width::Narrow => Values::Narrow(Vec::with_capacity(rows)),
            Width::Wide => Values::Wide(Vec::with_capacity(rows)),
        };
        Self { values, nulls: Vec::new() }
    }

    /// The number of rows.
    #[inline]
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
    #[inline]
    #[must_use]
    pub fn value(&self, row: usize) -> i128 {
        match &self.values {
            Values::Narrow(v) => i128::from(v[row]),
            Values::Wide(v) => v[row],
        }
    }

    /// Whether `row` is null.
    #[inline]
    #[must_use]
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.get(row).copied().unwrap_or(false)
    }

    /// The numbers, when they are 64 bits wide.
    #[inline]
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
            (Values::Wide(a), Values::Narrow(b)) => {
                a.extend(b[from..to].iter().map(|v| i128::from(*v)))
            }
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

    fn interleaved(chunks: &[Chunk], at: usize, order: &[(u32, u32)]) -> Self {
        let columns: Vec<&Self> = chunks.iter().map(|c| &c.columns[at]).collect();
        let narrow: Option<Vec<&[i64]>> = columns.iter().map(|c| c.narrow()).collect();
        let values = match narrow {
            Some(narrow) => Values::Narrow(gather(order, |chunk| narrow[chunk])),
            None => Values::Wide(
                order
                    .iter()
                    .map(|(chunk, row)| columns[*chunk as usize].value(*row as usize))
                    .collect(),
            ),
        };
        let nulls = if columns.iter().all(|c| c.nulls.is_empty()) {
            Vec::new()
        } else {
            order
                .iter()
                .map(|(chunk, row)| columns[*chunk as usize].is_null(*row as usize))
                .collect()
        };
        Self { values, nulls }
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

    fn null_buffer(&self) -> Option<NullBuffer> {
        if self.nulls.is_empty() {
            None
        } else {
            Some(NullBuffer::from_iter(self.nulls.iter().map(|n| !n)))
        }
    }

    fn small_array(self) -> ArrayRef {
        let Values::Narrow(values) = &self.values else { return self.array() };
        // One pass that the processor does fast: the bits that any value needs, beside its sign.
        let bits = values.iter().fold(0, |bits, v| bits | (v ^ (v >> 63)));
        let nulls = self.null_buffer();
        match bits {
            0..0x80 => Arc::new(Int8Array::new(values.iter().map(|v| *v as i8).collect(), nulls)),
            0x80..0x8000 => {
                Arc::new(Int16Array::new(values.iter().map(|v| *v as i16).collect(), nulls))
            }
            0x8000..0x8000_0000 => {
                Arc::new(Int32Array::new(values.iter().map(|v| *v as i32).collect(), nulls))
            }
            _ => self.array(),
        }
    }

    fn array(self) -> ArrayRef {
        let nulls = self.null_buffer();
        match self.values {
            Values::Narrow(v) => Arc::new(Int64Array::new(v.into(), nulls)),
            // Decimal128(38, 0), without a check of its digits: the numbers use all 128 bits.
            Values::Wide(v) => Arc::new(
                Decimal128Array::new(v.into(), nulls).with_data_type(DataType::Decimal128(38, 0)),
            ),
        }
    }
}

fn gather<'a, T: Copy + 'a>(order: &[(u32, u32)], values: impl Fn(usize) -> &'a [T]) -> Vec<T> {
    order.iter().map(|(chunk, row)| values(*chunk as usize)[*row as usize]).collect()
}

/// Differences from row to row, 0 for the first; `None` when times go back or differ by more than
/// fits.
fn time_steps(times: &[i64]) -> Option<Vec<u32>> {
    let mut before = *times.first()?;
    let mut steps = Vec::with_capacity(times.len());
    for time in times {
        steps.push(u32::try_from(time.checked_sub(before)?).ok()?);
        before = *time;
    }
    Some(steps)
}

fn times_from(column: &ArrayRef, field: &Field) -> Option<Vec<i64>> {
    if let Some(times) = column.as_primitive_opt::<Int64Type>() {
        return Some(times.values().to_vec());
    }
    let mut time: i64 = field.metadata().get(FIRST_TIME)?.parse().ok()?;
    let steps = column.as_primitive_opt::<UInt32Type>()?.values();
    let mut times = Vec::with_capacity(steps.len());
    for step in steps {
        time = time.checked_add(i64::from(*step))?;
        times.push(time);
    }
    Some(times)
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
        Self::with_capacity(layout, 0)
    }

    /// No rows, with these columns and room for `rows`.
    #[must_use]
    pub fn with_capacity(layout: &[Width], rows: usize) -> Self {
        let columns = layout.iter().map(|w| Column::with_capacity(*w, rows)).collect();
        Self { times: Vec::with_capacity(rows), keys: Vec::with_capacity(rows), columns }
    }

    /// The number of rows.
    #[inline]
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

    /// Rows of several chunks of the same columns, in `order`: which row of which chunk comes next.
    #[must_use]
    pub fn interleaved(chunks: &[Self], order: &[(u32, u32)]) -> Self {
        let columns = chunks.first().map_or(0, |c| c.columns.len());
        Self {
            times: gather(order, |chunk| &chunks[chunk].times),
            keys: gather(order, |chunk| &chunks[chunk].keys),
            columns: (0..columns).map(|at| Column::interleaved(chunks, at, order)).collect(),
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
        let layout: Vec<Width> = self
            .columns
            .iter()
            .map(|c| if c.narrow().is_some() { Width::Narrow } else { Width::Wide })
            .collect();
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
        let mut fields = vec![
            Field::new("time", DataType::Int64, false),
            Field::new("key", DataType::UInt32, false),
        ];
        let mut arrays: Vec<ArrayRef> =
            vec![Arc::new(Int64Array::from(self.times)), Arc::new(UInt32Array::from(self.keys))];
        for (i, column) in self.columns.into_iter().enumerate() {
            let array = column.array();
            fields.push(Field::new(format!("v{i}"), array.data_type().clone(), true));
            arrays.push(array);
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
    }

    /// As [`Self::into_batch`] in fewer bytes, for what is written once and rarely read: times as
    /// steps from row to row, numbers in the smallest type that holds them all.
    ///
    /// # Errors
    /// Never for a well-formed chunk.
    pub fn into_small_batch(self) -> Result<RecordBatch, ArrowError> {
        let (time, times): (Field, ArrayRef) = match (time_steps(&self.times), self.times.first()) {
            (Some(steps), Some(first)) => {
                let metadata = HashMap::from([(FIRST_TIME.to_owned(), first.to_string())]);
                (
                    Field::new("time", DataType::UInt32, false).with_metadata(metadata),
                    Arc::new(UInt32Array::from(steps)),
                )
            }
            _ => {
                (Field::new("time", DataType::Int64, false), Arc::new(Int64Array::from(self.times)))
            }
        };
        let mut fields = vec![time, Field::new("key", DataType::UInt32, false)];
        let mut arrays: Vec<ArrayRef> = vec![times, Arc::new(UInt32Array::from(self.keys))];
        for (i, column) in self.columns.into_iter().enumerate() {
            let array = column.small_array();
            fields.push(Field::new(format!("v{i}"), array.data_type().clone(), true));
            arrays.push(array);
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
    }

    /// The inverse of [`Self::into_batch`] and [`Self::into_small_batch`]; further columns of the
    /// batch are ignored.
    ///
    /// # Errors
    /// When columns are missing or of another type.
    pub fn from_batch(batch: &RecordBatch, layout: &[Width]) -> Result<Self, ArrowError> {
        let wrong = |what: &str| {
            ArrowError::SchemaError(format!(
                "history rows: column {what} is missing or has another type"
            ))
        };
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| wrong(name));
        let times = times_from(column("time")?, batch.schema_ref().field_with_name("time")?)
            .ok_or_else(|| wrong("time"))?;
        let keys = column("key")?
            .as_primitive_opt::<UInt32Type>()
            .ok_or_else(|| wrong("key"))?
            .values()
            .to_vec();
        let mut columns = Vec::with_capacity(layout.len());
        for (i, width) in layout.iter().enumerate() {
            let name = format!("v{i}");
            let array = column(&name)?;
            let values = match width {
                Width::Narrow if array.data_type().is_signed_integer() => Values::Narrow(
                    cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().values().to_vec(),
                ),
                Width::Narrow => return Err(wrong(&name)),
                Width::Wide => Values::Wide(
                    array
                        .as_primitive_opt::<Decimal128Type>()
                        .ok_or_else(|| wrong(&name))?
                        .values()
                        .to_vec(),
                ),
            };
            let nulls = if array.null_count() == 0 {
                Vec::new()
            } else {
                (0..array.len()).map(|r| array.is_null(r)).collect()
            };
            columns.push(Column { values, nulls });
        }
        Ok(Self { times, keys, columns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(times: Vec<i64>, values: Vec<i64>, nulls: Vec<bool>) -> Chunk {
        let keys = (0..times.len() as u32).collect();
        let wide = values.iter().map(|v| i128::from(*v) << 64).collect();
        let columns = vec![
            Column { values: Values::Narrow(values), nulls },
            Column { values: Values::Wide(wide), nulls: Vec::new() },
        ];
        Chunk { times, keys, columns }
    }

    #[test]
    fn a_small_batch_gives_back_the_same_rows() {
        let limits = [
            0,
            0x7f,
            -0x80,
            0x80,
            -0x81,
            0x7fff,
            -0x8000,
            0x8000,
            0x7fff_ffff,
            -0x8000_0000,
            0x8000_0000,
            i64::MAX,
            i64::MIN,
        ];
        for limit in limits {
            for times in [
                vec![5, 5, 9],
                vec![i64::MIN, 0, i64::MAX],
                vec![-7, 0, 1 << 33],
                vec![3, 2, 1],
                vec![],
            ] {
                let rows = times.len();
                let values = [0, limit, -1][..rows].to_vec();
                for nulls in [vec![], [true, false, false][..rows].to_vec()] {
                    let before = chunk(times.clone(), values.clone(), nulls);
                    let batch = before.clone().into_small_batch().expect("rows");
                    let after = Chunk::from_batch(&batch, &[Width::Narrow, Width::Wide])
                        .expect("the same columns");
                    assert_eq!((&after.times, &after.keys), (&before.times, &before.keys));
                    for (a, b) in after.columns.iter().zip(&before.columns) {
                        assert!(
                            (0..rows)
                                .all(|r| a.value(r) == b.value(r) && a.is_null(r) == b.is_null(r))
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn small_numbers_take_few_bytes() {
        let batch = chunk(vec![1_000_000, 2_000_000], vec![-128, 127], vec![])
            .into_small_batch()
            .expect("rows");
        assert_eq!(batch.column(0).data_type(), &DataType::UInt32);
        assert_eq!(batch.column(2).data_type(), &DataType::Int8);
    }
}
