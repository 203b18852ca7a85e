//! Input in another order, within the allowed out-of-orderness, and in other files gives the same
//! table.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::kill::{TABLES, assert_same_tables, prepare};
use crate::program::riskstream;

/// Shuffles lines by moving each later by less than the out-of-orderness of an hour, from its
/// number so that a run can be repeated.
fn shuffled(lines: &[String]) -> Vec<&String> {
    let mut keyed: Vec<(i64, usize)> = lines
        .iter()
        .enumerate()
        .map(|(n, line)| {
            let row: Value = serde_json::from_str(line).expect("JSON");
            let time = row["tx_datetime"].as_str().expect("a time");
            let time = chrono::NaiveDateTime::parse_from_str(
                &time[..19].replace('T', " "),
                "%Y-%m-%d %H:%M:%S",
            )
            .expect("a time");
            let jitter = ((n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) % 3_600;
            (time.and_utc().timestamp() + jitter as i64, n)
        })
        .collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, n)| &lines[n]).collect()
}

fn write(path: &Path, lines: impl Iterator<Item = impl AsRef<str>>) {
    let mut text = String::new();
    for line in lines {
        writeln!(text, "{}", line.as_ref()).expect("into memory");
    }
    fs::write(path, text).expect("written");
}

#[test]
fn shuffled_input_in_one_or_many_files_gives_the_table_of_the_ordered_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    prepare(here, 12_000);
    // Broken rows have no time to be shuffled by.
    let bytes = fs::read(here.join("payments.json")).expect("read");
    let text = String::from_utf8_lossy(&bytes);
    let is_whole = |line: &&str| {
        serde_json::from_str::<Value>(line).is_ok_and(|row| {
            row["tx_datetime"].as_str().is_some_and(|t| t.len() >= 19 && t.starts_with("2018"))
        })
    };
    let lines: Vec<String> = text.lines().filter(is_whole).map(str::to_owned).collect();
    write(&here.join("ordered.json"), lines.iter());
    let run = |data: &str, path: &str, workers: &str| {
        let sets = [format!("riskstream.data={data}"), format!("sources.payments.path={path}")];
        let report = riskstream(
            here,
            &[
                "run",
                "--set",
                &sets[0],
                "--set",
                &sets[1],
                "--workers",
                workers,
                "--format",
                "json",
            ],
        )
        .json();
        assert_eq!(report["pipelines"][0]["late"], 0, "{report}");
    };
    run("ordered", "ordered.json", "1");
    let moved = shuffled(&lines);
    assert!(
        moved.iter().zip(&lines).filter(|(a, b)| **a != *b).count() > lines.len() / 2,
        "the lines were not shuffled"
    );
    for (files, in_turn, workers) in
        [(1, true, "2"), (4, true, "3"), (4, false, "1"), (16, true, "1"), (16, false, "2")]
    {
        let name = format!("{files}-{in_turn}");
        fs::create_dir(here.join(&name)).expect("created");
        for file in 0..files {
            let mine = moved
                .iter()
                .enumerate()
                .filter(|(n, _)| file == if in_turn { n % files } else { n * files / moved.len() });
            write(&here.join(&name).join(format!("{file:02}.json")), mine.map(|(_, line)| line));
        }
        run(&format!("data-{name}"), &format!("{name}/*.json"), workers);
        assert_same_rows(here, "ordered", &format!("data-{name}"));
    }
}

/// As [`assert_same_tables`], without the dead letters, which name their file.
#[track_caller]
fn assert_same_rows(here: &Path, expected: &str, found: &str) {
    for sql in &TABLES[..2] {
        assert!(
            crate::kill::rows(here, expected, sql) == crate::kill::rows(here, found, sql),
            "{found}: {sql}"
        );
    }
}

#[test]
fn epochs_and_workers_change_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    prepare(here, 12_000);
    riskstream(
        here,
        &[
            "run",
            "--set",
            "riskstream.data=whole",
            "--workers",
            "1",
            "--set",
            "riskstream.epoch.rows=1000000",
        ],
    )
    .ok();
    for (workers, epoch) in [("2", "97"), ("3", "999"), ("4", "5000")] {
        let sets =
            [format!("riskstream.data=data-{workers}"), format!("riskstream.epoch.rows={epoch}")];
        riskstream(here, &["run", "--set", &sets[0], "--set", &sets[1], "--workers", workers]).ok();
        assert_same_tables(here, "whole", &format!("data-{workers}"));
    }
}
