//! Kafka, with a real broker that the test starts: runs killed by SIGKILL and a broker that is
//! stopped and started lose nothing and repeat nothing, for a reader of committed transactions and
//! in Delta alike.

mod broker;
mod decided;
mod idle;
mod logs;
mod lost_ends;
mod runs;
mod shipped;

use std::collections::BTreeMap;
use std::time::Duration;

use broker::Broker;
use runs::{kill, spawn};

use crate::program::riskstream;

/// Messages in all; every hundredth can't be read.
const MESSAGES: u32 = 30_000;

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
