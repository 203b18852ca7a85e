//! The loop, without a terminal.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use super::lines::{Line, Lines};
use super::names::Names;
use super::*;
use crate::commands::CommandError;
use crate::commands::query::asker::Asker;
use crate::commands::query::interrupts::Interrupts;
use crate::commands::query::output::OutFile;
use crate::commands::query::screen::Screen;
use crate::commands::query::view::View;
use crate::config;

const CONFIG: &str = r#"
[riskstream]
data = "data"

[sources.payments]
kind       = "file"
path       = "payments.csv"
schema     = { id = "int64", at = "timestamp" }
event_time = { column = "at" }

[pipelines.p]
from = "payments"

[[pipelines.p.to]]
id    = "t"
kind  = "delta"
table = "t"
"#;

/// What somebody types, or what stands in a file.
#[derive(Debug)]
struct Script {
    name: Option<&'static str>,
    lines: VecDeque<Line>,
    prompts: Vec<String>,
    offered: Option<String>,
    learned: bool,
}

impl Lines for Script {
    fn name(&self) -> Option<&str> {
        self.name
    }

    fn next(&mut self, prompt: &str, _begun: &str) -> io::Result<Line> {
        self.prompts.push(prompt.to_owned());
        Ok(self.lines.pop_front().unwrap_or(Line::End))
    }

    fn offer(&mut self, text: String) {
        self.offered = Some(text);
    }

    fn learn(&mut self, _names: Names) {
        self.learned = true;
    }
}

/// What came of it.
struct Came {
    out: String,
    notes: String,
    script: Script,
    ended: Result<(), CommandError>,
}

fn shell_in(folder: &Path, name: Option<&'static str>, lines: Vec<Line>) -> Came {
    let file = folder.join("pipelines.toml");
    std::fs::create_dir_all(folder.join("data").join("tables")).expect("a folder");
    let data = folder.join("data").display().to_string();
    std::fs::write(&file, CONFIG.replace("\"data\"", &format!("{data:?}"))).expect("written");
    let config = config::load(&file, &[]).expect("it is a configuration");
    let asker = Asker::open(&config, None).expect("a session");
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    let streams = Streams { out: &mut out, notes: &mut notes, screen: Screen::default() };
    let none: Option<OutFile> = None;
    let mut shell = Shell::new(asker, View::default(), streams, Interrupts::default(), none);
    let mut script =
        Script { name, lines: lines.into(), prompts: Vec::new(), offered: None, learned: false };
    let ended = run(&mut shell, &mut script).and_then(|()| shell.finish());
    drop(shell);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Came { out: text(out), notes: text(notes), script, ended }
}

fn typed(lines: &[&str]) -> Came {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = lines.iter().map(|line| Line::Text((*line).to_owned())).collect();
    shell_in(folder.path(), None, lines)
}

fn of_file(lines: &[&str]) -> Came {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = lines.iter().map(|line| Line::Text((*line).to_owned())).collect();
    shell_in(folder.path(), Some("a.sql"), lines)
}

#[test]
fn statements_go_over_lines_and_an_error_does_not_end_what_is_typed() {
    let came =
        typed(&["select 1 as a,", " 2 as b;", "selec 1;", "\\formt", "select 3 as c;", "\\q", "x"]);
    assert!(came.ended.is_ok());
    assert!(came.out.contains("| 1 | 2 |\n"), "{}", came.out);
    assert!(came.out.contains("| 3 |\n+---+\n(1 row)\n"), "{}", came.out);
    assert!(came.notes.contains("error: syntax error"), "{}", came.notes);
    assert!(came.notes.contains("1 | selec 1;"), "{}", came.notes);
    assert!(came.notes.contains("did you mean `\\format`?"), "{}", came.notes);
    assert_eq!(came.script.lines.len(), 1, "nothing is read behind \\q");
    assert_eq!(came.script.prompts[..3], ["riskstream=> ", "riskstream-> ", "riskstream=> "]);
    assert!(came.script.learned);
}

#[test]
fn what_is_dropped_is_forgotten() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = |text: &str| Line::Text(text.to_owned());
    let lines = vec![text("select 1 +"), Line::Dropped, text("select 2 as b;"), Line::End];
    let came = shell_in(folder.path(), None, lines);
    assert!(came.out.contains("| 2 |") && came.notes.is_empty(), "{}{}", came.out, came.notes);
}

#[test]
fn a_file_ends_with_its_first_error_and_says_where() {
    let came =
        of_file(&["-- a report", "select 1 as a;", "\\x on", "select 'ä' as b,", "  frm x y;"]);
    let error = came.ended.expect_err("it is no SQL").to_string();
    assert!(error.contains("--> a.sql:5:9"), "{error}");
    assert!(came.out.contains("| 1 |\n+---+\nExpanded display is on.\n"), "{}", came.out);
    assert!(came.notes.is_empty() && !came.script.learned);
    let came = of_file(&["select 1 as a", "  ;", "\\i none.sql", "select 2"]);
    let error = came.ended.expect_err("there is no file").to_string();
    assert!(error.starts_with("a.sql:3: none.sql can't be read"), "{error}");
    // A last statement needs no semicolon.
    let came = of_file(&["select 7 as a"]);
    assert!(came.ended.is_ok() && came.out.contains("| 7 |"), "{}", came.out);
    assert!(!came.out.contains("row)"), "only rows: {}", came.out);
}

#[test]
fn commands_change_how_results_look() {
    let came = typed(&[
        "\\null ∅",
        "\\format csv",
        "select null as a, 'x' as b;",
        "\\format json",
        "select 1 as a;",
        "\\format table",
        "\\x",
        "select 1 as a;",
        "\\chart bar",
        "select 'k' as k, 1 as n;",
        "\\chart off",
        "\\timing on",
        "begin;",
        "commit;",
        "\\p",
    ]);
    assert_eq!(came.notes, "");
    for text in [
        "a,b\n∅,x\n",
        "[{\"a\":1}]\n",
        "-[ RECORD 1 ]",
        "k   n\nk │█",
        "BEGIN\nTime: ",
        "COMMIT\nTime: ",
    ] {
        assert!(came.out.contains(text), "{text} in {}", came.out);
    }
    assert!(came.out.ends_with("\ncommit\n"), "{}", came.out);
    assert!(came.script.prompts.iter().any(|prompt| prompt == "riskstream=*> "));
}

#[test]
fn results_go_to_a_file_until_there_is_another_or_one_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let command = |name: &str| Line::Text(format!("\\o {}", path(name).display()));
    let text = |text: &str| Line::Text(text.to_owned());
    let lines = vec![
        command("a.csv"),
        text("select 1 as a;"),
        text("select 2 as b;"),
        command("b.parquet"),
        text("select 3 as c;"),
        text("select 4 as d;"),
        command("c.csv"),
        text("select 1 as a; select 1 / 0 as a;"),
        text("select 5 as e;"),
    ];
    let came = shell_in(folder.path(), None, lines);
    let read = |name: &str| std::fs::read_to_string(path(name)).ok();
    assert_eq!(read("a.csv").as_deref(), Some("a\n1\nb\n2\n"));
    // The second result has no place in such a file, so that there is none.
    assert!(
        !path("b.parquet").exists() && came.notes.contains("holds one result"),
        "{}",
        came.notes
    );
    assert!(
        !path("c.csv").exists() && came.notes.contains("error: division by zero"),
        "{}",
        came.notes
    );
    assert!(came.out.contains("| 5 |"), "{}", came.out);
    assert!(came.ended.is_ok());
}

#[test]
fn what_there_is_is_listed_and_described() {
    let came =
        typed(&["\\d system.queries", "\\dt nothing*", "\\dn", "\\l", "\\d nothing", "\\?", "\\h"]);
    for text in [
        "system.queries: statements that run, and the last that ran\n",
        "| statement ",
        "| text ",
        "Nothing is called nothing*.",
        "| system ",
        "| riskstream |",
        "\\format [NAME]",
        "explain [analyze]",
    ] {
        assert!(came.out.contains(text), "{text} in {}", came.out);
    }
    assert!(came.notes.contains("there is no table `nothing`"), "{}", came.notes);
}

#[test]
fn files_that_name_each_other_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("again.sql");
    std::fs::write(&path, format!("select 1 as a;\n\\i {}\n", path.display())).expect("written");
    let lines = vec![Line::Text(format!("\\i {}", path.display())), Line::End];
    let came = shell_in(folder.path(), None, lines);
    assert!(came.notes.contains("files that name each other"), "{}", came.notes);
    assert_eq!(came.out.matches("| 1 |").count(), 16, "{}", came.out);
}

#[test]
fn a_watched_statement_ends_with_its_error() {
    let came = typed(&["\\watch 0", "select 1 / 0;", "\\watch 0"]);
    assert!(came.notes.contains("no statement has been run"), "{}", came.notes);
    assert_eq!(came.notes.matches("error: division by zero").count(), 2, "{}", came.notes);
    assert!(came.out.contains("UTC (every 0s)"), "{}", came.out);
}
