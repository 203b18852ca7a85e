//! Each command's answer, and what it refuses. The answers for scripts are JSON.

use std::fs;

use crate::program::{Said, riskstream, trained};

fn text(value: &serde_json::Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn generated_payments_are_the_same_in_every_format_and_on_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let size = ["--customers", "20", "--terminals", "30", "--rows", "500"];
    let with = |more: &[&str]| riskstream(here, &[&["generate"], &size[..], more].concat());
    for name in ["p.csv", "p.json", "p.parquet"] {
        let said = with(&["--out", name]).ok();
        assert!(said.starts_with("500 payments in "), "{said}");
    }
    assert_eq!(with(&["--format", "csv"]).ok(), fs::read_to_string(here.join("p.csv")).unwrap());
    assert_eq!(with(&[]).ok(), fs::read_to_string(here.join("p.json")).unwrap());
    assert_eq!(fs::read_to_string(here.join("p.csv")).unwrap().lines().count(), 501);
    assert!(fs::read(here.join("p.parquet")).unwrap().starts_with(b"PAR1"));
    assert_ne!(with(&["--seed", "2"]).ok(), with(&[]).ok());

    assert!(with(&["--format", "parquet"]).refused(2).contains("standard output"));
    assert!(with(&["--radius", "0"]).refused(2).contains("radius is 0"));
    assert!(with(&["--out", "none/p.csv"]).refused(1).contains("can't write none/p.csv"));
}

#[test]
fn generated_changes_of_loans_are_the_same_in_every_format_and_take_their_own_options() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let with = |more: &[&str]| {
        riskstream(
            here,
            &[&["generate", "--of", "loans", "--loans", "50", "--months", "3"], more].concat(),
        )
    };
    for name in ["l.csv", "l.json", "l.parquet"] {
        let said = with(&["--out", name]).ok();
        assert!(said.contains(" changes of loans in "), "{said}");
    }
    let text = fs::read_to_string(here.join("l.csv")).unwrap();
    assert_eq!(
        (with(&["--format", "csv"]).ok(), with(&[]).ok()),
        (text.clone(), fs::read_to_string(here.join("l.json")).unwrap())
    );
    assert!(text.starts_with("loan_id,user_id,lender_id,status,currency,balance_cents,"), "{text}");
    assert_eq!(
        text.lines().filter(|line| line.contains(",r,2023-01-01T00:00:00Z,")).count(),
        45,
        "the snapshot"
    );
    let ops = |op: &str| text.lines().filter(|line| line.contains(&format!(",{op},202"))).count();
    assert!(ops("c") == 5 && ops("u") > 30, "{text}");

    assert!(
        with(&["--customers", "5"]).refused(2).contains("--customers says nothing about loans")
    );
    assert!(riskstream(here, &["generate", "--months", "5"]).refused(2).contains("--of loans"));
    assert!(with(&["--start", "2024-02-02"]).refused(2).contains("first of a month"));
    assert!(with(&["--lenders", "0"]).refused(2).contains("lenders is 0"));
}

fn query(sql: &str) -> Said {
    riskstream(trained(), &["query", sql, "--format", "json"])
}

#[test]
fn a_query_prints_its_rows_and_nothing_else() {
    let rows = query("select count(*) as n, sum(tx_fraud) as frauds from payment_features").rows();
    let lines = fs::read_to_string(trained().join("payments.csv")).unwrap().lines().count() - 1;
    assert_eq!(rows[0]["n"], lines);
    let table =
        riskstream(trained(), &["query", "select count(*) as n from payment_features"]).ok();
    assert!(
        table.starts_with("+--")
            && table.trim_end().ends_with("--+")
            && table.contains(&lines.to_string()),
        "{table}"
    );
    let tables = query("SHOW TABLES;").rows();
    assert_eq!(
        tables.iter().map(|t| text(&t["table"])).collect::<Vec<_>>(),
        ["dead_letters", "payment_features"]
    );
    assert!(query("select tx_amount from payment_features where false").rows().is_empty());
}

#[test]
fn a_query_that_names_nothing_known_says_what_there_is() {
    let said = query("select * from payment_feature").refused(2);
    assert!(
        said.contains("no table `payment_feature`") && said.contains("payment_features"),
        "{said}"
    );
    let said = query("select tx_amont from payment_features").refused(2);
    assert!(said.contains("tx_amount"), "{said}");
    assert!(query("selekt 1").refused(2).contains("syntax error"));
    assert!(query("drop table payment_features").refused(2).contains("only queries"));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pipelines.toml"), crate::program::FEATURES).unwrap();
    let said = riskstream(folder.path(), &["query", "show tables"]).refused(1);
    assert!(said.contains("run a pipeline first"), "{said}");
}

#[test]
fn status_tells_of_stores_tables_and_models() {
    let status = riskstream(trained(), &["status", "--format", "json"]).json();
    let pipeline = &status["pipelines"][0];
    assert_eq!((text(&pipeline["pipeline"]), &pipeline["running"]), ("card-fraud", &false.into()));
    assert!(pipeline["committed_epoch"].as_u64() > Some(1), "{status:#}");
    assert!(text(&pipeline["event_time"]).starts_with("2018-05-20T"), "{status:#}");
    assert_eq!(pipeline["event_time"], pipeline["watermark"], "the input has ended");
    let partition = &pipeline["partitions"][0];
    assert_eq!((text(&partition["name"]), &partition["finished"]), ("payments.csv", &true.into()));
    assert!(pipeline["store_bytes"].as_u64() > Some(0));
    let table = status["tables"]
        .as_array()
        .unwrap()
        .iter()
        .find(|t| t["table"] == "payment_features")
        .unwrap();
    assert!(
        table["rows"].as_u64() > Some(20_000) && table["files"].as_u64() > Some(0),
        "{table:#}"
    );
    let model = &status["models"][0];
    assert_eq!((text(&model["model"]), &model["in_use"]), ("fraud-card", &1.into()));
    assert!(model["auc_roc"].as_f64() > Some(0.5), "{model:#}");

    let page = riskstream(trained(), &["status"]).ok();
    assert!(
        page.contains("pipeline card-fraud: not running, committed epoch ")
            && page.contains("payment_features"),
        "{page}"
    );
}

#[test]
fn status_before_the_first_run_is_no_error_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pipelines.toml"), crate::program::FEATURES).unwrap();
    let status = riskstream(folder.path(), &["status", "--format", "json"]).json();
    assert!(status["pipelines"][0]["committed_epoch"].is_null());
    assert!(riskstream(folder.path(), &["status"]).ok().contains("nothing committed yet"));
    assert!(riskstream(folder.path(), &["maintain"]).ok().contains("no tables yet"));
    assert!(riskstream(folder.path(), &["replay"]).ok().contains("no dead letters"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn training_compares_registers_and_tells_scripts_everything() {
    let folder = tempfile::tempdir().unwrap();
    let registry = format!("riskstream.registry={}", folder.path().join("registry").display());
    let train = |more: &[&str]| {
        riskstream(trained(), &[&["train", "m", "--set", &registry], more].concat())
    };
    let answer =
        train(&["--table", "payment_features", "--algorithm", "all", "--format", "json"]).json();
    assert_eq!((&answer["version"], answer["outcomes"].as_array().unwrap().len()), (&1.into(), 2));
    let features: Vec<&str> = answer["features"].as_array().unwrap().iter().map(text).collect();
    assert_eq!(features.len(), 15, "{features:?}");
    assert!(
        ["tx_amount", "customer_nb_tx_30d", "terminal_risk_7d", "tx_during_night"]
            .iter()
            .all(|f| features.contains(f))
    );
    let best =
        answer["outcomes"].as_array().unwrap().iter().find(|o| o["registered"] == true).unwrap();
    for outcome in answer["outcomes"].as_array().unwrap() {
        assert!(
            outcome["metrics"]["average_precision"].as_f64()
                <= best["metrics"]["average_precision"].as_f64()
        );
        assert!(outcome["metrics"]["auc_roc"].as_f64() > outcome["random"]["auc_roc"].as_f64());
    }
    assert_eq!(
        (text(&best["test"]["to"]), text(&best["test"]["from"])),
        ("2018-05-21", "2018-05-14")
    );

    // The same rows from a file, with days and features named.
    let days = ["--train", "2018-05-01..2018-05-07", "--test", "2018-05-15..2018-05-20"];
    let said =
        train(&[&["--from", "payments.csv", "--features", "tx_amount"], &days[..]].concat()).ok();
    assert!(
        said.contains("logistic regression")
            && said.contains("random scores")
            && said.contains("version 2"),
        "{said}"
    );
    assert!(folder.path().join("registry/m/2/model.json").is_file());
}

#[test]
fn the_same_rows_in_another_order_give_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(trained().join("payments.csv")).unwrap();
    let (header, rows) = text.split_once('\n').unwrap();
    let backward: Vec<&str> = [header].into_iter().chain(rows.lines().rev()).collect();
    fs::write(folder.path().join("backward.csv"), backward.join("\n")).unwrap();
    let model = |from: &str, registry: &str| {
        let registry = folder.path().join(registry);
        let set = format!("riskstream.registry={}", registry.display());
        let days = ["--train", "2018-05-01..2018-05-07", "--test", "2018-05-15..2018-05-20"];
        let what = [
            "train",
            "m",
            "--set",
            &set,
            "--from",
            from,
            "--features",
            "tx_amount",
            "--algorithm",
            "forest",
        ];
        riskstream(trained(), &[&what[..], &days[..]].concat()).ok();
        let mut file: serde_json::Value =
            serde_json::from_slice(&fs::read(registry.join("m/1/model.json")).unwrap()).unwrap();
        assert!(file["model"].as_object_mut().unwrap().remove("created_at").is_some());
        file["model"].take()
    };
    let backward = folder.path().join("backward.csv");
    assert!(model("payments.csv", "forward") == model(backward.to_str().unwrap(), "backward"));
}

#[test]
fn training_on_what_is_not_there_is_refused_with_what_is() {
    let train = |more: &[&str]| riskstream(trained(), &[&["train", "m"], more].concat()).refused(2);
    assert!(train(&["--table", "payment_featurs"]).contains("payment_features"));
    assert!(
        train(&["--table", "payment_features", "--label", "fraud"]).contains("no column `fraud`")
    );
    assert!(
        train(&["--table", "payment_features", "--features", "tx_amont"]).contains("tx_amount")
    );
    assert!(
        train(&["--table", "payment_features", "--train", "2019-01-01..2019-01-07"])
            .contains("no labeled rows")
    );
    assert!(train(&["--table", "payment_features", "--delay", "60"]).contains("too few days"));
    assert!(train(&["--from", "none.parquet"]).contains("no such file"));
    assert!(
        riskstream(trained(), &["train", "../m", "--table", "payment_features"])
            .refused(2)
            .contains("can't be a model's name")
    );
}

/// A pipeline that lands a CSV file, in short epochs, so that it makes many small files.
const LAND: &str = r#"
[riskstream]
epoch = { rows = 20 }

[sources.s]
kind       = "file"
path       = "s.csv"
schema     = { id = "int64", at = "timestamp", amount = "decimal(12,2)" }
event_time = { column = "at", out_of_orderness = "1d", ties_by = ["id"] }

[pipelines.p]
from = "s"

[[pipelines.p.steps]]
id       = "nb"
features = { nb = "count(*)" }
by       = "id"
over     = ["1d"]

[[pipelines.p.to]]
id      = "t"
kind    = "delta"
table   = "t"
columns = ["id", "at", "nb_1d"]
"#;

fn count(folder: &std::path::Path, sql: &str) -> i64 {
    riskstream(folder, &["query", sql, "--format", "json"]).rows()[0]["n"].as_i64().unwrap()
}

#[test]
fn maintenance_changes_no_row_and_a_dry_run_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::write(here.join("pipelines.toml"), LAND).unwrap();
    fs::write(here.join("pipelines.toml"), LAND.replace("s.csv", "in/*.csv")).unwrap();
    fs::create_dir(here.join("in")).unwrap();
    for round in 0..5 {
        let rows: String = (0..10)
            .map(|id| {
                format!("{},2024-01-01T00:00:{:02}Z,{id}.50\n", round * 10 + id, round * 10 + id)
            })
            .collect();
        fs::write(here.join(format!("in/{round}.csv")), format!("id,at,amount\n{rows}")).unwrap();
        riskstream(here, &["run", "--format", "json"]).json();
    }
    assert_eq!(count(here, "select count(*) as n from t"), 50);
    let planned = riskstream(here, &["maintain", "--dry-run", "--format", "json"]).json();
    assert_eq!(planned["dry_run"], true);
    let of = |answer: &serde_json::Value| {
        answer["tables"].as_array().unwrap().iter().find(|t| t["table"] == "t").unwrap().clone()
    };
    assert!(of(&planned)["files_compacted"].as_u64() >= Some(4), "{planned:#}");
    let done =
        riskstream(here, &["maintain", "--table", "t", "--retain", "0s", "--format", "json"])
            .json();
    assert_eq!(of(&done)["files_compacted"], of(&planned)["files_compacted"]);
    assert!(of(&done)["version"].as_u64() > of(&planned)["version"].as_u64());
    assert_eq!(count(here, "select count(*) as n from t"), 50);
    assert!(riskstream(here, &["maintain", "--table", "x"]).refused(2).contains("no table `x`"));
    assert!(riskstream(here, &["maintain", "--retain", "soon"]).refused(2).contains("such as 7d"));
    assert!(riskstream(here, &["maintain"]).ok().contains("t "));
}

#[test]
fn dead_letters_come_in_again_once_and_later_runs_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::write(here.join("pipelines.toml"), LAND).unwrap();
    let mut file = String::from(
        "id,at,amount\n1,2024-01-01T00:00:01Z,1.50\n2,2024-01-01T00:00:02Z,1.505\n\
         x,2024-01-01T00:00:03Z,1\n4,never,1.50\n",
    );
    fs::write(here.join("s.csv"), &file).unwrap();
    let report = riskstream(here, &["run", "--format", "json"]).json();
    assert_eq!(report["pipelines"][0]["dead"], 3);
    let dead = riskstream(
        here,
        &["query", "select reason, pipeline from dead_letters", "--format", "json"],
    )
    .rows();
    assert!(dead.len() == 3 && dead.iter().all(|d| d["pipeline"] == "p"), "{dead:?}");

    let dry = riskstream(here, &["replay", "--dry-run", "--format", "json"]).json();
    let rows: u64 =
        dry["dead_letters"].as_array().unwrap().iter().map(|d| d["rows"].as_u64().unwrap()).sum();
    assert_eq!((rows, dry["replayed"].as_array().unwrap().len()), (3, 0), "{dry:#}");

    // Amounts with three decimals fit now.
    fs::write(here.join("pipelines.toml"), LAND.replace("decimal(12,2)", "decimal(12,3)")).unwrap();
    let replayed = riskstream(here, &["replay", "--format", "json"]).json();
    let p = &replayed["replayed"][0];
    assert_eq!(
        (&p["taken"], &p["rows"], &p["dead_again"]),
        (&3.into(), &1.into(), &2.into()),
        "{replayed:#}"
    );
    assert_eq!(count(here, "select count(*) as n from t where id = 2 and nb_1d = 1"), 1);

    // The two that failed again are dead letters of their own; those that were taken are not taken
    // twice.
    let again = riskstream(here, &["replay", "--format", "json"]).json();
    assert_eq!(again["replayed"][0]["taken"], 2, "{again:#}");
    assert_eq!(count(here, "select count(*) as n from t"), 2);

    // The real source goes on beside the replayed partitions, and reads nothing twice.
    file.push_str("5,2024-01-01T00:00:05Z,1.50\n");
    fs::write(here.join("s.csv"), &file).unwrap();
    let status = riskstream(here, &["status", "--format", "json"]).json();
    let names: Vec<&str> = status["pipelines"][0]["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| text(&p["name"]))
        .collect();
    assert!(
        names[0] == "s.csv" && names[1..].iter().all(|n| n.starts_with("dead-letters/")),
        "{names:?}"
    );
    riskstream(here, &["run"]).ok();
    assert_eq!(
        count(here, "select count(*) as n from t"),
        3,
        "what was appended to a finished file is read, and nothing else"
    );
    riskstream(here, &["run"]).ok();
    assert_eq!(count(here, "select count(*) as n from t"), 3, "a finished file is finished");

    assert!(riskstream(here, &["replay", "--source", "z"]).refused(2).contains("no source `z`"));
    assert!(riskstream(here, &["replay", "--reason", "typ"]).refused(2).contains("`type`"));
}

/// Alerts of changes of loans, and of loans as of every month's end.
const LOAN_ALERTS: &str = r#"
[sources.loans]
kind   = "generator"
of     = "loans"
loans  = 40
months = 4

[pipelines.changes]
from  = "loans"
order = "arrival"

[[pipelines.changes.steps]]
id        = "now"
changelog = { key = "loan_id", operation = "_op" }

[[pipelines.changes.to]]
id    = "alerts"
kind  = "alerts"
table = "change_alerts"
when  = "_diff > 0"

[pipelines.months]
from  = "loans"
order = "arrival"

[[pipelines.months.steps]]
id        = "now"
changelog = { key = "loan_id", operation = "_op" }

[[pipelines.months.steps]]
id     = "month-ends"
sample = "1mo"
by     = "loan_id"

[[pipelines.months.to]]
id    = "alerts"
kind  = "alerts"
table = "month_alerts"
when  = "_diff > 0"
"#;

#[test]
fn alerts_of_changes_and_of_samples_have_ids_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::write(here.join("pipelines.toml"), LOAN_ALERTS).unwrap();
    riskstream(here, &["run"]).ok();
    for (table, at_least) in [("change_alerts", 100), ("month_alerts", 100)] {
        let alerts = count(here, &format!("select count(*) as n from {table}"));
        assert!(alerts > at_least, "{table}: {alerts}");
        assert_eq!(
            count(here, &format!("select count(distinct alert_id) as n from {table}")),
            alerts,
            "{table}"
        );
    }
}

#[test]
fn a_file_of_values_between_tabs_needs_no_more_than_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::write(
        here.join("rows.tsv"),
        "id\tat\twhat\n1\t2024-01-01 00:00:00\ta, b\n2\t2024-01-02 00:00:00\tc\n",
    )
    .unwrap();
    let config = r#"
[sources.rows]
kind       = "file"
path       = "rows.tsv"
event_time = { column = "at" }

[pipelines.rows]
from = "rows"

[[pipelines.rows.to]]
id    = "rows"
kind  = "delta"
table = "rows"
"#;
    fs::write(here.join("pipelines.toml"), config).unwrap();
    riskstream(here, &["run"]).ok();
    assert_eq!(count(here, "select count(*) as n from rows where what = 'a, b' or id = 2"), 2);
}

#[test]
fn a_command_line_that_makes_no_sense_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(riskstream(folder.path(), &["quary"]).refused(2).contains("query"));
    assert!(riskstream(folder.path(), &[]).refused(2).contains("pipelines.toml"));
    assert!(riskstream(folder.path(), &["--help"]).ok().contains("generate"));
}
