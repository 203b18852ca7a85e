//! The step as an operator: rows are gathered as they come, groups leave when an epoch closes.

use super::groups::{Group, Groups, Member};
use super::spec::{OnInput, ShareFunction, SharesSpec};
use crate::dead_rows::{DeadRows, Unfit};
use crate::keyed::BATCH_ROWS;
use crate::keyed::columns::named_fields;
use crate::keyed::step::{Keyed, KeyedPlan, KeyedStep};
use crate::keyed::sums::{Sum, Unit};
use crate::step_error::StepError;
use crate::windows::WINDOW_END;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    TimestampMicrosecondArray,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use riskstream_engine::contract::{EpochClose, OperatorError, Output, Shape};
use std::sync::Arc;

/// Shares of groups. See the [module documentation](super).
pub type SharesOperator = Keyed<Shares>;

/// The logic of the step.
#[derive(Debug)]
pub struct Shares {
    groups: Groups,
    /// What is said of totals that don't fit.
    dead: DeadRows,
}

impl SharesOperator {
    /// A step with no groups.
    ///
    /// # Errors
    /// When the step does not fit the input.
    pub fn new(spec: SharesSpec, input: &SchemaRef) -> Result<Self, StepError> {
        let plan = OnInput::new(spec, input)?;
        let mut dead = DeadRows::new(&plan.spec.step_id, &plan.output);
        dead.set_event_time(WINDOW_END, &plan.output)?;
        Ok(Self::of(Shares { groups: Groups::new(plan)?, dead }))
    }
}

impl Shares {
    /// Without the rows of windows without a start that are not final.
    fn complete(&self, batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
        let (starts, finals) = (
            batch.column(self.groups.plan.start),
            batch.column(self.groups.plan.is_final).as_boolean(),
        );
        if starts.null_count() == 0 || finals.false_count() == 0 {
            return Ok(batch);
        }
        let complete = BooleanArray::from_iter(
            (0..batch.num_rows()).map(|row| Some(starts.is_valid(row) || finals.value(row))),
        );
        filter_record_batch(&batch, &complete)
    }

    /// Publishes rows: each with its values, and its group's totals, shares squared and summed, and
    /// largest shares, by measure.
    fn leave(
        &self,
        watermark: i64,
        said: &[(&Member, &Figures)],
        close: &EpochClose,
    ) -> Result<(RecordBatch, Vec<Unfit>), ArrowError> {
        let parser = self.groups.rows.parser();
        let mut columns = self
            .groups
            .rows
            .convert_rows(said.iter().map(|(member, _)| parser.parse(&member.row)))?;
        let ends = columns[self.groups.plan.end]
            .as_primitive::<TimestampMicrosecondType>()
            .values()
            .clone();
        let [revision, is_final, complete] = self.groups.plan.set;
        let number = i64::try_from(close.epoch.0).unwrap_or(i64::MAX);
        columns[revision] = Arc::new(Int64Array::from(vec![number; said.len()]));
        columns[is_final] =
            Arc::new(BooleanArray::from_iter(ends.iter().map(|end| Some(*end <= watermark))));
        let complete_through = (watermark != i64::MIN).then_some(watermark);
        columns[complete] = Arc::new(
            TimestampMicrosecondArray::from(vec![complete_through; said.len()])
                .with_timezone("UTC"),
        );
        let first = self.groups.plan.input.fields().len();
        let mut unfit = Vec::new();
        for (at, (function, measure, data_type)) in self.groups.plan.shown.iter().enumerate() {
            let unit = self.groups.plan.units[*measure];
            let share = |value: Option<i128>, figures: &Figures| {
                figures.totals[*measure].share(unit, value?)
            };
            let floats = |of: &dyn Fn(&(&Member, &Figures)) -> Option<f64>| {
                Arc::new(said.iter().map(of).collect::<Float64Array>()) as ArrayRef
            };
            columns.push(match function {
                ShareFunction::Share => {
                    floats(&|(member, figures)| share(member.values[*measure], figures))
                }
                ShareFunction::Hhi => floats(&|(_, figures)| figures.hhi[*measure]),
                ShareFunction::Top => floats(&|(_, figures)| {
                    figures.top[*measure].and_then(|top| share(Some(top), figures))
                }),
                ShareFunction::Total => {
                    let name = self.groups.plan.output.field(first + at).name();
                    let mut fitting = |(row, (_, figures)): (usize, &(&Member, &Figures))| {
                        let total = figures.totals[*measure].fitting(data_type);
                        total
                            .map_err(|digits| unfit.push(Unfit::sum(row, name, &digits, data_type)))
                            .ok()
                    };
                    let totals = said.iter().enumerate();
                    match data_type {
                        DataType::Int64 => Arc::new(
                            totals
                                .map(|row| fitting(row).map(|total| total as i64))
                                .collect::<Int64Array>(),
                        ),
                        DataType::Float64 => {
                            floats(&|(_, figures)| Some(figures.totals[*measure].to_float(unit)))
                        }
                        _ => Arc::new(
                            totals
                                .map(fitting)
                                .collect::<Decimal128Array>()
                                .with_data_type(data_type.clone()),
                        ),
                    }
                }
            });
        }
        Ok((RecordBatch::try_new(Arc::clone(&self.groups.plan.output), columns)?, unfit))
    }

    fn publish(
        &mut self,
        watermark: i64,
        close: &EpochClose,
        out: &mut Output,
    ) -> Result<(), ArrowError> {
        let changed: Vec<&Group> =
            self.groups.touched.iter().filter_map(|n| self.groups.groups.get(n)).collect();
        let figures: Vec<Figures> =
            changed.iter().map(|group| Figures::of(group, &self.groups.plan.units)).collect();
        let mut said: Vec<(&Member, &Figures)> = Vec::new();
        for (group, figures) in changed.iter().zip(&figures) {
            // With equal totals the group's other rows keep their shares and totals; its other
            // figures may change all the same, and then all its rows are published.
            let is_alone = self.groups.plan.shown.iter().all(|(function, ..)| {
                matches!(function, ShareFunction::Share | ShareFunction::Total)
            }) && group.before.as_ref() == Some(&figures.totals);
            let members = group
                .members
                .iter()
                .filter(|(member, _)| !is_alone || group.changed.contains(*member));
            said.extend(members.map(|(_, member)| (member, figures)));
        }
        let left = said
            .chunks(BATCH_ROWS)
            .map(|said| self.leave(watermark, said, close))
            .collect::<Result<Vec<_>, _>>()?;
        for (batch, unfit) in left {
            self.dead.unfit(&batch, &unfit, out)?;
            out.push(batch);
        }
        Ok(())
    }
}

/// What a group's rows have in common, by measure.
struct Figures {
    totals: Vec<Sum>,
    hhi: Vec<Option<f64>>,
    /// The largest value.
    top: Vec<Option<i128>>,
}

impl Figures {
    fn of(group: &Group, units: &[Unit]) -> Self {
        let totals = group.totals(units);
        let measures = units.len();
        let values = |measure: usize| {
            group.members.values().filter_map(move |member| member.values[measure])
        };
        // Smallest first, so that the sum of floats is the same whatever the members are called.
        let hhi = |measure: usize| {
            let shares = values(measure).map(|value| totals[measure].share(units[measure], value));
            // None where the total is 0.
            let mut squares: Vec<f64> =
                shares.map(|share| share.map(|share| share.powi(2))).collect::<Option<_>>()?;
            squares.sort_by(f64::total_cmp);
            (totals[measure].to_float(units[measure]) != 0.0).then(|| squares.iter().sum())
        };
        Self {
            hhi: (0..measures).map(hhi).collect(),
            top: (0..measures).map(|measure| values(measure).max()).collect(),
            totals,
        }
    }
}

impl KeyedStep for Shares {
    type Kept = Groups;

    fn plan(&self) -> KeyedPlan<'_> {
        KeyedPlan {
            id: &self.groups.plan.spec.step_id,
            input: &self.groups.plan.input,
            output: &self.groups.plan.output,
            key: &self.groups.plan.group,
        }
    }

    /// The shares themselves are worked out from the rows that are kept.
    fn meaning(&self) -> Shape {
        let plan = &self.groups.plan;
        let spec = &plan.spec;
        Shape::new("shares")
            .fact("columns", named_fields(&plan.input).join(", "))
            .fact("of", spec.of.join(", "))
            .fact("by", spec.by.join(", "))
    }

    fn reads(&self) -> Vec<usize> {
        (0..self.groups.plan.input.fields().len()).collect()
    }

    fn kept(&self) -> &Self::Kept {
        &self.groups
    }

    fn kept_mut(&mut self) -> &mut Self::Kept {
        &mut self.groups
    }

    fn on_batch(
        &mut self,
        _watermark: i64,
        batch: RecordBatch,
        _out: &mut Output,
    ) -> Result<(), OperatorError> {
        let batch = self.complete(batch).map_err(|e| self.arrow(e))?;
        self.groups.gather(&batch).map_err(|e| self.arrow(e))
    }

    fn on_close(
        &mut self,
        (_, after): (i64, i64),
        close: &EpochClose,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        self.publish(after, close, out).map_err(|e| self.arrow(e))
    }
}
