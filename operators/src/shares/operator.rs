//! The step as an operator: rows are gathered as they come, groups leave when an epoch closes.

use super::spec::{Plan, ShareFunction, SharesSpec};
use crate::dead_rows::{DeadRows, Unfit};
use crate::keyed::encode::encode;
use crate::keyed::keys::Keys;
use crate::keyed::sums::{Sum, Unit};
use crate::step_error::StepError;
use crate::windows::WINDOW_END;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    TimestampMicrosecondArray,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use riskstream_engine::contract::{
    EpochClose, Feed, Operator, OperatorError, Output, Routing, SavedState, Shape, StateBatch,
};
use riskstream_engine::ids::{Epoch, Ownership};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Rows of a batch that leaves.
const BATCH_ROWS: usize = 16_384;

/// A row of a group.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// All its columns.
    pub(super) row: Box<[u8]>,
    /// Its measures; null counts as 0 in the total.
    pub(super) values: Box<[Option<i128>]>,
}

/// The rows of one window that are equal in `of`.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    pub(super) end: i64,
    /// By the key of the `aggregate` step.
    pub(super) members: BTreeMap<Box<[u8]>, Member>,
    /// Members that the open epoch changed.
    changed: BTreeSet<Box<[u8]>>,
    /// The totals before the open epoch.
    before: Option<Vec<Sum>>,
}

impl Group {
    fn totals(&self, units: &[Unit]) -> Vec<Sum> {
        let mut totals = vec![Sum::default(); units.len()];
        for member in self.members.values() {
            for ((total, unit), value) in totals.iter_mut().zip(units).zip(&member.values) {
                total.add(*unit, value.unwrap_or(0));
            }
        }
        totals
    }
}

/// Shares of groups. See the [module documentation](super).
#[derive(Debug)]
pub struct SharesOperator {
    pub(super) plan: Plan,
    pub(super) keys: Keys,
    pub(super) rows: RowConverter,
    pub(super) members: RowConverter,
    /// By the group's number.
    pub(super) groups: BTreeMap<u32, Group>,
    /// Groups that the epoch changed.
    pub(super) touched: BTreeSet<u32>,
    pub(super) feed: Feed,
    pub(super) watermark: i64,
    /// What is said of totals that don't fit.
    dead: DeadRows,
}

impl SharesOperator {
    /// A step with no groups.
    ///
    /// # Errors
    /// When the step does not fit the input.
    pub fn new(spec: SharesSpec, input: &SchemaRef) -> Result<Self, StepError> {
        let plan = Plan::new(spec, input)?;
        let converter = |columns: &[usize]| {
            let fields = columns
                .iter()
                .map(|index| SortField::new(input.field(*index).data_type().clone()))
                .collect();
            let column = columns.first().map(|index| input.field(*index));
            RowConverter::new(fields).map_err(|_| StepError::WrongType {
                column: column.map(|c| c.name().clone()).unwrap_or_default(),
                found: column.map_or(DataType::Null, |c| c.data_type().clone()),
                role: "a window's columns hold plain values",
            })
        };
        let fields: Vec<Field> =
            plan.group.iter().map(|index| input.field(*index).clone()).collect();
        let keys = Keys::new(&fields).map_err(|_| StepError::WrongType {
            column: plan.spec.of.join(", "),
            found: fields.first().map_or(DataType::Null, |f| f.data_type().clone()),
            role: "a key is a number, a text, a time or a truth value",
        })?;
        let all: Vec<usize> = (0..input.fields().len()).collect();
        let own: Vec<usize> = plan.by.iter().copied().chain([plan.end]).collect();
        let mut dead = DeadRows::new(&plan.spec.step_id, &plan.output);
        dead.set_event_time(WINDOW_END, &plan.output)?;
        Ok(Self {
            dead,
            rows: converter(&all)?,
            members: converter(&own)?,
            keys,
            groups: BTreeMap::new(),
            touched: BTreeSet::new(),
            feed: Feed::default(),
            watermark: i64::MIN,
            plan,
        })
    }

    /// With what feeds it, as far as the meaning of its state depends on it.
    #[must_use]
    pub fn fed_by(mut self, feed: Feed) -> Self {
        self.feed = feed;
        self
    }

    pub(super) fn arrow(&self, source: ArrowError) -> OperatorError {
        OperatorError::Arrow { step: self.plan.spec.step_id.clone(), source }
    }

    /// Without the rows of windows without a start that are not final.
    fn complete(&self, batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
        let (starts, finals) =
            (batch.column(self.plan.start), batch.column(self.plan.is_final).as_boolean());
        if starts.null_count() == 0 || finals.false_count() == 0 {
            return Ok(batch);
        }
        let complete = BooleanArray::from_iter(
            (0..batch.num_rows()).map(|row| Some(starts.is_valid(row) || finals.value(row))),
        );
        filter_record_batch(&batch, &complete)
    }

    pub(super) fn gather(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let columns = |indices: &[usize]| {
            indices.iter().map(|index| Arc::clone(batch.column(*index))).collect::<Vec<ArrayRef>>()
        };
        let groups = self.keys.number(&columns(&self.plan.group))?;
        let own: Vec<usize> = self.plan.by.iter().copied().chain([self.plan.end]).collect();
        let members = self.members.convert_columns(&columns(&own))?;
        let rows = self.rows.convert_columns(batch.columns())?;
        let values = encode(batch, &self.plan.measures)?;
        let ends = batch.column(self.plan.end).as_primitive::<TimestampMicrosecondType>();
        for (row, number) in groups.into_iter().enumerate() {
            let group = self.groups.entry(number).or_default();
            if group.before.is_none() {
                group.before = Some(group.totals(&self.plan.units));
            }
            group.end = ends.value(row);
            let member: Box<[u8]> = members.row(row).as_ref().into();
            let values = values
                .iter()
                .map(|column| (!column.is_null(row)).then(|| column.value(row)))
                .collect();
            group
                .members
                .insert(member.clone(), Member { row: rows.row(row).as_ref().into(), values });
            group.changed.insert(member);
            self.touched.insert(number);
        }
        Ok(())
    }

    /// Publishes rows: each with its values, and its group's totals, shares squared and summed, and
    /// largest shares, by measure.
    fn leave(
        &self,
        said: &[(&Member, &Figures)],
        close: &EpochClose,
    ) -> Result<(RecordBatch, Vec<Unfit>), ArrowError> {
        let parser = self.rows.parser();
        let mut columns =
            self.rows.convert_rows(said.iter().map(|(member, _)| parser.parse(&member.row)))?;
        let ends =
            columns[self.plan.end].as_primitive::<TimestampMicrosecondType>().values().clone();
        let [revision, is_final, complete] = self.plan.set;
        let number = i64::try_from(close.epoch.0).unwrap_or(i64::MAX);
        columns[revision] = Arc::new(Int64Array::from(vec![number; said.len()]));
        columns[is_final] =
            Arc::new(BooleanArray::from_iter(ends.iter().map(|end| Some(*end <= self.watermark))));
        let watermark = (self.watermark != i64::MIN).then_some(self.watermark);
        columns[complete] = Arc::new(
            TimestampMicrosecondArray::from(vec![watermark; said.len()]).with_timezone("UTC"),
        );
        let first = self.plan.input.fields().len();
        let mut unfit = Vec::new();
        for (at, (function, measure, data_type)) in self.plan.shown.iter().enumerate() {
            let unit = self.plan.units[*measure];
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
                    let name = self.plan.output.field(first + at).name();
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
        Ok((RecordBatch::try_new(Arc::clone(&self.plan.output), columns)?, unfit))
    }

    fn publish(&mut self, close: &EpochClose, out: &mut Output) -> Result<(), ArrowError> {
        let changed: Vec<&Group> =
            self.touched.iter().filter_map(|number| self.groups.get(number)).collect();
        let figures: Vec<Figures> =
            changed.iter().map(|group| Figures::of(group, &self.plan.units)).collect();
        let mut said: Vec<(&Member, &Figures)> = Vec::new();
        for (group, figures) in changed.iter().zip(&figures) {
            // The others' shares are what they were only if nothing of the group's figures moved,
            // which equal totals alone do not say.
            let is_alone = self.plan.shown.iter().all(|(function, ..)| {
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
            .map(|said| self.leave(said, close))
            .collect::<Result<Vec<_>, _>>()?;
        for (batch, unfit) in left {
            self.dead.unfit(&batch, &unfit, out)?;
            out.push(batch);
        }
        Ok(())
    }

    /// Forgets groups that can't change any more.
    pub(super) fn prune(&mut self) {
        let gone = self.watermark.saturating_sub(self.plan.spec.keep);
        self.groups.retain(|_, group| group.end > gone);
    }

    /// Forgets the keys of groups that are gone. To be called at a snapshot, before it is saved.
    fn forget(&mut self) {
        let mut living = vec![false; self.keys.len()];
        self.groups.keys().for_each(|number| living[*number as usize] = true);
        if let Some(moved) = self.keys.forget(&living) {
            let groups = std::mem::take(&mut self.groups);
            self.groups = groups
                .into_iter()
                .filter_map(|(number, group)| Some((moved.of(number)?, group)))
                .collect();
        }
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

impl Operator for SharesOperator {
    fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.plan.output)
    }

    fn routing(&self) -> Routing {
        Routing::ByKey(self.plan.group.clone())
    }

    fn shape(&self) -> Option<Shape> {
        Some(self.meaning())
    }

    fn restore(
        &mut self,
        saved: &SavedState,
        worker: usize,
        ownership: Ownership,
    ) -> Result<(), OperatorError> {
        self.restore_saved(saved, worker, ownership)
    }

    fn on_batch(
        &mut self,
        _epoch: Epoch,
        batch: RecordBatch,
        _out: &mut Output,
    ) -> Result<(), OperatorError> {
        self.complete(batch).and_then(|batch| self.gather(&batch)).map_err(|e| self.arrow(e))
    }

    fn on_close(&mut self, close: &EpochClose, out: &mut Output) -> Result<(), OperatorError> {
        self.watermark = self.watermark.max(close.watermark.0);
        self.publish(close, out).map_err(|e| self.arrow(e))
    }

    fn changes(&mut self, _close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        let saved = self.save_changes().map_err(|e| self.arrow(e))?;
        for number in std::mem::take(&mut self.touched) {
            if let Some(group) = self.groups.get_mut(&number) {
                group.changed.clear();
                group.before = None;
            }
        }
        self.prune();
        Ok(saved)
    }

    fn snapshot(&mut self, _close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        self.forget();
        self.save_all().map_err(|e| self.arrow(e))
    }

    fn state_bytes(&self) -> usize {
        let member = |key: &[u8], member: &Member| {
            key.len() + member.row.len() + member.values.len() * 32 + 64
        };
        let group = |group: &Group| {
            96 + group.members.iter().map(|(key, kept)| member(key, kept)).sum::<usize>()
        };
        self.keys.bytes() + self.groups.values().map(group).sum::<usize>()
    }
}

impl SharesOperator {
    /// Forgets which members changed, after a restore.
    pub(super) fn settle(&mut self) {
        self.touched.clear();
        for group in self.groups.values_mut() {
            group.changed.clear();
            group.before = None;
        }
    }

    /// The rows of members: those of all groups, or of those that changed.
    pub(super) fn saved_members(&self, only_changed: bool) -> Vec<&Member> {
        let members = |group: &Group| -> Vec<Box<[u8]>> {
            if only_changed {
                group.changed.iter().cloned().collect()
            } else {
                group.members.keys().cloned().collect()
            }
        };
        let groups =
            self.groups.iter().filter(|(number, _)| !only_changed || self.touched.contains(number));
        groups
            .flat_map(|(_, group)| {
                members(group).into_iter().filter_map(|member| group.members.get(&member))
            })
            .collect()
    }
}
