//! Adds up rows on the worker where they are, before they are routed to the workers of their keys:
//! only a batch's totals travel, and a hot key does not load one worker with all its rows.

use super::gate::Gate;
use super::panes::Panes;
use super::spec::OnInput;
use super::totals::Totals;
use crate::keyed::columns::decimals;
use crate::keyed::encode::encode;
use crate::keyed::keys::NumberedKeys;
use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::datatypes::{
    DataType, Decimal128Type, Field, Int64Type, Schema, SchemaRef, TimestampMicrosecondType,
    UInt32Type,
};
use arrow::error::ArrowError;
use riskstream_engine::contract::{
    EpochClose, Operator, OperatorError, Output, SavedState, Shape, StateBatch, TOTALS,
};
use riskstream_engine::history::Chunk;
use riskstream_engine::ids::{Epoch, Ownership};
use std::collections::HashMap;
use std::sync::Arc;

/// A batch is worth adding up when it has at least this many rows per row of totals.
const WORTH_ROWS: usize = 4;
/// Batches that go on as they are after one that was not worth it.
const BATCHES_AS_THEY_ARE: u32 = 63;
/// Keys that are remembered from batch to batch, at most.
const KEYS_MAX: usize = 1 << 16;

/// Adds up each batch for itself. The totals of a batch are a row per kind of windows, pane and
/// key: the key's columns, the number of the kind, the pane's start, then the counts and the wide
/// lanes of the [`super::totals::Layout`].
#[derive(Debug)]
pub(super) struct Combiner {
    plan: OnInput,
    fields: Vec<Field>,
    keys: NumberedKeys,
    panes: Vec<Panes>,
    gate: Gate,
    schema: SchemaRef,
    /// Batches that still go on as they are.
    as_they_are: u32,
}

impl Combiner {
    /// Of a step whose key columns are `fields`; `panes` are of its kinds of windows, without rows.
    pub(super) fn new(
        plan: &OnInput,
        fields: &[Field],
        panes: Vec<Panes>,
        gate: Gate,
    ) -> Result<Self, ArrowError> {
        let integer = |name: String| Field::new(name, DataType::Int64, false);
        let mut columns = fields.to_vec();
        columns.push(Field::new("kind", DataType::UInt32, false));
        columns.push(integer("start".into()));
        columns.extend((0..plan.layout.counts).map(|lane| integer(format!("count{lane}"))));
        columns.extend(
            (0..plan.layout.wides.len())
                .map(|lane| Field::new(format!("wide{lane}"), DataType::Decimal128(38, 0), false)),
        );
        let schema =
            Schema::new(columns).with_metadata(HashMap::from([(TOTALS.to_owned(), String::new())]));
        let (plan, fields) = (plan.clone(), fields.to_vec());
        Ok(Self {
            keys: NumberedKeys::new(&fields)?,
            plan,
            fields,
            panes,
            gate,
            schema: Arc::new(schema),
            as_they_are: 0,
        })
    }

    fn arrow(&self, source: ArrowError) -> OperatorError {
        OperatorError::Arrow { step: self.plan.spec.step_id.clone(), source }
    }

    /// The totals of a batch's rows; none where one does not fit 128 bits.
    fn combine(&mut self, batch: &RecordBatch) -> Result<Option<RecordBatch>, ArrowError> {
        if self.keys.len() > KEYS_MAX {
            self.keys = NumberedKeys::new(&self.fields)?;
        }
        let by: Vec<_> =
            self.plan.by.iter().map(|index| Arc::clone(batch.column(*index))).collect();
        let rows = Chunk {
            keys: self.keys.number(&by)?,
            times: batch
                .column(self.plan.time)
                .as_primitive::<TimestampMicrosecondType>()
                .values()
                .to_vec(),
            columns: encode(batch, &self.plan.kept)?,
        };
        let times = self
            .plan
            .diff
            .map(|index| &batch.column(index).as_primitive::<Int64Type>().values()[..]);
        self.panes.iter_mut().for_each(|panes| panes.add(&self.plan.layout, &rows, times));
        if self
            .panes
            .iter()
            .flat_map(|panes| panes.panes.values())
            .any(|pane| pane.totals.is_beside())
        {
            self.panes.iter_mut().for_each(|panes| _ = panes.take());
            return Ok(None);
        }
        self.totals().map(Some)
    }

    /// What was added up, which is forgotten.
    fn totals(&mut self) -> Result<RecordBatch, ArrowError> {
        let layout = &self.plan.layout;
        let (mut keys, mut kinds, mut starts) = (Vec::new(), Vec::new(), Vec::new());
        let mut counts = vec![Vec::new(); layout.counts];
        let mut wides = vec![Vec::new(); layout.wides.len()];
        for (kind, panes) in (0_u32..).zip(&mut self.panes) {
            for (start, pane) in panes.take() {
                for (slot, key) in pane.keys.iter().enumerate() {
                    keys.push(*key);
                    kinds.push(kind);
                    starts.push(start);
                    counts
                        .iter_mut()
                        .zip(pane.totals.counts_of(layout, slot))
                        .for_each(|(to, from): (&mut Vec<i64>, _)| to.push(*from));
                    wides
                        .iter_mut()
                        .zip(pane.totals.wides_of(layout, slot))
                        .for_each(|(to, from): (&mut Vec<i128>, _)| to.push(*from));
                }
            }
        }
        let mut columns = self.keys.columns(&keys)?;
        columns.push(Arc::new(UInt32Array::from(kinds)));
        columns.push(Arc::new(Int64Array::from(starts)));
        columns.extend(counts.into_iter().map(|lane| Arc::new(Int64Array::from(lane)) as ArrayRef));
        columns.extend(wides.into_iter().map(decimals));
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

impl Operator for Combiner {
    fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn shape(&self) -> Option<Shape> {
        None
    }

    fn restore(
        &mut self,
        _saved: &SavedState,
        _worker: usize,
        _ownership: Ownership,
    ) -> Result<(), OperatorError> {
        Ok(())
    }

    fn on_batch(
        &mut self,
        _epoch: Epoch,
        batch: RecordBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let batch = self.gate.kept(batch, out).map_err(|e| self.arrow(e))?;
        if self.as_they_are > 0 {
            self.as_they_are -= 1;
            out.push(batch);
            return Ok(());
        }
        let Some(totals) = self.combine(&batch).map_err(|e| self.arrow(e))? else {
            self.as_they_are = BATCHES_AS_THEY_ARE;
            out.push(batch);
            return Ok(());
        };
        if totals.num_rows() * WORTH_ROWS > batch.num_rows() {
            self.as_they_are = BATCHES_AS_THEY_ARE;
        }
        out.push(totals);
        Ok(())
    }

    fn on_close(&mut self, close: &EpochClose, _out: &mut Output) -> Result<(), OperatorError> {
        self.gate.watermark = close.watermark.0.max(self.gate.watermark);
        Ok(())
    }

    fn changes(&mut self, _close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        Ok(Vec::new())
    }

    fn snapshot(&mut self, _close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        Ok(Vec::new())
    }
}

/// Totals that came from a [`Combiner`].
pub(super) struct Combined<'a> {
    /// Columns of the keys.
    pub(super) by: &'a [ArrayRef],
    pub(super) kinds: &'a [u32],
    pub(super) starts: &'a [i64],
    /// A slot per row.
    pub(super) totals: Totals,
}

impl<'a> Combined<'a> {
    /// The totals of a batch; none when it holds rows.
    pub(super) fn of(plan: &OnInput, batch: &'a RecordBatch) -> Result<Option<Self>, ArrowError> {
        if !batch.schema_ref().metadata().contains_key(TOTALS) {
            return Ok(None);
        }
        let wrong = || {
            ArrowError::SchemaError(format!(
                "totals have other columns than the step: {:?}",
                batch.schema_ref().fields()
            ))
        };
        Self::taken_apart(plan, batch).map(Some).ok_or_else(wrong)
    }

    fn taken_apart(plan: &OnInput, batch: &'a RecordBatch) -> Option<Self> {
        let (by, rest) = batch.columns().split_at_checked(plan.by.len())?;
        let [kinds, starts, lanes @ ..] = rest else { return None };
        let (counts, wides) = lanes.split_at_checked(plan.layout.counts)?;
        let counts = counts
            .iter()
            .map(|lane| lane.as_primitive_opt::<Int64Type>())
            .collect::<Option<Vec<_>>>()?;
        let wides = wides
            .iter()
            .map(|lane| lane.as_primitive_opt::<Decimal128Type>())
            .collect::<Option<Vec<_>>>()?;
        let mut totals = Totals::default();
        for row in 0..batch.num_rows() {
            totals.push_of(
                &plan.layout,
                counts.iter().map(|lane| lane.value(row)),
                wides.iter().map(|lane| lane.value(row)),
            );
        }
        let kinds = kinds.as_primitive_opt::<UInt32Type>()?.values();
        Some(Self { by, kinds, starts: starts.as_primitive_opt::<Int64Type>()?.values(), totals })
    }
}
