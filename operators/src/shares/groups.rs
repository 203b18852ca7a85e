//! The groups that a step keeps, and how they are saved.
//!
//! Changes of an epoch: its new groups (`keys`, `values`), and the rows that it changed as they
//! came (`rows`). A snapshot: the same of all. Taking the rows in again gives the groups again.

use super::spec::OnInput;
use crate::keyed::columns::{at, converter, wrong};
use crate::keyed::encode::encode;
use crate::keyed::keys::NumberedKeys;
use crate::keyed::step::Keep;
use crate::keyed::sums::{Sum, Unit};
use crate::step_error::StepError;
use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Field, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::RowConverter;
use riskstream_engine::contract::{OperatorError, SavedState, StateBatch};
use riskstream_engine::history::ShardSet;
use riskstream_engine::ids::Ownership;
use riskstream_engine::key::{HASH_SEED, hash_keys, shard_of};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The name of the batch of rows.
const ROWS: &str = "rows";

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
    pub(super) changed: BTreeSet<Box<[u8]>>,
    /// The totals before the open epoch.
    pub(super) before: Option<Vec<Sum>>,
}

impl Group {
    pub(super) fn totals(&self, units: &[Unit]) -> Vec<Sum> {
        let mut totals = vec![Sum::default(); units.len()];
        for member in self.members.values() {
            for ((total, unit), value) in totals.iter_mut().zip(units).zip(&member.values) {
                total.add(*unit, value.unwrap_or(0));
            }
        }
        totals
    }
}

/// All groups of a worker.
#[derive(Debug)]
pub struct Groups {
    pub(super) plan: OnInput,
    keys: NumberedKeys,
    /// Between all columns of a row and bytes.
    pub(super) rows: RowConverter,
    /// Between what tells the members of a group apart and bytes.
    members: RowConverter,
    /// By the group's number.
    pub(super) groups: BTreeMap<u32, Group>,
    /// Groups that the epoch changed.
    pub(super) touched: BTreeSet<u32>,
}

impl Groups {
    pub(super) fn new(plan: OnInput) -> Result<Self, StepError> {
        let input = Arc::clone(&plan.input);
        let fields: Vec<Field> =
            plan.group.iter().map(|index| input.field(*index).clone()).collect();
        let keys = NumberedKeys::new(&fields).map_err(|_| StepError::WrongType {
            column: plan.spec.of.join(", "),
            found: fields.first().map_or(DataType::Null, |f| f.data_type().clone()),
            role: "a key is a number, a text, a time or a truth value",
        })?;
        let all: Vec<usize> = (0..input.fields().len()).collect();
        let own: Vec<usize> = plan.by.iter().copied().chain([plan.end]).collect();
        let role = "a window's columns hold plain values";
        Ok(Self {
            rows: converter(&all, &input, role)?,
            members: converter(&own, &input, role)?,
            keys,
            groups: BTreeMap::new(),
            touched: BTreeSet::new(),
            plan,
        })
    }

    fn arrow(&self, source: ArrowError) -> OperatorError {
        OperatorError::Arrow { step: self.plan.spec.step_id.clone(), source }
    }

    pub(super) fn gather(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let groups = self.keys.number(&at(batch, &self.plan.group))?;
        let own: Vec<usize> = self.plan.by.iter().copied().chain([self.plan.end]).collect();
        let members = self.members.convert_columns(&at(batch, &own))?;
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

    /// Forgets which groups and members changed.
    fn forget_changes(&mut self) {
        for number in std::mem::take(&mut self.touched) {
            if let Some(group) = self.groups.get_mut(&number) {
                group.changed.clear();
                group.before = None;
            }
        }
    }

    /// Forgets groups that can't change any more.
    fn prune(&mut self, watermark: i64) {
        let gone = watermark.saturating_sub(self.plan.spec.keep);
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

    /// The rows of members: those of all groups, or of those that changed.
    fn saved_members(&self, only_changed: bool) -> Vec<&Member> {
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

    fn members_saved(&self, only_changed: bool) -> Result<StateBatch, ArrowError> {
        let parser = self.rows.parser();
        let members = self.saved_members(only_changed);
        let columns =
            self.rows.convert_rows(members.iter().map(|member| parser.parse(&member.row)))?;
        Ok(StateBatch::new(ROWS, RecordBatch::try_new(Arc::clone(&self.plan.input), columns)?))
    }

    fn restore_rows(
        &mut self,
        rows: &RecordBatch,
        worker: usize,
        ownership: Ownership,
    ) -> Result<(), ArrowError> {
        if rows.num_columns() != self.plan.input.fields().len() {
            return Err(wrong(ROWS));
        }
        let group = at(rows, &self.plan.group);
        let mut hashes = Vec::new();
        hash_keys(&group, HASH_SEED, &mut hashes)?;
        let own = (0u32..)
            .zip(&hashes)
            .filter(|(_, hash)| ownership.worker_of(shard_of(**hash)) == worker);
        let own = UInt32Array::from_iter_values(own.map(|(row, _)| row));
        let rows = RecordBatch::try_new(Arc::clone(&self.plan.input), rows.columns().to_vec())?;
        self.gather(&take_record_batch(&rows, &own)?)
    }
}

impl Keep for Groups {
    fn save_changes(&mut self) -> Result<Vec<StateBatch>, OperatorError> {
        let mut out = self.keys.save_new().map_err(|e| self.arrow(e))?;
        if !self.touched.is_empty() {
            out.push(self.members_saved(true).map_err(|e| self.arrow(e))?);
        }
        Ok(out)
    }

    fn saved(&mut self, watermark: i64) {
        self.forget_changes();
        self.prune(watermark);
    }

    fn save_all(&mut self) -> Result<Vec<StateBatch>, OperatorError> {
        self.forget();
        let mut out = self.keys.save_all().map_err(|e| self.arrow(e))?;
        out.push(self.members_saved(false).map_err(|e| self.arrow(e))?);
        Ok(out)
    }

    fn restore(
        &mut self,
        saved: &SavedState,
        worker: usize,
        ownership: Ownership,
        watermark: i64,
    ) -> Result<(), OperatorError> {
        let shards = ShardSet::owned(worker, ownership);
        self.keys.restore(saved, &shards).map_err(|e| self.arrow(e))?;
        for rows in saved.named(ROWS) {
            self.restore_rows(rows, worker, ownership).map_err(|e| self.arrow(e))?;
        }
        self.forget_changes();
        self.prune(watermark);
        Ok(())
    }

    fn bytes(&self) -> usize {
        let member = |key: &[u8], member: &Member| {
            key.len() + member.row.len() + member.values.len() * 32 + 64
        };
        let group = |group: &Group| {
            96 + group.members.iter().map(|(key, kept)| member(key, kept)).sum::<usize>()
        };
        self.keys.bytes() + self.groups.values().map(group).sum::<usize>()
    }
}
