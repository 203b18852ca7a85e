//! What a run and `check --against-source` say of a schema that was inferred, columns within
//! objects, names alike, sessions' alerts, and the summary of a run that fails.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::program::riskstream;

fn config(here: &Path, path: &str, schema: &str, steps: &str, to: &str) {
    let text = format!(
        "[riskstream]\ndead_rows_max = 1\nworkers = 2\n[sources.s]\nkind = \"file\"\n\
         path = \"{path}\"\n{schema}\n\
         event_time = {{ column = \"at\" }}\n[pipelines.p]\nfrom = \"s\"\norder = \"arrival\"\n\
         {steps}\n\
         [[pipelines.p.to]]\nid = \"t\"\ntable = \"t\"\npartition_by = []\n{to}\n"
    );
    fs::write(here.join("pipelines.toml"), text).expect("written");
}

fn rows(here: &Path, sql: &str) -> Vec<Value> {
    riskstream(here, &["query", sql, "--format", "json"]).rows()
}

const DELTA: &str = "kind = \"delta\"";

#[test]
fn what_was_inferred_and_what_is_left_out_is_said_by_run_and_by_check() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    fs::write(here.join("in.csv"), ",at,arn,amount\n0,2024-05-01,74063125074063125074063,12.50\n")
        .expect("written");
    config(here, "in.csv", "", "", DELTA);
    let expected = [
        "source s: its schema is inferred from 1 record of in.csv: at timestamp, arn string \
         (\"74063125074063125074063\" is kept as it is written), amount float64",
        "source s: column 1 of in.csv is left out: its header has no name for it",
    ];
    let said = riskstream(here, &["check", "--against-source"]).ok();
    assert!(expected.iter().all(|line| said.contains(line)), "{said}");
    assert!(!riskstream(here, &["check"]).ok().contains("inferred"));
    let checked = riskstream(here, &["check", "--against-source", "--format", "json"]).json();
    assert_eq!(checked["sources"], json!(expected));
    assert!(!here.join("data").exists(), "a check starts nothing");
    let run = riskstream(here, &["run"]);
    assert!(expected.iter().all(|line| run.err.contains(line)), "{}", run.err);
    run.ok();
    assert_eq!(
        rows(here, "select arn, amount from t"),
        [json!({ "arn": "74063125074063125074063", "amount": 12.5 })]
    );
    let report = riskstream(here, &["run", "--format", "json"]).json();
    assert_eq!(report["notes"], json!(expected));
}

#[test]
fn check_against_the_source_finds_columns_that_are_not_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    fs::write(here.join("in.csv"), "at,amount\n2024-05-01,12.50\n").expect("written");
    config(
        here,
        "in.csv",
        "",
        "[[pipelines.p.steps]]\nid = \"f\"\nfilter = \"amuont > 1\"\n",
        DELTA,
    );
    riskstream(here, &["check"]).ok();
    let refused = riskstream(here, &["check", "--against-source"]).refused(2);
    assert!(refused.contains("amuont") && refused.contains("pipelines.toml:"), "{refused}");
    fs::remove_file(here.join("in.csv")).expect("removed");
    assert!(riskstream(here, &["check", "--against-source"]).refused(1).contains("no such file"));
}

#[test]
fn a_field_within_an_object_is_a_column_of_every_step() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let text = "{\"at\":\"2024-05-01\",\"m\":{\"amount\":\"12.50\",\"who\":{\"id\":7}}}\n\
                {\"at\":\"2024-05-02\",\"m\":{\"amount\":1}}\n";
    fs::write(here.join("in.json"), text).expect("written");
    let steps = "[[pipelines.p.steps]]\nid = \"f\"\nfilter = \"\\\"m.amount\\\" > 0\"\n\
                 [[pipelines.p.steps]]\nid = \"w\"\n\
                 features = { total = \"sum(\\\"m.amount\\\")\" }\nby = \"m.who.id\"\n\
                 over = [\"1d\"]\n";
    config(
        here,
        "in.json",
        "schema = { at = \"timestamp\", \"m.amount\" = \"decimal(12,2)\", \
         \"m.who.id\" = \"int64\" }",
        steps,
        DELTA,
    );
    riskstream(here, &["run"]).ok();
    let found = rows(
        here,
        "select \"m.amount\" as amount, \"m.who.id\" as id, total_1d from t order by at",
    );
    assert_eq!(found.len(), 2);
    assert_eq!(
        (&found[0]["id"], found[0]["amount"].to_string().contains("12.5")),
        (&json!(7), true),
        "{found:?}"
    );
}

#[test]
fn names_that_differ_only_in_capitals_are_refused_as_such() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    fs::write(here.join("in.csv"), "at,Amount,amount\n2024-05-01,1,2\n").expect("written");
    config(here, "in.csv", "", "", DELTA);
    let refused = riskstream(here, &["run"]).refused(2);
    assert!(
        refused.contains("columns 'Amount' and 'amount' differ only in capitals")
            && !refused.contains("Int64"),
        "{refused}"
    );
    config(here, "in.csv", "", "", &format!("{DELTA}\ncolumns = [\"at\", \"amount\"]"));
    riskstream(here, &["run"]).ok();
    assert_eq!(rows(here, "select amount from t"), [json!({ "amount": 2 })]);
}

#[test]
fn the_newest_row_of_a_sessions_start_or_alert_is_the_session() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    fs::create_dir(here.join("in")).expect("created");
    let steps = "[[pipelines.p.steps]]\nid = \"w\"\naggregate = { n = \"count(*)\" }\nby = \"k\"\n\
                 windows = [\"session 30m\"]\nkeep = \"2d\"\n";
    config(
        here,
        "in/*.csv",
        "schema = { at = \"timestamp\", k = \"string\" }",
        steps,
        "kind = \"alerts\"\nwhen = \"true\"",
    );
    let runs: [&[(&str, &str)]; 3] = [
        &[("10:00", "a"), ("10:50", "a"), ("20:00", "z")],
        &[("10:25", "a"), ("09:30", "a")],
        &[("09:45", "a")],
    ];
    for (number, lines) in runs.iter().enumerate() {
        let lines: String =
            lines.iter().map(|(clock, key)| format!("2024-05-01T{clock}:00Z,{key}\n")).collect();
        fs::write(here.join(format!("in/{number}.csv")), format!("at,k\n{lines}"))
            .expect("written");
        riskstream(here, &["run"]).ok();
    }
    for known_by in ["k, window_start", "alert_id"] {
        let newest = format!(
            "select distinct on ({known_by}) * from t where k = 'a' \
             order by {known_by}, revision desc"
        );
        let sql = format!(
            "select cast(window_start as string) as s, cast(window_end as string) as e, n \
             from ({newest}) where n > 0"
        );
        let found = rows(here, &sql);
        assert_eq!(found.len(), 1, "{known_by}: {found:?}");
        assert!(
            found[0]["s"].as_str().is_some_and(|s| s.contains("09:30"))
                && found[0]["e"].as_str().is_some_and(|e| e.contains("11:20"))
        );
        assert_eq!(found[0]["n"], 5);
    }
    let refused = format!(
        "{}\ncolumns = [\"k\", \"window\", \"window_end\", \"n\"]",
        "kind = \"alerts\"\nwhen = \"true\""
    );
    config(here, "in/*.csv", "schema = { at = \"timestamp\", k = \"string\" }", steps, &refused);
    assert!(
        riskstream(here, &["run", "--set", "riskstream.data=other"])
            .refused(2)
            .contains("add `window_start` to `columns`")
    );
}

#[test]
fn the_summary_of_a_run_that_fails_counts_only_rows_that_were_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let good: String = (0..3_000).map(|id| format!("2024-05-01,{id}\n")).collect();
    fs::write(here.join("in.csv"), format!("at,id\n{good}{}", "yesterday,x\n".repeat(3_000)))
        .expect("written");
    config(here, "in.csv", "schema = { at = \"timestamp\", id = \"int64\" }", "", DELTA);
    let said =
        riskstream(here, &["run", "--format", "json", "--set", "riskstream.dead_rows_max=0.1"]);
    assert_eq!(said.code, 3);
    let report: Value = serde_json::from_str(&said.out).expect("JSON");
    let tables = report["pipelines"][0]["tables"].as_array().expect("tables");
    let told =
        tables.iter().find(|table| table["table"] == "t").expect("the table")["rows"].as_u64();
    assert_eq!(told, Some(rows(here, "select * from t").len() as u64));
    riskstream(here, &["run"]).ok();
    assert_eq!(rows(here, "select * from t").len(), 3_000);
}
