//! Which windows are published at an epoch's close, and the rows that they become.

use super::due::Due;
use super::moment::Moment;
use super::pane::Pane;
use super::panes::Panes;
use super::sessions::Sessions;
use super::since::Since;
use super::spec::{OnInput, Shows, WINDOW_END};
use super::totals::Totals;
use crate::dead_rows::{DeadRows, Unfit};
use crate::keyed::BATCH_ROWS;
use crate::keyed::encode::decode;
use crate::keyed::exact::Exact;
use crate::keyed::keys::NumberedKeys;
use crate::keyed::sums::{Unit, fits, mean};
use crate::step_error::StepError;
use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::nullif;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use hashbrown::HashMap;
use riskstream_engine::contract::Output;
use std::collections::VecDeque;
use std::sync::Arc;

/// Rows on their way out, and room to find a key's row in.
#[derive(Debug)]
pub(super) struct Publisher {
    /// What is said of sums that don't fit.
    dead: DeadRows,
    pub(super) keys: Vec<u32>,
    kinds: Vec<usize>,
    starts: Vec<Option<i64>>,
    ends: Vec<i64>,
    is_final: Vec<bool>,
    pub(super) totals: Totals,
    /// By key: one more than its row among those of the window at hand, or 0.
    pub(super) rows: Vec<u32>,
}

/// What a changed key has in the panes that were looked at, while windows are put together one
/// after the other.
#[derive(Debug, Default)]
struct Found {
    /// The number of the first pane that was not looked at.
    next: usize,
    /// The number of a pane, and the key's slot in it.
    slots: VecDeque<(usize, usize)>,
}

impl Publisher {
    /// For a step that publishes such rows.
    pub(super) fn new(plan: &OnInput) -> Result<Self, StepError> {
        let mut dead = DeadRows::new(&plan.spec.step_id, &plan.output);
        dead.set_event_time(WINDOW_END, &plan.output)?;
        Ok(Self {
            dead,
            keys: Vec::new(),
            kinds: Vec::new(),
            starts: Vec::new(),
            ends: Vec::new(),
            is_final: Vec::new(),
            totals: Totals::default(),
            rows: Vec::new(),
        })
    }

    /// Publishes what is due of one kind of windows.
    pub(super) fn publish(
        &mut self,
        (plan, since): (&OnInput, &Since),
        keys: &NumberedKeys,
        (number, panes): (usize, &mut Panes),
        moment: Moment,
        out: &mut Output,
    ) -> Result<(), ArrowError> {
        let Some(count) = panes.count else {
            return self.publish_always((plan, since), keys, (number, panes), moment, out);
        };
        let due = Due::of(
            plan.spec.publish,
            panes,
            (count, since.not_before(number, &plan.spec.windows[number])),
            moment,
        );
        self.rows.resize(keys.len(), 0);
        for (window, is_final) in due
            .finals
            .into_iter()
            .map(|w| (w, true))
            .chain(due.open.into_iter().map(|w| (w, false)))
        {
            let first = self.keys.len();
            let end = panes.step.advance(window, count);
            for pane in panes.panes.range(window..end).map(|(_, pane)| pane) {
                for (slot, key) in pane.keys.iter().enumerate() {
                    self.gather(plan, *key, &pane.totals, slot);
                }
            }
            self.end_window(first, (number, Some(window), end, is_final));
            self.flush((plan, since), keys, moment, BATCH_ROWS, out)?;
        }
        // Windows follow each other, and each looks only at panes that the one before had not.
        let (mut held, mut passed, mut ahead) = (VecDeque::new(), 0, i64::MIN);
        let mut found: HashMap<u32, Found> = HashMap::new();
        for (window, changed) in due.changed {
            let first = self.keys.len();
            let end = panes.step.advance(window, count);
            while held.pop_front_if(|(start, _): &mut (i64, &Pane)| *start < window).is_some() {
                passed += 1;
            }
            held.extend(
                panes
                    .panes
                    .range(window.max(ahead)..end.max(window).max(ahead))
                    .map(|(start, pane)| (*start, pane)),
            );
            ahead = ahead.max(end);
            for key in changed {
                if self.rows[key as usize] != 0 {
                    continue;
                }
                let found = found.entry(key).or_default();
                while found.slots.pop_front_if(|(pane, _)| *pane < passed).is_some() {}
                for (pane, (_, held)) in
                    (passed..).zip(&held).skip(found.next.saturating_sub(passed))
                {
                    found.slots.extend(held.slot(key).map(|slot| (pane, slot)));
                }
                found.next = passed + held.len();
                for (pane, slot) in &found.slots {
                    self.gather(plan, key, &held[pane - passed].1.totals, *slot);
                }
            }
            self.end_window(first, (number, Some(window), end, end <= moment.before));
            self.flush((plan, since), keys, moment, BATCH_ROWS, out)?;
        }
        self.flush((plan, since), keys, moment, 1, out)
    }

    /// As [`Self::publish`] for sessions.
    pub(super) fn publish_sessions(
        &mut self,
        (plan, since): (&OnInput, &Since),
        keys: &NumberedKeys,
        (number, sessions): (usize, &mut Sessions),
        moment: Moment,
        out: &mut Output,
    ) -> Result<(), ArrowError> {
        let not_before = since.not_before(number, &plan.spec.windows[number]);
        self.rows.resize(keys.len(), 0);
        for said in sessions
            .due(moment, plan.spec.publish)
            .into_iter()
            .filter(|said| said.start > not_before)
        {
            let first = self.keys.len();
            match said.slot {
                Some(slot) => self.totals.push_copy(&plan.layout, &sessions.totals, slot),
                None => self.totals.push(&plan.layout),
            };
            self.keys.push(said.key);
            self.end_window(first, (number, Some(said.start), said.end, said.end <= moment.now));
            self.flush((plan, since), keys, moment, BATCH_ROWS, out)?;
        }
        self.flush((plan, since), keys, moment, 1, out)
    }

    /// Adds a pane's slot to its key's row of the window at hand.
    #[inline]
    fn gather(&mut self, plan: &OnInput, key: u32, totals: &Totals, slot: usize) {
        match &mut self.rows[key as usize] {
            0 => {
                let row = self.totals.push_copy(&plan.layout, totals, slot);
                self.keys.push(key);
                self.rows[key as usize] = row as u32 + 1;
            }
            row => self.totals.merge(&plan.layout, *row as usize - 1, totals, slot),
        }
    }

    /// Ends the window at hand, whose rows begin at `first`.
    pub(super) fn end_window(
        &mut self,
        first: usize,
        (kind, start, end, is_final): (usize, Option<i64>, i64, bool),
    ) {
        for key in &self.keys[first..] {
            self.rows[*key as usize] = 0;
        }
        self.kinds.resize(self.keys.len(), kind);
        self.starts.resize(self.keys.len(), start);
        self.ends.resize(self.keys.len(), end);
        self.is_final.resize(self.keys.len(), is_final);
    }

    /// Sends the rows, when there are at least so many.
    pub(super) fn flush(
        &mut self,
        (plan, since): (&OnInput, &Since),
        keys: &NumberedKeys,
        moment: Moment,
        least: usize,
        out: &mut Output,
    ) -> Result<(), ArrowError> {
        if self.keys.len() < least.max(1) {
            return Ok(());
        }
        let count = self.keys.len();
        let mut columns = keys.columns(&self.keys)?;
        let labels = self.kinds.iter().map(|kind| plan.spec.windows[*kind].label.as_str());
        columns.push(Arc::new(StringArray::from_iter_values(labels)));
        let starts = std::mem::take(&mut self.starts);
        let is_later = plan.shown.iter().any(|(shows, _)| since.is_later(shows));
        let known_from = if is_later { starts.clone() } else { Vec::new() };
        columns.push(Arc::new(TimestampMicrosecondArray::from(starts).with_timezone("UTC")));
        columns.push(Arc::new(
            TimestampMicrosecondArray::from(std::mem::take(&mut self.ends)).with_timezone("UTC"),
        ));
        let mut unfit = Vec::new();
        for ((shows, data_type), aggregate) in plan.shown.iter().zip(&plan.spec.aggregates) {
            let mut too_large = Vec::new();
            let column = self.shown(plan, (shows, data_type, &aggregate.name), &mut too_large)?;
            // An aggregate that may lack rows of the window is null.
            columns.push(if since.is_later(shows) {
                let is_unknown: BooleanArray = known_from
                    .iter()
                    .map(|start| Some(!since.is_complete(shows, *start)))
                    .collect();
                too_large.retain(|value: &Unfit| !is_unknown.value(value.row));
                nullif(&column, &is_unknown)?
            } else {
                column
            });
            unfit.append(&mut too_large);
        }
        columns.push(Arc::new(Int64Array::from(vec![moment.revision; count])));
        columns.push(Arc::new(BooleanArray::from(std::mem::take(&mut self.is_final))));
        let complete = (moment.now != i64::MIN).then_some(moment.now);
        columns.push(Arc::new(
            TimestampMicrosecondArray::from(vec![complete; count]).with_timezone("UTC"),
        ));
        self.keys.clear();
        self.kinds.clear();
        self.totals.clear();
        let batch = RecordBatch::try_new(Arc::clone(&plan.output), columns)?;
        self.dead.unfit(&batch, &unfit, out)?;
        (0..count)
            .step_by(BATCH_ROWS)
            .for_each(|from| out.push(batch.slice(from, BATCH_ROWS.min(count - from))));
        Ok(())
    }

    fn shown(
        &self,
        plan: &OnInput,
        (shows, data_type, column): (&Shows, &DataType, &str),
        unfit: &mut Vec<Unfit>,
    ) -> Result<ArrayRef, ArrowError> {
        let slots = 0..self.keys.len();
        let counts = |slot: usize, lane: usize| self.totals.counts_of(&plan.layout, slot)[lane];
        let wides = |slot: usize, lane: usize| self.totals.wides_of(&plan.layout, slot)[lane];
        Ok(match shows {
            Shows::Count(lane) => {
                Arc::new(Int64Array::from_iter_values(slots.map(|slot| counts(slot, *lane))))
            }
            Shows::Sum { wide, count, unit: Unit::Float } => {
                let sum = |slot| match self.totals.beside(slot, *wide) {
                    Some(beside) => Unit::Float.joined(wides(slot, *wide), beside).to_float(),
                    None => Unit::Float.float_of(wides(slot, *wide)),
                };
                Arc::new(
                    slots
                        .map(|slot| (counts(slot, *count) > 0).then(|| sum(slot)))
                        .collect::<Float64Array>(),
                )
            }
            Shows::Sum { wide, count, unit: Unit::Whole } => {
                let sums = slots.map(|slot| {
                    if counts(slot, *count) <= 0 {
                        return None;
                    }
                    let sum = wides(slot, *wide);
                    let exact = self
                        .totals
                        .beside(slot, *wide)
                        .map(|beside| Unit::Whole.joined(sum, beside));
                    let fitting = exact
                        .as_ref()
                        .map_or(Some(sum), Exact::to_integer)
                        .filter(|sum| fits(*sum, data_type));
                    if fitting.is_none() {
                        let digits = exact.map_or_else(|| sum.to_string(), |exact| exact.digits());
                        unfit.push(Unfit::sum(slot, column, &digits, data_type));
                    }
                    fitting
                });
                match data_type {
                    DataType::Int64 => {
                        Arc::new(sums.map(|sum| sum.map(|sum| sum as i64)).collect::<Int64Array>())
                    }
                    _ => Arc::new(
                        sums.collect::<Decimal128Array>().with_data_type(data_type.clone()),
                    ),
                }
            }
            Shows::Mean { wide, count, unit, divisor } => {
                let mean = |slot: usize| match counts(slot, *count) {
                    0 => None,
                    n => Some(match self.totals.beside(slot, *wide) {
                        Some(beside) => mean(&unit.joined(wides(slot, *wide), beside), n, *divisor),
                        None => unit.float_of(wides(slot, *wide)) / (n as f64 * divisor),
                    }),
                };
                Arc::new(slots.map(mean).collect::<Float64Array>())
            }
            Shows::Extreme { wide, count } => {
                let values: Vec<i128> = slots.clone().map(|slot| wides(slot, *wide)).collect();
                let valid = NullBuffer::from_iter(slots.map(|slot| counts(slot, *count) > 0));
                decode(&values, Some(valid), data_type)?
            }
        })
    }

    /// There are only so many keys from now on.
    pub(super) fn forget(&mut self, keys: usize) {
        self.rows.truncate(keys);
        self.rows.shrink_to_fit();
        // Room for the largest publication so far.
        (self.keys, self.kinds, self.starts, self.ends, self.is_final) = Default::default();
        self.totals = Totals::default();
    }

    pub(super) fn bytes(&self) -> usize {
        self.totals.bytes() + self.rows.capacity() * 4 + self.keys.capacity() * 21
    }
}
