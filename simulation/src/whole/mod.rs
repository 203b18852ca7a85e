//! The whole engine, with its threads, on the simulated disk: the real feed, workers, committer,
//! housekeeper, delivery, Delta log and staging; and, in most runs, the table's compaction and
//! vacuum beside it.
//!
//! A seed decides the rows, the pipeline, the number of workers of each run, at which change of the
//! disk the process dies, what survives, and how the disk fails. The order in which threads come to
//! run is the machine's: the same seed meets the same dangers, not at the same moments. What must
//! be true at the end does not depend on it ([`Kind`]): the table holds what follows from the rows,
//! once.

mod kinds;
mod source;
mod upkeep;

pub use kinds::Kind;

use crate::auditor::Violation;
use crate::disk::{Faults, Hole, SimDisk};
use crate::input::{Input, Record, Setup};
use crate::table::Table;
use crate::world::Failure;
use anyhow::{Context, Result, ensure};
use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use riskstream_engine::contract::{
    Delivery, EpochClose, OutboxEntry, OutboxPart, SinkError, SinkWriter,
};
use riskstream_engine::disk::Folder;
use riskstream_engine::ids::Epoch;
use riskstream_engine::protocol::{LatePolicy, Order};
use riskstream_engine::runtime::{
    EngineConfig, Plan, RunControl, SinkPlan, SystemClock, WhenQuiet, run,
};
use riskstream_sinks::{
    DeltaRuntime, Projection, StageSettings, TableSink, TableSnapshot, TableSpec, maintain,
};
use source::{MemorySource, Rows};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use upkeep::Upkeep;

const STORE: &str = "/data/store/pipeline";
const TABLE: &str = "/data/tables/out";
/// How often a run is looked after.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A run that takes longer does not end.
const PATIENCE: Duration = Duration::from_secs(120);
/// Runs that meet dangers; the one after them is left in peace.
const RUNS_MAX: u32 = 15;

/// What a world was like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WholeReport {
    /// Worlds.
    pub worlds: u64,
    /// Runs.
    pub runs: u64,
    /// Losses of power.
    pub power_losses: u64,
    /// Runs that a failing disk ended.
    pub disk_failures: u64,
    /// Changes made on the disk.
    pub disk_operations: u64,
    /// Rows compared.
    pub rows: u64,
    /// Files that were compacted.
    pub compacted: u64,
}

impl WholeReport {
    /// Adds another world's figures.
    pub fn add(&mut self, other: &Self) {
        self.worlds += other.worlds;
        self.runs += other.runs;
        self.power_losses += other.power_losses;
        self.disk_failures += other.disk_failures;
        self.disk_operations += other.disk_operations;
        self.rows += other.rows;
        self.compacted += other.compacted;
    }
}

/// Lives through one seed's world.
///
/// # Errors
/// The first thing that was wrong.
pub fn simulate_whole(seed: u64, hole: Option<Hole>) -> std::result::Result<WholeReport, Failure> {
    let lived = World::new(seed, hole).and_then(World::live);
    lived.map_err(|e| Failure { seed, what: format!("the whole engine: {e:#}") })
}

struct World {
    rng: ChaCha8Rng,
    disk: Arc<SimDisk>,
    kind: Kind,
    order: Order,
    rows: Arc<Rows>,
    memory_bytes: usize,
    dead: Arc<Mutex<Table>>,
    runtime: DeltaRuntime,
    report: WholeReport,
}

impl World {
    fn new(seed: u64, hole: Option<Hole>) -> Result<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let setup = Setup::random(&mut rng)?;
        let mut input = Input::random(&mut rng, &setup);
        drop_late(&mut input, setup.bound);
        let kind = Kind::ALL[rng.random_range(0..Kind::ALL.len())];
        let order = if rng.random_bool(0.5) && kind.fits(Order::Arrival) {
            Order::Arrival
        } else {
            Order::EventTime
        };
        Ok(Self {
            disk: SimDisk::new(rng.random(), hole),
            kind,
            order,
            rows: Arc::new(Rows { setup, input }),
            memory_bytes: [500, 1 << 20][rng.random_range(0..2)],
            dead: Arc::default(),
            runtime: DeltaRuntime::new()?,
            report: WholeReport { worlds: 1, ..WholeReport::default() },
            rng,
        })
    }

    fn live(mut self) -> Result<WholeReport> {
        let mut dangerous = 0;
        loop {
            self.report.runs += 1;
            if dangerous < RUNS_MAX {
                self.arm();
            }
            dangerous += 1;
            let upkeep = self.rng.random_bool(0.7).then(|| {
                let location = Folder::on(self.disk.process(), TABLE);
                Upkeep::begin(location, upkeep::options(&mut self.rng))
            });
            let ended = self.run_once();
            if let Some(upkeep) = upkeep {
                self.end(upkeep)?;
            }
            let failed = self.disk.failed();
            match ended {
                Ok(()) if !self.disk.is_dead() => break,
                Ok(()) => {}
                Err(e) if e.is::<Violation>() => {
                    return Err(e.context(format!(
                        "{:?}, {:?}, run {}",
                        self.kind, self.order, self.report.runs
                    )));
                }
                Err(_) if self.disk.is_dead() => {}
                Err(_) if !failed.is_empty() => self.report.disk_failures += 1,
                Err(e) => {
                    return Err(e.context(format!(
                        "{:?}, {:?}, run {}",
                        self.kind, self.order, self.report.runs
                    )));
                }
            }
            self.restart();
        }
        // Nothing that was said to be delivered may need this process.
        self.disk.restart(true);
        self.compact_at_last()?;
        self.report.disk_operations = self.disk.operations();
        let table = self.table().context("the table can't be read")?;
        let compared = self
            .kind
            .compare(&self.rows, &table)
            .with_context(|| format!("{:?}, {:?}", self.kind, self.order))?;
        self.report.rows = compared as u64;
        let broken = self
            .rows
            .input
            .partitions
            .iter()
            .flatten()
            .filter(|record| **record == Record::Broken)
            .count();
        let dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner).rows();
        ensure!(dead == broken, "{dead} dead letters were delivered, {broken} must be");
        Ok(self.report)
    }

    /// Ends the upkeep, which a living process whose disk has not failed must have got through.
    fn end(&mut self, upkeep: Upkeep) -> Result<()> {
        let (compacted, ended) = upkeep.end();
        self.report.compacted += compacted;
        match ended {
            Ok(()) => Ok(()),
            Err(error) if !error.is::<Violation>() && self.has_met_danger() => Ok(()),
            Err(error) => Err(error.context(format!("upkeep beside run {}", self.report.runs))),
        }
    }

    fn has_met_danger(&self) -> bool {
        self.disk.is_dead() || !self.disk.failed().is_empty()
    }

    /// Compacts what is there in the end, in peace and with another loss of power behind it.
    fn compact_at_last(&mut self) -> Result<()> {
        let location = Folder::on(self.disk.process(), TABLE);
        let options = upkeep::options(&mut self.rng);
        let report = maintain(&self.runtime, location, &options)?;
        self.report.compacted += report.files_compacted;
        self.disk.restart(true);
        Ok(())
    }

    fn restart(&mut self) {
        let power_was_lost = self.rng.random_bool(0.6);
        self.report.power_losses += u64::from(power_was_lost);
        self.disk.restart(power_was_lost);
    }

    fn arm(&mut self) {
        if self.rng.random_bool(0.8) {
            let most = [100, 400, 2_000][self.rng.random_range(0..3)];
            self.disk.lose_power_at(self.rng.random_range(1..most));
        }
        if self.rng.random_bool(0.2) {
            let mut chance = |most: f64| {
                if self.rng.random_bool(0.4) { self.rng.random_range(0.0..most) } else { 0.0 }
            };
            let (full, descriptors, read) = (chance(0.01), chance(0.02), chance(0.01));
            let (write, sync, short) = (chance(0.01), chance(0.02), chance(0.5));
            self.disk.set_faults(Faults { full, descriptors, read, write, sync, short });
        }
    }

    /// A run of the engine, on threads of its own.
    fn run_once(&mut self) -> Result<()> {
        let workers = self.rng.random_range(1..=4);
        let plan = self.plan()?;
        let config = EngineConfig {
            store: Folder::on(self.disk.process(), STORE),
            workers,
            limits: self.rows.setup.limits,
            block_rows: self.rows.setup.block_rows_max,
            block_bytes: 1 << 20,
            hold_bytes_max: u64::MAX,
            dead_rows_max: 1.0,
            dead_rows_min: u64::MAX,
            delivery_interval: [0, 3_000][self.rng.random_range(0..2)],
            staged_bytes_max: u64::MAX,
        };
        let control = RunControl::new(&plan, workers);
        let steering = control.clone();
        let (ended, end) = channel();
        std::thread::spawn(move || {
            // Nobody waits any more when it took too long.
            let _gone = ended.send(run(plan, config, &control, Arc::new(SystemClock::default())));
        });
        for _ in 0..PATIENCE.as_millis() / LOOK_EVERY.as_millis() {
            match end.recv_timeout(LOOK_EVERY) {
                Ok(ended) => return ended.map(|_| ()).map_err(anyhow::Error::from),
                // The process is dead; what waits for the table to come back would wait for ever.
                Err(RecvTimeoutError::Timeout) => {
                    steering.stop.fetch_or(self.disk.is_dead(), Ordering::AcqRel)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Violation("the run panicked".into()).into());
                }
            };
        }
        Err(Violation(format!("the run does not end within {} s", PATIENCE.as_secs())).into())
    }

    fn plan(&self) -> Result<Plan> {
        let setup = &self.rows.setup;
        let (steps, output) = self.kind.steps(setup, self.memory_bytes)?;
        let projection = Projection::new(&output, &Kind::columns(&output))?;
        let location = Folder::on(self.disk.process(), TABLE);
        let table = TableSpec::new("out", location, Arc::clone(projection.schema()), None)?;
        let sink = Arc::new(TableSink {
            id: "out".into(),
            table,
            projection,
            alerts: None,
            settings: StageSettings::default(),
            own_rows: None,
        });
        let writer = Arc::clone(&sink);
        let out = SinkPlan {
            id: "out".into(),
            steps: vec![],
            writer: Arc::new(move |worker| writer.writer(worker.generation.0, worker.worker)),
            sync: sink.sync(),
            delivery: Box::new(sink.delivery("simulation.out", &self.runtime)?),
            destination: Some("table out".into()),
            strangers: Vec::new(),
        };
        let dead_letters = SinkPlan {
            id: "dead".into(),
            steps: vec![],
            writer: Arc::new(|_| Ok(Box::new(MemoryWriter::default()))),
            sync: Arc::new(|_| Ok(())),
            delivery: Box::new(MemoryDelivery(Arc::clone(&self.dead))),
            destination: Some("memory".into()),
            strangers: Vec::new(),
        };
        Ok(Plan {
            program: "simulation".into(),
            name: "whole".into(),
            delivers_as: "whole".into(),
            source: Box::new(MemorySource::new(&self.rows)),
            out_of_orderness: setup.bound,
            idle_after: i64::MAX / 4,
            skew_max: i64::MAX / 4,
            when_quiet: WhenQuiet::Wait,
            order: self.order,
            late: LatePolicy::DeadLetter,
            steps,
            sinks: vec![out],
            dead_letters,
            hooks: vec![],
        })
    }

    /// What a reader of the table sees.
    fn table(&self) -> Result<Vec<RecordBatch>> {
        let disk = self.disk.process();
        let location = Folder::on(Arc::clone(&disk), TABLE);
        let mut batches = Vec::new();
        for file in TableSnapshot::open(&self.runtime, location.clone())?.files()? {
            let content = disk.read(&location.join(&file.path))?;
            for batch in ParquetRecordBatchReaderBuilder::try_new(content)?.build()? {
                batches.push(batch?);
            }
        }
        Ok(batches)
    }
}

/// Leaves out rows that might come late, however the partitions are read.
fn drop_late(input: &mut Input, bound: i64) {
    for records in &mut input.partitions {
        let mut newest = i64::MIN;
        records.retain(|record| match record {
            Record::Good(row) => {
                let in_time = newest == i64::MIN || row.time >= newest.saturating_sub(bound);
                newest = newest.max(row.time);
                in_time
            }
            Record::Broken => true,
        });
    }
}

/// Rows that travel in the epoch file.
#[derive(Default)]
struct MemoryWriter(Vec<RecordBatch>);

impl SinkWriter for MemoryWriter {
    fn on_batch(
        &mut self,
        _epoch: Epoch,
        batch: RecordBatch,
    ) -> std::result::Result<(), SinkError> {
        self.0.push(batch);
        Ok(())
    }

    fn finish(&mut self, _close: &EpochClose) -> std::result::Result<OutboxPart, SinkError> {
        Ok(OutboxPart { rows: std::mem::take(&mut self.0), ..OutboxPart::default() })
    }
}

/// A destination that outlives every crash.
struct MemoryDelivery(Arc<Mutex<Table>>);

impl Delivery for MemoryDelivery {
    fn delivered_through(&mut self) -> std::result::Result<Option<Epoch>, SinkError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).through)
    }

    fn deliver(&mut self, entries: Vec<OutboxEntry>) -> std::result::Result<(), SinkError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).deliver(entries, false);
        Ok(())
    }
}
