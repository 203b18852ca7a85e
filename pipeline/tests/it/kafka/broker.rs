//! A broker of the test's own, with messages to put in and to read back.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::logs::listing;

pub(super) const PARTITIONS: i32 = 3;

/// What somebody else writes into the topic.
pub(super) const THEIRS: &str = "theirs";

/// A broker on two free ports of this machine; it ends with the test.
pub(super) struct Broker {
    pub(super) port: u16,
    pub(super) state: PathBuf,
}

impl Broker {
    pub(super) fn start(state: PathBuf) -> Self {
        let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        // The number of brokers that this process has started.
        static OTHERS: AtomicU16 = AtomicU16::new(0);
        let first = 20_000
            + (std::process::id() % 10_000) as u16
            + 100 * OTHERS.fetch_add(1, Ordering::Relaxed);
        let port = (first..60_000).step_by(2).find(|p| free(*p) && free(p + 1)).unwrap();
        let broker = Self { port, state };
        broker.script("start");
        broker
    }

    /// The project's own script does it; where java or mvn are missing it says so.
    pub(super) fn script(&self, action: &str) {
        self.script_with(action, "");
    }

    pub(super) fn script_with(&self, action: &str, settings: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/servers/kafka.sh");
        let done = Command::new(script)
            .args([action, &self.port.to_string()])
            .env("KAFKA_STATE", &self.state)
            .env("KAFKA_PARTITIONS", PARTITIONS.to_string())
            .env("KAFKA_TIER", "1")
            .env("KAFKA_SETTINGS", settings)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "kafka.sh {action}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
    }

    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", format!("127.0.0.1:{}", self.port))
            .set("group.id", "reader")
            .set("enable.partition.eof", "true");
        config
    }

    /// Starts the stopped broker as after a crash: it builds its indexes and checkpoints again from
    /// the logs of the partitions.
    pub(super) fn start_without_heart(&self) {
        for (path, _) in listing(&self.state) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let by_heart = [".index", ".timeindex", ".txnindex", ".snapshot"]
                .iter()
                .any(|end| name.ends_with(end));
            let of_log = path.parent().unwrap().to_string_lossy().contains("doubled-")
                || path.to_string_lossy().contains("__consumer_offsets-");
            if by_heart && of_log
                || name.ends_with("-offset-checkpoint")
                || name == ".kafka_cleanshutdown"
            {
                std::fs::remove_file(path).unwrap();
            }
        }
        self.script("start");
    }

    /// A transaction of somebody else in all partitions, which the cluster aborts after a while.
    pub(super) fn open_transaction(&self, millis: u32) -> BaseProducer {
        let within = Duration::from_secs(20);
        let other: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", format!("127.0.0.1:{}", self.port))
            .set("transactional.id", "other")
            .set("transaction.timeout.ms", millis.to_string())
            .create()
            .unwrap();
        other.init_transactions(within).unwrap();
        other.begin_transaction().unwrap();
        for partition in 0..PARTITIONS {
            other
                .send(BaseRecord::<(), str>::to("doubled").partition(partition).payload(THEIRS))
                .map_err(|(e, _)| e)
                .unwrap();
        }
        other.flush(within).unwrap();
        other
    }

    /// The last offset of a group for partition 0 that was decided, with what it says. A killed run
    /// may have left one that is not, for as long as a transaction may take: it is not waited for.
    pub(super) fn committed(&self, group: &str) -> (i64, String) {
        let consumer: BaseConsumer = self
            .client()
            .set("group.id", group)
            .set("isolation.level", "read_uncommitted")
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition("doubled", 0);
        let list = consumer.committed_offsets(list, Duration::from_secs(20)).unwrap();
        let element = &list.elements()[0];
        let Offset::Offset(offset) = element.offset() else { panic!("no offset: {list:?}") };
        (offset, element.metadata().to_owned())
    }

    pub(super) fn commit(&self, group: &str, offset: i64, metadata: &str) {
        let consumer: BaseConsumer = self.client().set("group.id", group).create().unwrap();
        let mut list = TopicPartitionList::new();
        let mut element = list.add_partition("doubled", 0);
        element.set_offset(Offset::Offset(offset)).unwrap();
        element.set_metadata(metadata);
        consumer.commit(&list, CommitMode::Sync).unwrap();
    }

    pub(super) fn produce(&self, ids: std::ops::Range<u32>, compression: &str) {
        let mut config = self.client();
        let producer: BaseProducer = config
            .remove("group.id")
            .remove("enable.partition.eof")
            .set("enable.idempotence", "true")
            .set("compression.type", compression)
            .create()
            .unwrap();
        for id in ids {
            // Every hundredth is no JSON: a dead letter.
            let value = if id % 100 == 99 {
                format!("broken {id}")
            } else {
                format!(r#"{{"id": {id}, "amount": {}.25}}"#, id % 1_000)
            };
            let key = format!("card-{}", id % 97);
            let headers = OwnedHeaders::new().insert(Header {
                key: "channel",
                value: Some(if id % 2 == 0 { "web" } else { "pos" }),
            });
            let mut record = BaseRecord::to("payments").payload(&value).key(&key).headers(headers);
            while let Err((_, back)) = producer.send(record) {
                producer.poll(Duration::from_millis(10));
                record = back;
            }
        }
        producer.flush(Duration::from_secs(30)).unwrap();
    }

    /// Every message of a topic that a reader of committed transactions sees, by its value; how
    /// often, with key and channel.
    pub(super) fn consume(&self, topic: &str) -> BTreeMap<String, (u32, String, String)> {
        let consumer: BaseConsumer =
            self.client().set("isolation.level", "read_committed").create().unwrap();
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let (mut ends, mut seen) = (0, BTreeMap::new());
        while ends < PARTITIONS {
            match consumer.poll(Duration::from_secs(20)).expect("an end within the time") {
                Err(KafkaError::PartitionEOF(_)) => ends += 1,
                Err(error) => panic!("{error}"),
                Ok(message) => {
                    let text = |bytes: Option<&[u8]>| {
                        String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap()
                    };
                    let header =
                        message.headers().map(|h| text(h.get(0).value)).unwrap_or_default();
                    seen.entry(text(message.payload()))
                        .or_insert((0, text(message.key()), header))
                        .0 += 1;
                }
            }
        }
        seen
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.script("wipe");
    }
}

/// How many of so many messages are rows.
pub(super) fn good(messages: u32) -> usize {
    (0..messages).filter(|id| id % 100 != 99).count()
}
