//! A folder, a table and a dead-letter table that outlive runs, and runs on them.

use crate::operator::{Counter, Mischief, QUIET, SAID_SCHEMA, Said, Seen, said_rows};
use crate::sinks::{LaterDelivery, MemoryWriter, Table, TableDelivery};
use crate::source::{Line, LineSource};
use riskstream_engine::contract::dead_letter_schema;
use riskstream_engine::ids::Epoch;
use riskstream_engine::protocol::{EpochLimits, LatePolicy, Order, Writer};
use riskstream_engine::runtime::{
    Clock, EngineConfig, Plan, RunControl, RunError, RunSummary, SinkPlan, StepPlan, SystemClock,
    WhenQuiet, run,
};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// No run of these tests takes longer than this unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

pub const BOUND: i64 = 20;

pub struct World {
    pub folder: tempfile::TempDir,
    pub table: Arc<Mutex<Table>>,
    pub dead: Arc<Mutex<Table>>,
}

/// Settings of one run.
#[derive(Clone)]
pub struct Settings {
    pub workers: usize,
    pub epoch_rows: u64,
    pub block_rows: usize,
    pub in_flight: u64,
    pub snapshot_every: u64,
    pub dead_rows_max: f64,
    pub idle_after: i64,
    pub skew_max: i64,
    pub when_quiet: WhenQuiet,
    pub late: LatePolicy,
    pub mischief: Mischief,
    pub writer_fails_from: Option<Epoch>,
    pub build_fails_on: Option<usize>,
    pub with_step: bool,
    pub step_id: &'static str,
    pub with_sink: bool,
    /// Deliveries under way at once.
    pub under_way: usize,
    pub program: &'static str,
    pub destination: &'static str,
    pub clock: Arc<dyn Clock>,
    pub staged_bytes_max: u64,
    /// Bytes of rows that may wait for the watermark.
    pub hold_bytes: u64,
    pub strangers: Vec<Writer>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: 2,
            epoch_rows: 50,
            block_rows: 7,
            in_flight: 3,
            snapshot_every: 4,
            dead_rows_max: 1.0,
            idle_after: 60_000_000,
            skew_max: 1_000_000,
            when_quiet: WhenQuiet::Wait,
            late: LatePolicy::Apply,
            mischief: Mischief::default(),
            writer_fails_from: None,
            build_fails_on: None,
            with_step: true,
            step_id: "count",
            with_sink: true,
            under_way: 1,
            program: "tests",
            destination: "table out",
            clock: Arc::new(SystemClock::default()),
            staged_bytes_max: u64::MAX,
            hold_bytes: 1 << 30,
            strangers: Vec::new(),
        }
    }
}

/// A run on its own thread.
pub struct Running {
    pub control: RunControl,
    result: Receiver<Result<RunSummary, RunError>>,
}

impl Running {
    /// Waits for its end; a hang fails the test.
    pub fn end(self) -> Result<RunSummary, RunError> {
        self.result.recv_timeout(PATIENCE).expect("the run must end, it hangs")
    }
}

/// Waits until something holds.
pub fn until(what: &str, holds: impl Fn() -> bool) {
    let started = std::time::Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

impl World {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            table: Arc::default(),
            dead: Arc::default(),
        }
    }

    pub fn store(&self) -> std::path::PathBuf {
        self.folder.path().join("store")
    }

    pub fn plan(&self, source: LineSource, settings: &Settings) -> Plan {
        let stuck = Arc::clone(&settings.mischief.disk_stuck);
        let sync: riskstream_engine::contract::SyncFiles = Arc::new(move |_| {
            while stuck.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        });
        let (mischief, fails_from) = (settings.mischief.clone(), settings.writer_fails_from);
        let build_fails_on = settings.build_fails_on;
        let count = StepPlan {
            id: settings.step_id.into(),
            build: Arc::new(move |context| {
                if build_fails_on == Some(context.worker) {
                    let reason = "it can't be built".into();
                    return Err(riskstream_engine::contract::OperatorError::State {
                        step: "count".into(),
                        reason,
                    });
                }
                Ok(Box::new(Counter::new(mischief.clone())))
            }),
        };
        Plan {
            program: settings.program.into(),
            name: "test".into(),
            delivers_as: "test".into(),
            source: Box::new(source),
            out_of_orderness: BOUND,
            idle_after: settings.idle_after,
            skew_max: settings.skew_max,
            when_quiet: settings.when_quiet,
            order: Order::EventTime,
            late: settings.late,
            steps: if settings.with_step { vec![count] } else { vec![] },
            sinks: if settings.with_step && settings.with_sink {
                vec![SinkPlan {
                    id: "out".into(),
                    steps: vec![],
                    writer: Arc::new(move |_| {
                        Ok(Box::new(MemoryWriter {
                            schema: Arc::clone(&SAID_SCHEMA),
                            rows: Vec::new(),
                            fails_from,
                        }))
                    }),
                    sync: Arc::clone(&sync),
                    delivery: match settings.under_way {
                        1 => Box::new(TableDelivery::new(&self.table)),
                        several => Box::new(LaterDelivery::new(&self.table, several)),
                    },
                    destination: Some(settings.destination.into()),
                    strangers: settings.strangers.clone(),
                }]
            } else {
                vec![]
            },
            dead_letters: SinkPlan {
                id: "dead".into(),
                steps: vec![],
                writer: Arc::new(|_| {
                    Ok(Box::new(MemoryWriter {
                        schema: dead_letter_schema(),
                        rows: Vec::new(),
                        fails_from: None,
                    }))
                }),
                sync,
                delivery: Box::new(TableDelivery::new(&self.dead)),
                destination: Some("table dead".into()),
                strangers: Vec::new(),
            },
            hooks: vec![],
        }
    }

    pub fn start(&self, source: LineSource, settings: &Settings) -> Running {
        let plan = self.plan(source, settings);
        let config = EngineConfig {
            store: self.store().into(),
            workers: settings.workers,
            limits: EpochLimits {
                min_micros: 2_000,
                max_micros: 200_000,
                rows_max: settings.epoch_rows,
                bytes_max: u64::MAX,
                in_flight_max: settings.in_flight,
                snapshot_every_epochs: settings.snapshot_every,
                snapshot_growth_percent: 0,
                snapshot_bytes_min: 0,
            },
            block_rows: settings.block_rows,
            block_bytes: 1 << 20,
            hold_bytes_max: settings.hold_bytes,
            dead_rows_max: settings.dead_rows_max,
            dead_rows_min: 1,
            delivery_interval: 0,
            staged_bytes_max: settings.staged_bytes_max,
        };
        let control = RunControl::new(&plan, settings.workers);
        let (send, result) = channel();
        let (steering, clock) = (control.clone(), Arc::clone(&settings.clock));
        std::thread::spawn(move || {
            // Nobody waits any more when the test has failed.
            let _gone = send.send(run(plan, config, &steering, clock));
        });
        Running { control, result }
    }

    pub fn run(
        &self,
        lines: &Arc<Vec<Vec<Line>>>,
        settings: &Settings,
    ) -> Result<RunSummary, RunError> {
        self.start(LineSource::new(lines), settings).end()
    }

    /// What was delivered, sorted.
    pub fn said(&self) -> Vec<Said> {
        let table = self.table.lock().expect("no panic holds it");
        let mut said: Vec<Said> = table.batches.iter().flat_map(|(_, b)| said_rows(b)).collect();
        said.sort();
        said
    }

    pub fn dead_rows(&self) -> usize {
        self.dead.lock().expect("no panic holds it").rows()
    }

    pub fn files(&self, folder: &str) -> Vec<std::path::PathBuf> {
        let mut files: Vec<_> = std::fs::read_dir(self.store().join(folder))
            .expect("a folder")
            .map(|f| f.expect("a file").path())
            .collect();
        files.sort();
        files
    }
}

/// Partitions of rows that are out of order by less than [`BOUND`], with ties, some broken.
pub fn lines(partitions: usize, rows: usize) -> Arc<Vec<Vec<Line>>> {
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below) as i64
    };
    let mut all = vec![Vec::new(); partitions];
    for id in 0..rows {
        let base = id as i64 * 4;
        let line = if next(40) == 0 {
            Line::Broken
        } else {
            Line::Row {
                id: id as i64 + 1,
                key: next(30),
                time: 1_000 + base - next(BOUND as u64 - 3) / 4 * 4,
            }
        };
        all[id % partitions].push(line);
    }
    Arc::new(all)
}

pub fn broken(lines: &[Vec<Line>]) -> usize {
    lines.iter().flatten().filter(|l| **l == Line::Broken).count()
}

/// The same by one thread over all rows: what every run must deliver once its input has ended.
pub fn reference(lines: &[Vec<Line>]) -> Vec<Said> {
    let mut rows = Vec::new();
    for (partition, all) in lines.iter().enumerate() {
        for (offset, line) in all.iter().enumerate() {
            if let Line::Row { id, key, time } = line {
                rows.push((*time, partition, offset, *id, *key));
            }
        }
    }
    rows.sort_unstable();
    let newest = rows.last().map_or(i64::MIN, |r| r.0);
    let mut keys: BTreeMap<i64, (Seen, i64)> = BTreeMap::new();
    let mut said = Vec::new();
    let mut quiet = |key: i64, seen: &Seen, due: i64| {
        said.push(Said {
            kind: "quiet".into(),
            id: 0,
            key,
            time: due,
            count: seen.count,
            checksum: seen.checksum,
        });
    };
    let mut of_rows = Vec::new();
    for (time, _, _, id, key) in rows {
        let (seen, due) = keys.entry(key).or_insert((Seen::default(), i64::MAX));
        if *due < time {
            quiet(key, seen, *due);
        }
        seen.add(id);
        *due = time + QUIET;
        of_rows.push(Said {
            kind: "row".into(),
            id,
            key,
            time,
            count: seen.count,
            checksum: seen.checksum,
        });
    }
    for (key, (seen, due)) in &keys {
        if *due <= newest {
            quiet(*key, seen, *due);
        }
    }
    said.extend(of_rows);
    said.sort();
    said
}
