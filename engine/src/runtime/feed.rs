//! The feed: one thread that reads the source and decides, by [`EpochPolicy`], what each epoch contains.

use crate::contract::{Block, PartitionInfo, Payload, Poll, PollLimit, Position, Source};
use crate::ids::Epoch;
use crate::protocol::{EpochDecision, EpochPolicy, PartitionFacts};
use crate::runtime::clock::Clock;
use crate::runtime::failure::Failure;
use crate::runtime::gather::{ROWS_GATHERED, ROWS_MERGED};
use crate::runtime::metrics::{Metrics, READ_STEP};
use crate::runtime::parts::{Committed, FeedClose, sliced_bytes};
use crate::runtime::plan::{EngineConfig, EpochHook, WhenQuiet};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
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

/// The feed's view of all partitions; grows when new ones are found.
pub(crate) type PartitionClocks = Arc<arc_list::AppendOnly<PartitionClock>>;

/// A list that only grows, read without a lock.
pub(crate) mod arc_list {
    use std::sync::{Arc, OnceLock};

    const CHUNK: usize = 64;
    const CHUNKS: usize = 1024;

    /// At most 65,536 items.
    #[derive(Debug)]
    pub(crate) struct AppendOnly<T> {
        chunks: Vec<OnceLock<Chunk<T>>>,
    }

    type Chunk<T> = Box<[OnceLock<Arc<T>>]>;

    impl<T> Default for AppendOnly<T> {
        fn default() -> Self {
            Self { chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect() }
        }
    }

    impl<T> AppendOnly<T> {
        /// The item, made by `make` when it is not there yet; `None` beyond the list's bound.
        pub(crate) fn get_or(&self, at: usize, make: impl FnOnce() -> T) -> Option<&Arc<T>> {
            let chunk = self.chunks.get(at / CHUNK)?.get_or_init(|| (0..CHUNK).map(|_| OnceLock::new()).collect());
            Some(chunk.get(at % CHUNK)?.get_or_init(|| Arc::new(make())))
        }
    }
}

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
    pub(crate) skew_max: i64,
    pub(crate) when_quiet: WhenQuiet,
    /// Whether blocks of several partitions are merged by event time.
    pub(crate) merge: bool,
    pub(crate) round: Round,
    pub(crate) workers: Vec<WorkerEnd>,
    /// The worker whose turn it is.
    pub(crate) next_worker: usize,
    pub(crate) clocks: PartitionClocks,
    pub(crate) positions: BTreeMap<u32, (PartitionInfo, Position)>,
    /// Epochs that are closed and not known to be committed.
    pub(crate) closed: VecDeque<Arc<FeedClose>>,
    pub(crate) hooks: Vec<EpochHook>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) committed: Receiver<Committed>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) failure: Failure,
}

#[derive(Debug, Clone, Copy, Default)]
struct PartitionState {
    sent: u64,
    finished: bool,
    /// Steady time since when it has been caught up and quiet.
    quiet_since: Option<i64>,
}

/// Small blocks that are read one right after the other, on their way to one worker.
#[derive(Debug, Default)]
pub(crate) struct Round {
    blocks: Vec<(Block, u64)>,
    rows: u64,
}

/// Rounds that may wait for one worker. An epoch's close always fits, so that a worker deep in its work holds up no other.
const ROUNDS_QUEUED_MAX: usize = 4;
/// Blocks of one partition that may be on their way to be decoded when there are several partitions to keep in step.
const BLOCKS_AHEAD_MAX: u64 = 2;
/// Rows of a block of many partitions that are merged, at least.
const BLOCK_ROWS_MIN: usize = 256;
/// Bytes of a block, at least: an epoch that is nearly full is filled at once.
const BLOCK_BYTES_MIN: usize = 64 << 10;
/// Bytes of a row, before any was seen.
const ROW_BYTES_LIKELY: u64 = 100;
/// How often new partitions are looked for.
const DISCOVER_MICROS: i64 = 1_000_000;
/// Event time goes on by the clock in steps of `idle_after`, and no smaller ones: each is an epoch.
const CLOCK_MICROS_MIN: i64 = 10_000;
/// How long the feed sleeps when there is nothing to do, at least and at most. What comes meanwhile shares a batch, which costs less than a wake-up
/// for every row of a slow stream.
const SLEEP_MICROS: (u64, u64) = (500, 2_000);

impl Drop for Feed {
    /// However the feed ends, each worker must see that its channel is closed: one that is asleep would wait for ever.
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
        let mut states: Vec<PartitionState> = Vec::new();
        let mut committed = Epoch(self.policy.open().0 - 1);
        let mut idle_rounds = 0u32;
        self.metrics.ready_nanos.store(self.clock.steady_nanos(), Ordering::Relaxed);
        self.opened();
        let mut discover_at = self.now();
        let mut clock_told_at = self.now();
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
            }
            let stopping = self.stop.load(Ordering::Acquire);
            states.resize(self.source.partitions().len(), PartitionState::default());
            // Whether a partition has ended is for the source to say in this run: a file that was finished may have grown since.
            let ended = !stopping && !endless && states.iter().all(|s| s.finished);
            if stopping || ended {
                // A stop leaves rows waiting for the watermark where they are; the end of the input releases them.
                if ended || !self.policy.is_empty() {
                    self.close(false, ended, &states)?;
                }
                return Ok(());
            }
            let quiet = idle_rounds > 0;
            match self.policy.decide(self.now(), committed, quiet) {
                EpochDecision::Close { snapshot } => {
                    self.close(snapshot, false, &states)?;
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
            if self.read_block(&mut states)? {
                idle_rounds = 0;
                continue;
            }
            self.send()?;
            idle_rounds = idle_rounds.saturating_add(1);
            if self.now() - clock_told_at >= self.idle_after.max(CLOCK_MICROS_MIN)
                && self.policy.is_empty()
                && self.time_by_clock(&states).is_some()
                && let EpochDecision::Close { snapshot } = self.policy.decide_empty(committed)
            {
                clock_told_at = self.now();
                self.close(snapshot, false, &states)?;
            }
            committed = self.pause(idle_rounds, committed);
        }
    }

    fn take(&mut self, commit: &Committed) -> Epoch {
        self.policy.committed(commit.bytes, commit.snapshot_bytes);
        let mut newest = None;
        while let Some(close) = self.closed.pop_front_if(|close| close.epoch <= commit.epoch) {
            newest = Some(close);
        }
        if let Some(close) = newest {
            self.source.committed(&close.positions);
        }
        commit.epoch
    }

    /// Waits a little, or until an epoch is committed, which may make room for the open one to close; gives the last one committed.
    fn pause(&mut self, idle_rounds: u32, committed: Epoch) -> Epoch {
        let (least, most) = SLEEP_MICROS;
        let mut micros = (least << (idle_rounds - 1).min(6)).min(most);
        if let (true, Some(ripe)) = (self.policy.has_room(committed), self.policy.ripe_in(self.now())) {
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

    /// Reads one block of the partition that is furthest behind in event time; false when nothing can be read now.
    fn read_block(&mut self, states: &mut [PartitionState]) -> Result<bool, ()> {
        let open = states.iter().filter(|s| !s.finished).count();
        let many = open > 1;
        let block_rows = if self.merge && many { (ROWS_MERGED / open).max(BLOCK_ROWS_MIN) } else { self.config.block_rows };
        let mut candidates: Vec<(i64, usize)> = Vec::with_capacity(states.len());
        for (number, _) in states.iter().enumerate().filter(|(_, s)| !s.finished) {
            let Some(clock) = self.partition_clock(number) else { continue };
            candidates.push((clock.event_time_max.load(Ordering::Acquire), number));
        }
        candidates.sort_unstable();
        // An idle partition holds the others back no more than it holds the watermark.
        let now = self.now();
        let slowest = candidates.iter().find(|c| !self.is_idle(&states[c.1], now)).map_or(i64::MIN, |c| c.0);
        for (event_time, number) in candidates {
            if many {
                let decoded = self.partition_clock(number).map_or(0, |c| c.decoded.load(Ordering::Acquire));
                let ahead = slowest != i64::MIN && event_time.saturating_sub(slowest) > self.skew_max;
                if states[number].sent - decoded >= BLOCKS_AHEAD_MAX || ahead {
                    continue;
                }
            }
            let partition = u32::try_from(number).map_err(|_| self.bug("more than 2^32 partitions"))?;
            let left = self.policy.rows_left();
            let rows = usize::try_from(left).unwrap_or(usize::MAX).min(block_rows);
            let bytes = usize::try_from(self.estimated_bytes(left)).unwrap_or(usize::MAX).max(BLOCK_BYTES_MIN).min(self.config.block_bytes);
            let limit = PollLimit { rows, bytes };
            let started = self.clock.steady_nanos();
            let polled = self.source.poll(partition, limit).map_err(|e| self.failure.set(e))?;
            let nanos = self.clock.steady_nanos() - started;
            match polled {
                Poll::Block(block) => {
                    states[number].sent += 1;
                    // A source that only says how far it has come is as quiet as one that says nothing.
                    if !is_empty(&block.payload) {
                        states[number].quiet_since = None;
                    }
                    self.take_block(block, nanos)?;
                    return Ok(true);
                }
                Poll::Pending { caught_up } => {
                    let now = self.now();
                    let since = states[number].quiet_since.get_or_insert(now);
                    if !caught_up {
                        *since = now;
                    }
                }
                Poll::Finished(position) => {
                    states[number].finished = true;
                    self.set_position(partition, position);
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn is_idle(&self, state: &PartitionState, now: i64) -> bool {
        state.quiet_since.is_some_and(|since| now - since >= self.idle_after)
    }

    /// Where event time is by the clock, when that is what counts now.
    fn time_by_clock(&self, states: &[PartitionState]) -> Option<i64> {
        let now = self.now();
        let mut open = states.iter().filter(|state| !state.finished).peekable();
        let quiet = self.when_quiet == WhenQuiet::Clock && open.peek().is_some() && open.all(|state| self.is_idle(state, now));
        quiet.then(|| self.clock.wall_micros().saturating_sub(self.idle_after))
    }

    fn partition_clock(&self, number: usize) -> Option<&Arc<PartitionClock>> {
        self.clocks.get_or(number, PartitionClock::new)
    }

    fn bug(&self, what: &str) {
        self.failure.set(crate::runtime::failure::RunError::Bug { what: what.into() });
    }

    fn set_position(&mut self, partition: u32, position: Position) {
        if let Some(info) = self.source.partitions().get(partition as usize) {
            self.positions.insert(partition, (info.clone(), position));
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
            _ => self.estimated_rows(bytes),
        };
        self.metrics.steps[self.metrics.step(READ_STEP)].add(rows, rows, read_nanos);
        self.set_position(block.partition, block.next.clone());
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
        let Round { blocks, .. } = std::mem::take(&mut self.round);
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
        let (rows, seen) = (self.metrics.rows_in_total.load(Ordering::Relaxed), self.metrics.bytes_in_total.load(Ordering::Relaxed));
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

    fn close(&mut self, snapshot: bool, last: bool, states: &[PartitionState]) -> Result<(), ()> {
        self.send()?;
        let now = self.now();
        let partitions =
            states.iter().map(|s| PartitionFacts { event_time_max: None, idle: self.is_idle(s, now), finished: s.finished }).collect();
        let epoch = self.policy.closed(snapshot);
        let close =
            Arc::new(FeedClose { epoch, snapshot, last, partitions, clock: self.time_by_clock(states), positions: self.positions.clone() });
        self.closed.push_back(Arc::clone(&close));
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

impl PartitionClock {
    pub(crate) fn new() -> Self {
        Self { event_time_max: AtomicI64::new(i64::MIN), decoded: AtomicU64::new(0) }
    }
}
