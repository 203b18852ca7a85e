//! The program as a user runs it: a process in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// The answer of a command that must have worked.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.err);
        self.out
    }

    /// The same, as JSON.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}:\n{text}"))
    }

    /// The rows of a query: a JSON array, or one object per line.
    #[track_caller]
    pub(crate) fn rows(self) -> Vec<Value> {
        let text = self.ok();
        if text.starts_with('[') {
            return serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}:\n{text}"));
        }
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}:\n{line}")))
            .collect()
    }

    /// The message of a command that must have been refused with this exit code: 2 where the
    /// configuration or the command line is wrong, 1 where what it needs is not there.
    #[track_caller]
    pub(crate) fn refused(self, code: i32) -> String {
        assert!([1, 2].contains(&code), "a run that began and failed is a `failed_run`");
        self.ended_with(code)
    }

    /// The message of a run that must have started, and of which a pipeline must have failed.
    #[track_caller]
    pub(crate) fn failed_run(self) -> String {
        self.ended_with(3)
    }

    #[track_caller]
    fn ended_with(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self.err
    }
}

/// Runs `riskstream ARGS` in a folder.
pub(crate) fn riskstream(folder: &Path, args: &[&str]) -> Said {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_riskstream"))
        .args(args)
        .current_dir(folder)
        .output()
        .expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program speaks UTF-8");
    Said { code: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
}

/// Runs `riskstream run ARGS` in a folder, of which `riskstream plan` must have said whether it
/// starts.
#[track_caller]
pub(crate) fn run_as_planned(folder: &Path, args: &[&str]) -> Said {
    let of_plan: Vec<&str> = args
        .chunks(2)
        .filter(|pair| ["--set", "--only"].contains(&pair[0]))
        .flatten()
        .copied()
        .collect();
    let planned = riskstream(folder, &[&["plan"], &of_plan[..]].concat());
    let run = riskstream(folder, &[&["run"], args].concat());
    assert_eq!(
        planned.code,
        if run.code == 0 { 0 } else { 2 },
        "{}{}\n\n{}{}",
        planned.out,
        planned.err,
        run.out,
        run.err
    );
    run
}

/// A file of the project's root. Cargo says at run time where that is: a target folder that two
/// checkouts share holds the path of only one.
pub(crate) fn project(path: &str) -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.join("..").join(path)
}

/// The same as an argument.
pub(crate) fn example(name: &str) -> String {
    project("examples").join(name).to_str().expect("UTF-8").to_owned()
}

/// A folder with `payments.csv`, simulated payments of 50 days, the data folder of a run of
/// [`FEATURES`] over them, and a registry with a model trained on it; made once for all tests,
/// which must not write to it.
pub(crate) fn trained() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let folder = tempfile::tempdir().expect("a folder");
            let size = ["--customers", "300", "--terminals", "400", "--days", "50"];
            riskstream(
                folder.path(),
                &[&["generate", "--out", "payments.csv"], &size[..]].concat(),
            )
            .ok();
            std::fs::write(folder.path().join("pipelines.toml"), FEATURES).expect("written");
            riskstream(folder.path(), &["run"]).ok();
            riskstream(folder.path(), &["train", "fraud-card", "--table", "payment_features"]).ok();
            folder
        })
        .path()
}

/// The Handbook's features of payments, landed.
pub(crate) const FEATURES: &str = concat!(
    r#"
[riskstream]
epoch = { rows = 5_000 }

[sources.payments]
kind       = "file"
path       = "payments.csv"
schema     = { transaction_id = "int64", tx_datetime = "timestamp", customer_id = "int64", "#,
    r#"terminal_id = "int64", tx_amount = "decimal(12,2)", tx_fraud = "int8" }
event_time = { column = "tx_datetime", out_of_orderness = "1h", ties_by = ["transaction_id"] }

[pipelines.card-fraud]
from = "payments"

[[pipelines.card-fraud.steps]]
id       = "customer-spending"
features = { customer_nb_tx = "count(*)", customer_avg_amount = "avg(tx_amount)" }
by       = "customer_id"
over     = ["1d", "7d", "30d"]

[[pipelines.card-fraud.steps]]
id       = "terminal-risk"
features = { terminal_nb_tx = "count(*)", terminal_risk = "avg(tx_fraud)" }
by       = "terminal_id"
over     = ["1d", "7d", "30d"]
delay    = "7d"
empty    = 0

[[pipelines.card-fraud.steps]]
id     = "calendar"
derive = { tx_during_weekend = "cast(date_part('dow', tx_datetime) in (0, 6) as int)", "#,
    r#"tx_during_night = "cast(date_part('hour', tx_datetime) <= 6 as int)" }

[[pipelines.card-fraud.to]]
id    = "features"
kind  = "delta"
table = "payment_features"
"#
);
