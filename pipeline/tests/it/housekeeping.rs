//! Tables are kept up beside the stream: small files become large sorted ones, no row is lost or
//! seen twice, and what goes wrong stops nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::program::riskstream;
use crate::running::{Service, eventually};

/// Reads `in/*.csv` for as long as it runs, and lands once a second.
const FOLLOWED: &str = r#"
[riskstream]
epoch = { min = "1ms", max = "50ms" }

[maintain]
every       = "300ms"
small_files = 3

[sources.payments]
kind       = "file"
path       = "in/*.csv"
follow     = true
schema     = { id = "int64", time = "timestamp", customer = "string" }
event_time = { column = "time", ties_by = ["id"] }

[pipelines.p]
from  = "payments"
order = "arrival"

[[pipelines.p.to]]
id      = "t"
kind    = "delta"
table   = "t"
sort_by = ["customer", "time"]
"#;
const ROWS_PER_FILE: usize = 50;

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pipelines.toml"), FOLLOWED).unwrap();
    fs::create_dir(folder.path().join("in")).unwrap();
    folder
}

/// Adds a file of rows, put in place as a whole.
fn add(folder: &Path, number: usize) {
    let row = |row: usize| {
        let id = number * ROWS_PER_FILE + row;
        format!("{id},2024-01-01T10:{:02}:{:02}Z,c{}\n", number % 60, row, id * 7 % 11)
    };
    let rows: String = (0..ROWS_PER_FILE).map(row).collect();
    let hidden = folder.join("next");
    fs::write(&hidden, format!("id,time,customer\n{rows}")).unwrap();
    fs::rename(hidden, folder.join(format!("in/{number:04}.csv"))).unwrap();
}

/// What a statement about the table says.
fn ask(folder: &Path, sql: &str) -> Value {
    riskstream(folder, &["query", sql, "--format", "json"]).rows().remove(0)
}

/// Paths of the data files on the disk.
fn data_files(folder: &Path) -> Vec<PathBuf> {
    let table = folder.join("data/tables/t");
    let (mut found, mut folders) = (Vec::new(), vec![table]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|e| e == "parquet") => found.push(path),
                false => {}
            }
        }
    }
    found.retain(|path| !path.to_string_lossy().contains("_delta_log"));
    found
}

/// The commits of the table's log, one after the other.
fn logged(folder: &Path) -> String {
    let commits = fs::read_dir(folder.join("data/tables/t/_delta_log")).into_iter().flatten();
    let texts = commits.filter_map(|entry| {
        let path = entry.unwrap().path();
        let is_commit = path.extension().is_some_and(|e| e == "json");
        is_commit.then(|| fs::read_to_string(path).unwrap())
    });
    texts.collect()
}

#[test]
fn a_run_compacts_its_tables_and_every_row_is_seen_once_meanwhile() {
    let folder = folder();
    let here = folder.path();
    let mut service = Service::start(here, &[]);
    let mut added = 0;
    let (mut before, mut has_compacted) = (0, false);
    let until = Instant::now() + Duration::from_secs(60);
    while !has_compacted || added < 10 {
        assert!(Instant::now() < until, "nothing was compacted: {:#?}", service.lines());
        add(here, added);
        added += 1;
        std::thread::sleep(Duration::from_millis(300));
        let said = service.lines();
        has_compacted = said.iter().any(|line| line.to_string().contains("files compacted into"));
        if data_files(here).is_empty() {
            continue;
        }
        let seen = ask(here, "select count(*) as n, count(distinct id) as ids from t");
        assert_eq!(seen["n"], seen["ids"]);
        assert!(seen["n"].as_i64() >= Some(before), "{before}, then {seen}");
        before = seen["n"].as_i64().unwrap();
    }
    eventually("all rows", || {
        let seen = ask(here, "select count(*) as n, max(id) + 1 as ids from t");
        let all = Some((added * ROWS_PER_FILE) as i64);
        let has_all = seen["n"].as_i64() == all && seen["ids"].as_i64() == all;
        has_all.then_some(()).ok_or(seen.to_string())
    });
    let began = Instant::now();
    service.terminate();
    assert_eq!(service.ends().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());

    // By hand the rest goes the same way, and says how it is sorted.
    let answer = riskstream(here, &["maintain", "--table", "t", "--format", "json"]).json();
    assert_eq!(answer["tables"][0]["sorted_by"], serde_json::json!(["customer", "time"]));
    let text = riskstream(here, &["maintain", "--dry-run"]).ok();
    assert!(text.contains("nothing was changed"), "{text}");
    let seen = ask(here, "select count(*) as n, count(distinct id) as ids from t");
    assert_eq!(seen["n"].as_u64(), Some((added * ROWS_PER_FILE) as u64));
    assert_eq!(seen["n"], seen["ids"]);
}

#[test]
fn a_table_that_can_not_be_maintained_is_told_of_and_its_pipeline_goes_on() {
    let folder = folder();
    let here = folder.path();
    let mut service = Service::start(here, &["--set", "maintain.every=2s"]);
    let committed = || {
        let status = riskstream(here, &["status", "--format", "json"]).json();
        status["pipelines"][0]["committed_epoch"].as_u64().unwrap_or(0)
    };
    // A file of the table is damaged as soon as the table's log names it: before, it is the run's.
    let mut added = 0;
    let damaged = eventually("a data file", || {
        add(here, added);
        added += 1;
        std::thread::sleep(Duration::from_millis(200));
        let log = logged(here);
        let name =
            |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let has_landed = |path: &PathBuf| name(path).is_some_and(|name| log.contains(&name));
        data_files(here).into_iter().find(has_landed).ok_or_else(|| "none yet".to_owned())
    });
    fs::write(&damaged, "no Parquet").unwrap();
    eventually("a round that has failed", || {
        add(here, added);
        added += 1;
        std::thread::sleep(Duration::from_millis(200));
        let lines = service.lines();
        let told = lines.iter().find(|l| l.to_string().contains("maintenance has failed"));
        told.map(|line| assert_eq!(line["level"], "WARN")).ok_or_else(|| format!("{lines:#?}"))
    });
    let before = committed();
    add(here, added);
    eventually("another epoch", || match committed() {
        epoch if epoch > before => Ok(()),
        epoch => Err(epoch.to_string()),
    });
    service.terminate();
    assert_eq!(service.ends().code(), Some(0));
}

#[test]
fn a_configuration_may_leave_tables_alone() {
    let folder = folder();
    let here = folder.path();
    let service = Service::start(here, &["--set", "maintain.background=false"]);
    let mut added = 0;
    eventually("five files of the table", || {
        add(here, added);
        added += 1;
        std::thread::sleep(Duration::from_millis(300));
        let count = data_files(here).len();
        (count >= 5).then_some(()).ok_or(count.to_string())
    });
    std::thread::sleep(Duration::from_millis(700));
    assert!(data_files(here).iter().all(|path| !path.to_string_lossy().contains("compact-")));
    drop(service);
}
