//! Checks the engine's invariants while the world turns; it trusts nothing that the engine says of
//! itself.
//!
//! | invariant | checked |
//! | --- | --- |
//! | epochs are contiguous | at every close |
//! | watermarks never go back and are what the rows read so far imply | at every close |
//! | rows read = rows left + dead rows + rows that wait | at every close |
//! | what was acknowledged survives | at every restart |
//! | a crash loses at most the epoch that was being written | at every restart |
//! | no sink has an epoch that is not committed | at every restart |
//! | positions, watermark and waiting rows are those of the last commit | at every restart |
//! | only committed epochs are delivered, each row once | at every delivery |

use crate::input::{Input, Record, Setup};
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use riskstream_engine::contract::{EpochClose, PartitionInfo, Position};
use riskstream_engine::ids::Epoch;
use riskstream_engine::protocol::{PartitionFacts, WatermarkTracker};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of an epoch.
#[derive(Debug, Clone)]
pub struct EpochRecord {
    /// Its close.
    pub close: EpochClose,
    /// The first offset of each partition that it did not read.
    pub read_to: Vec<i64>,
    /// Rows that left in all epochs up to it.
    left: u64,
    /// Dead letters in all epochs up to it.
    dead: u64,
    waiting: Vec<i64>,
    tracker: WatermarkTracker,
}

/// See the module documentation.
#[derive(Debug, Default)]
pub struct Auditor {
    epochs: BTreeMap<u64, EpochRecord>,
    acknowledged: u64,
    attempted: u64,
    generation: u64,
    delivered: BTreeSet<i64>,
}

/// What was broken.
#[derive(Debug)]
pub struct Violation(pub String);

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation(what())) }
}

fn read_to(positions: &BTreeMap<u32, (PartitionInfo, Position)>, partitions: usize) -> Vec<i64> {
    (0u32..)
        .take(partitions)
        .map(|p| positions.get(&p).map_or(0, |(_, at)| at.next_offset))
        .collect()
}

/// What the workers say at a close.
#[derive(Debug)]
pub struct CloseClaims<'a> {
    /// How far each partition was read.
    pub positions: &'a BTreeMap<u32, (PartitionInfo, Position)>,
    /// The feed's word on partitions.
    pub facts: &'a [PartitionFacts],
    /// Rows that left with the epoch.
    pub left: u64,
    /// Dead letters of the epoch.
    pub dead: u64,
    /// Ids of rows that wait.
    pub waiting: Vec<i64>,
    /// The clock.
    pub tracker: WatermarkTracker,
}

impl Auditor {
    /// An epoch was closed by the workers.
    ///
    /// # Errors
    /// What is broken.
    pub fn closed(
        &mut self,
        input: &Input,
        setup: &Setup,
        close: EpochClose,
        claims: CloseClaims<'_>,
    ) -> Result<(), Violation> {
        let epoch = close.epoch.0;
        let before = self.epochs.get(&(epoch - 1)).cloned();
        ensure(epoch == 1 || before.is_some(), || format!("epoch {epoch} follows none"))?;
        let watermark_before = before.as_ref().map_or(i64::MIN, |b| b.close.watermark.0);
        ensure(close.watermark_before.0 == watermark_before, || {
            format!("epoch {epoch}: watermark was {watermark_before}, now {close:?}")
        })?;
        ensure(close.watermark >= close.watermark_before, || {
            format!("the watermark went back: {close:?}")
        })?;
        let read_to = read_to(claims.positions, input.partitions.len());
        let implied = implied_watermark(input, setup, &read_to, claims.facts, close.last)
            .unwrap_or(i64::MIN)
            .max(watermark_before);
        ensure(close.watermark.0 == implied, || {
            format!("epoch {epoch}: the rows imply the watermark {implied}, not {close:?}")
        })?;
        let (left, dead) = before.map_or((0, 0), |b| (b.left, b.dead));
        let (left, dead) = (left + claims.left, dead + claims.dead);
        let read: i64 = read_to.iter().sum();
        let accounted = left + dead + claims.waiting.len() as u64;
        ensure(read as u64 == accounted, || {
            format!(
                "epoch {epoch}: {read} records were read, {left} left, {dead} are dead, {} wait",
                claims.waiting.len()
            )
        })?;
        let record = EpochRecord {
            close,
            read_to,
            left,
            dead,
            waiting: claims.waiting,
            tracker: claims.tracker,
        };
        self.epochs.insert(epoch, record);
        Ok(())
    }

    /// The epoch's file is about to be written.
    ///
    /// # Errors
    /// When an older one is missing.
    pub fn attempted(&mut self, epoch: Epoch) -> Result<(), Violation> {
        ensure(epoch.0 == self.acknowledged + 1, || {
            format!("epoch {epoch} is committed after {}", self.acknowledged)
        })?;
        self.attempted = epoch.0;
        Ok(())
    }

    /// The commit has returned.
    pub fn acknowledged(&mut self, epoch: Epoch) {
        self.acknowledged = epoch.0;
    }

    /// A run has read back where it goes on: after what was acknowledged, or after the epoch that
    /// was being written.
    ///
    /// # Errors
    /// What is broken.
    pub fn recovered(
        &mut self,
        generation: u64,
        committed: Epoch,
        positions: &BTreeMap<u32, (PartitionInfo, Position)>,
    ) -> Result<(), Violation> {
        ensure(generation > self.generation, || {
            format!("generation {generation} follows {}", self.generation)
        })?;
        self.generation = generation;
        ensure((self.acknowledged..=self.attempted).contains(&committed.0), || {
            format!(
                "recovered epoch {committed}; {} was acknowledged, {} written",
                self.acknowledged, self.attempted
            )
        })?;
        self.epochs.split_off(&(committed.0 + 1));
        self.acknowledged = committed.0;
        self.attempted = committed.0;
        if let Some(record) = self.epochs.get(&committed.0) {
            let found = read_to(positions, record.read_to.len());
            ensure(found == record.read_to, || {
                format!("positions are {found:?}, were {:?}", record.read_to)
            })?;
        }
        Ok(())
    }

    /// A sink says how far it has come.
    ///
    /// # Errors
    /// When that is further than what is committed.
    pub fn asked(&self, sink: &str, through: Epoch) -> Result<(), Violation> {
        ensure(through.0 <= self.acknowledged, || {
            format!("{sink} has epoch {through}, {} is committed", self.acknowledged)
        })
    }

    /// The steps of a run have their state back.
    ///
    /// # Errors
    /// What is broken.
    pub fn restored(&self, waiting: &[i64], tracker: &WatermarkTracker) -> Result<(), Violation> {
        let Some(record) = self.epochs.get(&self.acknowledged) else {
            return ensure(waiting.is_empty(), || "rows wait in a new store".into());
        };
        ensure(waiting == record.waiting, || {
            format!("rows that wait were {:?}, now {waiting:?}", record.waiting)
        })?;
        ensure(*tracker == record.tracker, || {
            format!("the clock was {:?}, now {tracker:?}", record.tracker)
        })
    }

    /// Rows of the main sink became visible.
    ///
    /// # Errors
    /// When the epoch is not committed, or a row is visible twice.
    pub fn delivered(&mut self, epoch: Epoch, rows: &RecordBatch) -> Result<(), Violation> {
        ensure(epoch.0 <= self.acknowledged, || {
            format!("epoch {epoch} was delivered, {} is committed", self.acknowledged)
        })?;
        for id in rows.column(0).as_primitive::<Int64Type>().values() {
            ensure(self.delivered.insert(*id), || {
                format!("row {id} was delivered twice, again with epoch {epoch}")
            })?;
        }
        Ok(())
    }

    /// The committed epochs, oldest first.
    pub fn epochs(&self) -> impl Iterator<Item = &EpochRecord> {
        self.epochs.range(..=self.acknowledged).map(|(_, r)| r)
    }

    /// The last committed epoch.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.acknowledged
    }
}

/// The watermark as the rows read so far imply it, from nothing but the rows.
fn implied_watermark(
    input: &Input,
    setup: &Setup,
    read_to: &[i64],
    facts: &[PartitionFacts],
    last: bool,
) -> Option<i64> {
    let newest = |partition: usize| {
        let read = input.partitions[partition].iter().take(read_to[partition] as usize);
        read.filter_map(|r| if let Record::Good(row) = r { Some(row.time) } else { None }).max()
    };
    let all = (0..read_to.len()).filter_map(newest).max();
    if last {
        return all;
    }
    let active: Vec<usize> = (0..read_to.len())
        .filter(|p| facts.get(*p).is_none_or(|f| !f.idle && !f.finished))
        .collect();
    let least =
        if active.is_empty() { all } else { active.into_iter().map(newest).min().flatten() };
    least.map(|t| t - setup.bound - 1)
}
