//! The examples that read from Kafka, as their comments say.

use std::path::Path;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::broker::Broker;
use crate::program::{example, riskstream};

impl Broker {
    /// The example, as its comments say.
    pub(super) fn check_example(&self, here: &Path) {
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
    pub(super) fn check_loans_example(&self, here: &Path) {
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
}
