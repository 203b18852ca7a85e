//! A destination's columns change between two runs while rows of the first one wait for it.

use std::fs;
use std::path::Path;

use crate::program::{riskstream, run_as_planned};

const PIPELINE: &str = r#"
[sources.loans]
kind       = "file"
path       = "loans.csv"
schema     = { id = "int64", at = "timestamp", balance = "int64", fee = "int64", note = "string" }
event_time = { column = "at", out_of_orderness = "1s" }

[pipelines.book]
from = "loans"

[[pipelines.book.to]]
id      = "rows"
kind    = "delta"
table   = "loans"
partition_by = []
columns = [COLUMNS]
"#;

/// Numbers of rows: few enough for the epoch file, and enough to be staged.
const SIZES: [usize; 2] = [40, 9_000];

fn configure(here: &Path, columns: &[&str]) {
    let columns: Vec<String> = columns.iter().map(|c| format!("\"{c}\"")).collect();
    fs::write(here.join("pipelines.toml"), PIPELINE.replace("COLUMNS", &columns.join(", ")))
        .expect("written");
}

/// Runs over `rows` loans with these columns, then removes the table's log, so that all rows wait
/// in the store.
fn run_and_lose_the_log(here: &Path, rows: usize, columns: &[&str]) {
    let lines = (0..rows)
        .map(|n| format!("{n},2024-01-01T00:00:{:02}Z,{},{},n{n}\n", n % 60, n * 10, n * 1000));
    fs::write(
        here.join("loans.csv"),
        format!("id,at,balance,fee,note\n{}", lines.collect::<String>()),
    )
    .expect("written");
    configure(here, columns);
    run_as_planned(here, &["--workers", "1"]).ok();
    let log = here.join("data/tables/loans/_delta_log");
    fs::remove_dir_all(log).expect("removed");
}

fn sum(here: &Path, sql: &str) -> String {
    riskstream(here, &["query", sql, "--format", "ndjson"]).ok().trim().to_owned()
}

#[test]
fn waiting_rows_meet_reordered_and_added_columns_by_name() {
    for rows in SIZES {
        let folder = tempfile::tempdir().expect("a folder");
        let here = folder.path();
        run_and_lose_the_log(here, rows, &["id", "balance", "fee"]);
        configure(here, &["note", "fee", "balance", "id"]);
        run_as_planned(here, &["--workers", "1"]).ok();
        let (ids, n) = (rows * (rows - 1) / 2, rows);
        let said = sum(
            here,
            "select count(*) n, sum(id) ids, sum(balance) balance, sum(fee) fee, count(note) notes \
             from loans",
        );
        assert_eq!(
            said,
            format!(
                r#"{{"n":{n},"ids":{ids},"balance":{},"fee":{},"notes":0}}"#,
                ids * 10,
                ids * 1000
            )
        );
    }
}

#[test]
fn waiting_rows_with_a_column_that_is_gone_are_refused_until_it_is_back() {
    for rows in SIZES {
        let folder = tempfile::tempdir().expect("a folder");
        let here = folder.path();
        run_and_lose_the_log(here, rows, &["id", "balance", "fee"]);
        configure(here, &["id", "balance"]);
        for _ in 0..2 {
            let said = run_as_planned(here, &[]).failed_run();
            assert!(
                said.contains("a column 'fee', which the pipeline no longer writes")
                    && said.contains("former configuration"),
                "{said}"
            );
            assert!(!here.join("data/tables/loans/_delta_log").exists(), "nothing is made");
        }
        configure(here, &["fee", "id", "balance"]);
        run_as_planned(here, &[]).ok();
        assert_eq!(
            sum(here, "select sum(fee) - 1000 * sum(id) d, count(*) n from loans"),
            format!(r#"{{"d":0,"n":{rows}}}"#)
        );
    }
}
