//! One world: runs and crashes on one store until all input is delivered, then the comparison with
//! the oracles.

use crate::auditor::{Auditor, CloseClaims, Violation};
use crate::committer::{Closed, DEAD, OUT};
use crate::disk::{Faults, Hole, SimDisk};
use crate::input::{Input, SOURCE, Setup};
use crate::oracle::{Value, fates, features, values};
use crate::pipeline::{Pipeline, without};
use crate::sql;
use crate::table::Table;
use crate::trace::Trace;
use anyhow::{Result, anyhow};
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use riskstream_engine::contract::{LATE, OutboxEntry, PartitionInfo, Position};
use riskstream_engine::disk::Folder;
use riskstream_engine::ids::Epoch;
use riskstream_engine::protocol::{EpochDecision, EpochPolicy, PartitionFacts};
use riskstream_engine::store::{DeliveredMarks, KeptSnapshots, Recovered, Store};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

/// Where the store is on the simulated disk.
const STORE: &str = "/data/store";

/// A way to break the engine on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A restart forgets a row that waits for the watermark.
    ForgetsAWaitingRow,
    /// A sink does not look whether it has an epoch already.
    DeliversTwice,
    /// A commit says that a record was read that was not.
    SkipsARecord,
    /// A restart forgets what a features step had counted.
    ForgetsState,
    /// A row is lost on its way out.
    LosesARow,
    /// An epoch is delivered before it is committed.
    DeliversEarly,
    /// A committed epoch's file vanishes in a crash.
    LosesAnEpoch,
}

/// How to simulate.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Print every event.
    pub verbose: bool,
    /// Break the engine.
    pub fault: Option<Fault>,
    /// Put a mistake of earlier versions back.
    pub hole: Option<Hole>,
    /// Compare with the model alone, and not with SQL too, which takes longer than all the rest.
    pub without_sql: bool,
}

/// What a world was like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// Records of the input.
    pub records: usize,
    /// Committed epochs.
    pub epochs: u64,
    /// Runs, each ended by a crash but the last of each part of the input.
    pub runs: u64,
    /// Crashes.
    pub crashes: u64,
    /// Of which losses of power.
    pub power_losses: u64,
    /// Runs that a failing disk ended.
    pub disk_failures: u64,
    /// Changes made on the disk.
    pub disk_operations: u64,
    /// Rows delivered.
    pub rows: usize,
    /// Of which late.
    pub late: usize,
    /// Dead letters delivered.
    pub dead: usize,
    /// Rows whose features were also compared with SQL.
    pub by_sql: usize,
    /// A hash of all that happened.
    pub trace: u64,
}

impl Report {
    /// Adds another world's figures; seed and trace become the last one's.
    pub fn add(&mut self, other: &Self) {
        *self = Self {
            seed: other.seed,
            trace: other.trace,
            records: self.records + other.records,
            epochs: self.epochs + other.epochs,
            runs: self.runs + other.runs,
            crashes: self.crashes + other.crashes,
            power_losses: self.power_losses + other.power_losses,
            disk_failures: self.disk_failures + other.disk_failures,
            disk_operations: self.disk_operations + other.disk_operations,
            rows: self.rows + other.rows,
            late: self.late + other.late,
            dead: self.dead + other.dead,
            by_sql: self.by_sql + other.by_sql,
        };
    }
}

/// A world in which something was wrong.
#[derive(Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What was wrong.
    pub what: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "seed {}: {}\n\
             repeat it with: cargo run --release -p riskstream-simulation -- --seed {} --verbose",
            self.seed, self.what, self.seed
        )
    }
}

impl std::error::Error for Failure {}

/// Lives through one seed's world.
///
/// # Errors
/// The first thing that was wrong.
pub fn simulate(seed: u64, options: Options) -> Result<Report, Failure> {
    let failure = |e: anyhow::Error| Failure { seed, what: format!("{e:#}") };
    World::new(seed, options).and_then(World::live).map_err(failure)
}

/// A crash that ended a run, or the end of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Crashed,
    Done,
}

struct World {
    rng: ChaCha8Rng,
    options: Options,
    setup: Setup,
    input: Input,
    /// Records of each partition that the source shows so far.
    visible: Vec<usize>,
    disk: Arc<SimDisk>,
    out: Table,
    dead: Table,
    auditor: Auditor,
    audited: usize,
    trace: Trace,
    report: Report,
}

/// A run between two crashes.
struct Run {
    store: Store,
    pipeline: Pipeline,
    policy: EpochPolicy,
    workers: usize,
    positions: BTreeMap<u32, (PartitionInfo, Position)>,
    kept: KeptSnapshots,
    /// Files that nothing needs and that are still there.
    needless: BTreeSet<String>,
    marks: DeliveredMarks,
    now: i64,
    rows: u64,
    input_ended: bool,
    closed: VecDeque<Closed>,
    committed: Epoch,
    undelivered: VecDeque<(Epoch, BTreeMap<String, OutboxEntry>)>,
    delivered: Epoch,
}

impl World {
    fn new(seed: u64, options: Options) -> Result<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let setup = Setup::random(&mut rng)?;
        let input = Input::random(&mut rng, &setup);
        let mut trace = Trace::new(options.verbose);
        trace.event(format_args!("{setup:?}"));
        let records = input.partitions.iter().map(Vec::len).sum();
        Ok(Self {
            visible: input.partitions.iter().map(Vec::len).collect(),
            disk: SimDisk::new(rng.random(), options.hole),
            rng,
            options,
            setup,
            input,
            out: Table::default(),
            dead: Table::default(),
            auditor: Auditor::default(),
            audited: 0,
            trace,
            report: Report { seed, records, ..Report::default() },
        })
    }

    fn live(mut self) -> Result<Report> {
        // In some worlds the input ends, and grows later.
        if self.rng.random_bool(0.2) {
            let whole = self.visible.clone();
            for visible in &mut self.visible {
                *visible = self.rng.random_range(0..=*visible);
            }
            self.run_to_the_end()?;
            self.visible = whole;
        }
        self.run_to_the_end()?;
        self.compare()?;
        self.report.epochs = self.auditor.committed();
        self.report.trace = self.trace.hash();
        Ok(self.report)
    }

    fn run_to_the_end(&mut self) -> Result<()> {
        loop {
            self.report.runs += 1;
            self.arm();
            if self.run_once()? == Ended::Done {
                return Ok(());
            }
            self.report.crashes += 1;
            let power_was_lost = self.rng.random_bool(0.5);
            self.report.power_losses += u64::from(power_was_lost);
            self.trace.event(format_args!("restart, the power was lost: {power_was_lost}"));
            self.disk.restart(power_was_lost);
            anyhow::ensure!(self.report.crashes < 10_000, "it never gets anywhere");
        }
    }

    /// Decides how the disk treats the next run.
    fn arm(&mut self) {
        if self.crashes(self.setup.disk_crash) {
            let most = [30, 300, 3_000][self.rng.random_range(0..3)];
            self.disk.lose_power_at(self.rng.random_range(1..most));
        }
        if self.crashes(self.setup.disk_faults) {
            let mut chance = |least: f64| {
                if self.rng.random_bool(0.5) { self.rng.random_range(0.0..least) } else { 0.0 }
            };
            let faults = Faults {
                full: chance(0.01),
                descriptors: chance(0.05),
                read: chance(0.05),
                write: chance(0.01),
                sync: chance(0.02),
                short: chance(0.5),
            };
            self.disk.set_faults(faults);
        }
    }

    /// A run, with an end that the disk may have brought about.
    fn run_once(&mut self) -> Result<Ended> {
        let ended = self.run();
        let failed = self.disk.failed();
        match ended {
            Err(e) if e.is::<Violation>() => Err(e),
            Err(e) if self.disk.is_dead() => {
                self.trace.event(format_args!("it dies: {e:#}"));
                Ok(Ended::Crashed)
            }
            Err(e) if !failed.is_empty() => {
                self.report.disk_failures += 1;
                self.trace.event(format_args!("the disk failed: {failed:?}, {e:#}"));
                Ok(Ended::Crashed)
            }
            // The process ended by itself: it has coped with the faults of the disk that it met.
            ended => ended,
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.options.fault == Some(fault)
    }

    fn crashes(&mut self, chance: f64) -> bool {
        chance > 0.0 && self.rng.random_bool(chance)
    }

    fn run(&mut self) -> Result<Ended> {
        let root = Folder::on(self.disk.process(), STORE);
        let mut store = Store::open(root.clone())?;
        let mut marks = DeliveredMarks::open(&root)?;
        let through = [self.out.through, self.dead.through].map(|t| t.unwrap_or_default());
        let (least, newest) = (through[0].min(through[1]), through[0].max(through[1]));
        let mut recovered = store.recover(least, newest)?;
        let generation = store.generation();
        self.trace.event(format_args!("run {generation} after epoch {}", recovered.committed));
        self.auditor.recovered(generation.0, recovered.committed, &recovered.positions)?;
        self.auditor.asked(OUT, through[0])?;
        self.auditor.asked(DEAD, through[1])?;
        marks.begin([OUT, DEAD].into_iter(), recovered.committed)?;
        if self.crashes(self.setup.crash) {
            return Ok(Ended::Crashed);
        }
        store.collect_orphans(&recovered)?;
        if self.has(Fault::ForgetsState) {
            recovered.state.remove("by-customer");
        }
        let workers = self.rng.random_range(1..=self.setup.workers_max);
        let history = store.root().below("history");
        let mut pipeline =
            Pipeline::restore(&self.setup, &history, generation, workers, &recovered.state)?;
        if self.has(Fault::ForgetsAWaitingRow) {
            pipeline.forget_a_waiting_row(&self.setup)?;
        }
        let waiting = pipeline.waiting()?;
        self.trace.event(format_args!(
            "{workers} workers, watermark {}, {} rows wait",
            pipeline.watermark(),
            waiting.len()
        ));
        self.auditor.restored(&waiting, pipeline.tracker())?;
        let run = Run::new(store, marks, pipeline, workers, &self.setup, recovered, least);
        self.drive(run)
    }

    fn drive(&mut self, mut run: Run) -> Result<Ended> {
        loop {
            if self.crashes(self.setup.crash) {
                self.trace.event(format_args!("crash"));
                return Ok(Ended::Crashed);
            }
            self.keep_house(&mut run)?;
            match self.rng.random_range(0..10) {
                0..6 if !run.input_ended => self.feed(&mut run)?,
                0..8 => {
                    if self.commit(&mut run)? == Ended::Crashed {
                        return Ok(Ended::Crashed);
                    }
                }
                _ => {
                    if self.deliver(&mut run)? == Ended::Crashed {
                        return Ok(Ended::Crashed);
                    }
                }
            }
            if run.input_ended && run.closed.is_empty() && run.undelivered.is_empty() {
                return Ok(Ended::Done);
            }
        }
    }

    /// The feed's turn: one block, or a close.
    fn feed(&mut self, run: &mut Run) -> Result<()> {
        run.now += self.rng.random_range(1..3_000);
        let quiet = self.rng.random_bool(0.3);
        match run.policy.decide(run.now, run.committed, quiet) {
            EpochDecision::WaitForCommit => Ok(()),
            EpochDecision::Close { snapshot } => self.close(run, snapshot, false),
            EpochDecision::Read => {
                let at = |p: usize| {
                    run.positions.get(&(p as u32)).map_or(0, |(_, at)| at.next_offset as usize)
                };
                let unread: Vec<usize> =
                    (0..self.visible.len()).filter(|p| at(*p) < self.visible[*p]).collect();
                if unread.is_empty() {
                    run.input_ended = true;
                    return self.close(run, false, true);
                }
                let partition = unread[self.rng.random_range(0..unread.len())];
                let from = at(partition);
                let most =
                    self.setup.block_rows_max.min(usize::try_from(run.policy.rows_left())?).max(1);
                let to = (from + self.rng.random_range(1..=most)).min(self.visible[partition]);
                let worker = self.rng.random_range(0..run.workers);
                self.trace.event(format_args!(
                    "epoch {}: worker {worker} reads {partition}: {from}..{to}",
                    run.policy.open()
                ));
                let (rows, rejected) = self.input.decode(&self.setup, partition, from, to)?;
                let position = Position {
                    next_offset: to as i64,
                    finished: false,
                    fingerprint: String::new(),
                };
                run.positions.insert(
                    partition as u32,
                    (PartitionInfo { name: format!("{SOURCE}-{partition}") }, position),
                );
                run.policy.add((to - from) as u64, 60 * (to - from) as u64, run.now);
                run.rows += rows.num_rows() as u64;
                run.pipeline.read(run.policy.open(), worker, rows, rejected)
            }
        }
    }

    fn close(&mut self, run: &mut Run, snapshot: bool, last: bool) -> Result<()> {
        let (mut facts, mut seen) = (Vec::new(), Vec::new());
        for partition in 0..self.visible.len() {
            let read =
                run.positions.get(&(partition as u32)).map_or(0, |(_, at)| at.next_offset as usize);
            let (finished, idle) = (read >= self.visible[partition], self.crashes(self.setup.idle));
            // The newest event time of this epoch alone; the tracker remembers older ones.
            let from = self.epoch_began_at(run, partition);
            let times = self.input.partitions[partition].iter().take(read).skip(from);
            let event_time_max = times
                .filter_map(|r| {
                    if let crate::input::Record::Good(row) = r { Some(row.time) } else { None }
                })
                .max();
            facts.push(PartitionFacts { partition: partition as u32, idle, finished });
            seen.extend(event_time_max.map(|time| (partition as u32, time)));
        }
        let epoch = run.policy.closed(snapshot);
        let (close, mut parts) =
            run.pipeline.close(epoch, (&facts, &seen), snapshot, last, &mut self.rng)?;
        if self.has(Fault::LosesARow)
            && epoch.0.is_multiple_of(3)
            && let Some(rows) = parts.iter_mut().flat_map(|p| &mut p.out).find(|b| b.num_rows() > 0)
        {
            let id = rows.column(0).as_primitive::<Int64Type>().value(0);
            *rows = without(rows, id)?;
        }
        let count = |batches: &[arrow::array::RecordBatch]| {
            batches.iter().map(|b| b.num_rows() as u64).sum::<u64>()
        };
        let claims = CloseClaims {
            positions: &run.positions,
            facts: &facts,
            left: parts.iter().map(|p| count(&p.out)).sum(),
            dead: parts.iter().map(|p| count(&p.dead)).sum(),
            waiting: run.pipeline.waiting()?,
            tracker: run.pipeline.tracker().clone(),
        };
        self.trace.event(format_args!(
            "{close:?} {} left, {} dead, {} wait",
            claims.left,
            claims.dead,
            claims.waiting.len()
        ));
        self.auditor.closed(&self.input, &self.setup, close, claims)?;
        let rows = std::mem::take(&mut run.rows);
        let mut closed =
            Closed::new(close, run.store.generation(), run.positions.clone(), rows, parts)?;
        if self.has(Fault::SkipsARecord) && epoch.0.is_multiple_of(3) {
            closed.skip_a_record();
        }
        run.closed.push_back(closed);
        Ok(())
    }

    /// Where the open epoch began in a partition.
    fn epoch_began_at(&self, run: &Run, partition: usize) -> usize {
        match run.closed.back() {
            Some(closed) => closed
                .header()
                .positions
                .get(&(partition as u32))
                .map_or(0, |(_, at)| at.next_offset as usize),
            None => self.auditor.epochs().last().map_or(0, |e| e.read_to[partition] as usize),
        }
    }

    /// The committer's turn; a crash may come between any two of its writes.
    fn commit(&mut self, run: &mut Run) -> Result<Ended> {
        let Some(closed) = run.closed.pop_front() else { return Ok(Ended::Done) };
        let epoch = closed.close.epoch;
        if self.has(Fault::DeliversEarly) && epoch.0.is_multiple_of(5) {
            run.undelivered.push_back((epoch, closed.outbox.clone()));
            self.deliver(run)?;
        }
        self.auditor.attempted(epoch)?;
        let written = closed.commit(&run.store)?;
        if self.crashes(self.setup.crash) {
            self.trace.event(format_args!("crash after the commit of {epoch}"));
            return Ok(Ended::Crashed);
        }
        self.auditor.acknowledged(epoch);
        self.trace.event(format_args!("committed {epoch}"));
        run.committed = epoch;
        run.policy.committed(written, closed.snapshot_bytes());
        run.undelivered.push_back((epoch, closed.outbox.clone()));
        if self.has(Fault::LosesAnEpoch) && epoch.0.is_multiple_of(4) {
            self.damage_newest("epochs")?;
            return Ok(Ended::Crashed);
        }
        if !closed.close.snapshot || self.crashes(self.setup.crash) {
            return Ok(if closed.close.snapshot { Ended::Crashed } else { Ended::Done });
        }
        closed.write_snapshot(&run.store, &mut run.kept)?;
        self.trace.event(format_args!("snapshot {epoch}"));
        if self.crashes(self.setup.crash) {
            if run.kept.count() > 2 && self.rng.random_bool(0.5) {
                self.trace.event(format_args!("the snapshot is damaged"));
                self.damage_newest("snapshots")?;
            }
            return Ok(Ended::Crashed);
        }
        run.needless.extend(run.kept.needless(&run.store, run.delivered)?);
        Ok(Ended::Done)
    }

    /// The housekeeper's turn: a few files go, now and then.
    fn keep_house(&mut self, run: &mut Run) -> Result<()> {
        if !run.needless.is_empty() && self.rng.random_bool(0.3) {
            for _ in 0..self.rng.random_range(1..4) {
                run.needless.pop_first().map_or(Ok(()), |file| run.store.delete(&file))?;
            }
        }
        Ok(())
    }

    /// Cuts the newest file of a folder short, as a disk that goes bad would.
    fn damage_newest(&self, folder: &str) -> Result<()> {
        let folder = Path::new(STORE).join(folder);
        if let Some(newest) =
            self.disk.process().list(&folder)?.into_iter().map(|entry| entry.name).max()
        {
            self.disk.damage(&folder.join(newest));
        }
        Ok(())
    }

    /// The delivery's turn; a crash may come between two sinks.
    fn deliver(&mut self, run: &mut Run) -> Result<Ended> {
        if run.undelivered.is_empty() {
            return Ok(Ended::Done);
        }
        let upto = self.rng.random_range(1..=run.undelivered.len());
        let mut by_sink: BTreeMap<String, Vec<OutboxEntry>> = BTreeMap::new();
        let mut newest = run.delivered;
        for (epoch, outbox) in run.undelivered.drain(..upto) {
            newest = epoch;
            for (sink, entry) in outbox {
                by_sink.entry(sink).or_default().push(entry);
            }
        }
        self.trace.event(format_args!("deliver up to {newest}"));
        let careless = self.has(Fault::DeliversTwice);
        self.out.deliver(by_sink.remove(OUT).unwrap_or_default(), careless);
        for (epoch, rows) in &self.out.batches[self.audited..] {
            self.auditor.delivered(*epoch, rows)?;
        }
        self.audited = self.out.batches.len();
        if self.crashes(self.setup.crash) {
            self.trace.event(format_args!("crash between two sinks"));
            return Ok(Ended::Crashed);
        }
        self.dead.deliver(by_sink.remove(DEAD).unwrap_or_default(), careless);
        if self.crashes(self.setup.crash) {
            return Ok(Ended::Crashed);
        }
        run.delivered = newest;
        if self.rng.random_bool(0.2) {
            run.marks.record([OUT, DEAD].into_iter().map(|sink| (sink, newest)))?;
        }
        Ok(Ended::Done)
    }

    /// The end: what was delivered is what must have been.
    fn compare(&mut self) -> Result<()> {
        let fates = fates(&self.input, &self.setup, self.auditor.epochs());
        let records: usize = self.visible.iter().sum();
        anyhow::ensure!(
            fates.rows.len() + fates.dead.len() == records,
            "the input has not ended: some rows still wait"
        );
        let mut dead = BTreeSet::new();
        for (_, batch) in &self.dead.batches {
            let text = |column: usize, row: usize| {
                batch.column(column).as_string::<i32>().value(row).to_owned()
            };
            for row in 0..batch.num_rows() {
                let letter = (
                    text(1, row),
                    batch.column(2).as_primitive::<Int64Type>().value(row),
                    text(3, row),
                );
                anyhow::ensure!(
                    dead.insert(letter.clone()),
                    "dead letter {letter:?} was delivered twice"
                );
            }
        }
        anyhow::ensure!(dead == fates.dead, "dead letters are {dead:?}, must be {:?}", fates.dead);
        let expected: Vec<BTreeMap<i64, Vec<Value>>> =
            self.setup.steps.iter().map(|s| features(&fates.rows, s)).collect();
        let mut delivered: BTreeMap<i64, (u64, bool, Vec<Value>)> = BTreeMap::new();
        let first_feature = self.setup.schema.schema.fields().len();
        for (epoch, batch) in &self.out.batches {
            let ids = batch.column(0).as_primitive::<Int64Type>().values();
            let late = batch
                .column_by_name(LATE)
                .ok_or_else(|| anyhow!("the column {LATE} is gone"))?
                .as_boolean();
            for (row, (id, values)) in ids.iter().zip(values(batch, first_feature)).enumerate() {
                delivered.insert(*id, (epoch.0, late.value(row), values));
            }
        }
        anyhow::ensure!(
            delivered.len() == fates.rows.len(),
            "{} rows were delivered, {} must be",
            delivered.len(),
            fates.rows.len()
        );
        for row in &fates.rows {
            let id = row.row.id;
            let Some((epoch, late, values)) = delivered.get(&id) else {
                anyhow::bail!("row {id} was not delivered: {row:?}")
            };
            anyhow::ensure!(
                (*epoch, *late) == (row.epoch, row.late),
                "left with epoch {epoch}, late: {late}, but must be {row:?}"
            );
            let must: Vec<Value> = expected.iter().flat_map(|step| step[&id].clone()).collect();
            let agree =
                values.len() == must.len() && values.iter().zip(&must).all(|(a, b)| a.agrees(*b));
            anyhow::ensure!(agree, "features of {row:?}\nare     {values:?}\nmust be {must:?}");
        }
        let mut by_sql = 0;
        let steps = if self.options.without_sql { &[][..] } else { &self.setup.steps[..] };
        let (_, places) = sql::query(&self.setup);
        let answers = if steps.is_empty() {
            BTreeMap::new()
        } else {
            sql::answers(&self.setup, &fates.rows)?
        };
        let width = expected[0].values().next().map_or(0, Vec::len);
        for (step, spec) in steps.iter().enumerate() {
            for id in sql::comparable(&fates.rows, spec) {
                by_sql += 1;
                let (answer, (_, _, values)) = (&answers[&id], &delivered[&id]);
                for ((at_step, column), must) in places.iter().zip(answer) {
                    let value = values[at_step * width + column];
                    anyhow::ensure!(
                        *at_step != step || value.agrees(*must),
                        "row {id}, step {}, column {column}: {value:?}, by SQL {must:?}",
                        spec.step_id
                    );
                }
            }
        }
        self.trace.event(format_args!("{delivered:?}"));
        let late = fates.rows.iter().filter(|r| r.late).count();
        let disk_operations = self.disk.operations();
        self.trace.event(format_args!("the disk: {:x}", self.disk.trace()));
        self.report = Report {
            rows: fates.rows.len(),
            late,
            dead: dead.len(),
            by_sql,
            disk_operations,
            ..self.report
        };
        Ok(())
    }
}

impl Run {
    fn new(
        store: Store,
        marks: DeliveredMarks,
        pipeline: Pipeline,
        workers: usize,
        setup: &Setup,
        mut recovered: Recovered,
        delivered: Epoch,
    ) -> Self {
        Self {
            kept: KeptSnapshots::found(&mut recovered),
            needless: BTreeSet::new(),
            marks,
            store,
            pipeline,
            policy: EpochPolicy::new(setup.limits, recovered.committed.next(), recovered.age),
            workers,
            positions: recovered.positions,
            now: 0,
            rows: 0,
            input_ended: false,
            closed: VecDeque::new(),
            committed: recovered.committed,
            undelivered: recovered
                .outbox
                .into_iter()
                .map(|e| {
                    let entries = e
                        .parts
                        .into_iter()
                        .map(|(sink, parts)| (sink, OutboxEntry { epoch: e.epoch, parts }));
                    (e.epoch, entries.collect())
                })
                .collect(),
            delivered,
        }
    }
}
