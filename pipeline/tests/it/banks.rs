//! Files as banks write them, through the program: each example by its own settings and by those
//! that `sniff` writes, and what `sniff` says of other files.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::program::{project, riskstream, trained};

/// The examples: what stands before `.toml`, the file, and how many records it has.
const BANKS: [(&str, &str, usize); 7] = [
    ("de-giro", "de-giro.csv", 36),
    ("uk-current", "uk-current.csv", 40),
    ("us-card", "us-card.csv", 36),
    ("fr-compte", "fr-compte.csv", 34),
    ("se-konto", "se-konto.txt", 36),
    ("berlin-group", "berlin-group.jsonl", 36),
    ("truelayer", "truelayer.jsonl", 36),
];

fn sniff(here: &Path, file: &Path) -> Value {
    let file = file.to_str().expect("UTF-8");
    riskstream(here, &["sniff", file, "--name", "sniffed", "--format", "json"]).json()
}

/// Runs the block that `sniff` wrote, with a pipeline behind it; the rows.
fn rows_of(here: &Path, block: &str) -> Vec<Value> {
    let text = format!(
        "[riskstream]\ndata = \"sniffed\"\n{block}\n[pipelines.p]\nfrom = \"sniffed\"\n\
         [[pipelines.p.to]]\nid = \"t\"\nkind = \"delta\"\ntable = \"t\"\npartition_by = []\n"
    );
    fs::write(here.join("sniffed.toml"), text).expect("written");
    riskstream(here, &["run", "sniffed.toml"]).ok();
    let query = ["query", "--config", "sniffed.toml", "select * from t", "--format", "json"];
    riskstream(here, &query).rows()
}

#[test]
fn every_bank_is_read_by_hand_and_by_what_sniff_writes() {
    let examples: Vec<String> = fs::read_dir(project("examples/banks"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    for name in &examples {
        let is_known = |(config, file, _): &&(&str, &str, usize)| {
            *name == format!("{config}.toml") || name == file
        };
        assert!(BANKS.iter().any(|bank| is_known(&bank)), "{name} is not tested");
    }
    for (name, file, records) in BANKS {
        let folder = tempfile::tempdir().expect("a folder");
        let here = folder.path();
        fs::create_dir_all(here.join("examples/banks")).expect("a folder");
        let (config, path) = (format!("examples/banks/{name}.toml"), project("examples/banks"));
        fs::copy(path.join(file), here.join("examples/banks").join(file)).expect("copied");
        let config = project(&config).to_str().expect("UTF-8").to_owned();
        let report = riskstream(here, &["run", &config, "--format", "json"]).json();
        assert_eq!(report["pipelines"][0]["rows_in"], records, "{name}: {report:#}");
        assert_eq!(report["pipelines"][0]["dead"], 0, "{name}: {report:#}");
        let sniffed = sniff(here, &here.join("examples/banks").join(file));
        let (rows, dead) = (&sniffed["rows"], &sniffed["dead"]);
        assert_eq!((rows, dead), (&json!(records), &json!(0)), "{name}: {sniffed:#}");
        assert_eq!(sniffed["whole"], true, "{name}: {sniffed:#}");
        let block = sniffed["block"].as_str().expect("a block");
        assert_eq!(rows_of(here, block).len(), records, "{name}: {block}");
    }
}

#[test]
fn what_sniff_finds_of_a_german_statement_and_what_it_is_unsure_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let file = project("examples/banks/de-giro.csv");
    let sniffed = sniff(here, &file);
    let block = sniffed["block"].as_str().expect("a block");
    for line in [
        "encoding       = \"windows-1252\"",
        "csv            = { delimiter = \";\", skip_lines = 5 }",
        "decimal_mark   = \",\"",
        "thousands_mark = \".\"",
        "true_words     = \"Ja\"",
        "false_words    = \"Nein\"",
        "event_time     = { column = \"Buchungstag\", format = \"%d.%m.%Y\" }",
        "Wertstellung",
        "{ type = \"date\", format = \"%d.%m.%Y\" }",
        "\"Betrag (EUR)\"",
        "\"decimal(18,2)\"",
    ] {
        assert!(block.contains(line), "{line} is not in\n{block}");
    }
    let text = riskstream(here, &["sniff", file.to_str().expect("UTF-8")]).ok();
    assert!(text.contains("[sources.de-giro]") && text.contains("# guessed: "), "{text}");
    assert!(text.contains("36 of 36 records are rows with this"), "{text}");
    // A person can append it to a file as it is.
    let times = project("examples/banks/uk-current.csv");
    let sniffed = sniff(here, &times);
    let block = sniffed["block"].as_str().expect("a block");
    let time = "event_time     = { column = [\"Date\", \"Time\"], format = \"%d/%m/%Y %H:%M:%S\" }";
    assert!(block.contains(time), "{block}");
    let unsure = sniffed["unsure"].to_string();
    assert!(unsure.contains("the zone of `Date`"), "{unsure}");
}

/// A file's content, the block's lines that are wanted, and what has to be said as unsure.
type Sniff<'a> = (&'a str, &'a [u8], &'a [&'a str], &'a [&'a str]);

#[test]
fn sniff_is_right_or_says_that_it_is_unsure() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let cases: [Sniff<'_>; 18] = [
        // Both orders of day and month fit.
        (
            "days.csv",
            b"id,date,amount\n1,01/02/2024,1.5\n2,05/01/2024,2.5\n",
            &["format = \"%d/%m/%Y\""],
            &["the days of `date`", "%m/%d/%Y"],
        ),
        // Both orders fit, but only with one of them do the dates ascend.
        (
            "ordered.csv",
            b"id,date,amount\n1,01/02/2024,1.5\n2,01/05/2024,2.5\n3,02/01/2024,2\n",
            &["format = \"%m/%d/%Y\""],
            &["the days of `date`"],
        ),
        // The point may be a decimal mark, or stand between thousands.
        (
            "marks.csv",
            b"id;at;amount\n1;2024-05-01;1.234\n2;2024-05-02;5.678\n",
            &["amount = \"decimal(18,3)\""],
            &["the marks in numbers: \"1.234\" is 1.234 as it is read, and would be 1234"],
        ),
        (
            "codes.tsv",
            b"at\tcode\tphone\tn\n2024-05-01\t007\t+491701\t7\n2024-05-02\t12\t+4917\t8\n",
            &[
                "delimiter = \"\\t\"",
                "code  = \"string\"",
                "phone = \"string\"",
                "n     = \"int64\"",
            ],
            &[],
        ),
        ("epoch.csv", b"id,ts\n1,1714560000\n2,1714560001\n", &["format = \"unix-s\""], &[]),
        (
            "two.csv",
            b"created,updated\n2024-05-01T00:00:00Z,2024-05-01T00:00:00Z\n",
            &["column = \"created\""],
            &[],
        ),
        (
            "none.csv",
            b"id,amount\n1,2.50\n2,3.50\n",
            &["# event_time = { column = \"NAME\" }"],
            &["no column says when a row happened"],
        ),
        (
            "headless.csv",
            b"2024-05-01;1,50;x\n2024-05-02;2,50;y\n",
            &["header = false", "column_1", "column = \"column_1\""],
            &["whether there is a header"],
        ),
        (
            "footer.csv",
            b"at,amount\n2024-05-01,1.50\n2024-05-02,2.50\nTotal: 4.00\n",
            &["amount = \"decimal(18,2)\""],
            &["1 record after the header has not 2 fields", "dead letter"],
        ),
        (
            "mixed.csv",
            b"at,amount\n2024-05-01,1\n2024-05-02,2\n2024-05-02,2\n2024-05-02,2\n2024-05-02,2\n\
              2024-05-02,2\n2024-05-02,n/a\n",
            &["amount = \"string\""],
            &["the type of `amount`: most values are numbers, and \"n/a\" is none"],
        ),
        (
            "nested.jsonl",
            b"{\"at\":\"2024-05-01T10:00:00Z\",\"a\":{\"b\":\"1.50\",\"c\":[1]},\"ok\":true}\n",
            &["\"a.b\" = \"decimal(18,2)\"", "\"a.c\" = \"string\"", "ok    = \"boolean\""],
            &[],
        ),
        (
            "greek.csv",
            b"at,who\n2024-05-01,\xC3\xE5\xDC\n2024-05-02,\xC1\xE8\xDE\xED\xE1 \xEA\xE1\xE9\n",
            &["encoding   = \"windows-1253\""],
            &["encoding windows-1253: it is no UTF-8, and reads \"Αθήνα\""],
        ),
        // What is written with a colon elsewhere is a time where its column is called one.
        (
            "clock.csv",
            b"Datum;Uhrzeit;Betrag\n01.05.2024;10.15;1,50\n22.05.2024;23.59;2,50\n",
            &["column = [\"Datum\", \"Uhrzeit\"], format = \"%d.%m.%Y %H.%M\"", "decimal(18,2)"],
            &[],
        ),
        (
            "digits.csv",
            b"Datum;Zeit;Betrag\n20240501;101500;1,50\n20240502;235959;2,50\n",
            &["column = [\"Datum\", \"Zeit\"], format = \"%Y%m%d %H%M%S\""],
            &[],
        ),
        (
            "currency.csv",
            b"at,amount\n2024-05-01,\"$1,234.50\"\n2024-05-02,($12.00)\n",
            &["amount = \"string\""],
            &["the type of `amount`: \"$1,234.50\" is a number with something around it"],
        ),
        (
            "spaces.csv",
            b"at,amount\n2024-05-01, 1.5\n2024-05-02, 2.5\n",
            &["amount = \"string\"", "column = \"at\""],
            &["the type of `amount`: there are spaces around its values"],
        ),
        (
            "two-marks.csv",
            b"at;rate;amount\n2024-05-01;0.5;1,50\n2024-05-02;0.25;2,50\n",
            &["amount = \"string\"", "rate   = \"decimal(18,2)\""],
            &["the type of `amount`: \"1,50\" would be a number with decimal_mark = \",\""],
        ),
        (
            "capitals.csv",
            b"at,Amount,amount\n2024-05-01,1.5,2.5\n",
            &["Amount = \"decimal(18,1)\"", "amount = \"decimal(18,1)\""],
            &["whether both `Amount` and `amount` are wanted"],
        ),
    ];
    for (name, content, wanted, unsure) in cases {
        let file = here.join(name);
        fs::write(&file, content).expect("written");
        let sniffed = sniff(here, &file);
        let block = sniffed["block"].as_str().expect("a block");
        for line in wanted {
            assert!(block.contains(line), "{name}: {line} is not in\n{sniffed:#}\n{block}");
        }
        let said = sniffed["unsure"].to_string();
        for word in unsure {
            let word = word.replace('"', "\\\"");
            assert!(said.contains(&word), "{name}: {word} is not in {said}");
        }
        let zones = sniffed["unsure"].as_array().expect("an array").iter();
        let others = zones.filter(|s| !s.as_str().expect("a text").starts_with("the zone")).count();
        assert_eq!(others > 0, !unsure.is_empty(), "{name}: {said}");
    }
}

#[test]
fn what_sniff_can_not_read_it_says_with_what_would_help() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let document = br#"{"account":{"iban":"NL02"},"transactions":{"booked":[{"a":1},{"a":2}]}}"#;
    for (name, content, said) in [
        ("empty.csv", &b""[..], "it is empty"),
        ("blank.csv", b" \r\n\n", "nothing but spaces"),
        ("book.xlsx", b"PK\x03\x04....", "Excel workbook; save the sheet as CSV"),
        ("camt.xml", b"<?xml version=\"1.0\"?><Document/>", "it is XML (such as camt.053"),
        ("sta.txt", b":20:STARTUMS\r\n:25:12030000/0\r\n", "SWIFT message (such as MT940)"),
        ("zeros.csv", b"a,b\n\x001,2\n", "it is no text"),
        ("answer.json", document, "jq -c '.transactions.booked[]' FILE"),
        ("list.json", b"[{\"a\":1}]", "jq -c '.[]' FILE"),
        ("mac.csv", b"at,n\r2024-05-01,1\r", "carriage returns alone"),
        ("words.txt", b"one\ntwo\nthree\n", "no delimiter"),
        ("header.csv", b"id,at\n", "a header and no records"),
        ("cut.csv.gz", b"\x1F\x8B\x08\x00", "ends too early"),
        ("utf32.csv", b"\xFF\xFE\x00\x00a\x00\x00\x00", "UTF-32"),
    ] {
        fs::write(here.join(name), content).expect("written");
        let refused = riskstream(here, &["sniff", name]).refused(2);
        assert!(refused.contains(said) && refused.contains(name), "{name}: {refused}");
    }
    assert!(riskstream(here, &["sniff", "gone.csv"]).refused(2).contains("no such file"));
    assert!(riskstream(here, &["sniff", "."]).refused(2).contains("it is a folder"));
}

#[test]
fn sniff_reads_what_the_program_itself_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let generate = |name: &str, of: &[&str]| {
        riskstream(here, &[&["generate", "--out", name, "--rows", "200"], of].concat()).ok();
        sniff(here, &here.join(name))
    };
    for name in ["p.csv", "p.json", "p.parquet"] {
        let sniffed = generate(name, &[]);
        assert_eq!((&sniffed["rows"], &sniffed["dead"]), (&json!(200), &json!(0)), "{sniffed:#}");
        let block = sniffed["block"].as_str().expect("a block");
        assert!(block.contains("column = \"tx_datetime\""), "{block}");
        assert_eq!(block.contains("tx_amount         = \"decimal(18,2)\""), name != "p.parquet");
    }
    let changes = sniff(here, &project("examples/servers/loan-changes.jsonl"));
    let block = changes["block"].as_str().expect("a block");
    assert!(block.contains("format = \"debezium-json\""), "{block}");
    assert!(changes["unsure"].to_string().contains("Debezium"), "{changes:#}");
    let payments = sniff(here, &trained().join("payments.csv"));
    assert_eq!(payments["dead"], 0, "{payments:#}");
}

#[test]
fn dead_letters_hold_the_bytes_of_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let text = "[riskstream]\ndead_rows_max = 1\n[sources.s]\nkind = \"file\"\npath = \"in.csv\"\n\
                encoding = \"latin1\"\ndecimal_mark = \",\"\ncsv = { delimiter = \";\" }\n\
                schema = { at = \"timestamp\", who = \"string\", amount = \"decimal(12,2)\" }\n\
                event_time = { column = \"at\" }\n[pipelines.p]\nfrom = \"s\"\n\
                [[pipelines.p.to]]\nid = \"t\"\nkind = \"delta\"\ntable = \"t\"\n\
                partition_by = []\n";
    fs::write(here.join("pipelines.toml"), text).expect("written");
    let content = b"at;who;amount\n2024-05-01;M\xFCller;1,50\n2024-05-01;J\xF6rg;1,505\n";
    fs::write(here.join("in.csv"), content).expect("written");
    riskstream(here, &["run"]).ok();
    let query = |sql: &str| riskstream(here, &["query", sql, "--format", "json"]).rows();
    let dead = query("select encode(bytes, 'hex') as hex, detail from dead_letters");
    assert_eq!(dead.len(), 1, "{dead:?}");
    let hex: String = content[37..58].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(dead[0]["hex"], hex.as_str(), "{dead:?}");
    assert!(dead[0]["detail"].as_str().expect("a text").contains("\"1,505\" has more than 2"));
}
