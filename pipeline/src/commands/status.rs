//! `riskstream status`: what a data folder and a registry hold. Read only; works beside a running
//! program.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use chrono::{DateTime, SecondsFormat};
use riskstream_engine::runtime::{Clock, SystemClock};
use riskstream_engine::store::{Inspection, SinkWaiting, inspect};
use riskstream_models::Registry;
use riskstream_query::Catalog;
use serde::Serialize;

use super::{CommandError, failed, load, print_json};
use crate::cli::{OutputFormat, StatusArgs};
use crate::config::Config;
use crate::plan::{registry_location, store_location, tables_location};
use crate::progress::grouped;
use crate::service::charts::charts;
use crate::service::samples::{KEPT_SECONDS, LastHour, samples_location};

/// Partitions that are listed in the text.
const PARTITIONS_SHOWN: usize = 50;

/// The whole answer.
#[derive(Debug, Serialize)]
pub struct Status {
    /// `[riskstream] name`.
    pub name: String,
    /// The data folder.
    pub data: PathBuf,
    /// Pipelines of the configuration.
    pub pipelines: Vec<PipelineStatus>,
    /// Tables of the data folder.
    pub tables: Vec<TableStatus>,
    /// Models of the registry.
    pub models: Vec<ModelStatus>,
}

/// A pipeline's store.
#[derive(Debug, Serialize)]
pub struct PipelineStatus {
    /// Its name.
    pub pipeline: String,
    /// Whether a program holds its store now.
    pub running: bool,
    /// That program's process, when known.
    pub process: Option<u32>,
    /// The last committed epoch; null before the first run.
    pub committed_epoch: Option<u64>,
    /// How many runs have claimed the store.
    pub generation: u64,
    /// The newest event time.
    pub event_time: Option<String>,
    /// The watermark.
    pub watermark: Option<String>,
    /// How far each partition was read.
    pub partitions: Vec<PartitionStatus>,
    /// Epochs of the snapshots.
    pub snapshots: Vec<u64>,
    /// Bytes of the store.
    pub store_bytes: u64,
    /// What waits for destinations.
    pub waiting: Vec<WaitingStatus>,
    /// How it went in the last hour, where a program has run.
    pub last_hour: LastHour,
    /// Files that can't be read.
    pub problems: Vec<String>,
}

/// A destination for which rows wait.
#[derive(Debug, Serialize)]
pub struct WaitingStatus {
    /// Its id.
    pub destination: String,
    /// Epochs with rows for it that it does not have.
    pub epochs: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Since when it has been away, where it is.
    pub away_since: Option<String>,
    /// When it was last tried.
    pub last_tried: Option<String>,
    /// What came of that.
    pub reason: Option<String>,
}

/// A partition of a source.
#[derive(Debug, Serialize)]
pub struct PartitionStatus {
    /// Its number.
    pub number: u32,
    /// Its name, such as a file's path.
    pub name: String,
    /// The next offset to read.
    pub next_offset: i64,
    /// Whether it was read to its end.
    pub finished: bool,
}

/// A Delta table.
#[derive(Debug, Serialize)]
pub struct TableStatus {
    /// Its name.
    pub table: String,
    /// Its newest version.
    pub version: u64,
    /// Its rows, if the statistics of all files give them.
    pub rows: Option<u64>,
    /// Its data files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A model of the registry.
#[derive(Debug, Serialize)]
pub struct ModelStatus {
    /// Its name.
    pub model: String,
    /// Its versions.
    pub versions: Vec<u64>,
    /// The newest version that loads: what a `score` step takes.
    pub in_use: Option<u64>,
    /// `logistic_regression` or `random_forest`.
    pub kind: Option<&'static str>,
    /// When it was registered.
    pub created_at: Option<String>,
    /// Area under the ROC curve on its test days.
    pub auc_roc: Option<f64>,
    /// Average precision on its test days.
    pub average_precision: Option<f64>,
    /// Newer versions that do not load, and why.
    pub problems: Vec<String>,
}

/// Prints what the data folder and the registry hold.
///
/// # Errors
/// A store or table that can't be read.
pub fn status(args: &StatusArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let config = load(&args.config)?;
    let status = read(&config)?;
    match args.output.format {
        OutputFormat::Json => print_json(&status, out),
        OutputFormat::Text => Ok(status.print(registry_location(&config), out)?),
    }
}

fn read(config: &Config) -> Result<Status, CommandError> {
    let now = now();
    let mut pipelines = Vec::new();
    for pipeline in &config.spec.pipelines {
        let name = &pipeline.name.value;
        let inspection = inspect(store_location(config, name)).map_err(failed)?;
        let mut hour = LastHour::read(&samples_location(config, name));
        hour.drop_before(now - KEPT_SECONDS);
        pipelines.push(PipelineStatus::new(name, inspection, hour));
    }
    let folder = tables_location(config);
    // Before the first run there is no folder, which is no error here.
    let tables = if folder.is_dir() {
        Catalog::open(folder).and_then(|c| c.tables()).map_err(failed)?
    } else {
        Vec::new()
    };
    let tables = tables
        .into_iter()
        .map(|t| TableStatus {
            table: t.name,
            version: t.version,
            rows: t.rows,
            files: t.files,
            bytes: t.bytes,
        })
        .collect();
    let riskstream = &config.spec.riskstream;
    let models = models(&Registry::new(registry_location(config)))?;
    Ok(Status {
        name: riskstream.name.value.clone(),
        data: riskstream.data.value.clone(),
        pipelines,
        tables,
        models,
    })
}

fn models(registry: &Registry) -> Result<Vec<ModelStatus>, CommandError> {
    let mut models = Vec::new();
    for name in registry.names().map_err(failed)? {
        let versions = registry.versions(&name).map_err(failed)?;
        let mut status = ModelStatus {
            model: name.clone(),
            versions,
            in_use: None,
            kind: None,
            created_at: None,
            auc_roc: None,
            average_precision: None,
            problems: Vec::new(),
        };
        match registry.latest_usable(&name) {
            Ok(usable) => {
                status.in_use = Some(usable.model.version);
                status.kind = Some(usable.model.predictor.kind());
                status.auc_roc = Some(usable.model.metrics.auc_roc);
                status.average_precision = Some(usable.model.metrics.average_precision);
                status.created_at = Some(usable.model.created_at);
                status.problems = usable.problems.iter().map(ToString::to_string).collect();
            }
            Err(error) => status.problems.push(error.to_string()),
        }
        models.push(status);
    }
    Ok(models)
}

fn shown_time(micros: i64) -> Option<String> {
    Some(DateTime::from_timestamp_micros(micros)?.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

/// What waits for each destination, and those that are away.
fn waiting(seen: &Inspection) -> Vec<WaitingStatus> {
    let destinations: BTreeSet<&String> = seen.waiting.keys().chain(seen.away.keys()).collect();
    let status = |destination: &String| {
        let SinkWaiting { epochs, bytes } =
            seen.waiting.get(destination).copied().unwrap_or_default();
        let away = seen.away.get(destination);
        WaitingStatus {
            destination: destination.clone(),
            epochs,
            bytes,
            away_since: away.and_then(|away| shown_time(away.since_micros)),
            last_tried: away.and_then(|away| shown_time(away.tried_micros)),
            reason: away.map(|away| away.reason.clone()),
        }
    };
    destinations.into_iter().map(status).collect()
}

impl PipelineStatus {
    fn new(name: &str, inspection: Option<Inspection>, last_hour: LastHour) -> Self {
        let began = inspection.is_some();
        let seen = inspection.unwrap_or_default();
        let waiting = waiting(&seen);
        Self {
            pipeline: name.to_owned(),
            running: seen.held_by.is_some(),
            process: seen.held_by.flatten(),
            committed_epoch: began.then_some(seen.committed.0),
            generation: seen.generation.0,
            event_time: seen.event_time.and_then(shown_time),
            watermark: seen.watermark.and_then(shown_time),
            partitions: seen
                .positions
                .into_iter()
                .map(|(number, (info, at))| PartitionStatus {
                    number,
                    name: info.name,
                    next_offset: at.next_offset,
                    finished: at.finished,
                })
                .collect(),
            waiting,
            last_hour,
            snapshots: seen.snapshots.iter().map(|e| e.0).collect(),
            store_bytes: seen.bytes,
            problems: seen.problems,
        }
    }

    fn print(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let running = match (self.running, self.process) {
            (true, Some(process)) => format!("running (process {process})"),
            (true, None) => "running".to_owned(),
            _ => "not running".to_owned(),
        };
        let Some(epoch) = self.committed_epoch else {
            return writeln!(out, "pipeline {}: {running}, nothing committed yet", self.pipeline);
        };
        writeln!(
            out,
            "pipeline {}: {running}, committed epoch {epoch} (run {})",
            self.pipeline, self.generation
        )?;
        let or_none = |time: &Option<String>| time.clone().unwrap_or_else(|| "-".into());
        writeln!(
            out,
            "  event time {}   watermark {}",
            or_none(&self.event_time),
            or_none(&self.watermark)
        )?;
        let snapshots: Vec<String> = self.snapshots.iter().map(u64::to_string).collect();
        let snapshots = if snapshots.is_empty() { "none".to_owned() } else { snapshots.join(", ") };
        writeln!(out, "  store {}   snapshots at epochs: {snapshots}", ByteSize(self.store_bytes))?;
        for chart in charts(&self.last_hour, now()) {
            writeln!(out, "  {}", chart.line())?;
        }
        // If there are very many partitions, those that are still read come first, and a line
        // counts the rest.
        let (finished, open): (Vec<_>, Vec<_>) = self.partitions.iter().partition(|p| p.finished);
        let mut shown = if self.partitions.len() > PARTITIONS_SHOWN {
            [open, finished].concat()
        } else {
            self.partitions.iter().collect()
        };
        let others = shown.split_off(shown.len().min(PARTITIONS_SHOWN));
        for p in shown {
            let end = if p.finished { " (finished)" } else { "" };
            writeln!(
                out,
                "  partition {:>4}  {}  next offset {}{end}",
                p.number, p.name, p.next_offset
            )?;
        }
        if !others.is_empty() {
            let finished = others.iter().filter(|p| p.finished).count();
            writeln!(
                out,
                "  and {} more, {} of them finished (--format json names all)",
                others.len(),
                finished
            )?;
        }
        for w in &self.waiting {
            writeln!(
                out,
                "  {} waits for {}: {} {}",
                ByteSize(w.bytes),
                w.destination,
                grouped(w.epochs),
                if w.epochs == 1 { "epoch" } else { "epochs" }
            )?;
            if let (Some(since), Some(tried), Some(reason)) =
                (&w.away_since, &w.last_tried, &w.reason)
            {
                writeln!(out, "    AWAY since {since}, last tried {tried}: {reason}")?;
            }
        }
        self.problems.iter().try_for_each(|problem| writeln!(out, "  PROBLEM: {problem}"))
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    SystemClock::default().wall_micros().div_euclid(1_000_000)
}

impl Status {
    fn print(&self, registry: &Path, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(
            out,
            "{}: data folder {}, registry {}\n",
            self.name,
            self.data.display(),
            registry.display()
        )?;
        for pipeline in &self.pipelines {
            pipeline.print(out)?;
        }
        if !self.tables.is_empty() {
            writeln!(
                out,
                "\n{:<28}{:>14}{:>8}{:>12}{:>9}",
                "table", "rows", "files", "size", "version"
            )?;
        }
        for t in &self.tables {
            let rows = t.rows.map_or_else(|| "?".to_owned(), grouped);
            writeln!(
                out,
                "{:<28}{rows:>14}{:>8}{:>12}{:>9}",
                t.table,
                t.files,
                ByteSize(t.bytes).to_string(),
                t.version
            )?;
        }
        if !self.models.is_empty() {
            writeln!(
                out,
                "\n{:<28}{:>8}  {:<22}{:>8}{:>8}  registered",
                "model", "version", "kind", "AUC ROC", "AP"
            )?;
        }
        for m in &self.models {
            let number =
                |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
            writeln!(
                out,
                "{:<28}{:>8}  {:<22}{:>8}{:>8}  {}",
                m.model,
                m.in_use.map_or_else(|| "-".to_owned(), |v| v.to_string()),
                m.kind.unwrap_or("-"),
                number(m.auc_roc),
                number(m.average_precision),
                m.created_at.as_deref().unwrap_or("-")
            )?;
            for problem in &m.problems {
                writeln!(out, "  PROBLEM: {problem}")?;
            }
        }
        Ok(())
    }
}
