//! What the step saves, and how it takes it back.
//!
//! Changes of an epoch: its new keys (`keys`, `values`), per kind of windows the totals of the pane slots that it changed (`panes.LABEL`), the sessions (`sessions.LABEL`), and the
//! watermark (`close`). A snapshot: the same of all. A slot that is restored takes the place of what was restored before.

use super::operator::WindowsOperator;
use super::panes::{Pane, Panes};
use super::sessions::{Saved, Sessions};
use crate::keyed::close::{CLOSE, restore_close, saved_close};
use crate::keyed::columns::{decimals, integers, numbers, wides};
use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt32Array};
use arrow::error::ArrowError;
use riskstream_engine::contract::{EpochClose, OperatorError, SavedState, StateBatch};
use riskstream_engine::history::ShardSet;
use riskstream_engine::ids::Ownership;
use std::sync::Arc;

const PANES: &str = "panes.";
/// The totals before the first pane, of windows without a start.
const BASE: &str = "base.";
const SESSIONS: &str = "sessions.";

impl WindowsOperator {
    pub(super) fn save_changes(&mut self, _close: &EpochClose) -> Result<Vec<StateBatch>, ArrowError> {
        let mut out = self.keys.save_new()?;
        for panes in &self.panes {
            if panes.panes.values().any(|pane| !pane.changed.is_empty()) {
                let changed = |pane: &Pane| pane.changed.iter().map(|slot| *slot as usize).collect();
                out.push(self.saved(PANES, panes, &panes.panes, changed)?);
            }
        }
        for pane in self.panes.iter_mut().flat_map(|panes| panes.panes.values_mut()) {
            pane.settle();
        }
        for sessions in &self.sessions {
            let changed = sessions.changed();
            if !changed.is_empty() {
                out.push(self.saved_sessions(sessions, &changed)?);
            }
        }
        self.sessions.iter_mut().for_each(Sessions::settle);
        self.prune();
        out.push(saved_close(self.watermark, self.plan.shape(), vec![("is_moved", Arc::new(BooleanArray::from(vec![self.is_moved])))])?);
        Ok(out)
    }

    pub(super) fn save_all(&self) -> Result<Vec<StateBatch>, ArrowError> {
        let mut out = self.keys.save_all()?;
        for panes in &self.panes {
            let all = |pane: &Pane| (0..pane.keys.len()).collect();
            out.push(self.saved(PANES, panes, &panes.panes, all)?);
            if panes.count.is_none() {
                out.push(self.saved(BASE, panes, [(&i64::MIN, &panes.base)], all)?);
            }
        }
        for sessions in &self.sessions {
            out.push(self.saved_sessions(sessions, &sessions.all())?);
        }
        out.push(saved_close(self.watermark, self.plan.shape(), vec![("is_moved", Arc::new(BooleanArray::from(vec![self.is_moved])))])?);
        Ok(out)
    }

    fn saved<'a>(
        &self,
        what: &str,
        panes: &Panes,
        saved: impl IntoIterator<Item = (&'a i64, &'a Pane)>,
        slots: impl Fn(&Pane) -> Vec<usize>,
    ) -> Result<StateBatch, ArrowError> {
        let (mut starts, mut keys) = (Vec::new(), Vec::new());
        let mut counts = vec![Vec::new(); self.plan.layout.counts];
        let mut wides = vec![Vec::new(); self.plan.layout.wides.len()];
        for (start, pane) in saved {
            for slot in slots(pane) {
                starts.push(*start);
                keys.push(self.keys.id(pane.keys[slot]));
                counts.iter_mut().zip(pane.totals.counts_of(&self.plan.layout, slot)).for_each(|(to, from)| to.push(*from));
                wides.iter_mut().zip(pane.totals.wides_of(&self.plan.layout, slot)).for_each(|(to, from)| to.push(*from));
            }
        }
        let mut columns: Vec<(String, ArrayRef)> =
            vec![("key".into(), Arc::new(UInt32Array::from(keys))), ("start".into(), Arc::new(Int64Array::from(starts)))];
        columns.extend(counts.into_iter().enumerate().map(|(lane, v)| (format!("count{lane}"), Arc::new(Int64Array::from(v)) as ArrayRef)));
        columns.extend(wides.into_iter().enumerate().map(|(lane, v)| (format!("wide{lane}"), decimals(v))));
        Ok(StateBatch::new(format!("{what}{}", panes.label), RecordBatch::try_from_iter(columns)?))
    }

    fn saved_sessions(&self, sessions: &Sessions, saved: &[Saved]) -> Result<StateBatch, ArrowError> {
        let layout = &self.plan.layout;
        let integers = |value: fn(&Saved) -> i64| Arc::new(Int64Array::from_iter_values(saved.iter().map(value))) as ArrayRef;
        let mut columns: Vec<(String, ArrayRef)> = vec![
            ("key".into(), Arc::new(UInt32Array::from_iter_values(saved.iter().map(|s| self.keys.id(s.key))))),
            ("start".into(), integers(|s| s.start)),
            ("last".into(), integers(|s| s.last)),
            ("flags".into(), integers(|s| s.flags)),
        ];
        for lane in 0..layout.counts {
            let counts = saved.iter().map(|s| s.slot.map_or(0, |slot| sessions.totals.counts_of(layout, slot)[lane]));
            columns.push((format!("count{lane}"), Arc::new(Int64Array::from_iter_values(counts))));
        }
        for lane in 0..layout.wides.len() {
            let wides = saved.iter().map(|s| s.slot.map_or(0, |slot| sessions.totals.wides_of(layout, slot)[lane]));
            columns.push((format!("wide{lane}"), decimals(wides.collect())));
        }
        Ok(StateBatch::new(format!("{SESSIONS}{}", sessions.label), RecordBatch::try_from_iter(columns)?))
    }

    pub(super) fn restore_saved(&mut self, saved: &SavedState, worker: usize, ownership: Ownership) -> Result<(), OperatorError> {
        let shards = ShardSet::owned(worker, ownership);
        self.keys.restore(saved, &shards).map_err(|e| self.arrow(e))?;
        // Which worker moved last does not matter: at the next end all publish their open windows.
        let newest = saved.changes.last().map(|(_, batches)| batches).or(saved.snapshot.as_ref().map(|(_, batches)| batches));
        let moved =
            |rows: &RecordBatch| rows.column_by_name("is_moved").and_then(|c| c.as_boolean_opt()).is_none_or(|c| c.true_count() > 0);
        self.is_moved = newest.is_some_and(|batches| batches.iter().any(|b| b.name == CLOSE && moved(&b.rows)));
        self.watermark = self.watermark.max(restore_close(saved, &self.plan.spec.step_id, &self.plan.shape(), "windows or aggregates")?);
        let mut panes = std::mem::take(&mut self.panes);
        let restored = panes.iter_mut().try_for_each(|panes| {
            let (base, name) = (format!("{BASE}{}", panes.label), format!("{PANES}{}", panes.label));
            saved.named(&base).chain(saved.named(&name)).try_for_each(|rows| self.restore_panes(panes, rows))
        });
        self.panes = panes;
        restored.map_err(|e| self.arrow(e))?;
        let mut sessions = std::mem::take(&mut self.sessions);
        let restored = sessions.iter_mut().try_for_each(|sessions| {
            let name = format!("{SESSIONS}{}", sessions.label);
            saved.named(&name).try_for_each(|rows| self.restore_sessions(sessions, rows))
        });
        self.sessions = sessions;
        restored.map_err(|e| self.arrow(e))?;
        self.prune();
        Ok(())
    }

    fn restore_panes(&self, panes: &mut Panes, rows: &RecordBatch) -> Result<(), ArrowError> {
        let layout = &self.plan.layout;
        let (keys, starts) = (numbers(rows, "key")?, integers(rows, "start")?);
        let counts = (0..layout.counts).map(|lane| integers(rows, &format!("count{lane}"))).collect::<Result<Vec<_>, _>>()?;
        let values = (0..layout.wides.len()).map(|lane| wides(rows, &format!("wide{lane}"))).collect::<Result<Vec<_>, _>>()?;
        for (row, (key, start)) in keys.iter().zip(starts).enumerate() {
            // Keys of other workers were not restored.
            let Some(key) = self.keys.known(*key) else { continue };
            let pane = if *start == i64::MIN { &mut panes.base } else { panes.panes.entry(*start).or_default() };
            pane.restore(layout, key, counts.iter().map(|lane| lane[row]), values.iter().map(|lane| lane[row]));
        }
        Ok(())
    }

    fn restore_sessions(&self, sessions: &mut Sessions, rows: &RecordBatch) -> Result<(), ArrowError> {
        let layout = &self.plan.layout;
        let (keys, starts) = (numbers(rows, "key")?, integers(rows, "start")?);
        let (lasts, flags) = (integers(rows, "last")?, integers(rows, "flags")?);
        let counts = (0..layout.counts).map(|lane| integers(rows, &format!("count{lane}"))).collect::<Result<Vec<_>, _>>()?;
        let values = (0..layout.wides.len()).map(|lane| wides(rows, &format!("wide{lane}"))).collect::<Result<Vec<_>, _>>()?;
        for (row, key) in keys.iter().enumerate() {
            // Keys of other workers were not restored.
            let Some(key) = self.keys.known(*key) else { continue };
            let saved = Saved { key, start: starts[row], last: lasts[row], flags: flags[row], slot: None };
            sessions.restore(layout, saved, counts.iter().map(|lane| lane[row]), values.iter().map(|lane| lane[row]));
        }
        Ok(())
    }
}
