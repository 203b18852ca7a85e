//! Which partition is read next.
//!
//! Partitions are read in step by event time: the one that is furthest behind has the next turn,
//! and none is read further ahead of the slowest than the skew allows. What was decoded of a
//! partition comes through [`Seen`], since decoding is done by others meanwhile.
//!
//! ```text
//!            block, fewer than two undecoded                 nothing now
//!   ready ◀────────────────────────────────── polled ──────────────────────────▶ quiet ─▶ polled
//!     │                                        ▲  │ block, two undecoded          ▲ each in turn
//!     └────────── the least event time ────────┘  └──▶ decoding ── decoded ──▶ ready
//! ```
//! A turn takes time logarithmic in the number of open partitions; a finished partition costs
//! nothing. Of many quiet partitions a few are polled in each round.
//!
//! Back-pressure: when so many rows wait for the watermark that no more may be held (`full`), only
//! partitions that can move the watermark are read. These are the partitions that have shown no
//! event time yet or, if there are none, those of the least event time.

use crate::protocol::watermark::PartitionFacts;
use std::collections::{BTreeSet, VecDeque};

/// How partitions are kept in step.
#[derive(Debug, Clone, Copy)]
pub struct TurnLimits {
    /// A partition that is caught up and quiet for so long is idle, microseconds.
    pub idle_after: i64,
    /// No partition is read further ahead of the slowest than this, microseconds of event time.
    pub skew_max: i64,
    /// Blocks of one partition that may be on their way to be decoded where there are several.
    pub blocks_ahead_max: u64,
    /// Quiet partitions that are polled in one round, at most.
    pub quiet_polls_max: usize,
}

/// What was decoded of a partition so far in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Newest event time; `i64::MIN` when there was no row.
    pub event_time_max: i64,
    /// Blocks.
    pub decoded: u64,
}

/// Why partitions that may have rows are not read: they wait for another partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The partition that the others wait for.
    pub by: u32,
    /// How far it is behind the one that would be next, microseconds of event time; none when it
    /// has shown nothing.
    pub behind: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Partition {
    sent: u64,
    finished: bool,
    idle: bool,
    /// Steady time since when it has been caught up and quiet.
    quiet_since: Option<i64>,
    /// The event time under which it is in `ready` or `holding`.
    time: i64,
    /// It is in `about_to_show`.
    about_to_show: bool,
}

/// The polls of one round: each quiet partition is polled at most once, and only a few of many.
#[derive(Debug)]
pub struct Round {
    quiet_left: usize,
}

/// Whose turn it is.
#[derive(Debug)]
pub struct Turns {
    limits: TurnLimits,
    partitions: Vec<Partition>,
    open: usize,
    /// Partitions that may be polled, by event time.
    ready: BTreeSet<(i64, u32)>,
    /// Partitions with as many undecoded blocks as they may have, in the order of getting there.
    decoding: VecDeque<u32>,
    /// Partitions that had nothing when they were polled.
    quiet: VecDeque<u32>,
    /// Partitions with undecoded blocks and no event time yet, which decoding is about to show.
    about_to_show: VecDeque<u32>,
    /// Partitions that hold the watermark back (neither idle nor finished), by event time.
    holding: BTreeSet<(i64, u32)>,
    /// Partitions that are quiet and not idle yet, by since when they are quiet.
    falling_idle: BTreeSet<(i64, u32)>,
    changed: BTreeSet<u32>,
    /// One of several has become idle or has ended since [`Self::take_changes`].
    released: bool,
}

impl Turns {
    /// No partitions yet.
    #[must_use]
    pub fn new(limits: TurnLimits) -> Self {
        Self {
            limits,
            partitions: Vec::new(),
            open: 0,
            ready: BTreeSet::new(),
            decoding: VecDeque::new(),
            quiet: VecDeque::new(),
            about_to_show: VecDeque::new(),
            holding: BTreeSet::new(),
            falling_idle: BTreeSet::new(),
            changed: BTreeSet::new(),
            released: false,
        }
    }

    /// There are partitions up to this number now, of which nothing was read in this run.
    pub fn grow(&mut self, count: u32) {
        for number in self.count()..count {
            let new = Partition {
                sent: 0,
                finished: false,
                idle: false,
                quiet_since: None,
                time: i64::MIN,
                about_to_show: false,
            };
            self.partitions.push(new);
            self.ready.insert((i64::MIN, number));
            self.holding.insert((i64::MIN, number));
            self.changed.insert(number);
            self.open += 1;
        }
    }

    fn count(&self) -> u32 {
        u32::try_from(self.partitions.len()).unwrap_or(u32::MAX)
    }

    /// Partitions that are not finished.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open
    }

    /// Partitions that are not finished, at most so many: those that hold the watermark back, the
    /// oldest first, then idle ones.
    pub fn furthest_behind(&self, most: usize) -> impl Iterator<Item = u32> {
        let idle = (0..self.count()).zip(&self.partitions).filter(|(_, p)| p.idle && !p.finished);
        let holding = self.holding.iter().map(|(_, number)| *number);
        holding.chain(idle.map(|(number, _)| number)).take(most)
    }

    /// Whether there are open partitions and all of them are idle at `now`.
    pub fn all_idle(&mut self, now: i64) -> bool {
        self.fall_idle(now);
        self.open > 0 && self.holding.is_empty()
    }

    /// Whether one of several partitions has become idle or has ended since [`Self::take_changes`],
    /// which may move the watermark.
    #[must_use]
    pub fn may_release(&self) -> bool {
        self.released
    }

    /// What has changed since the last call, as of `now`; at first, all partitions.
    pub fn take_changes(&mut self, now: i64) -> Vec<PartitionFacts> {
        self.fall_idle(now);
        let changed = std::mem::take(&mut self.changed);
        self.released = false;
        let told = |number: u32| {
            let p = &self.partitions[number as usize];
            PartitionFacts { partition: number, idle: p.idle, finished: p.finished }
        };
        changed.into_iter().map(told).collect()
    }

    /// A round of polls at `now`.
    pub fn round(&mut self, now: i64, seen: impl Fn(u32) -> Seen) -> Round {
        self.fall_idle(now);
        self.about_to_show_pruned(&seen);
        // Blocks are decoded about in the order in which they were sent.
        while let Some(&number) = self.decoding.front() {
            let at = seen(number);
            if self.is_decoding(number, at) {
                break;
            }
            self.decoding.pop_front();
            self.stand_ready(number, at);
        }
        Round { quiet_left: self.quiet.len().min(self.limits.quiet_polls_max) }
    }

    /// The partition to poll next in this round; one of [`Self::block`], [`Self::nothing`] and
    /// [`Self::finished`] must follow. With `full`, only one that can move the watermark.
    pub fn next(
        &mut self,
        round: &mut Round,
        full: bool,
        seen: impl Fn(u32) -> Seen,
    ) -> Option<u32> {
        while round.quiet_left > 0 {
            round.quiet_left -= 1;
            let Some(number) = self.quiet.pop_front() else { break };
            self.refresh(number, seen(number));
            if self.may_be_read(number, full, &seen) {
                return Some(number);
            }
            self.quiet.push_back(number);
        }
        let (_, number) = self.least_ready(&seen)?;
        // By event time, so that those behind it may not be read either.
        if !self.may_be_read(number, full, &seen) {
            return None;
        }
        self.ready.remove(&(self.partitions[number as usize].time, number));
        Some(number)
    }

    /// A block of the partition was sent; with `empty`, one without a row, which leaves the
    /// partition as quiet as it was.
    pub fn block(&mut self, number: u32, empty: bool, seen: impl Fn(u32) -> Seen) {
        let at = seen(number);
        let partition = &mut self.partitions[number as usize];
        partition.sent += 1;
        if partition.time == i64::MIN && !partition.about_to_show {
            partition.about_to_show = true;
            self.about_to_show.push_back(number);
        }
        if !empty {
            self.stir(number);
        }
        if self.is_decoding(number, at) {
            self.decoding.push_back(number)
        } else {
            self.stand_ready(number, at)
        }
    }

    /// The partition has nothing now; `caught_up` when it was read to its present end.
    pub fn nothing(&mut self, number: u32, caught_up: bool, now: i64) {
        self.quiet.push_back(number);
        let since = self.partitions[number as usize].quiet_since;
        if caught_up && since.is_some() {
            return;
        }
        self.stir(number);
        self.partitions[number as usize].quiet_since = Some(now);
        self.falling_idle.insert((now, number));
    }

    /// The partition has ended for this run.
    pub fn finished(&mut self, number: u32) {
        self.stir(number);
        let partition = &mut self.partitions[number as usize];
        partition.finished = true;
        self.holding.remove(&(partition.time, number));
        self.changed.insert(number);
        self.released |= self.partitions.len() > 1;
        self.open -= 1;
    }

    /// What keeps partitions from being read that may have rows, after a round in which none was: a
    /// partition that has nothing now, is not idle, and holds the others back.
    pub fn held(&mut self, full: bool, seen: impl Fn(u32) -> Seen) -> Option<Held> {
        let (time, by) = self.least_holding(&seen)?;
        let (next, _) = self.least_ready(&seen)?;
        let ahead = self
            .slowest_shown(&seen)
            .is_some_and(|slowest| next.saturating_sub(slowest) > self.limits.skew_max);
        let waits = self.partitions[by as usize].quiet_since.is_some();
        let behind = (time != i64::MIN).then(|| next.saturating_sub(time));
        (waits && (full || ahead) && time < next).then_some(Held { by, behind })
    }

    fn is_decoding(&self, number: u32, seen: Seen) -> bool {
        self.open > 1
            && self.partitions[number as usize].sent.saturating_sub(seen.decoded)
                >= self.limits.blocks_ahead_max
    }

    /// Marks the partition as neither quiet nor idle.
    fn stir(&mut self, number: u32) {
        let partition = &mut self.partitions[number as usize];
        if let Some(since) = partition.quiet_since.take() {
            self.falling_idle.remove(&(since, number));
        }
        if partition.idle {
            partition.idle = false;
            self.holding.insert((partition.time, number));
            self.changed.insert(number);
        }
    }

    fn fall_idle(&mut self, now: i64) {
        while let Some(&(since, number)) = self.falling_idle.first()
            && now - since >= self.limits.idle_after
        {
            self.falling_idle.pop_first();
            let partition = &mut self.partitions[number as usize];
            partition.idle = true;
            self.holding.remove(&(partition.time, number));
            self.changed.insert(number);
            self.released |= self.partitions.len() > 1;
        }
    }

    /// Takes over a partition's event time.
    fn refresh(&mut self, number: u32, seen: Seen) {
        let partition = &mut self.partitions[number as usize];
        if seen.event_time_max > partition.time {
            if self.holding.remove(&(partition.time, number)) {
                self.holding.insert((seen.event_time_max, number));
            }
            if self.ready.remove(&(partition.time, number)) {
                self.ready.insert((seen.event_time_max, number));
            }
            partition.time = seen.event_time_max;
        }
    }

    fn stand_ready(&mut self, number: u32, seen: Seen) {
        self.refresh(number, seen);
        self.ready.insert((self.partitions[number as usize].time, number));
    }

    /// The ready partition that is furthest behind. Event times only grow, so the first one whose
    /// time is still as it was is the least of all.
    fn least_ready(&mut self, seen: &impl Fn(u32) -> Seen) -> Option<(i64, u32)> {
        loop {
            let &(time, number) = self.ready.first()?;
            self.refresh(number, seen(number));
            if self.partitions[number as usize].time == time {
                return Some((time, number));
            }
        }
    }

    fn about_to_show_pruned(&mut self, seen: &impl Fn(u32) -> Seen) {
        while let Some(&number) = self.about_to_show.front() {
            let (partition, at) = (&mut self.partitions[number as usize], seen(number));
            // Blocks without a row that can be used show nothing: the next one may.
            let is_on_its_way = at.decoded < partition.sent && at.event_time_max == i64::MIN;
            if is_on_its_way && !partition.finished {
                break;
            }
            partition.about_to_show = false;
            self.about_to_show.pop_front();
            self.refresh(number, at);
        }
    }

    /// Event time of the slowest partition that holds the watermark back. Partitions that have
    /// shown no event time yet are left out.
    fn slowest_shown(&mut self, seen: &impl Fn(u32) -> Seen) -> Option<i64> {
        loop {
            let &(time, number) = self.holding.range((i64::MIN + 1, 0)..).next()?;
            self.refresh(number, seen(number));
            if self.partitions[number as usize].time == time {
                return Some(time);
            }
        }
    }

    fn may_be_read(&mut self, number: u32, full: bool, seen: &impl Fn(u32) -> Seen) -> bool {
        if self.open <= 1 {
            return true;
        }
        let partition = self.partitions[number as usize];
        if full {
            // A partition that ties with the slowest moves the watermark too. An idle one does not;
            // but if all are idle, any of them may be read.
            return match self.least_holding(seen) {
                Some((least, _)) => !partition.idle && partition.time <= least,
                None => true,
            };
        }
        if partition.time == i64::MIN {
            return true;
        }
        let ahead = self
            .slowest_shown(seen)
            .is_some_and(|slowest| partition.time.saturating_sub(slowest) > self.limits.skew_max);
        !ahead && self.about_to_show.is_empty()
    }

    /// The partition that holds the watermark back; one that has shown nothing before all others.
    fn least_holding(&mut self, seen: &impl Fn(u32) -> Seen) -> Option<(i64, u32)> {
        loop {
            let &(time, number) = self.holding.first()?;
            self.refresh(number, seen(number));
            if self.partitions[number as usize].time == time {
                return Some((time, number));
            }
        }
    }
}

#[cfg(test)]
mod tests;
