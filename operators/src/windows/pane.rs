//! The totals of one slice of time.

use super::totals::{Layout, Totals};
use crate::keyed::exact::Exact;
use crate::keyed::keys::Moved;
use hashbrown::HashMap;

/// Totals of the keys that have rows in one slice of time.
#[derive(Debug, Default)]
pub(super) struct Pane {
    /// Key to slot.
    pub(super) slots: HashMap<u32, u32>,
    /// Slot to key.
    pub(super) keys: Vec<u32>,
    pub(super) totals: Totals,
    /// Slots that changed in the open epoch, each once.
    pub(super) changed: Vec<u32>,
    pub(super) is_changed: Vec<bool>,
    /// As counted in [`Panes::bytes`].
    pub(super) bytes: usize,
}

impl Pane {
    pub(super) fn slot(&self, key: u32) -> Option<usize> {
        self.slots.get(&key).map(|slot| *slot as usize)
    }

    /// The key's slot; a new one has no rows.
    pub(super) fn slot_for(&mut self, layout: &Layout, key: u32) -> usize {
        if let Some(slot) = self.slots.get(&key) {
            return *slot as usize;
        }
        let slot = self.totals.push(layout);
        self.slots.insert(key, slot as u32);
        self.keys.push(key);
        self.is_changed.push(false);
        slot
    }

    pub(super) fn mark(&mut self, slot: usize) {
        if !std::mem::replace(&mut self.is_changed[slot], true) {
            self.changed.push(slot as u32);
        }
    }

    /// Forgets which slots changed.
    pub(super) fn forget_changes(&mut self) {
        for slot in self.changed.drain(..) {
            self.is_changed[slot as usize] = false;
        }
    }

    /// Adds the totals of another pane.
    pub(super) fn merge(&mut self, layout: &Layout, other: &Self) {
        for (slot, key) in other.keys.iter().enumerate() {
            let own = self.slot_for(layout, *key);
            self.totals.merge(layout, own, &other.totals, slot);
        }
    }

    /// Calls keys by their new numbers. All of them are kept.
    pub(super) fn renumber(&mut self, moved: &Moved) {
        self.keys.iter_mut().for_each(|key| {
            let new = moved.of(*key);
            debug_assert!(new.is_some(), "a key with a slot is kept");
            *key = new.unwrap_or(*key);
        });
        self.slots = (0..).zip(&self.keys).map(|(slot, key)| (*key, slot)).collect();
    }

    pub(super) fn count_bytes(&mut self) -> usize {
        self.bytes = self.totals.bytes() + self.slots.capacity() * 9 + self.keys.capacity() * 5;
        self.bytes
    }

    /// Takes a saved slot back, in place of what the key had.
    pub(super) fn restore(
        &mut self,
        layout: &Layout,
        key: u32,
        totals: (impl Iterator<Item = i64>, impl Iterator<Item = i128>),
        beside: Vec<(u32, Exact)>,
    ) {
        let slot = self.slot_for(layout, key);
        self.totals.restore(layout, slot, totals, beside);
    }
}
