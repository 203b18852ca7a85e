//! From the counters of a run to metrics, when somebody asks for them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::TextEncoder;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};
use riskstream_engine::runtime::{self, Clock, HistogramCounts, StepMetrics};
use riskstream_query::service::QueryService;

use super::catalog::{self, Kind};
use super::life::Life;
use super::query_gauges::{Sample, Value, samples};

/// Numbers of the program as a whole.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Bytes of the folder of tables, when they were last counted.
    pub(crate) tables_disk_bytes: AtomicU64,
    /// Spans that a collector did not take.
    pub(crate) spans_lost: AtomicU64,
    /// When the program started, microseconds since 1970.
    pub(crate) started_micros: i64,
    /// How maintenance went, by table; empty where there is none in the background.
    pub(crate) upkeep: Mutex<BTreeMap<String, TableUpkeep>>,
    /// What answers SQL; none where no port listens.
    pub(crate) query: Option<QueryService>,
}

/// How maintenance of a table went.
#[derive(Debug, Default)]
pub(crate) struct TableUpkeep {
    /// Files of the table, after the last round that ended well.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// When that round ended, microseconds since 1970; none before the first.
    pub(crate) ended_micros: Option<i64>,
    /// Rounds that have failed.
    pub(crate) failures: u64,
}

/// The text of `/metrics`.
///
/// # Errors
/// When a metric can't be written as text.
pub(crate) fn render(
    lives: &[Arc<Life>],
    shared: &Shared,
    clock: &dyn Clock,
) -> Result<String, prometheus::Error> {
    let mut families = Families::new();
    program(&mut families, shared);
    for life in lives {
        pipeline(&mut families, life, clock.wall_micros());
    }
    TextEncoder::new().encode_to_string(&families.finish())
}

fn program(families: &mut Families, shared: &Shared) {
    families.add(&catalog::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
    families.add(&catalog::PROCESS_START, &[], seconds(shared.started_micros));
    if let Some(process) = Process::now() {
        families.add(&catalog::PROCESS_MEMORY, &[], process.resident_bytes);
        families.add(&catalog::PROCESS_CPU, &[], process.cpu_seconds);
    }
    families.add(&catalog::TABLES_DISK, &[], load(&shared.tables_disk_bytes));
    for (table, upkeep) in shared.upkeep.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let of = &[table.as_str()][..];
        if let Some(ended) = upkeep.ended_micros {
            families.add(&catalog::TABLE_FILES, of, upkeep.files as f64);
            families.add(&catalog::TABLE_BYTES, of, upkeep.bytes as f64);
            families.add(&catalog::MAINTAINED, of, seconds(ended));
        }
        families.add(&catalog::MAINTAIN_FAILURES, of, upkeep.failures as f64);
    }
    families.add(&catalog::SPANS_LOST, &[], load(&shared.spans_lost));
    for Sample { metric, labels, value } in shared.query.iter().flat_map(samples) {
        match value {
            Value::Number(value) => families.add(metric, &labels, value),
            Value::Durations(counts) => families.add_histogram(metric, &labels, &counts),
        }
    }
}

fn pipeline(families: &mut Families, life: &Life, now_micros: i64) {
    let m = &*life.control.metrics;
    let of = &[life.name.as_str()][..];
    let is = |what: bool| if what { 1.0 } else { 0.0 };
    families.add(&catalog::UP, of, is(life.is_up()));
    families.add(&catalog::READY, of, is(life.is_ready()));
    families.add(&catalog::DEGRADED, of, is(life.degraded().is_some()));
    families.add(&catalog::FAILURES, of, life.failures() as f64);
    families.add(&catalog::RESTARTS, of, life.restarts() as f64);
    if life.has_restored() {
        families.add(&catalog::RECOVERY, of, load(&m.ready_nanos) / 1e9);
    }
    families.add(&catalog::ROWS_READ, of, load(&m.rows_in_total));
    families.add(&catalog::BYTES_READ, of, load(&m.bytes_in_total));
    families.add(&catalog::ROWS_COMMITTED, of, load(&m.rows_committed_total));
    families.add(&catalog::ROWS_LATE, of, load(&m.late_committed_total));
    for (reason, letters) in m.dead_by_reason.lock().unwrap_or_else(PoisonError::into_inner).iter()
    {
        families.add(&catalog::DEAD, &[&life.name, reason], *letters as f64);
    }
    let total = load(&m.progress_total);
    if total > 0.0 {
        families.add(&catalog::PROGRESS, of, load(&m.progress_done) / total);
    }
    families.add(&catalog::EPOCH_OPEN, of, load(&m.open_epoch));
    families.add(&catalog::EPOCH_COMMITTED, of, load(&m.committed_epoch));
    families.add(&catalog::EPOCH_DELIVERED, of, load(&m.delivered_epoch));
    families.add_histogram(&catalog::EPOCH_SECONDS, of, &m.epoch.counts());
    families.add_histogram(&catalog::COMMIT_SECONDS, of, &m.commit.counts());
    families.add(&catalog::SNAPSHOT_SECONDS, of, load(&m.snapshot_nanos_total) / 1e9);
    event_time(families, life, m, now_micros);
    m.steps.iter().for_each(|step| self::step(families, &life.name, step));
    for sink in &m.sinks {
        let of = [life.name.as_str(), sink.id.as_str()];
        families.add_histogram(&catalog::SINK_SECONDS, &of, &sink.delivery.counts());
        families.add(&catalog::SINK_ERRORS, &of, load(&sink.errors_total));
        families.add(&catalog::SINK_EPOCH, &of, load(&sink.delivered_epoch));
    }
    families.add(&catalog::HELD, of, m.held_bytes() as f64);
    families.add(&catalog::STORE_WRITTEN, of, load(&m.store_bytes_total));
    families.add(&catalog::STORE_DISK, of, load(&life.store_disk_bytes));
    families.add(&catalog::SPANS_MISSED, of, m.spans.missed() as f64);
}

fn event_time(families: &mut Families, life: &Life, m: &runtime::Metrics, now_micros: i64) {
    let of = &[life.name.as_str()][..];
    let newest = m.event_time_max_micros.load(Ordering::Relaxed);
    let watermark = m.watermark_micros.load(Ordering::Relaxed);
    let lag = |micros: i64| seconds(now_micros.saturating_sub(micros));
    // Before the first row there is none.
    if newest > i64::MIN {
        families.add(&catalog::EVENT_TIME, of, seconds(newest));
        families.add(&catalog::EVENT_TIME_LAG, of, lag(newest));
    }
    if watermark > i64::MIN {
        families.add(&catalog::WATERMARK, of, seconds(watermark));
        families.add(&catalog::WATERMARK_LAG, of, lag(watermark));
    }
    families.add(&catalog::PARTITIONS, of, load(&m.partitions_open));
    for p in m.partitions.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let of = [life.name.as_str(), p.name.as_str()];
        families.add(&catalog::PARTITION_EVENT_TIME_LAG, &of, lag(p.event_time_max_micros));
        families.add(&catalog::PARTITION_WATERMARK, &of, seconds(p.watermark_micros));
    }
}

fn step(families: &mut Families, pipeline: &str, step: &StepMetrics) {
    let of = [pipeline, step.id.as_str()];
    families.add(&catalog::STEP_ROWS_IN, &of, load(&step.rows_in));
    families.add(&catalog::STEP_ROWS_OUT, &of, load(&step.rows_out));
    families.add(&catalog::STEP_ERRORS, &of, load(&step.dead));
    families.add(&catalog::STEP_BUSY, &of, load(&step.busy_nanos) / 1e9);
    families.add(&catalog::STEP_STATE, &of, step.state_bytes_total() as f64);
}

fn load(counter: &AtomicU64) -> f64 {
    counter.load(Ordering::Relaxed) as f64
}

fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

/// What the system says of this process.
pub(super) struct Process {
    pub(super) resident_bytes: f64,
    pub(super) cpu_seconds: f64,
}

impl Process {
    /// None where the system does not say, or says it otherwise than Linux.
    pub(super) fn now() -> Option<Self> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes: f64 = resident.trim().strip_suffix("kB")?.trim().parse().ok()?;
        let schedule = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The name of the program, in brackets, may hold anything.
        let mut fields = schedule.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut ticks = || fields.next().and_then(|field| field.parse::<f64>().ok());
        let ticks = ticks()? + ticks()?;
        // A tick is a hundredth of a second on every system that Linux runs on.
        Some(Self { resident_bytes: kilobytes * 1024.0, cpu_seconds: ticks / 100.0 })
    }
}

/// The metrics so far, in the order of the catalog.
struct Families {
    families: Vec<(&'static str, MetricFamily)>,
}

impl Families {
    fn new() -> Self {
        let family = |metric: &catalog::Metric| {
            let mut family = MetricFamily::default();
            family.set_name(metric.name.to_owned());
            family.set_help(metric.help.to_owned());
            family.set_field_type(match metric.kind {
                Kind::Counter => MetricType::COUNTER,
                Kind::Gauge => MetricType::GAUGE,
                Kind::Histogram => MetricType::HISTOGRAM,
            });
            (metric.name, family)
        };
        Self { families: catalog::ALL.iter().map(family).collect() }
    }

    fn add(&mut self, metric: &catalog::Metric, labels: &[&str], value: f64) {
        let mut sample = labelled(metric, labels);
        match metric.kind {
            Kind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                sample.set_counter(counter);
            }
            Kind::Gauge | Kind::Histogram => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                sample.set_gauge(gauge);
            }
        }
        self.push(metric, sample);
    }

    fn add_histogram(
        &mut self,
        metric: &catalog::Metric,
        labels: &[&str],
        counts: &HistogramCounts,
    ) {
        let bucket = |(bound, count): &(f64, u64)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(*count);
            bucket
        };
        let mut histogram = Histogram::default();
        histogram.set_bucket(counts.up_to.iter().map(bucket).collect());
        histogram.set_sample_count(counts.count);
        histogram.set_sample_sum(counts.sum_seconds);
        let mut sample = labelled(metric, labels);
        sample.set_histogram(histogram);
        self.push(metric, sample);
    }

    fn push(&mut self, metric: &catalog::Metric, sample: Metric) {
        if let Some((_, family)) = self.families.iter_mut().find(|(name, _)| *name == metric.name) {
            family.mut_metric().push(sample);
        }
    }

    /// Those of which there is something to say.
    fn finish(self) -> Vec<MetricFamily> {
        self.families
            .into_iter()
            .map(|(_, family)| family)
            .filter(|family| !family.get_metric().is_empty())
            .collect()
    }
}

fn labelled(metric: &catalog::Metric, values: &[&str]) -> Metric {
    debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
    let label = |(name, value): (&&str, &&str)| {
        let mut label = LabelPair::default();
        label.set_name((*name).to_owned());
        label.set_value((*value).to_owned());
        label
    };
    Metric::from_label(metric.labels.iter().zip(values).map(label).collect())
}
