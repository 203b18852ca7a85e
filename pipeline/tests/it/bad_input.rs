//! A folder of bad input: each file gives its clear message or its dead letters, none a panic, and
//! what was committed stays readable.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{Field, Schema};
use parquet::arrow::ArrowWriter;

use crate::program::{Said, project, riskstream};

/// Longer than the 16 MiB that a record may have.
const LONG_LINE_BYTES: usize = 20_000_000;

const PIPELINE: &str = r#"
[sources.payments]
kind       = "file"
path       = "good.csv"
schema     = { id = "int64", time = "timestamp", card = "string", amount = "decimal(12,2)" }
event_time = { column = "time", out_of_orderness = "1h", ties_by = ["id"] }

[pipelines.spending]
from = "payments"

[[pipelines.spending.steps]]
id       = "card"
features = { spent = "sum(amount)", payments = "count(*)" }
by       = "card"
over     = ["1d", "30d"]

[[pipelines.spending.to]]
id    = "spending"
kind  = "delta"
table = "spending"
"#;

const GOOD: &str =
    "id,time,card,amount\n1,2018-04-01 00:00:01,c1,1.00\n2,2018-04-01 00:00:02,c1,2.50\n";

/// What a bad file must come to.
enum Comes {
    /// Exit code 1 or 3, and these words.
    Refused(&'static [&'static str]),
    /// Exit code 0, so many rows, and dead letters of these reasons.
    Taken(u64, &'static [&'static str]),
}

use Comes::{Refused, Taken};

fn parquet_file(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let batch =
        RecordBatch::try_new(schema.clone(), columns.into_iter().map(|(_, array)| array).collect())
            .expect("a batch");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    bytes
}

/// 2018-04-01.
const DAY: i64 = 1_522_540_800_000_000;

fn payments(amounts: &[f64], times: &[i64]) -> Vec<(&'static str, ArrayRef)> {
    let rows = amounts.len();
    vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..rows as i64)) as ArrayRef),
        ("time", Arc::new(TimestampMicrosecondArray::from(times.to_vec()))),
        ("card", Arc::new(arrow::array::StringArray::from(vec!["c1"; rows]))),
        ("amount", Arc::new(Float64Array::from(amounts.to_vec()))),
    ]
}

/// Every bad file: its name, its bytes, and what it must come to.
fn bad_files() -> Vec<(&'static str, Vec<u8>, Comes)> {
    let whole = parquet_file(payments(&[1.0; 500], &[DAY; 500]));
    let json = |lines: &[&str]| (lines.join("\n") + "\n").into_bytes();
    let mut long_json = br#"{"id":1,"time":"2018-04-01","card":"c1","amount":1}"#.to_vec();
    long_json.push(b'\n');
    long_json.resize(long_json.len() + LONG_LINE_BYTES, b'x');
    long_json
        .extend_from_slice(b"\n{\"id\":2,\"time\":\"2018-04-01\",\"card\":\"c1\",\"amount\":1}\n");
    let long_csv = [
        GOOD.as_bytes(),
        b"3,2018-04-01,",
        &vec![b'x'; LONG_LINE_BYTES],
        b",1.00\n4,2018-04-01,c1,1.00\n",
    ]
    .concat();
    let mut damaged = whole.clone();
    // Behind the magic is the first page's header.
    damaged[4..36].fill(0xFF);
    vec![
        (
            "truncated.parquet",
            whole[..whole.len() / 2].to_vec(),
            Refused(&["not a complete Parquet file"]),
        ),
        ("headless.parquet", whole[whole.len() / 2..].to_vec(), Refused(&["headless.parquet"])),
        ("text.parquet", GOOD.into(), Refused(&["not a complete Parquet file"])),
        ("damaged.parquet", damaged, Refused(&["damaged.parquet"])),
        (
            "impossible.parquet",
            parquet_file(payments(
                &[1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.001, 1e300],
                &[DAY; 6],
            )),
            Taken(1, &["impossible", "impossible", "impossible", "type", "type"]),
        ),
        // The year 1, the year 9999, before the first and after the last instant of a calendar.
        (
            "times.parquet",
            parquet_file(payments(
                &[1.0; 5],
                &[DAY, -62_135_596_800_000_000, 253_402_300_799_000_000, i64::MIN + 1, i64::MAX],
            )),
            Taken(2, &["future", "impossible", "impossible"]),
        ),
        (
            "types.parquet",
            parquet_file(vec![
                ("id", Arc::new(Int64Array::from(vec![1]))),
                ("time", Arc::new(arrow::array::BooleanArray::from(vec![true]))),
            ]),
            Refused(&["types.parquet", "time"]),
        ),
        (
            "columns.parquet",
            parquet_file(vec![("id", Arc::new(Int64Array::from(vec![1])))]),
            Refused(&["there is no column"]),
        ),
        (
            "twice.parquet",
            parquet_file([payments(&[1.0], &[DAY]), payments(&[1.0], &[DAY])].concat()),
            Refused(&["twice.parquet", "twice"]),
        ),
        (
            "utf8.json",
            [
                &b"{\"id\":1,\"time\":\"2018-04-01\",\"card\":\"\xFF\xFE\",\"amount\":1}\n"[..],
                &json(&[r#"{"id":2,"time":"2018-04-01","card":"c1","amount":1}"#]),
            ]
            .concat(),
            Taken(1, &["malformed"]),
        ),
        (
            "utf8.csv",
            [GOOD.as_bytes(), b"3,2018-04-01,\xC0\x80,1\n"].concat(),
            Taken(2, &["malformed"]),
        ),
        ("long.json", long_json, Taken(2, &["too-long"])),
        ("long.csv", long_csv, Taken(3, &["too-long"])),
        (
            "types.json",
            json(&[
                r#"{"id":"one","time":"2018-04-01","card":"c1","amount":1}"#,
                r#"{"id":1.5,"time":"2018-04-01","card":"c1","amount":1}"#,
                r#"{"id":1,"time":true,"card":"c1","amount":1}"#,
                r#"{"id":1,"time":"2018-04-01","card":"c1","amount":{}}"#,
                r#"{"id":1,"time":"2018-04-01","card":"c1","amount":"NaN"}"#,
                r#"{"id":1,"time":"2018-04-01","card":"c1","amount":NaN}"#,
                r#"{"id":1,"time":"2018-04-01","card":"c1","amount":"-Infinity"}"#,
                r#"{"id":1,"time":"2018-04-01","card":"c1","amount":1e400}"#,
                r#"{"id":1,"time":"2018-04-01","card":"c1","amount":99999999999.99}"#,
                r#"{"id":1,"card":"c1","amount":1}"#,
                r#"{"id":1,"time":"2018-04-01","id":2,"card":"c1","amount":1}"#,
                r#"[1]"#,
                r#"{"id":1,"time":"2018-04-01""#,
                r#"{"id":1,"time":"2018-04-01","card":"c1","amount":1}"#,
            ]),
            Taken(
                1,
                &[
                    "duplicate-field",
                    "impossible",
                    "impossible",
                    "malformed",
                    "malformed",
                    "malformed",
                    "null",
                    "type",
                    "type",
                    "type",
                    "type",
                    "type",
                    "type",
                ],
            ),
        ),
        (
            "times.json",
            json(&[
                r#"{"id":1,"time":"0001-01-01 00:00:00","card":"c1","amount":1}"#,
                r#"{"id":2,"time":"9999-12-31 23:59:59","card":"c1","amount":1}"#,
                r#"{"id":3,"time":"0000-12-31 23:59:59","card":"c1","amount":1}"#,
                r#"{"id":4,"time":"10000-01-01","card":"c1","amount":1}"#,
                r#"{"id":5,"time":"2018-02-30","card":"c1","amount":1}"#,
            ]),
            Taken(1, &["future", "type", "type", "type"]),
        ),
        (
            "fields.csv",
            [
                GOOD.as_bytes(),
                b"3,2018-04-01,c1\n4,2018-04-01,c1,1,1\n5,2018-04-01,\"c\"1,1\n6,,c1,1\n\
                  7,2018-04-01,c1,inf\n8,2018-04-01,\"c1,1\n",
            ]
            .concat(),
            Taken(2, &["impossible", "malformed", "malformed", "malformed", "malformed", "null"]),
        ),
        (
            "columns.csv",
            b"id,time,cart,amount\n1,2018-04-01,c1,1\n".to_vec(),
            Refused(&["there is no column card"]),
        ),
        (
            "twice.csv",
            b"id,time,card,id,amount\n1,2018-04-01,c1,1,1\n".to_vec(),
            Refused(&["names column \"id\" twice"]),
        ),
        ("zeros.json", vec![0; 5_000], Taken(0, &["malformed"])),
        ("empty.json", Vec::new(), Taken(0, &[])),
        ("empty.csv", Vec::new(), Taken(0, &[])),
        ("empty.parquet", Vec::new(), Taken(0, &[])),
        ("header.csv", b"id,time,card,amount\n".to_vec(), Taken(0, &[])),
        ("text.json.gz", GOOD.into(), Refused(&["not valid gzip"])),
        ("text.csv.zst", GOOD.into(), Refused(&["not valid zstd"])),
        ("format.dat", GOOD.into(), Refused(&["does not tell the format"])),
    ]
}

fn run(here: &Path, path: &str, data: &str) -> Said {
    let sets = [format!("sources.payments.path={path}"), format!("riskstream.data={data}")];
    let said = riskstream(
        here,
        &["run", "--set", &sets[0], "--set", &sets[1], "--format", "json", "--workers", "2"],
    );
    assert!(
        !said.err.contains("panicked") && !said.err.contains("internal error"),
        "{path}: {}",
        said.err
    );
    said
}

/// What came of a file, if it isn't what is expected.
fn wrong(here: &Path, name: &str, comes: &Comes) -> Option<String> {
    let data = format!("data-{name}");
    let said = run(here, name, &data);
    match comes {
        Refused(words) => {
            // Before the pipeline runs, or while it does.
            let is_told = (said.code == 1 && said.err.contains("error: "))
                || (said.code == 3 && said.err.contains("ERROR "));
            let is_right = is_told && words.iter().all(|w| said.err.contains(w));
            (!is_right).then(|| format!("{name}: exit code {}, {}", said.code, said.err))
        }
        Taken(rows, reasons) => {
            if said.code != 0 {
                return Some(format!("{name}: exit code {}, {}", said.code, said.err));
            }
            let set = format!("riskstream.data={data}");
            let query = |sql: &str| {
                riskstream(here, &["query", sql, "--set", &set, "--format", "json"]).rows()
            };
            let landed = query("select * from spending").len() as u64;
            let mut found: Vec<String> = query("select reason from dead_letters")
                .iter()
                .map(|r| r["reason"].as_str().unwrap_or_default().to_owned())
                .collect();
            found.sort_unstable();
            (landed != *rows || found != *reasons)
                .then(|| format!("{name}: {landed} rows, dead letters {found:?}"))
        }
    }
}

#[test]
fn every_bad_file_gives_its_message_or_its_dead_letters() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    fs::write(here.join("pipelines.toml"), PIPELINE).expect("written");
    let files = bad_files();
    for (name, bytes, _) in &files {
        fs::write(here.join(name), bytes).expect("written");
    }
    fs::create_dir(here.join("folder.csv")).expect("created");
    let nowhere = [
        ("missing.csv", Refused(&["missing.csv", "there is no such file"])),
        ("missing/*.json", Refused(&["no file matches"])),
        ("folder.csv", Refused(&["is a folder"])),
    ];
    let all = files
        .iter()
        .map(|(name, _, comes)| (*name, comes))
        .chain(nowhere.iter().map(|(name, comes)| (*name, comes)));
    let wrong: Vec<String> = all.filter_map(|(name, comes)| wrong(here, name, comes)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn what_was_committed_before_bad_input_stays_readable() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    fs::write(here.join("pipelines.toml"), PIPELINE).expect("written");
    fs::create_dir(here.join("in")).expect("created");
    fs::write(here.join("in/1.csv"), GOOD).expect("written");
    run(here, "in/*.csv", "data").ok();
    fs::write(here.join("in/2.csv"), "id,time,id\n").expect("written");
    assert!(run(here, "in/*.csv", "data").failed_run().contains("2.csv"));
    assert_eq!(
        riskstream(here, &["query", "select * from spending", "--format", "json"]).rows().len(),
        2
    );
    fs::write(here.join("in/2.csv"), GOOD.replace("2018-04-01", "2018-04-02")).expect("written");
    run(here, "in/*.csv", "data").ok();
    assert_eq!(
        riskstream(here, &["query", "select * from spending", "--format", "json"]).rows().len(),
        4
    );
}

#[test]
fn too_many_dead_letters_stop_the_run_with_the_reason_and_keep_nothing_of_the_epoch() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    fs::write(here.join("pipelines.toml"), PIPELINE).expect("written");
    let broken: String = (0..3_000).map(|id| format!("{id},yesterday,c1,1.00\n")).collect();
    fs::write(here.join("broken.csv"), [GOOD, &broken].concat()).expect("written");
    let said = run(here, "broken.csv", "data").failed_run();
    assert!(
        said.contains("3000 of 3002 rows are dead letters")
            && said.contains("dead_rows_max")
            && said.contains("yesterday"),
        "{said}"
    );
    assert!(
        riskstream(here, &["query", "select * from spending", "--format", "json"])
            .rows()
            .is_empty()
    );
    riskstream(
        here,
        &[
            "run",
            "--set",
            "sources.payments.path=broken.csv",
            "--set",
            "riskstream.dead_rows_max=1.0",
        ],
    )
    .ok();
    assert_eq!(
        riskstream(here, &["query", "select * from dead_letters", "--format", "json"]).rows().len(),
        3_000
    );
}

#[test]
fn every_broken_configuration_is_refused_before_anything_starts() {
    let configs = project("pipeline/tests/it/configs/bad");
    let folder = tempfile::tempdir().expect("a folder");
    let mut count = 0;
    for entry in fs::read_dir(configs).expect("the folder of configurations is part of the project")
    {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        let text = String::from_utf8_lossy(&fs::read(&path).expect("read")).into_owned();
        let sets = text
            .lines()
            .map_while(|line| line.strip_prefix("# --set "))
            .flat_map(|set| ["--set", set]);
        let args: Vec<&str> =
            ["run", path.to_str().expect("UTF-8")].into_iter().chain(sets).collect();
        let said = riskstream(folder.path(), &args).refused(2);
        assert!(!said.trim().is_empty(), "{}", path.display());
        count += 1;
    }
    assert!(count >= 40, "{count} broken configurations");
    assert_eq!(
        fs::read_dir(folder.path()).expect("read").count(),
        0,
        "a refused configuration left something behind"
    );
}
