//! The loop: a line, what it asks for, the next line.

use std::io;
use std::time::{Duration, Instant};

use riskstream_query::service::Cancel;

use super::command::{Next, command};
use super::lines::{Line, Lines};
use super::names::{Names, STATEMENT};
use super::state::Shell;
use crate::commands::CommandError;
use crate::commands::query::failure::Origin;
use crate::commands::query::pending::Pending;
use crate::commands::takes_color;

/// How long names of tables count as known.
const NAMES_KEPT: Duration = Duration::from_secs(60);

/// Does what lines say until they end or `\q`.
///
/// # Errors
/// Where nobody types: the first error. Else only that nothing can be read or written any more.
pub(in crate::commands::query) fn run(
    shell: &mut Shell<'_>,
    lines: &mut dyn Lines,
) -> Result<(), CommandError> {
    let talks = lines.name().is_none();
    let mut pending = Pending::default();
    loop {
        if talks {
            learn(shell, lines);
        }
        shell.streams.out.flush()?;
        let prompt = prompt(shell, &pending);
        let line =
            lines.next(&prompt, pending.rest()).map_err(|error| unreadable(lines, &error))?;
        let text = match line {
            Line::Text(text) => text,
            Line::Dropped => {
                pending.clear();
                continue;
            }
            Line::End => {
                if !talks && !pending.is_blank() {
                    statements(shell, lines, &mut pending, true)?;
                }
                return Ok(());
            }
        };
        let done = if text.trim_start().starts_with('\\') && !pending.is_open() {
            match one_command(shell, lines, &mut pending, &text) {
                Ok(Next::Line) => Ok(()),
                Ok(Next::File(mut of_file)) => {
                    shell.depth += 1;
                    let done = run(shell, &mut of_file);
                    shell.depth -= 1;
                    done
                }
                Ok(Next::End) => return Ok(()),
                Err(error) => Err(error),
            }
        } else {
            pending.push(&text).map_err(usage).and_then(|()| match talks || text.contains(';') {
                true => statements(shell, lines, &mut pending, false),
                false => Ok(()),
            })
        };
        match done {
            Ok(()) => {}
            Err(error) if talks && !matches!(error, CommandError::Output(_)) => {
                pending.clear();
                shell.streams.out.flush()?;
                let color = takes_color(&io::stderr());
                writeln!(shell.streams.notes, "{}", error.render(color))?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Does what a command says. In a text with a name, an error has its line.
fn one_command(
    shell: &mut Shell<'_>,
    lines: &mut dyn Lines,
    pending: &mut Pending,
    text: &str,
) -> Result<Next, CommandError> {
    let number = pending.line_number();
    let next = command(shell, lines, pending, text);
    let Some(name) = lines.name() else { return next };
    // The line counts.
    pending.push("").map_err(usage)?;
    next.map_err(|error| match error {
        CommandError::Usage { message, help } => {
            CommandError::Usage { message: format!("{name}:{number}: {message}"), help }
        }
        other => other,
    })
}

/// Runs the statements that are whole.
fn statements(
    shell: &mut Shell<'_>,
    lines: &dyn Lines,
    pending: &mut Pending,
    no_more_comes: bool,
) -> Result<(), CommandError> {
    for piece in pending.take(no_more_comes) {
        let origin = Origin {
            name: lines.name(),
            text: pending.text(),
            lines_before: pending.lines_before(),
        };
        shell.statement(&origin, piece, lines.name().is_none())?;
    }
    Ok(())
}

fn prompt(shell: &Shell<'_>, pending: &Pending) -> String {
    let user = shell.asker.user().map_or(String::new(), |user| format!("({user})"));
    let begun = if pending.is_blank() { '=' } else { '-' };
    let transaction = if shell.asker.in_transaction() { "*" } else { "" };
    format!("riskstream{user}{begun}{transaction}> ")
}

/// Looks the names of tables up, for whoever types.
fn learn(shell: &mut Shell<'_>, lines: &mut dyn Lines) {
    if shell.named_at.is_some_and(|at| at.elapsed() < NAMES_KEPT) {
        return;
    }
    shell.named_at = Some(Instant::now());
    let cancel = Cancel::default();
    let going = shell.interrupts.running(&cancel);
    let rows = shell.asker.rows_of(STATEMENT, &cancel).and_then(|feed| feed.all());
    drop(going);
    // Without them nothing is completed; what fails will fail again for what is typed.
    if let Some(names) = rows.ok().and_then(|rows| Names::of(&rows).ok()) {
        shell.names = names.clone();
        lines.learn(names);
    }
}

fn usage(message: String) -> CommandError {
    CommandError::Usage { message, help: None }
}

fn unreadable(lines: &dyn Lines, error: &io::Error) -> CommandError {
    let name = lines.name().unwrap_or("the terminal");
    CommandError::Failed { message: format!("{name} can't be read: {error}") }
}
