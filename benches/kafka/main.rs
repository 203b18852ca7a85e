//! Latency from Kafka to Kafka: payments are produced by a schedule, and each is looked for in the
//! topic of results.
//!
//! Payment `i` is due at `start + i / rate`, whether or not the broker or the program under test
//! keeps up; its latency is from there to the moment at which a consumer holds the result that
//! names it. This program does not know what runs between the two topics: `run.sh` starts
//! riskstream there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use arrow::array::RecordBatch;
use arrow::json::LineDelimitedWriter;
use clap::Parser;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use riskstream_engine::contract::{Poll, PollLimit, Source, is_system_column};
use riskstream_ingest::{GeneratorSource, GeneratorSpec};
use serde_json::json;

/// How long the last results are waited for.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long, default_value = "127.0.0.1:9092")]
    brokers: String,
    /// The topic that payments are written to.
    #[arg(long, default_value = "payments")]
    input: String,
    /// The topic that results are read from.
    #[arg(long, default_value = "features")]
    output: String,
    /// Payments per second.
    #[arg(long, default_value_t = 20_000)]
    rate: u64,
    /// Seconds of payments, the warm-up included.
    #[arg(long, default_value_t = 150)]
    seconds: u64,
    /// Seconds that don't count: a broker that has just started compiles its own code for up to two
    /// minutes, with half a processor.
    #[arg(long, default_value_t = 110)]
    warm_up: u64,
    /// Sees results of open transactions too.
    #[arg(long)]
    uncommitted: bool,
    /// Where each payment's number is in a result, as text right before it.
    #[arg(long, default_value = "\"transaction_id\":")]
    number_after: String,
    /// Of the printed line.
    #[arg(long, default_value = "riskstream")]
    label: String,
    /// Prints each second's figures too: where the slow ones are.
    #[arg(long)]
    by_second: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let payments = payments(arguments.rate * arguments.seconds)?;
    let consumer = consumer(&arguments)?;
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &arguments.brokers)
        .set("linger.ms", "1")
        .set("acks", "all")
        .create()
        .context("the producer")?;
    let failed = AtomicBool::new(false);
    let started = Instant::now();
    let latencies = std::thread::scope(|scope| {
        let consuming =
            scope.spawn(|| consume(&arguments, &consumer, payments.len(), started, &failed));
        let produced = produce(&arguments, &producer, &payments, started);
        failed.store(produced.is_err(), Ordering::Release);
        let consumed = consuming.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        produced.and(consumed)
    })?;
    report(&arguments, latencies)
}

/// Payments of the Handbook's simulator as JSON, with their keys, in the order of their numbers
/// from 0 on.
fn payments(rows: u64) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut source = GeneratorSource::new(GeneratorSpec {
        rows: Some(rows),
        ..GeneratorSpec::new("payments", 42)
    })?;
    source.open(&std::collections::BTreeMap::new())?;
    let mut decoder = source.decoder();
    let mut payments = Vec::new();
    loop {
        match source.poll(0, PollLimit { rows: 65_536, bytes: 1 << 24 })? {
            Poll::Block(block) => lines(&decoder.decode(block)?.rows, &mut payments)?,
            Poll::Pending { .. } => {}
            Poll::Finished(_) => return Ok(payments),
        }
    }
}

fn lines(rows: &RecordBatch, payments: &mut Vec<(String, Vec<u8>)>) -> anyhow::Result<()> {
    let user: Vec<usize> = (0..rows.num_columns())
        .filter(|at| !is_system_column(rows.schema().field(*at).name()))
        .collect();
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(&rows.project(&user)?)?;
    writer.finish()?;
    for line in writer.into_inner().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let mut payment: serde_json::Value = serde_json::from_slice(line)?;
        payment["transaction_id"] = json!(payments.len());
        let key = payment["customer_id"].to_string();
        payments.push((key, serde_json::to_vec(&payment)?));
    }
    Ok(())
}

/// A consumer at the end of all partitions of the results.
fn consumer(arguments: &Arguments) -> anyhow::Result<BaseConsumer> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &arguments.brokers)
        .set("group.id", "kafka-latency")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "5")
        .set(
            "isolation.level",
            if arguments.uncommitted { "read_uncommitted" } else { "read_committed" },
        )
        .create()
        .context("the consumer")?;
    let metadata = consumer.fetch_metadata(Some(&arguments.output), Duration::from_secs(10))?;
    let topic = metadata
        .topics()
        .first()
        .filter(|t| t.error().is_none())
        .with_context(|| format!("there is no topic {}", arguments.output))?;
    let mut all = TopicPartitionList::new();
    for partition in topic.partitions() {
        let (_, end) = consumer.fetch_watermarks(
            &arguments.output,
            partition.id(),
            Duration::from_secs(10),
        )?;
        all.add_partition_offset(&arguments.output, partition.id(), Offset::Offset(end))?;
    }
    consumer.assign(&all)?;
    Ok(consumer)
}

/// When payment `number` is due, after the start.
fn due(arguments: &Arguments, number: usize) -> Duration {
    Duration::from_nanos(
        u64::try_from(number as u128 * 1_000_000_000 / u128::from(arguments.rate.max(1)))
            .unwrap_or(u64::MAX),
    )
}

fn produce(
    arguments: &Arguments,
    producer: &BaseProducer,
    payments: &[(String, Vec<u8>)],
    started: Instant,
) -> anyhow::Result<()> {
    for (number, (key, value)) in payments.iter().enumerate() {
        let wait = due(arguments, number).saturating_sub(started.elapsed());
        if !wait.is_zero() {
            producer.poll(Duration::ZERO);
            std::thread::sleep(wait.max(Duration::from_micros(200)));
        }
        let mut record = BaseRecord::to(&arguments.input).key(key).payload(value);
        while let Err((error, again)) = producer.send(record) {
            if error.rdkafka_error_code() != Some(rdkafka::types::RDKafkaErrorCode::QueueFull) {
                bail!("payment {number} can't be produced: {error}");
            }
            producer.poll(Duration::from_millis(1));
            record = again;
        }
    }
    producer.flush(PATIENCE).context("the last payments")
}

/// The number and the latency of each payment that counts.
fn consume(
    arguments: &Arguments,
    consumer: &BaseConsumer,
    payments: usize,
    started: Instant,
    failed: &AtomicBool,
) -> anyhow::Result<Vec<(usize, Duration)>> {
    let warm_up = usize::try_from(arguments.rate * arguments.warm_up)?;
    let (mut seen, mut latencies) = (vec![false; payments], Vec::with_capacity(payments));
    let mut missing = payments;
    while missing > 0 {
        ensure!(!failed.load(Ordering::Acquire), "the payments can't be produced");
        ensure!(
            started.elapsed() < due(arguments, payments) + PATIENCE,
            "{missing} of {payments} payments have no result"
        );
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message?;
        let now = started.elapsed();
        let number =
            number(message.payload().unwrap_or_default(), arguments.number_after.as_bytes())
                .context("a result without a number")?;
        ensure!(
            !std::mem::replace(seen.get_mut(number).context("a result of no payment")?, true),
            "payment {number} has two results"
        );
        missing -= 1;
        if number >= warm_up {
            latencies.push((number, now.saturating_sub(due(arguments, number))));
        }
    }
    Ok(latencies)
}

/// The digits after `name`.
fn number(value: &[u8], name: &[u8]) -> Option<usize> {
    let at = value.windows(name.len()).position(|bytes| bytes == name)? + name.len();
    let digits = value[at..].iter().skip_while(|b| **b == b' ').take_while(|b| b.is_ascii_digit());
    std::str::from_utf8(&digits.copied().collect::<Vec<u8>>()).ok()?.parse().ok()
}

fn report(arguments: &Arguments, latencies: Vec<(usize, Duration)>) -> anyhow::Result<()> {
    ensure!(!latencies.is_empty(), "nothing is left after the warm-up: ask for more seconds");
    if arguments.by_second {
        let mut seconds: BTreeMap<u64, Vec<Duration>> = BTreeMap::new();
        for (number, latency) in &latencies {
            seconds.entry(due(arguments, *number).as_secs()).or_default().push(*latency);
        }
        println!("second  p50 ms  p99 ms  max ms");
        for (second, mut latencies) in seconds {
            latencies.sort_unstable();
            println!(
                "{second:>6} {:>7.1} {:>7.1} {:>7.1}",
                at(&latencies, 0.5),
                at(&latencies, 0.99),
                at(&latencies, 1.0)
            );
        }
    }
    let mut latencies: Vec<Duration> = latencies.into_iter().map(|(_, latency)| latency).collect();
    latencies.sort_unstable();
    let figures = json!({
        "bench": "kafka",
        "label": arguments.label,
        "rate": arguments.rate,
        "payments": latencies.len(),
        "p50_ms": at(&latencies, 0.5),
        "p99_ms": at(&latencies, 0.99),
        "p999_ms": at(&latencies, 0.999),
        "max_ms": at(&latencies, 1.0),
    });
    println!("{figures}");
    Ok(())
}

/// The quantile `share` of sorted latencies, in milliseconds.
fn at(latencies: &[Duration], share: f64) -> f64 {
    latencies
        .get(((latencies.len() as f64 * share) as usize).min(latencies.len() - 1))
        .map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
}
