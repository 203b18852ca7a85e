//! The thread that keeps tables up.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use riskstream_engine::lower_priority;
use riskstream_engine::runtime::Clock;
use riskstream_sinks::{DeltaRuntime, MaintainReport};

use super::needed::needed_files;
use super::options::maintain_options;
use super::upkeep::Upkeep;
use crate::config::spec::{Destination, Pipeline};
use crate::config::{Config, defaults};
use crate::plan::{sort_keys, table_location};
use crate::progress::grouped;
use crate::service::gauges::{Shared, TableUpkeep};
use crate::service::voice::{Importance, Voice};

/// Keeps the tables of a run's pipelines up until it is dropped.
#[derive(Debug)]
pub(crate) struct Housekeeping {
    stop: Arc<AtomicBool>,
    wake: Option<Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What the thread has.
struct Housekeeper {
    config: Config,
    tables: Vec<Upkeep>,
    every: Duration,
    stop: Arc<AtomicBool>,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    voice: Voice,
}

impl Housekeeping {
    /// Begins, where the configuration does not say otherwise. The first round comes after the
    /// first wait, so that a short run is left alone.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn begin(
        config: &Config,
        pipelines: &[&Pipeline],
        shared: &Arc<Shared>,
        clock: &Arc<dyn Clock>,
        voice: Voice,
    ) -> std::io::Result<Option<Self>> {
        let settings = &config.spec.maintain;
        if !settings.background {
            return Ok(None);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let keys = sort_keys(config);
        // Tables that no pipeline of this run writes are another program's.
        let written = pipelines.iter().flat_map(|pipeline| &pipeline.to);
        let names = written
            .filter_map(Destination::table)
            .map(|table| table.value.clone())
            .chain([defaults::DEAD_LETTER_TABLE.to_owned()]);
        let upkeep = |table: String| {
            let location = table_location(config, &table);
            let by_hand = maintain_options(settings, &keys, &table);
            Upkeep::new(table, location, by_hand, settings, &stop)
        };
        let tables: Vec<Upkeep> = names.map(upkeep).collect();
        {
            let mut known = shared.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
            // Known from the start, with no failures yet.
            known.extend(tables.iter().map(|table| (table.table.clone(), TableUpkeep::default())));
        }
        let housekeeper = Housekeeper {
            config: config.clone(),
            tables,
            every: settings.every,
            stop: Arc::clone(&stop),
            shared: Arc::clone(shared),
            clock: Arc::clone(clock),
            voice,
        };
        let (wake, woken) = channel();
        let thread = std::thread::Builder::new()
            .name("maintain".into())
            .spawn(move || housekeeper.run(&woken))?;
        Ok(Some(Self { stop, wake: Some(wake), thread: Some(thread) }))
    }
}

impl Drop for Housekeeping {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        drop(self.wake.take());
        if let Some(thread) = self.thread.take() {
            // One that has panicked has cost a round and nothing else.
            let _panicked = thread.join();
        }
    }
}

impl Housekeeper {
    /// Works until it is woken.
    fn run(mut self, woken: &Receiver<()>) {
        lower_priority();
        let runtime = match DeltaRuntime::background() {
            Ok(runtime) => runtime,
            Err(error) => {
                let text = format!("tables are not maintained: {error}");
                return self.voice.say(Importance::Warn, &text);
            }
        };
        while woken.recv_timeout(self.every) == Err(RecvTimeoutError::Timeout) {
            let mut tables = std::mem::take(&mut self.tables);
            for table in &mut tables {
                if self.stop.load(Ordering::Acquire) {
                    return;
                }
                self.round(table, &runtime);
            }
            self.tables = tables;
        }
    }

    fn round(&self, upkeep: &mut Upkeep, runtime: &DeltaRuntime) {
        let needed = |location: &Path| needed_files(&self.config, location);
        let now_nanos = self.clock.steady_nanos();
        let round = AssertUnwindSafe(|| upkeep.round(runtime, now_nanos, needed));
        let failure = match catch_unwind(round) {
            Ok(Ok(None)) => return,
            Ok(Ok(Some(report))) => {
                let text = said(&report).map(|done| format!("table {}: {done}", upkeep.table));
                text.iter().for_each(|text| self.voice.say(Importance::Info, text));
                return self.note(&upkeep.table, Some(&report));
            }
            Ok(Err(error)) => error.to_string(),
            // The message of the panic was printed already.
            Err(_panic) => "a panic".to_owned(),
        };
        self.note(&upkeep.table, None);
        let again = humantime::format_duration(self.every);
        let text = format!(
            "table {}: maintenance has failed, and is tried again in {again}: {failure}",
            upkeep.table
        );
        self.voice.say(Importance::Warn, &text);
    }

    /// Writes down how a round has ended, for the metrics; without a report it has failed.
    fn note(&self, table: &str, report: Option<&MaintainReport>) {
        let mut known = self.shared.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = known.get_mut(table) else { return };
        match report {
            Some(report) => {
                (known.files, known.bytes) = (report.files, report.bytes);
                known.ended_micros = Some(self.clock.wall_micros());
            }
            None => known.failures += 1,
        }
    }
}

/// What was done, in words; none for nothing.
fn said(report: &MaintainReport) -> Option<String> {
    let mut done = Vec::new();
    if report.files_compacted > 0 {
        let (from, into) = (grouped(report.files_compacted), grouped(report.files_written));
        done.push(format!("{from} files compacted into {into}"));
    }
    if report.files_removed > 0 {
        done.push(format!("{} old files removed", grouped(report.files_removed)));
    }
    (!done.is_empty()).then(|| done.join(", "))
}
