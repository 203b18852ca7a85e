//! What the topic and the sink's group say of the last transaction: who has taken over, offsets
//! that are lost or never decided, and transactions of others.

use std::path::Path;
use std::time::{Duration, Instant};

use rdkafka::producer::Producer;

use super::broker::{Broker, good};
use super::logs::copy_at_rest;
use super::runs::{LOG, TO_THE_END, kill, spawn, spawn_with};
use super::{MESSAGES, PAYMENTS};
use crate::kafka_wire;
use crate::program::riskstream;

impl Broker {
    /// A run on a copy of another's store takes over from it: the other one stops, and every row is
    /// there once.
    pub(super) fn check_takeover(&self, here: &Path) {
        let (first, second) = (here.join("first"), here.join("second"));
        let brokers = format!("127.0.0.1:{}", self.port);
        let config = PAYMENTS
            .replace("BROKERS", &brokers)
            .replace("topic   = \"doubled\"", "topic   = \"handed-over\"")
            .replace("at-once", "handed-over-at-once");
        std::fs::create_dir_all(&first).unwrap();
        std::fs::write(first.join("pipelines.toml"), config).unwrap();
        riskstream(&first, &["run", "--set", "sources.payments.stop=end"]).ok();
        // The first run follows the topic, and has shown that it delivers.
        let mut run = spawn(&first);
        self.produce(MESSAGES..MESSAGES + 1_000, "none");
        let started = Instant::now();
        while self.consume("handed-over").len() < good(MESSAGES + 1_000) {
            let ended =
                run.0.try_wait().unwrap().is_some() || started.elapsed() > Duration::from_secs(60);
            assert!(
                !ended,
                "the first delivers: {}",
                std::fs::read_to_string(first.join(LOG)).unwrap()
            );
        }
        copy_at_rest(&first, &second);
        riskstream(&second, &["run", "--set", "sources.payments.stop=end"]).ok();
        // The first run finds out when it has something to deliver.
        self.produce(MESSAGES + 1_000..MESSAGES + 2_000, "none");
        let code = run.0.wait().unwrap().code();
        let said = std::fs::read_to_string(first.join(LOG)).unwrap();
        assert!(
            code != Some(0) && said.contains("another run has taken over the delivery"),
            "{code:?}: {said}"
        );
        riskstream(&second, &["run", "--set", "sources.payments.stop=end"]).ok();
        let seen = self.consume("handed-over");
        assert_eq!(seen.len(), good(MESSAGES + 2_000));
        assert!(seen.values().all(|(times, ..)| *times == 1), "a row is there twice");
    }

    /// An offset of one of the sink's producers that no transaction will ever decide does not keep
    /// a run from going on, and is not believed.
    pub(super) fn check_hanging_offset(&self, here: &Path) {
        self.script("stop");
        // With this setting the broker takes an offset outside a transaction, as earlier versions
        // do.
        self.script_with("start", "transaction.partition.verification.enable=false");
        let group = self.group(here);
        kafka_wire::leave_offset(
            self.port,
            &kafka_wire::Left {
                producer: &format!("{group}.1"),
                group: &group,
                topic: "doubled",
                offset: 1,
            },
        );
        assert!(self.committed(&group).0 > 1, "what was decided is told at once");
        self.produce(MESSAGES + 2_000..MESSAGES + 2_100, "none");
        riskstream(here, &["run", "--set", "sources.payments.stop=end"]).ok();
        let seen = self.consume("doubled");
        assert_eq!(seen.len(), (0..MESSAGES + 2_100).filter(|id| id % 100 != 99).count());
        assert!(seen.values().all(|(times, ..)| *times == 1), "a row is there twice");
    }

    /// A transaction that is in the topic, and whose offset a broker has lost, is not delivered
    /// again; nor is one that had no messages before it.
    pub(super) fn check_lost_offset(&self, here: &Path) {
        let group = self.group(here);
        for (producer, first) in [("", MESSAGES + 2_100), (".2", MESSAGES + 2_400)] {
            let run = spawn(here);
            self.produce(first..first + 300, "none");
            let started = Instant::now();
            while self.consume("doubled").len() < good(first + 300) {
                assert!(
                    started.elapsed() < Duration::from_secs(60),
                    "{}",
                    std::fs::read_to_string(here.join(LOG)).unwrap()
                );
            }
            kill(run, here);
            // As if the last transaction's offset had not been decided: the group says what it said
            // before, and has that one beside it.
            let (through, metadata) = self.committed(&group);
            let said: serde_json::Value = serde_json::from_str(&metadata).unwrap();
            assert!(said["messages"].as_u64().unwrap() > 0, "{metadata}");
            let after = said["after"].as_i64().unwrap();
            let before = serde_json::json!({
                "run": said["run"], "after": after, "messages": 0, "before": said["before"],
            });
            self.commit(&group, after, &before.to_string());
            kafka_wire::leave_offset(
                self.port,
                &kafka_wire::Left {
                    producer: &format!("{group}{producer}"),
                    group: &group,
                    topic: "doubled",
                    offset: through,
                },
            );
            riskstream(here, &["run", "--set", "sources.payments.stop=end"]).ok();
            let seen = self.consume("doubled");
            assert_eq!(seen.len(), good(first + 300));
            assert!(seen.values().all(|(times, ..)| *times == 1), "a row is there twice");
            assert!(self.committed(&group).0 >= through, "the group says what the topic has");
        }
    }

    /// A transaction that somebody else has open in the topic is waited for. What was delivered
    /// behind it is not taken for something that hangs.
    pub(super) fn check_open_transaction_of_others(&self, here: &Path) {
        let within = Duration::from_secs(20);
        let other = self.open_transaction(60_000);
        let before = MESSAGES + 3_600;
        self.produce(before..before + 300, "none");
        riskstream(here, &["run", "--set", "sources.payments.stop=end"]).ok();
        let mut run = spawn_with(here, &TO_THE_END);
        // Longer than a transaction of our own would be waited for.
        std::thread::sleep(Duration::from_secs(4));
        other.abort_transaction(within).unwrap();
        assert!(
            run.0.wait().unwrap().success(),
            "{}",
            std::fs::read_to_string(here.join(LOG)).unwrap()
        );
        let said = std::fs::read_to_string(here.join(LOG)).unwrap();
        assert!(!said.contains("whose end the cluster has lost"), "{said}");
        let seen = self.consume("doubled");
        assert_eq!(seen.len(), good(before + 300));
        assert!(seen.values().all(|(times, ..)| *times == 1), "a row is there twice");
    }

    /// The group of the sink.
    pub(super) fn group(&self, here: &Path) -> String {
        let identity =
            std::fs::read_to_string(here.join("data/store/payments/kafka-identity")).unwrap();
        format!("riskstream.acme.payments.topic.{identity}")
    }

    /// Up to where each partition was decided when the last transaction began, as the group says.
    pub(super) fn decided_before(&self, group: &str) -> Vec<u64> {
        let said: serde_json::Value = serde_json::from_str(&self.committed(group).1).unwrap();
        said["before"]["least"]
            .as_array()
            .unwrap()
            .iter()
            .map(|offset| offset.as_u64().unwrap())
            .collect()
    }
}
