//! From the counters of the query service to metrics, when somebody asks for them.

use riskstream_engine::runtime::HistogramCounts;
use riskstream_query::service::{Counted, QueryService, ServiceCounts};

use super::catalog::{self, Metric};

/// A sample of a metric.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) metric: &'static Metric,
    /// The values of its labels.
    pub(super) labels: Vec<&'static str>,
    pub(super) value: Value,
}

/// What a sample says.
#[derive(Debug)]
pub(super) enum Value {
    Number(f64),
    Durations(HistogramCounts),
}

/// What the query service has done, and how it is.
pub(super) fn samples(service: &QueryService) -> Vec<Sample> {
    let ServiceCounts {
        counted,
        running,
        waiting,
        open,
        memory_bytes,
        memory_bytes_max,
        spill_bytes,
        users_file_is_wrong,
    } = service.counts();
    let Counted { ended, durations, rows, bytes, spilled_bytes } = counted;
    let number = |metric, value| Sample { metric, labels: Vec::new(), value: Value::Number(value) };
    let statements = ended.into_iter().map(|ended| Sample {
        metric: &catalog::QUERY_STATEMENTS,
        labels: vec![ended.port, ended.sqlstate_class],
        value: Value::Number(ended.count as f64),
    });
    let mut samples: Vec<Sample> = statements.collect();
    samples.push(Sample {
        metric: &catalog::QUERY_SECONDS,
        labels: Vec::new(),
        value: Value::Durations(durations),
    });
    samples.extend([
        number(&catalog::QUERY_ROWS, rows as f64),
        number(&catalog::QUERY_BYTES, bytes as f64),
        number(&catalog::QUERY_SPILLED, spilled_bytes as f64),
        number(&catalog::QUERY_RUNNING, running as f64),
        number(&catalog::QUERY_WAITING, waiting as f64),
        number(&catalog::QUERY_OPEN, open as f64),
        number(&catalog::QUERY_MEMORY, memory_bytes as f64),
        number(&catalog::QUERY_MEMORY_LIMIT, memory_bytes_max as f64),
        number(&catalog::QUERY_SPILL, spill_bytes as f64),
    ]);
    // Without users there is no such file.
    if let Some(is_wrong) = users_file_is_wrong {
        samples.push(number(&catalog::USERS_WRONG, if is_wrong { 1.0 } else { 0.0 }));
    }
    samples
}
