//! Kafka, with a real broker that the test starts: runs killed by SIGKILL and a broker that is
//! stopped and started lose nothing and repeat nothing, for a reader of committed transactions and
//! in Delta alike.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::kafka_wire;
use crate::kill::next;
use crate::program::{example, riskstream};
use crate::running::Running;

const PARTITIONS: i32 = 3;
/// Messages in all; every hundredth can't be read.
const MESSAGES: u32 = 30_000;
/// Milliseconds for which runs that mend the topic go on after they have said so.
const KILLED_AFTER: [u64; 3] = [200, 300, 400];
/// What a run says that ends a transaction that hangs, and that copies what was lost with an end.
const TOLD_OF_ENDS: [&str; 2] = ["whose end the cluster has lost; it is ended", "they are copied"];
/// What somebody else writes into the topic.
const THEIRS: &str = "theirs";
/// Settings of a run that reads what there is and ends.
const TO_THE_END: [&str; 2] = ["--set", "sources.payments.stop=end"];
/// Settings of a run that takes what there is in one epoch.
const IN_ONE_EPOCH: [&str; 6] = [
    "--set",
    "riskstream.epoch.min=5s",
    "--set",
    "riskstream.epoch.max=10s",
    "--set",
    "riskstream.epoch.rows=1000000",
];

const PAYMENTS: &str = r#"
[riskstream]
name  = "acme"
epoch = { min = "1ms", max = "1s", rows = 500 }

[sources.payments]
kind       = "kafka"
brokers    = "BROKERS"
topic      = "payments"
format     = "json"
schema     = { id = "int64", amount = "decimal(12,2)" }
columns    = { card = "key", channel = "header:channel", produced_at = "timestamp" }
event_time = { column = "produced_at" }

[pipelines.payments]
from  = "payments"
order = "arrival"

[[pipelines.payments.steps]]
id     = "doubled"
derive = { double = "amount + amount" }

[[pipelines.payments.to]]
id      = "topic"
kind    = "kafka"
brokers = "BROKERS"
topic   = "doubled"
key     = "card"
headers = { channel = "channel" }

[[pipelines.payments.to]]
id           = "at-once"
kind         = "kafka"
brokers      = "BROKERS"
topic        = "at-once"
deliver      = "immediately"
columns      = ["id"]

[[pipelines.payments.to]]
id    = "table"
kind  = "delta"
table = "doubled"
"#;

/// Windows of a topic of which only one partition has messages.
const IDLE: &str = r#"
[sources.s]
kind       = "kafka"
brokers    = "BROKERS"
topic      = "idle"
format     = "json"
schema     = { id = "int64", at = "timestamp", k = "string" }
event_time = { column = "at", out_of_orderness = "1m", idle_after = "500ms" }

[pipelines.p]
from = "s"

[[pipelines.p.steps]]
id        = "w"
aggregate = { n = "count(*)" }
by        = "k"
windows   = ["10m"]
results   = "final"

[[pipelines.p.to]]
id           = "t"
kind         = "delta"
table        = "t"
partition_by = []
"#;

/// A broker on two free ports of this machine; it ends with the test.
struct Broker {
    port: u16,
    state: PathBuf,
}

impl Broker {
    fn start(state: PathBuf) -> Self {
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
    fn script(&self, action: &str) {
        self.script_with(action, "");
    }

    fn script_with(&self, action: &str, settings: &str) {
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

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", format!("127.0.0.1:{}", self.port))
            .set("group.id", "reader")
            .set("enable.partition.eof", "true");
        config
    }

    /// The example, as its comments say.
    fn check_example(&self, here: &Path) {
        let config = example("payments-kafka.toml");
        let brokers = format!("127.0.0.1:{}", self.port);
        riskstream(
            here,
            &[
                "generate",
                "--out",
                "generated.json",
                "--rows",
                "3000",
                "--customers",
                "50",
                "--terminals",
                "50",
            ],
        )
        .ok();
        let text = std::fs::read_to_string(here.join("generated.json")).unwrap();
        let mut config_here =
            std::fs::read_to_string(config).unwrap().replace("127.0.0.1:9092", &brokers);
        config_here = config_here.replace("\"payments\"\nformat", "\"generated\"\nformat");
        std::fs::write(here.join("example.toml"), config_here).unwrap();
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", &brokers).create().unwrap();
        for line in text.lines() {
            producer
                .send(BaseRecord::<(), str>::to("generated").payload(line))
                .map_err(|(e, _)| e)
                .unwrap();
        }
        producer.flush(Duration::from_secs(30)).unwrap();
        let data = ["--set", "riskstream.data=example-data"];
        riskstream(
            here,
            &[&["run", "example.toml", "--set", "sources.payments.stop=end"], &data[..]].concat(),
        )
        .ok();
        let odd = "select count(*) as n from payment_features \
                   where customer_nb_tx_1d > 8 or tx_amount > 200";
        let answer = riskstream(
            here,
            &[&["query", odd, "--config", "example.toml", "--format", "json"], &data[..]].concat(),
        )
        .ok();
        let messages: u32 = self.consume("odd-payments").values().map(|(times, ..)| times).sum();
        assert!(
            messages > 0 && answer.contains(&format!("\"n\":{messages}")),
            "{messages} messages, {answer}"
        );
    }

    /// The lenders' book from Debezium's records, as that example says; the same records again
    /// change nothing.
    fn check_loans_example(&self, here: &Path) {
        let brokers = format!("127.0.0.1:{}", self.port);
        let config = std::fs::read_to_string(example("loans-kafka.toml"))
            .unwrap()
            .replace("127.0.0.1:9092", &brokers);
        std::fs::write(here.join("loans.toml"), config).unwrap();
        let records = std::fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/servers/loan-changes.jsonl"),
        )
        .unwrap();
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", &brokers).create().unwrap();
        let asked = "select distinct on (lender_id) lender_id, n_loans, outstanding_cents, \
                     n_dpd30p from lenders \
                     order by lender_id, as_of desc, revision desc";
        for _ in 0..2 {
            for record in records.lines() {
                // A connector's key is the table's, so that a loan's changes stay in their order.
                let id = record
                    .split("\"loan_id\":")
                    .nth(1)
                    .and_then(|rest| rest.split(',').next())
                    .unwrap();
                let key = format!("{{\"loan_id\":{id}}}");
                producer
                    .send(BaseRecord::to("lending.public.loans").key(&key).payload(record))
                    .map_err(|(e, _)| e)
                    .unwrap();
            }
            producer.flush(Duration::from_secs(30)).unwrap();
            let data = ["--set", "riskstream.data=loans-data"];
            riskstream(
                here,
                &[&["run", "loans.toml", "--set", "sources.loan-changes.stop=end"], &data[..]]
                    .concat(),
            )
            .ok();
            let rows = riskstream(
                here,
                &[&["query", asked, "--config", "loans.toml", "--format", "json"], &data[..]]
                    .concat(),
            )
            .rows();
            let number = |row: usize, name: &str| rows[row][name].as_i64().unwrap();
            let book: Vec<_> = (0..rows.len())
                .map(|r| {
                    (number(r, "n_loans"), number(r, "outstanding_cents"), number(r, "n_dpd30p"))
                })
                .collect();
            assert_eq!(book, [(1, 250_000, 1), (1, 990_000, 0)]);
        }
    }

    /// A run on a copy of another's store takes over from it: the other one stops, and every row is
    /// there once.
    fn check_takeover(&self, here: &Path) {
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

    /// Partitions without messages hold event time back for `idle_after` and no longer. What is in
    /// a schema registry's frame is named as such.
    fn check_idle_partitions(&self, here: &Path) {
        let folder = here.join("idle");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(
            folder.join("pipelines.toml"),
            IDLE.replace("BROKERS", &format!("127.0.0.1:{}", self.port)),
        )
        .unwrap();
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", format!("127.0.0.1:{}", self.port))
            .create()
            .unwrap();
        let send = |value: &[u8]| {
            producer
                .send(BaseRecord::<(), [u8]>::to("idle").payload(value).partition(0))
                .map_err(|(e, _)| e)
                .unwrap()
        };
        send(b"\0\0\0\0\x07{\"id\": 1}");
        for minute in 0..30 {
            send(
                format!(r#"{{"id": {minute}, "at": "2024-05-01T00:{minute:02}:00Z", "k": "a"}}"#)
                    .as_bytes(),
            );
        }
        producer.flush(Duration::from_secs(30)).unwrap();
        let mut run = spawn(&folder);
        let started = Instant::now();
        let windows = "select cast(window_end as varchar) as ends, n from t order by window_end";
        loop {
            // Before the first window the table is not there.
            let said = riskstream(&folder, &["query", windows, "--format", "json"]);
            if said.code == 0 {
                let rows = said.rows();
                if rows.len() == 2 {
                    assert!(rows.iter().all(|row| row["n"] == 10), "{rows:?}");
                    assert!(rows[1]["ends"].as_str().unwrap().contains("00:20:00"), "{rows:?}");
                    break;
                }
                assert!(rows.len() < 2, "{rows:?}");
            }
            let ended =
                run.0.try_wait().unwrap().is_some() || started.elapsed() > Duration::from_secs(30);
            assert!(
                !ended,
                "no window ends: {}",
                std::fs::read_to_string(folder.join(LOG)).unwrap()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
        kill(run, &folder);
        let dead =
            riskstream(&folder, &["query", "select detail from dead_letters", "--format", "json"])
                .rows();
        assert!(
            dead.len() == 1
                && dead[0]["detail"].as_str().unwrap().contains("magic byte 0, schema id 7"),
            "{dead:?}"
        );
    }

    /// An offset of one of the sink's producers that no transaction will ever decide does not keep
    /// a run from going on, and is not believed.
    fn check_hanging_offset(&self, here: &Path) {
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
        self.produce(MESSAGES + 2_000..MESSAGES + 2_100, "none");
        riskstream(here, &["run", "--set", "sources.payments.stop=end"]).ok();
        let seen = self.consume("doubled");
        assert_eq!(seen.len(), (0..MESSAGES + 2_100).filter(|id| id % 100 != 99).count());
        assert!(seen.values().all(|(times, ..)| *times == 1), "a row is there twice");
    }

    /// A transaction that is in the topic, and whose offset a broker has lost, is not delivered
    /// again; nor is one that had no messages before it.
    fn check_lost_offset(&self, here: &Path) {
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

    /// A transaction whose ends a broker has lost is delivered again where nothing says that it was
    /// committed; where its offset does, or a partition that has its end, what is missing is
    /// copied.
    fn check_lost_ends(&self, here: &Path) {
        let run = || riskstream(here, &["run", "--set", "sources.payments.stop=end"]);
        let mut up_to = MESSAGES + 2_700;
        for (with_offset, partitions, is_copied) in
            [(true, PARTITIONS, false), (false, PARTITIONS, true), (true, 1, true)]
        {
            let lengths = listing(&self.state);
            self.produce(up_to..up_to + 300, "none");
            up_to += 300;
            // All rows are in one epoch, and so in one transaction: of several, the first one's end
            // is known.
            riskstream(here, &[&["run"], &TO_THE_END[..], &IN_ONE_EPOCH].concat()).ok();
            assert_eq!(self.consume("doubled").len(), good(up_to));
            self.script("stop");
            let (mut cut, mut offsets_cut) = (0, 0);
            for (log, from, of) in logs_with_ends(&self.state, &lengths) {
                let last = ends(&log, from).pop();
                let is_meant = if of == "doubled" { cut < partitions } else { with_offset };
                if let Some(last) = last.filter(|_| is_meant) {
                    remove(&log, &[last]);
                    *(if of == "doubled" { &mut cut } else { &mut offsets_cut }) += 1;
                }
            }
            assert_eq!(
                (cut, offsets_cut),
                (partitions, i32::from(with_offset)),
                "ends of the transaction, and its offset's"
            );
            self.start_without_heart();
            assert!(self.consume("doubled").len() < good(up_to), "nobody sees what hangs");
            // Runs are killed while they mend the topic, or soon after.
            let mut said: String = KILLED_AFTER
                .iter()
                .map(|millis| run_killed(here, &TOLD_OF_ENDS, *millis))
                .collect();
            let done = run();
            said.push_str(&done.err);
            done.ok();
            assert!(
                said.contains(TOLD_OF_ENDS[0]) && said.contains(TOLD_OF_ENDS[1]) == is_copied,
                "{said}"
            );
            let seen = self.consume("doubled");
            assert_eq!(seen.len(), good(up_to));
            assert!(seen.values().all(|(times, ..)| *times == 1), "a row is there twice");
        }
    }

    /// The end marker of a transaction is gone that readers had seen: nobody can tell whether it
    /// was committed, and nothing is delivered.
    fn check_gone_end(&self, here: &Path) {
        let decided = self.decided_before(&self.group(here));
        self.script("stop");
        for (log, ..) in logs_with_ends(&self.state, &BTreeMap::new())
            .into_iter()
            .filter(|(.., of)| *of == "doubled")
        {
            remove(&log, &ends(&log, 0));
        }
        self.start_without_heart();
        let done = riskstream(here, &[&["run"], &TO_THE_END[..]].concat());
        assert!(decided.iter().any(|before| *before > 0) && done.code != 0, "{}", done.err);
        assert!(
            done.err.contains("an open transaction where everything had been decided"),
            "{}",
            done.err
        );
    }

    /// The group of the sink.
    fn group(&self, here: &Path) -> String {
        let identity =
            std::fs::read_to_string(here.join("data/store/payments/kafka-identity")).unwrap();
        format!("riskstream.acme.payments.topic.{identity}")
    }

    /// Up to where each partition was decided when the last transaction began, as the group says.
    fn decided_before(&self, group: &str) -> Vec<u64> {
        let said: serde_json::Value = serde_json::from_str(&self.committed(group).1).unwrap();
        said["before"]["least"]
            .as_array()
            .unwrap()
            .iter()
            .map(|offset| offset.as_u64().unwrap())
            .collect()
    }

    /// Starts the stopped broker as after a crash: it builds its indexes and checkpoints again from
    /// the logs of the partitions.
    fn start_without_heart(&self) {
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

    /// Random end markers of a killed run's transactions are lost, in random partitions, and the
    /// end markers of its offsets from some transaction on: every row is there once, wherever the
    /// runs that mend the topic are killed.
    fn check_any_ends_lost(&self, here: &Path) {
        let mut dice = Dice::new("RISKSTREAM_ENDS_SEED");
        let seed = dice.seed;
        let rounds =
            std::env::var("RISKSTREAM_ENDS_ROUNDS").map_or(3, |rounds| rounds.parse().unwrap());
        let mut up_to = 0;
        for round in 0..rounds {
            let lengths = listing(&self.state);
            let run = spawn(here);
            // Another producer has a transaction open among them, until the cluster aborts it.
            let (has_other, at) = (dice.below(3) == 0, dice.below(8));
            let mut other = None;
            for piece in 0..8 {
                self.produce(up_to..up_to + 100, "none");
                up_to += 100;
                if has_other && piece == at {
                    other = Some(self.open_transaction(5_000));
                }
                std::thread::sleep(Duration::from_millis(dice.below(400)));
            }
            kill(run, here);
            // Readers have seen all ends before this, so that none is missing there.
            let decided = self.decided_before(&self.group(here));
            drop(other);
            self.script("stop");
            let one_in = 1 + dice.below(3);
            let (mut of, mut lost) = (0, 0);
            for (log, from, topic) in logs_with_ends(&self.state, &lengths) {
                let mut ends = ends(&log, from);
                of += ends.len();
                if topic == "doubled" {
                    let partition: usize = log
                        .parent()
                        .unwrap()
                        .to_string_lossy()
                        .rsplit('-')
                        .next()
                        .unwrap()
                        .parse()
                        .unwrap();
                    ends.retain(|end| end.begins >= decided[partition] && dice.below(one_in) == 0);
                } else {
                    let kept = ends.len() as u64 - dice.below(ends.len().min(4) as u64 + 1);
                    ends.drain(..kept as usize);
                }
                lost += ends.len();
                remove(&log, &ends);
            }
            self.start_without_heart();
            let mut said = String::new();
            for _ in 0..dice.below(3) {
                said.push_str(&run_killed(here, &TOLD_OF_ENDS, dice.below(900)));
            }
            let done = riskstream(here, &[&["run"], &TO_THE_END[..]].concat());
            said.push_str(&done.err);
            assert!(done.code == 0, "round {round}, seed {seed}: {said}");
            let seen = self.consume("doubled");
            let twice = seen.values().filter(|(times, ..)| *times != 1).count();
            let is_right = seen.len() == good(up_to) && twice == 0;
            assert!(
                is_right,
                "round {round}, seed {seed}, {lost} of {of} ends lost: {} of {} rows, {twice} more \
                 than once: {said}",
                seen.len(),
                good(up_to)
            );
            println!(
                "round {round}, seed {seed}, somebody else {has_other}: {lost} of {of} ends lost, \
                 all rows once: {said}"
            );
        }
    }

    /// A transaction of somebody else in all partitions, which the cluster aborts after a while.
    fn open_transaction(&self, millis: u32) -> BaseProducer {
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

    /// A transaction that somebody else has open in the topic is waited for. What was delivered
    /// behind it is not taken for something that hangs.
    fn check_open_transaction_of_others(&self, here: &Path) {
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

    /// The offset of a group for partition 0, with what it says.
    fn committed(&self, group: &str) -> (i64, String) {
        let consumer: BaseConsumer = self.client().set("group.id", group).create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition("doubled", 0);
        let list = consumer.committed_offsets(list, Duration::from_secs(20)).unwrap();
        let element = &list.elements()[0];
        let Offset::Offset(offset) = element.offset() else { panic!("no offset: {list:?}") };
        (offset, element.metadata().to_owned())
    }

    fn commit(&self, group: &str, offset: i64, metadata: &str) {
        let consumer: BaseConsumer = self.client().set("group.id", group).create().unwrap();
        let mut list = TopicPartitionList::new();
        let mut element = list.add_partition("doubled", 0);
        element.set_offset(Offset::Offset(offset)).unwrap();
        element.set_metadata(metadata);
        consumer.commit(&list, CommitMode::Sync).unwrap();
    }

    fn produce(&self, ids: std::ops::Range<u32>, compression: &str) {
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
    fn consume(&self, topic: &str) -> BTreeMap<String, (u32, String, String)> {
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

/// The logs of the sink's topic and of its group, how long they were, and which of the two it is.
fn logs_with_ends(
    state: &Path,
    lengths: &BTreeMap<PathBuf, u64>,
) -> Vec<(PathBuf, u64, &'static str)> {
    let mut logs = Vec::new();
    for (log, _) in
        listing(state).into_iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "log"))
    {
        let partition =
            log.parent().and_then(|p| p.file_name()).unwrap().to_string_lossy().into_owned();
        let of = ["doubled", "__consumer_offsets"]
            .into_iter()
            .find(|topic| partition.starts_with(&format!("{topic}-")));
        let from = lengths.get(&log).copied().unwrap_or(0);
        logs.extend(of.map(|of| (log, from, of)));
    }
    logs
}

/// The end of a transaction in a partition.
struct End {
    /// The offset of the transaction's first message.
    begins: u64,
    /// Its bytes in the log.
    batch: Range<usize>,
}

/// The end markers of our transactions in a partition's log, from byte `from` on. Another
/// producer's open transaction is left out, since only that producer can end it: see
/// [`Broker::open_transaction`].
fn ends(log: &Path, from: u64) -> Vec<End> {
    let bytes = std::fs::read(log).unwrap();
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    // A batch: its first offset (8 bytes), how many bytes follow (4), and so on; of its attributes
    // (from the 21st on) one says that it is such an end, and the producer (from the 43rd on)
    // whose.
    let (mut ends, mut open, mut next) = (Vec::new(), BTreeMap::new(), 0);
    let mut strangers = BTreeSet::new();
    while next + 12 <= bytes.len() && number(next + 8) > 0 {
        let batch = next..next + 12 + number(next + 8);
        next = batch.end;
        let number = |at: usize| {
            u64::from_be_bytes(bytes[batch.start + at..batch.start + at + 8].try_into().unwrap())
        };
        let (offset, producer) = (number(0), number(43));
        if bytes[batch.start + 22] & 0x20 == 0 {
            open.entry(producer).or_insert(offset);
            if bytes[batch].windows(THEIRS.len()).any(|text| text == THEIRS.as_bytes()) {
                strangers.insert(producer);
            }
        } else {
            let begins = open.remove(&producer).unwrap_or(offset);
            let is_wanted = batch.start as u64 >= from && !strangers.contains(&producer);
            ends.extend(is_wanted.then_some(End { begins, batch }));
        }
    }
    ends
}

/// Takes ends out of a partition's log.
fn remove(log: &Path, ends: &[End]) {
    let mut bytes = std::fs::read(log).unwrap();
    ends.iter().rev().for_each(|end| drop(bytes.drain(end.batch.clone())));
    std::fs::write(log, bytes).unwrap();
}

/// Copies the folder of a running program at a moment in which it writes nothing, since a copy that
/// is behind what was delivered is refused.
fn copy_at_rest(from: &Path, to: &Path) {
    for _ in 0..100 {
        let before = listing(from);
        let copied =
            Command::new("cp").arg("-r").args([from, to]).stderr(Stdio::null()).status().unwrap();
        if copied.success() && listing(from) == before {
            return;
        }
        std::fs::remove_dir_all(to).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{} was never at rest", from.display());
}

/// Every file under a folder with its length.
fn listing(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        // A folder may be removed while it is being listed.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(of) if of.is_dir() => folders.push(entry.path()),
                Ok(of) => drop(files.insert(entry.path(), of.len())),
                Err(_) => {}
            }
        }
    }
    files
}

/// Random numbers, from a seed that is printed when a check fails.
struct Dice {
    seed: u64,
    state: u64,
}

impl Dice {
    /// Takes the seed from an environment variable, or a fresh one.
    fn new(variable: &str) -> Self {
        let fresh = || std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
        let seed = std::env::var(variable).map_or_else(|_| fresh(), |seed| seed.parse().unwrap());
        Self { seed, state: seed }
    }

    /// A random number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        next(&mut self.state) % end
    }
}

/// What the last run said.
const LOG: &str = "run.log";

/// How many of so many messages are rows.
fn good(messages: u32) -> usize {
    (0..messages).filter(|id| id % 100 != 99).count()
}

fn spawn(folder: &Path) -> Running {
    spawn_with(folder, &[])
}

fn spawn_with(folder: &Path, settings: &[&str]) -> Running {
    let run = Command::new(env!("CARGO_BIN_EXE_riskstream"))
        .arg("run")
        .args(settings)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.join(LOG)).unwrap())
        .spawn()
        .unwrap();
    Running(run)
}

/// Starts a run and kills it so long after it has said one of these things, unless it has ended
/// without it; gives what it said.
fn run_killed(folder: &Path, words: &[&str], millis: u64) -> String {
    let mut run = spawn_with(folder, &TO_THE_END);
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let said = std::fs::read_to_string(folder.join(LOG)).unwrap();
        if words.iter().any(|word| said.contains(word)) {
            std::thread::sleep(Duration::from_millis(millis));
            drop(run);
            return std::fs::read_to_string(folder.join(LOG)).unwrap();
        }
        if run.0.try_wait().unwrap().is_some() {
            return said;
        }
        assert!(Instant::now() < until, "neither said nor ended: {said}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn kill(mut run: Running, folder: &Path) {
    let ended = run.0.try_wait().unwrap();
    let said = std::fs::read_to_string(folder.join(LOG)).unwrap();
    assert!(ended.is_none(), "a run that follows a topic does not end by itself: {said}");
}

#[test]
fn kills_and_a_broker_that_goes_and_comes_back_repeat_nothing_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let broker = Broker::start(here.join("broker"));
    let config = PAYMENTS.replace("BROKERS", &format!("127.0.0.1:{}", broker.port));
    std::fs::write(here.join("pipelines.toml"), config).unwrap();

    broker.produce(0..MESSAGES / 4, "zstd");
    broker.produce(MESSAGES / 4..MESSAGES / 2, "gzip");
    for millis in [700, 1_000, 1_600] {
        let run = spawn(here);
        std::thread::sleep(Duration::from_millis(millis));
        kill(run, here);
    }
    let run = spawn(here);
    std::thread::sleep(Duration::from_millis(700));
    broker.script("stop");
    std::thread::sleep(Duration::from_millis(500));
    broker.script("start");
    broker.produce(MESSAGES / 2..MESSAGES, "lz4");
    std::thread::sleep(Duration::from_millis(500));
    kill(run, here);
    riskstream(here, &["run", "--set", "sources.payments.stop=end"]).ok();

    let good: Vec<u32> = (0..MESSAGES).filter(|id| id % 100 != 99).collect();
    let seen = broker.consume("doubled");
    assert_eq!(seen.len(), good.len(), "every row is in the topic");
    let by_id: BTreeMap<&str, _> = seen
        .iter()
        .filter_map(|(value, of)| Some((value.split_once(',')?.0, (value, of))))
        .collect();
    for id in &good {
        let (value, (times, key, channel)) = by_id[&*format!("{{\"id\":{id}")];
        let double = (id % 1_000) * 2;
        assert_eq!(*times, 1, "{value}");
        assert!(
            value.contains(&format!("\"amount\":{}.25,", id % 1_000))
                && value.contains(&format!("\"double\":{double}.50")),
            "{value}"
        );
        assert_eq!(
            (key.as_str(), channel.as_str()),
            (&*format!("card-{}", id % 97), if id % 2 == 0 { "web" } else { "pos" })
        );
    }
    // What leaves at once is there at least once; a repetition has the id that the first had.
    let at_once = broker.consume("at-once");
    assert_eq!(at_once.len(), good.len());
    assert!(at_once.values().all(|(_, _, id)| id.contains('-')), "every message has its id");

    broker.check_takeover(here);
    broker.check_idle_partitions(here);
    broker.check_example(here);
    broker.check_loans_example(here);

    let counts = "select count(*) as n, count(distinct id) as ids, min(card) as card from doubled";
    let answer = riskstream(here, &["query", counts, "--format", "json"]).ok();
    assert!(
        answer.contains(&format!("\"n\":{0},\"ids\":{0},\"card\":\"card-0\"", good.len())),
        "{answer}"
    );
    let dead = riskstream(
        here,
        &[
            "query",
            "select count(*) as n from dead_letters where reason = 'malformed'",
            "--format",
            "json",
        ],
    )
    .ok();
    assert!(dead.contains(&format!("\"n\":{}", MESSAGES / 100)), "{dead}");

    broker.check_hanging_offset(here);
    broker.check_lost_offset(here);
    broker.check_lost_ends(here);
    broker.check_open_transaction_of_others(here);
}

#[test]
fn any_ends_of_transactions_may_be_lost() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let broker = Broker::start(here.join("broker"));
    std::fs::write(
        here.join("pipelines.toml"),
        PAYMENTS.replace("BROKERS", &format!("127.0.0.1:{}", broker.port)),
    )
    .unwrap();
    broker.check_any_ends_lost(here);
    broker.check_gone_end(here);
}
