//! The step as an operator: rows are added up as they come, windows leave when an epoch closes.

use super::combiner::{Combined, Combiner};
use super::gate::Gate;
use super::moment::Moment;
use super::panes::Panes;
use super::publish::Publisher;
use super::sessions::Sessions;
use super::since::Since;
use super::spec::{Extent, OnInput, Pieces, WindowsSpec};
use crate::keyed::encode::encode;
use crate::keyed::keys::NumberedKeys;
use crate::periods::Every;
use crate::step_error::StepError;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Field, Int64Type, Schema, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use riskstream_engine::contract::{
    EpochClose, Feed, Operator, OperatorError, Output, Routing, SavedState, Shape, StateBatch,
};
use riskstream_engine::history::Chunk;
use riskstream_engine::ids::{Epoch, EventTime, Ownership};
use std::sync::Arc;

/// Rows added up per key and window. See the [module documentation](super).
#[derive(Debug)]
pub struct WindowsOperator {
    pub(super) plan: OnInput,
    pub(super) keys: NumberedKeys,
    /// Of the kinds of windows that have steps.
    pub(super) panes: Vec<Panes>,
    /// Of the other kinds.
    pub(super) sessions: Vec<Sessions>,
    publisher: Publisher,
    pub(super) gate: Gate,
    pub(super) since: Since,
    pub(super) input: SchemaRef,
    pub(super) feed: Feed,
    /// The last close's; `i64::MIN` before the first.
    pub(super) watermark: i64,
    /// Rows came since the input ended last, when open windows were published.
    pub(super) is_moved: bool,
}

fn key_fields(plan: &OnInput, input: &Schema) -> Vec<Field> {
    plan.by.iter().map(|index| input.field(*index).clone()).collect()
}

impl WindowsOperator {
    /// A step with empty state.
    ///
    /// # Errors
    /// When the step does not fit the input.
    pub fn new(spec: WindowsSpec, input: &Schema) -> Result<Self, StepError> {
        let plan = OnInput::new(spec, input)?;
        let fields = key_fields(&plan, input);
        let keys = NumberedKeys::new(&fields).map_err(|_| StepError::WrongType {
            column: plan.spec.by.join(", "),
            found: fields
                .first()
                .map_or(arrow::datatypes::DataType::Null, |f| f.data_type().clone()),
            role: "a key is a number, a text, a time or a truth value",
        })?;
        let gate = Gate::new(&plan.spec, input, plan.time, i64::MIN)?;
        let (mut panes, mut sessions) = (Vec::new(), Vec::new());
        for kind in &plan.spec.windows {
            match kind.extent {
                Extent::Steps { step, count } => {
                    panes.push(Panes::new(&kind.label, step, Some(count)))
                }
                Extent::Always { step } => panes.push(Panes::new(&kind.label, step, None)),
                Extent::Session { gap } => sessions.push(Sessions::new(&kind.label, gap)),
            }
        }
        Ok(Self {
            keys,
            panes,
            sessions,
            publisher: Publisher::new(&plan)?,
            gate,
            since: Since::new(&plan.pieces),
            input: Arc::new(input.clone()),
            feed: Feed::default(),
            watermark: i64::MIN,
            is_moved: false,
            plan,
        })
    }

    /// Sets what feeds the step, as far as the meaning of its state depends on it.
    #[must_use]
    pub fn fed_by(mut self, feed: Feed) -> Self {
        self.plan.pieces = Pieces::new(
            &self.plan.kept,
            &self.plan.layout,
            &self.plan.spec.windows,
            &self.input,
            &feed,
        );
        self.since = Since::new(&self.plan.pieces);
        self.feed = feed;
        self
    }

    pub(super) fn arrow(&self, source: ArrowError) -> OperatorError {
        OperatorError::Arrow { step: self.plan.spec.step_id.clone(), source }
    }

    /// Forgets panes that nothing needs. What changed in them must have been saved.
    pub(super) fn prune(&mut self) {
        // Windows that were given up under a shorter `keep` stay given up: a key that was forgotten
        // then may have lost its number to another key.
        let gone = self.watermark.saturating_sub(self.plan.spec.keep).max(self.gate.gone());
        self.panes.iter_mut().for_each(|panes| panes.prune(&self.plan.layout, gone));
        self.sessions.iter_mut().for_each(|sessions| sessions.prune(gone));
    }

    /// Forgets keys that have neither rows in any pane nor sessions. To be called at a snapshot,
    /// before it is saved.
    fn forget(&mut self) {
        let mut living = vec![false; self.keys.len()];
        self.panes.iter().for_each(|panes| panes.mark_living(&mut living));
        self.sessions.iter().for_each(|sessions| sessions.mark_living(&mut living));
        let Some(moved) = self.keys.forget(&living) else { return };
        self.panes.iter_mut().for_each(|panes| panes.renumber(&moved));
        self.sessions.iter_mut().for_each(|sessions| sessions.renumber(&self.plan.layout, &moved));
        self.publisher.forget(self.keys.len());
    }

    /// Adds totals that a [`Combiner`] has made.
    fn add_totals(&mut self, combined: &Combined<'_>) -> Result<(), ArrowError> {
        let keys = self.keys.number(combined.by)?;
        self.since.saw(self.newest_of(combined));
        for (row, ((key, start), kind)) in
            keys.into_iter().zip(combined.starts).zip(combined.kinds).enumerate()
        {
            let panes = self.panes.get_mut(*kind as usize);
            let panes = panes.ok_or_else(|| {
                ArrowError::SchemaError(format!(
                    "totals of windows number {kind}, which the step has not"
                ))
            })?;
            panes.add_totals(&self.plan.layout, (*start, key), &combined.totals, row);
        }
        Ok(())
    }

    /// An upper bound of the event times of the rows in these totals.
    fn newest_of(&self, combined: &Combined<'_>) -> Option<i64> {
        let newest = |kind: usize, step: Every| {
            let starts = combined
                .kinds
                .iter()
                .zip(combined.starts)
                .filter(|(number, _)| **number as usize == kind);
            starts.map(|(_, start)| step.advance(*start, 1).saturating_sub(1)).max()
        };
        // Every row is in a pane of each kind, so each kind gives a bound; the smallest is the
        // closest.
        self.panes.iter().enumerate().filter_map(|(kind, panes)| newest(kind, panes.step)).min()
    }

    fn take_in(&mut self, batch: &RecordBatch) -> Result<Chunk, ArrowError> {
        let by: Vec<_> =
            self.plan.by.iter().map(|index| Arc::clone(batch.column(*index))).collect();
        Ok(Chunk {
            keys: self.keys.number(&by)?,
            times: batch
                .column(self.plan.time)
                .as_primitive::<TimestampMicrosecondType>()
                .values()
                .to_vec(),
            columns: encode(batch, &self.plan.kept)?,
        })
    }
}

impl Operator for WindowsOperator {
    fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.plan.output)
    }

    fn routing(&self) -> Routing {
        Routing::ByKey(self.plan.by.clone())
    }

    fn combiner(&self) -> Option<Box<dyn Operator>> {
        if !self.sessions.is_empty() {
            return None;
        }
        let panes = self
            .panes
            .iter()
            .map(|panes| Panes::new(&panes.label, panes.step, panes.count))
            .collect();
        let mut gate =
            Gate::new(&self.plan.spec, &self.input, self.plan.time, self.watermark).ok()?;
        gate.restore(Some(self.gate.gone()));
        Some(Box::new(
            Combiner::new(&self.plan, &key_fields(&self.plan, &self.input), panes, gate).ok()?,
        ))
    }

    fn shape(&self) -> Option<Shape> {
        Some(self.plan.meaning(&self.input, &self.feed))
    }

    fn restore(
        &mut self,
        saved: &SavedState,
        worker: usize,
        ownership: Ownership,
    ) -> Result<(), OperatorError> {
        self.restore_saved(saved, worker, ownership)
    }

    fn begin_after(&mut self, seen: EventTime) {
        self.since.begin_after(seen.0);
    }

    fn on_batch(
        &mut self,
        _epoch: Epoch,
        batch: RecordBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        if let Some(combined) = Combined::of(&self.plan, &batch).map_err(|e| self.arrow(e))? {
            self.is_moved |= batch.num_rows() > 0;
            return self.add_totals(&combined).map_err(|e| self.arrow(e));
        }
        self.gate.watermark = self.watermark;
        let batch = self.gate.kept(batch, out).map_err(|e| self.arrow(e))?;
        let rows = self.take_in(&batch).map_err(|e| self.arrow(e))?;
        self.is_moved |= !rows.is_empty();
        self.since.saw(rows.times.iter().copied().max());
        let times = self
            .plan
            .diff
            .map(|index| &batch.column(index).as_primitive::<Int64Type>().values()[..]);
        for panes in &mut self.panes {
            panes.add(&self.plan.layout, &rows, times);
        }
        for sessions in &mut self.sessions {
            sessions.add(&self.plan.layout, &rows);
        }
        Ok(())
    }

    fn on_close(&mut self, close: &EpochClose, out: &mut Output) -> Result<(), OperatorError> {
        let moment = Moment {
            before: self.watermark,
            now: close.watermark.0.max(self.watermark),
            open_too: close.last && self.is_moved,
            revision: i64::try_from(close.epoch.0).unwrap_or(i64::MAX),
        };
        let (mut panes, mut sessions) = (self.panes.iter_mut(), self.sessions.iter_mut());
        for (number, kind) in self.plan.spec.windows.iter().enumerate() {
            let published = if let Extent::Session { .. } = kind.extent
                && let Some(sessions) = sessions.next()
            {
                self.publisher.publish_sessions(
                    (&self.plan, &self.since),
                    &self.keys,
                    (number, sessions),
                    moment,
                    out,
                )
            } else if let Some(panes) = panes.next() {
                self.publisher.publish(
                    (&self.plan, &self.since),
                    &self.keys,
                    (number, panes),
                    moment,
                    out,
                )
            } else {
                Ok(())
            };
            published.map_err(|source| OperatorError::Arrow {
                step: self.plan.spec.step_id.clone(),
                source,
            })?;
        }
        self.is_moved &= !close.last;
        self.watermark = moment.now;
        self.gate.watermark = moment.now;
        Ok(())
    }

    fn changes(&mut self, close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        self.save_changes(close).map_err(|e| self.arrow(e))
    }

    fn snapshot(&mut self, _close: &EpochClose) -> Result<Vec<StateBatch>, OperatorError> {
        self.forget();
        self.save_all().map_err(|e| self.arrow(e))
    }

    fn state_bytes(&self) -> usize {
        self.keys.bytes()
            + self.publisher.bytes()
            + self.panes.iter().map(Panes::bytes).sum::<usize>()
            + self.sessions.iter().map(Sessions::bytes).sum::<usize>()
    }
}
