//! Settings of librdkafka: those that the source makes itself, and those that a user may not touch.

use crate::kafka::KafkaSourceSpec;
use rdkafka::ClientConfig;
use riskstream_engine::contract::SourceError;

/// Settings that are the source's own, and what to do instead of setting them.
const OWNED: [(&str, &str); 11] = [
    ("bootstrap.servers", "name the brokers by `brokers`"),
    ("metadata.broker.list", "name the brokers by `brokers`"),
    ("group.id", "name the group by `group`"),
    ("group.instance.id", "partitions are not assigned by a group"),
    ("group.protocol", "partitions are not assigned by a group"),
    ("partition.assignment.strategy", "partitions are not assigned by a group"),
    ("enable.auto.commit", "positions are in the pipeline's own commits"),
    ("enable.auto.offset.store", "positions are in the pipeline's own commits"),
    ("auto.offset.reset", "say where to begin by `start`"),
    ("enable.partition.eof", "the source needs to know the ends"),
    ("isolation.level", "say so by `isolation`"),
];

/// Why a setting of librdkafka can't be given to a source; none for one that can.
#[must_use]
pub fn setting_refused(name: &str) -> Option<&'static str> {
    OWNED.iter().find(|(owned, _)| *owned == name).map(|(_, advice)| *advice)
}

/// The consumer's configuration.
pub(crate) fn client_config(spec: &KafkaSourceSpec) -> Result<ClientConfig, SourceError> {
    let mut config = ClientConfig::new();
    // Answers as soon as there is anything; a partition that was found empty is asked again soon.
    config.set("fetch.wait.max.ms", "50").set("fetch.error.backoff.ms", "100");
    // A partition that isn't read for a while (others are behind it in event time) goes on at once
    // when it is.
    config.set("fetch.queue.backoff.ms", "10").set("queued.max.messages.kbytes", "32768");
    config
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("socket.keepalive.enable", "true");
    config.set("client.id", "riskstream").set("allow.auto.create.topics", "false");
    for (name, value) in &spec.settings {
        config.set(name, value);
    }
    config.set("bootstrap.servers", &spec.brokers).set("group.id", &spec.group);
    config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
    config.set("auto.offset.reset", "error").set("enable.partition.eof", "true");
    config.set(
        "isolation.level",
        if spec.read_committed { "read_committed" } else { "read_uncommitted" },
    );
    // Unknown settings and impossible values are found here, before anything is connected.
    config.create_native_config().map_err(|e| SourceError::Unreadable {
        source_name: spec.name.clone(),
        object: "its `settings`".into(),
        reason: describe_config(&e),
    })?;
    Ok(config)
}

fn describe_config(error: &rdkafka::error::KafkaError) -> String {
    match error {
        // The value may be a password.
        rdkafka::error::KafkaError::ClientConfig(_, what, name, _) => format!("{name}: {what}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_our_own_are_refused_with_advice() {
        assert_eq!(setting_refused("group.id"), Some("name the group by `group`"));
        assert_eq!(setting_refused("sasl.username"), None);
    }
}
