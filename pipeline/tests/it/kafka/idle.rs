//! A topic of which only one partition has messages.

use std::path::Path;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::broker::Broker;
use super::runs::{LOG, kill, spawn};
use crate::program::riskstream;

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

impl Broker {
    /// Partitions without messages hold event time back for `idle_after` and no longer. What is in
    /// a schema registry's frame is named as such.
    pub(super) fn check_idle_partitions(&self, here: &Path) {
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
}
