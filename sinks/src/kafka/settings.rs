//! Settings of librdkafka: those that the sink makes itself, and those that a user may not touch.

use super::spec::{KafkaSinkSpec, failed};
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use riskstream_engine::contract::SinkError;

/// Settings that are the sink's own, and what to do instead of setting them.
const OWNED: [(&str, &str); 8] = [
    ("bootstrap.servers", "name the brokers by `brokers`"),
    ("metadata.broker.list", "name the brokers by `brokers`"),
    (
        "transactional.id",
        "it is made from the names of pipeline and destination, and fences whoever else writes for \
         them",
    ),
    ("enable.idempotence", "every delivery is idempotent"),
    ("enable.gapless.guarantee", "every delivery is without gaps"),
    ("acks", "a message counts once all replicas in sync have it"),
    ("request.required.acks", "a message counts once all replicas in sync have it"),
    ("group.id", "the group holds what was delivered"),
];

/// Why a setting of librdkafka can't be given to a sink; none for one that can.
#[must_use]
pub fn setting_refused(name: &str) -> Option<&'static str> {
    OWNED.iter().find(|(owned, _)| *owned == name).map(|(_, advice)| *advice)
}

fn common() -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("socket.keepalive.enable", "true");
    config.set("client.id", "riskstream");
    config
}

fn with_settings(mut config: ClientConfig, spec: &KafkaSinkSpec) -> ClientConfig {
    for (name, value) in &spec.settings {
        config.set(name, value);
    }
    config.set("bootstrap.servers", &spec.brokers).set("enable.idempotence", "true");
    config
}

/// The settings of a transactional producer.
pub(crate) fn transactional(spec: &KafkaSinkSpec, transactional_id: &str) -> ClientConfig {
    let mut config = common();
    // All messages of a transaction are there at once: nothing comes by waiting.
    config.set("linger.ms", "0");
    // A transaction that begins right after another is told to try again until the cluster has done
    // with that one: a few milliseconds.
    config.set("retry.backoff.ms", "2").set("retry.backoff.max.ms", "500");
    config
        .set("queue.buffering.max.messages", "1000000")
        .set("queue.buffering.max.kbytes", "262144");
    let mut config = with_settings(config, spec);
    config.set("transactional.id", transactional_id);
    config
}

/// The settings of the producer that sends at once.
pub(crate) fn immediate(spec: &KafkaSinkSpec) -> ClientConfig {
    let mut config = common();
    // A message waits for its cluster for as long as it takes: the epoch isn't committed before it
    // is there.
    config
        .set("linger.ms", "1")
        .set("message.timeout.ms", "0")
        .set("retry.backoff.ms", "20")
        .set("retry.backoff.max.ms", "500");
    config
        .set("queue.buffering.max.messages", "200000")
        .set("queue.buffering.max.kbytes", "131072");
    with_settings(config, spec)
}

/// Settings that only a producer has, by their beginning: the reader of the group must not see
/// them.
const PRODUCERS: [&str; 12] = [
    "queue.buffering.",
    "linger.ms",
    "message.",
    "batch.",
    "compression.",
    "transaction.",
    "delivery.",
    "sticky.",
    "partitioner",
    "msg_order",
    "dr_cb",
    "produce.",
];

/// The settings of the consumer that asks for the group's offset. With `read_committed` the request
/// waits while an offset is undecided; with `read_uncommitted` it returns the newest decided offset
/// at once.
pub(crate) fn group(spec: &KafkaSinkSpec, group: &str, isolation: &str) -> ClientConfig {
    let mut config = common();
    for (name, value) in &spec.settings {
        if !PRODUCERS.iter().any(|p| name.starts_with(p)) {
            config.set(name, value);
        }
    }
    config
        .set("bootstrap.servers", &spec.brokers)
        .set("group.id", group)
        .set("enable.auto.commit", "false");
    config.set("isolation.level", isolation);
    config
}

/// Finds unknown settings and impossible values before anything is connected.
pub(crate) fn check(spec: &KafkaSinkSpec) -> Result<(), SinkError> {
    for config in
        [immediate(spec), transactional(spec, "check"), group(spec, "check", "read_committed")]
    {
        config.create_native_config().map_err(|e| failed(spec, describe(&e)))?;
    }
    Ok(())
}

fn describe(error: &KafkaError) -> String {
    match error {
        // The value may be a password.
        KafkaError::ClientConfig(_, what, name, _) => format!("the setting {name}: {what}"),
        other => other.to_string(),
    }
}
