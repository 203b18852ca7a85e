//! What commands do.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use riskstream_query::service::Cancel;
use riskstream_query::{Form, QueryError};

use super::lines::{Lines, TextLines};
use super::names::{PUBLIC, Table};
use super::slash::{Slash, parse};
use super::state::Shell;
use super::{describe, edit, text};
use crate::commands::query::chart::ChartKind;
use crate::commands::query::failure::{Origin, query_failed};
use crate::commands::query::feed::Feed;
use crate::commands::query::output::{FileForm, OutFile};
use crate::commands::query::pending::{Pending, Piece};
use crate::commands::query::show::{How, ShowError, show};
use crate::commands::{CommandError, failed};
use crate::config::suggest;

/// Files that name each other.
const DEPTH_MAX: usize = 16;

/// What comes after a command.
pub(super) enum Next {
    /// The next line.
    Line,
    /// The lines of a file, and then the next line.
    File(TextLines<BufReader<File>>),
    /// Nothing.
    End,
}

/// Does what a command says.
pub(super) fn command(
    shell: &mut Shell<'_>,
    lines: &mut dyn Lines,
    pending: &mut Pending,
    line: &str,
) -> Result<Next, CommandError> {
    let slash = parse(line).map_err(|message| CommandError::Usage { message, help: None })?;
    match slash {
        Slash::List { pattern, tables_only } => {
            let listed = aside(shell, &describe::list(pattern.as_deref(), tables_only))?;
            if let (0, Some(pattern)) = (listed, pattern) {
                writeln!(shell.streams.out, "Nothing is called {pattern}.")?;
            }
        }
        Slash::Describe(name) => describe_table(shell, &name)?,
        Slash::Schemas => {
            aside(shell, describe::SCHEMAS)?;
        }
        Slash::Databases => {
            aside(shell, describe::DATABASES)?;
        }
        Slash::Expanded(chosen) => {
            shell.view.expanded = chosen.unwrap_or(!shell.view.expanded);
            on_or_off(shell, "Expanded display", shell.view.expanded)?;
        }
        Slash::Timing(chosen) => {
            shell.view.timing = chosen.unwrap_or(!shell.view.timing);
            on_or_off(shell, "Timing", shell.view.timing)?;
        }
        Slash::Format(form) => {
            shell.view.form = form.unwrap_or(shell.view.form);
            writeln!(shell.streams.out, "Rows are written as {}.", shell.view.form.name())?;
        }
        Slash::Null(text) => shell.view.null = text,
        Slash::Chart(kind) => {
            shell.view.chart = kind;
            let said = match kind {
                None => "Results are rows.",
                Some(ChartKind::Auto) => "Results are charts, or rows after `\\chart off`.",
                Some(ChartKind::Bar) => "Results are bars, or rows after `\\chart off`.",
                Some(ChartKind::Line) => "Results are lines, or rows after `\\chart off`.",
            };
            writeln!(shell.streams.out, "{said}")?;
        }
        Slash::Output(path) => output(shell, path.as_deref())?,
        Slash::Watch(every) => watch(shell, every)?,
        Slash::Edit => edit_statement(shell, lines, pending)?,
        Slash::Include(path) => return include(shell, &path),
        Slash::Print => {
            let text = if pending.is_blank() { shell.last.trim() } else { pending.rest().trim() };
            writeln!(shell.streams.out, "{text}")?;
        }
        Slash::Reset => pending.clear(),
        Slash::Statements => write!(shell.streams.out, "{}", text::STATEMENTS)?,
        Slash::Help => write!(shell.streams.out, "{}", text::commands())?,
        Slash::Quit => return Ok(Next::End),
    }
    Ok(Next::Line)
}

fn on_or_off(shell: &mut Shell<'_>, what: &str, is_on: bool) -> Result<(), CommandError> {
    Ok(writeln!(shell.streams.out, "{what} is {}.", if is_on { "on" } else { "off" })?)
}

/// The rows of a statement of the shell's own.
fn rows(shell: &mut Shell<'_>, statement: &str) -> Result<Feed, CommandError> {
    let cancel = Cancel::default();
    let going = shell.interrupts.running(&cancel);
    let rows = shell.asker.rows_of(statement, &cancel).and_then(|feed| {
        let schema = feed.schema().clone();
        Ok::<_, QueryError>(Feed::of_rows(schema, feed.all()?))
    });
    drop(going);
    rows.map_err(query_failed)
}

/// Shows the rows of a statement of the shell's own on the screen; gives their number.
fn aside(shell: &mut Shell<'_>, statement: &str) -> Result<u64, CommandError> {
    let feed = rows(shell, statement)?;
    table(shell, feed)
}

fn table(shell: &mut Shell<'_>, feed: Feed) -> Result<u64, CommandError> {
    let settings = shell.view.of_screen(shell.streams.screen, shell.asker.time_zone());
    match show(feed, &How::Rows(Form::Table, &settings), shell.streams.out) {
        Ok(written) => Ok(written.rows),
        Err(ShowError::Query(error)) => Err(query_failed(error)),
        Err(ShowError::Write(error)) => Err(error.into()),
        Err(ShowError::Unwritable(message)) => Err(CommandError::Failed { message }),
        Err(ShowError::NoChart(no_chart)) => Err(failed(no_chart)),
    }
}

fn describe_table(shell: &mut Shell<'_>, name: &str) -> Result<(), CommandError> {
    let unquoted = name.replace('"', "");
    let (schema, table_name) = unquoted.split_once('.').unwrap_or((PUBLIC, unquoted.as_str()));
    let columns =
        rows(shell, &describe::columns(schema, table_name))?.all().map_err(query_failed)?;
    let seen = column_names(&columns);
    if seen.is_empty() {
        let names: Vec<String> = shell.names.tables.iter().map(full_name).collect();
        let names = names.iter().map(|name| name.strip_prefix("public.").unwrap_or(name));
        return Err(CommandError::Usage {
            message: format!("there is no table `{name}`"),
            help: suggest::help(name, names, "`\\d` lists them: there are"),
        });
    }
    let about = rows(shell, &describe::about(schema, table_name))?.all().map_err(query_failed)?;
    let about = column_names(&about).into_iter().next();
    let about = about.map_or(String::new(), |about| format!(": {about}"));
    writeln!(shell.streams.out, "{schema}.{table_name}{about}")?;
    if let Some(first) = columns.first() {
        let feed = Feed::of_rows(first.schema(), columns.clone());
        table(shell, feed)?;
    }
    if schema == PUBLIC
        && let Some(fact) = shell.asker.facts().get(table_name)
    {
        for line in describe::facts(fact, |column| seen.iter().any(|name| name == column)) {
            writeln!(shell.streams.out, "{line}")?;
        }
    }
    Ok(())
}

fn full_name(table: &Table) -> String {
    format!("{}.{}", table.schema, table.name)
}

/// The texts of the first column.
fn column_names(batches: &[RecordBatch]) -> Vec<String> {
    let first = batches.iter().filter_map(|batch| batch.columns().first());
    let texts = first.filter_map(|array| cast(array, &DataType::Utf8).ok());
    texts
        .flat_map(|texts| {
            let texts = texts.as_string::<i32>();
            texts.iter().flatten().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
}

/// Results go to another file, or to the screen again.
fn output(shell: &mut Shell<'_>, path: Option<&Path>) -> Result<(), CommandError> {
    shell.finish()?;
    let Some(path) = path else { return Ok(()) };
    // A name that tells nothing holds what the screen would show.
    let form = FileForm::of(path, None).unwrap_or(FileForm::Rows(shell.view.form));
    shell.file = Some(OutFile::create(path, form, &shell.interrupts)?);
    Ok(())
}

/// Runs the last statement again and again.
fn watch(shell: &mut Shell<'_>, every: Duration) -> Result<(), CommandError> {
    let text = shell.last.clone();
    if text.trim().is_empty() {
        return Err(CommandError::Usage {
            message: "no statement has been run that could be watched".to_owned(),
            help: Some("run one first".to_owned()),
        });
    }
    loop {
        let now = chrono::Utc::now().format("%Y-%m-%d %H:%M:%S UTC");
        writeln!(shell.streams.out, "{now} (every {})", humantime::format_duration(every))?;
        let origin = Origin { name: None, text: &text, lines_before: 0 };
        shell.statement(&origin, Piece { start: 0, end: text.len() }, true)?;
        shell.streams.out.flush()?;
        if shell.interrupts.wait(every) {
            return Ok(());
        }
    }
}

/// Has the statement edited that has begun, or the last one.
fn edit_statement(
    shell: &mut Shell<'_>,
    lines: &mut dyn Lines,
    pending: &mut Pending,
) -> Result<(), CommandError> {
    if lines.name().is_some() {
        return Err(CommandError::Usage {
            message: "a file has nobody who could edit it".to_owned(),
            help: None,
        });
    }
    let text = match pending.is_blank() {
        true if shell.last.trim().is_empty() => String::new(),
        true => format!("{};\n", shell.last.trim()),
        false => pending.rest().to_owned(),
    };
    shell.streams.out.flush()?;
    let edited = edit::edit(&text, &shell.interrupts).map_err(failed)?;
    pending.clear();
    lines.offer(edited.trim_end().to_owned());
    Ok(())
}

/// The lines of a file.
fn include(shell: &Shell<'_>, path: &Path) -> Result<Next, CommandError> {
    if shell.depth >= DEPTH_MAX {
        return Err(CommandError::Usage {
            message: format!("{} is the {DEPTH_MAX}th file that another one names", path.display()),
            help: Some("files that name each other have no end".to_owned()),
        });
    }
    let file = File::open(path).map_err(|error| CommandError::Usage {
        message: format!("{} can't be read: {error}", path.display()),
        help: None,
    })?;
    Ok(Next::File(TextLines::new(path.display().to_string(), BufReader::new(file))))
}
