//! Which keys can be forgotten: those whose rows are all older than any window can reach, also the
//! window of a late row.
//!
//! No row is read for this. Every snapshot compares the number of rows that a key has had with the
//! number at the snapshot before. While the number stays the same, all rows of the key are at or
//! before the clock of the first snapshot with that number; once no window reaches that time, the
//! key is forgotten. The sums of a forgotten key are then the same at every edge, so the next key
//! with its number may start from them.

use super::extras::Extras;
use super::idle::Idle;
use super::operator::FeaturesOperator;
use super::plan::OnInput;
use super::state::State;
use riskstream_engine::history::Chunk;
use riskstream_engine::ids::{KeyId, SHARDS};

impl OnInput {
    /// Whether keys can be forgotten: not by a step without windows, and not by one that shows the
    /// time since a key's last row, which is needed for ever.
    pub(super) fn forgets(&self) -> bool {
        !self.since && !self.edges.is_empty()
    }
}

impl State {
    /// Marks the keys of these rows as active: with a delay the first edge counts the rows only
    /// later.
    pub(super) fn stir(&mut self, rows: &Chunk) {
        for key in &rows.keys {
            let key = KeyId(*key);
            self.idle[usize::from(key.shard().0)][key.local()].since = i64::MAX;
        }
    }

    /// Whether the last row of a living key is known to be at or before `floor`, because its number
    /// of rows has not changed since the clock was there.
    fn is_over(&mut self, shard: usize, local: usize, clock: i64, floor: i64) -> bool {
        let rows = self.narrow[Self::place(0, shard)][local * self.lanes.len()];
        let idle = &mut self.idle[shard][local];
        if idle.since == i64::MAX || idle.rows != rows {
            *idle = Idle { rows, since: clock };
        }
        idle.since <= floor
    }

    /// Restores since when a key has had no new row, where keys are forgotten at all.
    pub(super) fn restore_idle(&mut self, key: KeyId, since: i64) {
        let (shard, local) = (usize::from(key.shard().0), key.local());
        let rows = self.narrow[Self::place(0, shard)][local * self.lanes.len()];
        if let Some(idle) = self.idle[shard].get_mut(local) {
            *idle = Idle { rows, since };
        }
    }

    fn forget(&mut self, plan: &OnInput, key: KeyId) {
        self.idle[usize::from(key.shard().0)][key.local()] = Idle::default();
        self.beside.by_key.remove(&key.0);
        if plan.has_extras() {
            self.extras[usize::from(key.shard().0)][key.local()] = Extras::new(plan);
        }
    }
}

impl FeaturesOperator {
    /// Forgets keys, at a snapshot.
    pub(super) fn forget_keys(&mut self) {
        if !self.plan.forgets() {
            return;
        }
        let (clock, floor) = (self.history.clock(), self.floor());
        let mut over = self.dictionary.living();
        for (shard, over) in over.iter_mut().enumerate().take(SHARDS) {
            for (local, over) in over.iter_mut().enumerate() {
                *over = *over && self.state.is_over(shard, local, clock, floor);
            }
        }
        let (plan, state) = (&self.plan, &mut self.state);
        let forgotten = self.dictionary.forget(|key| {
            let is_over = over[usize::from(key.shard().0)][key.local()];
            if is_over {
                state.forget(plan, key);
            }
            !is_over
        });
        if forgotten > 0 {
            self.state.shrink(self.dictionary.counts());
            self.forgotten_before = self.forgotten_before.max(floor);
        }
    }
}
