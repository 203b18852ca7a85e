//! Which keys can be forgotten: those of which no row is left that a window, or that of a late row,
//! could reach.
//!
//! Rows are not looked at for this. At every snapshot the number of rows that a key has had is
//! compared with that at the snapshot before. As long as it is the same, all its rows are as old as
//! the clock was when it was first seen so; once that is behind what can be reached, the key is
//! forgotten. A key's numbers are then the same at every edge, so that they may stay as the next
//! key's beginning.

use super::extras::Extras;
use super::idle::Idle;
use super::operator::FeaturesOperator;
use super::plan::OnInput;
use super::state::State;
use riskstream_engine::history::Chunk;
use riskstream_engine::ids::{KeyId, SHARDS};

impl OnInput {
    /// Whether a key is nothing but its rows in reach. The time of its last row is needed for ever.
    pub(super) fn forgets(&self) -> bool {
        !self.since && !self.edges.is_empty()
    }
}

impl State {
    /// Rows came of these keys, which only a later edge will count.
    pub(super) fn stir(&mut self, rows: &Chunk) {
        for key in &rows.keys {
            let key = KeyId(*key);
            self.idle[usize::from(key.shard().0)][key.local()].since = i64::MAX;
        }
    }

    /// Compares a living key with how it was before: whether its last row is at or before `floor`,
    /// as far as that is known.
    fn is_over(&mut self, shard: usize, local: usize, clock: i64, floor: i64) -> bool {
        let rows = self.narrow[Self::place(0, shard)][local * self.lanes.len()];
        let idle = &mut self.idle[shard][local];
        if idle.since == i64::MAX || idle.rows != rows {
            *idle = Idle { rows, since: clock };
        }
        idle.since <= floor
    }

    /// Since when a key has had as many rows as it has now, where keys are forgotten at all.
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
