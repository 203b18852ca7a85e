//! Destinations between two runs: deleted, put back from a copy, renamed, or written by a pipeline
//! that has another name now.

use std::fs;
use std::path::Path;

use crate::program::{riskstream, run_as_planned};

const PIPELINE: &str = r#"
[riskstream]
name           = "acme"
epoch          = { rows = 4_000 }
snapshot_every = 1

[sources.notes]
kind       = "file"
path       = "notes.csv"
schema     = { id = "int64", at = "timestamp", note = "string" }
event_time = { column = "at", out_of_orderness = "1s" }

[pipelines.first]
from = "notes"

[[pipelines.first.to]]
id    = "rows"
kind  = "delta"
table = "notes"
"#;

/// Lines of notes of so many bytes.
fn lines(rows: std::ops::Range<usize>, bytes: usize) -> String {
    let text = "x".repeat(bytes);
    rows.map(|n| format!("{n},2024-01-01T00:00:{:02}Z,{text}{n}\n", n % 60)).collect()
}

/// A folder with `rows` notes of so many bytes, and the pipeline.
fn prepare(rows: usize, bytes: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("notes.csv"), format!("id,at,note\n{}", lines(0..rows, bytes)))
        .expect("written");
    configure(folder.path(), PIPELINE);
    folder
}

fn configure(here: &Path, pipelines: &str) {
    fs::write(here.join("pipelines.toml"), pipelines).expect("written");
}

fn run(here: &Path) {
    run_as_planned(here, &["--workers", "1"]).ok();
}

fn refused(here: &Path, says: &[&str]) {
    let said = run_as_planned(here, &["--workers", "1"]).failed_run();
    says.iter().for_each(|part| assert!(said.contains(part), "{part}: {said}"));
}

fn count(here: &Path) -> usize {
    let rows = riskstream(
        here,
        &["query", "select count(*) n, count(distinct id) ids from notes", "--format", "json"],
    )
    .rows();
    let said = &rows[0];
    assert_eq!(said["n"], said["ids"], "rows are there twice");
    usize::try_from(said["n"].as_u64().expect("a number")).expect("few")
}

/// Two finished runs, after which the first epochs' files are gone from the store: enough bytes for
/// two snapshots, and the first run's rows are delivered when the second run makes its own.
fn collected() -> (tempfile::TempDir, usize) {
    let (half, rows) = (48_000, 96_000);
    let folder = prepare(half, 1_200);
    run(folder.path());
    let path = folder.path().join("notes.csv");
    let grown = [fs::read_to_string(&path).expect("readable"), lines(half..rows, 1_200)].concat();
    fs::write(path, grown).expect("written");
    run(folder.path());
    let first = fs::read_dir(folder.path().join("data/store/first/epochs"))
        .expect("listed")
        .flatten()
        .map(|e| e.file_name())
        .min();
    let first = first
        .expect("an epoch")
        .to_string_lossy()
        .split_once('-')
        .expect("a name")
        .0
        .parse::<u64>()
        .expect("a number");
    assert!(first > 1, "epochs were collected");
    assert_eq!(count(folder.path()), rows);
    (folder, rows)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listed").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)
        } else {
            assert!(fs::copy(entry.path(), target).is_ok())
        }
    }
}

#[test]
fn a_table_that_lacks_what_the_store_has_no_more_is_refused_until_a_copy_is_back() {
    let (folder, rows) = collected();
    let (here, table) = (folder.path(), folder.path().join("data/tables/notes"));
    copy(&table, &here.join("backup"));
    fs::remove_dir_all(&table).expect("removed");
    for _ in 0..2 {
        refused(
            here,
            &[
                "sink rows: table notes has nothing of this pipeline",
                "rows of epochs 1 to",
                "Bring a newer copy back",
            ],
        );
        assert!(!table.exists(), "no new table is made in its place");
    }
    fs::rename(here.join("backup"), &table).expect("renamed");
    run(here);
    assert_eq!(count(here), rows);
    // Without a copy, `accept` lets a run deliver the rows that the store still has.
    fs::remove_dir_all(&table).expect("removed");
    let said = riskstream(here, &["accept", "first"]).refused(2);
    assert!(
        said.contains("destination rows: the rows of epochs 1 to") && said.contains("say --yes"),
        "{said}"
    );
    refused(here, &["table notes has nothing of this pipeline"]);
    riskstream(here, &["accept", "first", "--yes"]).ok();
    run(here);
    let rest = count(here);
    assert!(rest > 0 && rest < rows, "{rest} of {rows}");
    assert!(riskstream(here, &["accept", "first"]).ok().contains("there is nothing to accept"));
}

#[test]
fn a_table_that_lacks_what_the_store_has_no_more_does_not_stand_in_the_way_of_beginning_anew() {
    let (folder, rows) = collected();
    let here = folder.path();
    fs::remove_dir_all(here.join("data/tables/notes")).expect("removed");
    refused(here, &["table notes has nothing of this pipeline", "riskstream run --fresh first"]);
    // The rows that the store still has are delivered first, and then the source is read again.
    riskstream(here, &["run", "--workers", "1", "--fresh", "first", "--tables", "keep", "--yes"])
        .ok();
    let all = riskstream(
        here,
        &[
            "query",
            "select count(*) as n, count(distinct id) as ids from notes",
            "--format",
            "json",
        ],
    )
    .rows();
    assert!(
        all[0]["ids"].as_u64() == Some(rows as u64) && all[0]["n"].as_u64() > Some(rows as u64),
        "{all:?}"
    );
    // Deleted once more, after the pipeline was begun anew: it is again the store that says what is
    // missing.
    fs::remove_dir_all(here.join("data/tables/notes")).expect("removed");
    riskstream(here, &["run", "--workers", "1", "--fresh", "first", "--tables", "empty", "--yes"])
        .ok();
    for _ in 0..2 {
        assert_eq!(count(here), rows);
        run(here);
    }
}

#[test]
fn a_table_of_which_the_store_still_has_everything_is_filled_again() {
    let folder = prepare(9_500, 5);
    let here = folder.path();
    run(here);
    fs::remove_dir_all(here.join("data/tables")).expect("removed");
    run(here);
    assert_eq!(count(here), 9_500);
}

#[test]
fn another_name_of_the_program_or_of_a_table_is_refused_and_the_old_one_goes_on() {
    let folder = prepare(100, 5);
    let here = folder.path();
    run(here);
    configure(here, &PIPELINE.replace("\"acme\"", "\"other\""));
    refused(
        here,
        &["the program (`riskstream.name`) was `acme` and is `other`", "Nothing was started"],
    );
    configure(here, &PIPELINE.replace("table = \"notes\"", "table = \"remarks\""));
    refused(
        here,
        &["the destination `rows` was table notes and is table remarks", "Put the old name back"],
    );
    assert!(!here.join("data/tables/remarks").exists());
    configure(here, PIPELINE);
    run(here);
    assert_eq!(count(here), 100);
    // After `accept`, later rows go to the new table.
    configure(
        here,
        &PIPELINE
            .replace("\"acme\"", "\"other\"")
            .replace("table = \"notes\"", "table = \"remarks\""),
    );
    let said = riskstream(here, &["accept", "first", "--yes"]).ok();
    assert!(
        said.contains("was `acme` and is `other`: rows of epochs after")
            && said.contains("was table notes and is table remarks"),
        "{said}"
    );
    run(here);
    let rows =
        riskstream(here, &["query", "select count(*) n from remarks", "--format", "json"]).rows();
    assert_eq!(rows[0]["n"], 0, "everything was in the old one");
    assert_eq!(count(here), 100);
}

#[test]
fn a_pipeline_that_was_renamed_does_not_put_everything_there_twice() {
    let folder = prepare(100, 5);
    let here = folder.path();
    run(here);
    configure(here, &PIPELINE.replace("pipelines.first", "pipelines.second"));
    refused(
        here,
        &[
            "table notes has rows of `acme/first`, which the configuration does not have",
            "the pipeline `second` is new",
        ],
    );
    // The run is refused also without the old pipeline's store, since the table records its writer.
    fs::remove_dir_all(here.join("data/store/first")).expect("removed");
    refused(here, &["table notes has rows of `acme/first`"]);
    assert_eq!(count(here), 100);
}
