//! Exactly once: runs killed by SIGKILL at random moments, each restarted with another number of
//! workers, land what an uninterrupted run lands.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::program::riskstream;

/// Kills at least; `benches/proof/kill.py` does many more on more rows.
const KILLS: u32 = 10;
/// The moments and numbers of workers.
const SEED: u64 = 0x5EED;

/// Broken rows, checks that fail, snapshots, alerts: everything that a kill could repeat or lose.
pub(crate) const PAYMENTS: &str = concat!(
    r#"
[riskstream]
name           = "acme"
epoch          = { min = "1ms", max = "1s", rows = 1_000 }
snapshot_every = 8

[sources.payments]
kind       = "file"
path       = "payments.json"
schema     = { transaction_id = "int64", tx_datetime = "timestamp", customer_id = "int64", "#,
    r#"terminal_id = "int64", tx_amount = "decimal(12,2)", tx_fraud = "int8" }
event_time = { column = "tx_datetime", out_of_orderness = "1h", ties_by = ["transaction_id"] }
checks     = ["tx_amount >= 1"]

[pipelines.card-fraud]
from = "payments"

[[pipelines.card-fraud.steps]]
id       = "customer"
features = { customer_nb_tx = "count(*)", customer_avg_amount = "avg(tx_amount)", "#,
    r#"customer_max_amount = "max(tx_amount)" }
by       = "customer_id"
over     = ["1d", "7d"]

[[pipelines.card-fraud.steps]]
id       = "terminal"
features = { terminal_nb_tx = "count(*)", terminal_risk = "avg(tx_fraud)" }
by       = "terminal_id"
over     = ["1d", "7d"]
delay    = "2d"
empty    = 0

[[pipelines.card-fraud.to]]
id    = "features"
kind  = "delta"
table = "payment_features"

[[pipelines.card-fraud.to]]
id    = "alerts"
kind  = "alerts"
when  = "tx_amount > 100"
"#
);

/// Generates payments with broken rows as `payments.json`, and writes [`PAYMENTS`] as
/// `pipelines.toml`.
pub(crate) fn prepare(folder: &Path, rows: u32) {
    let rows = rows.to_string();
    let size =
        ["--customers", "500", "--terminals", "1000", "--rows", &rows, "--broken-share", "0.005"];
    riskstream(folder, &[&["generate", "--out", "payments.json"], &size[..]].concat()).ok();
    std::fs::write(folder.join("pipelines.toml"), PAYMENTS).expect("written");
}

/// All rows of a table of the data folder `data`, in an order of their own.
pub(crate) fn rows(folder: &Path, data: &str, sql: &str) -> Vec<String> {
    let set = format!("riskstream.data={data}");
    let mut rows: Vec<String> =
        riskstream(folder, &["query", sql, "--set", &set, "--format", "ndjson"])
            .ok()
            .lines()
            .map(str::to_owned)
            .collect();
    rows.sort_unstable();
    rows
}

/// What must be equal after whatever happened in between: rows, alerts, and dead letters but for
/// the epoch in which they came.
pub(crate) const TABLES: [&str; 3] = [
    "select * from payment_features",
    "select * from alerts",
    "select pipeline, source, \"partition\", \"offset\", reason, detail, bytes from dead_letters",
];

/// Compares every table of two data folders, as multisets.
#[track_caller]
pub(crate) fn assert_same_tables(folder: &Path, expected: &str, found: &str) {
    for sql in TABLES {
        let (expected, found) = (rows(folder, expected, sql), rows(folder, found, sql));
        assert!(!expected.is_empty(), "nothing to compare: {sql}");
        let first = expected.iter().zip(&found).find(|(a, b)| a != b);
        assert!(
            expected == found,
            "{sql}: {} rows expected, {} found; the first that differ: {first:#?}",
            expected.len(),
            found.len()
        );
    }
}

/// A splitmix64 step: the tests need few and repeatable numbers.
pub(crate) fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) >> 16
}

#[test]
fn killed_runs_land_the_same_rows_alerts_and_dead_letters_as_an_uninterrupted_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    prepare(here, 60_000);
    let started = std::time::Instant::now();
    riskstream(here, &["run", "--set", "riskstream.data=whole", "--workers", "2"]).ok();
    let whole_millis = started.elapsed().as_millis() as u64;
    let (mut state, mut kills, mut trials) = (SEED, 0, 0);
    while kills < KILLS {
        let data = format!("killed-{trials}");
        let set = format!("riskstream.data={data}");
        let mut workers = 0;
        loop {
            // The number of workers is never that of the run before.
            workers = (workers + next(&mut state) % 3 + 1) % 4;
            let count = (workers + 1).to_string();
            let mut run = Command::new(env!("CARGO_BIN_EXE_riskstream"))
                .args(["run", "--set", &set, "--workers", &count])
                .current_dir(here)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the program starts");
            // A kill may come at any moment from start-up to the last deliveries. After many kills
            // it comes later, so that a run can end on a slow machine too.
            let most = whole_millis * if kills < 3 * KILLS { 1 } else { 20 };
            std::thread::sleep(Duration::from_millis(5 + next(&mut state) % most));
            // The run has ended by itself: the input is done.
            if let Some(status) = run.try_wait().expect("a child") {
                assert!(status.success(), "a run after {kills} kills ended with {status}");
                break;
            }
            run.kill().expect("killed");
            run.wait().expect("waited");
            kills += 1;
        }
        assert_same_tables(here, "whole", &data);
        let twice =
            rows(here, &data, "select alert_id from alerts group by alert_id having count(*) > 1");
        assert!(twice.is_empty(), "alerts twice: {twice:?}");
        trials += 1;
    }
    println!("{kills} kills in {trials} trials");
}
