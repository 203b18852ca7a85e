//! What becomes of a data folder when the file changes between two runs: a table of changes,
//! through the program, over real data folders.
//!
//! Each case runs one file over the first part of an input, and another over the second part on the
//! same data folder. Where that goes on, the tables are compared with those of a run of the second
//! file over all input: no number may be another. Where a change is taken with something that is
//! not known yet, it must be null, or its row not be there, and from a given place on all must be
//! known. Where it is refused, the message is checked, and the first file must go on as if nothing
//! had been tried. What `riskstream plan` says before must be what the run then does.

mod steps;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use clap::Parser;
use riskstream_pipeline::cli::{Cli, Command};
use riskstream_pipeline::commands;
use riskstream_query::Catalog;
use serde_json::{Map, Value};

/// Rows of each part; a row a minute.
pub(crate) const ROWS: i64 = 120;

/// One file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    /// The columns of the source.
    pub(crate) schema: &'static str,
    /// `event_time` of the source.
    pub(crate) event_time: &'static str,
    /// More lines of the source.
    pub(crate) source: &'static str,
    /// Lines of the pipeline, such as `order`.
    pub(crate) pipeline: &'static str,
    /// Its steps.
    pub(crate) steps: &'static str,
    /// Its destinations; a table named `out` at least.
    pub(crate) to: &'static str,
}

/// What every file has unless it says otherwise.
pub(crate) const SETUP: Setup = Setup {
    schema: concat!(
        r#"id = "int64", at = "timestamp", k = "string", g = "string", "#,
        r#"amount = "decimal(12,2)", fee = "decimal(12,2)", n = "int64""#
    ),
    event_time: r#"column = "at", out_of_orderness = "0s", ties_by = ["id"]"#,
    source: "",
    pipeline: "",
    steps: "",
    to: r#"{ id = "out", kind = "delta", table = "out" }"#,
};

/// What is expected of a change.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expected {
    /// The tables are those of a run over all input.
    GoesOn,
    /// As `GoesOn`, but in these columns nothing may be known, and rows may be missing, except
    /// where the SQL condition holds.
    Taken {
        /// The columns.
        unknown: &'static [&'static str],
        /// Where all is known.
        complete: &'static str,
    },
    /// The second run is refused, and says all of this.
    Refused(&'static [&'static str]),
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) before: Setup,
    pub(crate) after: Setup,
    /// Columns that tell the rows of `out` apart; of rows that are equal in them the one with the
    /// largest `revision` counts.
    pub(crate) key: &'static str,
    pub(crate) expected: Expected,
}

/// Columns that say how a run went, not what its rows are.
const OF_THE_RUN: [&str; 4] = ["revision", "is_final", "complete_through", "event_date"];

#[test]
fn changes_between_runs_go_on_are_taken_or_are_refused() {
    let cases = steps::cases();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let failures = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) =
                    cases.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    if let Err(failure) = check(case) {
                        failures.lock().unwrap().push(format!("{}: {failure}", case.name));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(
        failures.is_empty(),
        "{} of {} cases:\n\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n\n")
    );
}

fn check(case: &Case) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let here = folder.path();
    let input = here.join("in");
    for folder in [&input, &here.join("all")] {
        std::fs::create_dir(folder).map_err(|e| e.to_string())?;
    }
    write_rows(&input.join("part1.csv"), 0..ROWS);
    // A run over all input reads one file, so that its rows arrive in their order.
    write_rows(&here.join("all/rows.csv"), 0..2 * ROWS);
    run(here, "evolved", &case.before, 2).map_err(|said| format!("the first run: {said}"))?;
    write_rows(&input.join("part2.csv"), ROWS..2 * ROWS);
    let planned = plan(here, "evolved", &case.after)?;
    let changed = run(here, "evolved", &case.after, 1);
    agree(&planned, &changed)?;
    match (case.expected, changed) {
        (Expected::Refused(fragments), Err(said)) => {
            let missing: Vec<&&str> =
                fragments.iter().filter(|fragment| !said.contains(**fragment)).collect();
            if !missing.is_empty() {
                return Err(format!("the refusal does not say {missing:?}:\n{said}"));
            }
            run(here, "evolved", &case.before, 2)
                .map_err(|said| format!("the first file does not go on after it: {said}"))?;
            run(here, "fresh", &case.before, 2).map_err(|said| format!("the fresh run: {said}"))?;
            compare(here, case, &[], "true")
        }
        (Expected::Refused(_), Ok(())) => Err("it was not refused".into()),
        (_, Err(said)) => Err(format!("it was refused: {said}")),
        (expected, Ok(())) => {
            run(here, "fresh", &case.after, 2).map_err(|said| format!("the fresh run: {said}"))?;
            match expected {
                Expected::Taken { unknown, complete } => compare(here, case, unknown, complete),
                Expected::GoesOn | Expected::Refused(_) => compare(here, case, &[], "true"),
            }
        }
    }
}

/// Rows whose columns differ from row to row, so that no value is by chance a sum of others.
fn write_rows(file: &Path, ids: std::ops::Range<i64>) {
    let mut text = String::from("id,at,k,g,amount,fee,n\n");
    for id in ids {
        let (hour, minute) = (id / 60, id % 60);
        let (k, g) = (["a", "b", "c"][(id * 7 % 3) as usize], ["x", "y"][(id / 5 % 2) as usize]);
        let (amount, fee) = (100 + id * 37 % 1_009, 7 + id * 53 % 211);
        writeln!(
            text,
            "{id},2024-03-01T{hour:02}:{minute:02}:00Z,{k},{g},{amount}.{:02},{fee}.5,{}",
            id % 100,
            id * id % 17
        )
        .unwrap();
    }
    std::fs::write(file, text).unwrap();
}

/// Writes the file of a run on a data folder of this name.
fn configure(here: &Path, data: &str, setup: &Setup) -> Result<String, String> {
    let Setup { schema, event_time, source, pipeline, steps, to } = setup;
    let at = |name: &str| here.join(name).display().to_string();
    let text = format!(
        "[riskstream]\ndata = '{}'\nepoch = {{ rows = 25 }}\n\n[sources.s]\nkind = \"file\"\n\
         path = '{}'\nschema = {{ {schema} }}\n\
         event_time = {{ {event_time} }}\n{source}\n\n[pipelines.p]\nfrom = \"s\"\n{pipeline}\n\
         steps = [{steps}]\nto = [{to}]\n",
        at(data),
        at(if data == "fresh" { "all/*.csv" } else { "in/*.csv" })
    );
    let file = at("pipelines.toml");
    std::fs::write(&file, text).map_err(|e| e.to_string())?;
    Ok(file)
}

/// What the program says that a run on the data folder would do.
fn plan(here: &Path, data: &str, setup: &Setup) -> Result<Value, String> {
    let file = configure(here, data, setup)?;
    let cli = Cli::try_parse_from(["riskstream", "plan", &file, "--format", "json"])
        .map_err(|e| e.to_string())?;
    let Some(Command::Plan(args)) = cli.command else { return Err("not a plan".into()) };
    let mut out = Vec::new();
    let starts = commands::plan::plan(&args, &mut out).map_err(|error| error.render(false))?;
    let said: Value = serde_json::from_slice(&out).map_err(|e| e.to_string())?;
    // The program ends with 0 where this is true, else with 2.
    if said["would_start"] != starts {
        Err(format!("it ends with {starts} and says {said:#}"))
    } else {
        Ok(said)
    }
}

/// Whether a run did what was planned, and was refused for a reason that was told.
fn agree(planned: &Value, run: &Result<(), String>) -> Result<(), String> {
    let items: Vec<&Value> = planned["pipelines"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|p| p["items"].as_array())
        .flatten()
        .collect();
    let in_the_way: Vec<&&Value> = items
        .iter()
        .filter(|item| ["needs_decision", "is_refused"].iter().any(|fate| item["fate"] == *fate))
        .collect();
    match run {
        Ok(()) if planned["would_start"] == true && in_the_way.is_empty() => Ok(()),
        Err(_) if in_the_way.is_empty() => {
            Err(format!("a run is refused that was planned to start: {planned:#}"))
        }
        Err(said) if planned["would_start"] == false => {
            // A run stops at the first thing that is in the way.
            let is_said = in_the_way
                .iter()
                .any(|item| item["detail"].as_str().is_some_and(|detail| said.contains(detail)));
            if is_said {
                Ok(())
            } else {
                Err(format!("the plan says {planned:#}\nthe run says {said}"))
            }
        }
        Ok(()) | Err(_) => Err(format!("the plan says {planned:#}\nthe run {run:?}")),
    }
}

/// Runs the program on a data folder of this name; the message of a run that is refused.
fn run(here: &Path, data: &str, setup: &Setup, workers: u16) -> Result<(), String> {
    let (file, workers) = (configure(here, data, setup)?, workers.to_string());
    let cli = Cli::try_parse_from([
        "riskstream",
        "run",
        &file,
        "--workers",
        &workers,
        "--format",
        "json",
    ])
    .map_err(|e| e.to_string())?;
    let Some(Command::Run(args)) = cli.command else { return Err("not a run".into()) };
    commands::run::run(&args, &mut Vec::new()).map_err(|error| error.render(false))
}

/// Rows by their key, and whether a condition holds for each.
type RowsByKey = BTreeMap<String, (Map<String, Value>, bool)>;

/// The rows of a folder's table `out` by their key, and whether the condition holds for them.
fn rows(here: &Path, data: &str, case: &Case, condition: &str) -> Result<RowsByKey, String> {
    let catalog = Catalog::open(here.join(data).join("tables")).map_err(|e| e.to_string())?;
    let sql = format!("select *, coalesce(({condition}), false) as condition_holds from out");
    let mut found: RowsByKey = BTreeMap::new();
    for batch in catalog.sql(&sql).map_err(|e| format!("{sql}: {e}"))? {
        let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
        writer.write(&batch).and_then(|()| writer.finish()).map_err(|e| e.to_string())?;
        for line in writer.into_inner().split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
        {
            let mut row: Map<String, Value> =
                serde_json::from_slice(line).map_err(|e| e.to_string())?;
            let holds = row.remove("condition_holds") == Some(Value::Bool(true));
            let key: Vec<String> =
                case.key.split(", ").map(|column| format!("{:?}", row.get(column))).collect();
            let revision = |row: &Map<String, Value>| row.get("revision").and_then(Value::as_i64);
            let key = key.join(" ");
            match found.get(&key) {
                Some((known, _)) if revision(known).is_none() => {
                    return Err(format!("{data} has two rows of {key}"));
                }
                Some((known, _)) if revision(known) > revision(&row) => {}
                Some(_) | None => {
                    found.insert(key, (row, holds));
                }
            }
        }
    }
    found
        .values_mut()
        .for_each(|(row, _)| row.retain(|column, _| !OF_THE_RUN.contains(&column.as_str())));
    Ok(found)
}

fn compare(here: &Path, case: &Case, unknown: &[&str], complete: &str) -> Result<(), String> {
    let (evolved, fresh) =
        (rows(here, "evolved", case, complete)?, rows(here, "fresh", case, complete)?);
    if !fresh.values().any(|(_, holds)| *holds) {
        return Err("there is nothing to compare".into());
    }
    if let Some((key, (row, _))) = evolved.iter().find(|(key, _)| !fresh.contains_key(*key)) {
        return Err(format!("there is a row that should not be: {key}: {row:?}"));
    }
    let mut unknown_values = 0;
    for (key, (right, is_complete)) in &fresh {
        let Some((row, _)) = evolved.get(key) else {
            unknown_values += 1;
            if *is_complete {
                return Err(format!("a row is missing: {key}: {right:?}"));
            }
            continue;
        };
        for column in row.keys().chain(right.keys()) {
            let (is, should_be) = (row.get(column), right.get(column));
            if is == should_be {
                continue;
            }
            unknown_values += 1;
            if is.is_some() || *is_complete || !unknown.contains(&column.as_str()) {
                return Err(format!("{key}: {column} is {is:?}, a fresh run says {should_be:?}"));
            }
        }
    }
    if complete != "true" && unknown_values == 0 {
        return Err("everything is known: the case should say that it goes on".into());
    }
    Ok(())
}
