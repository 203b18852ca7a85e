//! Stopping, going on, and what keeps two programs or two versions apart.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::kill::{assert_same_tables, prepare};
use crate::program::{riskstream, run_as_planned};

/// How long a run may take to land its first rows, or to stop, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Generated payments, slowly enough to be stopped in the middle.
const PACED: &str = r#"
[riskstream]
epoch = { max = "20ms" }

[sources.payments]
kind         = "generator"
customers    = 500
terminals    = 1000
rows         = 20_000
rate         = 8_000
broken_share = 0.01

[pipelines.card-fraud]
from = "payments"

[[pipelines.card-fraud.steps]]
id       = "customer"
features = { customer_nb_tx = "count(*)", customer_avg_amount = "avg(tx_amount)" }
by       = "customer_id"
over     = ["1d", "7d"]

[[pipelines.card-fraud.to]]
id    = "features"
kind  = "delta"
table = "payment_features"

[[pipelines.card-fraud.to]]
id    = "alerts"
kind  = "alerts"
when  = "tx_amount > 100"
"#;

fn start(folder: &Path, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_riskstream"))
        .args(args)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

/// Waits until a run has landed rows: the table's first version only makes it.
fn wait_for_rows(folder: &Path, data: &str) {
    let log =
        folder.join(data).join("tables/payment_features/_delta_log/00000000000000000001.json");
    let started = Instant::now();
    while !log.exists() {
        assert!(started.elapsed() < PATIENCE, "nothing landed");
        sleep(Duration::from_millis(10));
    }
}

/// Sends Ctrl-C, and waits for the end.
fn interrupt(run: Child) -> Output {
    let sent =
        Command::new("kill").args(["-INT", &run.id().to_string()]).status().expect("kill is there");
    assert!(sent.success());
    run.wait_with_output().expect("waited")
}

fn report(output: &Output) -> Value {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {err}{out}", output.status);
    serde_json::from_str::<Value>(&out).unwrap_or_else(|e| panic!("{e}: {out}"))["pipelines"][0]
        .clone()
}

fn number(report: &Value, key: &str) -> u64 {
    report[key].as_u64().unwrap_or_else(|| panic!("no {key} in {report}"))
}

#[test]
fn ctrl_c_finishes_the_open_epoch_and_the_next_run_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    fs::write(here.join("pipelines.toml"), PACED).expect("written");
    riskstream(
        here,
        &["run", "--set", "riskstream.data=whole", "--set", "sources.payments.rate=max"],
    )
    .ok();
    let run = start(here, &["run", "--format", "json", "--workers", "2"]);
    wait_for_rows(here, "data");
    let stopped = report(&interrupt(run));
    assert_eq!(stopped["stopped"], true);
    let first = number(&stopped, "rows_in") + number(&stopped, "dead");
    assert!(first > 0, "{stopped}");
    let went_on = report(
        &start(
            here,
            &["run", "--format", "json", "--workers", "3", "--set", "sources.payments.rate=max"],
        )
        .wait_with_output()
        .expect("waited"),
    );
    assert_eq!(number(&went_on, "resumed_after"), number(&stopped, "committed_epoch"));
    assert_eq!(went_on["stopped"], false);
    assert_same_tables(here, "whole", "data");
}

#[test]
fn a_restart_with_nothing_new_reads_nothing_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    prepare(here, 5_000);
    for data in ["whole", "again"] {
        riskstream(here, &["run", "--set", &format!("riskstream.data={data}")]).ok();
    }
    for workers in ["1", "3"] {
        let said = riskstream(
            here,
            &["run", "--set", "riskstream.data=again", "--workers", workers, "--format", "json"],
        )
        .json();
        assert_eq!(
            (said["pipelines"][0]["rows_in"].as_u64(), said["pipelines"][0]["dead"].as_u64()),
            (Some(0), Some(0)),
            "{said}"
        );
    }
    assert_same_tables(here, "whole", "again");
}

#[test]
fn a_second_program_on_the_same_data_folder_is_refused_and_the_first_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    fs::write(here.join("pipelines.toml"), PACED).expect("written");
    let first = start(here, &["run", "--format", "json"]);
    wait_for_rows(here, "data");
    let said = riskstream(here, &["run"]).failed_run();
    assert!(said.contains("is in use by another riskstream") && said.contains("stop it"), "{said}");
    assert!(
        said.contains(&first.id().to_string()),
        "the message names the process {}: {said}",
        first.id()
    );
    let stopped = report(&interrupt(first));
    assert!(number(&stopped, "rows_in") > 0, "{stopped}");
    riskstream(here, &["run", "--set", "sources.payments.rate=max"]).ok();
}

#[test]
fn a_store_of_another_version_is_refused_and_its_tables_stay_readable() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    prepare(here, 2_000);
    run_as_planned(here, &[]).ok();
    let identity = here.join("data/store/card-fraud/identity.json");
    let text = fs::read_to_string(&identity).expect("read");
    let mut theirs: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    theirs["version"] = 999.into();
    fs::write(&identity, theirs.to_string()).expect("written");
    let said = run_as_planned(here, &[]).failed_run();
    assert!(
        said.contains("version 999") && said.contains("use the program that wrote it"),
        "{said}"
    );
    assert!(
        !riskstream(here, &["query", "select * from payment_features", "--format", "json"])
            .rows()
            .is_empty()
    );
    fs::write(&identity, "{\"format\":").expect("written");
    let said = run_as_planned(here, &[]).failed_run();
    assert!(said.contains("is damaged"), "{said}");
}

#[test]
fn a_changed_input_file_is_refused_and_one_that_was_read_may_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    prepare(here, 2_000);
    run_as_planned(here, &[]).ok();
    let path = here.join("payments.json");
    let bytes = fs::read(&path).expect("read");
    fs::write(&path, &bytes[bytes.len() / 2..]).expect("written");
    let said = run_as_planned(here, &[]).failed_run();
    assert!(said.contains("has changed since it was read"), "{said}");
    fs::remove_file(&path).expect("removed");
    let said = riskstream(here, &["run", "--format", "json"]).json();
    assert_eq!(said["pipelines"][0]["rows_in"], 0, "{said}");
}
