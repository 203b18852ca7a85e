//! Windows without a start: each key's totals of all rows before a step's end, at every step.

use super::moment::Moment;
use super::panes::Panes;
use super::passed::{Passed, Running};
use super::publish::Publisher;
use super::since::Since;
use super::spec::{OnInput, Publish};
use crate::keyed::BATCH_ROWS;
use crate::keyed::keys::NumberedKeys;
use arrow::error::ArrowError;
use riskstream_engine::contract::Output;
use std::collections::BTreeMap;

impl Publisher {
    /// As [`Self::publish`] for windows without a start.
    pub(super) fn publish_always(
        &mut self,
        (plan, since): (&OnInput, &Since),
        keys: &NumberedKeys,
        (number, panes): (usize, &mut Panes),
        moment: Moment,
        out: &mut Output,
    ) -> Result<(), ArrowError> {
        let (step, layout) = (panes.step, &plan.layout);
        let from = since.start_of_always(number);
        let Some(newest) = panes.panes.keys().next_back().copied().or((!panes
            .base
            .keys
            .is_empty())
        .then_some(moment.before)) else {
            return Ok(());
        };
        let oldest = panes.panes.keys().next().map_or(moment.before, |start| *start);
        let is_first = moment.before < oldest && panes.base.keys.is_empty();
        let mut end = if is_first { step.after(oldest) } else { step.after(moment.before) };
        let is_open_shown =
            moment.open_too || (plan.spec.publish == Publish::Changes && !panes.touched.is_empty());
        let (before, now) = (step.floor(moment.before), step.floor(moment.now));
        self.rows.resize(keys.len(), 0);
        let late = self.restate((plan, since), keys, (number, panes), moment, out)?;
        if end > moment.now && !is_open_shown && panes.passed.is_none() {
            return self.flush((plan, since), keys, moment, 1, out);
        }
        let mut passed = match panes.passed.take() {
            Some(mut passed) => {
                passed.correct(layout, &late);
                Passed::through(layout, (&panes.base, &panes.panes), Some(passed), before)
            }
            None => Passed::through(layout, (&panes.base, &panes.panes), None, before),
        };
        // Ends that the watermark has reached now: all keys.
        while end <= moment.now {
            passed.advance(layout, &panes.panes, end);
            let first = self.keys.len();
            (0..passed.running.keys.len()).for_each(|slot| self.show(plan, &passed.running, slot));
            self.end_window(first, (number, from, end, true));
            self.flush((plan, since), keys, moment, BATCH_ROWS, out)?;
            end = step.advance(end, 1);
        }
        passed.advance(layout, &panes.panes, now);
        // The open window, which ends after all rows, is published with the totals so far.
        if is_open_shown {
            let mut shown: Vec<u32> = if moment.open_too {
                passed
                    .running
                    .keys
                    .iter()
                    .chain(panes.panes.range(now..).flat_map(|(_, pane)| &pane.keys))
                    .copied()
                    .collect()
            } else {
                panes
                    .touched()
                    .flat_map(|(_, pane)| pane.changed.iter().map(|slot| pane.keys[*slot as usize]))
                    .collect()
            };
            shown.sort_unstable();
            shown.dedup();
            let mut all = Running::default();
            for key in &shown {
                if let Some(slot) = passed.running.slot(*key) {
                    all.add(layout, *key, &passed.running.totals, slot);
                }
            }
            panes.panes.range(now..).for_each(|(_, pane)| all.merge_of(layout, &shown, pane));
            let first = self.keys.len();
            (0..all.keys.len()).for_each(|slot| self.show(plan, &all, slot));
            self.end_window(first, (number, from, step.after(moment.now.max(newest)), false));
        }
        panes.passed = Some(passed);
        self.flush((plan, since), keys, moment, 1, out)
    }

    /// Publishes windows again that ended at or before the last watermark, with the keys that rows
    /// of the epoch changed. Returns these keys' totals at the last of these ends.
    fn restate(
        &mut self,
        (plan, since): (&OnInput, &Since),
        keys: &NumberedKeys,
        (number, panes): (usize, &Panes),
        moment: Moment,
        out: &mut Output,
    ) -> Result<Running, ArrowError> {
        let (step, layout) = (panes.step, &plan.layout);
        // By key, the first pane that changed.
        let mut changed: BTreeMap<u32, i64> = BTreeMap::new();
        for (start, pane) in
            panes.touched().take_while(|(start, _)| step.advance(**start, 1) <= moment.before)
        {
            pane.changed.iter().for_each(|slot| {
                changed.entry(pane.keys[*slot as usize]).or_insert(*start);
            });
        }
        let mut late = Running::default();
        let Some(first) = changed.values().min() else { return Ok(late) };
        let keys_changed: Vec<u32> = changed.keys().copied().collect();
        late.merge_of(layout, &keys_changed, &panes.base);
        let mut ahead = panes.panes.iter().peekable();
        let mut end = step.advance(*first, 1);
        while end <= moment.before {
            while let Some((_, pane)) = ahead.next_if(|(start, _)| **start < end) {
                late.merge_of(layout, &keys_changed, pane);
            }
            let first = self.keys.len();
            for (slot, key) in late.keys.iter().enumerate() {
                if changed.get(key).is_some_and(|start| *start < end) {
                    self.show(plan, &late, slot);
                }
            }
            self.end_window(first, (number, since.start_of_always(number), end, true));
            self.flush((plan, since), keys, moment, BATCH_ROWS, out)?;
            end = step.advance(end, 1);
        }
        Ok(late)
    }

    /// Adds a row of a window.
    fn show(&mut self, plan: &OnInput, running: &Running, slot: usize) {
        self.totals.push_copy(&plan.layout, &running.totals, slot);
        self.keys.push(running.keys[slot]);
    }
}
