//! `riskstream query` as a user runs it: forms, files, standard input, users, charts.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Decimal128Type, Int64Type};
use arrow::ipc::reader::{FileReader, StreamReader};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

use crate::program::{Said, riskstream};

const CONFIG: &str = r#"
[sources.payments]
kind       = "file"
path       = "payments.csv"
schema     = { id = "int64", paid_at = "timestamp", card = "string", amount = "decimal(12,2)" }
event_time = { column = "paid_at", ties_by = ["id"] }

[pipelines.p]
from  = "payments"
order = "arrival"

[[pipelines.p.to]]
id            = "t"
kind          = "delta"
table         = "payments"
about         = "card payments"
about_columns = { amount = "euros" }

[query]
users = "users.toml"
"#;
/// No password is known for it.
const USERS: &str = concat!(
    r#"
[users.acme]
password   = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$"#,
    "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=:YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=",
    r#""
roles      = ["holder"]
attributes = { card = ["c1"] }

[roles.holder]
tables = ["payments"]
rows   = [{ table = "*", column = "card", in = "card" }]
"#
);
const ROWS: i64 = 300;

/// 300 payments over ten days, on three cards, landed; made once, and not written to but for the
/// record of what was asked.
fn landed() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let here = folder.path();
            let row = |id: i64| {
                let (day, hour) = (1 + id / 30, id % 24);
                let amount = format!("{}.{:02}", id * 3, id % 100);
                format!("{id},2024-01-{day:02}T{hour:02}:00:00Z,c{},{amount}\n", id % 3)
            };
            let rows: String = (0..ROWS).map(row).collect();
            fs::write(here.join("payments.csv"), format!("id,paid_at,card,amount\n{rows}"))
                .unwrap();
            fs::write(here.join("pipelines.toml"), CONFIG).unwrap();
            fs::write(here.join("users.toml"), USERS).unwrap();
            riskstream(here, &["run"]).ok();
            folder
        })
        .path()
}

fn query(args: &[&str]) -> Said {
    riskstream(landed(), &[&["query"], args].concat())
}

/// Runs `riskstream query ARGS` with a text as its standard input.
fn piped(args: &[&str], text: &str) -> Said {
    let mut child = Command::new(env!("CARGO_BIN_EXE_riskstream"))
        .arg("query")
        .args(args)
        .current_dir(landed())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// What `id` and `amount` must add up to.
fn sums() -> (i64, i128) {
    let ids = (0..ROWS).sum();
    let cents = (0..ROWS).map(|id| i128::from(id * 300 + id % 100)).sum();
    (ids, cents)
}

fn sums_of(batches: &[RecordBatch]) -> (i64, i128) {
    batches.iter().fold((0, 0), |(ids, cents), batch| {
        let id = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>();
        let amount = batch.column_by_name("amount").unwrap().as_primitive::<Decimal128Type>();
        (ids + id.values().iter().sum::<i64>(), cents + amount.values().iter().sum::<i128>())
    })
}

#[test]
fn a_file_has_the_form_of_its_ending_and_all_rows() {
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str, more: &[&str]| {
        let path = folder.path().join(name);
        let sql = "select id, amount, card, paid_at from payments order by id";
        let args = [&[sql, "--output", path.to_str().unwrap()], more].concat();
        assert_eq!(query(&args).ok(), "", "rows go to the file");
        path
    };
    let csv = fs::read_to_string(written("a.csv", &[])).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 301);
    assert_eq!(lines[..2], ["id,amount,card,paid_at", "0,0.00,c0,2024-01-01 00:00:00+00"]);
    for (name, more) in [("a.json", &[][..]), ("a.ndjson", &[]), ("a.txt", &["--format", "json"])] {
        let text = fs::read_to_string(written(name, more)).unwrap();
        let rows = Said { code: 0, out: text, err: String::new() }.rows();
        assert_eq!(rows.len(), 300, "{name}");
        assert_eq!(rows[101]["paid_at"], "2024-01-04T05:00:00Z", "{name}");
        assert_eq!(rows[101]["amount"].to_string(), "303.01", "{name}");
    }
    let parquet = File::open(written("a.parquet", &[])).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(parquet).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().unwrap();
    assert_eq!(sums_of(&batches), sums());
    let arrow = File::open(written("a.arrow", &[])).unwrap();
    let reader = FileReader::try_new(arrow, None).unwrap();
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().unwrap();
    assert_eq!(sums_of(&batches), sums());
    let svg = fs::read_to_string(written("a.svg", &[])).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains("<polyline"), "{svg}");

    let names = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut all: Vec<String> =
        fs::read_dir(folder.path()).unwrap().map(|entry| names(entry.unwrap())).collect();
    all.sort();
    let expected = ["a.arrow", "a.csv", "a.json", "a.ndjson", "a.parquet", "a.svg", "a.txt"];
    assert_eq!(all, expected, "nothing else is left");
}

#[test]
fn a_pipe_gets_bytes_that_can_be_read_on() {
    for (form, begins) in [("parquet", &b"PAR1"[..]), ("arrow", b"\xff\xff\xff\xff")] {
        let output = Command::new(env!("CARGO_BIN_EXE_riskstream"))
            .args(["query", "select id, amount from payments", "--format", form])
            .current_dir(landed())
            .output()
            .unwrap();
        assert!(output.status.success() && output.stdout.starts_with(begins), "{form}");
        if form == "arrow" {
            let reader = StreamReader::try_new(&output.stdout[..], None).unwrap();
            let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().unwrap();
            assert_eq!(sums_of(&batches), sums());
        }
    }
}

#[test]
fn what_fails_leaves_no_file_and_the_old_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    fs::write(&path, "old").unwrap();
    let to = path.to_str().unwrap();
    // The last row fails: the others have been written by then.
    let sql = "select id, 1 / (299 - id) as n from payments order by id";
    let said = query(&[sql, "--output", to]);
    assert_eq!(said.code, 1, "{}", said.err);
    query(&["select nothing from payments", "--output", to]).refused(2);
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    query(&["select 1 as a; select 2 as a", "--output", to]).ok();
    assert_eq!(fs::read_to_string(&path).unwrap(), "a\n1\na\n2\n");
    let twice = folder.path().join("a.parquet");
    let said = query(&["select 1; select 2", "--output", twice.to_str().unwrap()]).refused(2);
    assert!(said.contains("holds one result") && !twice.exists(), "{said}");
    for (args, said) in [
        (vec!["select 1", "--output", "a.xml"], "not told by its ending"),
        (vec!["select 1", "--output", "a.svg", "--format", "csv"], "is a picture"),
        (vec!["select 1", "--output", "a.csv", "--chart"], "ends with .svg"),
        (vec!["select 1", "--format", "csv", "--chart"], "two things"),
    ] {
        assert!(query(&args).refused(2).contains(said), "{said}");
    }
    let said = query(&["select 1", "--output", "none/a.csv"]).refused(1);
    assert!(said.contains("can't write none/a.csv"), "{said}");
}

#[test]
fn tables_and_nulls_look_as_asked_for() {
    let sql = "select id, nullif(card, 'c1') as card from payments where id < 3 order by id";
    let expected = "\
+----+------+
| id | card |
+----+------+
|  0 | c0   |
|  1 | ∅    |
|  2 | c2   |
+----+------+
";
    assert_eq!(query(&[sql, "--null", "∅"]).ok(), expected);
    assert_eq!(query(&[sql, "--null", "∅", "--format", "text"]).ok(), expected);
    assert_eq!(query(&[sql, "--format", "csv"]).ok(), "id,card\n0,c0\n1,\n2,c2\n");
    assert!(query(&[sql, "-x"]).ok().starts_with("-[ RECORD 1 ]---"));
    let plan = query(&["explain analyze select count(*) from payments"]).ok();
    assert!(plan.contains("Plan with Metrics") || plan.contains("Exec"), "{plan}");
    assert!(!plan.starts_with('+'), "a plan has no table around it: {plan}");
}

#[test]
fn statements_of_a_file_or_of_standard_input_share_a_session() {
    let text = "-- a report\nset timezone to 'Europe/Amsterdam';\nbegin;\n\\null none\n\
                select max(paid_at) as last, null as a from payments;\ncommit;\nselect 2 as b";
    let expected = "last,a\n2024-01-11 00:00:00+01,none\nb\n2\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.sql");
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(query(&["-f", path, "--format", "csv"]).ok(), expected);
    assert_eq!(piped(&["-f", "-", "--format", "csv"], text).ok(), expected);
    assert_eq!(piped(&["--format", "csv"], text).ok(), expected);
    assert_eq!(piped(&[], "").ok(), "");

    fs::write(path, "select 1 as a;\n\nselect 'ü' as b,\n   frm x y;\nselect 2;\n").unwrap();
    let said = query(&["-f", path, "--format", "csv"]);
    assert_eq!((said.code, said.out.as_str()), (2, "a\n1\n"), "{}", said.err);
    assert!(said.err.contains(&format!("{path}:4:10")), "{}", said.err);
    let said = piped(&[], "select a\nfrom pyments").refused(2);
    assert!(said.contains("<stdin>:2:6") && said.contains("did you mean 'payments'?"), "{said}");
    let said = query(&["-f", path, "--set", "riskstream.data=none"]).refused(1);
    assert!(said.contains("run a pipeline first"), "{said}");
    assert!(query(&["-f", "none.sql"]).refused(2).contains("none.sql can't be read"));
    query(&["select 1", "-f", path]).refused(2);
}

#[test]
fn a_user_sees_its_rows_and_is_on_record() {
    let count = "select count(*) as n, min(card) as low, max(card) as high from payments";
    let rows = query(&[count, "--format", "ndjson", "--as", "acme"]).rows();
    assert_eq!(
        (&rows[0]["n"], &rows[0]["low"], &rows[0]["high"]),
        (&100.into(), &"c1".into(), &"c1".into())
    );
    assert_eq!(query(&[count, "--format", "json"]).rows()[0]["n"], 300, "the owner sees all");
    let tables = query(&["show tables", "--as", "acme", "--format", "csv"]).ok();
    assert!(tables.contains("payments") && !tables.contains("dead_letters"), "{tables}");
    let said = query(&["select * from dead_letters", "--as", "acme"]).refused(2);
    assert!(said.contains("there is no table `dead_letters`"), "{said}");
    assert!(query(&["select 1", "--as", "nobody"]).refused(2).contains("no user `nobody`"));

    let mut record = String::new();
    for number in 1..=100 {
        let folder = landed().join(format!("data/audit/command-line-{number}"));
        let Ok(entries) = fs::read_dir(folder) else { break };
        for entry in entries.map(|entry| entry.unwrap().path()) {
            if entry.extension().is_some_and(|ending| ending == "ndjson") {
                record.push_str(&fs::read_to_string(entry).unwrap());
            }
        }
    }
    let asked = |user: &str| {
        let mut lines = record
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a record is JSON"));
        lines.any(|line| line["user"] == user && line["port"] == "cli")
    };
    assert!(asked("acme") && asked("command line"), "{record}");
}

#[test]
fn charts_are_drawn_and_what_can_not_be_is_refused() {
    let by_card = "select card, count(*) as n, sum(amount) as total from payments group by card \
                   order by card";
    let bars = query(&[by_card, "--chart"]).ok();
    let lines: Vec<&str> = bars.lines().collect();
    assert_eq!(lines.len(), 7, "{bars}");
    assert!(lines[0].contains("█ n") && lines[1].starts_with("c0 "), "{bars}");
    assert!(lines[1].ends_with(" 100") && !bars.contains('\u{1b}'), "{bars}");
    let by_day = "select date_trunc('day', paid_at) as day, count(*) as n from payments group by 1";
    let line = query(&[by_day, "--chart", "line"]).ok();
    assert!(line.contains('└') && line.contains("day: 2024-01-01 to 2024-01-10 UTC"), "{line}");
    assert!(query(&[by_day, "--chart", "bar"]).ok().contains("2024-01-10T00:00:00Z"));
    let said = query(&["select card, paid_at from payments", "--chart"]).refused(2);
    assert!(said.contains("no column of numbers comes after `card`"), "{said}");
    let said = query(&["select card, id from payments", "--chart"]).refused(2);
    assert!(said.contains("300 rows are too many bars"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_signal_stops_the_statement_and_leaves_no_file() {
    use std::time::{Duration, Instant};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    let sql = "select a.id + b.id as n from payments a, payments b, payments c, payments d";
    let child = Command::new(env!("CARGO_BIN_EXE_riskstream"))
        .args(["query", sql, "--output", path.to_str().unwrap()])
        .current_dir(landed())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    // Rows are being written: the file in the making is there, and not empty.
    let begun = || {
        let mut entries = fs::read_dir(folder.path()).unwrap();
        entries.any(|entry| entry.unwrap().metadata().is_ok_and(|file| file.len() > 0))
    };
    while !begun() {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing is written");
        std::thread::sleep(Duration::from_millis(20));
    }
    let signal = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signal.success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("canceling statement due to user request"), "{said}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
