//! The feed: one thread that reads the source and decides, by [`EpochPolicy`], what each epoch
//! contains.

use crate::contract::Notice;
use crate::contract::{Block, PartitionInfo, Payload, Poll, PollLimit, Position, Source};
use crate::ids::Epoch;
use crate::protocol::{EpochDecision, EpochPolicy, Held, Seen, Turns, WallTime};
use crate::runtime::clock::Clock;
use crate::runtime::failure::Failure;
use crate::runtime::gather::{ROWS_GATHERED, ROWS_MERGED};
use crate::runtime::metrics::{Metrics, PARTITIONS_SHOWN_MAX, PartitionMetrics, READ_STEP};
use crate::runtime::parts::{Committed, FeedClose, Moment, sliced_bytes};
use crate::runtime::plan::{EngineConfig, EpochHook, WhenQuiet};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use timely::scheduling::SyncActivator;

/// To a worker's intake.
#[derive(Debug)]
pub(crate) enum FeedMessage {
    /// Blocks with their bytes, read one right after the other.
    Blocks {
        epoch: Epoch,
        blocks: Vec<(Block, u64)>,
    },
    Close(Arc<FeedClose>),
}

/// What the workers tell the feed about partitions; a few words per block.
#[derive(Debug)]
pub(crate) struct PartitionClock {
    /// Newest event time decoded.
    pub(crate) event_time_max: AtomicI64,
    /// Blocks decoded.
    pub(crate) decoded: AtomicU64,
}

/// The feed's view of all partitions, by number; it adds one before it sends the first block of it.
/// Workers read it without a lock.
pub(crate) type PartitionClocks = Arc<boxcar::Vec<PartitionClock>>;

/// One worker's end.
#[derive(Debug)]
pub(crate) struct WorkerEnd {
    pub(crate) blocks: Sender<FeedMessage>,
    pub(crate) wake: SyncActivator,
}

pub(crate) struct Feed {
    pub(crate) source: Box<dyn Source>,
    pub(crate) policy: EpochPolicy,
    pub(crate) config: EngineConfig,
    pub(crate) idle_after: i64,
    pub(crate) turns: Turns,
    pub(crate) when_quiet: WhenQuiet,
    /// Whether blocks of several partitions are merged by event time.
    pub(crate) merge: bool,
    pub(crate) round: WaitingBlocks,
    pub(crate) workers: Vec<WorkerEnd>,
    /// The worker whose turn it is.
    pub(crate) next_worker: usize,
    pub(crate) clocks: PartitionClocks,
    /// Where partitions stood as the run began, until they are read on or turn out to have ended
    /// there.
    pub(crate) resumed: BTreeMap<u32, Position>,
    /// How far partitions were read in the open epoch.
    pub(crate) read_on: BTreeMap<u32, (PartitionInfo, Position)>,
    /// Epochs that are closed and not known to be committed, and the bytes of their blocks.
    pub(crate) closed: VecDeque<(Arc<FeedClose>, u64)>,
    /// When the open epoch's first block was read.
    pub(crate) first_block: Option<Moment>,
    /// How far a partition's watermark trails its newest event, microseconds.
    pub(crate) out_of_orderness: i64,
    /// Bytes of the open epoch's blocks.
    pub(crate) bytes_open: u64,
    /// Bytes of the blocks of the epochs in `closed`, whose rows may yet have to wait for the
    /// watermark.
    pub(crate) bytes_closed: u64,
    pub(crate) held: HeldNotice,
    pub(crate) wall: WallTime,
    pub(crate) clock_notice: ClockNotice,
    /// Index, among the metrics' steps, of the step whose state are the rows that wait for the
    /// watermark.
    pub(crate) hold_step: usize,
    pub(crate) hooks: Vec<EpochHook>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) committed: Receiver<Committed>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) failure: Failure,
}

/// Small blocks that are read one right after the other, on their way to one worker.
#[derive(Debug, Default)]
pub(crate) struct WaitingBlocks {
    blocks: Vec<(Block, u64)>,
    rows: u64,
}

/// Rounds that may wait for one worker. An epoch's close always fits, so that a worker deep in its
/// work holds up no other.
const ROUNDS_QUEUED_MAX: usize = 4;
/// Blocks of one partition that may be on their way to be decoded when there are several partitions
/// to keep in step.
pub(crate) const BLOCKS_AHEAD_MAX: u64 = 2;
/// Partitions that had nothing and are asked again in one round, at most: of very many, a few each
/// time.
pub(crate) const QUIET_POLLS_MAX: usize = 64;
/// Rows of a block of many partitions that are merged, at least.
const BLOCK_ROWS_MIN: usize = 256;
/// Bytes of a block, at least: an epoch that is nearly full is filled at once.
const BLOCK_BYTES_MIN: usize = 64 << 10;
/// One block of each partition, together, may take one part in so many of `hold_bytes_max`: until
/// every partition has shown an event time, all these blocks wait.
const HOLD_SHARE: u64 = 4;
/// The byte limit of a block is at least this, however many partitions there are.
const BLOCK_SHARE_MIN: u64 = 4 << 10;
/// Bytes of a row, before any was seen.
const ROW_BYTES_LIKELY: u64 = 100;
/// How often new partitions are looked for.
const DISCOVER_MICROS: i64 = 1_000_000;
/// Event time goes on by the clock in steps of `idle_after`, but of at least this: each step is an
/// epoch.
const CLOCK_MICROS_MIN: i64 = 10_000;
/// An epoch without rows closes because a partition has become idle or has ended, which may move
/// the watermark, at most every so often.
const MOVED_MICROS: i64 = 100_000;
/// The feed reports partitions that have waited for another one for so long.
const HELD_TOLD_MICROS: i64 = 1_000_000;
/// How long the feed sleeps when there is nothing to do, at least and at most. What comes meanwhile
/// shares a batch, which costs less than a wake-up for every row of a slow stream.
const SLEEP_MICROS: (u64, u64) = (500, 2_000);

impl Drop for Feed {
    /// However the feed ends, each worker must see that its channel is closed: one that is asleep
    /// would wait for ever.
    fn drop(&mut self) {
        for WorkerEnd { blocks, wake } in self.workers.drain(..) {
            drop(blocks);
            // A worker that has ended needs no waking.
            let _ended = wake.activate();
        }
    }
}

impl Feed {
    /// Reads until the source ends, the run is stopped, or something fails.
    pub(crate) fn run(mut self) {
        if let Err(()) = self.read() {
            // Whoever made it fail has said why; closing the channels lets the workers end.
        }
    }

    fn now(&self) -> i64 {
        i64::try_from(self.clock.steady_nanos() / 1_000).unwrap_or(i64::MAX)
    }

    fn read(&mut self) -> Result<(), ()> {
        let mut committed = Epoch(self.policy.open().0 - 1);
        let mut idle_rounds = 0u32;
        self.metrics.ready_nanos.store(self.clock.steady_nanos(), Ordering::Relaxed);
        self.opened();
        let mut discover_at = self.now();
        let mut closed_at = self.now();
        let endless = self.source.endless();
        loop {
            if self.failure.is_set() {
                return Err(());
            }
            while let Ok(commit) = self.committed.try_recv() {
                committed = self.take(&commit);
            }
            if self.now() - discover_at > DISCOVER_MICROS {
                discover_at = self.now();
                self.source.discover().map_err(|e| self.failure.set(e))?;
                self.show_partitions();
            }
            self.know_partitions()?;
            let stopping = self.stop.load(Ordering::Acquire);
            // Whether a partition has ended is for the source to say in this run: a file that was
            // finished may have grown since.
            let ended = !stopping && !endless && self.turns.open() == 0;
            if stopping || ended {
                // A stop leaves rows waiting for the watermark where they are; the end of the input
                // releases them.
                if ended || !self.policy.is_empty() {
                    self.close(false, ended)?;
                }
                return Ok(());
            }
            let quiet = idle_rounds > 0;
            match self.policy.decide(self.now(), committed, quiet) {
                EpochDecision::Close { snapshot } => {
                    closed_at = self.now();
                    self.close(snapshot, false)?;
                    continue;
                }
                EpochDecision::WaitForCommit => {
                    self.send()?;
                    if let Ok(commit) = self.committed.recv_timeout(Duration::from_millis(20)) {
                        committed = self.take(&commit);
                    }
                    continue;
                }
                EpochDecision::Read => {}
            }
            if self.read_block()? {
                idle_rounds = 0;
                continue;
            }
            self.send()?;
            idle_rounds = idle_rounds.saturating_add(1);
            if self.policy.is_empty()
                && self.event_time_may_move(closed_at)
                && let EpochDecision::Close { snapshot } = self.policy.decide_empty(committed)
            {
                closed_at = self.now();
                self.close(snapshot, false)?;
            }
            committed = self.pause(idle_rounds, committed);
        }
    }

    /// Takes over the partitions that the source has by now.
    fn know_partitions(&mut self) -> Result<(), ()> {
        let count = self.source.partitions().len();
        while self.clocks.count() < count {
            self.clocks.push(PartitionClock::new());
        }
        let count = u32::try_from(count).map_err(|_| self.bug("more than 2^32 partitions"))?;
        self.turns.grow(count);
        Ok(())
    }

    /// Says how far partitions are, to whoever watches.
    fn show_partitions(&self) {
        let known = self.source.partitions();
        let shown = self.turns.furthest_behind(PARTITIONS_SHOWN_MAX).filter_map(|number| {
            let event_time_max_micros = seen(&self.clocks, number).event_time_max;
            // A partition that has shown no event time in this run is left out.
            (event_time_max_micros > i64::MIN).then_some(PartitionMetrics {
                name: known.get(number as usize)?.name.clone(),
                event_time_max_micros,
                watermark_micros: event_time_max_micros
                    .saturating_sub(self.out_of_orderness)
                    .saturating_sub(1),
            })
        });
        let shown = shown.collect();
        *self.metrics.partitions.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        self.metrics.partitions_open.store(self.turns.open() as u64, Ordering::Relaxed);
    }

    /// Whether an epoch without rows, the last one having closed then, may move the watermark.
    fn event_time_may_move(&mut self, closed_at: i64) -> bool {
        let since = self.now() - closed_at;
        let by_clock =
            since >= self.idle_after.max(CLOCK_MICROS_MIN) && self.time_by_clock().is_some();
        let by_partition = since >= self.idle_after.clamp(CLOCK_MICROS_MIN, MOVED_MICROS)
            && self.turns.may_release();
        by_clock || by_partition
    }

    fn take(&mut self, commit: &Committed) -> Epoch {
        self.policy.committed(commit.bytes, commit.snapshot_bytes);
        while let Some((close, bytes)) =
            self.closed.pop_front_if(|(close, _)| close.epoch <= commit.epoch)
        {
            self.bytes_closed -= bytes;
            self.metrics
                .bytes_in_flight
                .store(self.bytes_open + self.bytes_closed, Ordering::Relaxed);
            self.source.committed(&close.positions);
        }
        commit.epoch
    }

    /// Waits a little, or until an epoch is committed, which may make room for the open one to
    /// close; gives the last one committed.
    fn pause(&mut self, idle_rounds: u32, committed: Epoch) -> Epoch {
        let (least, most) = SLEEP_MICROS;
        let mut micros = (least << (idle_rounds - 1).min(6)).min(most);
        if let (true, Some(ripe)) =
            (self.policy.has_room(committed), self.policy.ripe_in(self.now()))
        {
            micros = micros.min(u64::try_from(ripe).unwrap_or(0).max(10));
        }
        let patience = Duration::from_micros(micros);
        match self.committed.recv_timeout(patience) {
            Ok(commit) => self.take(&commit),
            Err(RecvTimeoutError::Timeout) => committed,
            Err(RecvTimeoutError::Disconnected) => {
                // The committer has ended; the workers' channels will say so.
                std::thread::sleep(patience);
                committed
            }
        }
    }

    /// Reads one block of the partition that is furthest behind in event time; false when nothing
    /// can be read now.
    fn read_block(&mut self) -> Result<bool, ()> {
        let full = self.is_full();
        let limit = self.poll_limit();
        let mut round = self.turns.round(self.now(), |number| seen(&self.clocks, number));
        while let Some(partition) =
            self.turns.next(&mut round, full, |number| seen(&self.clocks, number))
        {
            let started = self.clock.steady_nanos();
            let polled = self.source.poll(partition, limit).map_err(|e| self.failure.set(e))?;
            match polled {
                Poll::Block(block) => {
                    let nanos = self.clock.steady_nanos() - started;
                    // A source that only says how far it has come is as quiet as one that says
                    // nothing.
                    self.turns.block(partition, is_empty(&block.payload), |number| {
                        seen(&self.clocks, number)
                    });
                    self.held.clear();
                    self.take_block(block, nanos)?;
                    return Ok(true);
                }
                Poll::Pending { caught_up } => self.turns.nothing(partition, caught_up, self.now()),
                Poll::Finished(position) => {
                    self.turns.finished(partition);
                    if self.resumed.remove(&partition).is_none_or(|known| known != position) {
                        self.set_position(partition, position);
                    }
                    return Ok(true);
                }
            }
        }
        let held = self.turns.held(full, |number| seen(&self.clocks, number));
        self.tell_held(held, full);
        Ok(false)
    }

    /// How much to read at once.
    fn poll_limit(&self) -> PollLimit {
        let open = self.turns.open();
        let left = self.policy.rows_left();
        let mut rows = usize::try_from(left).unwrap_or(usize::MAX).min(self.config.block_rows);
        let mut bytes = usize::try_from(self.estimated_bytes(left))
            .unwrap_or(usize::MAX)
            .max(BLOCK_BYTES_MIN)
            .min(self.config.block_bytes);
        if self.merge && open > 1 {
            rows = rows.min((ROWS_MERGED / open).max(BLOCK_ROWS_MIN));
        } else if open > 1 {
            let share =
                (self.config.hold_bytes_max / HOLD_SHARE / open as u64).max(BLOCK_SHARE_MIN);
            rows = rows.min(
                usize::try_from(self.estimated_rows(share))
                    .unwrap_or(usize::MAX)
                    .max(BLOCK_ROWS_MIN),
            );
            bytes = bytes.min(usize::try_from(share).unwrap_or(usize::MAX));
        }
        PollLimit { rows, bytes }
    }

    /// Bytes of rows that wait for the watermark: as of the last epoch that all workers have
    /// closed, and those that were read since.
    fn held_bytes(&self) -> u64 {
        let waiting =
            self.metrics.steps.get(self.hold_step).map_or(0, |hold| hold.state_bytes_total());
        waiting + self.bytes_open + self.bytes_closed
    }

    /// Whether so many rows wait that only partitions that can move the watermark are read. In
    /// arrival order no rows wait.
    fn is_full(&self) -> bool {
        !self.merge && self.held_bytes() > self.config.hold_bytes_max
    }

    /// Says for whom rows wait, when they have waited for a while.
    fn tell_held(&mut self, held: Option<Held>, full: bool) {
        let now = self.now();
        let Some(held) = held else { return self.held.clear() };
        if !self.held.is_due(now) {
            return;
        }
        let name =
            self.source.partitions().get(held.by as usize).map_or("?", |info| info.name.as_str());
        let slow = match held.behind {
            Some(micros) => format!("is {} s of event time behind the others", micros / 1_000_000),
            None => "has shown nothing yet".to_owned(),
        };
        let why = match full {
            true => format!(
                "{} MiB of rows wait for the watermark, as many as `hold_memory` allows",
                self.held_bytes() >> 20
            ),
            false => "the others are as far ahead of it as `skew_max` allows".to_owned(),
        };
        let until = format!(
            "until it has rows, ends, or has been quiet for {} s (`idle_after`)",
            self.idle_after / 1_000_000
        );
        self.held.tell(format!("{name} {slow}, and {why}: nothing else is read {until}"));
    }

    /// Where event time is by the clock, when that is what counts now.
    fn time_by_clock(&mut self) -> Option<i64> {
        let now = self.now();
        if self.when_quiet != WhenQuiet::Clock || !self.turns.all_idle(now) {
            return None;
        }
        self.wall.row_seen(self.metrics.event_time_max_micros.load(Ordering::Relaxed), now);
        let told = self.wall.time(self.clock.wall_micros(), now);
        self.clock_notice.tell(told.astray);
        Some(told.time.saturating_sub(self.idle_after))
    }

    fn bug(&self, what: &str) {
        self.failure.set(crate::runtime::failure::RunError::Bug { what: what.into() });
    }

    fn set_position(&mut self, partition: u32, position: Position) {
        match self.read_on.entry(partition) {
            Entry::Occupied(mut read) => read.get_mut().1 = position,
            Entry::Vacant(first) => {
                if let Some(info) = self.source.partitions().get(partition as usize) {
                    first.insert((info.clone(), position));
                }
            }
        }
    }

    /// Puts a block into the round, which is sent when it has enough rows.
    fn take_block(&mut self, mut block: Block, read_nanos: u64) -> Result<(), ()> {
        block.read_at = self.clock.wall_micros();
        let bytes = match &block.payload {
            Payload::Raw(bytes) => bytes.len() as u64,
            Payload::Rows(rows) => sliced_bytes(rows),
            Payload::Messages { bytes, .. } => *bytes as u64,
            Payload::Other(_) => 0,
        };
        let rows = match &block.payload {
            Payload::Rows(rows) => rows.num_rows() as u64,
            Payload::Messages { rows, .. } => *rows as u64,
            Payload::Raw(_) | Payload::Other(_) => self.estimated_rows(bytes),
        };
        self.metrics.steps[self.metrics.step(READ_STEP)].add(rows, rows, read_nanos);
        self.resumed.remove(&block.partition);
        self.set_position(block.partition, block.next.clone());
        if self.first_block.is_none() {
            self.first_block = Some(Moment::now(self.clock.as_ref()));
        }
        self.bytes_open += bytes;
        self.metrics.bytes_in_flight.store(self.bytes_open + self.bytes_closed, Ordering::Relaxed);
        self.policy.add(rows, bytes, self.now());
        if let Some((total, done)) = self.source.progress() {
            self.metrics.progress_done.store(done, Ordering::Relaxed);
            self.metrics.progress_total.store(total, Ordering::Relaxed);
        }
        self.round.blocks.push((block, bytes));
        self.round.rows += rows;
        let enough = if self.merge { ROWS_MERGED } else { ROWS_GATHERED };
        if self.round.rows >= enough as u64 { self.send() } else { Ok(()) }
    }

    /// Sends the round to the next worker that has room.
    fn send(&mut self) -> Result<(), ()> {
        let WaitingBlocks { blocks, .. } = std::mem::take(&mut self.round);
        if blocks.is_empty() {
            return Ok(());
        }
        let message = FeedMessage::Blocks { epoch: self.policy.open(), blocks };
        loop {
            for _ in 0..self.workers.len() {
                let worker = &self.workers[self.next_worker];
                self.next_worker = (self.next_worker + 1) % self.workers.len();
                if worker.blocks.len() < ROUNDS_QUEUED_MAX {
                    worker.blocks.send(message).map_err(|_| ())?;
                    return self.wake(worker);
                }
            }
            if self.failure.is_set() {
                return Err(());
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    /// Rows that were decoded so far and the bytes they were, or what is likely.
    fn rows_in_bytes(&self) -> (u64, u64) {
        let (rows, seen) = (
            self.metrics.rows_in_total.load(Ordering::Relaxed),
            self.metrics.bytes_in_total.load(Ordering::Relaxed),
        );
        if rows == 0 || seen == 0 { (1, ROW_BYTES_LIKELY) } else { (rows, seen) }
    }

    /// Rows in so many raw bytes, going by what was decoded so far.
    fn estimated_rows(&self, bytes: u64) -> u64 {
        let (rows, seen) = self.rows_in_bytes();
        (bytes.saturating_mul(rows) / seen).max(1)
    }

    /// Raw bytes of so many rows, likewise.
    fn estimated_bytes(&self, rows: u64) -> u64 {
        let (seen, bytes) = self.rows_in_bytes();
        rows.saturating_mul(bytes) / seen
    }

    fn wake(&self, worker: &WorkerEnd) -> Result<(), ()> {
        worker.wake.activate().map_err(|_| ())
    }

    fn close(&mut self, snapshot: bool, last: bool) -> Result<(), ()> {
        self.send()?;
        let partitions = self.turns.take_changes(self.now());
        let clock = self.time_by_clock();
        let epoch = self.policy.closed(snapshot);
        let positions = std::mem::take(&mut self.read_on);
        let first_block =
            self.first_block.take().unwrap_or_else(|| Moment::now(self.clock.as_ref()));
        let close = Arc::new(FeedClose {
            epoch,
            snapshot,
            last,
            partitions,
            clock,
            first_block,
            positions,
        });
        self.bytes_closed += self.bytes_open;
        self.closed.push_back((Arc::clone(&close), std::mem::take(&mut self.bytes_open)));
        for worker in &self.workers {
            worker.blocks.send(FeedMessage::Close(Arc::clone(&close))).map_err(|_| ())?;
            self.wake(worker)?;
        }
        self.opened();
        Ok(())
    }

    fn opened(&mut self) {
        let epoch = self.policy.open();
        self.metrics.open_epoch.store(epoch.0, Ordering::Relaxed);
        let now = self.clock.wall_micros();
        for hook in &mut self.hooks {
            hook(epoch, now);
        }
    }
}

/// Whether there is no row in it.
fn is_empty(payload: &Payload) -> bool {
    match payload {
        Payload::Raw(bytes) => bytes.is_empty(),
        Payload::Rows(rows) => rows.num_rows() == 0,
        Payload::Messages { rows, .. } => *rows == 0,
        Payload::Other(_) => false,
    }
}

fn seen(clocks: &PartitionClocks, number: u32) -> Seen {
    match clocks.get(number as usize) {
        Some(clock) => Seen {
            event_time_max: clock.event_time_max.load(Ordering::Acquire),
            decoded: clock.decoded.load(Ordering::Acquire),
        },
        None => Seen { event_time_max: i64::MIN, decoded: 0 },
    }
}

impl PartitionClock {
    pub(crate) fn new() -> Self {
        Self { event_time_max: AtomicI64::new(i64::MIN), decoded: AtomicU64::new(0) }
    }
}

/// Says that partitions wait for another one, once they have waited for a while, and when they wait
/// no more.
pub(crate) struct HeldNotice {
    notice: Notice,
    since: Option<i64>,
    told: bool,
}

impl HeldNotice {
    pub(crate) fn new(notice: Notice) -> Self {
        Self { notice, since: None, told: false }
    }

    /// They wait at `now`; whether it is time to say so.
    fn is_due(&mut self, now: i64) -> bool {
        let since = *self.since.get_or_insert(now);
        !self.told && now - since >= HELD_TOLD_MICROS
    }

    fn tell(&mut self, reason: String) {
        self.told = true;
        (self.notice)(Some(reason));
    }

    fn clear(&mut self) {
        self.since = None;
        if std::mem::take(&mut self.told) {
            (self.notice)(None);
        }
    }
}

/// Says that the machine's clock has jumped, and when it is right again.
pub(crate) struct ClockNotice {
    notice: Notice,
    told: bool,
}

impl ClockNotice {
    pub(crate) fn new(notice: Notice) -> Self {
        Self { notice, told: false }
    }

    fn tell(&mut self, astray: Option<i64>) {
        if astray.is_some() == self.told {
            return;
        }
        self.told = astray.is_some();
        (self.notice)(astray.map(|micros| {
            let (seconds, side) =
                (micros.unsigned_abs() / 1_000_000, if micros > 0 { "ahead of" } else { "behind" });
            format!(
                "the machine's clock has jumped: it is {seconds} s {side} the time that has passed \
                 since the run began. Event time goes on by the latter; if the clock is right now, \
                 start again, or wait for the next row"
            )
        }));
    }
}
