//! For windows without a start: the totals of all panes that the watermark has passed.
//!
//! They are kept so that these panes are not added up again at every step. Late rows correct the
//! totals of their keys.

use super::pane::Pane;
use super::totals::{Layout, Totals};
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// Totals of several panes, by key.
#[derive(Debug, Default)]
pub(super) struct Running {
    slots: HashMap<u32, usize>,
    pub(super) keys: Vec<u32>,
    pub(super) totals: Totals,
}

impl Running {
    /// Where the key's totals are.
    pub(super) fn slot(&self, key: u32) -> Option<usize> {
        self.slots.get(&key).copied()
    }

    /// Adds a pane's slot to its key's totals.
    pub(super) fn add(&mut self, layout: &Layout, key: u32, totals: &Totals, slot: usize) {
        match self.slots.get(&key) {
            Some(own) => self.totals.merge(layout, *own, totals, slot),
            None => {
                self.slots.insert(key, self.totals.push_copy(layout, totals, slot));
                self.keys.push(key);
            }
        }
    }

    /// Adds a pane.
    pub(super) fn merge(&mut self, layout: &Layout, pane: &Pane) {
        for (slot, key) in pane.keys.iter().enumerate() {
            self.add(layout, *key, &pane.totals, slot);
        }
    }

    /// Adds what a pane holds of `keys`, which are in order.
    pub(super) fn merge_of(&mut self, layout: &Layout, keys: &[u32], pane: &Pane) {
        if keys.len() < pane.keys.len() {
            for key in keys {
                if let Some(slot) = pane.slot(*key) {
                    self.add(layout, *key, &pane.totals, slot);
                }
            }
        } else {
            for (slot, key) in
                pane.keys.iter().enumerate().filter(|(_, key)| keys.binary_search(key).is_ok())
            {
                self.add(layout, *key, &pane.totals, slot);
            }
        }
    }

    /// Puts a slot in place of the key's totals.
    fn put(&mut self, layout: &Layout, key: u32, totals: &Totals, slot: usize) {
        if let Some(own) = self.slots.get(&key) {
            self.totals.reset(layout, *own);
        }
        self.add(layout, key, totals, slot);
    }
}

/// The totals of all panes that start before a time, and of the base.
#[derive(Debug)]
pub(super) struct Passed {
    through: i64,
    pub(super) running: Running,
}

impl Passed {
    /// Returns `known` if it has exactly the panes that start before `through`; else adds up the
    /// base and these panes.
    pub(super) fn through(
        layout: &Layout,
        (base, panes): (&Pane, &BTreeMap<i64, Pane>),
        known: Option<Self>,
        through: i64,
    ) -> Self {
        known.filter(|known| known.through == through).unwrap_or_else(|| {
            let mut new = Self { through: i64::MIN, running: Running::default() };
            new.running.merge(layout, base);
            new.advance(layout, panes, through);
            new
        })
    }

    /// Adds the panes that start before `through` and were not yet.
    pub(super) fn advance(&mut self, layout: &Layout, panes: &BTreeMap<i64, Pane>, through: i64) {
        if through > self.through {
            panes
                .range(self.through..through)
                .for_each(|(_, pane)| self.running.merge(layout, pane));
            self.through = through;
        }
    }

    /// Replaces the totals of the keys in `late`, which late rows changed.
    pub(super) fn correct(&mut self, layout: &Layout, late: &Running) {
        for (slot, key) in late.keys.iter().enumerate() {
            self.running.put(layout, *key, &late.totals, slot);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.running.totals.bytes()
            + self.running.slots.capacity() * 17
            + self.running.keys.capacity() * 4
    }
}
