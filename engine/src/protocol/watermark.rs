//! How far event time has come: one watermark per source, the least of its partitions'.
//!
//! Invariants: the watermark moves only when an epoch closes; it never goes back, but for
//! [`WatermarkTracker::put_back`] at a start; it depends only on the facts of closed epochs, so
//! every worker computes the same one and a replay does too.

use crate::contract::Shape;
use crate::ids::EventTime;
use crate::protocol::saved_clock::{Partition, SavedTracker};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is new of one partition at the close of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PartitionFacts {
    /// Its number.
    pub partition: u32,
    /// Caught up and quiet: it no longer holds the watermark back.
    pub idle: bool,
    /// Read to its end.
    pub finished: bool,
}

/// What an epoch's close says: only what is new, so that partitions of which there is nothing new
/// cost nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct EpochFacts<'a> {
    /// Partitions that are new, or whose state is another one than at the close before.
    pub partitions: &'a [PartitionFacts],
    /// Newest event times seen in this epoch, microseconds, by partition; any number per partition.
    pub seen: &'a [(u32, i64)],
    /// Where the machine's clock moves event time to while all partitions are quiet: rows that are
    /// written from now on are not older.
    pub clock: Option<i64>,
    /// The input has ended: nothing is waited for any more, and the watermark goes to the newest
    /// event seen. It does not go beyond, so that a later run on the same data folder may go on
    /// with newer events.
    pub last: bool,
}

/// The watermark of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatermarkTracker {
    out_of_orderness: i64,
    /// Partitions that hold the watermark back.
    active: BTreeMap<u32, Partition>,
    /// Partitions that don't hold it back: idle or finished ones.
    resting: BTreeMap<u32, Partition>,
    /// Newest event time of all.
    newest: Option<i64>,
    watermark: i64,
    /// Partitions whose entry is another one since the last [`Self::take_changes`].
    changed: BTreeSet<u32>,
}

impl WatermarkTracker {
    /// A tracker that has seen nothing. A partition's watermark trails its newest event by
    /// `out_of_orderness` microseconds and one more: an event that is exactly so far behind, or of
    /// the same time as the newest when nothing is out of order, is not late.
    #[must_use]
    pub fn new(out_of_orderness: i64) -> Self {
        let (active, resting, changed) = Default::default();
        Self { out_of_orderness, active, resting, newest: None, watermark: i64::MIN, changed }
    }

    /// What a saved tracker means, where the event time is the column `event_time`. How far events
    /// may be out of order is no part of it.
    #[must_use]
    pub fn shape(event_time: &str) -> Shape {
        Shape::new("clock").fact("event time", event_time)
    }

    /// Takes back what was saved: a whole state or what changed since, oldest first.
    pub fn restore(&mut self, saved: SavedTracker) {
        self.watermark = saved.watermark;
        self.newest = self.newest.max(saved.newest);
        for (number, partition) in saved.partitions {
            self.put(number, partition);
        }
    }

    /// Puts the watermark back to `watermark` if it is beyond that, because an earlier run's clock
    /// was wrong. The watermark goes back in no other way.
    pub fn put_back(&mut self, watermark: EventTime) {
        self.watermark = self.watermark.min(watermark.0);
    }

    /// The whole state.
    #[must_use]
    pub fn saved(&self) -> SavedTracker {
        let partitions = self
            .active
            .iter()
            .chain(&self.resting)
            .map(|(number, partition)| (*number, *partition))
            .collect();
        SavedTracker { watermark: self.watermark, newest: self.newest, partitions }
    }

    /// What changed since the last call.
    pub fn take_changes(&mut self) -> SavedTracker {
        let changed = std::mem::take(&mut self.changed);
        let partitions =
            changed.into_iter().filter_map(|number| Some((number, self.get(number)?))).collect();
        SavedTracker { watermark: self.watermark, newest: self.newest, partitions }
    }

    /// The watermark that holds now.
    #[must_use]
    pub fn watermark(&self) -> EventTime {
        EventTime(self.watermark)
    }

    /// The newest event time that any partition has shown.
    #[must_use]
    pub fn newest_seen(&self) -> Option<EventTime> {
        self.newest.map(EventTime)
    }

    fn get(&self, number: u32) -> Option<Partition> {
        self.active.get(&number).or_else(|| self.resting.get(&number)).copied()
    }

    fn put(&mut self, number: u32, partition: Partition) {
        let (into, from) = match partition.idle || partition.finished {
            true => (&mut self.resting, &mut self.active),
            false => (&mut self.active, &mut self.resting),
        };
        from.remove(&number);
        into.insert(number, partition);
    }

    fn change(&mut self, number: u32, change: impl FnOnce(&mut Partition)) {
        let before = self.get(number);
        let mut partition = before.unwrap_or_default();
        change(&mut partition);
        if before != Some(partition) {
            self.newest = self.newest.max(partition.event_time_max);
            self.put(number, partition);
            self.changed.insert(number);
        }
    }

    /// Closes an epoch with what is new in it; gives the watermark from now on. It costs what has
    /// changed and what holds the watermark back, however many partitions there ever were.
    pub fn close(&mut self, facts: &EpochFacts<'_>) -> EventTime {
        for fact in facts.partitions {
            self.change(fact.partition, |p| (p.idle, p.finished) = (fact.idle, fact.finished));
        }
        for (number, time) in facts.seen {
            self.change(*number, |p| p.event_time_max = p.event_time_max.max(Some(*time)));
        }
        let candidate = if facts.last {
            self.newest
        } else {
            self.trailing().max(facts.clock.map(|time| self.behind(time)))
        };
        // A new or returning partition that is behind the others does not move the watermark back:
        // its rows are late.
        self.watermark = self.watermark.max(candidate.unwrap_or(i64::MIN));
        EventTime(self.watermark)
    }

    fn behind(&self, newest: i64) -> i64 {
        newest.saturating_sub(self.out_of_orderness).saturating_sub(1)
    }

    fn trailing(&self) -> Option<i64> {
        if self.active.is_empty() {
            return self.newest.map(|newest| self.behind(newest));
        }
        let mut least = i64::MAX;
        for partition in self.active.values() {
            // A partition that has shown nothing yet holds the watermark where it is.
            least = least.min(partition.event_time_max?);
        }
        Some(self.behind(least))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By number: newest event time, idle, finished.
    type Told = (Option<i64>, bool, bool);

    fn facts(told: &[Told]) -> (Vec<PartitionFacts>, Vec<(u32, i64)>) {
        let numbered = || (0..).zip(told);
        let states = numbered().map(|(partition, (_, idle, finished))| PartitionFacts {
            partition,
            idle: *idle,
            finished: *finished,
        });
        (
            states.collect(),
            numbered().filter_map(|(partition, (time, ..))| Some((partition, (*time)?))).collect(),
        )
    }

    fn close(w: &mut WatermarkTracker, told: &[Told], clock: Option<i64>, last: bool) -> EventTime {
        let (partitions, seen) = facts(told);
        w.close(&EpochFacts { partitions: &partitions, seen: &seen, clock, last })
    }

    fn seen(t: i64) -> Told {
        (Some(t), false, false)
    }

    const NOTHING: Told = (None, false, false);
    const IDLE: Told = (None, true, false);
    const FINISHED: Told = (None, false, true);

    #[test]
    fn the_slowest_partition_holds_the_watermark_back() {
        let mut w = WatermarkTracker::new(5);
        assert_eq!(close(&mut w, &[seen(100), NOTHING], None, false), EventTime::MIN);
        assert_eq!(close(&mut w, &[seen(200), seen(50)], None, false), EventTime(44));
        assert_eq!(
            close(&mut w, &[seen(90), seen(60)], None, false),
            EventTime(54),
            "maxima never go back"
        );
    }

    #[test]
    fn an_idle_or_finished_partition_stops_holding_it_back() {
        let mut w = WatermarkTracker::new(0);
        close(&mut w, &[seen(100), seen(10)], None, false);
        assert_eq!(close(&mut w, &[seen(110), IDLE], None, false), EventTime(109));
        assert_eq!(
            close(&mut w, &[seen(120), seen(20)], None, false),
            EventTime(109),
            "a returning partition never moves it back"
        );
        assert_eq!(close(&mut w, &[seen(130), FINISHED], None, false), EventTime(129));
        assert_eq!(
            close(&mut w, &[IDLE, NOTHING], None, false),
            EventTime(129),
            "back from its end, it is where it was"
        );
        assert_eq!(
            close(&mut w, &[IDLE, IDLE], None, false),
            EventTime(129),
            "all idle: the newest of all"
        );
    }

    #[test]
    fn the_clock_takes_over_where_all_is_quiet_and_never_moves_it_back() {
        let mut w = WatermarkTracker::new(5);
        close(&mut w, &[seen(100)], None, false);
        assert_eq!(close(&mut w, &[IDLE], Some(500), false), EventTime(494));
        assert_eq!(
            close(&mut w, &[IDLE], Some(400), false),
            EventTime(494),
            "a clock that was set back"
        );
        assert_eq!(close(&mut w, &[seen(450)], None, false), EventTime(494), "its row is late");
        assert_eq!(
            close(&mut w, &[IDLE], Some(900), true),
            EventTime(494),
            "the end of the input does not wait for the clock"
        );
        assert_eq!(
            close(&mut WatermarkTracker::new(0), &[IDLE], Some(7), false),
            EventTime(6),
            "nothing has been seen at all"
        );
    }

    #[test]
    fn an_event_exactly_at_the_bound_is_not_behind_the_watermark() {
        let mut w = WatermarkTracker::new(0);
        assert!(
            close(&mut w, &[seen(100)], None, false) < EventTime(100),
            "a tie with the newest event may follow in the next epoch"
        );
        let mut w = WatermarkTracker::new(30);
        assert!(close(&mut w, &[seen(100)], None, false) < EventTime(70));
    }

    #[test]
    fn the_end_of_input_waits_for_nothing_and_leaves_room_for_newer_events() {
        let mut w = WatermarkTracker::new(1_000);
        assert_eq!(close(&mut w, &[seen(100)], None, true), EventTime(100));
        assert_eq!(close(&mut w, &[seen(1_200)], None, false), EventTime(199));
    }

    /// The watermark as it is defined, over all partitions that there ever were.
    #[derive(Default)]
    struct Defined {
        partitions: Vec<Told>,
        watermark: Option<i64>,
    }

    impl Defined {
        fn close(&mut self, told: &[Told], clock: Option<i64>, last: bool) -> i64 {
            self.partitions.resize(self.partitions.len().max(told.len()), NOTHING);
            for (p, t) in self.partitions.iter_mut().zip(told) {
                *p = (p.0.max(t.0), t.1, t.2);
            }
            let newest = self.partitions.iter().filter_map(|p| p.0).max();
            let holding = || self.partitions.iter().filter(|p| !p.1 && !p.2);
            let trailing = match holding().count() {
                0 => newest,
                _ if holding().any(|p| p.0.is_none()) => None,
                _ => holding().filter_map(|p| p.0).min(),
            };
            let candidate = if last { newest } else { trailing.max(clock).map(|t| t - 8) };
            self.watermark = self.watermark.max(candidate);
            self.watermark.unwrap_or(i64::MIN)
        }
    }

    proptest! {
        /// Told only what is new, and restarted from what it saved at any epoch, the tracker says
        /// what the definition says.
        #[test]
        fn differences_and_restarts_give_the_watermark_as_it_is_defined(
            epochs in proptest::collection::vec(
                (
                    proptest::collection::vec(
                        (proptest::option::of(0_i64..100), any::<bool>(), any::<bool>()),
                        1..5,
                    ),
                    proptest::option::weighted(0.1, 0_i64..120),
                    proptest::bool::weighted(0.05),
                ),
                1..20,
            ),
            restart in 0_usize..20,
            snapshot in 0_usize..20,
        ) {
            let (mut defined, mut w, mut told) =
                (Defined::default(), WatermarkTracker::new(7), Vec::<Told>::new());
            let mut saved = Vec::new();
            for (at, (epoch, clock, last)) in epochs.iter().enumerate() {
                let (mut partitions, seen) = facts(epoch);
                partitions.retain(|p| {
                    told.get(p.partition as usize)
                        .is_none_or(|t| (t.1, t.2) != (p.idle, p.finished))
                });
                told.resize(told.len().max(epoch.len()), NOTHING);
                told[..epoch.len()].copy_from_slice(epoch);
                let watermark = w.close(&EpochFacts {
                    partitions: &partitions,
                    seen: &seen,
                    clock: *clock,
                    last: *last,
                });
                prop_assert_eq!(watermark.0, defined.close(epoch, *clock, *last));
                let changes = w.take_changes();
                if at == snapshot {
                    saved = vec![w.saved()]
                } else {
                    saved.push(changes)
                }
                if at == restart {
                    w = WatermarkTracker::new(7);
                    saved.iter().cloned().for_each(|part| w.restore(part));
                }
            }
        }
    }
}
