//! Output columns from the windows' numbers.

use super::plan::{Plan, Shows};
use super::state::{State, SumPlace};
use crate::keyed::encode::{FLOAT_STEPS, decode};
use arrow::array::{ArrayRef, Decimal128Array, Float64Array, Int64Array, NullBufferBuilder};
use arrow::datatypes::{DataType, i256};
use arrow::error::ArrowError;
use std::sync::Arc;

/// The windows' numbers of consecutive rows.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) rows: usize,
    /// Row, window, lane.
    pub(super) narrow: Vec<i64>,
    /// Room for one key's numbers at all edges.
    pub(super) numbers: Vec<i64>,
    /// Row, window, wide lane.
    pub(super) wide: Vec<i128>,
    /// Row, output: the values of outputs that are neither counts nor sums.
    pub(super) extras: Vec<Option<i128>>,
    /// Rows of which nothing is known, ascending: they came too late.
    pub(super) unknown: Vec<usize>,
}

impl Block {
    pub(super) fn clear(&mut self) {
        self.rows = 0;
        self.narrow.clear();
        self.wide.clear();
        self.extras.clear();
        self.unknown.clear();
    }
}

enum Numbers {
    Integers(Vec<i64>),
    Floats(Vec<f64>),
    Wide(Vec<i128>),
}

/// The output columns of one batch as they grow.
pub(super) struct Builder {
    columns: Vec<(Numbers, NullBufferBuilder)>,
}

/// Where a block's numbers of one output are.
struct Place<'a> {
    block: &'a Block,
    narrow_stride: usize,
    wide_stride: usize,
    narrow_base: usize,
    wide_base: usize,
}

impl Place<'_> {
    fn rows(&self, row: usize) -> i64 {
        self.block.narrow[row * self.narrow_stride + self.narrow_base]
    }

    /// Rows in the window whose value is not null.
    fn values(&self, row: usize, nulls: Option<usize>) -> i64 {
        let at = row * self.narrow_stride + self.narrow_base;
        self.block.narrow[at] - nulls.map_or(0, |lane| self.block.narrow[at + lane])
    }

    fn wide(&self, row: usize, lane: usize) -> i128 {
        self.block.wide[row * self.wide_stride + self.wide_base + lane]
    }

    fn sum(&self, row: usize, place: SumPlace) -> i128 {
        match place {
            SumPlace::Narrow(lane) => i128::from(self.block.narrow[row * self.narrow_stride + self.narrow_base + lane]),
            SumPlace::Wide(lane) => self.wide(row, lane),
        }
    }
}

impl Builder {
    pub(super) fn new(plan: &Plan, rows: usize) -> Self {
        let column = |shown: &super::plan::Shown| {
            let numbers = match (&shown.shows, &shown.data_type) {
                (Shows::Extreme(_) | Shows::Last(_), _) | (_, DataType::Decimal128(_, _)) => Numbers::Wide(Vec::with_capacity(rows)),
                (_, DataType::Float64) => Numbers::Floats(Vec::with_capacity(rows)),
                _ => Numbers::Integers(Vec::with_capacity(rows)),
            };
            (numbers, NullBufferBuilder::new(rows))
        };
        Self { columns: plan.shown.iter().map(column).collect() }
    }

    /// Appends a block's rows.
    pub(super) fn push(&mut self, plan: &Plan, state: &State, block: &Block) {
        let windows = plan.tails.len();
        let outputs = plan.shown.len();
        for (output, (shown, (numbers, valid))) in plan.shown.iter().zip(&mut self.columns).enumerate() {
            let place = Place {
                block,
                narrow_stride: windows * state.lanes.len(),
                wide_stride: windows * state.wide_lanes.len(),
                narrow_base: shown.window * state.lanes.len(),
                wide_base: shown.window * state.wide_lanes.len(),
            };
            let extra = |row: usize| block.extras[row * outputs + output];
            match (&shown.shows, numbers) {
                (Shows::Count, Numbers::Integers(out)) => {
                    out.extend((0..block.rows).map(|row| place.rows(row)));
                    valid.append_n_non_nulls(block.rows);
                }
                (Shows::CountOf(column), Numbers::Integers(out)) => {
                    let nulls = state.nulls_lane(*column);
                    out.extend((0..block.rows).map(|row| place.values(row, nulls)));
                    valid.append_n_non_nulls(block.rows);
                }
                (Shows::Sum(column), out) => {
                    let (sum, nulls) = (state.sum_place(*column), state.nulls_lane(*column));
                    for row in 0..block.rows {
                        let value = place.sum(row, sum);
                        match &mut *out {
                            Numbers::Integers(out) => out.push(value as i64),
                            Numbers::Wide(out) => out.push(value),
                            Numbers::Floats(out) => out.push(value as f64 / FLOAT_STEPS),
                        }
                        // A sum that does not fit an Int64 is unknown rather than wrong.
                        let fits = !matches!(out, Numbers::Integers(_)) || i64::try_from(value).is_ok();
                        valid.append(fits && place.values(row, nulls) > 0);
                    }
                }
                (Shows::Mean { column, divisor, empty }, Numbers::Floats(out)) => {
                    let (sum, nulls) = (state.sum_place(*column), state.nulls_lane(*column));
                    push_means(&place, sum, nulls, *divisor, *empty, out, valid);
                }
                (Shows::StdDev { column, divisor }, Numbers::Floats(out)) => {
                    let (sum, nulls) = (state.sum_place(*column), state.nulls_lane(*column));
                    let squares = state.squares_lane(*column).unwrap_or(0);
                    for row in 0..block.rows {
                        let deviation = deviation(place.values(row, nulls), place.sum(row, sum), place.wide(row, squares));
                        out.push(deviation.map_or(0.0, |d| d / divisor));
                        valid.append(deviation.is_some());
                    }
                }
                (Shows::Since, Numbers::Floats(out)) => {
                    for row in 0..block.rows {
                        out.push(extra(row).map_or(0.0, |micros| micros as f64 / 1e6));
                        valid.append(extra(row).is_some());
                    }
                }
                (Shows::Distinct(_), Numbers::Integers(out)) => {
                    out.extend((0..block.rows).map(|row| extra(row).unwrap_or(0) as i64));
                    valid.append_n_non_nulls(block.rows);
                }
                (_, Numbers::Wide(out)) => {
                    for row in 0..block.rows {
                        out.push(extra(row).unwrap_or(0));
                        valid.append(extra(row).is_some());
                    }
                }
                (_, Numbers::Integers(_) | Numbers::Floats(_)) => {}
            }
            let first = valid.len() - block.rows;
            for row in &block.unknown {
                if valid.as_slice().is_none() {
                    // The builder keeps no bits until a null comes: let one come and go.
                    valid.append_null();
                    valid.truncate(first + block.rows);
                }
                valid.set_bit(first + row, false);
            }
        }
    }

    /// The finished columns.
    pub(super) fn finish(self, plan: &Plan) -> Result<Vec<ArrayRef>, ArrowError> {
        let column = |(shown, (numbers, mut valid)): (&super::plan::Shown, (Numbers, NullBufferBuilder))| -> Result<ArrayRef, ArrowError> {
            let nulls = valid.finish();
            Ok(match (numbers, &shown.shows) {
                (Numbers::Wide(v), Shows::Extreme(_) | Shows::Last(_)) => decode(&v, nulls, &shown.data_type)?,
                (Numbers::Wide(v), _) => Arc::new(Decimal128Array::new(v.into(), nulls).with_data_type(shown.data_type.clone())),
                (Numbers::Integers(v), _) => Arc::new(Int64Array::new(v.into(), nulls)),
                (Numbers::Floats(v), _) => Arc::new(Float64Array::new(v.into(), nulls)),
            })
        };
        plan.shown.iter().zip(self.columns).map(column).collect()
    }
}

fn push_means(
    place: &Place<'_>,
    sum: SumPlace,
    nulls: Option<usize>,
    divisor: f64,
    empty: Option<f64>,
    out: &mut Vec<f64>,
    valid: &mut NullBufferBuilder,
) {
    let rows = place.block.rows;
    let missing = empty.unwrap_or(0.0);
    let mut none = false;
    if let (SumPlace::Narrow(lane), None) = (sum, nulls) {
        let windows = place.block.narrow.chunks_exact(place.narrow_stride);
        out.extend(windows.take(rows).map(|row| {
            let count = row[place.narrow_base];
            let mean = row[place.narrow_base + lane] as f64 / divisor / count as f64;
            none |= count == 0;
            if count == 0 { missing } else { mean }
        }));
    } else {
        for row in 0..rows {
            let count = place.values(row, nulls);
            none |= count == 0;
            out.push(if count == 0 { missing } else { place.sum(row, sum) as f64 / divisor / count as f64 });
        }
    }
    if !none || empty.is_some() {
        valid.append_n_non_nulls(rows);
        return;
    }
    for row in 0..rows {
        valid.append(place.values(row, nulls) != 0);
    }
}

/// The sample standard deviation of `n` integers from their sum and the sum of their squares: √((n·q − s²) / (n·(n − 1))), the numerator exact.
fn deviation(n: i64, sum: i128, squares: i128) -> Option<f64> {
    if n < 2 {
        return None;
    }
    let wide = i128::from(n);
    let exact = wide.checked_mul(squares).zip(sum.checked_mul(sum)).and_then(|(a, b)| a.checked_sub(b));
    let numerator = match exact {
        Some(exact) => exact as f64,
        None => {
            let wide = i256::from_i128(wide).wrapping_mul(i256::from_i128(squares));
            let difference = wide.wrapping_sub(i256::from_i128(sum).wrapping_mul(i256::from_i128(sum)));
            let (low, high) = difference.to_parts();
            high as f64 * 2f64.powi(128) + low as f64
        }
    };
    Some((numerator / (n as f64 * (n as f64 - 1.0))).sqrt())
}
