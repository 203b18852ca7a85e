//! Output columns from the windows' numbers.

use super::plan::{OnInput, Shows};
use super::state::{State, SumPlace};
use super::wide::{Lanes, Total, deviation};
use crate::dead_rows::Unfit;
use crate::keyed::encode::decode;
use crate::keyed::exact::Exact;
use crate::keyed::sums::Unit;
use arrow::array::{ArrayRef, Decimal128Array, Float64Array, Int64Array, NullBufferBuilder};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use hashbrown::HashMap;
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
    /// By row, window and wide column: what the sum and the sum of squares have beside that.
    pub(super) beside: HashMap<(usize, usize, usize), [Exact; 2]>,
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
        self.beside.clear();
        self.extras.clear();
        self.unknown.clear();
    }
}

enum Numbers {
    Integers(Vec<i64>),
    Floats(Vec<f64>),
    Wide(Vec<i128>),
}

impl Numbers {
    fn push(&mut self, value: i128) {
        match self {
            Self::Integers(out) => out.push(value as i64),
            Self::Floats(out) => out.push(value as f64),
            Self::Wide(out) => out.push(value),
        }
    }
}

/// The output columns of one batch as they grow.
pub(super) struct Builder {
    columns: Vec<(Numbers, NullBufferBuilder)>,
    unfit: Vec<Unfit>,
}

/// Where a block's numbers of one output are.
struct Place<'a> {
    block: &'a Block,
    state: &'a State,
    window: usize,
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

    fn parts(&self, row: usize, lanes: Lanes) -> &[i128] {
        let first = row * self.wide_stride + self.wide_base + lanes.first;
        &self.block.wide[first..first + lanes.parts]
    }

    fn beside(&self, row: usize, wide: usize) -> Option<&[Exact; 2]> {
        if self.block.beside.is_empty() {
            None
        } else {
            self.block.beside.get(&(row, self.window, wide))
        }
    }

    fn sum(&self, row: usize, place: SumPlace) -> Total {
        match place {
            SumPlace::Narrow(lane) => Total::Fixed(i128::from(
                self.block.narrow[row * self.narrow_stride + self.narrow_base + lane],
            )),
            SumPlace::Wide(wide) => {
                let column = &self.state.wide_columns[wide];
                let parts = column.sum.map_or(&[][..], |lanes| self.parts(row, lanes));
                Total::of_sum(column.unit, parts, self.beside(row, wide).map(|[sum, _]| sum))
            }
        }
    }

    /// The sum of squares of a wide column.
    fn squares(&self, row: usize, wide: usize) -> Total {
        let column = &self.state.wide_columns[wide];
        let parts = column.squares.map_or(&[][..], |lanes| self.parts(row, lanes));
        Total::of_squares(column.unit, parts, self.beside(row, wide).map(|[_, squares]| squares))
    }
}

impl Builder {
    pub(super) fn new(plan: &OnInput, rows: usize) -> Self {
        let column = |shown: &super::plan::Shown| {
            let numbers = match (&shown.shows, &shown.data_type) {
                (Shows::Extreme(_) | Shows::Last(_), _) | (_, DataType::Decimal128(_, _)) => {
                    Numbers::Wide(Vec::with_capacity(rows))
                }
                (_, DataType::Float64) => Numbers::Floats(Vec::with_capacity(rows)),
                (
                    Shows::Count
                    | Shows::CountOf(_)
                    | Shows::Sum(_)
                    | Shows::Mean { .. }
                    | Shows::StdDev { .. }
                    | Shows::Distinct(_)
                    | Shows::Since,
                    _,
                ) => Numbers::Integers(Vec::with_capacity(rows)),
            };
            (numbers, NullBufferBuilder::new(rows))
        };
        Self { columns: plan.shown.iter().map(column).collect(), unfit: Vec::new() }
    }

    /// Appends a block's rows.
    pub(super) fn push(&mut self, plan: &OnInput, state: &State, block: &Block) {
        let windows = plan.tails.len();
        let outputs = plan.shown.len();
        let first_output = plan.output_schema.fields().len() - outputs;
        for (output, (shown, (numbers, valid))) in
            plan.shown.iter().zip(&mut self.columns).enumerate()
        {
            let place = Place {
                block,
                state,
                window: shown.window,
                narrow_stride: windows * state.lanes.len(),
                wide_stride: windows * state.wide_lanes,
                narrow_base: shown.window * state.lanes.len(),
                wide_base: shown.window * state.wide_lanes,
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
                    let before = valid.len();
                    for row in 0..block.rows {
                        if place.values(row, nulls) <= 0 {
                            out.push(0);
                            valid.append_null();
                            continue;
                        }
                        let total = place.sum(row, sum);
                        if let Numbers::Floats(out) = &mut *out {
                            out.push(total.to_float(plan.unit(*column)));
                            valid.append_non_null();
                            continue;
                        }
                        let fitting = total.fitting(&shown.data_type).map_err(|digits| {
                            let name = plan.output_schema.field(first_output + output).name();
                            self.unfit.push(Unfit::sum(
                                before + row,
                                name,
                                &digits,
                                &shown.data_type,
                            ));
                        });
                        out.push(fitting.unwrap_or(0));
                        valid.append(fitting.is_ok());
                    }
                }
                (Shows::Mean { column, divisor, empty }, Numbers::Floats(out)) => {
                    let (sum, nulls) = (state.sum_place(*column), state.nulls_lane(*column));
                    push_means(
                        &place,
                        sum,
                        nulls,
                        (plan.unit(*column), *divisor),
                        *empty,
                        out,
                        valid,
                    );
                }
                (Shows::StdDev { column, divisor }, Numbers::Floats(out)) => {
                    let (sum, nulls) = (state.sum_place(*column), state.nulls_lane(*column));
                    let (squares, unit) =
                        (state.wide_column(*column).unwrap_or(0), plan.unit(*column));
                    for row in 0..block.rows {
                        let deviation = deviation(
                            place.values(row, nulls),
                            place.sum(row, sum),
                            place.squares(row, squares),
                            unit,
                        );
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

    /// The finished columns, and which of their values don't fit.
    pub(super) fn finish(self, plan: &OnInput) -> Result<(Vec<ArrayRef>, Vec<Unfit>), ArrowError> {
        let column = |(shown, (numbers, mut valid)): (
            &super::plan::Shown,
            (Numbers, NullBufferBuilder),
        )|
         -> Result<ArrayRef, ArrowError> {
            let nulls = valid.finish();
            Ok(match (numbers, &shown.shows) {
                (Numbers::Wide(v), Shows::Extreme(_) | Shows::Last(_)) => {
                    decode(&v, nulls, &shown.data_type)?
                }
                (Numbers::Wide(v), _) => Arc::new(
                    Decimal128Array::new(v.into(), nulls).with_data_type(shown.data_type.clone()),
                ),
                (Numbers::Integers(v), _) => Arc::new(Int64Array::new(v.into(), nulls)),
                (Numbers::Floats(v), _) => Arc::new(Float64Array::new(v.into(), nulls)),
            })
        };
        Ok((plan.shown.iter().zip(self.columns).map(column).collect::<Result<_, _>>()?, self.unfit))
    }
}

fn push_means(
    place: &Place<'_>,
    sum: SumPlace,
    nulls: Option<usize>,
    (unit, divisor): (Unit, f64),
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
            out.push(if count == 0 {
                missing
            } else {
                place.sum(row, sum).mean(unit, count, divisor)
            });
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
