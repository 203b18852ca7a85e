//! What came of a run: for people a short page with a query to try, for scripts JSON.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use riskstream_engine::runtime::{Metrics, RunSummary};
use riskstream_sinks::LastRows;
use serde::Serialize;

use super::commands::CommandError;
use crate::cli::{CONFIG_FILE, RunArgs};
use crate::config::defaults;
use crate::plan::{PlannedTable, TableKind};
use crate::progress::{grouped, time};

/// A whole run.
#[derive(Debug, Serialize)]
pub struct RunReport {
    /// From the start of the program to here.
    pub seconds: f64,
    /// What a user should know of how sources are read: the types that were inferred, and what is
    /// left out.
    pub notes: Vec<String>,
    /// Each pipeline's.
    pub pipelines: Vec<PipelineReport>,
}

/// One pipeline's part of a run.
#[derive(Debug, Serialize)]
pub struct PipelineReport {
    /// Its name.
    pub pipeline: String,
    /// Threads of its dataflow.
    pub workers: usize,
    /// From the start of the program to its end.
    pub seconds: f64,
    /// Whether it failed.
    pub failed: bool,
    /// Whether it was stopped before its input ended.
    pub stopped: bool,
    /// The epoch that it went on after; 0: a new start.
    pub resumed_after: u64,
    /// The last committed epoch.
    pub committed_epoch: u64,
    /// The last epoch that every destination has; what was committed after it waits in the data
    /// folder.
    pub delivered_epoch: u64,
    /// Rows read and committed.
    pub rows_in: u64,
    /// Late rows.
    pub late: u64,
    /// Dead letters.
    pub dead: u64,
    /// Alerts.
    pub alerts: u64,
    /// Newest event time, UTC.
    pub event_time: String,
    /// Bytes written to the store.
    pub store_bytes: u64,
    /// Seconds from the start of the run to when its state was restored and its first row could be
    /// read.
    pub recovery_seconds: f64,
    /// Seconds that commits took, on the committer's thread.
    pub commit_seconds: f64,
    /// Seconds that writing snapshots took, on the housekeeper's thread.
    pub snapshot_seconds: f64,
    /// Seconds that deliveries took, on the delivery thread.
    pub delivery_seconds: f64,
    /// The steps: where rows went and what they cost.
    pub steps: Vec<StepReport>,
    /// The tables.
    pub tables: Vec<TableReport>,
    /// Whether it has a destination for alerts.
    #[serde(skip)]
    has_alerts: bool,
    /// Newest rows of console sinks.
    #[serde(skip)]
    consoles: Vec<(String, String)>,
}

/// One step's work.
#[derive(Debug, Serialize)]
pub struct StepReport {
    /// Its id.
    pub step: String,
    /// Rows in.
    pub rows_in: u64,
    /// Rows out.
    pub rows_out: u64,
    /// Seconds of work, all workers together.
    pub busy_seconds: f64,
    /// Bytes of state in memory.
    pub state_bytes: u64,
    /// Values that are null because their type does not hold them, by column.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unfit: BTreeMap<String, u64>,
}

/// One table.
#[derive(Debug, Serialize)]
pub struct TableReport {
    /// Its name in SQL.
    pub table: String,
    /// Its folder.
    pub location: PathBuf,
    /// Rows that this run sent to it.
    pub rows: u64,
    /// Whether it is partitioned by the event's date.
    #[serde(skip)]
    is_by_date: bool,
}

impl PipelineReport {
    /// Reads a pipeline's counters at its end.
    pub fn new(
        name: &str,
        workers: usize,
        seconds_in_all: f64,
        summary: Option<&RunSummary>,
        metrics: &Metrics,
        tables: &[PlannedTable],
        consoles: &[(String, Arc<Mutex<LastRows>>)],
    ) -> Self {
        let seconds = |nanos: u64| nanos as f64 / 1e9;
        let steps: Vec<StepReport> = metrics
            .steps
            .iter()
            .map(|s| StepReport {
                step: s.id.clone(),
                rows_in: s.rows_in.load(Ordering::Relaxed),
                rows_out: s.rows_out.load(Ordering::Relaxed),
                busy_seconds: seconds(s.busy_nanos.load(Ordering::Relaxed)),
                state_bytes: s.state_bytes_total(),
                unfit: s.unfit.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            })
            .collect();
        // In a run that failed, a sink may have got rows of an epoch that was never committed.
        let sent = |sink: &str| steps.iter().find(|s| s.step == sink).map_or(0, |s| s.rows_out);
        let alerts =
            tables.iter().filter(|t| t.kind == TableKind::Alerts).map(|t| sent(&t.sink)).sum();
        let has_alerts = tables.iter().any(|t| t.kind == TableKind::Alerts);
        let dead = metrics.dead_committed_total.load(Ordering::Relaxed);
        let tables = tables
            .iter()
            .map(|t| TableReport {
                table: t.table.clone(),
                location: t.location.clone(),
                is_by_date: t.is_by_date,
                rows: if t.kind == TableKind::DeadLetters { dead } else { sent(&t.sink) },
            })
            .collect();
        let consoles = consoles
            .iter()
            .map(|(id, rows)| {
                let text = rows.lock().unwrap_or_else(PoisonError::into_inner).render();
                (id.clone(), text.unwrap_or_else(|e| e.to_string()))
            })
            .collect();
        Self {
            pipeline: name.to_owned(),
            workers,
            seconds: seconds_in_all,
            failed: summary.is_none(),
            stopped: summary.is_some_and(|s| s.stopped),
            resumed_after: summary.map_or(0, |s| s.resumed_after),
            committed_epoch: metrics.committed_epoch.load(Ordering::Relaxed),
            delivered_epoch: metrics.delivered_epoch.load(Ordering::Relaxed),
            rows_in: metrics.rows_committed_total.load(Ordering::Relaxed),
            late: metrics.late_committed_total.load(Ordering::Relaxed),
            dead,
            alerts,
            event_time: time(metrics.event_time_max_micros.load(Ordering::Relaxed)),
            store_bytes: metrics.store_bytes_total.load(Ordering::Relaxed),
            recovery_seconds: seconds(metrics.ready_nanos.load(Ordering::Relaxed)),
            commit_seconds: seconds(metrics.commit.sum_nanos()),
            snapshot_seconds: seconds(metrics.snapshot_nanos_total.load(Ordering::Relaxed)),
            delivery_seconds: seconds(metrics.delivery_nanos_total()),
            steps,
            tables,
            has_alerts,
            consoles,
        }
    }

    fn print(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let seconds = self.seconds;
        let how = match (self.failed, self.stopped) {
            (true, _) => "failed",
            (_, true) => "stopped",
            _ => "done",
        };
        let rate = self.rows_in as f64 / seconds.max(1e-9);
        writeln!(
            out,
            "\n{} {how}: {} rows in {seconds:.2} s ({} events/s)",
            self.pipeline,
            grouped(self.rows_in),
            grouped(rate as u64)
        )?;
        if self.resumed_after > 0 {
            writeln!(
                out,
                "  went on after epoch {}, committed through {}",
                self.resumed_after, self.committed_epoch
            )?;
        }
        if self.delivered_epoch < self.committed_epoch {
            let delivered = self.delivered_epoch;
            writeln!(
                out,
                "  delivered through epoch {delivered}: later rows wait in the data folder, and go \
                 out at the next start"
            )?;
        }
        write!(
            out,
            "  event time up to {}   late {}   dead letters {}",
            self.event_time,
            grouped(self.late),
            grouped(self.dead)
        )?;
        if self.has_alerts {
            write!(out, "   alerts {}", grouped(self.alerts))?;
        }
        writeln!(out)?;
        for step in &self.steps {
            for (column, values) in &step.unfit {
                let times = if *values == 1 {
                    "one row".to_owned()
                } else {
                    format!("{} rows", grouped(*values))
                };
                writeln!(
                    out,
                    "  {}: {column} is null in {times}, since the sum does not fit its type (dead \
                     letters, reason `overflow`)",
                    step.step
                )?;
            }
        }
        // A dead-letter table without new rows is left out, since the count of dead letters is
        // above.
        for table in
            self.tables.iter().filter(|t| t.rows > 0 || t.table != defaults::DEAD_LETTER_TABLE)
        {
            writeln!(
                out,
                "  {:<20} {:>12} rows   {}",
                table.table,
                grouped(table.rows),
                table.location.display()
            )?;
        }
        for (id, rows) in &self.consoles {
            writeln!(out, "\n{id}, the newest rows:\n{rows}")?;
        }
        Ok(())
    }
}

impl RunReport {
    /// Prints the report for a person.
    ///
    /// # Errors
    /// When `out` can't be written.
    pub fn print(&self, args: &RunArgs, out: &mut dyn Write) -> Result<(), CommandError> {
        for pipeline in &self.pipelines {
            pipeline.print(out)?;
        }
        if self.pipelines.iter().any(|p| p.failed) {
            return Ok(());
        }
        let file = args.config.file();
        let named = if file.as_os_str() == CONFIG_FILE {
            String::new()
        } else {
            format!(" --config {}", file.display())
        };
        let sets: String = args.config.set.iter().map(|s| format!(" --set '{s}'")).collect();
        for (index, sql) in self.queries_to_try().enumerate() {
            let again = if index == 0 { "\nTry:" } else { "    " };
            writeln!(out, "{again} riskstream query{named}{sets} \"{sql}\"")?;
        }
        if self.pipelines.iter().any(|p| p.dead > 0) {
            let sql = "select reason, detail, count(*) from dead_letters group by reason, detail \
                       order by 3 desc limit 10";
            writeln!(out, "Dead letters: riskstream query{named}{sets} \"{sql}\"")?;
        }
        Ok(())
    }

    /// One for each pipeline: about its table with the most rows.
    fn queries_to_try(&self) -> impl Iterator<Item = String> {
        self.pipelines.iter().filter_map(|pipeline| {
            let tables = pipeline.tables.iter().filter(|t| t.table != defaults::DEAD_LETTER_TABLE);
            let TableReport { table, is_by_date, .. } = tables.max_by_key(|t| t.rows)?;
            Some(match is_by_date {
                true => format!(
                    "select event_date, count(*) from {table} group by event_date \
                     order by event_date desc limit 10"
                ),
                false => format!("select * from {table} limit 10"),
            })
        })
    }
}
