//! How far event time has come: one watermark per source, the least of its partitions'.
//!
//! Invariants: it moves only when an epoch closes; it never goes back; it depends only on the facts of closed epochs, so every worker
//! computes the same one and a replay does too.

use crate::contract::Shape;
use crate::ids::EventTime;
use serde::{Deserialize, Serialize};

/// What one epoch's close says of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PartitionFacts {
    /// Newest event time seen in this epoch, microseconds.
    pub event_time_max: Option<i64>,
    /// Caught up and quiet: it no longer holds the watermark back.
    pub idle: bool,
    /// Read to its end.
    pub finished: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Partition {
    event_time_max: Option<i64>,
    idle: bool,
    finished: bool,
}

/// The watermark of one source; its serialized form is part of every commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatermarkTracker {
    out_of_orderness: i64,
    partitions: Vec<Partition>,
    watermark: i64,
}

impl WatermarkTracker {
    /// A tracker that has seen nothing. A partition's watermark trails its newest event by `out_of_orderness` microseconds and one more: an
    /// event that is exactly so far behind, or of the same time as the newest when nothing is out of order, is not late.
    #[must_use]
    pub fn new(out_of_orderness: i64) -> Self {
        Self { out_of_orderness, partitions: Vec::new(), watermark: i64::MIN }
    }

    /// What a saved tracker means, where the event time is the column `event_time`. How far events may be out of order is no part of it.
    #[must_use]
    pub fn shape(event_time: &str) -> Shape {
        Shape::new("clock").fact("event time", event_time)
    }

    /// Takes over the allowed out-of-orderness of a changed configuration.
    #[must_use]
    pub fn with_out_of_orderness(mut self, micros: i64) -> Self {
        self.out_of_orderness = micros;
        self
    }

    /// The watermark that holds now.
    #[must_use]
    pub fn watermark(&self) -> EventTime {
        EventTime(self.watermark)
    }

    /// The newest event time that any partition has shown.
    #[must_use]
    pub fn newest_seen(&self) -> Option<EventTime> {
        self.newest().map(EventTime)
    }

    /// Closes an epoch with what it saw of each partition (by number); gives the watermark from now on.
    ///
    /// With a `clock`, all partitions are quiet, and event time has come to there nevertheless: what is written from now on is not older.
    ///
    /// With `last` the input has ended: nothing is waited for any more, and the watermark goes to the newest event seen. It does not go
    /// beyond, so that a later run on the same data folder may go on with newer events.
    pub fn close(&mut self, facts: &[PartitionFacts], clock: Option<i64>, last: bool) -> EventTime {
        if facts.len() > self.partitions.len() {
            self.partitions.resize(facts.len(), Partition::default());
        }
        for (partition, fact) in self.partitions.iter_mut().zip(facts) {
            partition.event_time_max = partition.event_time_max.max(fact.event_time_max);
            partition.idle = fact.idle;
            partition.finished = fact.finished;
        }
        let candidate = if last { self.newest() } else { self.trailing().max(clock.map(|time| self.behind(time))) };
        // A regression (a new or returning partition behind the others) is held at the old value: its rows are late, not the clock wrong.
        self.watermark = self.watermark.max(candidate.unwrap_or(i64::MIN));
        EventTime(self.watermark)
    }

    fn behind(&self, newest: i64) -> i64 {
        newest.saturating_sub(self.out_of_orderness).saturating_sub(1)
    }

    fn newest(&self) -> Option<i64> {
        self.partitions.iter().filter_map(|p| p.event_time_max).max()
    }

    fn trailing(&self) -> Option<i64> {
        let mut least = None;
        let mut any_active = false;
        for p in &self.partitions {
            if p.idle || p.finished {
                continue;
            }
            any_active = true;
            // A partition that has shown nothing yet holds the watermark where it is.
            let time = self.behind(p.event_time_max?);
            least = Some(least.map_or(time, |l: i64| l.min(time)));
        }
        if any_active { least } else { self.newest().map(|n| self.behind(n)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(t: i64) -> PartitionFacts {
        PartitionFacts { event_time_max: Some(t), ..Default::default() }
    }

    #[test]
    fn the_slowest_partition_holds_the_watermark_back() {
        let mut w = WatermarkTracker::new(5);
        assert_eq!(w.close(&[seen(100), PartitionFacts::default()], None, false), EventTime::MIN);
        assert_eq!(w.close(&[seen(200), seen(50)], None, false), EventTime(44));
        assert_eq!(w.close(&[seen(90), seen(60)], None, false), EventTime(54), "maxima never go back");
    }

    #[test]
    fn an_idle_or_finished_partition_stops_holding_it_back() {
        let mut w = WatermarkTracker::new(0);
        w.close(&[seen(100), seen(10)], None, false);
        let idle = PartitionFacts { idle: true, ..Default::default() };
        assert_eq!(w.close(&[seen(110), idle], None, false), EventTime(109));
        assert_eq!(w.close(&[seen(120), seen(20)], None, false), EventTime(109), "a returning partition never moves it back");
        let finished = PartitionFacts { finished: true, ..Default::default() };
        assert_eq!(w.close(&[seen(130), finished], None, false), EventTime(129));
    }

    #[test]
    fn the_clock_takes_over_where_all_is_quiet_and_never_moves_it_back() {
        let mut w = WatermarkTracker::new(5);
        w.close(&[seen(100)], None, false);
        let idle = PartitionFacts { idle: true, ..Default::default() };
        assert_eq!(w.close(&[idle], Some(500), false), EventTime(494));
        assert_eq!(w.close(&[idle], Some(400), false), EventTime(494), "a clock that was set back");
        assert_eq!(w.close(&[seen(450)], None, false), EventTime(494), "its row is late");
        assert_eq!(w.close(&[idle], Some(900), true), EventTime(494), "the end of the input does not wait for the clock");
        assert_eq!(WatermarkTracker::new(0).close(&[idle], Some(7), false), EventTime(6), "nothing has been seen at all");
    }

    #[test]
    fn an_event_exactly_at_the_bound_is_not_behind_the_watermark() {
        let mut w = WatermarkTracker::new(0);
        assert!(w.close(&[seen(100)], None, false) < EventTime(100), "a tie with the newest event may follow in the next epoch");
        let mut w = WatermarkTracker::new(30);
        assert!(w.close(&[seen(100)], None, false) < EventTime(70));
    }

    #[test]
    fn the_end_of_input_waits_for_nothing_and_leaves_room_for_newer_events() {
        let mut w = WatermarkTracker::new(1_000);
        assert_eq!(w.close(&[seen(100)], None, true), EventTime(100));
        assert_eq!(w.close(&[seen(1_200)], None, false), EventTime(199));
    }
}
