//! The totals of one kind of windows: per slice of time as long as the windows' step, and key.

use super::pane::Pane;
use super::passed::Passed;
use super::totals::{Layout, Totals};
use crate::keyed::exact::Exact;
use crate::keyed::keys::Moved;
use crate::periods::Every;
use riskstream_engine::history::Chunk;
use std::collections::{BTreeMap, BTreeSet};

/// The panes of one kind of windows, by their start.
#[derive(Debug)]
pub(super) struct Panes {
    /// What the column `window` says.
    pub(super) label: String,
    pub(super) step: Every,
    /// Of a window; none: all from the beginning of time.
    pub(super) count: Option<i64>,
    pub(super) panes: BTreeMap<i64, Pane>,
    /// Starts of the panes in which slots changed in the open epoch.
    pub(super) touched: BTreeSet<i64>,
    /// Of windows without a start: the totals of all panes before the first,
    pub(super) base: Pane,
    /// and those of all panes that the watermark has passed.
    pub(super) passed: Option<Passed>,
    /// Of memory, as of the last close.
    bytes: usize,
    /// The slots of the rows that are being added.
    slots: Vec<u32>,
}

impl Panes {
    pub(super) fn new(label: &str, step: Every, count: Option<i64>) -> Self {
        Self {
            label: label.to_owned(),
            step,
            count,
            panes: BTreeMap::new(),
            touched: BTreeSet::new(),
            base: Pane::default(),
            passed: None,
            bytes: 0,
            slots: Vec::new(),
        }
    }

    /// Adds rows, each as often as `times` says, or once.
    pub(super) fn add(&mut self, layout: &Layout, rows: &Chunk, times: Option<&[i64]>) {
        let mut from = 0;
        while from < rows.len() {
            let start = self.step.floor(rows.times[from]);
            let end = self.step.advance(start, 1);
            let run = rows.times[from..]
                .iter()
                .take_while(|time| (start..end).contains(time))
                .count()
                .max(1);
            let pane = self.panes.entry(start).or_default();
            if pane.changed.is_empty() {
                self.touched.insert(start);
            }
            self.slots.clear();
            for key in &rows.keys[from..from + run] {
                let slot = pane.slot_for(layout, *key);
                pane.mark(slot);
                self.slots.push(slot as u32);
            }
            pane.totals.add_rows(layout, &self.slots, (rows, from, times));
            from += run;
        }
    }

    /// Adds a slot of totals to a key's in the pane that starts at `start`.
    pub(super) fn add_totals(
        &mut self,
        layout: &Layout,
        (start, key): (i64, u32),
        totals: &Totals,
        slot: usize,
    ) {
        let pane = self.panes.entry(start).or_default();
        if pane.changed.is_empty() {
            self.touched.insert(start);
        }
        let own = pane.slot_for(layout, key);
        pane.totals.merge(layout, own, totals, slot);
        pane.mark(own);
    }

    /// Takes a saved slot of the pane that starts at `start` back; of the base, where that is the
    /// beginning of time.
    pub(super) fn restore(
        &mut self,
        layout: &Layout,
        (start, key): (i64, u32),
        totals: (impl Iterator<Item = i64>, impl Iterator<Item = i128>),
        beside: Vec<(u32, Exact)>,
    ) {
        let pane =
            if start == i64::MIN { &mut self.base } else { self.panes.entry(start).or_default() };
        pane.restore(layout, key, totals, beside);
    }

    /// Takes all panes away, with what changed in them.
    pub(super) fn take(&mut self) -> BTreeMap<i64, Pane> {
        self.touched.clear();
        std::mem::take(&mut self.panes)
    }

    /// The panes in which slots changed in the open epoch, by their start.
    pub(super) fn touched(&self) -> impl Iterator<Item = (&i64, &Pane)> {
        self.touched.iter().filter_map(|start| self.panes.get_key_value(start))
    }

    /// Forgets what changed.
    pub(super) fn forget_changes(&mut self) {
        for start in std::mem::take(&mut self.touched) {
            if let Some(pane) = self.panes.get_mut(&start) {
                pane.forget_changes();
                self.bytes -= pane.bytes;
                self.bytes += pane.count_bytes();
            }
        }
    }

    /// Forgets panes that no accepted row can need. A row is accepted when its last window ends
    /// after `time`, and it also changes windows that began up to a window's length before that
    /// one.
    pub(super) fn prune(&mut self, layout: &Layout, time: i64) {
        let reach = self.count.map_or(1, |count| 2 * count - 1);
        while let Some(first) = self.panes.first_entry()
            && self.step.advance(*first.key(), reach) <= time
        {
            let pane = first.remove();
            self.bytes -= pane.bytes;
            if self.count.is_none() {
                self.base.merge(layout, &pane);
                self.bytes -= self.base.bytes;
                self.bytes += self.base.count_bytes();
            }
        }
    }

    /// Marks the keys that have slots.
    pub(super) fn mark_living(&self, living: &mut [bool]) {
        self.panes
            .values()
            .chain([&self.base])
            .flat_map(|pane| &pane.keys)
            .for_each(|key| living[*key as usize] = true);
    }

    /// Calls keys by their new numbers.
    pub(super) fn renumber(&mut self, moved: &Moved) {
        self.panes.values_mut().chain([&mut self.base]).for_each(|pane| pane.renumber(moved));
        self.passed = None;
        self.count_bytes();
    }

    /// Counts anew.
    pub(super) fn count_bytes(&mut self) {
        self.bytes = self.panes.values_mut().chain([&mut self.base]).map(Pane::count_bytes).sum();
    }

    /// Of memory, about: those of panes as of the last close.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.passed.as_ref().map_or(0, Passed::bytes)
    }
}
