//! Persisted timers of keys: set in one epoch, fired once the watermark has reached them, saved
//! with every commit.
//!
//! Timers of one key and name replace each other; they fire in (due time, key, name) order, so that
//! a replay and another number of workers fire them alike.

use crate::contract::{SavedState, StateBatch};
use crate::ids::{EventTime, KeyId, Ownership};
use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{Int64Type, UInt32Type};
use arrow::error::ArrowError;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A timer that is due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// When it was to fire.
    pub due: EventTime,
    /// Whose it is.
    pub key: KeyId,
    /// What it is for.
    pub name: String,
}

/// The timers of one step on one worker.
#[derive(Debug, Default)]
pub struct Timers {
    due: BTreeSet<Timer>,
    by_key: BTreeMap<(KeyId, String), EventTime>,
    changed: BTreeSet<(KeyId, String)>,
}

/// Marks a timer that was fired or canceled, in saved changes.
const GONE: i64 = i64::MIN;

impl Timers {
    /// Sets the timer `name` of `key`, in place of an earlier one of that name.
    pub fn set(&mut self, key: KeyId, name: &str, due: EventTime) {
        self.remove(key, name);
        self.by_key.insert((key, name.to_owned()), due);
        self.due.insert(Timer { due, key, name: name.to_owned() });
        self.changed.insert((key, name.to_owned()));
    }

    /// Cancels a timer; true when there was one.
    pub fn cancel(&mut self, key: KeyId, name: &str) -> bool {
        let there = self.remove(key, name);
        if there {
            self.changed.insert((key, name.to_owned()));
        }
        there
    }

    fn remove(&mut self, key: KeyId, name: &str) -> bool {
        let Some(due) = self.by_key.remove(&(key, name.to_owned())) else { return false };
        self.due.remove(&Timer { due, key, name: name.to_owned() })
    }

    /// Takes out the timers that are due at `watermark`, in order.
    pub fn fire(&mut self, watermark: EventTime) -> Vec<Timer> {
        let mut fired = Vec::new();
        while self.due.first().is_some_and(|t| t.due <= watermark) {
            let Some(timer) = self.due.pop_first() else { break };
            let slot = (timer.key, timer.name.clone());
            self.by_key.remove(&slot);
            self.changed.insert(slot);
            fired.push(timer);
        }
        fired
    }

    /// Timers that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// What changed since the last call, as rows `key`, `name`, `due`.
    ///
    /// # Errors
    /// Never for columns built here; arrow's signature.
    pub fn changes(&mut self) -> Result<StateBatch, ArrowError> {
        let changed = std::mem::take(&mut self.changed);
        let due = |slot: &(KeyId, String)| self.by_key.get(slot).map_or(GONE, |d| d.0);
        batch(changed.iter().map(|slot| (slot.0, slot.1.as_str(), due(slot))))
    }

    /// All timers, in the same form.
    ///
    /// # Errors
    /// As for [`Self::changes`].
    pub fn snapshot(&self) -> Result<StateBatch, ArrowError> {
        batch(self.by_key.iter().map(|((key, name), due)| (*key, name.as_str(), due.0)))
    }

    /// Takes back what was saved, of the shards that `worker` owns.
    pub fn restore(&mut self, saved: &SavedState, worker: usize, ownership: Ownership) {
        for rows in saved.named("timers") {
            let (keys, names, due) = (
                rows.column(0).as_primitive::<UInt32Type>(),
                rows.column(1).as_string::<i32>(),
                rows.column(2).as_primitive::<Int64Type>(),
            );
            for i in 0..keys.len() {
                let key = KeyId(keys.value(i));
                if !ownership.owns(worker, key.shard()) {
                    continue;
                }
                if due.value(i) == GONE {
                    self.remove(key, names.value(i));
                } else {
                    self.set(key, names.value(i), EventTime(due.value(i)));
                }
            }
        }
        self.changed.clear();
    }
}

fn batch<'a>(rows: impl Iterator<Item = (KeyId, &'a str, i64)>) -> Result<StateBatch, ArrowError> {
    let (mut keys, mut names, mut due) = (Vec::new(), Vec::new(), Vec::new());
    for (key, name, at) in rows {
        keys.push(key.0);
        names.push(name);
        due.push(at);
    }
    let columns: [(&str, ArrayRef); 3] = [
        ("key", Arc::new(UInt32Array::from(keys))),
        ("name", Arc::new(StringArray::from(names))),
        ("due", Arc::new(Int64Array::from(due))),
    ];
    Ok(StateBatch::new("timers", RecordBatch::try_from_iter(columns)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Epoch, ShardId};

    fn key(shard: u8) -> KeyId {
        KeyId::new(ShardId(shard), 1)
    }

    #[test]
    fn timers_fire_once_in_order_and_survive_a_restart_with_other_workers() {
        let mut timers = Timers::default();
        timers.set(key(1), "expire", EventTime(20));
        timers.set(key(2), "expire", EventTime(10));
        timers.set(key(1), "expire", EventTime(15));
        let first = timers.changes().expect("columns fit");
        assert_eq!(timers.fire(EventTime(10)).len(), 1);
        timers.set(key(3), "remind", EventTime(12));
        timers.cancel(key(3), "remind");
        let second = timers.changes().expect("columns fit");
        let saved = SavedState {
            snapshot: None,
            changes: vec![(Epoch(1), vec![first]), (Epoch(2), vec![second])],
        };
        let mut fired = Vec::new();
        for worker in 0..2 {
            let mut again = Timers::default();
            again.restore(&saved, worker, Ownership::new(2));
            fired.extend(again.fire(EventTime::MAX));
        }
        assert_eq!(fired, [Timer { due: EventTime(15), key: key(1), name: "expire".into() }]);
    }
}
