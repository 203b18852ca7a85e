//! What the step saves, and how it takes it back.
//!
//! Changes of an epoch: its new keys (`keys`, `values`), per kind of windows the totals of the pane
//! slots that it changed (`panes.LABEL`), the sessions (`sessions.LABEL`), and the watermark and
//! which pieces are kept (`close`). A snapshot: the same of all. Totals have the names of their
//! pieces, so that a step whose aggregates stand in another order, or that has others beside them,
//! finds its own again. A slot that is restored takes the place of what was restored before.

use super::operator::WindowsOperator;
use super::pane::Pane;
use super::panes::Panes;
use super::sessions::{Saved, Sessions};
use super::totals::{Layout, Totals};
use crate::keyed::bytes::{bytes, push_bytes};
use crate::keyed::close::{CLOSE, restore_close, saved_close};
use crate::keyed::columns::{decimals, integers, numbers, wides, wrong};
use crate::keyed::exact::Exact;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, LargeBinaryArray, RecordBatch, UInt32Array,
};
use arrow::error::ArrowError;
use riskstream_engine::contract::{EpochClose, OperatorError, SavedState, StateBatch};
use riskstream_engine::history::ShardSet;
use riskstream_engine::ids::Ownership;
use std::sync::Arc;

const PANES: &str = "panes.";
/// The totals before the first pane, of windows without a start.
const BASE: &str = "base.";
const SESSIONS: &str = "sessions.";
/// Windows that ended at or before this time are no longer kept; in the close.
const GONE: &str = "gone";
/// The column of what sums have beside their 128 bits, where any has: by row, for each lane that
/// has, its name and the sum.
const BESIDE: &str = "beside";

/// The column as it grows.
#[derive(Default)]
struct Beside {
    rows: Vec<Option<Vec<u8>>>,
}

impl Beside {
    fn push(
        &mut self,
        totals: &Totals,
        layout: &Layout,
        (slot, names): (Option<usize>, &[String]),
    ) {
        let mut bytes = Vec::new();
        for (lane, sum) in slot.into_iter().flat_map(|slot| totals.beside_of(layout, slot)) {
            push_bytes(names[lane as usize].as_bytes(), &mut bytes);
            sum.write(&mut bytes);
        }
        self.rows.push((!bytes.is_empty()).then_some(bytes));
    }

    /// None where no sum has anything.
    fn into_column(self) -> Option<(String, ArrayRef)> {
        let is_any = self.rows.iter().any(Option::is_some);
        is_any.then(|| {
            (BESIDE.to_owned(), Arc::new(LargeBinaryArray::from_iter(self.rows)) as ArrayRef)
        })
    }
}

impl WindowsOperator {
    pub(super) fn save_changes(
        &mut self,
        _close: &EpochClose,
    ) -> Result<Vec<StateBatch>, ArrowError> {
        let mut out = self.keys.save_new()?;
        for panes in &self.panes {
            if !panes.touched.is_empty() {
                let changed =
                    |pane: &Pane| pane.changed.iter().map(|slot| *slot as usize).collect();
                out.push(self.saved(PANES, panes, panes.touched(), changed)?);
            }
        }
        self.panes.iter_mut().for_each(Panes::forget_changes);
        for sessions in &self.sessions {
            let changed = sessions.changed();
            if !changed.is_empty() {
                out.push(self.saved_sessions(sessions, &changed)?);
            }
        }
        self.sessions.iter_mut().for_each(Sessions::forget_changes);
        self.prune();
        out.push(self.saved_close()?);
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
        out.push(self.saved_close()?);
        Ok(out)
    }

    fn saved_close(&self) -> Result<StateBatch, ArrowError> {
        let moved: ArrayRef = Arc::new(BooleanArray::from(vec![self.is_moved]));
        let gone: ArrayRef = Arc::new(Int64Array::from(vec![self.gate.gone()]));
        let mut own = vec![("is_moved", moved), (GONE, gone)];
        own.extend(self.since.saved());
        saved_close(self.watermark, own)
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
        let mut beside = Beside::default();
        for (start, pane) in saved {
            for slot in slots(pane) {
                starts.push(*start);
                keys.push(self.keys.id(pane.keys[slot]));
                counts
                    .iter_mut()
                    .zip(pane.totals.counts_of(&self.plan.layout, slot))
                    .for_each(|(to, from)| to.push(*from));
                wides
                    .iter_mut()
                    .zip(pane.totals.wides_of(&self.plan.layout, slot))
                    .for_each(|(to, from)| to.push(*from));
                beside.push(&pane.totals, &self.plan.layout, (Some(slot), &self.since.ids().wides));
            }
        }
        let mut columns: Vec<(String, ArrayRef)> = vec![
            ("key".into(), Arc::new(UInt32Array::from(keys))),
            ("start".into(), Arc::new(Int64Array::from(starts))),
        ];
        let ids = self.since.ids();
        columns.extend(
            ids.counts
                .iter()
                .cloned()
                .zip(counts.into_iter().map(|lane| Arc::new(Int64Array::from(lane)) as ArrayRef)),
        );
        columns.extend(ids.wides.iter().cloned().zip(wides.into_iter().map(decimals)));
        columns.extend(beside.into_column());
        Ok(StateBatch::new(format!("{what}{}", panes.label), RecordBatch::try_from_iter(columns)?))
    }

    fn saved_sessions(
        &self,
        sessions: &Sessions,
        saved: &[Saved],
    ) -> Result<StateBatch, ArrowError> {
        let layout = &self.plan.layout;
        let integers = |value: fn(&Saved) -> i64| {
            Arc::new(Int64Array::from_iter_values(saved.iter().map(value))) as ArrayRef
        };
        let mut columns: Vec<(String, ArrayRef)> = vec![
            (
                "key".into(),
                Arc::new(UInt32Array::from_iter_values(saved.iter().map(|s| self.keys.id(s.key)))),
            ),
            ("start".into(), integers(|s| s.start)),
            ("last".into(), integers(|s| s.last)),
            ("flags".into(), integers(|s| s.flags)),
        ];
        let ids = self.since.ids();
        for (lane, id) in ids.counts.iter().enumerate() {
            let counts = saved
                .iter()
                .map(|s| s.slot.map_or(0, |slot| sessions.totals.counts_of(layout, slot)[lane]));
            columns.push((id.clone(), Arc::new(Int64Array::from_iter_values(counts))));
        }
        for (lane, id) in ids.wides.iter().enumerate() {
            let wides = saved
                .iter()
                .map(|s| s.slot.map_or(0, |slot| sessions.totals.wides_of(layout, slot)[lane]));
            columns.push((id.clone(), decimals(wides.collect())));
        }
        let mut beside = Beside::default();
        saved.iter().for_each(|s| beside.push(&sessions.totals, layout, (s.slot, &ids.wides)));
        columns.extend(beside.into_column());
        Ok(StateBatch::new(
            format!("{SESSIONS}{}", sessions.label),
            RecordBatch::try_from_iter(columns)?,
        ))
    }

    pub(super) fn restore_saved(
        &mut self,
        saved: &SavedState,
        worker: usize,
        ownership: Ownership,
    ) -> Result<(), OperatorError> {
        let shards = ShardSet::owned(worker, ownership);
        self.keys.restore(saved, &shards).map_err(|e| self.arrow(e))?;
        // If rows came to any worker since the input ended last, all workers publish their open
        // windows when it ends again.
        let newest = saved
            .changes
            .last()
            .map(|(_, batches)| batches)
            .or(saved.snapshot.as_ref().map(|(_, batches)| batches));
        let moved = |rows: &RecordBatch| {
            rows.column_by_name("is_moved")
                .and_then(|c| c.as_boolean_opt())
                .is_none_or(|c| c.true_count() > 0)
        };
        self.is_moved =
            newest.is_some_and(|batches| batches.iter().any(|b| b.name == CLOSE && moved(&b.rows)));
        self.watermark = self.watermark.max(restore_close(saved, &self.plan.spec.step_id)?);
        for close in saved.named(CLOSE) {
            self.since.restore(close).ok_or_else(|| self.arrow(wrong(CLOSE)))?;
            let gone = integers(close, GONE).map_err(|e| self.arrow(e))?;
            self.gate.restore(gone.iter().copied().max());
        }
        let mut panes = std::mem::take(&mut self.panes);
        let restored = panes.iter_mut().try_for_each(|panes| {
            let (base, name) =
                (format!("{BASE}{}", panes.label), format!("{PANES}{}", panes.label));
            saved
                .named(&base)
                .chain(saved.named(&name))
                .try_for_each(|rows| self.restore_panes(panes, rows))
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
        self.panes.iter_mut().for_each(Panes::count_bytes);
        self.prune();
        Ok(())
    }

    /// The lanes that the step has now, as they were saved.
    fn saved_lanes<'a>(&self, rows: &'a RecordBatch) -> SavedLanes<'a> {
        let ids = self.since.ids();
        SavedLanes {
            counts: ids.counts.iter().map(|id| integers(rows, id).ok()).collect(),
            wides: ids.wides.iter().map(|id| wides(rows, id).ok()).collect(),
        }
    }

    /// What a row's sums have beside their 128 bits, by the lanes that the step has now.
    fn beside_from(&self, rows: &RecordBatch, row: usize) -> Result<Vec<(u32, Exact)>, ArrowError> {
        let Some(column) = rows.column_by_name(BESIDE) else { return Ok(Vec::new()) };
        let column = column.as_binary_opt::<i64>().ok_or_else(|| wrong(BESIDE))?;
        let mut saved = if column.is_valid(row) { column.value(row) } else { &[] };
        let names = &self.since.ids().wides;
        let mut beside = Vec::new();
        while !saved.is_empty() {
            let (name, sum) =
                bytes(&mut saved).zip(Exact::read(&mut saved)).ok_or_else(|| wrong(BESIDE))?;
            let lane = (0..).zip(names).find(|(_, known)| known.as_bytes() == name);
            beside.extend(lane.map(|(lane, _)| (lane, sum)));
        }
        Ok(beside)
    }

    fn restore_panes(&self, panes: &mut Panes, rows: &RecordBatch) -> Result<(), ArrowError> {
        let layout = &self.plan.layout;
        let (keys, starts) = (numbers(rows, "key")?, integers(rows, "start")?);
        let lanes = self.saved_lanes(rows);
        for (row, (key, start)) in keys.iter().zip(starts).enumerate() {
            // Keys of other workers were not restored.
            let Some(key) = self.keys.known(*key) else { continue };
            panes.restore(
                layout,
                (*start, key),
                (lanes.counts(row), lanes.wides(row)),
                self.beside_from(rows, row)?,
            );
        }
        Ok(())
    }

    fn restore_sessions(
        &self,
        sessions: &mut Sessions,
        rows: &RecordBatch,
    ) -> Result<(), ArrowError> {
        let layout = &self.plan.layout;
        let (keys, starts) = (numbers(rows, "key")?, integers(rows, "start")?);
        let (lasts, flags) = (integers(rows, "last")?, integers(rows, "flags")?);
        let lanes = self.saved_lanes(rows);
        for (row, key) in keys.iter().enumerate() {
            // Keys of other workers were not restored.
            let Some(key) = self.keys.known(*key) else { continue };
            let saved =
                Saved { key, start: starts[row], last: lasts[row], flags: flags[row], slot: None };
            sessions.restore(
                layout,
                saved,
                (lanes.counts(row), lanes.wides(row)),
                self.beside_from(rows, row)?,
            );
        }
        Ok(())
    }
}

/// Lanes as they were saved; of one that was not kept, nothing.
struct SavedLanes<'a> {
    counts: Vec<Option<&'a [i64]>>,
    wides: Vec<Option<&'a [i128]>>,
}

impl SavedLanes<'_> {
    fn counts(&self, row: usize) -> impl Iterator<Item = i64> {
        self.counts.iter().map(move |lane| lane.map_or(0, |lane| lane[row]))
    }

    fn wides(&self, row: usize) -> impl Iterator<Item = i128> {
        self.wides.iter().map(move |lane| lane.map_or(0, |lane| lane[row]))
    }
}
