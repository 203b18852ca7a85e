//! Commands that begin with a backslash.

use std::path::PathBuf;
use std::time::Duration;

use riskstream_query::Form;

use crate::commands::query::chart::ChartKind;
use crate::config::suggest;

/// How often a watched statement runs where nothing is said.
const WATCH: Duration = Duration::from_secs(2);
/// The longest time between two runs, in seconds.
const WATCH_SECONDS_MAX: f64 = 86_400.0;

/// Commands as they are listed, each with what may follow it and what it does.
pub(super) const COMMANDS: [(&str, &str, &str); 18] = [
    ("\\d", "[NAME]", "tables and views, or the columns of one; `*` and `?` stand for any"),
    ("\\dt", "[NAME]", "tables alone"),
    ("\\dn", "", "schemas"),
    ("\\l", "", "databases"),
    ("\\x", "[on|off]", "a line for each value instead of a column"),
    ("\\format", "[NAME]", "how rows are written: table, csv, json, ndjson, parquet, arrow"),
    ("\\null", "[TEXT]", "what stands for NULL"),
    ("\\chart", "[KIND]", "results as charts: auto, bar, line, or off"),
    ("\\o", "[FILE]", "results into a file (.csv .json .ndjson .parquet .arrow .svg), until `\\o`"),
    ("\\timing", "[on|off]", "how long statements take"),
    ("\\watch", "[SECONDS]", "the last statement again and again, until Ctrl-C"),
    ("\\e", "", "the statement that has begun, or the last one, in $EDITOR"),
    ("\\i", "FILE", "the statements of a file"),
    ("\\p", "", "shows the statement that has begun, or the last one"),
    ("\\r", "", "forgets the statement that has begun"),
    ("\\h", "", "which statements there are"),
    ("\\?", "", "this list"),
    ("\\q", "", "leaves (so does Ctrl-D)"),
];

/// A command.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Slash {
    /// `\d` and `\dt`: what there is.
    List {
        pattern: Option<String>,
        tables_only: bool,
    },
    /// `\d NAME`.
    Describe(String),
    Schemas,
    Databases,
    Expanded(Option<bool>),
    Format(Option<Form>),
    Null(String),
    Chart(Option<ChartKind>),
    Output(Option<PathBuf>),
    Timing(Option<bool>),
    Watch(Duration),
    Edit,
    Include(PathBuf),
    Print,
    Reset,
    Statements,
    Help,
    Quit,
}

/// The command of a line that begins with a backslash.
///
/// # Errors
/// There is no such command, or what follows it is wrong.
pub(super) fn parse(line: &str) -> Result<Slash, String> {
    let line = line.trim().trim_end_matches(';').trim_end();
    let (name, rest) = match line.split_once(char::is_whitespace) {
        Some((name, rest)) => (name, rest.trim()),
        None => (line, ""),
    };
    let argument = argument(rest)?;
    let on_or_off = || match argument.as_deref() {
        None => Ok(None),
        Some("on" | "true" | "1") => Ok(Some(true)),
        Some("off" | "false" | "0") => Ok(Some(false)),
        Some(other) => Err(format!("`{name}` is on or off, not `{other}`")),
    };
    let file = || argument.clone().map(PathBuf::from);
    match name {
        // A `+` asks psql for more, which is all shown here.
        "\\d" | "\\d+" => Ok(match argument {
            Some(name) if !is_pattern(&name) => Slash::Describe(name),
            pattern => Slash::List { pattern, tables_only: false },
        }),
        "\\dt" | "\\dt+" => Ok(Slash::List { pattern: argument, tables_only: true }),
        "\\dn" | "\\dn+" => Ok(Slash::Schemas),
        "\\l" | "\\l+" => Ok(Slash::Databases),
        "\\x" => on_or_off().map(Slash::Expanded),
        "\\format" => format(argument).map(Slash::Format),
        "\\null" => Ok(Slash::Null(argument.unwrap_or_default())),
        "\\chart" => chart(argument).map(Slash::Chart),
        "\\o" | "\\out" => Ok(Slash::Output(file())),
        "\\timing" => on_or_off().map(Slash::Timing),
        "\\watch" => watch(argument).map(Slash::Watch),
        "\\e" | "\\edit" => Ok(Slash::Edit),
        "\\i" | "\\include" => {
            file().map(Slash::Include).ok_or_else(|| "`\\i` needs a file".to_owned())
        }
        "\\p" | "\\print" => Ok(Slash::Print),
        "\\r" | "\\reset" => Ok(Slash::Reset),
        "\\h" | "\\help" => Ok(Slash::Statements),
        "\\?" => Ok(Slash::Help),
        "\\q" | "\\quit" => Ok(Slash::Quit),
        other => {
            let names = COMMANDS.iter().map(|(name, ..)| *name);
            let near =
                suggest::closest(other, names).map(|near| format!("did you mean `{near}`? "));
            let near = near.unwrap_or_default();
            Err(format!("there is no command `{other}`: {near}`\\?` lists them"))
        }
    }
}

/// What follows a command: all of it, or what stands in quotes.
fn argument(rest: &str) -> Result<Option<String>, String> {
    if rest.is_empty() {
        return Ok(None);
    }
    let Some(quoted) = rest.strip_prefix('\'') else { return Ok(Some(rest.to_owned())) };
    match quoted.strip_suffix('\'') {
        Some(text) => Ok(Some(text.replace("''", "'"))),
        None => Err(format!("the quote is not closed: {rest}")),
    }
}

/// Whether a name stands for several.
pub(super) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?'])
}

fn format(name: Option<String>) -> Result<Option<Form>, String> {
    let Some(name) = name else { return Ok(None) };
    let names = Form::ALL.map(Form::name);
    let wrong = || format!("there is no form `{name}`: there are {}", names.join(", "));
    Form::of_name(&name).map(Some).ok_or_else(wrong)
}

fn chart(name: Option<String>) -> Result<Option<ChartKind>, String> {
    match name.as_deref() {
        None => Ok(Some(ChartKind::Auto)),
        Some("off" | "none") => Ok(None),
        Some(name) => ChartKind::of_name(name).map(Some).ok_or_else(|| {
            format!("there is no chart `{name}`: there are auto, bar, line and off")
        }),
    }
}

fn watch(seconds: Option<String>) -> Result<Duration, String> {
    let Some(text) = seconds else { return Ok(WATCH) };
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=WATCH_SECONDS_MAX).contains(&seconds) => {
            Ok(Duration::from_secs_f64(seconds))
        }
        Ok(_) | Err(_) => Err(format!("`{text}` is no number of seconds up to a day")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_as_psql_reads_them() {
        for (line, expected) in [
            ("\\d", Slash::List { pattern: None, tables_only: false }),
            ("\\d+ ", Slash::List { pattern: None, tables_only: false }),
            ("\\d loans;", Slash::Describe("loans".into())),
            ("\\d system.queries", Slash::Describe("system.queries".into())),
            ("\\d pay*", Slash::List { pattern: Some("pay*".into()), tables_only: false }),
            ("\\dt loans", Slash::List { pattern: Some("loans".into()), tables_only: true }),
            ("\\dn", Slash::Schemas),
            ("\\l", Slash::Databases),
            ("\\x", Slash::Expanded(None)),
            ("\\x on", Slash::Expanded(Some(true))),
            ("\\timing off", Slash::Timing(Some(false))),
            ("\\format", Slash::Format(None)),
            ("\\format ndjson", Slash::Format(Some(Form::Ndjson))),
            ("\\null '∅'", Slash::Null("∅".into())),
            ("\\null", Slash::Null(String::new())),
            ("\\chart", Slash::Chart(Some(ChartKind::Auto))),
            ("\\chart line", Slash::Chart(Some(ChartKind::Line))),
            ("\\chart off", Slash::Chart(None)),
            ("\\o a b.csv", Slash::Output(Some("a b.csv".into()))),
            ("\\o 'it''s.csv'", Slash::Output(Some("it's.csv".into()))),
            ("\\o", Slash::Output(None)),
            ("\\watch", Slash::Watch(Duration::from_secs(2))),
            ("\\watch 0.5", Slash::Watch(Duration::from_millis(500))),
            ("\\i report.sql", Slash::Include("report.sql".into())),
            ("\\e", Slash::Edit),
            ("\\?", Slash::Help),
            ("\\q;", Slash::Quit),
        ] {
            assert_eq!(parse(line).as_ref(), Ok(&expected), "{line}");
        }
    }

    #[test]
    fn what_is_no_command_is_told_with_what_is() {
        for (line, said) in [
            ("\\formt csv", "did you mean `\\format`?"),
            ("\\nothing_like_it", "`\\?` lists them"),
            ("\\format xml", "there are table, csv"),
            ("\\chart pie", "auto, bar, line"),
            ("\\x maybe", "on or off"),
            ("\\watch -1", "seconds"),
            ("\\watch nan", "seconds"),
            ("\\i", "needs a file"),
            ("\\o 'open", "not closed"),
            ("\\", "`\\?` lists them"),
        ] {
            let refused = parse(line).expect_err(line);
            assert!(refused.contains(said), "{line}: {refused}");
        }
    }

    #[test]
    fn every_command_that_is_listed_is_known() {
        for (name, takes, _) in COMMANDS {
            let argument = match takes {
                "FILE" => " a.sql",
                _ => "",
            };
            assert!(parse(&format!("{name}{argument}")).is_ok(), "{name}");
        }
    }
}
